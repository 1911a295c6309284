"""The conformance datasets in every shape that Henge can keep them in, and the recorded cases asked of each.

A case's answer is Druid's, whatever the shape: what depends on how rows are cut into segments is in tests/conformance/layout.txt."""
import copy
import fnmatch
import glob
import gzip
import http.client
import json
import os
import sys
import threading
import zlib

import harness
from harness import check, wait_until

FOLDER = os.path.join(harness.ROOT, "tests", "conformance")
sys.path.insert(0, FOLDER)
import run as runner  # noqa: E402
LAYOUT = os.path.join(FOLDER, "layout.txt")
DATASETS = ("ads", "ads_raw")
THREADS = 3  # that ask at once


# ---- what is loaded ----

def read_spec(name, folder=FOLDER):
    """A dataset's batch spec, with the data of the folder."""
    with open(os.path.join(folder, "load", name + ".json"), encoding="utf-8") as f:
        return json.loads(f.read().replace("@DATA@", os.path.join(folder, "data")))


def partitioned(spec, partitions):
    spec = copy.deepcopy(spec)
    spec["spec"]["tuningConfig"]["partitionsSpec"] = partitions
    spec["spec"]["tuningConfig"]["forceGuaranteedRollup"] = partitions["type"] != "dynamic"
    return spec


def by_entity(spec, before_time="ad_id"):
    """Rows sorted by dimensions first, up to this one, then by time."""
    spec = copy.deepcopy(spec)
    dimensions = spec["spec"]["dataSchema"]["dimensionsSpec"]
    dimensions["forceSegmentSortByTime"] = False
    dimensions["dimensions"].insert(dimensions["dimensions"].index(before_time) + 1, {"type": "long", "name": "__time"})
    return spec


def projected(spec):
    """With projections of what describes the audience by day, and of campaigns by hour: each metric again, and the numbers and users that are dimensions."""
    spec = copy.deepcopy(spec)
    schema = spec["spec"]["dataSchema"]
    merge = {"HLLSketchBuild": "HLLSketchMerge"}
    kept = [{**m, "type": merge.get(m["type"], m["type"]), "fieldName": m["name"]} for m in schema["metricsSpec"] if m["type"] not in ("count", "thetaSketch")]
    kept += [{"type": "longSum", "name": "count_sum", "fieldName": m["name"]} for m in schema["metricsSpec"] if m["type"] == "count"]
    for d in schema["dimensionsSpec"]["dimensions"]:
        if d == "user_id":
            kept.append({"type": "HLLSketchBuild", "name": "users_of", "fieldName": d})
        elif isinstance(d, dict) and d["type"] in ("long", "double", "float"):
            kept += [{"type": d["type"] + op, "name": d["name"] + op, "fieldName": d["name"]} for op in ("Sum", "Min", "Max")]

    def one(name, period, columns):
        return {"type": "aggregate", "name": name, "virtualColumns": [{"type": "expression", "name": "__gran", "expression": f"timestamp_floor(__time, '{period}')"}],
                "groupingColumns": [{"type": "long", "name": "__gran"}] + columns, "aggregators": kept}
    schema["projections"] = [one("audience", "P1D", ["country", "device", "placement", "objective", "age_bucket", "gender"]), one("campaigns", "PT1H", ["advertiser_id", "campaign_id"])]
    return spec


def events_file(spec):
    source = spec["spec"]["ioConfig"]["inputSource"]
    return os.path.join(source["baseDir"], source["filter"])


def in_namespaces(env, spec):
    """Two specs with half of the rows each. Events that roll up into one row stay together, so that stored rows are as many as in one namespace."""
    name = spec["spec"]["dataSchema"]["dataSource"]
    os.makedirs(env.path("halves"), exist_ok=True)
    paths = [env.path("halves", f"{name}-{i}.json") for i in (0, 1)]
    with gzip.open(events_file(spec), "rb") as events, open(paths[0], "wb") as a, open(paths[1], "wb") as b:
        for line in events:
            at = line.index(b'"timestamp":"') + 13
            row = line[at:at + 13] + line[line.index(b'"advertiser_id"'):line.index(b',"user_id"')]  # the hour and the dimensions
            (a, b)[zlib.crc32(row) & 1].write(line)
    halves = []
    for i, path in enumerate(paths):
        half = copy.deepcopy(spec)
        half["spec"]["dataSchema"]["namespace"] = f"half-{i}"
        half["spec"]["ioConfig"]["inputSource"] = {"type": "local", "files": [path]}
        halves.append(half)
    return halves


