"""A real Druid that somebody has started: asked at its broker or router over keep-alive HTTP, as Henge is. The datasource is loaded when it is missing, through the indexer API, which a router passes on;
where only a broker is given, the overlord is looked for at the usual port beside it."""
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from henge import spec_text
from http_client import Client, totals

SOURCE = "ads_bench"


class Druid:
    name = "druid"

    def __init__(self, url, source_rows):
        self.url, self.rows = url.rstrip("/"), source_rows
        self.client = Client(self.url)
        try:
            self.version = f"Druid {self.call(self.url, '/status').get('version', '?')}"
        except (urllib.error.URLError, ConnectionError) as e:
            sys.exit(f"druid: {self.url} does not answer: {e}")

    def call(self, base, path, body=None):
        rq = urllib.request.Request(base + path, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(rq, timeout=600) as r:
            text = r.read().decode()
        return json.loads(text) if text.startswith(("[", "{")) else text

    def count(self):
        q = {"queryType": "timeseries", "dataSource": SOURCE, "intervals": "2024-02-01/2024-03-02", "granularity": "all", "aggregations": [{"type": "count", "name": "n"}]}
        return sum(r["result"]["n"] for r in self.call(self.url, "/druid/v2", q))

    def overlord(self):
        """Where tasks are taken: through a router, or at the ports of a coordinator with the overlord in it, or of an overlord alone."""
        host = urllib.parse.urlsplit(self.url).hostname
        for base in (self.url, f"http://{host}:8081", f"http://{host}:8090"):
            try:
                self.call(base, "/druid/indexer/v1/tasks?state=running")
                return base
            except (urllib.error.URLError, ConnectionError):
                continue
        sys.exit(f"druid: {self.url} has no datasource {SOURCE}, and there is no overlord through it or at ports 8081 and 8090 of its host to load it")

    def load(self, rows, again):
        """Waits for as many rows as the run has; Henge's spec is one of Druid's, less what only Henge knows, which Druid ignores or refuses."""
        if not self.count():
            spec = json.loads(spec_text(rows, False))
            dims = spec["spec"]["dataSchema"]["dimensionsSpec"]
            dims["dimensions"] = [d for d in dims["dimensions"] if d != "__time" and not (isinstance(d, dict) and d.get("name") == "__time")]
            for only_ours in ("entityDimensions", "forceSegmentSortByTime"):
                dims.pop(only_ours, None)
            spec["spec"]["tuningConfig"]["maxNumConcurrentSubTasks"] = 2
            base = self.overlord()
            task = self.call(base, "/druid/indexer/v1/task", spec)["task"]
            print(f"druid: loading {rows} as {task}; minutes", flush=True)
            self.until(f"task {task}", lambda: self.ended(base, task), 3600)
        self.until("its segments", lambda: self.count() > 0, 600)
        had = 0
        while (now := self.count()) != had:  # segments come one after the other
            had = now
            time.sleep(6)
        meta = {"queryType": "segmentMetadata", "dataSource": SOURCE, "intervals": "2024-02-01/2024-03-02", "analysisTypes": ["size"], "merge": True}
        size = self.call(self.url, "/druid/v2", meta)
        return {"bytes": self.stored() or (size[0]["size"] if size else 0)}

    def stored(self):
        try:
            known = self.call(self.overlord(), f"/druid/coordinator/v1/datasources/{SOURCE}?simple")
            return known["segments"]["size"]
        except (urllib.error.URLError, ConnectionError, KeyError, TypeError):
            return 0

    def ended(self, base, task):
        state = self.call(base, f"/druid/indexer/v1/task/{task}/status").get("status", {})
        if state.get("statusCode") == "FAILED":
            sys.exit(f"druid: task {task} failed: {state.get('errorMsg')}")
        return state.get("statusCode") == "SUCCESS"

    def until(self, what, done, seconds):
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                sys.exit(f"druid: {what}: not there after {seconds} s")
            time.sleep(1)

    def run(self, question):
        return self.client.ask(question[0])[0]

    def totals(self, question):
        data = self.client.ask(question[0])[1]
        return totals(question[0], data), len(data)

    def stop(self):
        self.client.close()
