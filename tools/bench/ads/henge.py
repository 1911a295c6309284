"""A Henge of the benchmark's own: loaded by `henge index`, served by `henge standalone`."""
import glob
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import sys
import time
import urllib.error
import urllib.request

from http_client import Client, totals

HERE = os.path.dirname(os.path.abspath(__file__))


def spec_text(rows, projections):
    with open(os.path.join(HERE, "spec.json"), encoding="utf-8") as f:
        text = f.read().replace("@ROWS@", rows)
    if not projections:
        return text
    spec = json.loads(text)
    with open(os.path.join(HERE, "projections.json"), encoding="utf-8") as f:
        spec["spec"]["dataSchema"]["projections"] = json.load(f)
    return json.dumps(spec)


def folder_bytes(folder, pattern="**/*"):
    return sum(os.path.getsize(f) for f in glob.glob(os.path.join(folder, pattern), recursive=True) if os.path.isfile(f))


class Henge:
    name = "henge"

    def __init__(self, build, data, settings, projections=False):
        self.build, self.data, self.settings, self.projections = build, data, settings, projections
        self.process = self.client = None
        self.loaded = os.path.join(data, "loaded.json")
        self.version = "Henge " + subprocess.run([os.path.join(build, "henge"), "--version"], stdout=subprocess.PIPE, text=True, check=False).stdout.strip().removeprefix("henge ")

    def load(self, rows, again):
        """Loads the CSV files of the folder `rows`, unless that has been done with the same spec. -> what is known of the load"""
        text = spec_text(rows, self.projections)
        print_of = hashlib.sha256(text.encode()).hexdigest()
        if not again and os.path.exists(self.loaded):
            with open(self.loaded, encoding="utf-8") as f:
                known = json.load(f)
            if known["spec"] == print_of:
                return known
        shutil.rmtree(self.data, ignore_errors=True)
        os.makedirs(self.data)
        path = os.path.join(self.data, "spec.json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        before, began = os.times(), time.monotonic()
        done = subprocess.run([os.path.join(self.build, "henge"), "index", path, "--data", self.data], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(f"henge index failed:\n{done.stdout}")
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        known = {"spec": print_of, "seconds": time.monotonic() - began, "cpu_seconds": cpu, "bytes": folder_bytes(os.path.join(self.data, "deep"))}
        with open(self.loaded, "w", encoding="utf-8") as f:
            json.dump(known, f)
        return known

    def launch(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        settings = {"http.port": port, **self.settings}
        self.log = os.path.join(self.data, "log")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([os.path.join(self.build, "henge"), "standalone", "--data", self.data] + [f"--{k.replace('.', '-')}={v}" for k, v in settings.items()],
                                            stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{port}"
        self.until("the server", lambda: self.get("/status/ready") is not None)

    def start(self):
        self.launch()
        self.until("its segments", lambda: (self.get("/druid/coordinator/v1/datasources/ads_bench/loadstatus?forceMetadataRefresh=true&interval=1000-01-01_3000-01-01") or {}).get("ads_bench") == 100)
        self.client = Client(self.url)

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as r:
                text = r.read().decode()
            return json.loads(text) if text.startswith(("[", "{")) else text
        except (urllib.error.URLError, ConnectionError):
            return None

    def until(self, what, done, seconds=600):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end or self.process.poll() is not None:
                sys.exit(f"henge: {what}: not there; see {self.log}")
            time.sleep(0.05)

    def run(self, question):
        """-> seconds"""
        return self.client.ask(question[0])[0]

    def totals(self, question):
        """-> [rows, impressions, clicks, spend], bytes of the answer"""
        data = self.client.ask(question[0])[1]
        return totals(question[0], data), len(data)

    def memory(self):
        """Peak and present resident bytes; of these: memory of its own (anonymous), of it what is locked; and pages of program and library files, which are clean and shared."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as f:
            known = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in f if line.startswith(("VmHWM", "VmRSS", "VmLck", "RssAnon", "RssFile"))}
        return {"peak": known["VmHWM"], "resident": known["VmRSS"], "anonymous": known["RssAnon"], "file": known["RssFile"], "locked": known["VmLck"]}

    def idle_memory(self):
        """Resident bytes of the same server when it has nothing to serve: what does not grow with rows."""
        with tempfile.TemporaryDirectory() as data:
            idle = Henge(self.build, data, self.settings)
            try:
                idle.launch()
                return idle.memory()["resident"]
            finally:
                idle.stop()

    def stop(self):
        if self.client:
            self.client.close()
        if self.process:
            self.process.terminate()
            self.process.wait(60)
