/* The timeline: examples of what hides what, then random timelines compared instant by instant with the rule itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "timeline/timeline.h"

static struct hg_tl_entry entry(const char *ns, int64_t start, int64_t end, const char *version, uint32_t part, uint32_t core, bool live)
{
    return (struct hg_tl_entry){{"ads", ns, {start, end}, version, part}, {.partition = part, .core_partitions = core}, live, NULL};
}

/* The hits as text: "v1.0[0,5)[6,9) …", in the order given. */
static void show(const struct hg_tl_hit *h, size_t n, char *buf, size_t cap)
{
    size_t k = 0;
    buf[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hg_segid *id = &h[i].entry->id;
        k += (size_t)snprintf(buf + k, cap - k, "%s%s%s%s.%u%s", i ? " " : "", id->ns, id->ns[0] ? ":" : "", id->version, id->partition, h[i].entry->live ? "L" : "");
        for (uint32_t j = 0; j < h[i].n_ivs; j++) k += (size_t)snprintf(buf + k, cap - k, "[%" PRId64 ",%" PRId64 ")", h[i].ivs[j].start, h[i].ivs[j].end);
    }
}

static void ask(const struct hg_tl_entry *e, size_t n, struct hg_interval iv, const char *want, const char *want_hidden)
{
    struct hg_timeline *t;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_tl_hit *h;
    const struct hg_tl_entry **hidden;
    size_t hits, k = 0;
    char got[2000];
    assert_int_equal(hg_timeline_build(e, n, &t, NULL), HG_OK);
    assert_int_equal(hg_timeline_lookup(t, a, NULL, 0, &iv, 1, &h, &hits, NULL), HG_OK);
    show(h, hits, got, sizeof got);
    assert_string_equal(got, want);
    assert_int_equal(hg_timeline_overshadowed(t, a, &hidden, &hits, NULL), HG_OK);
    got[0] = 0;
    for (size_t i = 0; i < hits; i++) k += (size_t)snprintf(got + k, sizeof got - k, "%s%s.%u", i ? " " : "", hidden[i]->id.version, hidden[i]->id.partition);
    assert_string_equal(got, want_hidden);
    hg_arena_free(a);
    hg_timeline_free(t);
}

#define ASK(iv, want, hidden, ...) \
    do { \
        struct hg_tl_entry e_[] = {__VA_ARGS__}; \
        ask(e_, sizeof e_ / sizeof *e_, iv, want, hidden); \
    } while (0)

static void examples(void **state)
{
    (void)state;
    struct hg_interval all = {HG_TIME_MIN, HG_TIME_MAX};
    /* An hour rewritten within a day leaves the rest of the day. */
    ASK(all, "v1.0[0,5)[6,24) v2.0[5,6)", "", entry("", 0, 24, "v1", 0, 1, false), entry("", 5, 6, "v2", 0, 1, false));
    /* A day over its hours hides them. */
    ASK(all, "v2.0[0,24)", "v1.0 v1.0", entry("", 0, 1, "v1", 0, 1, false), entry("", 23, 24, "v1", 0, 1, false), entry("", 0, 24, "v2", 0, 1, false));
    /* Half of a version answers nothing and hides nothing. */
    ASK(all, "v1.0[0,24)", "", entry("", 0, 24, "v1", 0, 1, false), entry("", 0, 24, "v2", 1, 2, false));
    ASK(all, "v2.0[0,24) v2.1[0,24)", "v1.0", entry("", 0, 24, "v1", 0, 1, false), entry("", 0, 24, "v2", 1, 2, false), entry("", 0, 24, "v2", 0, 2, false));
    /* Appended partitions join their version; core_partitions 0 is complete as it stands. */
    ASK(all, "v1.0[0,9) v1.7[0,9)", "", entry("", 0, 9, "v1", 7, 0, false), entry("", 0, 9, "v1", 0, 1, false));
    ASK(all, "v1.7[0,9)", "", entry("", 0, 9, "v1", 7, 0, false));
    /* Live rows add, hide nothing, and are hidden as any. */
    ASK(all, "v1.0[0,9) v2.0L[0,9)", "", entry("", 0, 9, "v1", 0, 1, false), entry("", 0, 9, "v2", 0, 0, true));
    ASK(all, "v2.0[0,9)", "v1.0 v1.1", entry("", 0, 9, "v1", 0, 1, false), entry("", 0, 9, "v1", 1, 0, true), entry("", 0, 9, "v2", 0, 0, false));
    /* Live rows do not complete a version either, but are shown in it. */
    ASK(all, "v1.0[0,9) v2.1L[0,9)", "", entry("", 0, 9, "v1", 0, 1, false), entry("", 0, 9, "v2", 0, 2, false), entry("", 0, 9, "v2", 1, 2, true));
    /* One id, published and still live, is one thing. */
    ASK(all, "v1.0[0,9)", "", entry("", 0, 9, "v1", 0, 0, true), entry("", 0, 9, "v1", 0, 0, false));
    /* Namespaces do not hide one another. */
    ASK(all, "a:v1.0[0,9) b:v2.0[0,9)", "", entry("b", 0, 9, "v2", 0, 1, false), entry("a", 0, 9, "v1", 0, 1, false));
    /* The same version with another interval adds. */
    ASK(all, "v1.0[0,24) v1.0[5,6)", "", entry("", 0, 24, "v1", 0, 1, false), entry("", 5, 6, "v1", 0, 0, false));
    ASK(((struct hg_interval){3, 3}), "", "", entry("", 0, 24, "v1", 0, 1, false));
    ASK(((struct hg_interval){24, 30}), "", "", entry("", 0, 24, "v1", 0, 1, false));
    ask(NULL, 0, all, "", "");
    struct hg_tl_entry bad = entry("", 5, 5, "v1", 0, 1, false);
    struct hg_timeline *t;
    assert_int_equal(hg_timeline_build(&bad, 1, &t, NULL), HG_E_INVALID);
}

