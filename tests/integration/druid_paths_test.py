#!/usr/bin/env python3
"""Druid's operational paths against standalone and against separate processes: druid_paths.py has the table.

The same table proves itself against a real Druid that can read files of this machine:

    DRUID_PATHS='coordinator=http://127.0.0.1:8081 overlord=http://127.0.0.1:8081 broker=http://127.0.0.1:8082 historical=http://127.0.0.1:8083 worker=http://127.0.0.1:8091' \\
        tests/integration/druid_paths_test.py test_real_druid

It loads a datasource of its own there and drops it at the end."""
import json
import os
import urllib.parse

import druid_paths as paths
import harness
from cluster import Cluster, Server
from harness import check, wait_until
from postgres import Postgres

HOURS = [f"2024-03-{day:02d}T{hour:02d}:00:00Z" for day in (8, 9, 10) for hour in range(24)]


def spec(datasource, file):
    return {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": datasource, "timestampSpec": {"column": "timestamp", "format": "iso"}, "dimensionsSpec": {"dimensions": ["country", "device"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
                       "granularitySpec": {"type": "uniform", "segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "baseDir": os.path.dirname(file), "filter": os.path.basename(file)}, "inputFormat": {"type": "json"}},
        "tuningConfig": {"type": "index_parallel", "maxRowsPerSegment": 1000000}}}


def asked(base, method, path, body=None, want=200):
    status, _, text = paths.ask(base, method, path, body)
    check(status == want, f"{method} {base}{path}: {status}, want {want}: {text[:500]}")
    return json.loads(text) if text else None


def load(env, bases, datasource):
    """Loads a row an hour of three days; the names that the table's paths need."""
    file = env.path("rows.json")
    with open(file, "w", encoding="utf-8") as f:
        f.writelines(json.dumps({"timestamp": t, "country": "DE" if i % 2 else "FR", "device": "phone", "clicks": i}) + "\n" for i, t in enumerate(HOURS))
    task = asked(bases["overlord"], "POST", "/druid/indexer/v1/task", spec(datasource, file))["task"]

    def done():
        status = asked(bases["overlord"], "GET", f"/druid/indexer/v1/task/{task}/status")["status"]
        check(status["statusCode"] != "FAILED", f"task {task}: {status['errorMsg']}")
        return status["statusCode"] == "SUCCESS"
    wait_until(f"task {task}", done, 120, every_s=0.2)

    def served():
        base = "/druid/coordinator/v1/datasources/" + datasource
        whole = asked(bases["coordinator"], "GET", base + "/loadstatus?forceMetadataRefresh=true&interval=2024-01-01_2025-01-01")
        # Druid's parts learn of it one after the other.
        return whole == {datasource: 100.0} and len(asked(bases["coordinator"], "GET", base + "/segments")) == 3 \
            and len(asked(bases["broker"], "GET", f"/druid/v2/datasources/{datasource}/candidates?intervals=2024-01-01/2025-01-01")) == 3 \
            and asked(bases["coordinator"], "GET", "/druid/coordinator/v1/loadstatus").get(datasource) == 100.0 \
            and asked(bases["coordinator"], "GET", "/druid/coordinator/v1/loadstatus?simple").get(datasource) == 0 \
            and asked(bases["coordinator"], "GET", "/druid/coordinator/v1/loadstatus?full&computeUsingClusterView")["_default_tier"].get(datasource) == 0
    wait_until(f"{datasource} to be served", served, 120, every_s=0.2)
    segments = sorted(asked(bases["coordinator"], "GET", f"/druid/coordinator/v1/datasources/{datasource}/segments"))
    one = asked(bases["coordinator"], "GET", f"/druid/coordinator/v1/datasources/{datasource}/segments/{segments[0]}")
    return {"ds": datasource, "task": task, "seg": segments[0], "last": segments[-1], "server": one["servers"][0]}


def run(rows, bases, names, from_druid=False):
    faults = [f for f in (paths.fault(r, bases, names, from_druid) for r in rows) if f]
    check(not faults, f"{len(faults)} of {len(rows)} answers are not as they should be:\n  " + "\n  ".join(faults))


