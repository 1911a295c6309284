/* The metadata store when several use it at once, when its users are killed, and when the database goes away. */
#include "meta_fixture.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/clock.h"

#define THREADS 4

struct worker {
    struct hg_meta *m;
    int me, wins, losses, other;
    struct hg_err err;
    uint32_t parts[200];
    char last[HG_TIME_TEXT];
    int n;
};

/* Runs fn in THREADS threads, each with a handle of its own (two share one, as a process's threads do). */
static void together(void *(*fn)(void *), struct worker w[THREADS])
{
    pthread_t t[THREADS];
    struct hg_meta *own[THREADS] = {0};
    for (int i = 0; i < THREADS; i++) {
        own[i] = i == 1 ? NULL : open_store();
        w[i] = (struct worker){.m = i == 1 ? own[0] : own[i], .me = i};
    }
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, fn, &w[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++) hg_meta_close(own[i]);
}

/* ---- races ---- */

#define ROUNDS 25

/* All publish the move from offset r to r + 1: one of them may. */
static void *race_publish(void *arg)
{
    struct worker *w = arg;
    for (int r = 0; r < ROUNDS; r++) {
        struct hg_segment_meta s = seg("", 0, HOUR, "v1", (uint32_t)(r * THREADS + w->me), 0);
        char path[40];
        snprintf(path, sizeof path, "p/%d/%d", r, w->me);
        s.path = path;
        struct hg_offset from[2] = {{0, r}, {1, r}}, to[2] = {{0, r + 1}, {1, r + 1}};
        struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = "st", .expected = from, .next = to, .n_offsets = 2};
        enum hg_rc rc = hg_meta_publish(w->m, &p, NULL, &w->err);
        w->wins += rc == HG_OK;
        w->losses += rc == HG_E_CONFLICT;
        w->other += rc != HG_OK && rc != HG_E_CONFLICT;
        /* Nobody goes on before the round is decided. */
        struct hg_arena *a = hg_arena_new(NULL);
        for (struct hg_offset *o; hg_meta_offsets(w->m, a, "st", &o, &(size_t){0}, &w->err) == HG_OK && (!o || o[0].offset <= r);) hg_arena_reset(a);
        hg_arena_free(a);
    }
    return NULL;
}

static void publish_races(void **state)
{
    (void)state;
    struct worker w[THREADS];
    int wins = 0, losses = 0;
    together(race_publish, w);
    for (int i = 0; i < THREADS; i++) {
        if (w[i].other) fail_msg("%s", w[i].err.msg);
        wins += w[i].wins;
        losses += w[i].losses;
    }
    assert_int_equal(wins, ROUNDS);
    assert_int_equal(losses, ROUNDS * (THREADS - 1));
    struct hg_segment_row *r;
    size_t n;
    OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_USED, &r, &n, &fx.err));
    assert_int_equal(n, ROUNDS);
}

static void *race_allocate(void *arg)
{
    struct worker *w = arg;
    struct hg_arena *a = hg_arena_new(NULL);
    for (int i = 0; i < 40; i++) {
        char sequence[20], stream[20];
        struct hg_segid id;
        snprintf(stream, sizeof stream, "s%d", w->me);
        snprintf(sequence, sizeof sequence, "g%d", i);
        struct hg_alloc al = {.datasource = "ads", .ns = "n", .interval = {0, HOUR}, .stream = stream, .sequence = sequence};
        if (hg_meta_allocate(w->m, a, &al, &id, &w->err)) {
            w->other++;
            break;
        }
        w->parts[w->n++] = id.partition;
        if (w->last[0] && strcmp(w->last, id.version) != 0) w->losses++;
        snprintf(w->last, sizeof w->last, "%s", id.version);
    }
    hg_arena_free(a);
    return NULL;
}

