#!/usr/bin/env python3
"""A whole cluster under everything at once: thirty days of ad events in two namespaces age through three tiers, days and weeks are rewritten and brought
back, and servers, streams, leaders and the database are killed or frozen at seeded moments, while watchers ask both brokers and hold every
answer against a model (model.py, watch.py).

    tests/integration/cluster_test.py [--seed N] [--rounds N] [--only WORDS] [--build DIR] [--keep] [test_function...]

The seed is printed; the same seed gives the same events, the same order of rounds and the same moments. --rounds (or HENGE_SEEDS) runs so many rounds of
trouble; a run of ctest has a few. --only takes the troubles whose name has these words."""
import argparse
import contextlib
import os
import random
import sys
import threading
import time

import harness
from harness import check, check_equal, Failure, wait_until
from model import add, Chunk, DECIMAL, METRICS, Model, OF, Query, ZERO
from trouble import Both, Frozen, Killed, Nothing
from watch import Asker, Refused, Watch
from world import Age, Drain, Revert, Rewrite, Stream, Week, World

DAYS = [f"2024-03-{d:02}" for d in range(1, 31)]
EVENTS_A_DAY = {"delivery": 200, "conversions": 80}


# ---- the judge is judged first ----

def right_answer(model, query, state=-1, tails=None):
    """What a faultless broker answers in a state; tails: how much of each chunk's tail it has seen."""
    got = {}
    for ns in query.namespaces or model.namespaces:
        for d in query.days:
            chunk = model.states[state][ns, d]
            seen = chunk.prefixes(query.where, query.group)[(tails or {}).get(chunk, -1)]
            of_day = got.setdefault(d if query.daily else "*", {})
            for g, v in seen.items():
                of_day[g] = add(of_day.get(g, ZERO), v)
    return {d: groups for d, groups in got.items() if groups}


def test_judge(env):
    """The model takes every right answer and refuses each kind of wrong one; without this, a green cluster test would mean nothing."""
    del env
    model = Model(3, DAYS[:6])
    model.stream([e for ns in model.namespaces for d in model.days for e in model.events(ns, d, 40)])
    model.fold()
    asker = Asker(type("broker", (), {"name": "b"})(), model)
    rng = random.Random(4)
    queries = [asker.draw(rng) for _ in range(200)]
    seen = {(q.kind, q.daily, q.where is None, q.group) for q in queries}
    check(len(seen) > 10, f"many kinds of queries: {len(seen)}")

    def verdict(q, got, begun=None):
        return model.judge(q, got, begun or model.begun("b"))

    def refused(q, got, what, begun=None):
        check(verdict(q, got, begun) is not None, f"the model takes {what}: {q}")

    before = {q: right_answer(model, q) for q in queries}
    for q in queries:
        check_equal(verdict(q, before[q]), None, f"verdict on the right answer to {q}")
        for day, groups in before[q].items():
            group = rng.choice(sorted(groups))
            i = rng.choice([i for i in range(5) if groups[group][i]])
            off = tuple(v + (k == i) for k, v in enumerate(groups[group]))
            refused(q, {**before[q], day: {**groups, group: off}}, "a sum that is off by one")
            refused(q, {**before[q], day: {g: add(v, v) for g, v in groups.items()}}, "a day that is counted twice")
            refused(q, {d: g for d, g in before[q].items() if d != day}, "an answer without a day")
            refused(q, {**before[q], day: {g: v for g, v in groups.items() if g != group}}, "an answer without a group")
            refused(q, {**before[q], day: {**groups, "nobody": off}}, "a group that is not there")

    # Two days of a namespace are replaced at once: the old ones, the new ones, never one of each.
    d1, d2 = model.days[1], model.days[2]
    model.begin({("delivery", d): Chunk(model.events("delivery", d, 30)) for d in (d1, d2)})
    q = Query("timeseries", model.days, True)
    old, new = right_answer(model, q, 0), right_answer(model, q, 1)
    begun = model.begun("b")
    check_equal(verdict(q, old, begun), None, "verdict on the old days")
    refused(q, {**old, d1: new[d1]}, "a mixture of two publishes", begun)
    refused(q, {**old, d1: {"*": add(old[d1]["*"], new[d1]["*"])}}, "both versions of a day", begun)
    check_equal(model.judge(q, new, begun, "b"), None, "verdict on the new days")
    refused(q, old, "an old state after the new one was shown")
    check_equal(verdict(q, old, begun), None, "verdict on the old days of a query that began before")
    total = Query("timeseries", model.days, False)
    check_equal(verdict(total, right_answer(model, total)), None, "verdict on the new total")
    refused(total, right_answer(model, total, 0), "an old total")

    # A publish that came to nothing must not be seen.
    model.begin({("conversions", d1): Chunk()})
    gone = right_answer(model, q)
    model.withdraw()
    refused(q, gone, "a publish that was withdrawn")
    check_equal(verdict(q, new), None, "verdict on the state before it")

    # A stream: any beginning of what was sent, not less than what was shown, and no hole.
    late = model.events("delivery", d2, 5)
    begun = model.begun("b")
    model.stream(late)
    chunk = model.now["delivery", d2]
    for k in range(6):
        check_equal(verdict(q, right_answer(model, q, tails={chunk: k}), begun), None, f"verdict on {k} late events")
        check_equal(verdict(total, right_answer(model, total, tails={chunk: k}), begun), None, f"verdict on the total with {k} late events")
    hole = {**new, d2: {"*": add(new[d2]["*"], late[1].vec)}}
    refused(q, hole, "a stream with a hole", begun)
    twice = {**new, d2: {"*": add(add(new[d2]["*"], late[0].vec), late[0].vec)}}
    refused(q, twice, "an event that is counted twice", begun)
    check_equal(verdict(q, new), None, "verdict on an answer of a broker that has shown none of it")
    begun = model.begun("b")
    check_equal(model.judge(q, right_answer(model, q, tails={chunk: 3}), begun, "b"), None, "verdict on a part of it")
    check_equal(verdict(q, new, begun), None, "verdict on a query that began before that was shown")
    refused(q, new, "an answer without what was shown, whether it was published or not")
    model.ended("b")
    refused(q, right_answer(model, q, tails={chunk: 3}), "an answer that goes back behind the settled state")
    check_equal(verdict(q, right_answer(model, q)), None, "verdict on all that was sent")


