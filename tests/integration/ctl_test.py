#!/usr/bin/env python3
"""henge ctl: what each command prints in both formats, what it refuses, and what its messages tell to do.

Whole outputs are compared with tests/golden/ctl/: exactly where a fake server gives fixed answers, and with times, ids, sizes and ports replaced
where a real standalone does. UPDATE_GOLDEN=1 writes them anew; look at the difference before you commit it."""
import base64
import json
import os
import pty
import re
import shlex
import subprocess

import harness
from cluster import Server
from fake_server import FakeServer
from harness import check, check_equal, wait_until

GOLDEN = os.path.join(harness.ROOT, "tests", "golden", "ctl")
CAN, CANNOT, WRONG = 0, 1, 2
C, I = "/druid/coordinator/v1", "/druid/indexer/v1"
L = C + "/lookups"


def ctl(env, *words, want=CAN, environment=None, stdin=""):
    """Runs henge ctl; (stdout, stderr)."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
    r = env.run([env.program("henge"), "ctl", *words], ok=False, env={**inherited, "USER": "kim", **(environment or {})}, cwd=env.dir, input=stdin)
    check(r.returncode == want, f"henge ctl {' '.join(words)}: exit status {r.returncode}, want {want}\n{r.stdout[-2000:]}{r.stderr[-3000:]}")
    return r.stdout, r.stderr


def golden(name, text):
    path = os.path.join(GOLDEN, name)
    if os.environ.get("UPDATE_GOLDEN"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        want = f.read()
    check(text == want, f"not what tests/golden/ctl/{name} holds:\n--- got\n{text}--- want\n{want}")


def write(env, name, what):
    path = env.path(name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(what if isinstance(what, str) else json.dumps(what))
    return path


def commands(env):
    """Names of all commands, from the help."""
    out, names = ctl(env, "help")[0], []
    for line in re.findall(r"^  (\S.*?)  +\S", out, re.M):
        names.append(" ".join(w for w in line.split() if w.islower()))
    check(len(names) > 20 and "supervisor reset" in names, f"commands in the help: {names}")
    return names


# ---- a cluster that never changes ----

def segment(day, ns, part, rows, size):
    start, end, version = f"2024-05-0{day}T00:00:00.000Z", f"2024-05-0{day + 1}T00:00:00.000Z", "2024-06-01T00:00:00.000Z"
    return {"dataSource": "ads", "interval": f"{start}/{end}", "version": version, "loadSpec": {"type": "henge", "path": f"ads/{day}/{part}.seg"},
            "dimensions": "country,device", "metrics": "clicks,spend", "shardSpec": {"type": "numbered", "partitionNum": part, "partitions": 0},
            "binaryVersion": 9, "size": size, "identifier": f"ads@{ns}_{start}_{end}_{version}" + (f"_{part}" if part else ""), "namespace": ns, "numRows": rows}


def task(name, state, created, duration, error=None, runner="NONE"):
    return {"id": name, "groupId": name, "type": "index_parallel", "createdTime": created, "statusCode": state, "status": state, "runnerStatusCode": runner,
            "duration": duration, "dataSource": "ads", "errorMsg": error}


SPEC = {"type": "kafka", "spec": {"dataSchema": {"dataSource": "ads", "namespace": "delivery"}, "ioConfig": {"topic": "ads-events", "useEarliestOffset": True}}}
STATUS = {"id": "ads@delivery", "generationTime": "2024-06-01T00:00:00.000Z", "payload": {
    "dataSource": "ads", "namespace": "delivery", "stream": "ads-events", "partitions": 3, "state": "UNHEALTHY_SUPERVISOR", "detailedState": "LOST_CONTACT_WITH_STREAM",
    "healthy": False, "suspended": False, "aggregateLag": 100007, "liveRows": 12, "publishedRows": 3456789, "publishedSegments": 7,
    "latestOffsets": {"10": None, "0": 1200000, "1": 99}, "minimumLag": {"10": None, "0": 100000, "1": 7}, "publishedOffsets": {"10": None, "0": 1000000, "1": 90},
    "activeTasks": [{"id": "t", "currentOffsets": {"0": 1100000, "1": 92, "10": None}}], "publishingTasks": [],
    "recentErrors": [{"timestamp": "2024-06-01T00:00:00.000Z", "exceptionClass": "x", "message": "kafka:9092: connection refused", "streamException": True}],
    "badEvents": {"malformed": 2, "timestamp": 0, "late": 5, "early": 0,
                  "samples": [{"timestamp": "2024-06-01T00:00:00.000Z", "partition": 0, "offset": 1099999, "reason": "malformed", "message": "not JSON", "event": "{"}]}}}
RUNNING = task("index_a", "RUNNING", "2024-06-03T00:00:00.000Z", -1, runner="RUNNING")
REPORT = {"ingestionStatsAndErrors": {"taskId": "index_b", "type": "ingestionStatsAndErrors", "payload": {
    "ingestionState": "COMPLETED", "rowStats": {"buildSegments": {"processed": 1000, "processedBytes": 2500000, "thrownAway": 3, "unparseable": 1, "processedWithError": 0}},
    "errorMsg": None, "firstBadRow": "data.json:17: not JSON", "segmentsPublished": 4}}}


AWAY = "127.0.0.2:8083"  # nobody is there
DEFAULT_RULES = [{"type": "loadForever", "tieredReplicants": {"hot": 1}, "useDefaultTierForNull": True}]
RULES = [{"type": "loadByPeriod", "period": "P7D", "includeFuture": True, "tieredReplicants": {"cold": 1, "hot": 2}}, {"type": "loadByInterval", "interval": "2024-05-01/P1D", "namespace": "delivery",
         "tieredReplicants": {"cold": 1}}, {"type": "dropForever", "namespace": ""}]
HISTORY = [{"key": "ads", "type": "rules", "auditInfo": {"author": author, "identity": None, "comment": comment, "ip": ""}, "request": None, "payload": json.dumps(rules), "auditTime": at}
           for author, comment, rules, at in (("kim", "a week on hot", RULES, "2024-06-02T00:00:00.000Z"), ("", "", [], "2024-06-01T00:00:00.000Z"))]
NAMESPACES = [{"datasource": ds, "namespace": ns, "segments": 3, "rows": 37, "bytes": 6499000, "minTime": "2024-05-01T00:00:00.000Z", "maxTime": "2024-05-03T00:00:00.000Z", "metrics": metrics}
              for ds, ns, metrics in (("ads", "conversions", ["conversions"]), ("ads", "delivery", ["clicks", "spend"]), ("clicks", "", []))]


def version(day, ns, name, state, sums, **more):
    start, end = f"2024-05-0{day}T00:00:00.000Z", f"2024-05-0{day + 1}T00:00:00.000Z"
    return {"namespace": ns, "interval": f"{start}/{end}", "version": f"2024-06-0{name}T00:00:00.000Z", "visible": state == "SHOWN", "state": state, "created": f"2024-06-0{name}T00:00:01.000Z",
            "published": f"2024-06-0{name}T00:00:02.000Z", "lastPublished": f"2024-06-0{name}T00:00:02.000Z", "segments": 2, "rows": 1234567, "bytes": 6500000, "sums": sums, "segmentsWithSums": 2,
            "deletedSegments": 0, "deletedRows": 0, "complete": True, "publishes": 1, "publish": name, "task": "index_b", **more}


VERSIONS = [version(1, "delivery", 2, "SHOWN", {"clicks": 9007199254740993, "spend": "1234567.250001"}), version(1, "delivery", 1, "UNUSED", {"clicks": 7, "spend": "3", "ratio": 0.5}),
            version(1, "conversions", 1, "WAITING", {}), version(2, "delivery", 1, "DELETED", {}, segments=0, rows=0, bytes=0, published=None, created=None)]
REVERT = {"publish": 17, "datasource": "ads", "namespace": "delivery", "segments": 4, "segmentsBefore": 3, "dryRun": False, "intervals": [
    {"interval": "2024-05-01T00:00:00.000Z/2024-05-02T00:00:00.000Z", "from": "2024-06-02T00:00:00.000Z", "to": "2024-06-01T00:00:00.000Z", "rows": 10, "rowsBefore": 7, "segments": 3, "segmentsBefore": 3},
    {"interval": "2024-05-02T00:00:00.000Z/2024-05-03T00:00:00.000Z", "from": None, "to": "2024-06-01T00:00:00.000Z", "rows": 5, "rowsBefore": 0, "segments": 1, "segmentsBefore": 0}]}


def revert_state(state, served, reason=""):
    return {"publish": 17, "datasource": "ads", "namespace": "delivery", "state": state, "segments": 4 if state == "WAITING" else 0, "served": served, "created": "2024-06-03T00:00:00.000Z",
            "ended": None if state == "WAITING" else "2024-06-03T00:00:09.000Z", "reason": reason}


def drain_state(name, state, segments, drain=None):
    on = state.startswith("DRAIN") if drain is None else drain
    return {"server": name, "drain": on, "state": state, "segments": segments, "bytes": segments * 1000000, "onlyCopies": segments // 2, "since": "2024-06-01T00:00:00.000Z" if on else None,
            "author": "kim" if on else ""}


def lookup(version, **entries):
    return {"version": version, "lookupExtractorFactory": {"type": "map", "map": entries}}


COUNTRY, OS, ODD = lookup("2024-06-01", DE="Germany", US="United States", XX=""), lookup("v1", a="b"), lookup("1")


def answers(port):
    """What the servers of a small cluster say, all of them at one port."""
    here = {"host": "127.0.0.1", "plaintextPort": port}
    away = {"host": "127.0.0.2", "plaintextPort": 8083, "service": "henge/historical"}
    full = {"id": "ads@delivery", "state": "UNHEALTHY_SUPERVISOR", "detailedState": "LOST_CONTACT_WITH_STREAM", "healthy": False, "suspended": False, "spec": SPEC}
    waiting = task("index_w", "RUNNING", "2024-06-02T12:00:00.000Z", -1, runner="WAITING")
    done = task("index_b", "SUCCESS", "2024-06-02T00:00:00.000Z", 61500)
    failed = task("index_c", "FAILED", "2024-06-01T00:00:00.000Z", 240, "$.spec.ioConfig: no file matches /data/*.json")
    return {
        f"GET {C}/cluster": (200, {"coordinator": [here], "broker": [here], "historical": [here, away], "ingest": [here]}),
        f"GET {C}/servers?simple": (200, [
            {"host": f"127.0.0.1:{port}", "tier": "hot", "type": "historical", "priority": 0, "currSize": 123456789012, "maxSize": 200000000000},
            {"host": AWAY, "tier": "cold", "type": "historical", "priority": 0, "currSize": 999, "maxSize": 1099511627776}]),
        f"GET {C}/tiers?simple": (200, {"hot": {"currSize": 123456789012, "maxSize": 200000000000}, "cold": {"currSize": 999, "maxSize": 1099511627776}}),
        f"GET {C}/tiers": (200, ["cold", "hot"]),
        f"GET {C}/drains": (200, [{"server": "h2", "host": AWAY, "since": "2024-06-01T00:00:00.000Z", "author": "kim"}]),
        f"GET {C}/servers/h2/drain": (200, drain_state("h2", "DRAINING", 12)), f"GET {C}/servers/h1/drain": (200, drain_state("h1", "IN_SERVICE", 345)),
        f"GET {C}/servers/127.0.0.1%3A{port}/drain": (200, drain_state("h1", "IN_SERVICE", 345)), f"POST {C}/servers/127.0.0.1%3A{port}/drain": (200, drain_state("h1", "DRAINING", 345)),
        f"GET {C}/servers/h3/drain": (200, drain_state("h3", "DRAINED", 0)), f"GET {C}/servers/h4/drain": (200, drain_state("h4", "AWAY", 0, drain=True)),
        f"POST {C}/servers/h1/drain": (200, drain_state("h1", "DRAINING", 345)), f"POST {C}/servers/h2/drain": (200, drain_state("h2", "IN_SERVICE", 12)),
        f"GET {C}/servers/nix/drain": (404, {"error": 'there is no server "nix"; historicals that are up: h1, h2'}),
        f"GET {C}/rules": (200, {"_default": DEFAULT_RULES, "ads": RULES}), f"GET {C}/rules/_default": (200, DEFAULT_RULES), f"GET {C}/rules/ads": (200, RULES),
        f"GET {C}/rules/clicks": (200, []), f"POST {C}/rules/ads": (200, ""), f"POST {C}/rules/clicks": (200, ""), f"POST {C}/rules/_default": (200, ""),
        f"GET {C}/rules/ads/history?count=25": (200, HISTORY), f"GET {C}/rules/history?count=25": (200, HISTORY), f"GET {C}/rules/clicks/history?count=1": (200, []),
        f"GET {C}/namespaces": (200, NAMESPACES), f"GET {C}/namespaces?datasource=ads": (200, NAMESPACES[:2]), f"GET {C}/namespaces?datasource=nothing": (200, []),
        f"GET {C}/datasources/ads/versions": (200, VERSIONS), f"GET {C}/datasources/ads/versions?namespace=delivery&interval=2024-05-01%2FP1D": (200, VERSIONS[:2]),
        f"GET {C}/datasources/nix/versions": (404, {"error": 'there is no datasource "nix": nothing was ever published to it'}),
        f"POST {C}/datasources/ads/revert": (200, {**REVERT, "publish": None, "dryRun": True}), f"GET {C}/datasources/ads/revert/17": (200, revert_state("WAITING", 3)),
        f"GET {C}/datasources/ads/revert/16": (200, {**revert_state("VISIBLE", 0), "publish": 16}),
        f"GET {C}/datasources/ads/revert/15": (200, {**revert_state("GIVEN_UP", 0, "segment x, which was to come back, was marked unused or deleted"), "publish": 15}),
        f"DELETE {C}/datasources/ads/revert/17": (200, revert_state("GIVEN_UP", 0, "cancelled by an operator")),
        f"POST {C}/cleanup": (200, {"segments": 12, "bytes": 123456789, "datasources": {"ads": {"segments": 12, "bytes": 123456789}}, "examples": [f"ads_{i}" for i in range(10)], "olderThan": "P30D",
                                    "keepVersions": 2, "more": False, "dryRun": True}),
        f"GET {L}/config?discover=true": (200, ["__default"]), f"GET {L}/config/all": (200, {"__default": {"country": COUNTRY, "os": OS}, "other": {"odd": ODD}}),
        f"GET {L}/status?detailed=true": (200, {"__default": {"country": {"loaded": True}, "os": {"loaded": False, "pendingNodes": [AWAY]}}, "other": {"odd": {"loaded": False, "pendingNodes": [AWAY]}}}),
        f"GET {L}/nodeStatus/__default": (200, {f"127.0.0.1:{port}": {"current": {"country": COUNTRY, "os": OS}, "toLoad": {}, "toDrop": []},
                                                AWAY: {"current": {"country": lookup("2024-05-01"), "gone": OS}, "toLoad": {"country": COUNTRY, "os": OS}, "toDrop": ["gone"]}}),
        f"GET {L}/status/__default/country?detailed=true": (200, {"loaded": True}),
        **{f"POST {L}/config/{name}": (202, "") for name in ("__default/country", "__default/new", "other/new")}, f"DELETE {L}/config/__default/os": (202, ""),
        f"GET {C}/datasources": (200, ["ads", "clicks"]),
        f"GET {C}/datasources?simple": (200, [{"name": n, "properties": {"segments": {
            "count": k, "size": size, "minTime": "2024-05-01T00:00:00.000Z", "maxTime": "2024-05-03T00:00:00.000Z"}}} for n, k, size in (("ads", 3, 6500000), ("clicks", 12, 400))]),
        f"GET {C}/loadstatus?full": (200, {"hot": {"ads": 0, "clicks": 0}, "cold": {"ads": 2, "clicks": 1}, "icy": {"ads": 4}}),
        f"GET {C}/loadstatus": (200, {"ads": 100.0, "clicks": 33.333333333333336}),
        f"GET {C}/metadata/segments": (200, [segment(2, "delivery", 0, 20, 3000000), segment(1, "delivery", 10, 7, 500000), segment(1, "conversions", 0, 5, 1000), segment(1, "delivery", 2, 10, 2999000)]),
        f"GET {C}/metadata/segments?datasources=nothing": (200, []),
        "GET /status/health": (200, True), "GET /status/ready": (200, {"ready": True}),
        "GET /status": (200, {"version": "0.1.0", "modules": [], "memory": {"usedMemory": 52428800}}),
        f"GET {I}/supervisor": (200, ["clicks", "ads@delivery"]),
        f"GET {I}/supervisor?full": (200, [{"id": "clicks", "state": "SUSPENDED", "detailedState": "SUSPENDED", "healthy": True, "suspended": True, "spec": {
            "type": "kafka", "dataSchema": {"dataSource": "clicks"}, "ioConfig": {"topic": "clicks"}}}, full]),
        f"GET {I}/supervisor/ads%40delivery": (200, SPEC),
        f"GET {I}/supervisor/ads%40delivery/status": (200, STATUS),
        f"GET {I}/supervisor/clicks/status": (200, {"id": "clicks", "generationTime": "2024-06-01T00:00:00.000Z", "payload": {
            "dataSource": "clicks", "stream": "clicks", "partitions": 0, "activeTasks": [], "publishingTasks": [], "suspended": True, "healthy": True, "state": "SUSPENDED",
            "detailedState": "SUSPENDED", "recentErrors": []}}),
        f"GET {I}/supervisor/nix": (404, "Cannot find any supervisor with id: [nix]"), f"GET {I}/supervisor/nix/status": (404, "Cannot find any supervisor with id: [nix]"),
        f"POST {I}/supervisor": (200, {"id": "ads@delivery"}),
        **{f"POST {I}/supervisor/ads%40delivery/{verb}": (200, {"id": "ads@delivery"}) for verb in ("suspend", "resume", "reset", "resetOffsets", "terminate")},
        f"POST {I}/supervisor/nix/suspend": (404, "Cannot find any supervisor with id: [nix]"),
        f"GET {I}/tasks": (200, [failed, RUNNING, waiting, done]),
        f"GET {I}/task/index_a/status": (200, {"task": "index_a", "status": RUNNING}), f"GET {I}/task/index_b/status": (200, {"task": "index_b", "status": done}),
        f"GET {I}/task/index_c/status": (200, {"task": "index_c", "status": failed}),
        f"GET {I}/task/index_b/reports": (200, REPORT), f"GET {I}/task/nix/status": (404, "Cannot find any task with id: [nix]"),
        f"POST {I}/task": (200, {"task": "index_b"}), f"POST {I}/task/index_a/shutdown": (200, {"task": "index_a"}),
    }


def fake(env, **more):
    server = FakeServer(env, {})
    server.answers.update(answers(server.port))
    server.answers.update(more)
    return server


def fixed(server, text):
    """The port is not the same in each run; a name of five characters, as ports have here, keeps the columns."""
    return text.replace(str(server.port), "PORT5")


# ---- words ----

def test_help_and_manual(env):
    golden("help.txt", ctl(env, "--help")[0])
    check_equal(ctl(env, "help")[0], ctl(env, "--help")[0], "henge ctl help")
    check(ctl(env, want=WRONG)[1].startswith("usage: henge ctl COMMAND"), "henge ctl without a command")
    golden("help-supervisor.txt", ctl(env, "supervisor", "--help")[0])
    golden("help-supervisor-reset.txt", ctl(env, "supervisor", "reset", "--help")[0])
    manual = ctl(env, "help", "--markdown")[0]
    for name in commands(env):
        text = ctl(env, *name.split(), "--help")[0]
        check(text.startswith(f"usage: henge ctl {name}") and "Example: henge ctl " in text and "Exit status: " in text, f"henge ctl {name} --help: {text}")
        check(max(map(len, text.splitlines()[1:])) <= 100, f"henge ctl {name} --help has long lines: {text}")
        check(f"\n### {name}\n" in manual, f"{name} is not in the manual")
    page = os.path.join(harness.ROOT, "docs", "ctl.md")
    if os.environ.get("UPDATE_GOLDEN"):
        with open(page, "w", encoding="utf-8") as f:
            f.write(manual)
    with open(page, encoding="utf-8") as f:
        check(f.read() == manual, "docs/ctl.md is not what henge ctl help --markdown prints; write it anew")


def test_wrong_words(env):
    """Exit status 2, a message that helps, and no server is asked."""
    nothing = FakeServer(env, {})
    broken = write(env, "broken.json", '{"type" "kafka"}')
    cases = [
        (["supervsor", "reset", "x"], 'there is no command "supervsor"; did you mean supervisor reset?'),
        (["supervisor", "lst"], 'there is no command "supervisor lst"; did you mean supervisor list?'),
        (["supervisor", "zebra"], 'there is no command "supervisor zebra"; there are list, get, status, submit,'),
        (["tasks"], "tasks: which command? There are list, submit, status, report, stop"),
        (["segmnt"], "did you mean segment?"), (["list"], "did you mean lookups list?"), (["statsu"], "did you mean status?"),
        (["zebra"], 'there is no command "zebra"\n'),
        (["tasks", "list", "--sate", "x"], "there is no option --sate; did you mean --state?"), (["lag", "--timout=3s"], "did you mean --timeout?"),
        (["lag", "--frobnicate"], "there is no option --frobnicate\n"),
        (["lag", "--format"], "--format wants a value: table|json"), (["lag", "--format", "xml"], '--format is table or json, not "xml"'),
        (["lag", "--format=json", "--format=json"], "--format is given twice"), (["supervisor", "reset", "x", "--yes=1"], "--yes takes no value"),
        (["tasks", "list", "--wait"], "tasks list: it takes no --wait"), (["tasks", "list", "--state", "over"], "--state is waiting, running or complete"),
        (["supervisor", "get"], "supervisor get: it wants ID"), (["supervisor", "get", "a", "b"], 'it takes ID and no more, not also "b"'),
        (["status", "now"], 'it takes no argument, not "now"'),
        (["segments", "ads", "--interval", "yesterday"], "--interval: "),
        (["lag", "--timeout", "soon"], "not a duration"), (["lag", "--url", "https://x:1"], 'want http://HOST:PORT'),
        (["query", "nowhere.json"], "there is no file nowhere.json"), (["query", broken], f"{broken} is not JSON: "), (["query", "-"], "standard input is empty"),
        (["supervisor", "submit", broken], f"{broken} is not JSON: "), (["tasks", "submit", "nowhere.json"], "there is no file nowhere.json"),
        (["supervisor", "reset", "a", "--offsets", "0:5"], "--offsets wants PARTITION=OFFSET"), (["supervisor", "reset", "a", "--offsets", "0=1,0=2"], "names partition 0 twice"),
        (["rules", "check", broken], f"{broken} is not JSON: "), (["rules", "check", write(env, "r1.json", [{"type": "loadByPeriod", "period": "P7X"}])], "r1.json: $[0].period: period \"P7X\" is not"),
        (["rules", "set", "ads", write(env, "r2.json", {"type": "loadForever"})], "r2.json: $: "), (["rules", "check", write(env, "r3.json", [{"type": "loadAlways"}])], "$[0].type: there is no rule type"),
        (["rules", "set", "_default", write(env, "r4.json", [])], "the default rules cannot be empty"), (["rules", "set", "ads"], "it wants DATASOURCE FILE"),
        (["rules", "history", "--limit", "0"], "--limit wants a number of 1 or more"), (["rules"], "rules: which command? There are show, check, set, history"),
        (["lookups"], "lookups: which command? There are list, show, status, set, delete"), (["lookups", "set", "x"], "it wants NAME FILE"), (["lookups", "lst"], "did you mean lookups list?"),
        (["lookups", "set", "x", broken], f"{broken} is not JSON: "), (["lookups", "set", "x", write(env, "l1.json", lookup("1", a=["b"]))], "l1.json: $.lookupExtractorFactory.map.a: "),
        (["lookups", "set", "x", write(env, "l2.json", {"version": "1", "lookupExtractorFactory": {"type": "cachedNamespace"}})], "l2.json: $.lookupExtractorFactory.type: "),
        (["lookups", "set", "x", write(env, "l3.json", ["a"])], "l3.json: $: "), (["lookups", "set", "x", "l1.json", "--tier", "other", "--wait"], "nothing to --wait for"),
        (["versions"], "it wants DATASOURCE"), (["versions", "ads", "--interval", "May"], "--interval: "), (["revert", "ads"], "it wants --intervals"), (["revert", "ads", "--intervals", ","], "--intervals: "),
        (["revert", "ads", "--intervals", "2024-05-01/P1D", "--version", "v", "--before", "2024-06-01"], "exclude each other"),
        (["revert", "ads", "--intervals", "2024-05-01/P1D", "--before", "noon"], "--before: "), (["revert", "ads", "--cancel"], "--cancel wants --publish ID"),
        (["revert", "ads", "--publish", "1", "--version", "v"], "--version is for a new one"), (["drain", "h1", "--undo", "--wait"], "nothing to --wait for"), (["drian", "h1"], "did you mean drain?"),
        (["cleanup", "--older-than", "long"], "--older-than: "), (["cleanup", "--keep", "-1"], "--keep wants a number of 0 or more"), (["token"], "it wants NAME"),
        (["token", "a b"], "a name has 1 to 63"), (["token", "ann", "--role", "root"], "--role is read or admin"),
        (["completion", "zsh"], '"zsh" cannot be completed'), (["lag", "--kafka", "k:1"], "not a setting of henge ctl"),
    ]
    for words, message in cases:
        out, err = ctl(env, *words, want=WRONG, environment={} if "--url" in words else {"HENGE_CTL_URL": nothing.url})
        check(message in err, f"henge ctl {' '.join(words)}: {message!r} is not in {err!r}")
        check(err.startswith("henge ctl") and out == "", f"henge ctl {' '.join(words)}: {out!r}, {err!r}")
    check_equal(nothing.requests, [], "requests of commands that are wrong")
    _, err = ctl(env, "lag", want=WRONG, environment={"HENGE_CTL_URI": nothing.url})
    check("did you mean HENGE_CTL_URL?" in err, err)
    check("ctl.url = " in ctl(env, "--check-config")[0], "henge ctl --check-config")


def test_bash_completion(env):
    """The script, run by bash: what it offers at each place."""
    server = fake(env)
    script = ctl(env, "completion", "bash")[0]
    write(env, "completion.bash", script)

    def offered(line):
        run = (f". {env.path('completion.bash')}; COMP_WORDBREAKS=$' \\t\\n\"\\'><=;|&(:@'; COMP_LINE={shlex.quote(line)}; COMP_POINT=${{#COMP_LINE}}; _henge; "
               "printf '%s\\n' \"${COMPREPLY[@]}\"")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
        r = env.run(["bash", "--norc", "-c", run], env={**inherited, "HENGE_CTL_URL": server.url}, cwd=env.dir)
        check_equal(r.stderr, "", f"stderr of completing {line!r}")
        return r.stdout.split()

    henge = env.program("henge")
    tops = {n.split()[0] for n in commands(env)}
    check_equal(offered(f"{henge} ct"), ["ctl"], "roles")
    check_equal(set(offered(f"{henge} ctl ")), tops, "commands")
    check_equal(offered(f"{henge} ctl sup"), ["supervisor"], "a command begun")
    check_equal(offered(f"{henge} ctl supervisor re"), ["resume", "reset"], "a group's commands")
    check_equal(offered(f"{henge} ctl supervisor reset "), ["ads@delivery", "clicks"], "supervisors")
    check_equal(offered(f"{henge} ctl --format json supervisor status cl"), ["clicks"], "after an option")
    check_equal(offered(f"{henge} ctl supervisor status ads@de"), ["delivery"], "behind a character at which bash breaks words")
    check_equal(offered(f"{henge} ctl lag --format=j"), ["json"], "a value behind =")
    check_equal(offered(f"{henge} ctl supervisor status clicks "), [], "behind the last argument")
    check_equal(offered(f"{henge} ctl tasks stop index_w"), ["index_w"], "tasks")
    check_equal(offered(f"{henge} ctl segments "), ["ads", "clicks"], "datasources")
    check_equal(offered(f"{henge} ctl supervisor reset ads --d"), ["--dry-run"], "options")
    check_equal(offered(f"{henge} ctl lag --format "), ["table", "json"], "values of an option")
    check_equal(offered(f"{henge} ctl tasks list --datasource c"), ["clicks"], "an option's datasources")
    check_equal(offered(f"{henge} ctl query comp"), ["completion.bash"], "files")
    check(AWAY in offered(f"{henge} ctl drain "), "servers")
    check_equal(offered(f"{henge} ctl rules "), ["show", "check", "set", "history"], "rules")
    check_equal(offered(f"{henge} ctl rules set "), ["ads", "clicks"], "datasources of rules set")
    check_equal(offered(f"{henge} ctl rules set ads comp"), ["completion.bash"], "the file of rules set")
    check_equal(offered(f"{henge} ctl rules set ads completion.bash "), [], "behind the file of rules set")
    check_equal(offered(f"{henge} ctl lookups "), ["list", "show", "status", "set", "delete"], "lookups")
    check_equal(offered(f"{henge} ctl lookups show "), ["country", "os", "odd"], "names of lookups")
    check_equal(offered(f"{henge} ctl lookups set country comp"), ["completion.bash"], "the file of lookups set")
    check_equal(offered(f"{henge} ctl revert "), ["ads", "clicks"], "datasources of revert")
    check_equal(offered(f"{henge} ctl revert ads --int"), ["--intervals"], "options of revert")
    check_equal(offered(f"{henge} ctl token ann --role "), ["read", "admin"], "roles of token")
    check_equal(offered(f"{henge} broker "), [], "other roles")
    server.close()
    check_equal(offered(f"{henge} ctl segments "), [], "names that nobody can tell")


# ---- outputs that are always the same ----

OUTPUTS = [
    ("servers",), ("tiers",), ("datasources",), ("datasources", "--full"), ("segments",), ("segments", "ads", "--interval", "2024-05-01/P1D"), ("segments", "ads", "--full"),
    ("segments", "ads", "--interval", "2020-01-01/P1D"), ("supervisor", "list"), ("supervisor", "get", "ads@delivery"), ("supervisor", "status", "ads@delivery"), ("lag", "ads@delivery"), ("lag",),
    ("tasks", "list"), ("tasks", "list", "--state", "complete", "--datasource", "ads"), ("tasks", "list", "--state", "running"), ("tasks", "list", "--datasource", "none"),
    ("tasks", "status", "index_a"), ("tasks", "status", "index_b"), ("tasks", "report", "index_b"),
    ("supervisor", "suspend", "ads@delivery"), ("supervisor", "resume", "ads@delivery"), ("supervisor", "submit", "spec.json"), ("supervisor", "terminate", "ads@delivery", "--yes"),
    ("supervisor", "terminate", "ads@delivery", "--dry-run"), ("supervisor", "reset", "ads@delivery", "--yes"), ("supervisor", "reset", "ads@delivery", "--dry-run"),
    ("supervisor", "reset", "ads@delivery", "--offsets", "0=5,10=0", "--yes"), ("supervisor", "reset", "ads@delivery", "--offsets=1=7", "--dry-run"),
    ("rules", "show"), ("rules", "show", "ads"), ("rules", "show", "clicks"), ("rules", "check", "rules.json"), ("rules", "check", "rules.json", "--datasource", "ads"),
    ("rules", "check", "none.json", "--datasource", "clicks"), ("rules", "set", "ads", "rules.json", "--dry-run"), ("rules", "set", "ads", "rules.json", "--yes", "--comment", "more\ncold"),
    ("rules", "set", "clicks", "none.json", "--yes"), ("rules", "set", "_default", "rules.json", "--dry-run"), ("rules", "history"), ("rules", "history", "ads"),
    ("rules", "history", "clicks", "--limit", "1"),
    ("namespaces",), ("namespaces", "ads"), ("versions", "ads"), ("versions", "ads", "--namespace", "delivery", "--interval", "2024-05-01/P1D"),
    ("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-01/P1D,2024-05-02/2024-05-03", "--dry-run"), ("revert", "ads", "--publish", "17"), ("revert", "ads", "--publish", "16"),
    ("revert", "ads", "--publish", "16", "--wait"), ("revert", "ads", "--publish", "17", "--cancel", "--dry-run"), ("revert", "ads", "--publish", "17", "--cancel", "--yes"),
    ("drain", "h2"), ("drain", "h3"), ("drain", "h3", "--wait"), ("drain", "h4"), ("drain", "h1", "--dry-run"), ("drain", "h1", "--yes"), ("drain", "h1", "--undo"), ("drain", "h2", "--undo"),
    ("lookups", "list"), ("lookups", "list", "--tier", "other"), ("lookups", "show", "country"), ("lookups", "show", "country", "--limit", "1"), ("lookups", "show", "odd", "--tier", "other"),
    ("lookups", "set", "country", "country.json", "--dry-run"), ("lookups", "set", "country", "country.json", "--yes", "--wait"), ("lookups", "set", "new", "country.json", "--yes"),
    ("lookups", "set", "new", "country.json", "--tier", "other", "--yes"), ("lookups", "delete", "os", "--dry-run"), ("lookups", "delete", "os", "--yes"),
    ("cleanup", "--dry-run"), ("cleanup", "ads", "--older-than", "P7D", "--keep", "0", "--dry-run"),
    ("tasks", "submit", "spec.json"), ("tasks", "submit", "spec.json", "--wait"), ("tasks", "stop", "index_a", "--yes"), ("tasks", "stop", "index_a", "--dry-run"),
]


def test_outputs(env):
    server = fake(env)
    write(env, "spec.json", SPEC)
    write(env, "rules.json", [{"type": "loadByInterval", "interval": "2024-05-02/P1D", "tieredReplicants": {"icy": 1, "cold": 2}}, {"type": "dropForever"}, {"type": "loadForever"}])
    write(env, "none.json", [])
    write(env, "country.json", lookup("2024-06-02", DE="Deutschland", US="United States", FR="France"))
    text = {"table": "", "json": ""}
    for words in OUTPUTS:
        for f in text:
            out, err = ctl(env, *words, "--format", f, environment={"HENGE_CTL_URL": server.url})
            text[f] += f"$ henge ctl {' '.join(words)}\n{out}" + "".join(f"(stderr) {line}\n" for line in err.splitlines()) + "\n"
            if f == "json":
                json.loads(out)
    golden("outputs.txt", fixed(server, text["table"]))
    golden("outputs.json.txt", fixed(server, text["json"]))
    check_equal(json.loads(server.asked(f"POST {I}/supervisor/ads%40delivery/resetOffsets")[0]),
                {"type": "kafka", "partitions": {"type": "end", "stream": "ads-events", "partitionOffsetMap": {"0": 5, "10": 0}}}, "what reset --offsets sends")
    for verb, times in (("resetOffsets", 2), ("reset", 2), ("terminate", 2), ("suspend", 2), ("resume", 2)):
        check_equal(len(server.asked(f"POST {I}/supervisor/ads%40delivery/{verb}")), times, f"requests to {verb}, once a format; none by --dry-run")
    check_equal(len(server.asked(f"POST {I}/task/index_a/shutdown")), 2, "requests to stop a task")
    check_equal(len(server.asked(f"POST {C}/rules/ads")), 2, "rules set, once a format; none by --dry-run")
    check_equal(server.asked(f"POST {C}/servers/h1/drain"), ['{"drain":true}'] * 2, "what drain sends")
    check_equal(server.asked(f"POST {C}/servers/h2/drain"), ['{"drain":false}'] * 2, "what drain --undo sends")
    check_equal(len(server.asked(f"DELETE {C}/datasources/ads/revert/17")), 2, "reverts cancelled")
    check_equal({json.loads(b)["dryRun"] for b in server.asked(f"POST {C}/datasources/ads/revert") + server.asked(f"POST {C}/cleanup")}, {True}, "a dry run only asks for dry runs")
    check_equal(json.loads(server.asked(f"POST {C}/datasources/ads/revert")[0])["intervals"], ["2024-05-01T00:00:00.000Z/2024-05-02T00:00:00.000Z", "2024-05-02T00:00:00.000Z/2024-05-03T00:00:00.000Z"],
                "intervals to revert")
    check_equal(server.asked(f"POST {I}/supervisor"), [json.dumps(SPEC)] * 2, "the spec goes as it stands")
    check_equal([json.loads(b)["version"] for b in server.asked(f"POST {L}/config/__default/country")], ["2024-06-02"] * 2, "lookups set, once a format; none by --dry-run")
    check_equal(len(server.asked(f"DELETE {L}/config/__default/os")), 2, "lookups deleted")
    out, _ = ctl(env, "lookups", "set", "new", "-", "--yes", "--url", server.url, stdin='{"a": "b", "c": null}')
    sent = json.loads(server.asked(f"POST {L}/config/__default/new")[-1])
    check(re.fullmatch(r"20\d\d-\d\d-\d\dT.*Z", sent["version"]) and sent["lookupExtractorFactory"] == {"type": "map", "map": {"a": "b", "c": None}}, f"a map alone is sent as a lookup of now: {sent}, {out}")
    for f in ("table", "json"):
        out, err = ctl(env, "lookups", "status", "--format", f, "--url", server.url, want=CANNOT)
        golden(f"lookups-status.{f}", fixed(server, out))
        check_equal(err, "", "stderr of lookups status")
    server.answers[f"GET {L}/nodeStatus/__default"] = (200, {AWAY: {"current": {"country": COUNTRY}, "toLoad": {"os": OS}, "toDrop": []}})
    check_equal(json.loads(ctl(env, "lookups", "status", "country", "--format=json", "--url", server.url)[0])[0]["state"], "loaded", "one lookup, which is everywhere")
    server.answers[f"GET {L}/config/all"] = (404, "")
    for words in (("lookups", "list"), ("lookups", "status")):
        check_equal(ctl(env, *words, "--url", server.url)[0], "no lookups; henge ctl lookups set NAME FILE registers one\n", "without lookups")
        check_equal(ctl(env, *words, "--format=json", "--url", server.url)[0].strip(), "[]", "without lookups")
    out, _ = ctl(env, "tasks", "status", "index_c", "--url", server.url, want=CANNOT)
    check("no file matches" in out and "FAILED" in out, f"a task that failed: {out}")


def test_status(env):
    """Every server is asked; one that is away makes the exit status 1, and so does one that is not ready."""
    server = fake(env)
    for f in ("table", "json"):
        out, err = ctl(env, "status", "--format", f, "--url", server.url, want=CANNOT)
        golden(f"status.{f}", fixed(server, out))
        check_equal(err, "", "stderr of status")
    server.answers[f"GET {C}/cluster"] = (200, {"coordinator": [{"host": "127.0.0.1", "plaintextPort": server.port}]})
    check_equal(json.loads(ctl(env, "status", "--format", "json", "--url", server.url)[0])[0]["ready"], True, "ready")
    server.answers["GET /status/ready"] = (503, {"ready": False, "reason": "the state of the cluster is not known yet"})
    out, _ = ctl(env, "status", "--url", server.url, want=CANNOT)
    check("the state of the cluster is not known yet" in out and AWAY not in out, out)
    del server.answers[f"GET {C}/cluster"]
    out, err = ctl(env, "status", "--broker", server.url, "--coordinator", f"http://127.0.0.1:{env.ports.take()}", want=CANNOT)
    check("the coordinator was not reached" in err and "--coordinator URL" in err, err)
    check("broker" in out and "Connection refused" in out and "0.1.0" in out, f"without a coordinator the servers of the settings are asked: {out}")


def test_query_shapes(env):
    """Every shape of answer as a table, and as it came."""
    cases = {
        "timeseries": '[{"timestamp":"2024-05-01T00:00:00.000Z","result":{"n":10,"spend":12345678901.123457,"ratio":1.0E-5}},{"timestamp":"2024-05-02T00:00:00.000Z","result":{"n":9,"spend":-0.5,"ratio":null}}]',
        "topN": '[{"timestamp":"2024-05-01T00:00:00.000Z","result":[{"country":"DE","n":1},{"country":null,"n":20},{"country":"","n":3}]}]',
        "groupBy": '[{"version":"v1","timestamp":"2024-05-01T00:00:00.000Z","event":{"country":"S\u00e3o Tom\u00e9","n":1}},{"version":"v1","timestamp":"2024-05-01T00:00:00.000Z","event":{"country":"\\u001b[2J\\n\\"x\\\\","n":22,"late":1.5}}]',
        "scan": '[{"segmentId":"s","columns":["__time","x"],"events":[{"__time":1,"x":"a"},{"__time":22,"x":["a","b"]}]}]',
        "compacted": '[{"segmentId":"s","columns":["__time","x"],"events":[[1,"a"],[22,null]]}]',
        "arrays": '[["2024-05-01T00:00:00.000Z","DE",1.50],["2024-05-01T00:00:00.000Z","FR",22]]',
        "timeBoundary": '[{"timestamp":"2024-05-01T00:00:00.000Z","result":{"minTime":"2024-05-01T00:00:00.000Z","maxTime":"2024-06-01T00:00:00.000Z"}}]',
        "metadata": '[{"id":"merged","intervals":null,"columns":{"x":{"type":"LONG"}},"size":0,"hot":true}]',
        "empty": "[]", "object": '{"a":{"b":[1,2.50]}}',
    }
    server = fake(env)
    text = ""
    for name, body in cases.items():
        server.answers["POST /druid/v2"] = (200, body)
        query = json.dumps({"queryType": name})
        out, err = ctl(env, "query", "-", "--url", server.url, stdin=query)
        text += f"{name}\n{out}\n"
        check_equal(err, "", "stderr of a query")
        check_equal(server.asked("POST /druid/v2")[-1], query, "the query goes as it stands")
        check_equal(ctl(env, "query", write(env, "q.json", query), "--format=json", "--url", server.url)[0], body + "\n", f"{name} as JSON")
    golden("query.txt", text)
    server.answers["POST /druid/v2"] = (200, cases["topN"], {"X-Druid-Response-Context": '{"partial":true,"missingSegmentsCount":3,"missingSegments":["ads_1","ads_2"]}'})
    out, err = ctl(env, "query", "-", "--url", server.url, stdin="{}")
    check_equal(err, "henge ctl query: the answer is PARTIAL: 3 segments are missing: ads_1, ads_2 and more\n", "a partial answer")
    server.answers["POST /druid/v2"] = (200, cases["topN"], {"X-Druid-Response-Context": json.dumps({"profile": {
        "segments": {"considered": 3, "read": 2}, "filters": [{"column": "a\x1b[2J", "by": "ids", "scans": 2}], "projections": [], "requests": 1, "micros": {"total": 12},
        "servers": [{"server": "hot0", "rows": {"scanned": 7, "matched": 3}}]}})})
    out, err = ctl(env, "query", "-", "--profile", "--url", server.url, stdin='{"queryType": "topN"}')
    check_equal(json.loads(server.asked("POST /druid/v2")[-1]), {"queryType": "topN", "context": {"profile": True}}, "the query asks for it")
    check_equal([line.split(None, 1) for line in err.splitlines()], [["segments", "considered 3, read 2"], ["filters", "column a?[2J, by ids, scans 2"], ["micros", "total 12"],
                                                                     ["servers", "server hot0, rows.scanned 7, rows.matched 3"], ["besides", "requests 1"]], "what was done")


# ---- what goes wrong ----

def test_asking_first(env):
    """What destroys does nothing without --yes where there is no terminal, and asks where there is one."""
    server = fake(env)
    url = {"HENGE_CTL_URL": server.url}
    rules = write(env, "rules.json", [])
    country = write(env, "country.json", lookup("3"))
    for words in (("supervisor", "reset", "ads@delivery"), ("supervisor", "terminate", "ads@delivery"), ("tasks", "stop", "index_a"), ("rules", "set", "ads", rules),
                  ("lookups", "set", "country", country), ("lookups", "delete", "os"), ("drain", "h1"), ("cleanup",),
                  ("revert", "ads", "--intervals", "2024-05-01/P1D"), ("revert", "ads", "--publish", "17", "--cancel")):
        out, err = ctl(env, *words, want=WRONG, environment=url)
        check("this would " in err and "--yes does it, --dry-run only says it" in err, f"{words}: {out!r} {err!r}")
    check(not any(not r.startswith("GET") and '"dryRun":true' not in body.replace(" ", "") for r, body in server.requests), f"nothing is done unasked: {server.requests}")
    for reply, want in (("n\n", CANNOT), ("\n", CANNOT), ("yes\n", CAN)):
        master, slave = pty.openpty()
        os.write(master, reply.encode())
        r = subprocess.run([env.program("henge"), "ctl", "supervisor", "terminate", "ads@delivery", "--url", server.url], stdin=slave, capture_output=True, text=True, timeout=30,
                           env={k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}, check=False)
        os.close(slave)
        os.close(master)
        check_equal(r.returncode, want, f"exit status after the reply {reply!r}: {r.stderr}")
        check("This will terminate supervisor ads@delivery: topic ads-events is read no more" in r.stderr and "Go on? [y/N]" in r.stderr, r.stderr)
        check(want == CAN or "nothing was done" in r.stderr, r.stderr)
    check_equal(len(server.asked(f"POST {I}/supervisor/ads%40delivery/terminate")), 1, "terminated once, after yes")


def test_no_such(env):
    server = fake(env)
    for words, message in (
            (("supervisor", "status", "nix"), 'there is no supervisor "nix"; there are ads@delivery, clicks'), (("supervisor", "get", "nix"), 'there is no supervisor "nix"'),
            (("supervisor", "suspend", "nix"), 'there is no supervisor "nix"'), (("supervisor", "reset", "nix", "--yes"), 'there is no supervisor "nix"'), (("lag", "nix"), 'there is no supervisor "nix"'),
            (("supervisor", "terminate", "nix", "--dry-run"), 'there is no supervisor "nix"'), (("tasks", "stop", "nix"), 'there is no task "nix"; there are index_a, index_w, index_b, index_c'),
            (("tasks", "status", "nix"), 'there is no task "nix"'), (("tasks", "stop", "index_b", "--yes"), "task index_b has ended already: SUCCESS"),
            (("segments", "nothing"), 'there is no datasource "nothing"; there are ads, clicks'), (("namespaces", "nothing"), 'there is no datasource "nothing"; there are ads, clicks'),
            (("versions", "nix"), 'there is no datasource "nix": nothing was ever published to it'), (("drain", "nix"), 'there is no server "nix"; historicals that are up: h1, h2'),
            (("lookups", "show", "nix"), 'there is no lookup "nix"; there are country, os, odd'), (("lookups", "delete", "nix", "--yes"), 'there is no lookup "nix"'),
            (("lookups", "status", "nix"), 'there is no lookup "nix"'), (("lookups", "show", "os", "--tier", "other"), 'there is no lookup "os" in tier "other"; henge ctl lookups list'),
            (("revert", "ads", "--publish", "16", "--cancel", "--yes"), "does not wait any more")):
        out, err = ctl(env, *words, "--url", server.url, want=CANNOT)
        check((out == "" or "--cancel" in words) and message in err, f"{words}: {message!r} is not in {err!r}")
    _, err = ctl(env, "lookups", "set", "country", write(env, "old.json", lookup("2024-05-31")), "--yes", "--url", server.url, want=WRONG)
    check('old.json: $.version: "2024-05-31" is not greater, compared as text, than "2024-06-01", the version that is set' in err, err)
    server.answers.update({f"GET {I}/supervisor": (200, []), f"GET {I}/supervisor?full": (200, []), f"GET {I}/tasks": (200, []), f"GET {C}/datasources?simple": (200, [])})
    check("there is none at all" in ctl(env, "supervisor", "get", "nix", "--url", server.url, want=CANNOT)[1], "no supervisors")
    for words, message in ((("supervisor", "list"), "no supervisors; henge ctl supervisor submit FILE starts one\n"), (("tasks", "list"), "no tasks; henge ctl tasks submit FILE starts one\n")):
        check_equal(ctl(env, *words, "--url", server.url)[0], message, "an empty table")
        check_equal(json.loads(ctl(env, *words, "--format", "json", "--url", server.url)[0]), [], "an empty list")


def test_servers_that_fail(env):
    server = fake(env)
    path = f"GET {C}/tiers?simple"
    for answer, messages in (
            ((500, {"error": "disk on fire"}), (f"the coordinator at {server.url} failed (status 500): disk on fire",)),
            ((500, "<html>oops</html>"), ("failed (status 500)\n",)),
            ((400, {"error": "no"}), ("the coordinator refused this: no",)),
            ((401, {"error": "Unauthorized", "errorMessage": "this server wants a token"}), (f"the coordinator at {server.url} does not know who you are (status 401): this server wants a token", "HENGE_TOKEN")),
            ((409, {"error": "a revert waits"}), ("refused this as things are now: a revert waits",)),
            ((403, {"error": "read only"}), ("does not let you do this (status 403): read only",)),
            ((503, {"error": "the metadata store is away"}), ("cannot answer now (status 503): the metadata store is away", "henge ctl status")),
            ((429, {"errorMessage": "too many", "error": "x"}), ("cannot answer now (status 429): too many",)),
            ((504, {"errorMessage": "late"}), ("gave up (status 504): late",)),
            ((200, "<html>hello</html>"), ("answered with what is no JSON", "Is it another program?")),
            (FakeServer.DROP, ("the coordinator was not reached", "closed before the answer was complete")),
            (FakeServer.GARBAGE, ("the coordinator was not understood", "SSH-2.0", "http.port"))):
        server.answers[path] = answer
        out, err = ctl(env, "tiers", "--url", server.url, want=CANNOT)
        check(out == "" and err.startswith("henge ctl tiers: ") and all(m in err for m in messages), f"{answer}: {messages} in {err!r}")
    server.answers[path] = FakeServer.HANG
    _, err = ctl(env, "tiers", "--url", server.url, "--timeout", "200ms", want=CANNOT)
    check("gave no answer within 0.2 s" in err and "--timeout TIME" in err, err)
    nobody = f"http://127.0.0.1:{env.ports.take()}"
    for words, kind, flag in ((("tiers",), "coordinator", "--coordinator"), (("lag",), "ingest server", "--ingest"), (("query", write(env, "q.json", {})), "broker", "--broker")):
        _, err = ctl(env, *words, "--url", nobody, want=CANNOT)
        check(f"the {kind} was not reached: {nobody}/" in err and "Connection refused" in err and f"{flag} URL (HENGE_CTL_{flag[2:].upper()}) or --url URL" in err, err)


def test_one_url_for_a_cluster(env):
    """A coordinator knows the others; a server of another kind does not, and is told so. A task is found on the server that has it."""
    owner, other, coordinator, broker = fake(env), FakeServer(env, {}), FakeServer(env, {}), FakeServer(env, {"POST /druid/v2": (200, "[]")})
    # Each ingest server answers for the tasks and streams that it runs.
    other.answers.update({f"GET {I}/supervisor": (200, ["ads@delivery"]), f"GET {I}/tasks": (200, []), f"GET {I}/task/index_b/status": (404, "Cannot find any task"),
                          f"GET {I}/supervisor/ads%40delivery/status": (200, {"id": "ads@delivery", "payload": {"state": "RUNNING", "partitions": 0, "recentErrors": []}})})

    def hosts(*servers):
        return [{"host": "127.0.0.1", "plaintextPort": s.port} for s in servers]
    coordinator.answers[f"GET {C}/cluster"] = (200, {"coordinator": hosts(coordinator), "broker": hosts(broker), "ingest": hosts(other, owner)})
    check_equal(ctl(env, "query", "-", "--url", coordinator.url, stdin="{}")[0], "no rows\n", "a query by way of the coordinator")
    check_equal(len(json.loads(ctl(env, "lag", "--format=json", "--url", coordinator.url)[0])), 3, "partitions, read by the second ingest server")
    check("SUCCESS" in ctl(env, "tasks", "status", "index_b", "--url", coordinator.url)[0], "a task of the second ingest server")
    check_equal(len(json.loads(ctl(env, "tasks", "list", "--format=json", "--url", coordinator.url)[0])), 4, "tasks of all ingest servers")
    _, err = ctl(env, "query", "-", "--broker", other.url, stdin="{}", want=CANNOT)
    check(f"{other.url} is not a broker: it has no /druid/v2" in err and "--broker URL (HENGE_CTL_BROKER)" in err, err)
    coordinator.answers[f"GET {C}/cluster"] = (200, {"coordinator": hosts(coordinator), "broker": []})
    _, err = ctl(env, "query", "-", "--url", coordinator.url, stdin="{}", want=CANNOT)
    check("knows no broker that is up" in err, err)


# ---- a real server ----

def normal(server, env, bootstrap, text):
    """What differs from run to run, replaced; columns are not kept."""
    now = r"20(?:2[5-9]|[3-9]\d)-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"  # the events are of 2024
    text = text.replace(str(server.port), "PORT").replace(env.dir, "DIR").replace(bootstrap, "BOOTSTRAP")
    for pattern, to in ((r"index_parallel_(\w+?)_[a-p]{8}_" + now, r"index_parallel_\1_ID"), (now, "NOW"), (r"[0-9a-f]{16}\.seg", "HASH.seg"), (r"\d+(\.\d)? ([KMGTP]i)?B\b", "BYTES"),
                        (r'("(?:bytes|bytesNow|bytesThen|usedBytes|memoryBytes|processedBytes|usedPercent|durationMs|duration|remainingSeconds)" ?: ?)[0-9.]+', r"\1N"), (r"\d+(\.\d)? m?s\b", "TIME"),
                        (r'("version":")\d+\.\d+\.\d+', r"\1VERSION"), (r"\b0\.1\.0\b", "VERSION")):
        text = re.sub(pattern, to, text)
    return re.sub(r"(?<=\S)  +", "  ", text)


def stderr_lines(err):
    """What a golden file holds of a command's stderr: all but progress, whose lines are as many as the server is slow."""
    return "".join(f"(stderr) {line}\n" for line in err.splitlines() if not re.match(r"(revert \d+: \d+ of |lookup \S+: \d+ servers? without it$)", line))


