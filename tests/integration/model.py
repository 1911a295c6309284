"""Which answers a cluster may give: exact sums of generated ad events, by namespace and day, under publishes that are on their way.

A *chunk* is what a namespace has on one day: events that are there for certain, and a *tail* of later ones in the order in which Kafka has
them, of which a query may see any beginning that is not shorter than what its broker has shown before, published or live. A *state* says which chunk each
namespace and day shows. Publishes and reverts add states; between its begin and its end a query may see the one before or the one after,
whole, and a broker that has shown a state never goes back to an older one.

Amounts are drawn so widely that no two sets of events are likely to have the same sums: an answer that matches is the right one.
"""
import itertools
import json
import random
import threading

METRICS = ("impressions", "clicks", "spend", "conversions", "revenue")
DECIMAL = ("spend", "revenue")
OF = {"delivery": (0, 1, 2), "conversions": (3, 4)}  # namespace -> which of METRICS
COUNTRIES = ("US", "DE", "BR", "JP", "GB", "FR")
CAMPAIGNS = [f"c{i:02}" for i in range(30)]
ADS = [f"ad-{i:05}" for i in range(6000)]
ZERO = (0,) * len(METRICS)
MAX_COMBINATIONS = 3000  # of beginnings of several tails; past it sums are only held between bounds


def add(a, b):
    return tuple(x + y for x, y in zip(a, b))


def amount(micros):
    """Micro-units as a JSON number or text with all its digits."""
    return f"{micros // 1000000}.{micros % 1000000:06}"


class Event:
    """One event: what it is counted under, and what it adds."""
    __slots__ = ("ns", "day", "second", "dims", "vec")

    def __init__(self, rng, ns, day, ads=ADS):
        self.ns, self.day, self.second = ns, day, rng.randrange(86400)
        self.dims = {"country": rng.choice(COUNTRIES), "campaign": rng.choice(CAMPAIGNS), "ad": rng.choice(ads)}
        if ns == "delivery":
            self.vec = (rng.randrange(1, 1000), rng.randrange(0, 50), rng.randrange(1, 500000000), 0, 0)
        else:
            self.vec = (0, 0, 0, rng.randrange(1, 9), rng.randrange(1, 900000000))

    def line(self):
        values = {METRICS[i]: amount(self.vec[i]) if METRICS[i] in DECIMAL else self.vec[i] for i in OF[self.ns]}
        time = f"{self.day}T{self.second // 3600:02}:{self.second // 60 % 60:02}:{self.second % 60:02}Z"
        return json.dumps({"timestamp": time, "day": self.day, **self.dims, **values})


class Chunk:
    """The events of a namespace on a day. Only the thread of the test adds; watchers read."""

    def __init__(self, events=()):
        self.base, self.tail, self.sums = list(events), [], {}

    def append(self, events):
        self.tail = self.tail + list(events)

    def fold(self):
        """The tail is seen by everybody and nobody asks meanwhile: it becomes a part of the base."""
        self.base, self.tail, self.sums = self.base + self.tail, [], {}

    def prefixes(self, where, group):
        """Groups' sums with 0, 1, 2, ... events of the tail. where: a Filter or None; group: a dimension or None."""
        key, tail = (where.name if where else None, group), self.tail
        got = self.sums.get(key)
        if got is None:
            got = [self.total(self.base, {}, where, group)]
        if len(got) <= len(tail):
            got = list(got)
            for e in tail[len(got) - 1:]:
                got.append(self.total([e], got[-1], where, group))
            self.sums[key] = got
        elif key not in self.sums:
            self.sums[key] = got
        return got

    @staticmethod
    def total(events, start, where, group):
        sums = dict(start)
        for e in events:
            if where is None or e.dims[where.dimension] in where.values:
                g = e.dims[group] if group else "*"
                sums[g] = add(sums.get(g, ZERO), e.vec)
        return sums


class Filter:
    """An `in` filter; its name stands for it in caches."""

    def __init__(self, name, dimension, values):
        self.name, self.dimension, self.values = name, dimension, frozenset(values)
        self.json = {"type": "in", "dimension": dimension, "values": sorted(self.values)}


