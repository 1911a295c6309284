#!/usr/bin/env python3
"""The command line: what each command prints, what it refuses, and with which exit status: 0 done, 1 could not, 2 not understood.

Whole outputs are compared with tests/golden/cli/. HENGE_TEST_UPDATE=1 writes these anew; look at the difference before you commit it."""
import gzip
import json
import os
import re
import sqlite3

import harness
from harness import check, check_equal

GOLDEN = os.path.join(harness.ROOT, "tests", "golden", "cli")
SERVERS = ("standalone", "ingest", "historical", "broker", "coordinator")
CAN, CANNOT, WRONG = 0, 1, 2
# Programs of root may read everything; without these two capabilities they may not.
AS_OTHERS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--"] if os.geteuid() == 0 else []


def henge(env, *words, want=CAN, environment=None, before=()):
    """Runs henge; (stdout, stderr). The harness's own HENGE_ variables are not for it: it refuses those that are no settings."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
    r = env.run([*before, env.program("henge"), *words], ok=False, env={**inherited, **(environment or {})}, cwd=env.dir)
    check(r.returncode == want, f"henge {' '.join(words)}: exit status {r.returncode}, want {want}\n{r.stdout[-1000:]}{r.stderr[-3000:]}")
    return r.stdout, r.stderr


def golden(name, text):
    path = os.path.join(GOLDEN, name)
    if os.environ.get("HENGE_TEST_UPDATE"):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    with open(path, encoding="utf-8") as f:
        want = f.read()
    check(text == want, f"not what tests/golden/cli/{name} holds:\n--- got\n{text}--- want\n{want}")


def settings(printed):
    """{name: (value, origin)} of --check-config's lines."""
    found = {}
    for line in printed.splitlines():
        m = re.fullmatch(r"([a-z_.]+) = (?:(.*?) +)?# ([^#]*)", line)
        check(m, f"--check-config printed {line!r}")
        found[m.group(1)] = (m.group(2) or "", m.group(3))
    return found


def write(env, name, text):
    path = env.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with (gzip.open if name.endswith(".gz") else open)(path, "wt", encoding="utf-8") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))
    return path


# ---- words ----

def test_help(env):
    out, err = henge(env, "--help")
    golden("help.txt", out)
    check_equal(err, "", "stderr of --help")
    for word in ("-h", "help"):
        check_equal(henge(env, word)[0], out, f"henge {word}")
    _, err = henge(env, want=WRONG)
    check_equal(err, out, "without a role: the same text, as an error")
    got, err = henge(env, "brocker", want=WRONG)
    check(got == "" and err.startswith('henge: "brocker" is no role\n') and err.endswith(out), f"an unknown role: {err}")
    out, _ = henge(env, "--version")
    check(re.fullmatch(r"henge \d+\.\d+\.\d+ \((portable|avx2|avx512)\)\n", out), f"--version printed {out!r}")
    for name in ("portable", out.split("(")[1].split(")")[0]):
        got, _ = henge(env, "--version", environment={"HENGE_CPU": name})
        check(got.endswith(f" ({name})\n"), f"with HENGE_CPU={name} --version printed {got!r}")
    _, err = henge(env, "--version", want=WRONG, environment={"HENGE_CPU": "sse9"})
    check_equal(err, 'henge: HENGE_CPU is "sse9"; known are portable, avx2 and avx512\n', "a variant that is not known")
    check(henge(env, "ctl", want=WRONG)[1].startswith("usage: henge ctl"), "henge ctl without a command")
    check('there is no command "segmnt"; did you mean segment?' in henge(env, "ctl", "segmnt", want=WRONG)[1], "an unknown command of ctl")


