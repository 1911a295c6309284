#!/usr/bin/env python3
"""Druid's answers, asked of Henge: the recorded native cases of tests/conformance and the callers' mistakes beside them.

What runs is chosen by HENGE_CONFORMANCE: nothing, what fits into a minute and a half; `all`, every case in every shape; or the names of
shapes, with commas between them. HENGE_TEST_UPDATE=1 writes tests/conformance/must-pass.txt anew. A folder of the same make (cases, data,
load), named by MORE_CONFORMANCE, is asked too; nothing of it may fail either."""
import glob
import os
import zlib

import conformance as c
import harness
from cluster import Cluster, Server
from harness import check
from postgres import Postgres

LIST = os.path.join(c.FOLDER, "must-pass.txt")
ALL = os.environ.get("HENGE_CONFORMANCE") == "all"
CHOSEN = [] if ALL else [s for s in os.environ.get("HENGE_CONFORMANCE", "").split(",") if s]


def wanted(shape):
    return ALL or shape in CHOSEN


def sample(cases):
    """Every case with HENGE_CONFORMANCE; else one in eight, always the same ones."""
    return [(n, k) for n, k in cases if ALL or CHOSEN or zlib.crc32(n.encode()) % 8 == 0]


def more():
    """The other folder, and the names of its datasets that are not ours."""
    folder = os.environ.get("MORE_CONFORMANCE")
    names = sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(folder, "load", "*.json"))) if folder else []
    return folder, [n for n in names if n not in c.DATASETS]


def none_may_fail(problems):
    check(not problems, f"{len(problems)} cases do not agree: " + "; ".join(problems[:5]))


def shape(env, name, specs, settings=None, kinds=None, context=None, cases=None):
    """A standalone server with these segments, asked every case."""
    server = Server(env, "standalone", settings, name=name)
    c.load(specs, server)
    env.say(f"{name}: loaded")
    none_may_fail(c.must_agree(env, name, server.port, cases or list(c.cases()), kinds or (name,), context))
    check(server.terminate() == 0, "exit status after SIGTERM")


def must_pass(good, bad):
    if os.environ.get("HENGE_TEST_UPDATE"):
        with open(LIST, "w", encoding="utf-8") as f:
            f.writelines(n + "\n" for n in sorted(good))
    with open(LIST, encoding="utf-8") as f:
        must = f.read().split()
    none_may_fail([f"{n}: {bad[n][:1200]}" for n in must if n in bad])
    check(not set(must) - set(good) - set(bad), f"must-pass.txt names cases that are not there: {sorted(set(must) - set(good) - set(bad))[:5]}")
    if set(good) - set(must):
        print(f"{len(set(good) - set(must))} cases pass and are not in must-pass.txt: {', '.join(sorted(set(good) - set(must))[:20])}")


def test_standalone(env):
    """One process; then the callers' mistakes, and batches of two rows, on the same segments."""
    folder, names = more()
    server = Server(env, "standalone")
    c.load([c.read_spec(n) for n in c.DATASETS] + [c.read_spec(n, folder) for n in names], server)
    env.say("standalone: loaded")
    good, bad = c.ask_all(server.port, c.cases())
    c.report(env, "standalone", good, bad)
    must_pass(good, bad)
    none_may_fail(c.must_agree(env, "mistakes", server.port, c.mistakes()))
    none_may_fail(c.must_agree(env, "batches of 2 rows", server.port, sample(c.cases()), context={"vectorSize": 2}))
    if folder:
        none_may_fail(c.must_agree(env, folder, server.port, [*c.cases(folder), *c.mistakes(folder)]))
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_cluster(env):
    """Separate processes: a day in each of three tiers (locked memory, and two sizes of block cache)."""
    folder, names = more()
    cluster = Cluster(env, Postgres(env))
    coordinator = cluster.add("coordinator", start=False)
    tiers = [cluster.add("historical", "hot", False, server__tier="hot", historical__hot="true", server__capacity="256MiB"),
             cluster.add("historical", "cold", False, server__tier="cold", historical__cache__bytes="64MiB"),
             cluster.add("historical", "icy", False, server__tier="icy", historical__cache__bytes="1MiB")]
    ingest, broker = cluster.add("ingest", start=False), cluster.add("broker", start=False)
    for s in cluster.servers.values():
        s.start(healthy=False)
    for s in cluster.servers.values():
        s.wait_healthy(60)
        s.wait_ready(60)
    rules = [{"type": "loadByInterval", "interval": f"2024-03-{day}/P1D", "tieredReplicants": {tier.name: 1}} for day, tier in zip(("08", "09", "10"), tiers)]
    for name in (*c.DATASETS, *names):
        coordinator.post(f"/druid/coordinator/v1/rules/{name}", rules + [{"type": "loadForever", "tieredReplicants": {"cold": 1}}])
    c.load([c.read_spec(n) for n in c.DATASETS] + [c.read_spec(n, folder) for n in names], ingest, coordinator)
    env.say("cluster: loaded")
    for tier in tiers:
        check(tier.metric("henge_segments_served") > 0, f"{tier.name} serves nothing")
    problems = c.must_agree(env, "cluster", broker.port, c.cases(), ("cluster",))
    problems += c.must_agree(env, "mistakes", broker.port, c.mistakes())
    if folder:
        problems += c.must_agree(env, folder, broker.port, [*c.cases(folder), *c.mistakes(folder)], ("cluster",))
    none_may_fail(problems)
    cluster.stop()


