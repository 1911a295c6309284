#!/usr/bin/env python3
"""Rules, drains and takeovers on real processes: two coordinators, historicals in two tiers, a broker that is asked all the while. The clock of the rules is turned through a file."""
import datetime
import os
import struct
import threading

import harness
from cluster import Cluster, generate
from harness import check, check_equal, signal, wait_until
from postgres import Postgres

DAY_MS = 86400000
SUMS = [{"type": "longSum", "name": n, "fieldName": n} for n in ("events", "impressions", "clicks")]


def index_spec(events):
    return {"type": "index_parallel", "spec": {
        "dataSchema": {"dataSource": "ads", "timestampSpec": {"column": "timestamp", "format": "iso"},
                       "dimensionsSpec": {"dimensions": ["advertiser_id", "ad_id", "country", "device"]},
                       "metricsSpec": [{"type": "count", "name": "events"}, {"type": "longSum", "name": "impressions", "fieldName": "impressions"},
                                       {"type": "longSum", "name": "clicks", "fieldName": "clicks"}, {"type": "decimalSum", "name": "spend", "fieldName": "spend"}],
                       "granularitySpec": {"segmentGranularity": "DAY", "queryGranularity": "HOUR", "rollup": True}},
        "ioConfig": {"type": "index_parallel", "inputSource": {"type": "local", "baseDir": os.path.dirname(events), "filter": os.path.basename(events)},
                     "inputFormat": {"type": "json"}}}}


def by_day(broker, timeout=30):
    """{day: (events, impressions, clicks)} of the days that have rows."""
    answer = broker.query({"queryType": "timeseries", "dataSource": "ads", "intervals": ["2000-01-01/2100-01-01"], "granularity": "day", "aggregations": SUMS,
                           "context": {"skipEmptyBuckets": True, "timeout": 20000}}, timeout)
    return {r["timestamp"][:10]: tuple(r["result"][n] or 0 for n in ("events", "impressions", "clicks")) for r in answer}


class Watcher:
    """Asks the broker without pause: an answer must have the days that must be there, no others than may be there, and exact sums. No query may fail."""

    def __init__(self, broker, model, days):
        self.broker, self.model = broker, model
        self.must = self.may = frozenset(days)
        self.asked, self.wrong, self.over = 0, [], threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.over.is_set() and len(self.wrong) < 5:
            must, may = self.must, self.may
            try:
                got = by_day(self.broker)
            except Exception as e:
                self.wrong.append(f"a query failed: {e}")
                continue
            must, may = must & self.must, may | self.may
            self.asked += 1
            bad = {d: (s, self.model.get(d)) for d, s in got.items() if s != self.model.get(d)}
            if bad:
                self.wrong.append(f"wrong sums (got, want): {bad}")
            if not must <= set(got) <= may:
                self.wrong.append(f"missing {sorted(must - set(got))}, too many {sorted(set(got) - may)}")
            self.over.wait(0.01)

    def moving_to(self, days):
        days = frozenset(days)
        self.may = self.may | days
        self.must = self.must & days

    def settled(self, days):
        """The days are what a query gives now, and stay so."""
        days = frozenset(days)
        wait_until(f"{len(days)} days", lambda: set(by_day(self.broker)) == days, 30)
        self.may = self.must = days
        self.check()

    def check(self):
        check(not self.wrong, "the watcher: " + "; ".join(self.wrong))

    def end(self):
        self.over.set()
        self.thread.join(60)
        self.check()
        check(self.asked > 20, f"the watcher asked {self.asked} times only")