def test_role_help(env):
    """--help lists exactly the settings that --check-config prints."""
    for role in SERVERS + ("index",):
        text = henge(env, role, "--help")[0]
        check(text.startswith(f"usage: henge {role} "), f"henge {role} --help: {text[:200]}")
        flags = set(re.findall(r"^  --([a-z-]+)=", text, re.M))
        names = {n.replace(".", "-").replace("_", "-") for n in settings(henge(env, role, "--check-config")[0])}
        check_equal(flags, names, f"flags of henge {role} --help")


def test_wrong_words(env):
    cases = [
        (["broker", "--http-prot", "1"], '--http-prot = "1" (flag): no such setting; did you mean --http-port?'),
        (["broker", "--zebra=1"], '--zebra = "1" (flag): no such setting\n'),
        (["broker", "--http-port", "many"], 'http.port = "many" (flag --http-port): not a whole number'),
        (["broker", "--port=70000"], 'http.port = "70000" (flag --port): out of range, 0 to 65535'),
        (["broker", "--http-max-body=1kilo"], 'http.max_body = "1kilo" (flag --http-max-body): not a size in bytes, such as 1048576, 512MiB or 2GB'),
        (["broker", "--query-timeout=soon"], 'query.timeout = "soon" (flag --query-timeout): not a duration, such as 250ms, 30s, 5m, 1h or 2d'),
        (["standalone", "--kafka-mock=perhaps"], 'kafka.mock = "perhaps" (flag --kafka-mock): neither true nor false'),
        (["broker", "--kafka", "k:9092"], 'kafka.bootstrap = "k:9092" (flag --kafka): not a setting of henge broker'),
        (["broker", "--port=1", "--http-port=2"], "given twice"),
        (["broker", "extra"], '"extra" is not understood'),
        (["broker", "--log-level", "loud"], "known are debug, info, warn and error"),
        (["broker", "--config", "/nowhere.conf"], "/nowhere.conf"),
        (["broker", "--config", "/"], "/"),
        (["broker", "--cluster-secrt", "hush"], '"********" (flag): no such setting; did you mean --cluster-secret?'),
        (["index"], "which spec?"),
        (["index", "a.json", "b.json"], "one spec at a time"),
        (["index", "a.json", "--http-port=1"], "not a setting of henge index"),
        (["ctl", "segment"], "which command?"),
        (["ctl", "segment", "fix", "f"], 'there is no command "segment fix"; there are verify, stat, dump'),
        (["ctl", "segment", "verify"], "segment verify: it wants FILE..."),
        (["ctl", "segment", "stat", "--format=xml", "f"], '--format is table or json, not "xml"'),
        (["ctl", "segment", "stat", "--format"], "--format wants a value"),
        (["ctl", "segment", "dump", "--limit", "-1", "f"], '--limit wants a number of rows, not "-1"'),
        (["ctl", "segment", "dump", "--from=x", "f"], '--from wants a row number, not "x"'),
        (["ctl", "segment", "dump", "a", "b"], 'it takes FILE and no more, not also "b"'),
        (["ctl", "segment", "verify", "--deep", "f"], "there is no option --deep"),
    ]
    for words, message in cases:
        out, err = henge(env, *words, want=WRONG)
        check(message in err, f"henge {' '.join(words)}: {message!r} is not in {err!r}")
        check(err.startswith("henge "), f"henge {' '.join(words)}: the message should begin with who says it: {err!r}")
        check_equal(out, "", f"stdout of henge {' '.join(words)}")
    _, err = henge(env, "broker", "--log-level", "loud", "--check-config", want=WRONG)
    check("known are debug, info, warn and error" in err, f"--check-config of an unknown log level: {err}")


