/* The metadata store's tests run over both databases: each test gets an empty database of the kind under test. */
#ifndef HG_TESTS_META_FIXTURE_H
#define HG_TESTS_META_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "meta/meta.h"
#include "pg_server.h"

#define HOUR 3600000LL
#define DAY (24 * HOUR)

static struct {
    bool pg;
    char dir[64];
    struct pg_server server;
    char admin[300]; /* URL of a database that is always there */
    char url[300];   /* of the test's own */
    int n;
    struct hg_meta *m;
    struct hg_arena *a;
    struct hg_err err;
} fx;

#define OK(call) \
    do { \
        if ((call) != HG_OK) fail_msg("%s: %s", #call, fx.err.msg); \
    } while (0)
#define FAILS(want, call) \
    do { \
        fx.err.msg[0] = 0; \
        enum hg_rc rc_ = (call); \
        if (rc_ != (want)) fail_msg("%s: %s, want %s: %s", #call, hg_rc_name(rc_), hg_rc_name(want), fx.err.msg); \
    } while (0)

/* One statement of the test's own, past the store. */
static inline void admin_sql(const char *url, const char *sql)
{
    PGconn *pg = PQconnectdb(url);
    PGresult *r = PQexec(pg, sql);
    if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) fail_msg("%s: %s", sql, PQerrorMessage(pg));
    PQclear(r);
    PQfinish(pg);
}

static inline struct hg_meta *open_store(void)
{
    struct hg_meta *m = NULL;
    OK(hg_meta_open(fx.url, &m, &fx.err));
    return m;
}

static inline int fresh(void **state)
{
    (void)state;
    fx.n++;
    if (fx.pg) {
        char name[64], sql[100];
        snprintf(name, sizeof name, "henge_test_%ld_%d", (long)getpid(), fx.n);
        snprintf(sql, sizeof sql, "CREATE DATABASE %s", name);
        admin_sql(fx.admin, sql);
        if (fx.server.running) {
            pg_server_url(&fx.server, name, fx.url, sizeof fx.url);
        } else { /* HENGE_TEST_PG: the same server, another database */
            PQconninfoOption *o = PQconninfoParse(fx.admin, NULL);
            size_t k = (size_t)snprintf(fx.url, sizeof fx.url, "postgresql:///%s?", name);
            for (PQconninfoOption *p = o; p && p->keyword; p++)
                if (p->val && strcmp(p->keyword, "dbname") != 0) k += (size_t)snprintf(fx.url + k, sizeof fx.url - k, "%s=%s&", p->keyword, p->val);
            fx.url[k - 1] = 0;
            PQconninfoFree(o);
        }
    } else {
        snprintf(fx.url, sizeof fx.url, "sqlite://%s/%d/meta.db", fx.dir, fx.n);
    }
    fx.a = hg_arena_new(NULL);
    fx.m = open_store();
    return 0;
}

static inline int done(void **state)
{
    (void)state;
    hg_meta_close(fx.m);
    hg_arena_free(fx.a);
    fx.m = NULL;
    fx.a = NULL;
    return 0;
}

static inline int sqlite_up(void **state)
{
    (void)state;
    fx.pg = false;
    snprintf(fx.dir, sizeof fx.dir, "/tmp/henge-meta-XXXXXX");
    return mkdtemp(fx.dir) ? 0 : -1;
}
static inline int sqlite_down(void **state)
{
    (void)state;
    return hg_dir_remove_all(fx.dir, NULL) ? -1 : 0;
}
static inline int pg_up(void **state)
{
    (void)state;
    fx.pg = true;
    const char *given = getenv("HENGE_TEST_PG");
    if (given) {
        snprintf(fx.admin, sizeof fx.admin, "%s", given);
        return 0;
    }
    if (!pg_server_make(&fx.server)) return -1;
    pg_server_url(&fx.server, "postgres", fx.admin, sizeof fx.admin);
    return 0;
}
static inline int pg_down(void **state)
{
    (void)state;
    if (fx.server.running) pg_server_remove(&fx.server);
    return 0;
}

/* ---- small makers ---- */

static inline struct hg_segment_meta seg(const char *ns, int64_t start, int64_t end, const char *version, uint32_t part, uint32_t core)
{
    static _Thread_local char paths[64][200];
    static _Thread_local int next;
    struct hg_segment_meta s = {
        .id = {"ads", ns, {start, end}, version, part},
        .shard = {.kind = HG_SHARD_NUMBERED, .partition = part, .core_partitions = core},
        .size_bytes = 1000 + part,
        .n_rows = 10 + part,
        .file_hash = UINT64_C(0xfedcba9876543210) + part,
        .dimensions = "country,device",
        .metrics = "clicks",
    };
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "ads/%s/%" PRId64 "/%s/%u.seg", ns, start, version, part);
    s.path = path;
    return s;
}

static inline int64_t publish(struct hg_meta *m, const struct hg_segment_meta *s, size_t n, bool visible)
{
    struct hg_publish p = {.segments = s, .n_segments = n, .visible = visible, .task = "test"};
    int64_t id = 0;
    OK(hg_meta_publish(m, &p, &id, &fx.err));
    return id;
}

/* What is visible as text: "version.part[start,end)" in units, sorted as the store gives them. */
static inline const char *visible_text(struct hg_meta *m, int64_t unit)
{
    static char buf[8000];
    struct hg_visible_change *v;
    size_t n, k = 0;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    assert_true(whole);
    buf[0] = 0;
    for (size_t i = 0; i < n; i++)
        k += (size_t)snprintf(buf + k, sizeof buf - k, "%s%s%s%s.%u[%" PRId64 ",%" PRId64 ")", i ? " " : "", v[i].meta.id.ns, v[i].meta.id.ns[0] ? ":" : "", v[i].meta.id.version,
                              v[i].meta.id.partition, v[i].meta.id.interval.start / unit, v[i].meta.id.interval.end / unit);
    return buf;
}

/* Waits for cond, at most ten seconds; the condition must be signalled under mu. */
static inline struct timespec deadline(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 10;
    return t;
}

#endif
