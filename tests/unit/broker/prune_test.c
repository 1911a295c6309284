/* Pruning against a model: random rows divided by hash or by ranges of tuples, random demands; a segment that is pruned holds no row that meets them, and of a segment that vouches for
 * nothing, nothing is believed. */
#include "../support.h"
#include "base/mem.h"
#include "broker/prune.h"

static const char *const words[] = {NULL, "", "a", "aa", "b", "b\"q", "c", "\xc3\xa9", "z", "zz", "10", "9"};
#define N_WORDS (sizeof words / sizeof *words)
#define N_DIMS 3
static const char *const dims[N_DIMS] = {"d0", "d1", "d2"};

struct row { struct hg_str v[N_DIMS]; };

static uint64_t seed;
static uint32_t below(uint32_t n) { return (uint32_t)(hg_test_random(&seed) % n); }
static struct hg_str word(void) { return hg_str_of(words[below(N_WORDS)]); }

static int by_text(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }
static int tuple_cmp(const struct hg_str *a, const struct hg_str *b, uint32_t n)
{
    for (uint32_t d = 0; d < n; d++) {
        int c = hg_str_cmp(a[d], b[d]);
        if (c) return c;
    }
    return 0;
}

static bool meets(const struct row *r, const struct hg_conjunct *c, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t d = (uint32_t)(c[i].dim[1] - '0');
        bool any = false;
        for (uint32_t k = 0; k < c[i].n && !any; k++) any = hg_str_eq(c[i].values[k], r->v[d]);
        if (!any) return false;
    }
    return true;
}

/* Up to three demands, each of up to four values. */
static uint32_t demands(struct hg_conjunct *c, struct hg_str (*values)[8])
{
    uint32_t n = below(4);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0, want = below(12) ? 1 + below(4) : 0;
        for (uint32_t j = 0; j < want; j++) values[i][j] = word();
        qsort(values[i], want, sizeof *values[i], by_text);
        for (uint32_t j = 0; j < want; j++)
            if (!j || !hg_str_eq(values[i][j], values[i][k - 1])) values[i][k++] = values[i][j];
        c[i] = (struct hg_conjunct){dims[below(N_DIMS)], values[i], k};
    }
    return n;
}

static bool may(struct hg_shard_pruner *p, const struct hg_shard *s)
{
    struct hg_err err;
    bool yes = false;
    assert_ok(hg_shard_may_match(p, s, &yes, &err), err);
    return yes;
}

static uint32_t bucket_of(const struct row *r, uint32_t n_dims, uint32_t n_buckets)
{
    struct hg_shard_values v[N_DIMS];
    struct hg_buf b;
    struct hg_err err;
    uint32_t at;
    hg_buf_init(&b, 1 << 16);
    for (uint32_t d = 0; d < n_dims; d++) v[d] = (struct hg_shard_values){&r->v[d], r->v[d].p || below(2)}; /* null: as a value, or none at all */
    assert_ok(hg_shard_bucket(v, n_dims, n_buckets, &b, &at, &err), err);
    hg_buf_free(&b);
    return at;
}

struct tally { uint32_t pruned, of; };

/* Every segment that holds a wanted row may match. */
static void hold(struct hg_shard_pruner *p, struct hg_shard *s, bool wanted, struct tally *t)
{
    s->single = true;
    bool yes = may(p, s);
    if (wanted && !yes) fail_msg("a segment with rows that match was pruned");
    t->pruned += !yes;
    t->of++;
}

static void hashed_model(void **state)
{
    (void)state;
    struct tally t = {0};
    seed = hg_test_seed();
    for (int round = 0; round < 3000; round++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_conjunct c[3];
        struct hg_str values[3][8];
        struct hg_shard_pruner *p;
        struct hg_err err;
        uint32_t n = demands(c, values), n_dims = 1 + below(N_DIMS), n_buckets = 1 + below(9);
        bool wanted[9] = {false};
        for (int i = 0; i < 60; i++) {
            struct row r = {{word(), word(), word()}};
            uint32_t at = bucket_of(&r, n_dims, n_buckets);
            if (meets(&r, c, n)) wanted[at] = true;
        }
        assert_ok(hg_shard_pruner_new(c, n, a, &p, &err), err);
        for (uint32_t b = 0; b < n_buckets; b++) {
            struct hg_shard s = {.kind = HG_SHARD_HASHED, .bucket = b, .n_buckets = n_buckets, .dims = dims, .n_dims = n_dims};
            hold(p, &s, wanted[b], &t);
        }
        hg_arena_free(a);
    }
    print_message("hashed: %u of %u pruned\n", t.pruned, t.of);
    assert_true(t.pruned > t.of / 10);
}