/* ---- model ---- */

#define SPAN 24
#define MAX_E 24
static const char *const versions[] = {"2024-01", "2024-02", "2024-03", "2024-10"};
static const char *const spaces[] = {"", "x"};

/* Is the first entry of this id, published before live. */
static bool kept(const struct hg_tl_entry *e, size_t n, size_t i)
{
    for (size_t j = 0; j < n; j++)
        if (j != i && hg_segid_cmp(&e[j].id, &e[i].id) == 0 && (e[j].live < e[i].live || (e[j].live == e[i].live && j < i))) return false;
    return true;
}
static bool complete(const struct hg_tl_entry *e, size_t n, const struct hg_tl_entry *of)
{
    uint32_t core = 0, parts = 0;
    bool have[8] = {0}, any = false;
    for (size_t i = 0; i < n; i++) {
        struct hg_segid id = e[i].id;
        id.partition = of->id.partition;
        if (e[i].live || !kept(e, n, i) || hg_segid_cmp(&id, &of->id)) continue;
        any = true;
        if (e[i].shard.core_partitions > core) core = e[i].shard.core_partitions;
        have[e[i].id.partition] = true;
    }
    for (; parts < core; parts++)
        if (!have[parts]) return false;
    return any;
}
static bool hidden_at(const struct hg_tl_entry *e, size_t n, size_t i, int64_t t)
{
    for (size_t j = 0; j < n; j++)
        if (strcmp(e[j].id.ns, e[i].id.ns) == 0 && strcmp(e[j].id.version, e[i].id.version) > 0 && e[j].id.interval.start <= t && t < e[j].id.interval.end &&
            complete(e, n, &e[j]))
            return true;
    return false;
}
static bool visible_at(const struct hg_tl_entry *e, size_t n, size_t i, int64_t t)
{
    return kept(e, n, i) && e[i].id.interval.start <= t && t < e[i].id.interval.end && (e[i].live || complete(e, n, &e[i])) && !hidden_at(e, n, i, t);
}

