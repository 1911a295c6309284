#!/usr/bin/env python3
"""The second half of ./quickstart: starts `henge standalone`, feeds it, queries it, prints the answers. Use ./quickstart."""
import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
CONF = os.path.join("conf", "quickstart")
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


class Stop(Exception):
    """What went wrong, as a sentence for the user."""


def step(text):
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def say(text):
    print("   " + text, flush=True)


class Server:
    def __init__(self, a):
        self.port, self.data = a.port, os.path.abspath(a.data)
        self.log = os.path.join(self.data, "henge.log")
        os.makedirs(self.data, exist_ok=True)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", self.port)) == 0:
                raise Stop(f"port {self.port} is taken already; name another with --port")
        argv = [a.henge, "standalone", "--data", self.data, "--port", str(self.port)]
        argv += ["--kafka", a.kafka] if a.kafka else ["--kafka-mock"]
        self.address_file = os.path.join(self.data, "kafka-bootstrap")
        if os.path.exists(self.address_file):
            os.remove(self.address_file)
        self.from_byte = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        with open(self.log, "ab") as out:
            # A session of its own: Ctrl-C reaches us alone, and we stop the server in order.
            # Settings come from the flags alone, whatever HENGE_ variables this shell has.
            env = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True)
        say(" ".join(argv))

    def request(self, method, path, body=None, timeout=60):
        """(status, parsed JSON or text)."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
            r = c.getresponse()
            text = r.read().decode("utf-8", "replace")
        finally:
            c.close()
        try:
            return r.status, json.loads(text)
        except ValueError:
            return r.status, text

    def ask(self, method, path, body=None):
        status, answer = self.request(method, path, body)
        if status != 200:
            raise Stop(f"{method} {path} answered {status}: {answer if isinstance(answer, str) else json.dumps(answer)}")
        return answer

    def query(self, file):
        with open(os.path.join(ROOT, CONF, file), encoding="utf-8") as f:
            text = f.read()
        start = time.monotonic()
        answer = self.ask("POST", "/druid/v2", text)
        return answer, (time.monotonic() - start) * 1000

    def wait(self, what, deadline_s, predicate, progress=None):
        """predicate() until it gives something; progress() is told every few seconds. Fails with the log's last lines."""
        pause, end, tell = threading.Event(), time.monotonic() + deadline_s, time.monotonic() + 3
        while True:
            try:
                got = predicate()
            except (OSError, http.client.HTTPException):
                got = None
            if got:
                return got
            if self.process.poll() is not None:
                raise Stop(f"henge ended with status {self.process.returncode}, while waiting for {what}\n{self.log_end()}")
            if time.monotonic() > end:
                raise Stop(f"waited {deadline_s} s for {what}{': ' + progress() if progress else ''}\n{self.log_end()}")
            if progress and time.monotonic() > tell:
                tell = time.monotonic() + 3
                say(progress())
            pause.wait(0.1)

    def log_end(self, lines=15):
        with open(self.log, "rb") as f:
            f.seek(self.from_byte)
            text = f.read().decode("utf-8", "replace")
        return f"the last lines of {self.log}:\n" + "\n".join("   " + line for line in text.splitlines()[-lines:])

    def bootstrap(self):
        """Where the mock cluster listens: standalone writes it beside its data."""
        if not os.path.exists(self.address_file):
            return None
        with open(self.address_file, encoding="utf-8") as f:
            return f.read().strip() or None

    def stop(self):
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
            say("the server drained and stopped" if status == 0 else f"the server ended with status {status}\n{self.log_end()}")
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            say("the server did not stop within 60 s and was killed")