static void allocation_races(void **state)
{
    (void)state;
    struct worker w[THREADS];
    bool seen[THREADS * 40] = {0};
    together(race_allocate, w);
    for (int i = 0; i < THREADS; i++) {
        if (w[i].other) fail_msg("%s", w[i].err.msg);
        assert_int_equal(w[i].losses, 0);
        assert_string_equal(w[i].last, w[0].last);
        for (int k = 0; k < w[i].n; k++) {
            assert_true(w[i].parts[k] < THREADS * 40 && !seen[w[i].parts[k]]);
            seen[w[i].parts[k]] = true;
        }
    }
}

static void *race_versions(void *arg)
{
    struct worker *w = arg;
    char v[HG_TIME_TEXT];
    for (int i = 0; i < 50; i++) {
        if (hg_meta_new_version(w->m, v, &w->err)) w->other++;
        else if (strcmp(v, w->last) <= 0) w->losses++;
        memcpy(w->last, v, sizeof v);
    }
    /* A document that all add to by compare-and-set loses no addition. */
    struct hg_arena *a = hg_arena_new(NULL);
    for (int i = 0; i < 10;) {
        struct hg_doc_row d = {.text = "0"};
        enum hg_rc rc = hg_meta_doc_get(w->m, a, HG_DOC_CONFIG, "sum", &d, &w->err);
        char text[20];
        snprintf(text, sizeof text, "%d", atoi(d.text) + 1);
        if (rc == HG_OK || rc == HG_E_NOTFOUND) rc = hg_meta_doc_put(w->m, HG_DOC_CONFIG, "sum", text, d.version, "", "", NULL, &w->err);
        if (rc != HG_OK && rc != HG_E_CONFLICT) {
            w->other++;
            break;
        }
        i += rc == HG_OK;
    }
    hg_arena_free(a);
    return NULL;
}

static void counter_races(void **state)
{
    (void)state;
    struct worker w[THREADS];
    struct hg_doc_row d;
    together(race_versions, w);
    for (int i = 0; i < THREADS; i++) {
        if (w[i].other) fail_msg("%s", w[i].err.msg);
        assert_int_equal(w[i].losses, 0);
    }
    OK(hg_meta_doc_get(fx.m, fx.a, HG_DOC_CONFIG, "sum", &d, &fx.err));
    assert_int_equal(atoi(d.text), THREADS * 10);
}

/* Publishes, flips and marks from all sides, while one follows the list: it must never miss a change, however they commit. */
static _Atomic int still_changing;

static void *race_change(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 12; i++) {
        char v[HG_TIME_TEXT], ns[8];
        snprintf(ns, sizeof ns, "n%d", w->me % 2);
        struct hg_segment_meta s[2];
        if (hg_meta_new_version(w->m, v, &w->err)) w->other++;
        for (uint32_t k = 0; k < 2; k++) {
            s[k] = seg(ns, i % 3 * HOUR, (i % 3 + 1) * HOUR, v, k, 2);
            s[k].path = "p";
        }
        struct hg_publish p = {.segments = s, .n_segments = 2, .visible = i % 2, .task = "t"};
        int64_t id;
        enum hg_rc rc = hg_meta_publish(w->m, &p, &id, &w->err);
        if (rc == HG_OK && i % 2 == 0) rc = hg_meta_make_visible(w->m, id, &w->err);
        if (rc != HG_OK && rc != HG_E_CONFLICT) w->other++; /* another's newer version may have come first */
        if (i % 5 == 4 && hg_meta_mark_interval(w->m, "ads", (struct hg_interval){0, HOUR}, i % 2, NULL, &w->err)) w->other++;
    }
    atomic_fetch_sub(&still_changing, 1);
    return NULL;
}

