#!/usr/bin/env python3
"""Makes a segment of each format version: vN.seg, its rows in vN.jsonl. Files of versions that were released are never made anew: they stay, and open for ever.

    tests/golden/segment/make.py BUILD VERSION...
"""
import json
import os
import random
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TIME = {"type": "long", "name": "__time"}
DIMENSIONS = {1: {"dimensions": ["advertiser", "ad", "tags", {"type": "long", "name": "age"}]},
              2: {"dimensions": ["advertiser", "ad", "tags", {"type": "long", "name": "age"}], "entityDimensions": ["ad", "age"]},
              3: {"dimensions": ["advertiser", "ad", TIME, "tags", {"type": "long", "name": "age"}], "entityDimensions": ["ad"], "forceSegmentSortByTime": False},
              4: {"dimensions": ["advertiser", "ad", TIME, "tags", {"type": "long", "name": "age"}], "entityDimensions": ["ad"], "forceSegmentSortByTime": False}}
PROJECTIONS = {4: [
    {"name": "by_hour", "virtualColumns": [{"type": "expression", "name": "h", "expression": "timestamp_floor(__time, 'PT6H')"}], "groupingColumns": ["advertiser", {"type": "long", "name": "h"}],
     "aggregators": [{"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}, {"type": "HLLSketchMerge", "name": "u", "fieldName": "users", "lgK": 6}]},
    {"name": "all", "groupingColumns": ["tags", "age"], "aggregators": [{"type": "doubleMax", "name": "most", "fieldName": "ratio"}, {"type": "count", "name": "n"}]}]}


def events():
    r = random.Random(7)
    for _ in range(500):
        ad = r.randrange(12)
        yield {"ts": f"2024-03-04T{r.randrange(24):02d}:30:00Z", "advertiser": f"advertiser-{ad % 3}" if ad else None, "ad": f"ad-{ad}", "tags": r.choice(["x", ["y", "x"], [], None, ""]),
               "age": r.choice([None, 18, 25]), "clicks": r.randrange(4), "spend": f"{r.randrange(500) / 100:.2f}", "ratio": r.random(), "user": f"user-{r.randrange(40)}"}


def make(henge, version):
    with tempfile.TemporaryDirectory() as work:
        spec = {"type": "index_parallel", "spec": {
            "dataSchema": {"dataSource": "golden", "timestampSpec": {"column": "ts", "format": "iso"}, "dimensionsSpec": DIMENSIONS[version],
                           "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"},
                                           {"type": "doubleMax", "name": "ratio", "fieldName": "ratio"}, {"type": "HLLSketchBuild", "name": "users", "fieldName": "user", "lgK": 6}],
                           "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}, "projections": PROJECTIONS.get(version, [])},
            "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"}, "inputSource": {"type": "inline", "data": "".join(json.dumps(e) + "\n" for e in events())}},
            "tuningConfig": {"type": "index_parallel"}}}
        path = os.path.join(work, "spec.json")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(spec, f)
        subprocess.run([henge, "index", path, "--data", os.path.join(work, "data")], check=True, stdout=subprocess.DEVNULL)
        made, = [os.path.join(d, n) for d, _, names in os.walk(os.path.join(work, "data", "deep")) for n in names]
        with open(made, "rb") as a, open(os.path.join(HERE, f"v{version}.seg"), "wb") as b:
            b.write(a.read())
        with open(os.path.join(HERE, f"v{version}.jsonl"), "w", encoding="utf-8") as f:
            subprocess.run([henge, "ctl", "segment", "dump", made], check=True, stdout=f)


for v in sys.argv[2:]:
    make(os.path.join(sys.argv[1], "henge"), int(v))
