#!/usr/bin/env python3
"""What goes wrong outside Henge: it says so in a sentence, waits where waiting helps, and recovers by itself."""
import os
import socket

import harness
from cluster import ads_spec, Cluster, generate, Server, totals
from harness import check, check_equal, wait_for_log, wait_until
from kafka_broker import Kafka
from postgres import Postgres


def refuses(env, server, pattern, **settings):
    """The server must end by itself, with a status that is not 0, and a line that says why."""
    server.start(healthy=False, **settings)
    status = server.process.wait(30, "end by itself")
    check(status > 0, f"{server.name}: exit status {status}, want an error status")
    wait_for_log(server.process, pattern, 1)


def test_wrong_start(env):
    """Settings and surroundings that no waiting mends: an exit status and a sentence."""
    server = Server(env, "standalone", start=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refuses(env, server, rf"(?i){port}.*in use", http__port=port)
    refuses(env, server, r"http\.prot", http__prot=1)
    refuses(env, server, r"http\.port.*many", http__port="many")
    blocked = env.path("blocked")
    with open(blocked, "w", encoding="utf-8") as f:
        f.write("a file where a folder should be")
    refuses(env, server, r"blocked/all\.db", meta__url=f"sqlite://{blocked}/all.db")
    refuses(env, server, r"blocked", data__dir=blocked)
    server.start()
    check_equal(server.terminate(), 0, "exit status after SIGTERM")


def test_check_config(env):
    good, bad = env.path("good.conf"), env.path("bad.conf")
    with open(good, "w", encoding="utf-8") as f:
        f.write("# a comment\nhttp.port = 9000\ncluster.secret = hush\n")
    with open(bad, "w", encoding="utf-8") as f:
        f.write("http.port = 9000\nhttp.prot = 1\n")
    henge = env.program("henge")
    r = env.run([henge, "broker", "--config", good, "--check-config"])
    check("9000" in r.stdout and good in r.stdout, f"--check-config should print values and where they come from: {r.stdout}")
    check("hush" not in r.stdout, "--check-config printed a secret")
    r = env.run([henge, "broker", "--config", bad, "--check-config"], ok=False)
    check(r.returncode != 0 and "http.prot" in r.stderr + r.stdout and f"{bad}:2" in r.stderr + r.stdout, f"an unknown key: {r.stdout}{r.stderr}")
    for role in ("ingest", "historical", "coordinator", "broker", "standalone"):
        example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf", role + ".conf")
        env.run([henge, role, "--config", example, "--check-config"])


def test_services_down(env):
    """PostgreSQL and Kafka away at the start, and again while running: servers wait, say so, and go on."""
    events, sums = generate(env, rows=4000, days=1)
    postgres, kafka = Postgres(env), Kafka(env)
    kafka.produce("ads", events, partitions=2, create=True)
    postgres.stop()
    cluster = Cluster(env, postgres, kafka)
    coordinator = cluster.add("coordinator", start=False)
    historical = cluster.add("historical", start=False)
    ingest = cluster.add("ingest", start=False, ingest__seal__period="1s")
    broker = cluster.add("broker", start=False)
    for s in (coordinator, historical, ingest, broker):
        s.start(healthy=False)
    for s in (coordinator, historical, ingest, broker):
        wait_for_log(s.process, rf"127\.0\.0\.1.*{postgres.port}|{postgres.port}", 30)
        check(s.process.running(), f"{s.name} ended because PostgreSQL is down")
    postgres.start()
    for s in (coordinator, historical, ingest, broker):
        s.wait_healthy(60)
        s.wait_ready(60)
    env.say("all are ready once PostgreSQL is there")

    kafka.stop()
    cluster.submit(ingest, ads_spec("ads", kafka.bootstrap))
    wait_for_log(ingest.process, rf"{kafka.port}", 60)
    check(ingest.get("/status/health") is True, "ingest is healthy while Kafka is down")
    kafka.start()
    wait_until("all rows", lambda: totals(broker) == sums["total"], 120, process=ingest.process)
    wait_until("them to be published", lambda: postgres.sql("select sum(next_offset) from hg_offsets")[0][0] == "4000", 60)
    wait_until("hand-off", lambda: ingest.metric("henge_ingest_handoff_waiting", 'datasource="ads"') == 0, 60)
    env.say("rows are in once Kafka is there")

    postgres.kill9()
    check_equal(totals(broker), sums["total"], "totals with PostgreSQL down")
    more, more_sums = generate(env, "more", rows=1000, days=1, seed=9)
    kafka.produce("ads", more, partitions=2)
    both = {k: sums["total"][k] + more_sums["total"][k] for k in sums["total"]}
    postgres.start()
    wait_until("rows sent while PostgreSQL was down", lambda: totals(broker) == both, 120, process=ingest.process)
    wait_until("them to be published", lambda: postgres.sql("select sum(next_offset) from hg_offsets")[0][0] == "5000", 60)
    cluster.stop()


def test_dead_letters(env):
    """Bad events do not stop the rest; each is counted and goes to the dead-letter topic with its place and reason."""
    postgres, kafka = Postgres(env), Kafka(env)
    good, sums = generate(env, rows=100, days=1)
    mixed = env.path("mixed.json")
    with open(good, encoding="utf-8") as f, open(mixed, "w", encoding="utf-8") as out:
        for i, line in enumerate(f):
            out.write(line)
            if i == 10:
                out.write('{"timestamp": "2024-03-08T00:00:00Z", "impressions": \n')
            if i == 20:
                out.write('{"impressions": 1}\n')
            if i == 30:
                out.write('{"timestamp": "yesterday", "impressions": 1}\n')
    kafka.produce("ads", mixed, partitions=1, create=True)
    kafka.produce("dead", os.devnull, partitions=1, create=True)
    cluster = Cluster(env, postgres, kafka)
    cluster.add("coordinator")
    cluster.add("historical")
    ingest, broker = cluster.add("ingest"), cluster.add("broker")
    spec = ads_spec("ads", kafka.bootstrap)
    spec["spec"]["ioConfig"]["deadLetterTopic"] = "dead"
    cluster.submit(ingest, spec)
    wait_until("the good events", lambda: totals(broker)["events"] == 100, 60)
    check_equal(totals(broker), sums["total"], "totals of the good events")
    letters = kafka.read_all("dead", 3)
    check_equal(len(letters), 3, "dead letters")
    check(any(b"yesterday" in line for line in letters), f"the bad event is in its letter: {letters}")
    for reason in ("malformed", "no_time", "bad_time"):
        check_equal(ingest.metric("henge_ingest_events_thrown_away_total", f'reason="{reason}"'), 1.0, f"events thrown away as {reason}")
    cluster.stop()


def test_disk_full(env):
    """No space to persist: ingest says so and stops reading rather than losing rows or growing, and goes on when there is space."""
    if os.getuid() != 0:
        env.say("left out: a small file system can only be mounted by root")
        return
    events, sums = generate(env, rows=50000, days=1)
    postgres, kafka = Postgres(env), Kafka(env)
    kafka.produce("ads", events, partitions=2, create=True)
    cluster = Cluster(env, postgres, kafka)
    cluster.add("coordinator")
    cluster.add("historical")
    ingest = cluster.add("ingest", start=False, ingest__live__max_rows=2000, ingest__seal__period="1h")
    broker = cluster.add("broker")
    # A file system of its own for the data directory, in a mount name space that ends with the process. In a chroot "/" is no mount, whose propagation could be set.
    private = env.run(["unshare", "--mount", "--propagation", "private", "true"], ok=False).returncode == 0
    ingest.wrapper = ["unshare", "--mount", "--propagation", "private" if private else "unchanged", "sh", "-c",
                      'mount -t tmpfs -o size=512k tmpfs "$0" && exec "$@"', ingest.data]
    ingest.start()
    cluster.submit(ingest, ads_spec("ads", kafka.bootstrap))
    wait_for_log(ingest.process, r"(?i)no space left", 60)
    check(ingest.get("/status/health") is True, "ingest is healthy with a full disk")
    check(totals(broker)["events"] <= 50000, "no event counted twice")
    env.run(["nsenter", "--target", str(ingest.process.pid), "--mount", "--root", "mount", "-o", "remount,size=512m", ingest.data])
    wait_until("all rows once there is space", lambda: totals(broker) == sums["total"], 120, process=ingest.process)
    cluster.stop()


harness.main(globals())