def as_stream(spec, topic, bootstrap):
    """The supervisor spec whose stream makes the rows of a batch spec."""
    schema = copy.deepcopy(spec["spec"]["dataSchema"])
    schema["granularitySpec"].pop("intervals", None)
    return {"type": "kafka", "spec": {"dataSchema": schema, "tuningConfig": {"type": "kafka"},
                                      "ioConfig": {"topic": topic, "inputFormat": spec["spec"]["ioConfig"]["inputFormat"], "useEarliestOffset": True,
                                                   "consumerProperties": {"bootstrap.servers": bootstrap}}}}


# ---- loading ----

def load(specs, ingest, coordinator=None):
    """Gives the tasks to a server and waits until all of their segments are served."""
    coordinator = coordinator or ingest
    tasks = [(s["spec"]["dataSchema"]["dataSource"], ingest.post("/druid/indexer/v1/task", s)["task"]) for s in specs]
    for name, task in tasks:
        def ended(task=task, name=name):
            status = ingest.get(f"/druid/indexer/v1/task/{task}/status")["status"]
            return status if status["statusCode"] != "RUNNING" else None
        status = wait_until(f"task {task} to end", ended, 240, process=ingest.process)
        check(status["statusCode"] == "SUCCESS", f"{name}: {status['errorMsg']}")
    for name in sorted({name for name, _ in tasks}):
        def served(name=name):
            status, _, answer = coordinator.request("GET", f"/druid/coordinator/v1/datasources/{name}/loadstatus?forceMetadataRefresh=true&interval=1000-01-01_3000-01-01")
            return status == 200 and answer.get(name) == 100.0
        wait_until(f"{name} to be served", served, 120, process=coordinator.process)


MOCK_KEEPS = 40000  # events; the mock cluster forgets the oldest past some 100,000


def time_of(line):
    at = line.index(b'"timestamp":"') + 13
    return line[at:line.index(b'"', at)]


def chunks(env, spec, since):
    """A batch spec's events from a time on, in files that the mock cluster can hold; and how many were sent with the file."""
    with gzip.open(events_file(spec), "rb") as f:
        lines = [line for line in f if time_of(line) >= since.encode()]
    path = env.path("chunk.json")
    for i in range(0, len(lines), MOCK_KEEPS):
        with open(path, "wb") as out:
            out.writelines(lines[i:i + MOCK_KEEPS])
        yield path, min(i + MOCK_KEEPS, len(lines))


def stream(env, server, specs, since=""):
    """Sends the events of batch specs, from a time on, through the server's mock Kafka into live rows that are not handed off."""
    bootstrap = server.kafka_mock()
    for spec in specs:
        name, rolled_up = spec["spec"]["dataSchema"]["dataSource"], spec["spec"]["dataSchema"]["metricsSpec"]
        n = {"type": "longSum", "name": "n", "fieldName": "count"} if rolled_up else {"type": "count", "name": "n"}
        q = {"queryType": "timeseries", "dataSource": name, "intervals": [(since or "1000") + "/3000"], "granularity": "all", "aggregations": [n]}
        supervised = False
        for path, sent in chunks(env, spec, since):
            env.run([env.program("henge-produce"), "--brokers", bootstrap, "--topic", name, "--partition", "0", path], 120)
            if not supervised:
                server.post("/druid/indexer/v1/supervisor", as_stream(spec, name, bootstrap))
                supervised = True

            def read(sent=sent):
                answer = server.query(q)
                return bool(answer) and answer[0]["result"]["n"] == sent
            wait_until(f"{sent} events of {name} to be read", read, 180, process=server.process)


