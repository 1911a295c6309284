#!/usr/bin/env python3
"""Writes the golden quantiles vectors beside it, with the reference implementation: pip install datasketches (made with 5.2.0). The reference throws coins when a
sketch is no longer exact, so its longer sketches are kept as bytes to be read, and only exact ones are also built.

    make.py [OUT_DIR]"""
import json
import os
import sys

import datasketches as ds

FRACTIONS = [0, 0.001, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9, 0.99, 1]


def item(i):
    return ((i * 7919) % 100003) * 0.25 - 1000


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    rows = []
    for k, ns in ((2, (1, 3, 4, 50)), (8, (0, 1, 15, 16, 40, 100)), (32, (63, 64, 1000)), (128, (5, 255, 1000))):
        for n in ns:
            s = ds.quantiles_doubles_sketch(k)
            for i in range(n):
                s.update(item(i))
            values = [item(i) for i in range(0, n, max(1, n // 7))] + [-1e9, 0.125, 1e9]
            rows.append({"k": k, "n": n, "exact": n < 2 * k, "hex": s.serialize().hex(),
                         "quantiles": s.get_quantiles(FRACTIONS, True) if n else None,
                         "values": values, "ranks": [s.get_rank(v, True) for v in values] if n else None})
    with open(os.path.join(folder, "sketches.json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]\n")
    print(len(rows))


main()