class Fake(Asker):
    """An asker of a broker that answers from the model itself, with whatever fault it is told to have."""

    def __init__(self, model, fault):
        super().__init__(type("broker", (), {"name": "fake"})(), model)
        self.fault = fault

    def send(self, query, timeout_s=0, **context):
        answers = {d: {g: dict(zip(METRICS, v)) for g, v in groups.items()} for d, groups in right_answer(self.model, query).items()}
        for of_day in answers.values():
            for values in of_day.values():
                values.update({m: values[m] / 1000000 for m in DECIMAL})
        context, rows = "{}", []
        if self.fault == "one impression more" and answers:
            next(iter(next(iter(answers.values())).values()))["impressions"] += 1
        if self.fault == "an error":
            raise Refused(503, "Unknown exception", "1 of 30 segments are served by no server")
        if self.fault == "silence":
            raise TimeoutError("timed out")
        if self.fault == "partial without being asked":
            context = '{"partial":true,"missingSegmentsCount":1,"missingSegments":["ads_2024-03-01T00:00:00.000Z_2024-03-02T00:00:00.000Z_v"]}'
        for d, groups in answers.items():
            stamp = f"{d if query.daily else query.days[0]}T00:00:00.000Z"
            if query.kind == "groupBy":
                rows += [{"timestamp": stamp, "event": {query.group: g, **v}} for g, v in groups.items()]
            elif query.kind == "topN":
                ordered = sorted(groups, key=lambda g: groups[g][query.metric()], reverse=self.fault != "out of order")
                rows.append({"timestamp": stamp, "result": [{query.group: g, **groups[g]} for g in ordered]})
            else:
                rows.append({"timestamp": stamp, "result": groups["*"]})
        if self.fault == "a row twice":
            rows += rows[:1]
        return rows, context


def test_watchers(env):
    """Watchers pass a right broker and report each kind of wrong one; errors are taken only while the test says so."""
    del env
    model = Model(5, DAYS[:6])
    model.stream([e for ns in model.namespaces for d in model.days for e in model.events(ns, d, 20)])
    model.fold()

    def verdict(fault, taken=False):
        fake = Fake(model, None)
        watch = Watch([fake], 1, each=1)
        with watch.errors_taken() if taken else contextlib.nullcontext():
            fake.fault = fault
            wait_until("forty answers", lambda: watch.answers + len(watch.wrong) + sum(watch.errors.values()) >= 40, 30)
            watch.stop()
        try:
            watch.check("in the end")
            return None
        except Failure as e:
            return str(e)

    check_equal(verdict(None), None, "verdict on a right broker")
    for fault, words in (("one impression more", "want"), ("a row twice", "twice"), ("out of order", "out of order"), ("partial without being asked", "nobody asked for"),
                         ("an error", "served by no server"), ("silence", "timed out")):
        got = verdict(fault)
        check(got and words in got, f"a broker with the fault: {fault}: {got}")
    check_equal(verdict("an error", taken=True), None, "verdict on errors that are taken")
    check(verdict("one impression more", taken=True), "a wrong answer is one, also while errors are taken")


