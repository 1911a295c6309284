"""What the integration tests stand on: real processes with captured logs, free ports, waiting with deadlines, and a clean end.

A test file defines functions `test_*(env)` and ends with `harness.main(globals())`. Each function gets a fresh Env. Whatever happens,
every process that an Env started is dead when it ends; when a test fails, the last lines of each process's log are printed.

    tests/integration/NAME_test.py [--build DIR] [--keep] [test_function...]

--build is where henge and henge-produce are (default: $HENGE_BUILD, else build/dev). --keep leaves the work directory.
"""
import argparse
import contextlib
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
LOG_LINES = 40


class Failure(Exception):
    """A sentence that says what was wanted and what was there."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(got, want, what):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def cache_dir(*parts):
    base = os.environ.get("HENGE_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "henge")
    path = os.path.join(base, *parts)
    os.makedirs(path, exist_ok=True)
    return path


@contextlib.contextmanager
def file_lock(path):
    """Held by one process of this machine at a time; ctest runs tests beside each other."""
    with open(path, "a") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


class Ports:
    """TCP ports for servers to listen on. They are below the range that the kernel gives to outgoing connections, and each is locked by
    a file until this process ends, so that two tests never pick the same one."""

    def __init__(self):
        self.dir = os.path.join(tempfile.gettempdir(), f"henge-test-ports-{os.getuid()}")
        os.makedirs(self.dir, exist_ok=True)
        self.locks = []
        self.random = random.Random(os.getpid())

    def take(self):
        for _ in range(1000):
            port = self.random.randrange(15000, 32000)
            lock = open(os.path.join(self.dir, str(port)), "a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            except OSError:
                lock.close()
                continue
            self.locks.append(lock)
            return port
        raise Failure("no free port between 15000 and 32000")


class Process:
    """A child with its output in a file. It dies with us, even when we are killed."""

    def __init__(self, name, argv, log, env=None, user=None, cwd=None, stdin=None):
        self.name, self.argv, self.log = name, argv, log
        as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--"] + argv, stdin=stdin or subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, env=env, cwd=cwd, start_new_session=True, **as_user)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.running():
            self.popen.send_signal(number)

    def wait(self, deadline_s, what="end"):
        """The exit status; negative: the signal that ended it."""
        try:
            return self.popen.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not {what} within {deadline_s} s") from None

    def kill9(self):
        self.signal(signal.SIGKILL)
        self.wait(10)

    def terminate(self, deadline_s=30):
        """SIGTERM, and the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(deadline_s, "stop after SIGTERM")

    def stop_hard(self):
        """For the end of a test: the whole session, at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.popen.wait()

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()


def wait_until(what, predicate, deadline_s=30, every_s=0.05, process=None):
    """Asks predicate() until it is true and returns what it gave. An exception of it counts as "not yet", and the last is told when
    time is up. `process`: fail at once when it ends meanwhile."""
    pause, end, last = threading.Event(), time.monotonic() + deadline_s, None
    while True:
        try:
            got = predicate()
            if got:
                return got
            last = f"last answer {got!r}"
        except Exception as e:  # a server that is not up yet, most often
            last = f"last error {type(e).__name__}: {e}"
        if process and not process.running():
            raise Failure(f"waiting for {what}: {process.name} ended with status {process.popen.returncode}")
        if time.monotonic() >= end:
            raise Failure(f"waited {deadline_s} s for {what}; {last}")
        pause.wait(every_s)


def wait_for_log(process, pattern, deadline_s=30):
    """The first match of a regular expression in the process's log."""
    expression = re.compile(pattern)
    return wait_until(f"{process.name} to log /{pattern}/", lambda: expression.search(process.log_text()), deadline_s, process=process)


def connects(port, host="127.0.0.1"):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex((host, port)) == 0


class Env:
    """One test's world: a work directory, ports, processes and things to close."""

    def __init__(self, name, build):
        self.name, self.build = name, os.path.abspath(build)
        self.dir = tempfile.mkdtemp(prefix=f"henge-{name}-")
        os.chmod(self.dir, 0o755)  # servers that refuse to be root run as another user
        self.ports = Ports()
        self.processes = []
        self.closers = []
        self.started = time.monotonic()

    def say(self, text):
        print(f"  {time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def program(self, name):
        path = os.path.join(self.build, "tools" if name == "henge-produce" else "", name)
        check(os.path.exists(path), f"{path} is not there; build it, or name the build directory with --build")
        return path

    def start(self, name, argv, **how):
        p = Process(name, argv, self.path(name + ".log"), **how)
        self.processes.append(p)
        return p

    def run(self, argv, deadline_s=60, ok=True, **how):
        """Runs a command to its end; its output as text. ok: it must exit 0."""
        try:
            r = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=deadline_s, text=True, **how)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"{' '.join(argv)}: not done within {deadline_s} s") from e
        if ok and r.returncode != 0:
            raise Failure(f"{' '.join(argv)}: exit status {r.returncode}\n{r.stdout[-2000:]}{r.stderr[-2000:]}")
        return r

    def at_end(self, close):
        self.closers.append(close)

    def dump_logs(self):
        logs = {p.log: p.name for p in self.processes}
        for log, name in logs.items():
            with open(log, encoding="utf-8", errors="replace") as f:
                lines = f.readlines()
            print(f"---- {name}: the last {min(LOG_LINES, len(lines))} of {len(lines)} lines of {log}")
            sys.stdout.writelines(line[:1000].rstrip("\n") + "\n" for line in lines[-LOG_LINES:])
        sys.stdout.flush()

    def close(self, keep):
        for close in reversed(self.closers):
            with contextlib.suppress(Exception):
                close()
        for p in reversed(self.processes):
            p.stop_hard()
        if keep:
            print(f"  kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)


def run_one(name, function, build, keep):
    env = Env(name.removeprefix("test_"), build)
    print(f"{name}", flush=True)
    try:
        function(env)
        print(f"ok: {name} ({time.monotonic() - env.started:.1f} s)", flush=True)
        return True
    except BaseException as e:
        if isinstance(e, Failure):
            where = traceback.extract_tb(e.__traceback__)
            mine = [f for f in where if os.path.basename(f.filename) not in ("harness.py",)] or where
            print(f"FAILED: {name}: {os.path.basename(mine[-1].filename)}:{mine[-1].lineno}: {e}")
        else:
            print(f"FAILED: {name}")
            traceback.print_exc(file=sys.stdout)
        env.dump_logs()
        if isinstance(e, (KeyboardInterrupt, SystemExit)):
            raise
        return False
    finally:
        env.close(keep)


def main(names):
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--build", default=os.environ.get("HENGE_BUILD", os.path.join(ROOT, "build", "dev")))
    ap.add_argument("--keep", action="store_true", help="leave the work directory")
    ap.add_argument("tests", nargs="*")
    a = ap.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    tests = {n: f for n, f in names.items() if n.startswith("test_") and callable(f)}
    unknown = [t for t in a.tests if t not in tests]
    if unknown:
        ap.error(f"no such test: {', '.join(unknown)}; there are: {', '.join(tests)}")
    failed = [n for n in (a.tests or tests) if not run_one(n, tests[n], a.build, a.keep)]
    print(f"{len(a.tests or tests) - len(failed)} passed, {len(failed)} failed" + (": " + ", ".join(failed) if failed else ""))
    sys.exit(1 if failed else 0)
