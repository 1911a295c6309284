#!/usr/bin/env python3
"""The harness and the services it starts: what every other integration test relies on."""
import json
import os
import signal

import harness
from harness import Failure, check, check_equal, wait_until
from kafka_broker import Kafka
from postgres import Postgres


def test_harness(env):
    """A dead or silent process is noticed, and told with a sentence."""
    p = env.start("sleeper", ["sleep", "600"])
    check(p.running(), "the process should run")
    ports = {env.ports.take() for _ in range(50)}
    check_equal(len(ports), 50, "different ports")
    try:
        wait_until("the moon", lambda: False, 0.2, process=p)
        raise AssertionError("no failure")
    except Failure as e:
        check("waited 0.2 s for the moon" in str(e), str(e))
    check_equal(p.terminate(), -signal.SIGTERM, "exit status")
    try:
        wait_until("the sun", lambda: False, 30, process=p)
        raise AssertionError("no failure")
    except Failure as e:
        check("sleeper ended with status -15" in str(e), str(e))


def test_postgres(env):
    pg = Postgres(env)
    check(pg.sql("show server_version")[0][0].startswith("15."), "PostgreSQL 15")
    pg.sql("create table t (n int); insert into t select generate_series(1, 1000)")
    pg.kill9()
    pg.start()
    check_equal(pg.sql("select sum(n), null from t"), [["500500", ""]], "rows after kill -9")
    pg.stop()
    check(not pg.ready(), "stopped")


def test_kafka(env):
    events, sums = env.path("events.json"), env.path("sums.json")
    env.run([os.path.join(harness.ROOT, "tools", "ads_events.py"), "--rows", "2000", "--out", events, "--sums", sums])
    kafka = Kafka(env)
    got = kafka.produce("ads", events, partitions=2, create=True)
    check_equal((got["lines"], got["acknowledged"], got["partitions"]), (2000, 2000, [1000, 1000]), "round robin")
    keyed = kafka.produce("keyed", events, key_field="ad_id", partitions=2, create=True)
    check(keyed["acknowledged"] == 2000 and min(keyed["partitions"]) > 500, f"by key: {keyed}")
    again = kafka.produce("keyed", events, key_field="ad_id")
    check_equal(again["partitions"], keyed["partitions"], "a key's partition is the same in each run")
    kafka.kill9()
    kafka.start()
    rows = [json.loads(line) for line in kafka.read_all("ads", 2000)]
    with open(sums, encoding="utf-8") as f:
        total = json.load(f)["total"]
    check_equal(len(rows), total["events"], "events after kill -9 of the broker")
    check_equal(sum(r["impressions"] for r in rows), total["impressions"], "impressions after kill -9 of the broker")
    r = env.run([env.program("henge-produce"), "--brokers", kafka.bootstrap, "--topic", "nosuch", "--timeout-ms", "2000", events], ok=False)
    check(r.returncode == 1 and "nosuch" in r.stderr, f"a topic that is not there: {r.stderr}")


harness.main(globals())