# ---- the cluster ----

def bring_up(env, seed):
    """A cluster with thirty days, published and where the rules want them."""
    model = Model(seed, DAYS)
    world = World(env, model)
    env.say("all processes are ready")
    events = [e for ns in OF for d in DAYS for e in model.events(ns, d, EVENTS_A_DAY[ns])]
    model.stream(events)
    world.produce(events, create=True)
    world.set_rules()
    # Each namespace's stream runs on a server of its own: the other one is held while it is submitted.
    for ns, mine, other in (("delivery", world.ingests[0], world.ingests[1]), ("conversions", world.ingests[1], world.ingests[0])):
        hold = Frozen(other)
        hold.strike()
        world.submit(ns, mine)
        hold.heal()
    check_equal([world.owner(ns).name for ns in OF], ["ingest-1", "ingest-2"], "who runs the streams")
    wait_until("thirty days to be published", world.published, 120, every_s=0.2)
    world.askers = [Asker(b, model) for b in world.brokers]
    for a in world.askers:
        a.settled()
    model.fold()
    world.placed()
    world.first_version = {ns: world.version_of(ns, DAYS[0]) for ns in OF}
    env.say(f"{len(events)} events of thirty days are published, and in their tiers")
    return world


class Trouble:
    """One kind of trouble: what is struck, for how long, whether queries may fail by it, and during what it is worth having. moment: waited for before the
    strike, where a certain one is the worst. through: what goes on must be done before the trouble ends, by those who are left."""

    def __init__(self, name, pick, hold_s, errors, during, moment=None, through=False):
        self.name, self.pick, self.hold_s, self.errors, self.during = name, pick, hold_s, errors, during
        self.moment, self.through = moment, through


def moving(world):
    """Copies are served at their new places, and those at the old ones are not dropped yet."""
    return not world.misplaced(strict=False) and world.misplaced()


def handing_off(world):
    """Segments are published, and no historical has them yet."""
    waiting = [line for i in world.ingests for line in i.get("/metrics").splitlines() if line.startswith("henge_ingest_handoff_waiting{")]
    return any(not line.endswith(" 0") for line in waiting)


def reach(moment, world):
    """Waits for it. On a machine with other things to do it can pass between two looks; then the trouble comes anyway, and the round says so."""
    try:
        wait_until("the moment", lambda: moment(world), 10, every_s=0.01)
        return ""
    except Failure:
        return " (too late)"


ANY = (Stream, Rewrite, Week, Revert, Age, Drain)
MAY_FAIL, MUST_ANSWER, OWN_CLIENTS = "may fail", "must answer", "own clients"
TROUBLES = [
    Trouble("nothing", lambda w, rng: Nothing(), (0, 1), MUST_ANSWER, ANY),
    Trouble("leader killed", lambda w, rng: Killed(w.leader()[0]), (1, 4), MUST_ANSWER, (Week, Stream, Drain)),
    Trouble("leader killed between load and drop", lambda w, rng: Killed(w.leader()[0]), (1, 3), MUST_ANSWER, (Age,), moving),
    Trouble("leader frozen", lambda w, rng: Frozen(w.leader()[0]), (0, 1), MUST_ANSWER, (Rewrite, Revert, Age), through=True),
    Trouble("coordinators restarted", lambda w, rng: Killed(*w.coordinators), (1, 4), MUST_ANSWER, (Age, Revert)),
    Trouble("hot killed", lambda w, rng: Killed(rng.choice(w.hot)), (1, 6), MUST_ANSWER, (Rewrite, Age, Stream)),
    Trouble("hot frozen", lambda w, rng: Frozen(rng.choice(w.hot)), (3, 8), MUST_ANSWER, (Rewrite, Stream)),
    Trouble("cold killed", lambda w, rng: Killed(w.cold), (1, 4), MAY_FAIL, (Age, Week)),
    Trouble("icy frozen", lambda w, rng: Frozen(w.icy), (2, 8), MAY_FAIL, (Rewrite, Age)),
    Trouble("ingest killed", lambda w, rng: Killed(rng.choice(w.ingests)), (1, 4), MAY_FAIL, (Stream, Rewrite)),
    Trouble("ingest killed, and taken over from", lambda w, rng: Killed(rng.choice(w.ingests)), (5, 9), MAY_FAIL, (Stream,)),
    Trouble("ingest killed during hand-off", lambda w, rng: Killed(*w.ingests), (0, 3), MAY_FAIL, (Stream,), handing_off),
    Trouble("ingest frozen", lambda w, rng: Frozen(rng.choice(w.ingests)), (2, 8), MAY_FAIL, (Stream,)),
    Trouble("PostgreSQL killed", lambda w, rng: Killed(w.postgres), (1, 4), MUST_ANSWER, (Stream, Rewrite, Age)),
    Trouble("PostgreSQL frozen", lambda w, rng: Frozen(w.postgres), (2, 8), MUST_ANSWER, (Stream, Revert, Week)),
    Trouble("broker killed", lambda w, rng: Killed(rng.choice(w.brokers)), (1, 2), OWN_CLIENTS, ANY),
]