def test_real_outputs(env):
    """Each command against henge standalone, with a stream and a batch."""
    server = Server(env, "standalone", {"kafka.mock": "true"})
    with open(os.path.join(server.data, "kafka-bootstrap"), encoding="utf-8") as f:
        bootstrap = f.read()
    lines = "".join(json.dumps({"t": f"2024-05-0{1 + i % 2}T0{i % 7}:00:00Z", "country": "DE" if i % 3 else "FR", "clicks": i, "spend": i / 4}) + "\n" for i in range(40))
    schema = {"timestampSpec": {"column": "t"}, "dimensionsSpec": {"dimensions": ["country"]},
              "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}],
              "granularitySpec": {"type": "uniform", "segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}}
    write(env, "stream.json", {"type": "kafka", "spec": {"dataSchema": {"dataSource": "ads", "namespace": "delivery", **schema}, "ioConfig": {
        "topic": "ads", "inputFormat": {"type": "json"}, "consumerProperties": {"bootstrap.servers": bootstrap}, "useEarliestOffset": True, "taskDuration": "PT3S"}}})
    write(env, "task.json", {"type": "index_parallel", "spec": {"dataSchema": {"dataSource": "batch", **schema}, "ioConfig": {
        "type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": lines + "bad\n"}}}})
    write(env, "wrong.json", {"type": "index_parallel", "spec": {"dataSchema": {"dataSource": "batch", **schema}, "ioConfig": {
        "type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "local", "baseDir": env.path("nowhere"), "filter": "*"}}}})
    write(env, "query.json", {"queryType": "groupBy", "dataSource": "ads", "intervals": ["2024-05-01/P2D"], "granularity": "day", "dimensions": ["country"],
                              "aggregations": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}]})
    url = {"HENGE_CTL_URL": f"127.0.0.1:{server.port}"}
    env.run([env.program("henge-produce"), "--brokers", bootstrap, "--topic", "ads", write(env, "events.json", lines)])
    seen = []

    def run(*words, want=CAN):
        text = ""
        for f in ("table", "json"):
            if f == "json" and words[-1] == "table-only":
                continue
            shown = [w for w in words if w != "table-only"]
            out, err = ctl(env, *shown, *(["--format", "json"] if f == "json" else []), want=want, environment=url)
            text += normal(server, env, bootstrap, f"$ henge ctl {' '.join(shown)}{' --format json' if f == 'json' else ''}\n{out}" + stderr_lines(err)) + "\n"
        seen.append(text)

    for words in (("status",), ("servers",), ("datasources",), ("supervisor", "list"), ("tasks", "list")):
        run(*words)
    run("supervisor", "submit", "stream.json")
    # 40 events over as many partitions as the mock cluster makes, in two segments.
    wait_until("the stream to be published", lambda: sum(r["published"] or 0 for r in json.loads(ctl(env, "lag", "--format=json", environment=url)[0])) == 40, 60, process=server.process)
    wait_until("the segments to be served", lambda: [d["loadedPercent"] for d in json.loads(ctl(env, "datasources", "--format=json", environment=url)[0])] == [100.0], 60, process=server.process)
    run("tasks", "submit", "task.json", "--wait", "table-only")
    run("tasks", "submit", "wrong.json", "--wait", "table-only", want=CANNOT)
    wait_until("the batch to be served", lambda: [d["loadedPercent"] for d in json.loads(ctl(env, "datasources", "--format=json", environment=url)[0])] == [100.0] * 2, 60, process=server.process)
    batch = next(t["id"] for t in json.loads(ctl(env, "tasks", "list", "--format=json", environment=url)[0]) if t["state"] == "SUCCESS")
    for words in (("tiers",), ("datasources", "--full"), ("segments",), ("segments", "batch", "--full"), ("segments", "ads", "--interval", "2024-05-01/P1D"), ("supervisor", "list"),
                  ("supervisor", "get", "ads@delivery", "table-only"), ("supervisor", "status", "ads@delivery", "table-only"), ("lag",), ("tasks", "list"), ("tasks", "status", batch), ("tasks", "report", batch),
                  ("query", "query.json"), ("supervisor", "reset", "ads@delivery", "--dry-run")):
        run(*words)
    for words in (("tasks", "stop", batch, "--yes"), ("segments", "nothing"), ("query", "stream.json"), ("supervisor", "submit", "task.json")):
        run(*words, "table-only", want=CANNOT)
    run("supervisor", "suspend", "ads@delivery", "table-only")
    run("supervisor", "suspend", "ads@delivery", "table-only", want=CANNOT)
    run("supervisor", "resume", "ads@delivery", "table-only")
    run("supervisor", "reset", "ads@delivery", "--offsets", "0=3", "--yes", "table-only")
    run("supervisor", "terminate", "ads@delivery", "--yes", "table-only")
    run("supervisor", "list", "table-only")
    write(env, "country.json", lookup("2024-06-01", DE="Germany", US="United States"))
    run("lookups", "list")
    run("lookups", "set", "country", "country.json", "--yes", "--wait", "table-only")
    for words in (("lookups", "list"), ("lookups", "show", "country"), ("lookups", "status"), ("lookups", "delete", "country", "--dry-run")):
        run(*words)
    write(env, "older.json", lookup("2024-05-01"))
    for words, status in ((("lookups", "set", "country", "older.json", "--yes"), WRONG), (("lookups", "show", "nix"), CANNOT)):
        run(*words, "table-only", want=status)
    run("lookups", "delete", "country", "--yes", "table-only")
    run("lookups", "list")
    golden("real.txt", "".join(seen))
    check_equal(server.terminate(), 0, "exit status after SIGTERM")


def batch(env, name, namespace, days, factor):
    """A task file: 20 events a day, clicks 0..19 times factor."""
    lines = "".join(json.dumps({"t": f"2024-05-0{d}T0{i % 7}:00:00Z", "country": "DE" if i % 3 else "FR", "clicks": i * factor, "spend": i / 4}) + "\n" for d in days for i in range(20))
    schema = {"dataSource": "ads", "namespace": namespace, "timestampSpec": {"column": "t"}, "dimensionsSpec": {"dimensions": ["country"]},
              "metricsSpec": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}],
              "granularitySpec": {"type": "uniform", "segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}}
    return write(env, name, {"type": "index_parallel", "spec": {"dataSchema": schema, "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": lines}}}})


CLICKS = {"queryType": "timeseries", "dataSource": "ads", "intervals": ["2024-05-01/P7D"], "granularity": "day", "aggregations": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}]}