def test_wrong_surroundings(env):
    """The environment and the file are held to the same table, and errors say where the text stands."""
    _, err = henge(env, "broker", "--check-config", want=WRONG, environment={"HENGE_HTTP_PROT": "1"})
    check("did you mean HENGE_HTTP_PORT?" in err, err)
    _, err = henge(env, "broker", "--check-config", want=WRONG, environment={"HENGE_HTTP_PORT": "x"})
    check("environment HENGE_HTTP_PORT" in err, err)
    for text, message in (
            ("http.port = 1\n\nhttp.prot = 1\n", "bad.conf:3): no such setting; did you mean http.port?"),
            ("http.port = 1\nhttp.port = 2\n", "bad.conf:2): "),
            ("http.port\n", "bad.conf:1"),
            ('data.dir = "never closed\n', "bad.conf:1"),
            ("http.port = 99999\n", "bad.conf:1): out of range"),
    ):
        path = write(env, "bad.conf", text)
        _, err = henge(env, "broker", "--config", path, "--port=5", "--check-config", want=WRONG)
        check(message in err, f"a file with {text!r}: {message!r} is not in {err!r} (a flag that overrides a wrong line does not hide it)")


def test_precedence(env):
    """flag > environment > file > default, in every role, each value with its origin."""
    for role in SERVERS + ("index",):
        conf = write(env, "some.conf", "# a comment\ndata.dir = /from/file # and another\nlog.level = warn\n")
        for words, environment, want in (
                ([], {}, ("/var/lib/henge", "default")),
                (["--config", conf], {}, ("/from/file", conf + ":2")),
                (["--config", conf], {"HENGE_DATA_DIR": "/from/env"}, ("/from/env", "environment HENGE_DATA_DIR")),
                (["--config", conf, "--data-dir", "/from/flag"], {"HENGE_DATA_DIR": "/from/env"}, ("/from/flag", "flag --data-dir")),
                (["--config", conf, "--data=/from/flag"], {}, ("/from/flag", "flag --data")),
                ([], {"HENGE_CONFIG": conf}, ("/from/file", conf + ":2")),
                (["--config=" + conf], {"HENGE_CONFIG": "/nowhere.conf"}, ("/from/file", conf + ":2")),
        ):
            got = settings(henge(env, role, "--check-config", *words, environment=environment)[0])
            check_equal(got["data.dir"], want, f"henge {role} {' '.join(words)} {environment}")
            check_equal(got["log.level"][0], "info" if want[1] == "default" else "warn", f"henge {role}: log.level")
    ports = {r: settings(henge(env, r, "--check-config")[0])["http.port"][0] for r in SERVERS}
    check_equal(ports, {"standalone": "8888", "ingest": "8091", "historical": "8083", "broker": "8082", "coordinator": "8081"}, "default ports")


def test_check_config(env):
    """What is printed can be read again, secrets are masked, and nothing is started."""
    conf = write(env, "odd.conf", 'cluster.secret = hush\nserver.name = "a # b \\"c\\" \\\\ d "\nhttp.max_body = 10KB\nquery.timeout = 90000\n'
                                  "meta.url = postgresql://henge:p4ss@db:5432/henge?password=p4ss\n")
    out, _ = henge(env, "broker", "--config", conf, "--check-config")
    golden("check-config-broker.txt", out.replace(conf, "odd.conf"))
    check("hush" not in out and "p4ss" not in out, f"a secret was printed: {out}")
    again = write(env, "again.conf", "\n".join(line for line in out.splitlines() if "***" not in line) + "\n")
    values = {k: v[0] for k, v in settings(henge(env, "broker", "--config", again, "--check-config")[0]).items()}
    for name, (value, _) in settings(out).items():
        check("***" in value or values[name] == value, f"{name}: printed {value!r}, read again {values[name]!r}")
    for role in SERVERS:
        example = os.path.join(harness.ROOT, "conf", role + ".conf")
        henge(env, role, "--config", example, "--check-config")


# ---- index ----

