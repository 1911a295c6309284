"""A PostgreSQL 15 server of a test's own: fresh data directory, a Unix socket and a free port, fsync off."""
import glob
import os
import pwd
import shutil

import harness


def bin_dir():
    found = sorted(glob.glob("/usr/lib/postgresql/15/bin")) or [os.path.dirname(p) for p in [shutil.which("initdb")] if p]
    harness.check(found, "PostgreSQL 15 is not installed; tools/install-deps test installs it")
    return found[-1]


class Postgres:
    def __init__(self, env, name="postgres"):
        self.env, self.name, self.bin = env, name, bin_dir()
        self.port = env.ports.take()
        # PostgreSQL refuses to run as root, so root hands it to the user that the package made.
        self.user = "postgres" if os.getuid() == 0 else None
        self.owner = self.user or pwd.getpwuid(os.getuid()).pw_name
        self.dir = env.path(name)
        os.mkdir(self.dir)
        if self.user:
            shutil.chown(self.dir, self.user, self.user)
        self.data = os.path.join(self.dir, "data")
        self.process = None
        as_user = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        env.run([os.path.join(self.bin, "initdb"), "-D", self.data, "-U", "henge", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
                 "--no-sync"], cwd=self.dir, **as_user)
        self.start()

    @property
    def url(self):
        return f"postgresql://henge@127.0.0.1:{self.port}/postgres"

    def start(self, deadline_s=60):
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.dir, "fsync": "off",
                    "full_page_writes": "off", "shared_buffers": "32MB", "max_connections": 100, "log_min_messages": "warning"}
        argv = [os.path.join(self.bin, "postgres"), "-D", self.data]
        for key, value in settings.items():
            argv += ["-c", f"{key}={value}"]
        self.process = self.env.start(self.name, argv, user=self.user, cwd=self.dir)
        harness.wait_until("PostgreSQL to accept connections", lambda: self.ready(), deadline_s, process=self.process)

    def ready(self):
        r = self.env.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "henge", "-d", "postgres"], ok=False)
        return r.returncode == 0

    def stop(self):
        """At once but in order: connections are cut, nothing committed is lost."""
        self.process.signal(harness.signal.SIGINT)
        self.process.wait(60, "stop")

    def kill9(self):
        self.process.kill9()

    def sql(self, statement, deadline_s=30):
        """Rows as lists of strings; a null is the empty string."""
        out = self.env.run([os.path.join(self.bin, "psql"), "-X", "-q", "-A", "-t", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.url,
                            "-c", statement], deadline_s).stdout
        return [line.split("\t") for line in out.splitlines()]
