#!/usr/bin/env python3
"""A cluster as its operators handle it, by henge ctl alone: a historical is emptied and let back in while queries go on, rules move data to another tier, and what every coordinator is told is
known to the other; days are written anew and brought back."""
import json
import os
import threading

import harness
from cluster import Cluster
from harness import check, check_equal, wait_until
from postgres import Postgres

DAYS = range(1, 9)
CLICKS = {"queryType": "timeseries", "dataSource": "ads", "intervals": ["2024-05-01/P30D"], "granularity": "all", "aggregations": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}]}


def ctl(env, url, *words, want=0, deadline_s=90):
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("HENGE_")}
    r = env.run([env.program("henge"), "ctl", *words, "--url", url], deadline_s, ok=False, env={**inherited, "USER": "kim"}, cwd=env.dir)
    check(r.returncode == want, f"henge ctl {' '.join(words)}: exit status {r.returncode}, want {want}\n{r.stdout[-2000:]}{r.stderr[-3000:]}")
    return r.stdout, r.stderr


def rows(env, url, *words):
    return json.loads(ctl(env, url, *words, "--format", "json")[0])


def held(env, url):
    """Bytes of each historical, by its name's port."""
    return {r["server"]: r["usedBytes"] for r in rows(env, url, "servers") if "historical" in r["roles"]}


def test_drain_and_rules(env):
    cluster = Cluster(env, Postgres(env))
    first, second = cluster.add("coordinator", "c1"), cluster.add("coordinator", "c2")
    historicals = [cluster.add("historical", f"h{i}", server__tier="warm") for i in (1, 2)]
    cluster.add("historical", "h3", server__tier="icy")
    ingest, broker = cluster.add("ingest"), cluster.add("broker")
    url, other = f"127.0.0.1:{first.port}", f"127.0.0.1:{second.port}"
    names = {h.name: f"127.0.0.1:{h.port}" for h in (*historicals, cluster["h3"])}

    with open(env.path("warm.json"), "w", encoding="utf-8") as f:
        json.dump([{"type": "loadForever", "tieredReplicants": {"warm": 1}}], f)
    ctl(env, other, "rules", "set", "_default", "warm.json", "--yes")  # whichever leads
    schema = {"dataSource": "ads", "timestampSpec": {"column": "t"}, "dimensionsSpec": {"dimensions": ["country"]}, "metricsSpec": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}],
              "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR"}}

    def load(days, factor):
        lines = "".join(json.dumps({"t": f"2024-05-0{d}T01:00:00Z", "country": "DE", "clicks": d * factor}) + "\n" for d in days)
        with open(env.path("task.json"), "w", encoding="utf-8") as f:
            json.dump({"type": "index_parallel", "spec": {"dataSchema": schema, "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": lines}}}}, f)
        ctl(env, url, "tasks", "submit", "task.json", "--wait", "--ingest", f"127.0.0.1:{ingest.port}")

    load(DAYS, 1)
    want = sum(DAYS)

    def total():
        answer = broker.query(CLICKS)
        return answer[0]["result"]["clicks"] if answer else None

    wait_until("the batch to be visible", lambda: total() == want, 60)
    stop, wrong = threading.Event(), []

    def watch():
        while not stop.is_set():
            got = total()
            if got != want:
                wrong.append(got)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at = names["h1"] if held(env, url)[names["h1"]] else names["h2"]
        out, err = ctl(env, url, "drain", at, "--yes", "--wait")
        check("is empty; it can be stopped" in out, f"{out!r} {err!r}")
        check_equal(held(env, url)[at], 0, "bytes on the server that was emptied")
        check_equal([r["state"] for r in rows(env, other, "servers") if r["server"] == at], ["drained"], "its state, as the other coordinator tells it")
        drained = next(n for n, a in names.items() if a == at)
        cluster[drained].kill9()
        cluster[drained].start()
        out, _ = ctl(env, other, "drain", drained)  # by its name too
        check("is empty; it can be stopped" in out, f"a restart does not forget it: {out!r}")
        _, err = ctl(env, url, "drain", "h9", want=1)
        check('there is no server "h9"; historicals that are up: h1, h2, h3' in err, err)
        _, err = ctl(env, url, "drain", f"127.0.0.1:{broker.port}", "--yes", want=1)
        check("is no historical" in err or "there is no server" in err, err)
        out, _ = ctl(env, url, "drain", at, "--undo")
        check("is in service" in out, out)
        # Rules: old days to another tier.
        with open(env.path("split.json"), "w", encoding="utf-8") as f:
            json.dump([{"type": "loadByInterval", "interval": "2024-05-01/P4D", "tieredReplicants": {"icy": 1}}], f)
        effect = {r["tier"]: r["segmentsThen"] for r in rows(env, url, "rules", "check", "split.json", "--datasource", "ads")["effect"]}
        check_equal(effect, {"warm": 4, "icy": 4}, "what the rules would do")
        ctl(env, url, "rules", "set", "ads", "split.json", "--yes", "--comment", "old days on icy")
        wait_until("four segments on icy", lambda: [t["usedBytes"] > 0 for t in rows(env, url, "tiers") if t["tier"] == "icy"] == [True], 60)
        check_equal([e["comment"] for e in rows(env, other, "rules", "history", "ads")], ["old days on icy"], "history")
    finally:
        stop.set()
        watcher.join()
    check_equal(wrong, [], "answers while segments moved")
    # Two days are written anew, one on each tier, and brought back at one moment.
    load((1, 8), 100)
    wait_until("the newer days to be visible", lambda: total() == want + 99 * (1 + 8), 60)
    out, _ = ctl(env, other, "revert", "ads", "--intervals", "2024-05-01/P1D,2024-05-08/P1D", "--yes", "--wait")
    check("is done: queries see the older data" in out, out)
    wait_until("the broker to have seen it", lambda: total() == want, 10)
    check_equal({v["state"] for v in rows(env, url, "versions", "ads", "--interval", "2024-05-08/P1D")}, {"SHOWN", "UNUSED"}, "versions of a day")
    check_equal([r["segments"] for r in rows(env, url, "namespaces", "ads")], [len(DAYS)], "segments that can be seen")
    cluster.stop()


harness.main(globals())
