#!/usr/bin/env python3
"""Asks a real Druid the queries on stdin, one JSON a line: {"name": ..., "query": ..., "order": ...}; prints them as cases with its answers.

usage: record.py [--druid URL] < queries.jsonl >> extra/NAME.jsonl
A line that is a filter alone ("filter": {...}, "dataSource" and "virtualColumns" where they matter) is asked as a count of rows, and turned round."""
import argparse, json, sys
from differ_lib import ask


def questions(line):
    x = json.loads(line)
    if "query" in x: return [x]
    made = []
    for name, f in ((x["name"], x["filter"]), ("not_" + x["name"], {"type": "not", "field": x["filter"]})):
        q = {"queryType": "timeseries", "dataSource": x.get("dataSource", "ads_raw"), "intervals": ["2024-03-09T05:00/2024-03-09T06:00"], "granularity": "all", "filter": f, "aggregations": [{"type": "count", "name": "n"}]}
        if "virtualColumns" in x: q["virtualColumns"] = x["virtualColumns"]
        if x.get("matcher"):
            q["aggregations"] = [{"type": "filtered", "filter": q.pop("filter"), "aggregator": {"type": "count", "name": "n"}}]
        made.append({"name": name, "query": q})
    return made


p = argparse.ArgumentParser(description=__doc__)
p.add_argument("--druid", default="http://127.0.0.1:8082")
a = p.parse_args()
for line in sys.stdin:
    for x in questions(line) if line.strip() else []:
        status, body = ask(a.druid, x["query"])
        if status != 200: sys.exit(f"{x['name']}: {status} {body[:300]}")
        print(json.dumps({"name": x["name"], "endpoint": "native", "query": x["query"], "status": status, "order": x.get("order", "exact"), "expect": json.loads(body)}, ensure_ascii=False))