SCHEMA = {
    "dataSource": "cli",
    "timestampSpec": {"column": "ts", "format": "iso"},
    "dimensionsSpec": {"dimensions": ["country", "tags", {"type": "long", "name": "ad"}]},
    "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"},
                    {"type": "decimalSum", "name": "spend", "fieldName": "spend"}, {"type": "doubleMax", "name": "bid", "fieldName": "bid"}],
    "granularitySpec": {"type": "uniform", "segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True},
}
EVENTS = [
    {"ts": "2024-03-08T10:15:00Z", "country": "US", "tags": ["a", "b"], "ad": 1, "clicks": 1, "spend": 0.000001, "bid": 0.5},
    {"ts": "2024-03-08T10:45:00Z", "country": "US", "tags": ["a", "b"], "ad": 1, "clicks": 2, "spend": "1.25", "bid": 1.5},
    {"ts": "2024-03-08T11:00:00Z", "country": "São Tomé", "tags": "c", "ad": 2, "clicks": 0, "spend": "9223372036854.775807", "bid": -0.25},
    {"ts": "2024-03-09T00:00:00Z", "country": None, "ad": 3, "clicks": 3},
]
LINES = "".join(json.dumps(e, ensure_ascii=False) + "\n" for e in EVENTS)
CSV = ('ts,country,tags,ad,ignored,clicks,spend,bid\r\n'
       '2024-03-08T10:15:00Z,"US",a|b,1,x,1,0.000001,0.5\r\n'
       '2024-03-08T10:45:00Z,US,a|b,1,"x, ""y""\nz",2,1.25,1.5\r\n'
       '2024-03-08T11:00:00Z,São Tomé,c,2,,0,9223372036854.775807,-0.25\r\n'
       '2024-03-09T00:00:00Z,,,3,,3,,\r\n')


def spec(source, input_format, schema=None, tuning=None, **io):
    s = {"type": "index_parallel", "spec": {"dataSchema": {**SCHEMA, **(schema or {})},
                                            "ioConfig": {"type": "index_parallel", "inputSource": source, "inputFormat": input_format, **io}}}
    if tuning:
        s["spec"]["tuningConfig"] = {"type": "index_parallel", **tuning}
    return s


def inline(text=LINES):
    return {"type": "inline", "data": text}


def index(env, s, data, want=CAN, **how):
    return henge(env, "index", write(env, "spec.json", s), "--data", env.path(data), want=want, **how)


def pushed(env, data):
    """The segment files of a deep storage, in the order of their names up to the version."""
    files = [os.path.join(d, f) for d, _, names in os.walk(env.path(data, "deep")) for f in names]
    return sorted(files, key=lambda p: (p.split(os.sep)[-4], int(p.split(os.sep)[-2]), p.split(os.sep)[-3]))


def dump(env, files):
    return "".join(henge(env, "ctl", "segment", "dump", f)[0] for f in files)


def test_index_formats(env):
    """One table in every form that input can have gives the same segments."""
    write(env, "in/one.csv", CSV)
    write(env, "in/deep/er/part-0.json.gz", LINES)
    write(env, "in/other.txt", "not wanted")
    columns = ["ts", "country", "tags", "ad", "clicks", "spend", "bid"]
    tsv = "".join("\t".join("|".join(e[c]) if isinstance(e[c], list) else str(e[c]) for c in columns) + "\n" for e in EVENTS[:2])
    forms = {
        "inline": (inline(), {"type": "json"}),
        "csv": ({"type": "local", "files": [env.path("in/one.csv")]}, {"type": "csv", "findColumnsFromHeader": True, "listDelimiter": "|"}),
        "csv-inline": (inline(CSV), {"type": "csv", "columns": CSV.split("\r\n")[0].split(","), "skipHeaderRows": 1, "listDelimiter": "|"}),
        "gz": ({"type": "local", "baseDir": env.path("in"), "filter": "*.json.gz"}, {"type": "json"}),
    }
    want = None
    for name, (source, input_format) in forms.items():
        out, err = index(env, spec(source, input_format), name)
        check_equal(out, "published 2 segments of cli as publish 1\n", f"{name}: stdout")
        check(re.search(r"done +4 rows, 0 bad, 2 segments", err), f"{name}: stderr {err!r}")
        files = pushed(env, name)
        check_equal(len(files), 2, f"{name}: files in deep storage")
        got = dump(env, files)
        want = want or got
        check_equal(got, want, f"rows of {name}")
    golden("dump.jsonl", want)
    index(env, spec(inline(tsv), {"type": "tsv", "columns": columns, "listDelimiter": "|"}), "tsv")
    check_equal(dump(env, pushed(env, "tsv")), want.splitlines(keepends=True)[0], "rows of tsv")


