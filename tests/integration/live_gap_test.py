#!/usr/bin/env python3
"""Live rows whose server died: until somebody has read them again, queries over them are errors that say so, also on a broker that never saw them, and never a smaller answer."""
import json

import harness
from cluster import ads_spec, Cluster, generate, SUM_AGGREGATORS, totals, WIDE
from harness import check, check_equal, wait_for_log, wait_until
from kafka_broker import Kafka
from postgres import Postgres

QUERY = {"queryType": "timeseries", "dataSource": "ads", "intervals": [WIDE], "granularity": "all", "aggregations": SUM_AGGREGATORS, "context": {"timeout": 20000}}
SUPERVISOR = "/druid/indexer/v1/supervisor"


def answers(broker, want):
    """True: with everything; False: with an error that names what is wrong. Anything else fails the test."""
    status, _, answer = broker.request("POST", "/druid/v2", QUERY)
    if status != 200:
        check(status in (503, 504) and answer.get("error") and answer.get("errorMessage"), f"{broker.name}: an error must say what is wrong: {status} {answer}")
        return False
    check_equal(answer[0]["result"]["events"] if answer else 0, want["events"], f"events by {broker.name}")
    return True


def partial(broker, want):
    """What an answer without the missing rows calls missing."""
    status, headers, answer = broker.request("POST", "/druid/v2", {**QUERY, "context": {"timeout": 20000, "allowPartial": True}})
    check_equal(status, 200, f"allowPartial by {broker.name}: {answer}")
    context = json.loads(headers["X-Druid-Response-Context"])
    check(context.get("partial") and context["missingSegments"], f"{broker.name}: {context}")
    check((answer[0]["result"]["events"] or 0 if answer else 0) < want["events"], f"{broker.name}: nothing was missing after all: {answer}")


def test_live_gap(env):
    events, sums = generate(env, rows=4000, days=2)
    want = sums["total"]
    postgres, kafka = Postgres(env), Kafka(env)
    kafka.produce("ads", events, partitions=2, create=True)
    cluster = Cluster(env, postgres, kafka, {"broker.missing_wait": "500ms"})
    cluster.add("coordinator")
    cluster.add("historical")
    ingest, broker = cluster.add("ingest"), cluster.add("broker", "b1")
    late = cluster.add("broker", "b2", start=False)
    cluster.submit(ingest, ads_spec("ads", kafka.bootstrap))
    wait_until("all rows, live", lambda: totals(broker) == want, 60)

    # Nobody can read them again while Kafka is away.
    kafka.stop()
    ingest.kill9()
    wait_for_log(broker.process, "server gone", 30)
    check(not answers(broker, want), "an answer after the server's lease")
    partial(broker, want)
    late.start()
    late.wait_ready(60)
    for b in (broker, late):
        check(not answers(b, want), f"an answer by {b.name}, though nobody serves the rows")
    partial(late, want)
    ingest.start()
    wait_until("the stream to begin", lambda: ingest.get(f"{SUPERVISOR}/ads/status")["payload"]["state"] != "PENDING", 30)
    for b in (broker, late):
        check(not answers(b, want), f"an answer by {b.name}, though nothing was read again")
    env.say("queries fail while nobody can serve the rows")

    kafka.start()
    wait_for_log(ingest.process, "caught up with what was served before", 60)
    for b in (broker, late):
        wait_until(f"{b.name} to answer again", lambda b=b: answers(b, want), 30)
        check_equal(totals(b), want, f"totals by {b.name}")
    env.say("they answer when the rows were read again")

    # All of it is published: nothing is owed when the server goes.
    ingest.post(f"{SUPERVISOR}/ads/suspend", None)
    wait_until("the supervisor to be suspended", lambda: ingest.get(f"{SUPERVISOR}/ads/status")["payload"]["state"] == "SUSPENDED", 60)
    wait_until("hand-off", lambda: ingest.metric("henge_ingest_handoff_waiting", 'datasource="ads"') == 0, 60)
    ingest.kill9()
    late.kill9()
    late.start()
    late.wait_ready(60)
    for b in (broker, late):
        check_equal(totals(b), want, f"totals by {b.name} after the end of the stream")
    cluster.stop()


harness.main(globals())
