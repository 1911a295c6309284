#!/usr/bin/env python3
"""The main job end to end: 2 x 100,000 ad events from Kafka to exact sums, while rows are live, during hand-off and after it, with the
ingest server killed with -9 at the moments that matter."""
import os
import threading

import harness
from cluster import ads_spec, by_day_country, Cluster, generate, totals, wanted_cells
from harness import check, check_equal, wait_until
from kafka_broker import Kafka
from postgres import Postgres

ROWS = 200000


class Watcher:
    """Asks for the totals over and over in a thread of its own. Once `exact` is set every answer must equal it; errors are only
    counted, as servers are being killed meanwhile."""

    def __init__(self, broker):
        self.broker, self.exact = broker, None
        self.answers, self.errors, self.wrong, self.last_error = 0, 0, [], None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.done.is_set():
            want = self.exact
            try:
                got = totals(self.broker, timeout=30)
            except Exception as e:
                self.errors += 1
                self.last_error = e
                self.done.wait(0.05)
                continue
            self.answers += 1
            if want and got != want:
                self.wrong.append(got)
            self.done.wait(0.02)

    def settle(self, what):
        """Ends a phase: no answer in it was wrong."""
        check(not self.wrong, f"{what}: {len(self.wrong)} of {self.answers} answers were wrong, first {self.wrong[:1]}, want {self.exact}")

    def stop(self):
        self.done.set()
        self.thread.join(60)


class LockedSegments:
    """Holds a lock on the table of segments: reading goes on, a publish waits."""

    def __init__(self, env, postgres):
        self.process = env.start("lock", [os.path.join(postgres.bin, "psql"), "-X", "-q", "-d", postgres.url, "-c",
                                          "begin; lock table hg_segments in share row exclusive mode; select pg_sleep(3600)"])
        wait_until("the lock", lambda: postgres.sql("select 1 from pg_locks where relation = 'hg_segments'::regclass and granted and "
                                                    "mode = 'ShareRowExclusiveLock'"), process=self.process)
        self.postgres = postgres

    def waiting(self):
        return self.postgres.sql("select 1 from pg_locks where relation = 'hg_segments'::regclass and not granted")

    def release(self):
        self.postgres.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(3600)%' and pid <> pg_backend_pid()")
        self.process.wait(30)


def published(postgres):
    return int(postgres.sql("select count(*) from hg_segments")[0][0])


def test_exactly_once(env):
    events, sums = generate(env, rows=ROWS, days=3)
    want, cells = sums["total"], wanted_cells(sums)
    postgres, kafka = Postgres(env), Kafka(env)
    sent = kafka.produce("ads", events, partitions=2, create=True)
    check_equal(sent["partitions"], [ROWS // 2, ROWS // 2], "events by partition")
    cluster = Cluster(env, postgres, kafka)
    coordinator = cluster.add("coordinator")
    historicals = [cluster.add("historical", f"historical-{i}") for i in (1, 2)]
    # Small heads, so that persisting and reading of persisted parts take part; no sealing until a start says so.
    ingest = cluster.add("ingest", ingest__live__max_rows=20000, ingest__seal__period="1h")
    broker = cluster.add("broker")
    env.say("the cluster is up")

    answer = cluster.submit(ingest, ads_spec("ads", kafka.bootstrap))
    check_equal(answer, {"id": "ads"}, "answer to the spec")
    wait_until("some rows", lambda: 0 < totals(broker)["events"], 60)
    ingest.kill9()
    env.say("killed ingest in the middle of reading")
    ingest.start()
    wait_until("all rows, live", lambda: totals(broker)["events"] >= ROWS, 120)
    check_equal(totals(broker), want, "totals while live")
    check_equal(by_day_country(broker), cells, "by day and country while live")
    check_equal(published(postgres), 0, "published segments")
    env.say("exact while live")

    ingest.kill9()
    lock = LockedSegments(env, postgres)
    ingest.start(ingest__seal__period="1s")
    wait_until("a publish to wait for the lock", lock.waiting, 120, process=ingest.process)
    pushed = sum(len(files) for _, _, files in os.walk(env.path("deep")))
    check(pushed > 0, "segments should have been pushed before they are published")
    ingest.kill9()
    lock.release()
    check_equal(published(postgres), 0, "published segments after a kill between push and publish")
    env.say(f"killed ingest between push and publish, with {pushed} files pushed")

    # Nobody takes the segments over, so they stay published and not handed off.
    for h in historicals:
        check_equal(h.terminate(), 0, f"exit status of {h.name} after SIGTERM")
    watcher = Watcher(broker)
    ingest.start(ingest__seal__period="5s")
    wait_until("all rows to be published", lambda: totals(broker) == want and published(postgres) > 0 and
               postgres.sql("select sum(next_offset) from hg_offsets")[0][0] == str(ROWS), 180, process=ingest.process)
    watcher.exact = want
    check_equal(by_day_country(broker), cells, "by day and country, published and not handed off")
    ingest.kill9()
    env.say(f"killed ingest after publish and before hand-off, with {published(postgres)} segments published")

    # Published segments that nobody serves are missing: an error, never a smaller sum.
    status, _, answer = broker.request("POST", "/druid/v2", {"queryType": "timeseries", "dataSource": "ads", "intervals": ["2024-03-08/P3D"],
                                                             "granularity": "all", "aggregations": [{"type": "count", "name": "n"}],
                                                             "context": {"timeout": 20000}})
    check(status >= 500, f"a query over segments that nobody serves answered {status}: {answer}")
    ingest.start(ingest__seal__period="1s")
    for h in historicals:
        h.start()
    wait_until("the sums, from historicals", lambda: totals(broker) == want, 120)
    env.say("exact again after a restart")

    late, late_sums = generate(env, "late", rows=5000, days=3, seed=8)
    watcher.settle("before the late events")
    watcher.exact = None
    kafka.produce("ads", late, partitions=2)
    both = {k: want[k] + late_sums["total"][k] for k in want}
    wait_until("the late events", lambda: totals(broker) == both, 60)
    watcher.exact = both
    wait_until("the late events to be published", lambda: postgres.sql("select sum(next_offset) from hg_offsets")[0][0] == str(ROWS + 5000), 60)
    cells_late = wanted_cells(late_sums)
    both_cells = {k: tuple(a + b for a, b in zip(cells.get(k, (0,) * 4), cells_late.get(k, (0,) * 4))) for k in cells.keys() | cells_late.keys()}
    check_equal(by_day_country(broker), both_cells, "by day and country with late events")
    env.say("late events are in, exactly")

    # Handed off is: the historicals alone give the sums.
    wait_until("hand-off", lambda: ingest.metric("henge_ingest_handoff_waiting", 'datasource="ads"') == 0, 60)
    check_equal(ingest.terminate(), 0, "exit status of ingest after SIGTERM")
    wait_until("the sums without ingest", lambda: totals(broker) == both, 30)
    check_equal(by_day_country(broker), both_cells, "by day and country from historicals")
    watcher.stop()
    watcher.settle("during hand-off and after it")
    env.say(f"{watcher.answers} answers watched, none wrong; {watcher.errors} errors while servers were down, last: {watcher.last_error}")

    # A coordinator or a historical that restarts changes nothing.
    check_equal(coordinator.terminate(), 0, "exit status of the coordinator after SIGTERM")
    check_equal(totals(broker), both, "totals with the coordinator down")
    coordinator.start()
    historicals[0].kill9()
    historicals[0].start()
    wait_until("the sums after a historical's restart", lambda: totals(broker) == both, 60)
    cluster.stop()


harness.main(globals())