def near(path):
    """As short as it can be typed here."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith("..") else relative


def cell(value, decimals):
    if value is None:
        return "null"
    if isinstance(value, float):
        return f"{value:,.{decimals}f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def table(rows, columns):
    numeric = {c for c in columns if all(isinstance(r.get(c), (int, float, type(None))) for r in rows)}
    # Rates with four decimals, money with two.
    small = {c: all(abs(r[c]) < 1 for r in rows if isinstance(r.get(c), float)) for c in columns}
    text = [[cell(r.get(c), 4 if small[c] else 2) for c in columns] for r in rows]
    width = [max([len(c)] + [len(t[i]) for t in text]) for i, c in enumerate(columns)]

    def line(values):
        return "   " + "  ".join(v.rjust(w) if c in numeric else v.ljust(w) for v, w, c in zip(values, width, columns)).rstrip()

    print(line(columns))
    print("   " + "  ".join("-" * w for w in width))
    for t in text:
        print(line(t))
    sys.stdout.flush()


def totals(server):
    """The sums over all that can be queried now; zeros when there is nothing."""
    answer, _ = server.query("count.json")
    result = answer[0]["result"] if answer else {}
    return {k: result.get(k) or 0 for k in ("events", "impressions", "clicks", "spend")}


def make_events(rows, folder):
    events, sums = os.path.join(folder, "events.json"), os.path.join(folder, "sums.json")
    subprocess.run([sys.executable, os.path.join(ROOT, "tools", "ads_events.py"), "--rows", str(rows), "--days", "2", "--now",
                    "--seed", str(time.time_ns() % 1000000), "--out", events, "--sums", sums], check=True)
    with open(sums, encoding="utf-8") as f:
        return events, json.load(f)["total"]


def feed(a, server, bootstrap, events):
    argv = [a.produce, "--brokers", bootstrap, "--topic", "ads", "--key-field", "ad_id"]
    if a.kafka:
        argv += ["--create", "--partitions", "2"]
    r = subprocess.run(argv + [events], stdout=subprocess.PIPE, text=True)
    if r.returncode != 0:
        raise Stop(f"the events could not be sent to Kafka at {bootstrap}")
    report = json.loads(r.stdout)
    say(f"{report['acknowledged']:,} events sent to topic ads at {bootstrap} in {report['ms'] / 1000:.1f} s, keyed by ad_id, "
        f"over {len(report['partitions'])} partitions")


def submit(server, bootstrap, forget_offsets):
    known = server.ask("GET", "/druid/indexer/v1/supervisor")
    with open(os.path.join(ROOT, CONF, "ads-supervisor.json"), encoding="utf-8") as f:
        spec = f.read().replace("@BOOTSTRAP@", bootstrap)
    answer = server.ask("POST", "/druid/indexer/v1/supervisor", spec)
    say(f"{CONF}/ads-supervisor.json posted to /druid/indexer/v1/supervisor: {json.dumps(answer)}")
    supervisor = answer["id"]
    if supervisor in known and forget_offsets:
        # The mock cluster of the last run is gone with its messages, so the stored positions mean nothing in the new one.
        server.ask("POST", f"/druid/indexer/v1/supervisor/{supervisor}/reset", "")
        say("an earlier run left stored Kafka offsets; reset, as this mock cluster starts empty")
    return supervisor


def show(server):
    answer, ms = server.query("timeseries.json")
    say(f"{BOLD}timeseries{PLAIN}: quarters of a day in Los Angeles, with the click rate ({ms:.1f} ms)\n")
    table([{"time": r["timestamp"], **r["result"]} for r in answer], ["time", "impressions", "clicks", "spend", "ctr"])
    answer, ms = server.query("topn.json")
    print()
    say(f"{BOLD}topN{PLAIN}: the advertisers that spent most, with their distinct users ({ms:.1f} ms)\n")
    table(answer[0]["result"] if answer else [], ["advertiser_id", "spend", "clicks", "users"])
    answer, ms = server.query("groupby.json")
    print()
    say(f"{BOLD}groupBy{PLAIN}: country and device, with filters, a filtered aggregator, having and a limit ({ms:.1f} ms)\n")
    table([r["event"] for r in answer], ["country", "device", "impressions", "shop_clicks", "spend"])


def what_next(a, bootstrap, supervisor):
    url = f"http://127.0.0.1:{a.port}"
    print(f"""
   A query of your own:
     curl -s -H 'Content-Type: application/json' -d @{CONF}/topn.json '{url}/druid/v2?pretty'
   More events, then the same query once more:
     tools/ads_events.py --rows 1000 --days 1 --now --seed 1 | {a.produce} --brokers {bootstrap} --topic ads --key-field ad_id
   What the server says of itself:
     curl -s {url}/druid/indexer/v1/supervisor/{supervisor}/status
     curl -s {url}/druid/v2/datasources
     curl -s {url}/metrics
   Files: data and log in {near(a.data)}; queries and the ingest spec in {CONF}; see docs/queries.md and docs/operations.md""", flush=True)


def run(a):
    step("3/6  Start henge standalone: ingest, historical, coordinator and broker in one process")
    server = Server(a)
    try:
        server.wait("the server to be healthy", 30, lambda: server.request("GET", "/status/health", timeout=2) == (200, True))
        if a.kafka:
            bootstrap = a.kafka
            say(f"Kafka: the broker at {bootstrap}")
        else:
            bootstrap = server.wait("the mock Kafka cluster", 10, server.bootstrap)
            say(f"Kafka: librdkafka's mock cluster inside the server, at {bootstrap}. It speaks the Kafka")
            say("protocol and forgets everything when the server stops; --kafka HOST:PORT uses a real broker")
        before = totals(server)
        if before["events"]:
            say(f"{before['events']:,} events of an earlier run are still there, in {near(server.data)}")

        step(f"4/6  Feed {a.rows:,} ad events of the last two days")
        with tempfile.TemporaryDirectory(prefix="henge-quickstart-") as folder:
            events, want = make_events(a.rows, folder)
            feed(a, server, bootstrap, events)
        supervisor = submit(server, bootstrap, forget_offsets=not a.kafka)

        step("5/6  Wait until all of them can be queried")
        start = time.monotonic()
        goal = before["events"] + a.rows
        last = {}

        def arrived():
            last.update(totals(server))
            return last["events"] >= goal

        server.wait("the events to be queryable", 120, arrived, lambda: f"{last.get('events', 0):,} of {goal:,}")
        say(f"{last['events']:,} events, {time.monotonic() - start:.1f} s after the supervisor was there")
        got = {k: last[k] - before[k] for k in ("impressions", "clicks")}
        spend = round((last["spend"] - before["spend"]) * 1000000)
        if (got["impressions"], got["clicks"], spend) != (want["impressions"], want["clicks"], want["spend_micros"]):
            raise Stop(f"the server's sums {got}, spend {spend} micro-units, differ from the generator's {want}")
        say(f"their sums equal the generator's: {got['impressions']:,} impressions, {got['clicks']:,} clicks, {spend / 1000000:,.6f} spent")

        step("6/6  Ask: POST /druid/v2")
        show(server)
        if a.exit:
            return
        step(f"Henge is running at http://127.0.0.1:{a.port}, process {server.process.pid}. Ctrl-C stops it. What to try next")
        what_next(a, bootstrap, supervisor)
        status = server.process.wait()
        raise Stop(f"henge ended with status {status}\n{server.log_end()}")
    finally:
        step("Stop")
        server.stop()


def main():
    ap = argparse.ArgumentParser(prog="quickstart", description="Builds Henge, feeds it ad events and shows three queries.")
    ap.add_argument("--henge", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--produce", required=True, help=argparse.SUPPRESS)
    ap.add_argument("--port", type=int, default=8888)
    ap.add_argument("--data", default=os.path.join("build", "quickstart-data"))
    ap.add_argument("--rows", type=int, default=100000)
    ap.add_argument("--kafka", help="HOST:PORT of a real broker")
    ap.add_argument("--exit", action="store_true", help="stop afterwards")
    a = ap.parse_args()

    def interrupted(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    try:
        run(a)
    except Stop as e:
        print(f"\nquickstart: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if a.exit:
        print(f"\n   Run ./quickstart again without --exit to go on from here; the data stay in {near(a.data)}.")
    return 0


sys.exit(main())