static void *follow(void *arg)
{
    struct worker *w = arg;
    struct hg_arena *a = hg_arena_new(NULL);
    static char ids[500][HG_SEGID_TEXT];
    static char want[500][HG_SEGID_TEXT];
    size_t n = 0;
    int64_t seq = 0;
    for (bool last = false; !last;) {
        struct hg_visible_change *v;
        size_t k;
        bool whole;
        last = atomic_load(&still_changing) == 0;
        if (hg_meta_visible(w->m, a, seq, &seq, &whole, &v, &k, &w->err)) {
            w->other++;
            break;
        }
        if (whole) n = 0;
        for (size_t i = 0; i < k; i++) {
            char id[HG_SEGID_TEXT];
            size_t j = 0;
            hg_segid_text(&v[i].meta.id, id);
            while (j < n && strcmp(ids[j], id) != 0) j++;
            if (v[i].add && j == n && n < 500) memcpy(ids[n++], id, sizeof id);
            if (!v[i].add && j < n && j != --n) memcpy(ids[j], ids[n], sizeof id);
        }
        hg_arena_reset(a);
    }
    struct hg_visible_change *v;
    size_t k = 0;
    bool whole;
    if (hg_meta_visible(w->m, a, 0, &seq, &whole, &v, &k, &w->err)) w->other++;
    for (size_t i = 0; i < k && i < 500; i++) hg_segid_text(&v[i].meta.id, want[i]);
    for (size_t i = 0; i < k; i++) {
        size_t j = 0;
        while (j < n && strcmp(ids[j], want[i]) != 0) j++;
        if (j == n) w->losses++;
    }
    if (n != k) w->losses++;
    hg_arena_free(a);
    return NULL;
}

static void *change_or_follow(void *arg) { return ((struct worker *)arg)->me == 3 ? follow(arg) : race_change(arg); }

static void list_races(void **state)
{
    (void)state;
    struct worker w[THREADS];
    atomic_store(&still_changing, THREADS - 1);
    together(change_or_follow, w);
    for (int i = 0; i < THREADS; i++)
        if (w[i].other || w[i].losses) fail_msg("worker %d: %d failures, %d differences: %s", i, w[i].other, w[i].losses, w[i].err.msg);
}