def clicks(server, **context):
    return [r["result"]["clicks"] for r in server.query({**CLICKS, "context": {"skipEmptyBuckets": True, **context}})]


def test_real_versions(env):
    """Two namespaces, a day that is rewritten, reverted and brought forward again, rules, clean-up: what ctl prints and what queries see."""
    server = Server(env, "standalone", {"coordinator.period": "200ms"})
    url, seen = {"HENGE_CTL_URL": f"127.0.0.1:{server.port}"}, []

    def run(*words, want=CAN, formats=("table", "json")):
        for f in formats:
            out, err = ctl(env, *words, "--format", f, want=want, environment=url)
            seen.append(normal(server, env, "no Kafka", f"$ henge ctl {' '.join(words)} --format {f}\n{out}" + stderr_lines(err)) + "\n")
        return out

    def states():
        return [(v["namespace"], v["interval"][8:10], v["state"]) for v in json.loads(ctl(env, "versions", "ads", "--format=json", environment=url)[0])]

    for name, namespace, days, factor in (("a.json", "delivery", (1, 2), 1), ("b.json", "delivery", (2,), 10), ("c.json", "conversions", (2,), 100)):
        env_file = batch(env, name, namespace, days, factor)
        ctl(env, "tasks", "submit", env_file, "--wait", environment=url)
        wait_until(f"{name} to be visible", lambda: not any(s == "WAITING" for _, _, s in states()), 60, process=server.process)
    check_equal(clicks(server), [190, 1900 + 19000], "clicks before")
    run("namespaces")
    run("versions", "ads")
    out = run("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--dry-run")
    check_equal(json.loads(out)["intervals"][0]["rows"], 14, "rows that come back")
    check_equal(clicks(server), [190, 1900 + 19000], "a dry run changes nothing")
    run("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--yes", "--wait", formats=("table",))
    check_equal(clicks(server), [190, 190 + 19000], "clicks after the revert")
    run("versions", "ads", "--namespace", "delivery", "--interval", "2024-05-02/P1D")
    newest = max(v["version"] for v in json.loads(ctl(env, "versions", "ads", "--namespace", "delivery", "--format=json", environment=url)[0]))
    ctl(env, "revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--version", newest, "--yes", "--wait", environment=url)
    check_equal(clicks(server), [190, 1900 + 19000], "clicks after going forward again")
    ctl(env, "revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--before", newest, "--yes", "--wait", environment=url)
    check_equal(clicks(server), [190, 190 + 19000], "clicks before a time")
    run("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--before", newest, "--yes")
    for words in (("revert", "ads", "--intervals", "2024-05-02/P1D", "--yes"), ("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--version", "v9", "--yes"),
                  ("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--before", "2020-01-01", "--yes"), ("revert", "ads", "--publish", "999"),
                  ("versions", "ads", "--namespace", "nix"), ("drain", "nix")):
        run(*words, want=CANNOT, formats=("table",))
    write(env, "rules.json", [{"type": "loadByInterval", "interval": "2024-05-02/P1D", "tieredReplicants": {"_default_tier": 1}}, {"type": "loadForever", "tieredReplicants": {"_default_tier": 1, "icy": 0}}])
    write(env, "icy.json", [{"type": "loadForever", "tieredReplicants": {"icy": 2}}])
    run("rules", "show")
    run("rules", "check", "icy.json", "--datasource", "ads")
    run("rules", "set", "ads", "rules.json", "--yes", "--comment", "as it was", formats=("table",))
    run("rules", "show", "ads")
    run("rules", "history")
    run("cleanup", "ads", "--older-than", "PT0S", "--dry-run")
    run("cleanup", "ads", "--older-than", "PT0S", "--keep", "0", "--yes", formats=("table",))
    run("versions", "ads", "--namespace", "delivery", "--interval", "2024-05-02/P1D", formats=("table",))
    run("revert", "ads", "--namespace", "delivery", "--intervals", "2024-05-02/P1D", "--version", newest, "--yes", want=CANNOT, formats=("table",))
    golden("real-versions.txt", "".join(seen))
    # Druid's own shapes, and what is written down.
    status, _, body = server.request("POST", f"{C}/rules/ads", [{"type": "loadForever", "tieredReplicants": {"_default_tier": 1}}], headers={"X-Druid-Author": "lee", "X-Druid-Comment": "by hand"})
    check_equal((status, body), (200, ""), "setting rules, as Druid answers")
    check_equal(server.get(f"{C}/rules/ads?full"), server.get(f"{C}/rules/ads") + server.get(f"{C}/rules/_default"), "own rules, then the defaults")
    check_equal(server.get(f"{C}/rules/nobody"), [], "rules of a datasource without any")
    entry = server.get(f"{C}/rules/ads/history?count=1")[0]
    check_equal((entry["key"], entry["type"], entry["auditInfo"]["author"], entry["auditInfo"]["comment"], json.loads(entry["payload"])), ("ads", "rules", "lee", "by hand", server.get(f"{C}/rules/ads")), "history")
    check_equal([e["auditInfo"]["comment"] for e in server.get(f"{C}/rules/history?interval=2020-01-01_2100-01-01")], ["as it was", "by hand"], "history by time, the oldest first")
    for path, body, message in (
            ("rules/ads", [{"type": "loadByPeriod"}], "$[0].period"), ("rules/ads", {}, "$: "), ("rules/_default", [], "cannot be empty"), ("datasources/ads/revert", {"intervals": []}, "$.intervals: expected 1 to"),
            ("datasources/ads/revert", {"intervals": ["May"]}, "$.intervals[0]: "), ("datasources/ads/revert", {"intervals": ["2024-05-01/P1D"], "before": "noon", "namespace": "delivery"}, "$.before: "),
            ("datasources/ads/revert", {"intervals": ["2024-05-01/P1D"], "before": "2024", "version": "v"}, "exclude each other"), ("cleanup", {}, "$.olderThan"),
            ("cleanup", {"olderThan": "P1D", "keepVersions": -1}, "$.keepVersions: "), (f"servers/127.0.0.1:{server.port}/drain", {}, "$.drain")):
        status, _, answer = server.request("POST", f"{C}/{path}", body)
        check(status == 400 and message in answer["error"], f"POST {path} {body}: {status} {answer}")
    for query in ("count=0", "count=x", "interval=May"):
        check_equal(server.request("GET", f"{C}/rules/history?{query}")[0], 400, query)
    check_equal(server.terminate(), 0, "exit status after SIGTERM")


