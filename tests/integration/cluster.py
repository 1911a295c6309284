"""Henge's servers as separate processes, and what a test asks them over HTTP."""
import http.client
import json
import os

import harness
from harness import Failure, check, check_equal, wait_until

WIDE = "2000-01-01/2100-01-01"


class Server:
    """One `henge ROLE` process with a configuration file of its own. Start, kill and start again keep ports and data."""

    def __init__(self, env, role, settings=None, name=None, start=True):
        self.env, self.role, self.name = env, role, name or role
        self.port = env.ports.take()
        self.data = env.path(self.name)
        os.makedirs(self.data, exist_ok=True)
        self.settings = {"http.host": "127.0.0.1", "http.port": self.port, "server.name": self.name, "data.dir": self.data, **(settings or {})}
        self.environment = {}
        self.wrapper = []  # words before the command: unshare, setarch, ...
        self.process = None
        if start:
            self.start()

    def start(self, healthy=True, deadline_s=30, **settings):
        """`settings` with __ for the dot override for this start only. healthy: wait until it runs and is ready."""
        config = self.env.path(self.name + ".conf")
        values = {**self.settings, **{k.replace("__", "."): v for k, v in settings.items()}}
        with open(config, "w", encoding="utf-8") as f:
            f.writelines(f"{k} = {v}\n" for k, v in values.items())
        argv = self.wrapper + [self.env.program("henge"), self.role, "--config", config]
        # henge refuses HENGE_ variables that are no settings; those of the harness are not for it.
        inherited = {k: v for k, v in os.environ.items() if k not in ("HENGE_BUILD", "HENGE_CACHE", "HENGE_CONFORMANCE", "HENGE_SEED", "HENGE_SEEDS")}
        self.process = self.env.start(self.name, argv, env={**inherited, **self.environment})
        if healthy:
            self.wait_healthy(deadline_s)
            self.wait_ready(deadline_s)

    def wait_healthy(self, deadline_s=30):
        wait_until(f"{self.name} to be healthy", lambda: self.get("/status/health", timeout=2) is True, deadline_s, process=self.process)

    def wait_ready(self, deadline_s=30):
        """Healthy is that it runs; ready is that it has what it needs."""
        wait_until(f"{self.name} to be ready", lambda: self.request("GET", "/status/ready", timeout=2)[0] == 200, deadline_s, process=self.process)

    def kill9(self):
        self.process.kill9()

    def terminate(self, deadline_s=60):
        return self.process.terminate(deadline_s)

    def log_text(self):
        return self.process.log_text()

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, body): the body parsed where it is JSON, else text."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if body is not None and not isinstance(body, (str, bytes)):
                body = json.dumps(body)
            c.request(method, path, body, {**({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})})
            r = c.getresponse()
            text = r.read().decode("utf-8", "replace")
        finally:
            c.close()
        try:
            return r.status, r.headers, json.loads(text)
        except ValueError:
            return r.status, r.headers, text

    def get(self, path, timeout=60):
        return self.expect(200, "GET", path, timeout=timeout)

    def post(self, path, body, timeout=60):
        return self.expect(200, "POST", path, body, timeout=timeout)

    def expect(self, want, method, path, body=None, timeout=60):
        status, _, answer = self.request(method, path, body, timeout=timeout)
        check(status == want, f"{self.name}: {method} {path} answered {status}, want {want}: {str(answer)[:500]}")
        return answer

    def query(self, query, timeout=60):
        return self.post("/druid/v2", query, timeout)

    def kafka_mock(self):
        """Where a standalone with kafka.mock has its Kafka."""
        with open(os.path.join(self.data, "kafka-bootstrap"), encoding="utf-8") as f:
            return f.read().strip()

    def produce(self, events, topic="ads"):
        """Events, in their order, to the Kafka of a standalone with kafka.mock."""
        path = self.env.path("events.json")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(json.dumps(e) + "\n" for e in events)
        self.env.run([self.env.program("henge-produce"), "--brokers", self.kafka_mock(), "--topic", topic, "--partition", "0", path], 60)

    def has_events(self, n, datasource="ads"):
        """Whether its rows are of n events."""
        got = self.query({"queryType": "timeseries", "dataSource": datasource, "intervals": ["2000/2100"], "granularity": "all", "aggregations": [{"type": "longSum", "name": "n", "fieldName": "events"}],
                          "context": {"noProjections": True}})
        return bool(got) and got[0]["result"]["n"] == n

    def explain(self, query, timeout=60):
        """The answer of a query, and what was done for it, which adds up."""
        status, headers, answer = self.request("POST", "/druid/v2", {**query, "context": {**query.get("context", {}), "profile": True}}, timeout=timeout)
        check(status == 200, f"{self.name}: {status}: {str(answer)[:500]}")
        p = json.loads(headers["X-Druid-Response-Context"])["profile"]
        s, b, m = p["segments"], p["blocks"], p["micros"]
        check_equal(s["considered"], sum(s[k] for k in ("prunedByInterval", "prunedByNamespace", "prunedByShard", "prunedByEntity", "asked")), f"segments of {p}")
        check_equal(s["asked"], sum(s[k] for k in ("prunedByTime", "prunedByFilter", "read", "missing", "notNeeded")), f"segments asked for of {p}")
        check_equal(b["total"], b["fromHeaders"] + b["decoded"] + b["skipped"], f"blocks of {p}")
        check(min(b.values()) >= 0 and b["ofProjections"] <= b["total"] and p["rows"]["matched"] <= p["rows"]["scanned"] == p["rowsScanned"], f"{p}")
        check(min(m.values()) >= 0 and m["total"] >= max(m["parse"], m["plan"], m["finish"]), f"times of {p}")
        check(sum(x["requests"] for x in p["servers"]) <= p["requests"], f"requests of {p}")
        for what in ("blocks", "rows", "bytes") if isinstance(query["dataSource"], str) else ():  # else some rows are scanned by the broker
            check_equal({k: sum(x[what][k] for x in p["servers"]) for k in p[what]}, p[what], f"{what} by server of {p}")
        return answer, p

    def metric(self, name, labels=""):
        """The value of a Prometheus metric; labels as they stand in the text, in part."""
        for line in self.get("/metrics").splitlines():
            if line.startswith(name) and labels in line and line[len(name):len(name) + 1] in ("{", " "):
                return float(line.rsplit(" ", 1)[1])
        raise Failure(f"{self.name} has no metric {name} {labels}")