class World:
    def __init__(self, env, days=10):
        self.env = env
        self.postgres = Postgres(env)
        self.clock = env.path("clock")
        self.events, sums = generate(env, rows=20000, days=days)
        self.model = {}
        for r in sums["by_day_country"]:
            e = self.model.get(r["day"], (0, 0, 0))
            self.model[r["day"]] = (e[0] + r["events"], e[1] + r["impressions"], e[2] + r["clicks"])
        self.days = sorted(self.model)
        self.set_day(0)
        self.cluster = Cluster(env, self.postgres, settings={"coordinator.clock.file": self.clock, "coordinator.linger": "1s"})
        self.coordinators = [self.cluster.add("coordinator", f"coordinator{i}") for i in (1, 2)]
        self.historicals = [self.cluster.add("historical", n, server__tier=t, server__capacity="64MiB", historical__hot="true" if t == "hot" else "false")
                            for n, t in (("hot1", "hot"), ("hot2", "hot"), ("cold1", "cold"), ("cold2", "cold"))]
        self.ingest = self.cluster.add("ingest")
        self.broker = self.cluster.add("broker")

    def set_day(self, ahead):
        """The rules' clock stands at the end of the data, and `ahead` days later."""
        end = datetime.datetime.fromisoformat(self.days[-1]).replace(tzinfo=datetime.timezone.utc) + datetime.timedelta(days=1 + ahead)
        offset = int((end - datetime.datetime.now(datetime.timezone.utc)).total_seconds() * 1000)
        with open(self.clock + ".new", "wb") as f:
            f.write(struct.pack("<q", offset))
        os.rename(self.clock + ".new", self.clock)

    def leader(self):
        return next((c for c in self.coordinators if c.process.running() and self.leads(c)), None)

    @staticmethod
    def leads(c):
        try:
            return c.request("GET", "/druid/coordinator/v1/isLeader", timeout=2)[0] == 200
        except OSError:
            return False

    def wait_leader(self, other_than=None, deadline_s=20):
        return wait_until("a leader", lambda: (c := self.leader()) is not other_than and c, deadline_s)

    def rules(self, rules, coordinator=None):
        (coordinator or self.wait_leader()).expect(200, "POST", "/druid/coordinator/v1/rules/_default", rules)

    def load(self):
        task = self.ingest.post("/druid/indexer/v1/task", index_spec(self.events))["task"]
        wait_until("the task", lambda: self.ingest.get(f"/druid/indexer/v1/task/{task}/status")["status"]["statusCode"] == "SUCCESS", 60, process=self.ingest.process)

    def served(self):
        """Segments of each historical that runs."""
        def count(h):
            try:
                return int(h.metric("henge_segments_served", 'datasource="ads"'))
            except harness.Failure:
                return 0
        return {h.name: count(h) for h in self.historicals if h.process.running()}

    def wait_served(self, hot, cold, deadline_s=30):
        """Copies per tier."""
        def there():
            s = self.served()
            return (s["hot1"] + s["hot2"], s["cold1"] + s["cold2"]) == (hot, cold)
        wait_until(f"{hot} copies on hot, {cold} on cold", there, deadline_s)


AGE = [{"type": "loadByPeriod", "period": "P4D", "tieredReplicants": {"hot": 2}}, {"type": "loadByPeriod", "period": "P9D", "tieredReplicants": {"cold": 1}}, {"type": "dropForever"}]


def test_rules(env):
    w = World(env)
    w.rules(AGE)
    w.load()
    d = w.days
    # The first day is too old from the start: the publish is done without it.
    wait_until("the publish", lambda: set(by_day(w.broker)) == set(d[1:]), 30)
    watcher = Watcher(w.broker, w.model, d[1:])
    w.wait_served(hot=8, cold=5)
    check_equal(w.postgres.sql("SELECT count(*) FROM hg_segments WHERE used = 0"), [["1"]], "dropped by rule")
    check(w.postgres.sql("SELECT count(*) FROM hg_audit WHERE what = 'drop by rule'") != [["0"]], "the audit log tells of it")

    env.say("two days pass")
    watcher.moving_to(d[3:])
    w.set_day(2)
    watcher.settled(d[3:])
    w.wait_served(hot=4, cold=5)

    env.say("a day is loaded nowhere, and comes back")
    nowhere = {"type": "loadByInterval", "interval": f"{d[9]}/P1D", "tieredReplicants": {}}
    watcher.moving_to(d[3:9])
    w.rules([nowhere] + AGE)
    watcher.settled(d[3:9])
    w.wait_served(hot=2, cold=5)
    check_equal(w.postgres.sql("SELECT count(*) FROM hg_segments WHERE used = 1 AND parked = 1"), [["1"]], "parked")
    watcher.moving_to(d[3:])
    w.rules(AGE)
    watcher.settled(d[3:])
    w.wait_served(hot=4, cold=5)

    env.say("a server is emptied")
    leader = w.leader()
    leader.expect(200, "POST", "/druid/coordinator/v1/servers/cold1/drain", {"drain": True})
    wait_until("cold1 to be empty", lambda: (s := w.served())["cold1"] == 0 and s["cold2"] == 5, 30)
    w.cluster["cold1"].kill9()
    w.cluster["cold1"].start()
    leader.expect(200, "POST", "/druid/coordinator/v1/servers/hot1/drain", {"drain": True})
    wait_until("hot1 to be empty", lambda: (s := w.served())["hot1"] == 0 and s["hot2"] == 2 and s["cold1"] == 0, 30)
    for name in ("cold1", "hot1"):
        leader.expect(200, "POST", f"/druid/coordinator/v1/servers/{name}/drain", {"drain": False})
    wait_until("copies on hot1 again", lambda: (s := w.served())["hot1"] == 2 and s["hot2"] == 2, 30)
    watcher.end()
    env.say(f"{watcher.asked} answers")
    w.cluster.stop()