def test_tokens(env):
    """Who may do what: nobody without a token but the probes, readers look and query, admins change."""
    users, lines, tokens = env.path("users"), [], {}
    for name, role in (("ann", "admin"), ("rob", "read")):
        made = json.loads(ctl(env, "token", name, "--role", role, "--format=json")[0])
        lines.append(made["line"])
        tokens[name] = made["token"]
        check(made["token"] not in made["line"], "the line holds a hash")
    out, err = ctl(env, "token", "x")
    check(re.fullmatch(r"x read sha256:[0-9a-f]{64}\n", out) and "hgt_" in err and "hgt_" not in out, f"{out!r} {err!r}")
    write(env, "users", "# who may\n" + "\n".join(lines) + "\n")
    server = Server(env, "standalone", {"http.auth.file": users}, start=False)
    server.start(healthy=False)
    server.wait_healthy()
    server.wait_ready()

    def status(method, path, who=None, body=None, basic=False):
        token = tokens.get(who, who)
        value = token and ("Basic " + base64.b64encode(f"{who}:{token}".encode()).decode() if basic else "Bearer " + token)
        return server.request(method, path, body, headers={"Authorization": value} if value else {})

    for path in ("/status/health", "/status/ready", "/status/selfDiscovered"):
        check_equal(status("GET", path)[0], 200, f"{path} is open")
    for who, want in ((None, 401), ("hgt_wrong", 401), ("rob", 200), ("ann", 200)):
        for method, path, body in (("GET", "/status", None), ("GET", "/metrics", None), ("GET", f"{C}/servers", None), ("POST", "/druid/v2", CLICKS),
                                   ("GET", f"{I}/supervisor", None)):
            got, headers, answer = status(method, path, who, body)
            check_equal(got, want, f"{who}: {method} {path}: {answer}")
            if got == 401:
                check_equal(headers["WWW-Authenticate"], 'Basic realm="henge"', "401")
                check(set(answer) == {"error", "errorMessage", "errorClass", "host"} and answer["error"] == "Unauthorized", f"401 in Druid's shape: {answer}")
    check_equal(status("GET", "/status", "rob", basic=True)[0], 200, "NAME:TOKEN by Basic")
    rules = [{"type": "loadForever", "tieredReplicants": {"_default_tier": 1}}]
    for who, want in ((None, 401), ("rob", 403), ("ann", 200)):
        check_equal(status("POST", f"{C}/rules/ads", who, rules)[0], want, f"{who} sets rules")
        check_equal(status("DELETE", f"{C}/datasources/ads", who)[0], want, f"{who} drops a datasource")
        check_equal(status("POST", f"{I}/supervisor/terminateAll", who)[0], want, f"{who} terminates supervisors")
    check_equal([status("POST", f"{L}/config/__default/x", who, lookup("1", a="b"))[0] for who in (None, "rob", "ann")], [401, 403, 202], "who sets a lookup")
    check_equal(status("DELETE", "/druid/v2/some-query", "rob")[0] in (200, 202, 404), True, "readers may cancel queries")
    check_equal(status("GET", f"{C}/rules/ads/history?count=1", "rob")[2][0]["auditInfo"]["author"], "ann", "who did it is who was let in")
    url = {"HENGE_CTL_URL": f"127.0.0.1:{server.port}"}
    _, err = ctl(env, "servers", want=CANNOT, environment=url)
    check("does not know who you are (status 401)" in err and "HENGE_TOKEN" in err, err)
    check("127.0.0.1" in ctl(env, "servers", environment={**url, "HENGE_TOKEN": tokens["rob"]})[0], "servers with a token")
    write(env, "rules.json", rules)
    _, err = ctl(env, "rules", "set", "ads", "rules.json", "--yes", "--token", tokens["rob"], want=CANNOT, environment=url)
    check("does not let you do this (status 403): rob may look and query, and this would change something" in err and "for the right to rules set" in err, err)
    ctl(env, "rules", "set", "ads", "rules.json", "--yes", environment={**url, "HENGE_TOKEN": tokens["ann"]})
    check(tokens["ann"] not in ctl(env, "--check-config", environment={"HENGE_TOKEN": tokens["ann"]})[0], "a token is not printed")
    # The file is read again; one that is wrong changes nothing.
    write(env, "users", lines[0] + "\nwhat is this\n")
    wait_until("the log to tell of the file", lambda: "tokens not read, those known stay in force" in server.log_text(), 20, process=server.process)
    check_equal(status("GET", "/status", "rob")[0], 200, "those known stay")
    write(env, "users", lines[0] + "\n")
    wait_until("rob to be shut out", lambda: status("GET", "/status", "rob")[0] == 401, 20, process=server.process)
    check_equal(status("GET", "/status", "ann")[0], 200, "ann stays")
    check(not any(t in server.log_text() for t in tokens.values()), "no token is in the log")
    check_equal(server.terminate(), 0, "exit status after SIGTERM")
    write(env, "users", "")
    server.start(healthy=False)
    wait_until("the server to refuse a file without tokens", lambda: not server.process.running(), 20)
    check("there is no token in it" in server.log_text(), server.log_text()[-500:])


harness.main(globals())
