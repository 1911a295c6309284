"""The cluster of cluster_test.py: real services, twelve processes, and what operators and pipelines do to it. Whatever changes what queries may answer tells the
model first."""
import os
import struct
import threading
import time

from cluster import Cluster
from harness import check, Failure, wait_until
from kafka_broker import Kafka
from model import Chunk, OF
from postgres import Postgres

DATASOURCE = "ads"
HOT_DAYS, COLD_DAYS = 7, 21     # the rules: so many days hot, up to so many cold, the rest icy
API = "/druid/coordinator/v1"
RULES = [{"type": "loadByPeriod", "period": f"P{HOT_DAYS}D", "tieredReplicants": {"hot": 2}},
         {"type": "loadByPeriod", "period": f"P{COLD_DAYS}D", "tieredReplicants": {"cold": 1}},
         {"type": "loadForever", "tieredReplicants": {"icy": 1}}]
DAY_MS = 86400000
ASK_S = 3  # one that does not answer may be frozen: then another one is asked


def day_ms(day):
    return round(time.mktime(time.strptime(day + " UTC", "%Y-%m-%d %Z")) - time.timezone) * 1000


def schema(ns):
    metrics = {"delivery": [("longSum", "impressions"), ("longSum", "clicks"), ("decimalSum", "spend")],
               "conversions": [("longSum", "conversions"), ("decimalSum", "revenue")]}[ns]
    return {"dataSource": DATASOURCE, "namespace": ns, "timestampSpec": {"column": "timestamp", "format": "iso"},
            "dimensionsSpec": {"dimensions": ["campaign", "country", "ad"]},
            "metricsSpec": [{"type": t, "name": m, "fieldName": m} for t, m in metrics],
            "granularitySpec": {"type": "uniform", "segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}}


class World:
    def __init__(self, env, model):
        self.env, self.model = env, model
        self.postgres, self.kafka = Postgres(env), Kafka(env)
        self.cluster = Cluster(env, self.postgres, self.kafka)
        self.files, self.sent, self.offset_ms = 0, {ns: 0 for ns in OF}, 0
        self.clock = env.path("clock")
        self.set_now(day_ms(model.days[-1]) + DAY_MS)
        add = self.cluster.add
        self.coordinators = [add("coordinator", f"coordinator-{i}", False, coordinator__clock__file=self.clock) for i in (1, 2)]
        self.hot = [add("historical", f"hot-{i}", False, server__tier="hot", historical__hot="true", server__capacity="256MiB") for i in (1, 2)]
        self.cold = add("historical", "cold", False, server__tier="cold", historical__cache__bytes="4MiB")
        self.icy = add("historical", "icy", False, server__tier="icy", historical__cache__bytes="1MiB")
        self.ingests = [add("ingest", f"ingest-{i}", False, ingest__seal__period="1500ms", ingest__live__max_rows=500) for i in (1, 2)]
        self.brokers = [add("broker", f"broker-{i}", False, broker__missing_wait="3s") for i in (1, 2)]
        every = self.cluster.servers.values()
        for s in every:
            s.start(healthy=False)
        for s in every:
            s.wait_healthy(60)
            s.wait_ready(60)

    # ---- asking ----

    def leader(self):
        """(the coordinator that leads, the others)."""
        name = self.postgres.sql("select owner from hg_leaders where what = 'coordinator'")[0][0]
        return next(c for c in self.coordinators if c.name == name), [c for c in self.coordinators if c.name != name]

    def owner(self, ns):
        """The ingest server that runs a namespace's stream."""
        name = self.postgres.sql(f"select owner from hg_leases where what = '{DATASOURCE}@{ns}'")[0][0]
        return next(i for i in self.ingests if i.name == name)

    def post_anywhere(self, servers, path, body, deadline_s=60):
        """To the first of these that takes it; 503 and what cannot be reached are tried again."""
        def once():
            for s in servers:
                try:
                    status, _, answer = s.request("POST", path, body, timeout=10)
                except OSError:
                    continue
                if status == 200:
                    return answer, s
                check(status == 503, f"{s.name}: POST {path} answered {status}: {str(answer)[:500]}")
            return None
        return wait_until(f"POST {path} to be taken", once, deadline_s)

    # ---- rules and the clock ----

    def set_now(self, ms):
        """What the coordinators take for now, from here on; the file is replaced whole."""
        self.now_ms = ms
        with open(self.clock + ".part", "wb") as f:
            f.write(struct.pack("<q", ms - round(time.time() * 1000)))
        os.rename(self.clock + ".part", self.clock)

    def set_rules(self):
        self.post_anywhere(self.coordinators, f"{API}/rules/{DATASOURCE}", RULES)

    def tier_of(self, day):
        end = day_ms(day) + DAY_MS
        if end > self.now_ms - HOT_DAYS * DAY_MS:
            return "hot"
        return "cold" if end > self.now_ms - COLD_DAYS * DAY_MS else "icy"

    def misplaced(self, strict=True):
        """Segments that are not where the rules want them, as sentences. strict: nor anywhere else."""
        problems = []
        for ns in OF:
            q = {"queryType": "timeseries", "dataSource": DATASOURCE, "granularity": "all", "aggregations": [{"type": "count", "name": "n"}],
                 "intervals": [f"{self.model.days[0]}/P{len(self.model.days)}D"], "context": {"namespaces": [ns]}}
            for seg in self.brokers[0].post("/druid/v2/candidates", q):
                tiers = sorted(at["tier"] if at["type"] == "historical" else "ingest" for at in seg["locations"])
                tier = self.tier_of(seg["interval"][:10])
                want = [tier] * (2 if tier == "hot" else 1)
                if tiers != want and (strict or tiers.count(tier) < len(want)):
                    problems.append(f"{ns} {seg['interval'][:10]} {seg['version']}_{seg['partitionNumber']}: {tiers}, want {want}")
        return problems

    def placed(self, strict=True, deadline_s=60):
        def once():
            problems = self.misplaced(strict)
            if problems:
                raise LookupError(f"{len(problems)} misplaced, first: {problems[0]}")
            return True
        wait_until("segments to be where the rules want them", once, deadline_s, every_s=0.2)

    # ---- streams ----

    def write(self, events):
        self.files += 1
        path = self.env.path(f"events-{self.files}.json")
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(e.line() + "\n" for e in events)
        return path

    def submit(self, ns, ingest):
        spec = {"type": "kafka", "spec": {"dataSchema": schema(ns), "tuningConfig": {"type": "kafka"},
                                          "ioConfig": {"topic": ns, "inputFormat": {"type": "json"}, "useEarliestOffset": True,
                                                       "consumerProperties": {"bootstrap.servers": self.kafka.bootstrap}}}}
        self.cluster.submit(ingest, spec)
        wait_until(f"the stream of {ns} to run", lambda: self.owner(ns), 30)

    def produce(self, events, rate=None, create=False):
        """Sends each namespace's events to its topic; a day's go to one partition, so that its order is the model's."""
        for ns in OF:
            mine = [e for e in events if e.ns == ns]
            if mine:
                self.kafka.produce(ns, self.write(mine), key_field="day", partitions=2, create=create, rate=rate)
                self.sent[ns] += len(mine)

    def published(self):
        """All that was sent is in published segments."""
        rows = {r[0]: int(r[1]) for r in self.postgres.sql("select stream, sum(next_offset) from hg_offsets group by stream")}
        return all(rows.get(f"{DATASOURCE}@{ns}", 0) == n for ns, n in self.sent.items())

    # ---- batch tasks and reverts ----

    def task(self, ns, events, days):
        """Begins to replace these days (neighbours) of a namespace; returns (task, the server that runs it)."""
        path = self.write(events)
        data = schema(ns)
        data["granularitySpec"]["intervals"] = [f"{days[0]}/P{len(days)}D"]
        spec = {"type": "index_parallel", "spec": {"dataSchema": data, "tuningConfig": {"type": "index_parallel"},
                                                   "ioConfig": {"type": "index_parallel", "inputFormat": {"type": "json"},
                                                                "inputSource": {"type": "local", "baseDir": os.path.dirname(path), "filter": os.path.basename(path)}}}}
        answer, server = self.post_anywhere([self.model.rng.choice(self.ingests)], "/druid/indexer/v1/task", spec)
        return answer["task"], server

    def task_end(self, task, server, deadline_s=90):
        """True: it is published. A task that ends otherwise must not have published anything."""
        def once():
            answer = server.get(f"/druid/indexer/v1/task/{task}/status", timeout=10)["status"]
            return answer if answer["statusCode"] != "RUNNING" else None
        status = wait_until(f"task {task} to end", once, deadline_s, every_s=0.1)
        rows = self.postgres.sql(f"select count(*) from hg_publishes where task = '{task}'")
        done = status["statusCode"] == "SUCCESS"
        check((rows[0][0] == "1") == done, f"task {task} is {status} with {rows[0][0]} publishes in the metadata store")
        return done

    def version_of(self, ns, day):
        """The version that a namespace shows on a day."""
        for c in self.coordinators:
            try:
                shown = [v["version"] for v in c.get(f"{API}/datasources/{DATASOURCE}/versions?namespace={ns}&interval={day}/P1D", ASK_S) if v["visible"]]
            except (OSError, Failure):
                continue
            check(len(shown) == 1, f"{ns} {day} shows versions {shown}")
            return shown[0]
        raise Failure("no coordinator tells versions")

    def revert(self, ns, days, version):
        body = {"namespace": ns, "intervals": [f"{d}/P1D" for d in days], "version": version, "dryRun": False}
        answer, _ = self.post_anywhere(self.coordinators, f"{API}/datasources/{DATASOURCE}/revert", body)
        return answer["publish"]

    def revert_end(self, publish, deadline_s=60):
        def once():
            for c in self.coordinators:
                try:
                    state = c.get(f"{API}/datasources/{DATASOURCE}/revert/{publish}", ASK_S)["state"]
                except (OSError, Failure):
                    continue
                return state if state != "WAITING" else None
            return None
        state = wait_until(f"revert {publish} to end", once, deadline_s)
        check(state == "VISIBLE", f"revert {publish} ended as {state}")


# ---- what goes on in a cluster: begin() is accepted, finish() is done; in between there may be trouble ----

class Stream:
    """Events of the newest days and some late ones come in, at a rate."""
    name = "stream"

    def __init__(self, world, rng):
        self.world = world
        days = world.model.days
        self.days = [days[-1], days[-2], rng.choice(days[:-2])]
        self.events = [e for ns in OF for d in self.days for e in world.model.events(ns, d, rng.randrange(20, 60))]
        rng.shuffle(self.events)
        self.failed = None

    def begin(self):
        self.world.model.stream(self.events)
        self.thread = threading.Thread(target=self.send, daemon=True)
        self.thread.start()

    def send(self):
        try:
            self.world.produce(self.events, rate=150)
        except Exception as e:  # told by finish(), in the test's own thread
            self.failed = e

    def finish(self):
        self.thread.join(120)
        check(self.failed is None and not self.thread.is_alive(), f"events were not sent: {self.failed}")
        wait_until("what was sent to be published", self.world.published, 90, every_s=0.1)

    def __str__(self):
        return f"{len(self.events)} events on {', '.join(self.days)}"


class Rewrite:
    """A batch task replaces one or more days of a namespace."""
    name = "rewrite"

    def __init__(self, world, rng, n_days=1):
        self.world, self.ns = world, rng.choice(list(OF))
        days = world.model.days
        first = rng.randrange(len(days) - n_days)
        self.days = days[first:first + n_days]

    def begin(self):
        model = self.world.model
        self.chunks = {(self.ns, d): Chunk(model.events(self.ns, d, 100)) for d in self.days}
        model.begin(self.chunks)
        self.task = self.world.task(self.ns, [e for c in self.chunks.values() for e in c.base], self.days)

    def finish(self):
        if self.world.task_end(*self.task):
            return
        self.world.env.say(f"task {self.task[0]} failed in the trouble, and is given again")
        self.world.model.withdraw()
        self.begin()
        check(self.world.task_end(*self.task), f"task {self.task[0]} failed with nothing wrong")

    def __str__(self):
        return f"{self.ns} replaces {self.days[0]}" + (f" to {self.days[-1]}" if len(self.days) > 1 else "")


class Week(Rewrite):
    name = "week"

    def __init__(self, world, rng):
        super().__init__(world, rng, 7)


class Revert:
    """Days that were replaced go back to what the stream had written."""
    name = "revert"

    def __init__(self, world, rng):
        self.world = world
        rewritten = [k for k in sorted(world.model.now) if world.model.now[k] is not world.model.states[0][k]]
        check(rewritten, "nothing was rewritten yet")
        self.ns = rng.choice(rewritten)[0]
        self.days = [d for ns, d in rewritten if ns == self.ns][:7]

    def begin(self):
        model = self.world.model
        model.begin({(self.ns, d): model.states[0][self.ns, d] for d in self.days})
        self.publish = self.world.revert(self.ns, self.days, self.world.first_version[self.ns])

    def finish(self):
        self.world.revert_end(self.publish)

    def __str__(self):
        return f"{self.ns} goes back on {', '.join(self.days)}"


class Drain:
    """One of the two hot servers is emptied, and takes segments again."""
    name = "drain"

    def __init__(self, world, rng):
        self.world, self.server = world, rng.choice(world.hot)
        self.path = f"{API}/servers/{self.server.name}/drain"

    def begin(self):
        self.world.post_anywhere(self.world.coordinators, self.path, {"drain": True})

    def left(self):
        for c in self.world.coordinators:
            try:
                return c.get(self.path, ASK_S)
            except (OSError, Failure):
                continue
        raise Failure("no coordinator tells how far the drain is")

    def finish(self):
        wait_until(f"{self.server.name} to be empty", lambda: self.left()["segments"] == 0, 60, every_s=0.1)
        self.world.post_anywhere(self.world.coordinators, self.path, {"drain": False})
        self.world.placed(strict=False)

    def __str__(self):
        return f"{self.server.name} is drained and taken back"


class Age:
    """Days pass, and segments move to colder tiers."""
    name = "age"

    def __init__(self, world, rng):
        end = day_ms(world.model.days[-1])
        self.world, self.days = world, rng.randrange(1, 4)
        if world.now_ms > end + (COLD_DAYS - 5) * DAY_MS:
            self.days = (end - world.now_ms) // DAY_MS + 1  # back to where it began

    def begin(self):
        self.world.set_now(self.world.now_ms + self.days * DAY_MS)

    def finish(self):
        self.world.placed(strict=False)

    def __str__(self):
        return f"{self.days} days pass"