def test_segment_tools(env):
    index(env, spec(inline(), {"type": "json"}), "data")
    files = pushed(env, "data")

    def named(text):
        for i, f in enumerate(files):
            text = text.replace(f, f"FILE{i}")
        return text

    golden("verify.txt", named(henge(env, "ctl", "segment", "verify", *files)[0]))
    golden("stat.txt", named(henge(env, "ctl", "segment", "stat", *files)[0]))
    out = henge(env, "ctl", "segment", "stat", "--format", "json", *files)[0]
    golden("stat.json", named("\n".join(json.dumps(json.loads(line), indent=1) for line in out.splitlines()) + "\n"))
    rows = henge(env, "ctl", "segment", "dump", files[0])[0].splitlines()
    check_equal(len(rows), 2, "rows of the first day")
    for words, want in ((["--limit", "1"], rows[:1]), (["--from=1"], rows[1:]), (["--from", "1", "--limit=1"], rows[1:]), (["--from", "9"], []),
                        (["--limit", "0"], [])):
        check_equal(henge(env, "ctl", "segment", "dump", *words, files[0])[0].splitlines(), want, f"dump {' '.join(words)}")


def test_index_partitions(env):
    schema = {"dimensionsSpec": {"dimensions": ["country", "name", {"type": "long", "name": "ad"}]}}
    lines = "".join(json.dumps({"ts": f"2024-03-08T10:00:{i % 60:02d}Z", "country": "US", "name": f"n{i:04d}", "ad": i, "clicks": 1}) + "\n" for i in range(1000))
    for name, partitions, files in (("hashed", {"type": "hashed", "numShards": 3}, 3), ("sized", {"type": "hashed", "targetRowsPerSegment": 300}, 4),
                                    ("dynamic", {"type": "dynamic", "maxRowsPerSegment": 400}, 3),
                                    ("range", {"type": "range", "partitionDimensions": ["name"], "maxRowsPerSegment": 300}, 4),
                                    ("single", {"type": "single_dim", "partitionDimension": "name", "targetRowsPerSegment": 300}, 3)):
        index(env, spec(inline(lines), {"type": "json"}, schema, tuning={"partitionsSpec": partitions, "maxRowsInMemory": 100}), name)
        check_equal(len(pushed(env, name)), files, f"{name}: segments")
        ads = sorted(json.loads(row)["ad"] for row in dump(env, pushed(env, name)).splitlines())
        check_equal(ads, list(range(1000)), f"{name}: each ad once")
        with sqlite3.connect(env.path(name, "metadata.db")) as db:
            shards = [json.loads(s) for s, in db.execute("SELECT shard FROM hg_segments ORDER BY part_num")]
        want = {"hashed": "hashed", "sized": "hashed", "dynamic": "numbered"}.get(name, "single")
        check_equal([s["type"] for s in shards], [want] * files, f"{name}: shard specs")
        if want == "single":
            check_equal([s["start"] for s in shards], [None] + [s["end"] for s in shards[:-1]], f"{name}: ranges join")
            check(shards[-1]["end"] is None and all(s["numCorePartitions"] == files and s["dimension"] == "name" for s in shards), f"{name}: {shards}")


