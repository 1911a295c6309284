"""Watchers: they ask brokers all the time while a test does its worst, and hold every answer against the model. An answer is right, or it is an error
that says so; both come before the query's deadline. Errors are only taken while the test says that there may be some."""
import contextlib
import http.client
import json
import random
import re
import threading
import time

from harness import Failure, check, wait_until
from model import ADS, CAMPAIGNS, COUNTRIES, Filter, Query

TIMEOUT_S = 10     # of the queries
SHORT_S = 2        # the same while errors are taken: a server that stands still must not hold up a query for longer than it has
SLACK_S = 5        # how late an answer may be on a machine that has other things to do; a hang is longer
PAUSE_S = 0.03


class Refused(Exception):
    """An error of the broker's, as it should be told: a status, and JSON that says what and why."""

    def __init__(self, status, error, message):
        super().__init__(f"{status} {error}: {message}")
        self.status, self.error = status, error


class Asker:
    """One broker, asked and judged."""

    def __init__(self, broker, model, ads=ADS):
        self.broker, self.model = broker, model
        self.last = threading.local()  # took: seconds of the thread's last question, without the judging
        rng = random.Random(1)
        unknown = [f"ad-x{i:05}" for i in range(4000)]
        # Batches of entities: most of them are nowhere in the data, as with a report for all ads of an account.
        self.batches = [Filter(f"batch-{i}", "ad", rng.sample(ads, len(ads) // 3) + rng.sample(unknown, 2500)) for i in range(2)]
        self.batches.append(Filter("nothing", "ad", unknown[:2000]))
        self.countries = [Filter("two countries", "country", COUNTRIES[:2]), Filter("campaigns", "campaign", CAMPAIGNS[3:20])]

    def draw(self, rng):
        """A query of the kinds that dashboards and reports send."""
        days = self.model.days
        first = rng.randrange(len(days))
        some = days[first:first + rng.choice((1, 3, 7, len(days)))] if rng.random() < 0.7 else days
        namespaces = rng.choice((None, None, None, ("delivery",), ("conversions",), ("conversions", "delivery")))
        form = rng.randrange(7)
        if form == 0:
            return Query("timeseries", some, True, namespaces)
        if form == 1:
            return Query("timeseries", some, False, namespaces, rng.choice([None] + self.countries))
        if form == 2:
            return Query("topN", some, False, namespaces, None, "campaign")
        if form == 3:
            return Query("topN", some, True, namespaces, rng.choice([None] + self.countries), "country")
        if form == 4:
            return Query("groupBy", some, True, namespaces, None, rng.choice(("country", "campaign")))
        if form == 5:
            return Query("timeseries", some, True, namespaces, rng.choice(self.batches))
        return Query("groupBy", some, False, namespaces, rng.choice(self.batches), rng.choice(("campaign", "country")))

    def ask_partial(self, query, **how):
        """With allowPartial: what the answer does not call missing is right."""
        begun = self.model.begun(self.broker.name)
        answer, context = self.send(query, allowPartial=True, **how)
        context = json.loads(context)
        missing = context.get("missingSegments", [])
        check(context.get("partial", False) == bool(missing), f"{query}: {context}")
        if len(missing) == context.get("missingSegmentsCount", 0):  # the header may be too short for all
            days = {re.search(r"\d{4}-\d\d-\d\d", segment).group() for segment in missing}
            why = self.model.judge(query, query.read(answer), begun, self.broker.name, days)
            check(why is None, f"{self.broker.name}: {query}: partial, without {sorted(days)}: {why}")
        if missing:
            raise Refused(200, "partial", f"{len(missing)} segments are missing")

    def send(self, query, timeout_s=TIMEOUT_S, **context):
        """(answer, its response context)."""
        begin = time.monotonic()
        try:
            status, headers, answer = self.broker.request("POST", "/druid/v2", query.body(int(timeout_s * 1000), **context), timeout=timeout_s + SLACK_S)
        finally:
            self.last.took = time.monotonic() - begin
        if status != 200:
            loud = isinstance(answer, dict) and answer.get("error") and answer.get("errorMessage")
            check(loud and status in (429, 500, 503, 504), f"an error must say what is wrong: {query}: {status} {str(answer)[:500]}")
            raise Refused(status, answer["error"], answer["errorMessage"])
        return answer, headers.get("X-Druid-Response-Context", "{}")

    def ask(self, query, **how):
        """The answer, judged: a Failure where it is not allowed, Refused where it is an error."""
        begun = self.model.begun(self.broker.name)
        answer, context = self.send(query, **how)
        check('"partial"' not in context, f"{query}: a partial answer that nobody asked for: {context}")
        try:
            got = query.read(answer)
        except (ValueError, KeyError, TypeError) as e:
            raise Failure(f"{self.broker.name}: {query}: {type(e).__name__} {e}: {str(answer)[:500]}") from e
        why = self.model.judge(query, got, begun, self.broker.name)
        check(why is None, f"{self.broker.name}: {query}: {why}")
        return got

    def settled(self, deadline_s=60):
        """Waits until this broker shows the model's last state with all that was sent; from then on nothing older is taken."""
        days, of = self.model.days, self.broker
        queries = [Query("groupBy", days, True, None, None, "country"), Query("groupBy", days, False, None, self.batches[0], "campaign"),
                   Query("timeseries", days, True, ("delivery",))]

        def once():
            try:
                for q in queries:
                    got, want = self.ask(q), self.model.wanted(q)
                    differ = [d for d in sorted(set(got) | set(want)) if got.get(d) != want.get(d)]
                    if differ:
                        raise LookupError(f"{q}: other sums than there will be on {differ}")
            except Failure as e:  # a wrong answer does not become right by waiting
                return e
            return True
        done = wait_until(f"{of.name} to answer with all that there is", once, deadline_s)
        if done is not True:
            raise done
        self.model.ended(of.name)


class Watch:
    """Threads that ask each broker until stop()."""

    def __init__(self, askers, seed, each=2):
        self.askers = askers
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.answers, self.errors, self.unexpected, self.wrong = 0, {}, [], []
        self.slowest, self.latest = 0.0, -TIMEOUT_S  # seconds; after its deadline
        self.windows = []  # [begin, end or None, broker or None]: errors are taken
        self.threads = [threading.Thread(target=self.run, args=(a, random.Random(f"{seed}/{a.broker.name}/{i}")), daemon=True)
                        for a in askers for i in range(each)]
        for t in self.threads:
            t.start()

    def run(self, asker, rng):
        while not self.done.is_set():
            query, begin = asker.draw(rng), time.monotonic()
            problem, error = None, None
            timeout_s = SHORT_S if rng.random() < 0.5 and self.taken(asker.broker.name, begin, begin) else TIMEOUT_S
            try:
                if query.daily and rng.random() < 0.1:
                    asker.ask_partial(query, timeout_s=timeout_s)
                else:
                    asker.ask(query, timeout_s=timeout_s)
            except Refused as e:
                error = e
            except (OSError, http.client.HTTPException) as e:
                error = e
            except Failure as e:
                problem = str(e)
            except Exception as e:  # a watcher that dies unnoticed would be a test that passes for nothing
                problem = f"{query}: {type(e).__name__}: {e}"
            self.note(asker, query, begin, getattr(asker.last, "took", 0), timeout_s, problem, error)
            self.done.wait(PAUSE_S)

    def note(self, asker, query, begin, took, timeout_s, problem, error):
        with self.lock:
            self.slowest, self.latest = max(self.slowest, took), max(self.latest, took - timeout_s)
            if took > timeout_s + SLACK_S - 0.5:
                self.wrong.append(f"{asker.broker.name}: {query}: {took:.1f} s with a deadline of {timeout_s} s; {error or problem or 'answered'}")
            if problem:
                self.wrong.append(problem)
            elif error is None:
                self.answers += 1
            else:
                kind = f"{error.status} {error.error}" if isinstance(error, Refused) else type(error).__name__
                self.errors[kind] = self.errors.get(kind, 0) + 1
                if not self.taken(asker.broker.name, begin, begin + took):
                    self.unexpected.append(f"{asker.broker.name}: {query}: after {took:.1f} s: {error}")

    def taken(self, broker, begin, end):
        return any(b <= end and (e is None or begin <= e) and who in (None, broker) for b, e, who in self.windows)

    @contextlib.contextmanager
    def errors_taken(self, broker=None):
        window = [time.monotonic(), None, broker]
        with self.lock:
            self.windows.append(window)
        try:
            yield
        finally:
            with self.lock:
                window[1] = time.monotonic()

    def check(self, when):
        """What was seen so far is in order."""
        with self.lock:
            wrong, unexpected = self.wrong[:3], self.unexpected[:3]
            n, m = len(self.wrong), len(self.unexpected)
        check(not wrong, f"{when}: {n} wrong answers, first: " + " | ".join(wrong))
        check(not unexpected, f"{when}: {m} errors where there may be none, first: " + " | ".join(unexpected))

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join(TIMEOUT_S + SLACK_S + 5)
            check(not t.is_alive(), "a watcher still waits for its answer")

    def summary(self):
        return f"{self.answers} answers, none wrong; slowest {self.slowest:.1f} s, {max(self.latest, 0):.1f} s after its deadline at most; errors: {self.errors or 'none'}"