static void one_model(unsigned seed)
{
    srand(seed);
    struct hg_tl_entry e[MAX_E];
    size_t n = (size_t)(rand() % (MAX_E + 1));
    for (size_t i = 0; i < n; i++) {
        int64_t start, end;
        switch (rand() % 3) {
        case 0: start = rand() % SPAN, end = start + 1; break;                 /* an hour */
        case 1: start = rand() % 4 * 6, end = start + 6; break;                /* a quarter */
        default: start = rand() % SPAN, end = start + 1 + rand() % (SPAN - (int)start); break;
        }
        uint32_t core = (uint32_t)(rand() % 3);
        e[i] = entry(spaces[rand() % 2], start, end, versions[rand() % 4], (uint32_t)(rand() % 3), core, rand() % 5 == 0);
        if (i && rand() % 3 == 0) { /* another partition of one that is there */
            e[i].id = e[(size_t)rand() % i].id;
            e[i].id.partition = (uint32_t)(rand() % 3);
        }
    }
    struct hg_timeline *t;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_err err = {0};
    if (hg_timeline_build(e, n, &t, &err)) fail_msg("seed %u: %s", seed, err.msg);
    struct hg_interval q[3];
    uint32_t n_q = (uint32_t)(rand() % 4);
    for (uint32_t i = 0; i < n_q; i++) q[i].start = rand() % SPAN - 1, q[i].end = q[i].start + rand() % SPAN;
    const char *ns[] = {spaces[rand() % 2], "unknown"};
    bool all = rand() % 2;
    struct hg_tl_hit *h;
    size_t hits;
    assert_int_equal(hg_timeline_lookup(t, a, all ? NULL : ns, 2, q, n_q, &h, &hits, NULL), HG_OK);
    if (hits && hg_timeline_few(t, q, n_q, hits - 1)) fail_msg("seed %u: %zu hits are said to be fewer", seed, hits);
    if (!hg_timeline_few(t, q, n_q, SIZE_MAX)) fail_msg("seed %u: not even so few", seed);
    for (size_t k = 0; k < hits; k++) {
        if (h[k].n_ivs == 0) fail_msg("seed %u: a hit over nothing", seed);
        for (uint32_t j = 0; j < h[k].n_ivs; j++)
            if (hg_interval_empty(h[k].ivs[j]) || (j && h[k].ivs[j].start < h[k].ivs[j - 1].end)) fail_msg("seed %u: parts out of order", seed);
        if (k == 0) continue;
        struct hg_segid x = h[k - 1].entry->id, y = h[k].entry->id;
        int c = x.interval.start != y.interval.start ? (x.interval.start < y.interval.start ? -1 : 1) : x.interval.end != y.interval.end ? (x.interval.end < y.interval.end ? -1 : 1) : hg_segid_cmp(&x, &y);
        if (c >= 0) fail_msg("seed %u: hits out of order", seed);
    }
    struct hg_interval bounds = hg_timeline_bounds(t), want_bounds = {0, 0};
    const struct hg_tl_entry **gone;
    size_t n_gone;
    assert_int_equal(hg_timeline_overshadowed(t, a, &gone, &n_gone, NULL), HG_OK);
    for (size_t i = 0; i < n; i++) {
        bool all_hidden = true, listed = false;
        for (int64_t at = -2; at < 2 * SPAN + 2; at++) {
            bool asked = false, got = false, want = visible_at(e, n, i, at);
            if (want && hg_interval_empty(want_bounds)) want_bounds = (struct hg_interval){at, at + 1};
            if (want && at < want_bounds.start) want_bounds.start = at;
            if (want && at >= want_bounds.end) want_bounds.end = at + 1;
            if (e[i].id.interval.start <= at && at < e[i].id.interval.end) all_hidden = all_hidden && hidden_at(e, n, i, at);
            for (uint32_t j = 0; j < n_q; j++) asked = asked || (q[j].start <= at && at < q[j].end);
            if (!all && strcmp(e[i].id.ns, ns[0]) != 0) asked = false;
            for (size_t k = 0; k < hits; k++)
                for (uint32_t j = 0; h[k].entry == &e[i] && j < h[k].n_ivs; j++) got = got || (h[k].ivs[j].start <= at && at < h[k].ivs[j].end);
            if (got != (asked && want)) fail_msg("seed %u: entry %zu at %" PRId64 ": got %d, want %d", seed, i, at, got, asked && want);
        }
        for (size_t k = 0; k < n_gone; k++) listed = listed || gone[k] == &e[i];
        if (listed != (all_hidden && kept(e, n, i))) fail_msg("seed %u: entry %zu overshadowed: got %d", seed, i, listed);
    }
    if (bounds.start != want_bounds.start || bounds.end != want_bounds.end) fail_msg("seed %u: bounds", seed);
    hg_arena_free(a);
    hg_timeline_free(t);
}

static void model(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    if (one) return one_model((unsigned)atoi(one));
    for (unsigned seed = 1; seed <= 4000; seed++) one_model(seed);
}

/* Many segments: a year of hours with a day rewritten here and there; a lookup must not walk them all (this would take minutes). */
static void many(void **state)
{
    (void)state;
    size_t n = 200000;
    struct hg_tl_entry *e = calloc(n, sizeof *e);
    for (size_t i = 0; i < n; i++) e[i] = entry("", (int64_t)(i / 4), (int64_t)(i / 4) + 1, i % 7 ? "v1" : "v2", (uint32_t)(i % 4), 0, false);
    struct hg_timeline *t;
    assert_int_equal(hg_timeline_build(e, n, &t, NULL), HG_OK);
    struct hg_arena *a = hg_arena_new(NULL);
    for (int64_t i = 0; i < 50000; i++) {
        struct hg_interval q = {i, i + 1};
        struct hg_tl_hit *h;
        size_t hits;
        assert_int_equal(hg_timeline_lookup(t, a, NULL, 0, &q, 1, &h, &hits, NULL), HG_OK);
        assert_true(hits >= 1 && hits <= 4);
        hg_arena_reset(a);
    }
    hg_arena_free(a);
    hg_timeline_free(t);
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(examples), cmocka_unit_test(model), cmocka_unit_test(many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