def test_index_versions(env):
    """A second task over the same day replaces it; one that appends does not; what is outside of the intervals is thrown away."""
    named = {"granularitySpec": {**SCHEMA["granularitySpec"], "intervals": ["2024-03-08/2024-03-09"]}}
    for name, s in (("first", spec(inline(), {"type": "json"}, named)), ("replaces", spec(inline(), {"type": "json"}, named)),
                    ("appends", spec(inline(), {"type": "json"}, named, appendToExisting=True))):
        out, err = index(env, s, "data")
        check("published 1 segments" in out and re.search(r"done +3 rows", err), f"{name}: {out}{err}")
    with sqlite3.connect(env.path("data", "metadata.db")) as db:
        rows = db.execute("SELECT version, part_num FROM hg_segments ORDER BY publish_id").fetchall()
    check(len(rows) == 3 and rows[0][0] < rows[1][0] and rows[1][1] == 0, f"versions and partitions: {rows}")
    out, _ = index(env, spec(inline("\n"), {"type": "json"}), "data")
    check_equal(out, "no rows in the spec's intervals; nothing published\n", "a task without rows")


def changed(path, value):
    """A good spec with one member set (or, by ..., removed)."""
    s = json.loads(json.dumps(spec(inline(), {"type": "json"}, tuning={"partitionsSpec": {"type": "dynamic"}})))
    at = s
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return s


def test_bad_specs(env):
    schema, io = ("spec", "dataSchema"), ("spec", "ioConfig")
    cases = [
        (("type",), "kafka", '$.type: unsupported task type "kafka"'),
        (("type",), ..., "$.type: "),
        (("spec",), 7, "$.spec: "),
        (schema, ..., "$.spec.dataSchema: "),
        (schema + ("dataSource",), "", "$.spec.dataSchema.dataSource: is empty"),
        (schema + ("dataSource",), "a/b", "$.spec.dataSchema.dataSource: "),
        (schema + ("namespace",), "x" * 300, "$.spec.dataSchema.namespace: "),
        (schema + ("timestampSpec", "format"), "ruby", '$.spec.dataSchema.timestampSpec.format: unknown time format "ruby"; known: auto, iso'),
        (schema + ("dimensionsSpec", "dimensions"), [], "$.spec.dataSchema.dimensionsSpec.dimensions: list at least one"),
        (schema + ("dimensionsSpec", "dimensions"), ["a", "a"], "$.spec.dataSchema.dimensionsSpec.dimensions[1]: "),
        (schema + ("dimensionsSpec", "dimensions"), ["a", 1], "$.spec.dataSchema.dimensionsSpec.dimensions[1]: "),
        (schema + ("metricsSpec", 1), {"type": "longFirst", "name": "u", "fieldName": "u"}, "$.spec.dataSchema.metricsSpec[1].type: "),
        (schema + ("metricsSpec", 1), {"type": "longSum", "name": "u"}, "$.spec.dataSchema.metricsSpec[1].fieldName: "),
        (schema + ("granularitySpec", "segmentGranularity"), "FORTNIGHT", "$.spec.dataSchema.granularitySpec.segmentGranularity: "),
        (schema + ("granularitySpec", "segmentGranularity"), "NONE", "a segment per millisecond is not possible"),
        (schema + ("granularitySpec", "intervals"), ["2024-03-09/2024-03-08"], "$.spec.dataSchema.granularitySpec.intervals[0]: "),
        (io + ("inputSource", "type"), "s3", '$.spec.ioConfig.inputSource.type: unsupported input source "s3"; known: local, inline'),
        (io + ("inputSource",), {"type": "local"}, "$.spec.ioConfig.inputSource: exactly one of baseDir and files must be given"),
        (io + ("inputSource",), {"type": "local", "baseDir": "/tmp"}, "$.spec.ioConfig.inputSource.filter: "),
        (io + ("inputFormat", "type"), "parquet", '$.spec.ioConfig.inputFormat.type: unsupported input format "parquet"'),
        (io + ("inputFormat",), {"type": "csv"}, "$.spec.ioConfig.inputFormat.columns: either columns or findColumnsFromHeader must be given"),
        (io + ("inputFormat",), {"type": "json", "flattenSpec": {"fields": [{"type": "path", "name": "x", "expr": "a.b"}]}},
         "$.spec.ioConfig.inputFormat.flattenSpec.fields[0].expr: "),
        (("spec", "tuningConfig", "partitionsSpec", "type"), "sorted", "$.spec.tuningConfig.partitionsSpec.type: unsupported partitioning"),
        (("spec", "tuningConfig", "maxRowsInMemory"), 0, "$.spec.tuningConfig.maxRowsInMemory: 0 is not positive"),
        (("spec", "tuningConfig", "maxRowsInMemory"), "many", "$.spec.tuningConfig.maxRowsInMemory: "),
    ]
    said = []
    for path, value, message in cases:
        out, err = index(env, changed(path, value), "data", WRONG)
        last = err.strip().splitlines()[-1]
        check(message in last and env.path("spec.json") in last, f"{path} = {value!r}: {message!r} and the file's name are not in {last!r}")
        check_equal(out, "", f"{path} = {value!r}: stdout")
        said.append(last.replace(env.dir, "DIR"))
    golden("bad-specs.txt", "\n".join(said) + "\n")
    for text, message in (("{", "JSON, line 1"), ("[]", "$: "), ("", "JSON"), ('{"type": "index"}\n{}', "JSON")):
        _, err = index(env, text, "data", WRONG)
        check(message in err, f"a spec {text!r}: {err!r}")
    check(not os.path.exists(env.path("data")), "a bad spec should leave no folder behind")