# ---- asking ----

def cases(folder=FOLDER):
    """(name, case) of each native case of a folder: of cases/, and of extra/, what random queries have taught."""
    for path in sorted(p for sub in ("cases", "extra") for p in glob.glob(os.path.join(folder, sub, "*.jsonl"))):
        group = ("extra/" if os.path.dirname(path).endswith("extra") else "") + os.path.basename(path)[:-6]
        with open(path, encoding="utf-8") as f:
            for line in f:
                case = json.loads(line)
                if case["endpoint"] == "native":
                    yield f"{group}/{case['name']}", case


def mistakes(folder=FOLDER):
    with open(os.path.join(folder, "must-be-4xx.jsonl"), encoding="utf-8") as f:
        for line in f:
            case = {"endpoint": "native", "status": "4xx", **json.loads(line)}
            if case["endpoint"] == "native":
                yield "mistakes/" + case["name"], case


def layout_exceptions(kinds):
    """[(pattern, reason)] of the cases that layouts of these kinds may answer differently."""
    found = []
    with open(LAYOUT, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split(None, 2)
            check(len(parts) == 3, f"{LAYOUT}:{number}: not KIND CASE REASON")
            if parts[0] in kinds:
                found.append((parts[1], parts[2].strip()))
    return found


def with_context(query, context):
    if not context or not isinstance(query, dict):
        return query
    return {**query, "context": {**(query.get("context") or {}), **context}}


class Asker(threading.Thread):
    """Takes cases from a shared list and asks them over one connection."""

    def __init__(self, port, todo, context, good, bad):
        super().__init__(daemon=True)
        self.port, self.todo, self.context, self.good, self.bad = port, todo, context, good, bad
        self.connection = None

    def ask(self, case):
        body = json.dumps(with_context(case["query"], self.context))
        for last in (False, True):  # a connection that the server closed meanwhile is opened again, once
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            try:
                self.connection.request("POST", "/druid/v2", body, {"Content-Type": "application/json"})
                r = self.connection.getresponse()
                return r.status, r.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException):
                self.connection.close()
                self.connection = None
                if last:
                    raise

    def run(self):
        while True:
            try:
                name, case = self.todo.pop()
            except IndexError:
                break
            try:
                ok, why = runner.agrees(case, *self.ask(case))
            except Exception as e:  # any of them is this case's failure, not the others'
                ok, why = False, f"{type(e).__name__}: {e}"
            if ok:
                self.good.append(name)
            else:
                self.bad[name] = why
        if self.connection:
            self.connection.close()


def ask_all(port, todo, context=None, threads=THREADS):
    """(names that pass, {name: why not})"""
    good, bad, left = [], {}, list(reversed(list(todo)))
    askers = [Asker(port, left, context, good, bad) for _ in range(threads)]
    for a in askers:
        a.start()
    for a in askers:
        a.join()
    return good, bad


def report(env, title, good, bad):
    groups = {}
    for name in sorted([*good, *bad]):
        groups.setdefault(name.split("/")[0], [0, 0])[name in bad] += 1
    env.say(f"{title}: {len(good)} of {len(good) + len(bad)}; " + ", ".join(f"{g} {yes}/{yes + no}" for g, (yes, no) in groups.items()))


def must_agree(env, title, port, todo, kinds=(), context=None):
    """Asks cases of one shape; all must agree with Druid but those that layout.txt lets differ for it."""
    good, bad = ask_all(port, todo, context)
    may = layout_exceptions(kinds)
    allowed = {n for n in bad if any(fnmatch.fnmatchcase(n, pattern) for pattern, _ in may)}
    report(env, title, good, {n: w for n, w in bad.items() if n not in allowed})
    if allowed:
        env.say(f"{title}: {len(allowed)} more differ as layout.txt says: " + ", ".join(sorted(allowed)))
    lost = {n: w for n, w in bad.items() if n not in allowed}
    return [f"{title}: {n}: {w[:1200]}" for n, w in sorted(lost.items())]