class Query:
    """A question, its JSON, and how to read an answer to it."""

    def __init__(self, kind, days, daily, namespaces=None, where=None, group=None, datasource="ads"):
        self.kind, self.days, self.daily, self.namespaces, self.where, self.group = kind, days, daily, namespaces, where, group
        self.datasource = datasource

    def __str__(self):
        return (f"{self.kind} {self.days[0]}..{self.days[-1]} {'by day' if self.daily else 'all'} namespaces={self.namespaces} "
                f"where={self.where.name if self.where else None} by={self.group}")

    def body(self, timeout_ms, **context):
        q = {"queryType": self.kind, "dataSource": self.datasource, "intervals": [f"{self.days[0]}/P{len(self.days)}D"],
             "granularity": "day" if self.daily else "all", "context": {"timeout": timeout_ms, **context},
             "aggregations": [{"type": "decimalSum" if m in DECIMAL else "longSum", "name": m, "fieldName": m} for m in METRICS]}
        if self.namespaces:
            q["context"]["namespaces"] = list(self.namespaces)
        if self.where:
            q["filter"] = self.where.json
        if self.kind == "topN":
            q.update(dimension=self.group, metric=self.metric(), threshold=1000)
        if self.kind == "groupBy":
            q["dimensions"] = [self.group] if self.group else []
        return q

    def metric(self):
        return "revenue" if self.namespaces == ("conversions",) else "spend"

    def rows(self, answer):
        """(day or "*", group or "*", object with the metrics) of every row."""
        for row in answer:
            day = row["timestamp"][:10] if self.daily else "*"
            if self.kind == "groupBy":
                yield day, row["event"][self.group] if self.group else "*", row["event"]
            elif self.kind == "topN":
                for r in row["result"]:
                    yield day, r[self.group], r
            else:
                yield day, "*", row["result"]

    def read(self, answer):
        """{day: {group: sums}} without what is zero; a ValueError where rows are twice or out of order."""
        got, before = {}, {}
        for day, group, values in self.rows(answer):
            vec = tuple(round((values[m] or 0) * 1000000) if m in DECIMAL else values[m] or 0 for m in METRICS)
            of_day = got.setdefault(day, {})
            if group in of_day:
                raise ValueError(f"{day} {group} comes twice")
            of_day[group] = vec
            if self.kind == "topN":
                value = vec[METRICS.index(self.metric())]
                if value > before.get(day, value):
                    raise ValueError(f"{day} {group} is out of order")
                before[day] = value
        return {day: {g: v for g, v in of_day.items() if v != ZERO} for day, of_day in got.items()}


def part(groups, ns):
    """The groups' sums of one namespace's metrics."""
    mask = [i in OF[ns] for i in range(len(METRICS))]
    return {g: v for g, v in ((g, tuple(x if m else 0 for x, m in zip(v, mask))) for g, v in groups.items()) if v != ZERO}


def merged(many):
    sums = {}
    for groups in many:
        for g, v in groups.items():
            sums[g] = add(sums.get(g, ZERO), v)
    return sums


class Begun:
    """What a query that begins now may not fall behind."""

    def __init__(self, model, broker):
        self.state = model.shown.get(broker, 0)
        self.floors = {c: model.seen.get((broker, c), 0) for c in model.tails}