static void range_model(void **state)
{
    (void)state;
    struct tally t = {0};
    seed = hg_test_seed();
    for (int round = 0; round < 4000; round++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_conjunct c[3];
        struct hg_str values[3][8];
        struct hg_shard_pruner *p;
        struct hg_err err;
        struct row rows[60], cuts[8];
        uint32_t n = demands(c, values), n_dims = 1 + below(N_DIMS), n_cuts = 0;
        for (int i = 0; i < 60; i++) rows[i] = (struct row){{word(), word(), word()}};
        for (uint32_t k = below(8); k > 0; k--) { /* boundaries ascend */
            struct row r = rows[below(60)];
            uint32_t at = n_cuts;
            while (at && tuple_cmp(cuts[at - 1].v, r.v, n_dims) > 0) at--;
            if (at && tuple_cmp(cuts[at - 1].v, r.v, n_dims) == 0) continue;
            memmove(&cuts[at + 1], &cuts[at], (n_cuts - at) * sizeof *cuts);
            cuts[at] = r;
            n_cuts++;
        }
        assert_ok(hg_shard_pruner_new(c, n, a, &p, &err), err);
        for (uint32_t b = 0; b <= n_cuts; b++) {
            struct hg_shard s = {.kind = HG_SHARD_RANGE, .dims = dims, .n_dims = n_dims, .start = b ? cuts[b - 1].v : NULL, .end = b < n_cuts ? cuts[b].v : NULL};
            bool wanted = false;
            for (int i = 0; i < 60 && !wanted; i++)
                wanted = meets(&rows[i], c, n) && (!s.start || tuple_cmp(rows[i].v, s.start, n_dims) >= 0) && (!s.end || tuple_cmp(rows[i].v, s.end, n_dims) < 0);
            hold(p, &s, wanted, &t);
        }
        hg_arena_free(a);
    }
    print_message("range: %u of %u pruned\n", t.pruned, t.of);
    assert_true(t.pruned > t.of / 10);
}

static void exact_cases(void **state)
{
    (void)state;
    struct hg_str b = HG_STR("b"), x = HG_STR("x"), none = {0, 0}, bx[] = {HG_STR("b"), HG_STR("x")}, bnull[] = {HG_STR("b"), {0, 0}}, cnull[] = {HG_STR("c"), {0, 0}};
    struct hg_conjunct is_b = {"d0", &b, 1}, both[] = {{"d0", &b, 1}, {"d1", &x, 1}}, second_null[] = {{"d0", &b, 1}, {"d1", &none, 1}}, nothing = {"other", NULL, 0};
    struct { const struct hg_conjunct *c; uint32_t n, n_dims; const struct hg_str *start, *end; bool may; } t[] = {
        {&is_b, 1, 2, bx, NULL, true},          /* (b, x) and after: b with more after x */
        {&is_b, 1, 2, NULL, bnull, false},      /* up to (b, null): no b at all */
        {&is_b, 1, 2, bnull, cnull, true},      /* all of b */
        {both, 2, 2, NULL, bx, false},          /* the end is outside */
        {both, 2, 2, bx, cnull, true},          /* the start is inside */
        {second_null, 2, 2, bnull, bx, true},
        {second_null, 2, 2, bx, cnull, false},
        {&is_b, 1, 1, &x, NULL, false},
        {&is_b, 1, 1, &b, &x, true},
        {&is_b, 1, 1, NULL, &b, false},
        {&both[1], 1, 2, bx, cnull, true},      /* only the second is demanded: (b, x) is there */
        {&both[1], 1, 2, bnull, bx, false},     /* between (b, null) and (b, x) there is no x */
        {&nothing, 1, 1, NULL, NULL, false},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_shard_pruner *p;
        struct hg_err err;
        struct hg_shard s = {.kind = HG_SHARD_RANGE, .dims = dims, .n_dims = t[i].n_dims, .start = t[i].start, .end = t[i].end, .single = true};
        assert_ok(hg_shard_pruner_new(t[i].c, t[i].n, a, &p, &err), err);
        if (may(p, &s) != t[i].may) fail_msg("case %zu", i);
        s.single = false;
        assert_int_equal(may(p, &s), t[i].c->n > 0);
        hg_arena_free(a);
    }
}

static void spans(void **state)
{
    (void)state;
    struct hg_spans *s = hg_spans_new(100);
    struct hg_interval iv;
    char id[32];
    assert_false(hg_spans_get(s, "x", &iv));
    for (int i = 0; i < 1000; i++) {
        snprintf(id, sizeof id, "s%d", i);
        hg_spans_put(s, id, (struct hg_interval){i, i + 1});
        hg_spans_put(s, "kept", (struct hg_interval){7, 9});
        assert_true(hg_spans_get(s, id, &iv) && iv.start == i && iv.end == i + 1);
        assert_true(hg_spans_get(s, "kept", &iv) && iv.start == 7 && iv.end == 9);
    }
    assert_false(hg_spans_get(s, "s0", &iv));
    hg_spans_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hashed_model), cmocka_unit_test(range_model), cmocka_unit_test(exact_cases), cmocka_unit_test(spans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