def second(world, rng, trouble, struck):
    """Another trouble at the same time, with other servers; then queries may fail, but for the two that fail none."""
    others = [t for t in TROUBLES if t.name != "nothing" and not t.moment and not t.through]
    while True:
        other = rng.choice(others)
        also = other.pick(world, rng)
        if not set(also.servers) & set(struck.servers):
            return other, also


def play(env, world, watch, rng, number, trouble, twice=False):
    """One round: something goes on, trouble comes at a seeded moment and lasts a seeded while, and in the end everything is as it should be."""
    form = rng.choice(trouble.during)
    if form is Revert and not any(world.model.now[k] is not c for k, c in world.model.states[0].items()):
        form = Rewrite
    if trouble.errors == MUST_ANSWER and "hot" in trouble.name:
        world.placed(strict=False)  # two replicas, or one may be missed
    what, struck, errors = form(world, rng), trouble.pick(world, rng), trouble.errors
    name = trouble.name
    if twice and struck.servers and not trouble.through:
        other, also = second(world, rng, trouble, struck)
        name, struck, errors = f"{name}, {other.name}", Both(struck, also), MAY_FAIL
    delay, hold = rng.uniform(0, 0.8), rng.uniform(*trouble.hold_s)
    broker = struck.servers[0].name if errors == OWN_CLIENTS else None
    began = time.monotonic()
    pause = threading.Event()
    with contextlib.nullcontext() if errors == MUST_ANSWER else watch.errors_taken(broker):
        what.begin()
        if trouble.moment:
            name += reach(trouble.moment, world)
        else:
            pause.wait(delay)
        after = time.monotonic() - began
        struck.strike()
        pause.wait(hold)
        if trouble.through:
            what.finish()
        struck.heal()
        if not trouble.through:
            what.finish()
        for a in world.askers:
            a.settled()
    watch.check(f"round {number} ({what}; {name}: {struck})")
    env.say(f"round {number}: {what}; {name}: {struck} after {after:.1f} s for {hold:.1f} s; settled after {time.monotonic() - began:.1f} s")


def test_cluster(env):
    seed, rounds = OPTIONS.seed, OPTIONS.rounds
    env.say(f"seed {seed}, {rounds} rounds")
    world = bring_up(env, seed)
    rng = random.Random(f"{seed}/rounds")
    watch = Watch(world.askers, seed)
    plan = []
    kinds = [t for t in TROUBLES if OPTIONS.only in t.name]
    while len(plan) < rounds:
        plan += rng.sample(kinds, len(kinds))
    for number, trouble in enumerate(plan[:rounds], 1):
        play(env, world, watch, rng, number, trouble, twice=number > len(TROUBLES))
    world.placed()
    watch.stop()
    watch.check("at the end")
    for a in world.askers:
        a.settled()
    for h in world.hot:
        check_equal(h.metric("henge_query_major_faults_total"), 0.0, f"major faults of queries on {h.name}")
    world.cluster.stop()
    env.say(watch.summary())


def options():
    """Takes --seed and --rounds out of the arguments; the harness reads the others."""
    ap = argparse.ArgumentParser(add_help=False)
    ap.add_argument("--seed", type=int, default=int(os.environ.get("HENGE_SEED", "1")))
    ap.add_argument("--rounds", type=int, default=int(os.environ.get("HENGE_SEEDS", str(len(TROUBLES)))))
    ap.add_argument("--only", default="")
    mine, rest = ap.parse_known_args()
    sys.argv[1:] = rest
    return mine


OPTIONS = options()
harness.main(globals())
