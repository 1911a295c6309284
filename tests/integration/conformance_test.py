#!/usr/bin/env python3
"""Druid's answers: loads the conformance datasets into `henge standalone` by batch tasks and asks every native case.

tests/conformance/must-pass.txt lists the cases that pass; none of them may fail. HENGE_TEST_UPDATE=1 writes it anew.
Another folder of the same make (cases, data, load), named by MORE_CONFORMANCE, is asked too and only counted."""
import collections
import glob
import json
import os
import sys

import harness
from cluster import Server
from harness import check, wait_until

FOLDER = os.path.join(harness.ROOT, "tests", "conformance")
sys.path.insert(0, FOLDER)
import run as runner  # noqa: E402
LIST = os.path.join(FOLDER, "must-pass.txt")


def load(server, name, spec_folder, data_folder):
    with open(os.path.join(spec_folder, name + ".json"), encoding="utf-8") as f:
        spec = f.read().replace("@DATA@", data_folder)
    task = server.post("/druid/indexer/v1/task", spec)["task"]

    def ended():
        status = server.get(f"/druid/indexer/v1/task/{task}/status")["status"]
        check(status["statusCode"] != "FAILED", f"{name}: {status['errorMsg']}")
        return status["statusCode"] == "SUCCESS"
    wait_until(f"task {task} to end", ended, 120, process=server.process)

    def served():
        status, _, answer = server.request("GET", f"/druid/coordinator/v1/datasources/{name}/loadstatus?forceMetadataRefresh=true&interval=1000-01-01_3000-01-01")
        return status == 200 and answer.get(name) == 100.0
    wait_until(f"{name} to be served", served, 60, process=server.process)


def cases(folder):
    for path in sorted(glob.glob(os.path.join(folder, "cases", "*.jsonl"))):
        group = os.path.basename(path)[:-6]
        with open(path, encoding="utf-8") as f:
            for line in f:
                case = json.loads(line)
                if case["endpoint"] == "native":
                    yield f"{group}/{case['name']}", case


def ask_all(server, folder):
    """(names that pass, {name: why not})"""
    good, bad = [], {}
    base = f"http://127.0.0.1:{server.port}"
    for name, case in cases(folder):
        ok, why = runner.agrees(case, *runner.ask(base, case))
        if ok:
            good.append(name)
        else:
            bad[name] = why
    return good, bad


def report(title, good, bad):
    groups = collections.OrderedDict()
    for name in sorted([*good, *bad]):
        groups.setdefault(name.split("/")[0], [0, 0])[name in bad] += 1
    print(title)
    for group, (yes, no) in groups.items():
        print(f"  {group:14s} {yes:4d} of {yes + no}")
    print(f"  {'all':14s} {len(good):4d} of {len(good) + len(bad)}")


def test_conformance(env):
    server = Server(env, "standalone")
    for name in ("ads", "ads_raw"):
        load(server, name, os.path.join(FOLDER, "load"), os.path.join(FOLDER, "data"))
    good, bad = ask_all(server, FOLDER)
    report("cases of tests/conformance that Henge answers as Druid does:", good, bad)
    check(not any(n.startswith("basic/") for n in bad), "basic cases fail: " + ", ".join(n for n in bad if n.startswith("basic/")))
    if os.environ.get("HENGE_TEST_UPDATE"):
        with open(LIST, "w", encoding="utf-8") as f:
            f.writelines(n + "\n" for n in sorted(good))
    with open(LIST, encoding="utf-8") as f:
        must = f.read().split()
    lost = [n for n in must if n in bad]
    check(not lost, f"{len(lost)} cases do not pass any more: " + "; ".join(f"{n}: {bad[n][:600]}" for n in lost[:5]))
    fresh = sorted(set(good) - set(must))
    if fresh:
        print(f"{len(fresh)} cases pass and are not in must-pass.txt: {', '.join(fresh[:20])}")
    more = os.environ.get("MORE_CONFORMANCE")
    if more:
        load(server, "wiki", os.path.join(more, "load"), os.path.join(more, "data"))
        report(f"cases of {more}:", *ask_all(server, more))
    check(server.terminate() == 0, "exit status after SIGTERM")


harness.main(globals())