class Cluster:
    """PostgreSQL, Kafka and the servers of a small cluster, wired to each other."""

    def __init__(self, env, postgres, kafka=None, settings=None):
        self.env, self.postgres, self.kafka = env, postgres, kafka
        deep = env.path("deep")
        os.makedirs(deep, exist_ok=True)
        self.common = {"meta.url": postgres.url, "deep.storage": "file://" + deep, "cluster.secret": "a secret of the tests",
                       "server.lease": "2s", "coordinator.period": "200ms", "coordinator.grace": "3s", **(settings or {})}
        self.servers = {}

    def add(self, role, name=None, start=True, **settings):
        values = {**self.common, "wire.port": self.env.ports.take(), **{k.replace("__", "."): v for k, v in settings.items()}}
        server = Server(self.env, role, values, name, start)
        self.servers[server.name] = server
        return server

    def __getitem__(self, name):
        return self.servers[name]

    def submit(self, ingest, spec):
        return ingest.post("/druid/indexer/v1/supervisor", spec)

    def stop(self, deadline_s=60):
        """SIGTERM to all that run; each must drain and exit 0."""
        for s in self.servers.values():
            if s.process and s.process.running():
                status = s.terminate(deadline_s)
                check(status == 0, f"{s.name}: exit status {status} after SIGTERM")


def ads_spec(topic, bootstrap, datasource="ads", namespace=None, segment="DAY", query="HOUR", **tuning):
    """A supervisor spec for the events of tools/ads_events.py."""
    schema = {
        "dataSource": datasource,
        "timestampSpec": {"column": "timestamp", "format": "iso"},
        "dimensionsSpec": {"dimensions": ["advertiser_id", "campaign_id", "ad_group_id", "ad_id", "country", "device", "placement",
                                          "objective", "age_bucket", "gender", "interests", "bid_type"]},
        "metricsSpec": [
            {"type": "count", "name": "events"},
            {"type": "longSum", "name": "impressions", "fieldName": "impressions"},
            {"type": "longSum", "name": "clicks", "fieldName": "clicks"},
            {"type": "decimalSum", "name": "spend", "fieldName": "spend"},
            {"type": "HLLSketchBuild", "name": "users", "fieldName": "user_id"},
        ],
        "granularitySpec": {"type": "uniform", "segmentGranularity": segment, "queryGranularity": query, "rollup": True},
    }
    if namespace:
        schema["namespace"] = namespace
    io = {"topic": topic, "inputFormat": {"type": "json"}, "consumerProperties": {"bootstrap.servers": bootstrap}, "useEarliestOffset": True}
    if "taskDuration" in tuning:
        io["taskDuration"] = tuning.pop("taskDuration")
    return {"type": "kafka", "spec": {"dataSchema": schema, "ioConfig": io, "tuningConfig": {"type": "kafka", **tuning}}}


SUM_AGGREGATORS = [{"type": "longSum", "name": "events", "fieldName": "events"},
                   {"type": "longSum", "name": "impressions", "fieldName": "impressions"},
                   {"type": "longSum", "name": "clicks", "fieldName": "clicks"},
                   {"type": "decimalSum", "name": "spend", "fieldName": "spend"}]


def micros(value):
    return round((value or 0) * 1000000)


def totals(server, datasource="ads", timeout=60):
    """{"events", "impressions", "clicks", "spend_micros"} over everything."""
    answer = server.query({"queryType": "timeseries", "dataSource": datasource, "intervals": [WIDE], "granularity": "all",
                           "aggregations": SUM_AGGREGATORS}, timeout)
    row = answer[0]["result"] if answer else {}
    return {"events": row.get("events") or 0, "impressions": row.get("impressions") or 0, "clicks": row.get("clicks") or 0,
            "spend_micros": micros(row.get("spend"))}


def by_day_country(server, datasource="ads", timeout=60):
    """The cells of the generator's --sums, by groupBy."""
    answer = server.query({"queryType": "groupBy", "dataSource": datasource, "intervals": [WIDE], "granularity": "day",
                           "dimensions": ["country"], "aggregations": SUM_AGGREGATORS}, timeout)
    cells = {}
    for row in answer:
        e = row["event"]
        cells[row["timestamp"][:10], e["country"]] = (e["events"], e["impressions"], e["clicks"], micros(e["spend"]))
    return cells


def wanted_cells(sums):
    return {(r["day"], r["country"]): (r["events"], r["impressions"], r["clicks"], r["spend_micros"]) for r in sums["by_day_country"]}


def generate(env, name="events", **arguments):
    """Runs tools/ads_events.py; (file, its sums)."""
    events, sums = env.path(name + ".json"), env.path(name + ".sums.json")
    argv = [os.path.join(harness.ROOT, "tools", "ads_events.py"), "--out", events, "--sums", sums]
    for key, value in arguments.items():
        argv += ["--" + key] + ([] if value is True else [str(value)])
    env.run(argv, 120)
    with open(sums, encoding="utf-8") as f:
        return events, json.load(f)