/* More threads than connections. */
static void *ping_many(void *arg)
{
    struct worker *w = arg;
    for (int i = 0; i < 20; i++) w->other += hg_meta_ping(w->m, &w->err) != HG_OK;
    return NULL;
}
static void crowd(void **state)
{
    (void)state;
    struct worker w[20] = {0};
    pthread_t t[20];
    for (int i = 0; i < 20; i++) {
        w[i].m = fx.m;
        assert_int_equal(pthread_create(&t[i], NULL, ping_many, &w[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        pthread_join(t[i], NULL);
        if (w[i].other) fail_msg("%s", w[i].err.msg);
    }
}

/* The servers of a new cluster start at the same moment. */
static void *first_open(void *arg)
{
    struct worker *w = arg;
    if (hg_meta_open(fx.url, &w->m, &w->err)) {
        w->other++;
        return NULL;
    }
    w->other += hg_meta_new_version(w->m, w->last, &w->err) != HG_OK;
    hg_meta_close(w->m);
    return NULL;
}
static void first_start(void **state)
{
    /* The fixture's own handle has migrated already: take another database, unopened. */
    struct worker w[8] = {0};
    pthread_t t[8];
    done(state);
    if (fx.pg) {
        admin_sql(fx.url, "SET client_min_messages = warning; DROP SCHEMA public CASCADE");
        admin_sql(fx.url, "CREATE SCHEMA public");
    } else {
        snprintf(fx.url, sizeof fx.url, "sqlite://%s/first/meta.db", fx.dir);
    }
    for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&t[i], NULL, first_open, &w[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(t[i], NULL);
        if (w[i].other) fail_msg("%s", w[i].err.msg);
    }
    fx.a = hg_arena_new(NULL);
}

/* ---- kill -9 ---- */

/* Publishes one segment after the other, each moving the offset by one; a byte on fd after each. Every third waits and is flipped. */
static void publish_for_ever(int fd)
{
    struct hg_meta *m;
    struct hg_err err;
    struct hg_offset *o;
    size_t n;
    struct hg_arena *a = hg_arena_new(NULL);
    if (hg_meta_open(fx.url, &m, &err) || hg_meta_offsets(m, a, "st", &o, &n, &err)) _exit(3);
    for (int64_t at = n ? o[0].offset : 0;; at++) {
        struct hg_segment_meta s = seg("", at * HOUR, (at + 1) * HOUR, "v1", 0, 0);
        struct hg_offset from = {0, at}, to = {0, at + 1};
        struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = at % 3 != 0, .task = "t", .stream = "st", .expected = &from, .next = &to, .n_offsets = 1};
        int64_t id;
        if (hg_meta_publish(m, &p, &id, &err) || (at % 3 == 0 && hg_meta_make_visible(m, id, &err))) {
            fprintf(stderr, "child: %s\n", err.msg);
            _exit(4);
        }
        if (write(fd, "x", 1) != 1) _exit(5);
    }
}

static int64_t stored_offset(void)
{
    struct hg_offset *o;
    size_t n;
    OK(hg_meta_offsets(fx.m, fx.a, "st", &o, &n, &fx.err));
    return n ? o[0].offset : 0;
}

static void killed(void **state)
{
    (void)state;
    int64_t acknowledged = 0;
    for (unsigned round = 0; round < 25; round++) {
        int fd[2];
        char byte;
        srand(round);
        assert_int_equal(pipe(fd), 0);
        pid_t child = fork();
        if (child == 0) {
            close(fd[0]);
            publish_for_ever(fd[1]);
        }
        close(fd[1]);
        int see = rand() % 6;
        int64_t got = 0;
        for (; got < see && read(fd[0], &byte, 1) == 1;) got++;
        for (int64_t until = hg_clock_mono_ns() + rand() % 3000000; hg_clock_mono_ns() < until;) {}
        kill(child, SIGKILL);
        int st;
        waitpid(child, &st, 0);
        assert_true(WIFSIGNALED(st));
        while (read(fd[0], &byte, 1) == 1) got++;
        close(fd[0]);
        acknowledged += got;

        /* A commit on its way when the child died may still be carried out: read until the offset stands still. */
        int64_t offset;
        struct hg_segment_row *r;
        size_t n, visible = 0, waiting;
        struct hg_pending *p;
        do {
            offset = stored_offset();
            OK(hg_meta_pending(fx.m, fx.a, &p, &waiting, &fx.err));
            OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_USED, &r, &n, &fx.err));
        } while (stored_offset() != offset);
        for (size_t i = 0; i < n; i++) visible += r[i].visible;
        if ((int64_t)n != offset) fail_msg("round %u: %zu segments, offset %" PRId64, round, n, offset);
        assert_true(offset >= acknowledged); /* nothing that was acknowledged is lost */
        assert_true(visible + waiting >= n); /* visible, or waiting to be */
        acknowledged = offset;
        for (size_t i = 0; i < waiting; i++) OK(hg_meta_make_visible(fx.m, p[i].publish_id, &fx.err));
    }
}

/* ---- outages ---- */

static void database_down(void **state)
{
    (void)state;
    struct hg_meta *late = NULL;
    bool leading;
    int64_t e1, e2;
    char v[HG_TIME_TEXT];
    OK(hg_meta_lead(fx.m, "coordinator", "one", "", &leading, &e1, &fx.err));
    for (int crash = 0; crash < 2; crash++) {
        pg_server_stop(&fx.server, crash ? "immediate" : "fast");
        FAILS(HG_E_UNAVAILABLE, hg_meta_new_version(fx.m, v, &fx.err));
        assert_non_null(strstr(fx.err.msg, "PostgreSQL"));
        FAILS(HG_E_UNAVAILABLE, hg_meta_ping(fx.m, &fx.err));
        FAILS(HG_E_UNAVAILABLE, hg_meta_lead(fx.m, "coordinator", "one", "", &leading, &e2, &fx.err));
        assert_false(leading);
        FAILS(HG_E_UNAVAILABLE, hg_meta_open(fx.url, &late, &fx.err)); /* down at start */
        assert_true(pg_server_start(&fx.server));
        OK(hg_meta_new_version(fx.m, v, &fx.err));
        OK(hg_meta_open(fx.url, &late, &fx.err));
        OK(hg_meta_lead(fx.m, "coordinator", "one", "", &leading, &e2, &fx.err));
        assert_true(leading && e2 == e1 + 1); /* the lock was lost: another epoch */
        e1 = e2;
        hg_meta_close(late);
    }
}