def test_live(env):
    """All of it in live rows that are never handed off."""
    server = Server(env, "standalone", {"kafka.mock": "true", "ingest.live.max_rows": 1000000, "ingest.seal.period": "100h", "ingest.persist.period": "20h"})
    c.stream(env, server, [c.read_spec(n) for n in c.DATASETS])
    env.say("live: read")
    none_may_fail(c.must_agree(env, "live", server.port, sample(c.cases()), ("live",)))
    if ALL:
        none_may_fail(c.must_agree(env, "live, batches of 3 rows", server.port, c.cases(), ("live",), {"vectorSize": 3}))
    server.process.kill9()


def test_persisted(env):
    """Live rows of which most are on disk: of the datasource without rollup, as rows that are written before the hour is over are not rolled up further."""
    if not wanted("persisted"):
        return
    server = Server(env, "standalone", {"kafka.mock": "true", "ingest.live.max_rows": 7000, "ingest.seal.period": "100h"})
    c.stream(env, server, [c.read_spec("ads_raw")])
    env.say("persisted: read")
    raw = [(n, k) for n, k in c.cases() if '"ads_raw"' in c.json.dumps(k["query"]) and '"ads"' not in c.json.dumps(k["query"])]
    none_may_fail(c.must_agree(env, "persisted", server.port, raw, ("live", "persisted")))
    server.process.kill9()


def test_mixed(env):
    """The first day published, in many segments; the others live."""
    if not wanted("mixed"):
        return
    server = Server(env, "standalone", {"kafka.mock": "true", "ingest.live.max_rows": 1000000, "ingest.seal.period": "100h", "ingest.persist.period": "20h"})
    specs = [c.partitioned(c.read_spec(n), {"type": "hashed", "numShards": 5}) for n in c.DATASETS]
    for s in specs:
        s["spec"]["dataSchema"]["granularitySpec"]["intervals"] = ["2024-03-08/P1D"]
    c.load(specs, server)
    c.stream(env, server, specs, "2024-03-09")
    env.say("mixed: loaded and read")
    none_may_fail(c.must_agree(env, "mixed", server.port, c.cases(), ("live", "mixed")))
    server.process.kill9()


def test_hot(env):
    """Blocks without codec, in locked memory."""
    if wanted("hot"):
        shape(env, "hot", [c.read_spec(n) for n in c.DATASETS], {"historical.hot": "true", "server.capacity": "512MiB"})


def test_one(env):
    """One segment a day."""
    if wanted("one"):
        shape(env, "one", [c.partitioned(c.read_spec(n), {"type": "dynamic", "maxRowsPerSegment": 5000000}) for n in c.DATASETS], kinds=("one", "layout"))


def test_entity_order(env):
    """One segment a day, its rows sorted by advertiser, campaign, ad group and ad before time."""
    one = {"type": "dynamic", "maxRowsPerSegment": 5000000}
    shape(env, "entity_order", [c.by_entity(c.partitioned(c.read_spec(n), one)) for n in c.DATASETS], kinds=("entity_order", "layout"), cases=sample(c.cases()))


def test_projections(env):
    """One segment a day, with projections that many of the cases can be answered from."""
    one = {"type": "dynamic", "maxRowsPerSegment": 5000000}
    shape(env, "projections", [c.projected(c.partitioned(c.read_spec(n), one)) for n in c.DATASETS], kinds=("projections", "layout"), cases=sample(c.cases()))


def test_many(env):
    """Many small segments, cut by a hash of time and all dimensions, or as rows come; no block is kept decompressed."""
    if wanted("many"):
        # What is cut as it comes is not rolled up across cuts, so that is for the datasource without rollup.
        cuts = {"ads": {"type": "hashed", "numShards": 30}, "ads_raw": {"type": "dynamic", "maxRowsPerSegment": 1500}}
        shape(env, "many", [c.partitioned(c.read_spec(n), cuts[n]) for n in c.DATASETS], {"historical.cache.bytes": 0}, ("many", "layout"))


def test_hashed(env):
    """Many segments by the hash of one dimension."""
    if wanted("hashed"):
        shape(env, "hashed", [c.partitioned(c.read_spec(n), {"type": "hashed", "numShards": 7, "partitionDimensions": ["advertiser_id"]}) for n in c.DATASETS], kinds=("hashed", "layout"))


def test_range(env):
    """Many segments by ranges of two dimensions."""
    if wanted("range"):
        shape(env, "range", [c.partitioned(c.read_spec(n), {"type": "range", "partitionDimensions": ["country", "campaign_id"], "targetRowsPerSegment": 5000}) for n in c.DATASETS],
              kinds=("range", "layout"))


def test_namespaces(env):
    """Half of the rows in each of two namespaces."""
    if wanted("namespaces"):
        shape(env, "namespaces", [h for n in c.DATASETS for h in c.in_namespaces(env, c.read_spec(n))], kinds=("namespaces", "layout"))


harness.main(globals())
