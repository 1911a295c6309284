#!/usr/bin/env python3
"""henge ctl: what each command prints in both formats, what it refuses, and what its messages tell to do.

Whole outputs are compared with tests/golden/ctl/: exactly where a fake server gives fixed answers, and with times, ids, sizes and ports replaced
where a real standalone does. UPDATE_GOLDEN=1 writes them anew; look at the difference before you commit it."""
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


def ctl(env, *words, want=CAN, environment=None, stdin=""):
    """Runs henge ctl; (stdout, stderr)."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
    r = env.run([env.program("henge"), "ctl", *words], ok=False, env={**inherited, **(environment or {})}, cwd=env.dir, input=stdin)
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
        f"GET {C}/datasources": (200, ["ads", "clicks"]),
        f"GET {C}/datasources?simple": (200, [{"name": n, "properties": {"segments": {
            "count": k, "size": size, "minTime": "2024-05-01T00:00:00.000Z", "maxTime": "2024-05-03T00:00:00.000Z"}}} for n, k, size in (("ads", 3, 6500000), ("clicks", 12, 400))]),
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
        (["segmnt"], "did you mean segment?"), (["list"], "did you mean supervisor list?"), (["statsu"], "did you mean status?"),
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
    ("tasks", "submit", "spec.json"), ("tasks", "submit", "spec.json", "--wait"), ("tasks", "stop", "index_a", "--yes"), ("tasks", "stop", "index_a", "--dry-run"),
]


def test_outputs(env):
    server = fake(env)
    write(env, "spec.json", SPEC)
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
    check_equal(server.asked(f"POST {I}/supervisor"), [json.dumps(SPEC)] * 2, "the spec goes as it stands")
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


# ---- what goes wrong ----

def test_asking_first(env):
    """What destroys does nothing without --yes where there is no terminal, and asks where there is one."""
    server = fake(env)
    url = {"HENGE_CTL_URL": server.url}
    for words in (("supervisor", "reset", "ads@delivery"), ("supervisor", "terminate", "ads@delivery"), ("tasks", "stop", "index_a")):
        out, err = ctl(env, *words, want=WRONG, environment=url)
        check(out == "" and "this would " in err and "--yes does it, --dry-run only says it" in err, f"{words}: {out!r} {err!r}")
    check(not any(r.startswith("POST") for r, _ in server.requests), f"nothing is done unasked: {server.requests}")
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
            (("segments", "nothing"), 'there is no datasource "nothing"; there are ads, clicks')):
        out, err = ctl(env, *words, "--url", server.url, want=CANNOT)
        check(out == "" and message in err, f"{words}: {message!r} is not in {err!r}")
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
            ((401, ""), ("does not let you do this (status 401)", "for the right to tiers")),
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
                        (r'("(?:bytes|usedBytes|memoryBytes|processedBytes|usedPercent|durationMs|duration|remainingSeconds)" ?: ?)[0-9.]+', r"\1N"), (r"\d+(\.\d)? m?s\b", "TIME"),
                        (r'("version":")\d+\.\d+\.\d+', r"\1VERSION"), (r"\b0\.1\.0\b", "VERSION")):
        text = re.sub(pattern, to, text)
    return re.sub(r"(?<=\S)  +", "  ", text)


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
            text += normal(server, env, bootstrap, f"$ henge ctl {' '.join(shown)}{' --format json' if f == 'json' else ''}\n{out}" + "".join(f"(stderr) {line}\n" for line in err.splitlines())) + "\n"
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
    golden("real.txt", "".join(seen))
    check_equal(server.terminate(), 0, "exit status after SIGTERM")


harness.main(globals())
