"""What happens to servers: killed with -9 and started again, or frozen (SIGSTOP) for a while, which looks to the others like a machine that hangs or a network
that swallows packets."""
import contextlib
import os
import signal

from harness import wait_until


def children(pid):
    """All descendants of a process."""
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        with contextlib.suppress(OSError):
            with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
                mine = [int(c) for c in f.read().split()]
            found += mine
            todo += mine
    return found


def signal_tree(process, number):
    """The process and all that it has started; its children first go on last, so that none is born in between."""
    if not process.running():
        return
    order = [process.pid] + children(process.pid)
    for pid in order if number == signal.SIGSTOP else reversed(order):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_stopped(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()[0] in "Tt"


class Killed:
    """Processes that are killed with -9, and started again by heal()."""

    def __init__(self, *servers):
        self.servers = servers

    def strike(self):
        for s in self.servers:
            s.kill9()

    def heal(self):
        for s in self.servers:
            if hasattr(s, "wait_ready"):
                s.start(healthy=False)  # they start beside each other, and may need what is healed next
            else:
                s.start()

    def __str__(self):
        return "killed " + " and ".join(s.name for s in self.servers)


class Frozen:
    """Processes that stand still until heal()."""

    def __init__(self, *servers):
        self.servers = servers

    def strike(self):
        for s in self.servers:
            signal_tree(s.process, signal.SIGSTOP)
            wait_until(f"{s.name} to stand still", lambda s=s: is_stopped(s.process.pid), 10)

    def heal(self):
        for s in self.servers:
            signal_tree(s.process, signal.SIGCONT)

    def __str__(self):
        return "froze " + " and ".join(s.name for s in self.servers)


class Both:
    """Two troubles at once."""

    def __init__(self, one, other):
        self.one, self.other, self.servers = one, other, [*one.servers, *other.servers]

    def strike(self):
        self.one.strike()
        self.other.strike()

    def heal(self):
        self.other.heal()
        self.one.heal()

    def __str__(self):
        return f"{self.one} and {self.other}"


class Nothing:
    servers = ()

    def strike(self):
        pass

    heal = strike

    def __str__(self):
        return "no trouble"
