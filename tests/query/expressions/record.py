#!/usr/bin/env python3
"""Asks a real Druid what expressions give, and writes the table that tests/unit/query/expr_test.c reads.

usage: record.py BROKER_URL < expressions > recorded.jsonl

One expression a line, over the columns of one inline row: s 'abc', l 7, d 2.5, n (a null text), k (a null long), mv ['x', 'y'].
Each output line: {"e": expression, "v": value, "t": type} or {"e": expression, "error": true}.
"""
import json
import sys
import urllib.error
import urllib.request

ROW = {"type": "inline", "columnNames": ["s", "l", "d", "n", "k", "mv"], "columnTypes": ["STRING", "LONG", "DOUBLE", "STRING", "LONG", "STRING"],
       "rows": [["abc", 7, 2.5, None, None, ["x", "y"]]]}


def ask(url, expression):
    query = {"queryType": "scan", "dataSource": ROW, "intervals": ["-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z"], "columns": ["v"],
             "resultFormat": "list", "virtualColumns": [{"type": "expression", "name": "v", "expression": expression}]}
    req = urllib.request.Request(url + "/druid/v2", json.dumps(query).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(req, timeout=30) as r:
            batch = json.load(r)[0]
    except urllib.error.HTTPError:
        return {"e": expression, "error": True}
    return {"e": expression, "v": batch["events"][0]["v"], "t": batch["rowSignature"][0].get("type")}


for line in sys.stdin:
    if line.strip():
        print(json.dumps(ask(sys.argv[1], line.rstrip("\n"))))