def test_bad_input(env):
    """What is wrong outside of the spec: exit status 1, and a sentence that names it. Nothing is published or left in deep storage."""
    _, err = henge(env, "index", "nowhere.json", "--data", env.path("data"), want=CANNOT)
    check("nowhere.json" in err and "No such file" in err, err)
    gone = env.path("gone.json")
    write(env, "in/plain.json", LINES)
    write(env, "closed/plain.json", LINES)
    whole = gzip.compress((LINES * 100).encode())
    with open(env.path("in/cut.json.gz"), "wb") as f:
        f.write(whole[:-20])
    with open(env.path("in/broken.json.gz"), "wb") as f:
        f.write(whole[:-8] + b"\xff" * 8)
    os.chmod(env.path("closed"), 0)

    def local(**source):
        return spec({"type": "local", **source}, {"type": "json"})

    def files(name):
        return local(files=[env.path("in/plain.json"), env.path(name)])

    for s, message in ((files("gone.json"), gone), (files("in/cut.json.gz"), "cut.json.gz: ends in the middle of its compressed data, after record"),
                       (files("in/broken.json.gz"), "broken.json.gz: after record"),
                       (local(baseDir=env.path("in"), filter="*.csv"), 'matches "*.csv"'),
                       (local(baseDir=env.path("nodir"), filter="*"), "nodir"),
                       (local(baseDir=env.path("in/plain.json"), filter="*"), "in/plain.json"),
                       (local(baseDir=env.path("closed"), filter="*"), "closed")):
        out, err = index(env, s, "data", CANNOT, before=AS_OTHERS)
        check(message in err and not out, f"{message!r} is not in {err!r}")
    os.chmod(env.path("closed"), 0o700)
    check_equal(pushed(env, "data"), [], "files in deep storage after failures")
    check(not [n for n in os.listdir(env.path("data")) if n.startswith("index-")], "a folder of a failed task was left")

    strict = spec(inline(LINES + "{\n" + "nonsense\n"), {"type": "json"}, tuning={"maxParseExceptions": 1})
    _, err = index(env, strict, "data", WRONG)
    check("more than 1 bad rows (tuningConfig.maxParseExceptions)" in err and "inline data, record 6" in err, err)
    out, err = index(env, spec(inline(LINES + "nonsense\n"), {"type": "json"}), "data")
    check("1 bad" in err and "first bad row: inline data, record 5" in err and "published" in out, f"bad rows are told and left out: {err}")

    write(env, "file", "a file where a folder should be")
    _, err = index(env, spec(inline(), {"type": "json"}), "file", CANNOT)
    check(env.path("file") in err, err)
    s = write(env, "spec.json", spec(inline(), {"type": "json"}))
    for words, want, message in ((["--meta-url", "mysql://x"], WRONG, "mysql"), (["--deep-storage", "ftp://x"], CANNOT, "ftp"),
                                 (["--meta-url", f"sqlite://{env.path('file')}/meta.db"], CANNOT, env.path("file"))):
        _, err = henge(env, "index", s, "--data", env.path("data"), *words, want=want)
        check(message in err, f"{words}: {message!r} is not in {err!r}")