/* The server restarts between two calls: nobody notices. */
static void database_restarted(void **state)
{
    (void)state;
    char v[HG_TIME_TEXT];
    OK(hg_meta_ping(fx.m, &fx.err));
    pg_server_stop(&fx.server, "fast");
    assert_true(pg_server_start(&fx.server));
    OK(hg_meta_new_version(fx.m, v, &fx.err));
}

struct bell {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    unsigned rings;
};
static void ring(void *arg, const char *topic)
{
    struct bell *b = arg;
    if (strcmp(topic, "tasks") != 0) return;
    pthread_mutex_lock(&b->mu);
    b->rings++;
    pthread_cond_signal(&b->cond);
    pthread_mutex_unlock(&b->mu);
}
static bool rung(struct bell *b, unsigned more_than)
{
    struct timespec until = deadline();
    bool in_time = true;
    pthread_mutex_lock(&b->mu);
    while (b->rings <= more_than && in_time) in_time = pthread_cond_timedwait(&b->cond, &b->mu, &until) == 0;
    pthread_mutex_unlock(&b->mu);
    return in_time;
}

static void watcher_after_outage(void **state)
{
    (void)state;
    struct bell b = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    OK(hg_meta_watch(fx.m, ring, &b, &fx.err));
    assert_true(rung(&b, 0));
    pthread_mutex_lock(&b.mu);
    unsigned before = b.rings;
    pthread_mutex_unlock(&b.mu);
    pg_server_stop(&fx.server, "immediate");
    assert_true(pg_server_start(&fx.server));
    assert_true(rung(&b, before)); /* heard nothing meanwhile, so everything counts as changed */
    hg_meta_close(fx.m);
    fx.m = NULL;
}

static void bad_files(void **state)
{
    (void)state;
    struct hg_meta *m;
    char url[400], path[300];
    snprintf(path, sizeof path, "%s/garbage.db", fx.dir);
    char junk[4096];
    memset(junk, 'j', sizeof junk);
    assert_int_equal(hg_file_write_atomic(path, (struct hg_span){(const uint8_t *)junk, sizeof junk}, NULL), HG_OK);
    snprintf(url, sizeof url, "sqlite://%s", path);
    FAILS(HG_E_CORRUPT, hg_meta_open(url, &m, &fx.err));
    assert_non_null(strstr(fx.err.msg, path));
    snprintf(url, sizeof url, "sqlite://%s/under.db", path); /* a file where a folder should be */
    assert_int_not_equal(hg_meta_open(url, &m, &fx.err), HG_OK);
    assert_true(fx.err.msg[0]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)

#define BOTH T(publish_races), T(allocation_races), T(counter_races), T(list_races), T(crowd), T(first_start), T(killed)

int main(void)
{
    const struct CMUnitTest sqlite[] = {BOTH, T(bad_files)}, shared_pg[] = {BOTH}, own_pg[] = {BOTH, T(database_down), T(database_restarted), T(watcher_after_outage)};
    int failed = cmocka_run_group_tests_name("sqlite", sqlite, sqlite_up, sqlite_down);
    if (getenv("HENGE_TEST_PG")) return failed + cmocka_run_group_tests_name("postgresql", shared_pg, pg_up, pg_down); /* not ours to stop */
    if (!pg_server_installed()) {
        fprintf(stderr, "SKIPPED: PostgreSQL 15 is not installed (%s), and HENGE_TEST_PG is not set: the metadata store was tested over SQLite only\n", PG_BIN);
        return failed;
    }
    return failed + cmocka_run_group_tests_name("postgresql", own_pg, pg_up, pg_down);
}
