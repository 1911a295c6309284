#!/usr/bin/env python3
"""Sketches are DataSketches': what Henge answers with `finalize: false` is read by the PyPI package `datasketches` with the same
estimates, and sketches that it wrote are ingested, merged and answered as it does itself. Small ones and large ones, in each form.
Skipped, and said so, where the package cannot be had."""
import base64
import json
import math
import random

import harness
import pypi
from cluster import Server
from conformance import load
from harness import check

ds, WHY_NOT = pypi.load("datasketches")
SIZES = (0, 1, 7, 100, 3000, 40000)  # of the forms list, set, array; exact and estimated
SEED = 20240308


def close(got, want, what, tolerance=1e-9):
    check(abs(got - want) <= tolerance * max(1.0, abs(want)), f"{what}: got {got!r}, want {want!r}")


def task(name, metrics, rows):
    return {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": name, "timestampSpec": {"column": "t", "format": "iso"}, "dimensionsSpec": {"dimensions": ["kind", "size"]}, "metricsSpec": metrics,
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "DAY", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": "".join(json.dumps(r) + "\n" for r in rows)}}}}


def grouped(server, name, aggregations, post=(), **context):
    """{(kind, size): event}"""
    q = {"queryType": "groupBy", "dataSource": name, "intervals": ["2024/2025"], "granularity": "all", "dimensions": ["kind", "size"], "aggregations": aggregations,
         "postAggregations": list(post), "context": context}
    return {(r["event"]["kind"], int(r["event"]["size"])): r["event"] for r in server.query(q, timeout=120)}


def values(size, start=0):
    return [f"user-{i}" for i in range(start, start + size)]


# ---- what the package is asked ----

def hll_types():
    return {"HLL_4": ds.tgt_hll_type.HLL_4, "HLL_6": ds.tgt_hll_type.HLL_6, "HLL_8": ds.tgt_hll_type.HLL_8}


def registers(sketches, lg_k):
    """An estimate that depends on the registers of the sketches' union alone. A sketch that took items one by one estimates from the order in which they came; a
    union that met more than one full sketch does not."""
    union, twice = ds.hll_union(lg_k), ds.hll_union(lg_k)
    for s in sketches:
        union.update(s)
    for _ in range(2):
        twice.update(union.get_result(ds.tgt_hll_type.HLL_8))
    return twice.get_estimate()


def hll_built(texts):
    """Druid's HLL sketches hash the two bytes of each UTF-16 unit, which of ASCII are the character and a zero."""
    sketch = ds.hll_sketch(14, ds.tgt_hll_type.HLL_8)
    for t in texts:
        sketch.update("".join(c + "\0" for c in t))
    return sketch


def hll_of(text):
    return ds.hll_sketch.deserialize(base64.b64decode(text))


def theta_of(text):
    return ds.compact_theta_sketch.deserialize(base64.b64decode(text))


def quantiles_of(text):
    return ds.quantiles_doubles_sketch.deserialize(base64.b64decode(text))


def encoded(data):
    return base64.b64encode(bytes(data)).decode()


# ---- ours, read by the package ----

def test_ours_are_read(env):
    if not ds:
        return env.say("skipped: " + WHY_NOT)
    server = Server(env, "standalone")
    rows = [{"t": "2024-03-08T00:00:00Z", "kind": "all", "size": str(n), "user": u, "x": math.sin(i) * 1000} for n in SIZES for i, u in enumerate(values(n))]
    rows.append({"t": "2024-03-08T00:00:00Z", "kind": "all", "size": "0"})
    load([task("raw", [{"type": "HLLSketchBuild", "name": "hll", "fieldName": "user", "lgK": 14}, {"type": "thetaSketch", "name": "theta", "fieldName": "user", "size": 4096},
                       {"type": "quantilesDoublesSketch", "name": "q", "fieldName": "x", "k": 256}], rows)], server)
    aggs = [{"type": "thetaSketch", "name": "theta", "fieldName": "theta", "size": 4096}, {"type": "thetaSketch", "name": "theta_small", "fieldName": "theta", "size": 512},
            {"type": "quantilesDoublesSketch", "name": "q", "fieldName": "q", "k": 256}]
    for target in hll_types():
        for lg_k in (4, 11, 14):
            aggs.append({"type": "HLLSketchMerge", "name": f"{target}/{lg_k}", "fieldName": "hll", "lgK": lg_k, "tgtHllType": target})
    ranks = [0.0, 0.01, 0.25, 0.5, 0.9, 0.999, 1.0]
    post = [{"type": "quantilesDoublesSketchToQuantiles", "name": "at", "fractions": ranks, "field": {"type": "fieldAccess", "fieldName": "q"}}]
    bytes_of, numbers = grouped(server, "raw", aggs, post, finalize=False), grouped(server, "raw", aggs, post)
    check(sorted(s for _, s in bytes_of) == sorted(SIZES), f"groups {sorted(bytes_of)}")
    for at in bytes_of:
        raw, final, size = bytes_of[at], numbers[at], at[1]
        built = hll_built(values(size))
        for target, theirs in hll_types().items():
            for lg_k in (4, 11, 14):
                name = f"{target}/{lg_k}"
                sketch = hll_of(raw[name])
                check(sketch.lg_config_k == lg_k and sketch.tgt_type == theirs, f"{name} of {size}: lgK {sketch.lg_config_k}, {sketch.tgt_type}")
                close(sketch.get_estimate(), final[name], f"{name} of {size}")
                close(registers([sketch], lg_k), registers([built], lg_k), f"registers of {name} of {size}")
                check(sketch.get_lower_bound(3) <= size <= sketch.get_upper_bound(3), f"{name} of {size}: estimate {sketch.get_estimate()} is out of bounds")
        for name, lg_k in (("theta", 12), ("theta_small", 9)):
            sketch, own = theta_of(raw[name]), ds.update_theta_sketch(lg_k)
            for u in values(size):
                own.update(u)
            close(sketch.get_estimate(), final[name], f"{name} of {size}")
            if size < 1 << (lg_k - 1):
                check(sketch.get_estimate() == size == own.get_estimate(), f"{name} of {size}: {sketch.get_estimate()}")
            else:
                check(sketch.get_lower_bound(3) <= size <= sketch.get_upper_bound(3), f"{name} of {size}: {sketch.get_estimate()} is out of bounds")
        sketch = quantiles_of(raw["q"])
        check(sketch.n == size == final["q"] and sketch.k == 256, f"quantiles of {size}: n {sketch.n}, k {sketch.k}")
        if size:
            close(sketch.get_min_value(), min(math.sin(i) * 1000 for i in range(size)), "the least value")
            for rank, got in zip(ranks, final["at"]):
                close(got, sketch.get_quantile(rank, True), f"quantile {rank} of {size}")
    env.say(f"{len(bytes_of)} groups with {len(aggs)} sketches each were read")
    check(server.terminate() == 0, "exit status after SIGTERM")


# ---- the package's, ingested here ----

def hll_rows(rng):
    """(rows, {group: the sketches})"""
    rows, want = [], {}
    for target, theirs in hll_types().items():
        for lg_k in (4, 12, 21):
            for n in SIZES:
                for part in range(2):
                    sketch = ds.hll_sketch(lg_k, theirs)
                    for u in values(n, part * n // 2):
                        sketch.update(u)
                    want.setdefault((f"{target}/{lg_k}", n), []).append(sketch)
                    data = sketch.serialize_updatable() if rng.randrange(2) else sketch.serialize_compact()
                    rows.append({"t": "2024-03-08T00:00:00Z", "kind": f"{target}/{lg_k}", "size": str(n), "sketch": encoded(data)})
    return rows, want


def test_theirs_hll(env):
    if not ds:
        return env.say("skipped: " + WHY_NOT)
    server = Server(env, "standalone")
    rows, want = hll_rows(random.Random(SEED))
    load([task("hll", [{"type": "HLLSketchMerge", "name": "s", "fieldName": "sketch", "lgK": 12}], rows)], server)
    agg = [{"type": "HLLSketchMerge", "name": "s", "fieldName": "s", "lgK": 12}]
    got, raw = grouped(server, "hll", agg), grouped(server, "hll", agg, finalize=False)
    check(got.keys() == want.keys(), f"groups {sorted(got)}")
    for at, sketches in want.items():
        ours, lg_k = hll_of(raw[at]["s"]), min(12, int(at[0].split("/")[1]))
        close(registers([ours], lg_k), registers(sketches, lg_k), f"registers of HLL {at}")
        close(ours.get_estimate(), got[at]["s"], f"HLL {at}, read back")
        check(ours.get_lower_bound(3) <= at[1] * 1.5 <= ours.get_upper_bound(3) + 1, f"HLL {at}: {got[at]['s']} is out of bounds")
    env.say(f"{len(rows)} HLL sketches, the largest of {max(len(r['sketch']) for r in rows):,} characters")
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_theirs_theta(env):
    if not ds:
        return env.say("skipped: " + WHY_NOT)
    server = Server(env, "standalone")
    rng, rows, want = random.Random(SEED), [], {}
    for lg_k in (5, 12, 16):
        for n in SIZES:
            union = ds.theta_union(14)
            for part in range(2):
                sketch = ds.update_theta_sketch(lg_k)
                for u in values(n, part * n // 2):
                    sketch.update(u)
                union.update(sketch)
                rows.append({"t": "2024-03-08T00:00:00Z", "kind": f"{lg_k}", "size": str(n), "sketch": encoded(sketch.compact(bool(rng.randrange(2))).serialize())})
            want[f"{lg_k}", n] = union.get_result().get_estimate()
    load([task("theta", [{"type": "thetaSketch", "name": "s", "fieldName": "sketch", "size": 16384, "isInputThetaSketch": True}], rows)], server)
    agg = [{"type": "thetaSketch", "name": "s", "fieldName": "s", "size": 16384}]
    got, raw = grouped(server, "theta", agg), grouped(server, "theta", agg, finalize=False)
    check(got.keys() == want.keys(), f"groups {sorted(got)}")
    for at, estimate in want.items():
        close(got[at]["s"], estimate, f"theta {at}")
        close(theta_of(raw[at]["s"]).get_estimate(), estimate, f"theta {at}, read back")
    env.say(f"{len(rows)} theta sketches, the largest of {max(len(r['sketch']) for r in rows):,} characters")
    check(server.terminate() == 0, "exit status after SIGTERM")


def test_theirs_quantiles(env):
    if not ds:
        return env.say("skipped: " + WHY_NOT)
    server = Server(env, "standalone")
    rng, rows, all_values = random.Random(SEED), [], {}
    for k in (2, 128, 2048):
        for n in SIZES:
            mine = all_values.setdefault((f"{k}", n), [])
            for _ in range(2):
                sketch = ds.quantiles_doubles_sketch(k)
                for _ in range(n):
                    mine.append(rng.gauss(0, 1))
                    sketch.update(mine[-1])
                rows.append({"t": "2024-03-08T00:00:00Z", "kind": f"{k}", "size": str(n), "sketch": encoded(sketch.serialize())})
    load([task("quantiles", [{"type": "quantilesDoublesSketch", "name": "s", "fieldName": "sketch", "k": 2048}], rows)], server)
    agg = [{"type": "quantilesDoublesSketch", "name": "s", "fieldName": "s", "k": 2048}]
    got, raw = grouped(server, "quantiles", agg), grouped(server, "quantiles", agg, finalize=False)
    check(got.keys() == all_values.keys(), f"groups {sorted(got)}")
    for at, mine in all_values.items():
        sketch = quantiles_of(raw[at]["s"])
        check(sketch.n == len(mine) == got[at]["s"], f"quantiles {at}: n {sketch.n}, {got[at]['s']}, want {len(mine)}")
        if not mine:
            continue
        mine.sort()
        check(sketch.get_min_value() == mine[0] and sketch.get_max_value() == mine[-1], f"quantiles {at}: least and greatest")
        if len(mine) <= 4:
            check([sketch.get_quantile((i + 1) / len(mine), True) for i in range(len(mine))] == mine, f"quantiles {at}: few values are kept as they are")
        error = 3 * ds.quantiles_doubles_sketch(int(at[0])).normalized_rank_error(False)
        for rank in (0.1, 0.5, 0.9):
            value = sketch.get_quantile(rank, True)
            true = sum(v <= value for v in mine) / len(mine)
            check(abs(true - rank) <= error + 1 / len(mine), f"quantiles {at}: the value at rank {rank} is at {true}, which is off by more than {error}")
    env.say(f"{len(rows)} quantiles sketches, the largest of {max(len(r['sketch']) for r in rows):,} characters")
    check(server.terminate() == 0, "exit status after SIGTERM")


# ---- how far estimates are off ----

def test_errors(env):
    """Over many sets of other values the errors are no larger, and not more to one side, than the theory of the sketches says."""
    seeds, n, hll_k, theta_k, q_k = 120, 1200, 7, 128, 16
    path = env.path("events.json")
    rng = random.Random(SEED)
    true = {s: sorted(rng.random() for _ in range(n)) for s in range(seeds)}
    with open(path, "w", encoding="utf-8") as f:
        for s, mine in true.items():
            f.writelines(json.dumps({"t": "2024-03-08T00:00:00Z", "kind": "seed", "size": str(s), "user": f"{s}/{v}", "x": v}) + "\n" for v in rng.sample(mine, n))
    spec = task("seeds", [{"type": "HLLSketchBuild", "name": "hll", "fieldName": "user", "lgK": hll_k}, {"type": "thetaSketch", "name": "theta", "fieldName": "user", "size": theta_k},
                          {"type": "quantilesDoublesSketch", "name": "q", "fieldName": "x", "k": q_k}], [])
    spec["spec"]["ioConfig"]["inputSource"] = {"type": "local", "files": [path]}
    server = Server(env, "standalone")
    load([spec], server)
    answer = grouped(server, "seeds", [{"type": "HLLSketchMerge", "name": "hll", "fieldName": "hll", "lgK": hll_k}, {"type": "thetaSketch", "name": "theta", "fieldName": "theta", "size": theta_k},
                                       {"type": "quantilesDoublesSketch", "name": "q", "fieldName": "q", "k": q_k}],
                     [{"type": "quantilesDoublesSketchToQuantile", "name": "median", "fraction": 0.5, "field": {"type": "fieldAccess", "fieldName": "q"}}])
    check(len(answer) == seeds, f"{len(answer)} groups, want {seeds}")
    for name, sigma in (("hll", 1.04 / math.sqrt(1 << hll_k)), ("theta", 1 / math.sqrt(theta_k - 1))):
        errors = [row[name] / n - 1 for row in answer.values()]
        mean, rms = sum(errors) / seeds, math.sqrt(sum(e * e for e in errors) / seeds)
        check(rms <= 1.25 * sigma and abs(mean) <= 4 * sigma / math.sqrt(seeds), f"{name}: errors of {rms:.4f}, on average {mean:+.4f}; the theory says {sigma:.4f}")
        env.say(f"{name}: {seeds} sketches are off by {rms:.4f} and on average by {mean:+.4f}; the theory says {sigma:.4f}")
    ranks = [sum(v <= row["median"] for v in true[int(row["size"])]) / n - 0.5 for row in answer.values()]
    most = 1.576 / q_k ** 0.9726  # DataSketches' own fit, of 99 in 100
    check(sum(abs(r) > most for r in ranks) <= 0.05 * seeds and abs(sum(ranks)) / seeds <= most / 3, f"medians are off by up to {max(map(abs, ranks)):.4f} in rank; the theory says {most:.4f}")
    env.say(f"quantiles: medians of {seeds} sketches are off by up to {max(map(abs, ranks)):.4f} in rank; the theory says {most:.4f}")
    check(server.terminate() == 0, "exit status after SIGTERM")


harness.main(globals())
