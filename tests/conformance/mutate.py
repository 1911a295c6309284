#!/usr/bin/env python3
"""Spoils known queries and asks them: whatever the query, the answer is no 5xx but 504, and the server stays alive.

usage: mutate.py BASE_URL [--seed N] [--count N] [--cases DIR] [--only SUBSTRING] [--all-fields]

Takes a case of cases/*.jsonl, and drops, renames or retypes one of its fields (or several), or wraps a part of it deeply.
An answer must be a 200, or a 4xx with an errorMessage; for a 400 that is no question of context or limits the message
must begin with the place ("$..."). --all-fields: every field of each case by turns instead of random ones.
"""
import argparse
import collections
import copy
import glob
import json
import os
import random
import sys
import urllib.error
import urllib.request

sys.setrecursionlimit(20000)
VALUES = [None, "", "x", "nosuch", 0, 1, -1, 3, 1.5, 1e308, -1e308, 9223372036854775807, -9223372036854775808, 9223372036854775808, 10 ** 30, 4294967296, 2147483648, True, False,
          [], {}, [[]], [None], [{}], ["x"], {"type": "x"}, {"type": None}, {"type": 3}, {"type": "default"}, {"type": "query"}, {"type": "period"}, "é" * 3000, "\u0000", "\ud7ff", "9" * 400, "NaN", "-Infinity", "2024-03-08/2024-03-11",
          "(" * 500, "a" * 100000]


def places(v, path=()):
    if isinstance(v, dict):
        for k in v:
            yield path + (k,)
            yield from places(v[k], path + (k,))
    elif isinstance(v, list):
        for i in range(len(v)):
            yield path + (i,)
            yield from places(v[i], path + (i,))


def at(v, path):
    for k in path:
        v = v[k]
    return v


def spoil(r, query):
    q = copy.deepcopy(query)
    for _ in range(r.choice([1, 1, 1, 2, 4])):
        all_ = list(places(q))
        if not all_:
            return q
        path = r.choice(all_)
        spoil_at(r, q, path)
    return q


def spoil_at(r, q, path, how=None, value=None):
    parent, last = at(q, path[:-1]), path[-1]
    how = how or r.choice(["drop", "retype", "retype", "retype", "rename", "swap", "wrap", "copy"])
    if how == "drop":
        del parent[last]
    elif how == "rename" and isinstance(parent, dict):
        parent[r.choice(["x", "Type", last + "s", last.upper(), "type", "name", ""])] = parent.pop(last)
    elif how == "swap":
        parent[last] = copy.deepcopy(at(q, r.choice(list(places(q)))))
    elif how == "wrap":
        v = parent[last]
        form = r.choice(["list", "not", "filtered", "query", "delegate", "having", "arith"])
        for _ in range(r.choice([1, 3, 150, 400])):
            v = {"list": [v], "not": {"type": "not", "field": v}, "filtered": {"type": "filtered", "filter": {"type": "true"}, "aggregator": v}, "query": {"type": "query", "query": v},
                 "delegate": {"type": "listFiltered", "delegate": v, "values": ["x"]}, "having": {"type": "not", "havingSpec": v}, "arith": {"type": "arithmetic", "name": "x", "fn": "+", "fields": [v, v] if _ < 5 else [v]}}[form]
        parent[last] = v
    elif how == "copy" and isinstance(parent, list):
        parent.extend(copy.deepcopy(parent[last]) for _ in range(r.choice([1, 20, 300])))
    else:
        parent[last] = copy.deepcopy(r.choice(VALUES)) if value is None else copy.deepcopy(value[0])


def ask(base, query, timeout=120):
    body = query if isinstance(query, bytes) else json.dumps(query).encode()
    req = urllib.request.Request(base.rstrip("/") + "/druid/v2", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(req, timeout=timeout) as r:
            return r.status, r.read()
    except urllib.error.HTTPError as e:
        return e.code, e.read()
    except OSError as e:
        return -1, str(e).encode()


def verdict(status, body):
    if status == 200:
        try:
            json.loads(body or b"null")
            return None
        except ValueError as e:
            return f"not JSON: {e}"
    if not 400 <= status < 500 and status != 504:
        return f"status {status}"
    try:
        message = json.loads(body)
    except ValueError:
        return "the error is not JSON"
    if not message.get("errorMessage"):
        return "no errorMessage"
    text = message["errorMessage"]
    if status == 400 and message.get("error") == "Json parse failed" and not text.startswith(("$", "JSON, line")):
        return "the message names no place"
    return None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.abspath(__file__))
    p.add_argument("base"), p.add_argument("--seed", type=int, default=1), p.add_argument("--count", type=int, default=1000)
    p.add_argument("--cases", default=os.path.join(here, "cases")), p.add_argument("--only", default=""), p.add_argument("--all-fields", action="store_true")
    a = p.parse_args()
    queries = []
    for f in sorted(glob.glob(os.path.join(a.cases, "*.jsonl"))):
        for line in open(f, encoding="utf-8"):
            c = json.loads(line)
            if c["endpoint"] == "native" and a.only in f"{os.path.basename(f)[:-6]}/{c['name']}":
                queries.append((c["name"], c["query"]))
    r = random.Random(a.seed)
    statuses, bad = collections.Counter(), 0

    def made():
        if a.all_fields:
            for name, query in queries:
                for path in places(query):
                    for how, value in [("drop", None), ("rename", None)] + [("retype", (v,)) for v in r.sample(VALUES, 3)]:
                        q = copy.deepcopy(query)
                        spoil_at(r, q, path, how, value)
                        yield name, q
        for _ in range(a.count):
            name, query = r.choice(queries)
            yield name, spoil(r, query)

    for n, (name, q) in enumerate(made()):
        if a.all_fields and n >= a.count:
            break
        if isinstance(q, dict):
            q.setdefault("context", {})
            if isinstance(q["context"], dict) and "timeout" not in q["context"]:
                q["context"] = {**q["context"], "timeout": 20000}
        status, body = ask(a.base, q)
        statuses[status] += 1
        why = verdict(status, body)
        if why:
            bad += 1
            print(f"--- {a.seed} {n} {name}: {why}\n  ask  {json.dumps(q)[:1500]}\n  got  {body[:300]!r}", flush=True)
            if status == -1 and ask(a.base, {"queryType": "timeseries", "dataSource": "x", "intervals": "2024/2025", "granularity": "all"}, 10)[0] != 200:
                print("the server does not answer any more")
                return 1
    print(", ".join(f"{s}: {c}" for s, c in sorted(statuses.items())), f"; {bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