def test_takeover(env):
    w = World(env)
    w.rules([{"type": "loadForever", "tieredReplicants": {"cold": 1}}])
    w.load()
    d = w.days
    wait_until("the publish", lambda: set(by_day(w.broker)) == set(d), 30)
    watcher = Watcher(w.broker, w.model, d)
    first = w.wait_leader()

    env.say("the leader is killed")
    first.kill9()
    second = w.wait_leader(deadline_s=10)
    check(second is not first, "another leads")
    w.rules([{"type": "loadForever", "tieredReplicants": {"hot": 2}}])
    w.wait_served(hot=20, cold=0)
    watcher.check()
    first.start()
    check_equal(w.wait_leader(), second, "who leads goes on leading")

    env.say("the leader is stopped in the middle of moving everything")
    w.rules([{"type": "loadForever", "tieredReplicants": {"cold": 1}}], second)
    wait_until("the first copies on cold", lambda: (s := w.served())["cold1"] + s["cold2"] > 0, 20)
    second.process.signal(signal.SIGSTOP)
    third = wait_until("the other to lead", lambda: w.leads(first) and first, 20)
    w.rules([{"type": "loadForever", "tieredReplicants": {"hot": 1}}], third)
    w.wait_served(hot=10, cold=0)
    watcher.check()
    second.process.signal(signal.SIGCONT)
    wait_until("the old leader to know", lambda: not w.leads(second), 20)
    check(w.leads(first), "the new leader goes on leading")
    w.wait_served(hot=10, cold=0)
    epochs = w.postgres.sql("SELECT epoch FROM hg_leaders WHERE what = 'coordinator'")
    check_equal(epochs, [["3"]], "leaders so far")

    env.say("a historical is killed; after the grace the other has all, and it gets its share when it is back")
    w.rules([{"type": "loadForever", "tieredReplicants": {"hot": 1, "cold": 1}}])
    w.wait_served(hot=10, cold=10)
    w.cluster["hot1"].kill9()
    wait_until("all on hot2", lambda: w.served()["hot2"] == 10, 30)
    w.cluster["hot1"].start()
    wait_until("one copy each on hot", lambda: (s := w.served())["hot1"] + s["hot2"] == 10 and s["hot1"] > 2, 30)
    watcher.end()
    env.say(f"{watcher.asked} answers")
    w.cluster.stop()


def test_clean_up(env):
    """Unused segments go from metadata and deep storage by policy; what reverts need stays."""
    w = World(env, days=3)
    w.wait_leader()
    for c in w.coordinators:
        c.terminate()
    policy = {"coordinator__kill__enabled": "true", "coordinator__kill__older_than": "90d", "coordinator__kill__keep_versions": 1, "coordinator__kill__period": "100ms"}
    for c in w.coordinators:
        c.start(**policy)
    w.rules([{"type": "loadForever", "tieredReplicants": {"cold": 1}}])
    for _ in range(3):
        w.load()
        wait_until("the publish", lambda: w.postgres.sql("SELECT count(*) FROM hg_publishes WHERE visible = 0") == [["0"]], 30)

    def left():
        return w.postgres.sql("SELECT count(*) FROM hg_segments WHERE used = 0")[0][0], sum(len(f) for _, _, f in os.walk(env.path("deep")))
    check_equal(left(), ("6", 9), "unused segments, and files")
    now = datetime.datetime.now(datetime.timezone.utc)
    last = datetime.datetime.fromisoformat(w.days[-1]).replace(tzinfo=datetime.timezone.utc)
    w.set_day((now - last).days + 100)
    wait_until("the oldest version to go", lambda: left() == ("3", 6), 30)
    check_equal(w.postgres.sql("SELECT count(*) FROM hg_trash"), [["0"]], "files to be removed")
    check(w.postgres.sql("SELECT count(*) FROM hg_audit WHERE what = 'cleanup'") != [["0"]], "the audit log tells of it")
    wait_until("all days", lambda: by_day(w.broker) == w.model, 30)
    w.cluster.stop()


harness.main(globals())
