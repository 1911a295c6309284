#!/usr/bin/env python3
"""Writes the golden HLL vectors beside it, with the reference implementation: pip install datasketches (made with 5.2.0).

    make.py [--dense] [OUT_DIR]

--dense makes many more, for a comparison that is not kept in the tree: point HENGE_SOURCE_DIR's tests/golden/hll at them."""
import json
import os
import sys

import datasketches as ds

TYPES = {4: ds.tgt_hll_type.HLL_4, 6: ds.tgt_hll_type.HLL_6, 8: ds.tgt_hll_type.HLL_8}
HEX_LIMIT = 160  # longer forms are kept as their FNV-1a hash


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return "%016x" % h


def item(kind, i):
    if kind == "long":
        return i
    if kind == "double":
        return i * 0.5 - 3.0
    # Druid hashes text as UTF-16LE; the reference hashes UTF-8, so it is given the text whose UTF-8 is those bytes (ASCII with zeros between).
    return "".join(c + "\0" for c in "item-%d" % i)


def form(data):
    return {"hex": data.hex()} if len(data) <= HEX_LIMIT else {"len": len(data), "fnv": fnv(data)}


def facts(s):
    return {
        "estimate": s.get_estimate(),
        "lower": [s.get_lower_bound(d) for d in (1, 2, 3)],
        "upper": [s.get_upper_bound(d) for d in (1, 2, 3)],
    }


def build(lg_k, bits, kind, start, end):
    s = ds.hll_sketch(lg_k, TYPES[bits])
    for i in range(start, end):
        s.update(item(kind, i))
    return s


def builds(dense):
    ks = range(4, 22) if dense else (4, 5, 7, 8, 10, 12, 15, 21)
    ns = [0, 1, 2, 7, 8, 9, 24, 25, 26, 60, 100, 400, 1000, 5000, 20000] if not dense else (
        list(range(0, 60)) + [100, 150, 200, 300, 500, 800, 1300, 2000, 3000, 5000, 8000, 12000, 20000, 50000, 100000])
    out = []
    turn = 0
    for lg_k in ks:
        for n in ns + ([200000] if lg_k in (17, 21) else []):
            for bits in (4, 6, 8):
                turn += 1
                if not dense and turn % 3 and n not in (7, 8, 25, 1000):
                    continue
                kind = ("long", "double", "string")[turn % 7 % 3]
                s = build(lg_k, bits, kind, 0, n)
                out.append({"lg_k": lg_k, "bits": bits, "kind": kind, "n": n, **facts(s),
                            "compact": form(s.serialize_compact()), "updatable": form(s.serialize_updatable())})
    return out


def is_array(lg_k, n):
    return n >= 8 if lg_k < 8 else n > (3 << (lg_k - 3)) // 4


def folds_under_coupons(max_k, parts):
    """An array folded to a lesser lg_k into which coupons are then put: 5.2.0 adds these to sums that it has not settled and underestimates
    (its Java twin, which Druid uses, settles them)."""
    array = False
    for i, (lg_k, _, start, end) in enumerate(parts):
        if is_array(lg_k, end - start):
            if i and not array and lg_k > max_k:
                return True
            array = True
    return False


def unions(dense):
    cases = []
    for max_k in (range(4, 22) if dense else (4, 5, 6, 8, 11, 12, 14)):
        k = 1 << max_k
        low = max(4, max_k - 2)
        high = min(21, max_k + 2)
        for n in ((3, k // 8 + 1, k // 2 + 1, k, 2 * k, 3 * k, 6 * k, 20 * k) if max_k <= 12 else (k // 4, 2 * k) if max_k <= 16 else (k // 6,)):
            cases += [
                (max_k, 4, [(max_k, 8, 0, n), (max_k, 4, n // 2, n + n // 2)]),
                (max_k, 8, [(high, 6, 0, n), (low, 4, n // 2, 2 * n), (max_k, 8, 5, 9)]),
                (max_k, 6, [(max_k, 4, 0, 5), (high, 4, 3, n + 3), (max_k, 6, n, n + 20)]),
            ]
            if dense:
                cases += [(max_k, 8, [(max_k, 8, 0, n), (max_k, 8, 0, n // 2)]), (max_k, 4, [(max_k, 6, 0, n // 3), (max_k, 6, n // 4, n)])]
    out = []
    for max_k, bits, parts in cases:
        if folds_under_coupons(max_k, parts):
            continue
        u = ds.hll_union(max_k)
        for lg_k, b, start, end in parts:
            u.update(build(lg_k, b, "long", start, end))
            u.get_estimate()  # 5.2.0 takes a union with sums pending for an empty one; this settles them
        r = u.get_result(TYPES[bits])
        out.append({"lg_max_k": max_k, "bits": bits, "parts": parts, **facts(r), "compact": form(r.serialize_compact())})
    return out


def main():
    args = [a for a in sys.argv[1:] if a != "--dense"]
    dense = "--dense" in sys.argv
    folder = args[0] if args else os.path.dirname(os.path.abspath(__file__))
    for name, rows in (("builds", builds(dense)), ("unions", unions(dense))):
        with open(os.path.join(folder, name + ".json"), "w") as f:
            f.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
        print(name, len(rows))


main()