def run_all(env, bases, datasource, from_druid=False):
    names = load(env, bases, datasource)
    run(paths.READS, bases, names, from_druid)
    env.say(f"{len(paths.READS)} reads answered as the table has it")
    if not from_druid:
        run(paths.OURS, bases, names)
    run(paths.WRITES, bases, names, from_druid)
    env.say(f"{len(paths.WRITES)} writes answered as the table has it")
    return names


def count_rows(base, datasource):
    answer = asked(base, "POST", "/druid/v2", {"queryType": "timeseries", "dataSource": datasource, "intervals": "2024-01-01/2025-01-01", "granularity": "all",
                                               "aggregations": [{"type": "longSum", "name": "n", "fieldName": "events"}]})
    return answer[0]["result"]["n"] or 0 if answer else 0


def test_standalone(env):
    server = Server(env, "standalone")
    base = f"http://127.0.0.1:{server.port}"
    bases = {role: base for role in ("coordinator", "overlord", "broker", "historical", "worker")}
    run_all(env, bases, "paths")
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_processes(env):
    cluster = Cluster(env, Postgres(env))
    servers = {role: cluster.add(role) for role in ("coordinator", "historical", "ingest", "broker")}
    at = {role: f"http://127.0.0.1:{s.port}" for role, s in servers.items()}
    run_all(env, {"coordinator": at["coordinator"], "overlord": at["ingest"], "worker": at["ingest"], "broker": at["broker"], "historical": at["historical"]}, "paths")
    cluster.stop()


def test_marks_reach_queries(env):
    """What is marked unused is not queried; what is marked used is again, once it is served; of two versions only the newer comes back."""
    server = Server(env, "standalone")
    base = f"http://127.0.0.1:{server.port}"
    bases = {role: base for role in ("coordinator", "overlord", "broker", "historical", "worker")}
    first = load(env, bases, "marks")
    mark = "/druid/coordinator/v1/datasources/marks/mark"
    check(count_rows(base, "marks") == 72, "three days are there")
    asked(base, "POST", mark + "Unused", {"interval": "2024-03-08/2024-03-09"})
    wait_until("two days", lambda: count_rows(base, "marks") == 48)
    asked(base, "POST", mark + "Used", {"interval": "2024-03-08/2024-03-09"})
    wait_until("three days", lambda: count_rows(base, "marks") == 72)
    second = load(env, bases, "marks")
    check(first["seg"] != second["seg"], "a new version")
    check(asked(base, "POST", mark + "Used", {"interval": "2024-01-01/2025-01-01"})["numChangedSegments"] == 0, "the older version lies below the newer one")
    check(asked(base, "POST", mark + "Used", {"segmentIds": [first["seg"]]})["numChangedSegments"] == 0, "by id too")
    check(count_rows(base, "marks") == 72, "rows once")
    asked(base, "DELETE", "/druid/coordinator/v1/datasources/marks")
    wait_until("no rows", lambda: count_rows(base, "marks") == 0)
    check(asked(base, "POST", "/druid/coordinator/v1/datasources/marks")["numChangedSegments"] == 3, "the newer version comes back")
    wait_until("three days again", lambda: count_rows(base, "marks") == 72)
    check(asked(base, "GET", "/druid/coordinator/v1/datasources/marks/segments") == sorted(asked(base, "GET", "/druid/coordinator/v1/metadata/datasources/marks/segments")), "what is used is served")
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_real_druid(env):
    where = os.environ.get("DRUID_PATHS")
    if not where:
        env.say("DRUID_PATHS names no Druid: the table is not asked of one")
        return
    bases = dict(part.split("=", 1) for part in where.split())
    check(all(urllib.parse.urlparse(b).port for b in bases.values()), "DRUID_PATHS: role=http://host:port ...")
    run_all(env, bases, f"paths_{os.getpid()}", from_druid=True)


if __name__ == "__main__":
    harness.main(globals())