class Model:
    def __init__(self, seed, days, namespaces=tuple(OF)):
        self.rng = random.Random(seed)
        self.days, self.namespaces = list(days), tuple(namespaces)
        self.lock = threading.Lock()
        self.states = [{(ns, d): Chunk() for ns in self.namespaces for d in self.days}]
        self.dead = set()   # states that came to nothing
        self.tails = set()  # chunks that have one
        self.shown = {}     # broker -> the oldest state that it may show from now on
        self.seen = {}      # (broker, chunk) -> how much of its tail the broker has shown

    # ---- what happens, said by the test before it happens ----

    @property
    def now(self):
        return self.states[-1]

    def events(self, ns, day, n, **how):
        return [Event(self.rng, ns, day, **how) for _ in range(n)]

    def stream(self, events):
        """These will be sent, in this order."""
        with self.lock:
            for (ns, day), of_day in itertools.groupby(sorted(events, key=lambda e: (e.ns, e.day)), key=lambda e: (e.ns, e.day)):
                chunk = self.now[ns, day]
                chunk.append(of_day)
                self.tails.add(chunk)

    def fold(self):
        with self.lock:
            for c in self.tails:
                c.fold()
            self.tails, self.seen = set(), {}

    def begin(self, changes):
        """A publish that shows these chunks, {(ns, day): Chunk}, may become visible from now on."""
        with self.lock:
            self.states.append({**self.now, **changes})

    def withdraw(self):
        """The last publish came to nothing."""
        with self.lock:
            self.dead.add(len(self.states) - 1)
            self.states.append(self.states[self.newest(len(self.states) - 2)])

    def newest(self, at):
        while at in self.dead:
            at -= 1
        return at

    def ended(self, broker):
        """This broker shows the last state with all that was sent."""
        with self.lock:
            self.shown[broker] = len(self.states) - 1
            self.seen.update({(broker, c): len(c.tail) for c in self.tails})

    # ---- what may be answered ----

    def begun(self, broker):
        with self.lock:
            return Begun(self, broker)

    def wanted(self, query):
        """The only right answer once everything is settled."""
        namespaces = query.namespaces or self.namespaces
        by_day = {d: merged(self.now[ns, d].prefixes(query.where, query.group)[-1] for ns in namespaces) for d in query.days}
        by_day = {d: groups for d, groups in by_day.items() if groups}
        if query.daily or not by_day:
            return by_day
        return {"*": merged(by_day.values())}

    def judge(self, query, got, begun, broker=None, skip_days=()):
        """None where the answer is allowed, else a sentence. got: as Query.read gives it. An answer that only newer states allow raises what the broker
        must show from now on. skip_days: days that the answer itself calls incomplete."""
        with self.lock:
            states = [(i, self.states[i]) for i in range(begun.state, len(self.states)) if i not in self.dead]
        why = None
        for i, state in states:
            problem = self.compare(query, got, state, begun, skip_days)
            if problem is None:
                if broker and not skip_days:
                    self.note(query, got, state, begun, broker, i)
                return None
            why = f"state {i}: {problem}" + (f"; {why}" if why else "")
        return why or "there is no state"

    def note(self, query, got, state, begun, broker, i):
        """What this broker must show from now on."""
        with self.lock:
            self.shown[broker] = max(self.shown.get(broker, 0), i)
            for ns, day in itertools.product(query.namespaces or self.namespaces, query.days if query.daily else ()):
                chunk = state[ns, day]
                if chunk in self.tails:
                    k = begun.floors.get(chunk, 0) + self.allowed(query, chunk, begun).index(part(got.get(day, {}), ns))
                    self.seen[broker, chunk] = max(self.seen.get((broker, chunk), 0), k)

    def compare(self, query, got, state, begun, skip_days):
        namespaces = query.namespaces or self.namespaces
        days = [d for d in query.days if d not in skip_days]
        stray = set(got) - (set(query.days) if query.daily else {"*"})
        if stray:
            return f"rows of {sorted(stray)}, which were not asked for"
        for ns in self.namespaces:
            if ns not in namespaces and any(part(groups, ns) for groups in got.values()):
                return f"values of {ns}, which was not asked for"
        for ns in namespaces:
            chunks = [(d, state[ns, d]) for d in days]
            problem = self.by_day(query, got, ns, chunks, begun) if query.daily else self.at_once(query, got, ns, chunks, begun)
            if problem:
                return problem
        return None

    @staticmethod
    def allowed(query, chunk, begun):
        return chunk.prefixes(query.where, query.group)[begun.floors.get(chunk, 0):]

    def by_day(self, query, got, ns, chunks, begun):
        for day, chunk in chunks:
            may, is_ = self.allowed(query, chunk, begun), part(got.get(day, {}), ns)
            if is_ not in may:
                return f"{ns} {day}: {tell(is_)}, want {tell(may[0])}" + (f" to {tell(may[-1])} ({len(may)} beginnings)" if len(may) > 1 else "")
        return None

    def at_once(self, query, got, ns, chunks, begun):
        is_ = part(got.get("*", {}), ns)
        may = [self.allowed(query, chunk, begun) for _, chunk in chunks]
        fixed = merged(m[0] for m in may if len(m) == 1)
        open_ = [m for m in may if len(m) > 1]
        n = 1
        for m in open_:
            n *= len(m)
        if n <= MAX_COMBINATIONS:
            if any(merged([fixed, *choice]) == is_ for choice in itertools.product(*open_)):
                return None
            return f"{ns}: {tell(is_)}, want {tell(merged([fixed] + [m[0] for m in open_]))}" + (f" or one of {n}" if n > 1 else "")
        low, high = merged([fixed] + [m[0] for m in open_]), merged([fixed] + [m[-1] for m in open_])
        for g in set(is_) | set(low):
            v = is_.get(g, ZERO)
            if not all(a <= b <= c for a, b, c in zip(low.get(g, ZERO), v, high.get(g, ZERO))):
                return f"{ns} {g}: {v}, want {low.get(g)} to {high.get(g)}"
        return None


def tell(groups):
    """Sums in few words."""
    return f"{len(groups)} groups, in all {merged([{'*': v} for v in groups.values()]).get('*', ZERO)}"
