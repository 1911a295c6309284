#!/usr/bin/env python3
"""Writes the golden theta vectors beside it, with the reference implementation: pip install datasketches (made with 5.2.0).

    make.py [OUT_DIR]"""
import json
import os
import sys

import datasketches as ds

HEX_LIMIT = 160  # longer forms are kept as their FNV-1a hash


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def item(kind, i):
    return i if kind == "long" else i * 0.5 - 3.0 if kind == "double" else "item-%d" % i


def form(data):
    return {"hex": data.hex()} if len(data) <= HEX_LIMIT else {"len": len(data), "fnv": fnv(data)}


def facts(s):
    return {"retained": s.num_retained, "estimate": s.get_estimate(), "empty": s.is_empty(), "theta": s.theta,
            "lower": [s.get_lower_bound(d) for d in (1, 2, 3)], "upper": [s.get_upper_bound(d) for d in (1, 2, 3)]}


def build(lg_k, kind, start, end):
    s = ds.update_theta_sketch(lg_k)
    for i in range(start, end):
        s.update(item(kind, i))
    return s


def builds():
    turn = 0
    for lg_k in (5, 6, 8, 10, 12, 14):
        for n in (0, 1, 2, 3, 30, 40, 100, 500, 1000, 5000, 20000, 100000):
            kind = ("long", "double", "string")[turn % 3]
            turn += 1
            s = build(lg_k, kind, 0, n)
            s.trim()
            c = s.compact(True)
            yield {"lg_k": lg_k, "kind": kind, "n": n, **facts(c), "compact": form(c.serialize())}


def operations():
    for lg_k in (5, 8, 12):
        k = 1 << lg_k
        for a, b in (((0, 0), (0, 0)), ((0, 0), (0, 9)), ((0, 5), (3, 9)), ((0, 5), (5, 9)), ((0, 5), (0, 5)), ((0, k), (k // 2, 2 * k)), ((0, 4 * k), (k, 6 * k)),
                     ((0, 20 * k), (10 * k, 11 * k)), ((0, 3), (2, 30 * k)), ((0, 30 * k), (30 * k, 60 * k)), ((0, 30 * k), (0, 30 * k))):
            x, y = build(lg_k, "long", *a), build(lg_k, "long", *b)
            union = ds.theta_union(lg_k)
            union.update(x)
            union.update(y)
            inter = ds.theta_intersection()
            inter.update(x)
            inter.update(y)
            for name, r in (("union", union.get_result()), ("intersection", inter.get_result()), ("a_not_b", ds.theta_a_not_b().compute(x, y))):
                yield {"op": name, "lg_k": lg_k, "a": a, "b": b, **facts(r), "compact": form(r.serialize())}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    for name, rows in (("builds", list(builds())), ("operations", list(operations()))):
        with open(os.path.join(folder, name + ".json"), "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
        print(name, len(rows))


main()