# ---- damage ----

def test_damaged_segments(env):
    """Each byte changed in turn, and the file cut at each length: never a crash, and a message that names the file. What passes as whole is
    changed in a gap between blocks only, which nothing reads: it holds the same rows."""
    index(env, spec(inline(), {"type": "json"}), "data")
    with open(pushed(env, "data")[0], "rb") as f:
        good = f.read()
    rows = henge(env, "ctl", "segment", "dump", pushed(env, "data")[0])[0]
    batch, places, n_columns, gaps = 400, set(), 0, 0
    for kind in ("flip", "cut"):
        for start in range(0, len(good), batch):
            names = []
            for at in range(start, min(start + batch, len(good))):
                names.append(env.path("damaged", f"{kind}-{at}.seg"))
                os.makedirs(os.path.dirname(names[-1]), exist_ok=True)
                with open(names[-1], "wb") as f:
                    f.write(good[:at] + (bytes([good[at] ^ 0x10]) + good[at + 1:] if kind == "flip" else b""))
            out, err = henge(env, "ctl", "segment", "verify", *names, want=CANNOT)
            whole, lines = [line.split(": ok")[0] for line in out.splitlines()], err.splitlines()
            gaps += len(whole)
            for name in whole:
                check(kind == "flip" and good[int(re.search(r"(\d+)\.seg$", name).group(1))] == 0, f"{name} passes as whole")
            for name in whole[::16]:
                check_equal(henge(env, "ctl", "segment", "dump", name)[0], rows, f"rows of {name}, which passes as whole")
            damaged = [n for n in names if n not in whole]
            check_equal(len(lines), len(damaged), f"one line a damaged file ({kind} from {start})")
            for name, line in zip(damaged, lines):
                check(re.match(f"henge ctl segment verify: (segment )?{re.escape(name)}: .", line), f"the message should name {name}: {line}")
                place = line.split(f"{name}: ", 1)[1]
                n_columns += bool(re.search(r"column .*block \d", place))
                places.add(re.sub(r"\d+|0x[0-9a-f]+|[0-9a-f]{8,}", "N", place)[:60])
            for name in names:
                os.unlink(name)
    check(n_columns > 100, f"only {n_columns} messages name column and block; there were: {sorted(places)}")
    check(gaps < len(good) / 2, f"{gaps} of {len(good)} bytes may change unseen")
    env.say(f"{2 * len(good)} files, {gaps} of them changed in gaps only, {n_columns} told by column and block")
    path = write(env, "text.seg", "not a segment\n")
    for words in (["verify"], ["stat"], ["dump"]):
        _, err = henge(env, "ctl", "segment", *words, path, want=CANNOT)
        check(err.startswith(f"henge ctl segment {words[0]}: ") and f"{path}: not a segment file" in err, err)
    good_path = write(env, "good.seg", "")
    with open(good_path, "wb") as f:
        f.write(good)
    out, err = henge(env, "ctl", "segment", "verify", path, good_path, "/nowhere.seg", want=CANNOT)
    check(f"{good_path}: ok" in out and "text.seg" in err and "/nowhere.seg" in err, f"one bad file should not hide the others: {out}{err}")


harness.main(globals())
