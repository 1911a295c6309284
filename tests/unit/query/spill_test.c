/* groupBy past its memory: random queries over random rows, answered with all groups in memory and with tables so small that nearly everything goes to disk. The answers are the same bytes.
 * And what happens when the disk is too small, full, or gives back something else. HG_SEED=n runs one seed, HG_SEEDS=n more. */
#include "help.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "query/spill/sorted.h"

static uint64_t rng;
static uint32_t rnd(uint32_t n)
{
    rng = rng * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((rng >> 33) % n);
}

static char dir[64];

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0},      {"t", HG_T_STRING, NULL, 0},         {"mv", HG_T_STRING, NULL, 0},
    {"l", HG_T_LONG, NULL, 0},      {"d", HG_T_DOUBLE, "doubleSum", 0}, {"m", HG_T_DECIMAL, "decimalSum", 0},
};
enum { N_COLS = 7, MAX_ROWS = 6000, MAX_SRC = 4 };
static struct hg_value rows[MAX_ROWS][N_COLS];
static struct hg_str lists[MAX_ROWS][3];
static char texts[2000][24];

static struct hg_str text(uint32_t n) { return hg_str_of(texts[rnd(n)]); }

static void make_rows(uint32_t n, uint32_t vocab)
{
    for (uint32_t k = 0; k < 2000; k++) snprintf(texts[k], sizeof texts[k], k % 7 ? "v%u" : "%u\xc3\xa9", k * 7919 % 2003);
    texts[0][0] = 0;
    for (uint32_t r = 0; r < n; r++) {
        struct hg_value *v = rows[r];
        for (int c = 0; c < N_COLS; c++) v[c] = (struct hg_value){.kind = HG_V_NULL};
        v[0] = (struct hg_value){.kind = HG_V_LONG, .u.i = 1710000000000 + (int64_t)r * 86400000 * 2 / n};
        if (rnd(9)) v[1] = (struct hg_value){.kind = HG_V_STR, .u.s = text(vocab)};
        if (rnd(5)) v[2] = (struct hg_value){.kind = HG_V_STR, .u.s = text(1 + vocab / 10)};
        uint32_t items = rnd(4);
        for (uint32_t k = 0; k < items; k++) lists[r][k] = rnd(8) ? text(20) : (struct hg_str){0, 0};
        v[3].kind = HG_V_LIST;
        v[3].u.list.v = lists[r];
        v[3].u.list.n = items;
        if (rnd(6)) v[4] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(vocab) - 20};
        if (rnd(6)) v[5] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = ((double)rnd(400) - 100) / 4}; /* sums are exact in any order */
        if (rnd(6)) v[6] = (struct hg_value){.kind = HG_V_LONG, .u.i = ((int64_t)rnd(600) - 150) * 125000};
    }
}

static uint32_t split(uint32_t n, struct hg_source **src)
{
    uint32_t n_src = 1 + rnd(MAX_SRC), at = 0;
    for (uint32_t k = 0; k < n_src; k++) {
        uint32_t to = k + 1 == n_src ? n : at + rnd(n - at + 1);
        src[k] = hg_mem_source_new(cols, N_COLS, rows[at], to - at, rnd(2) ? HG_MEM_LIVE_DICT : 0);
        at = to;
    }
    return n_src;
}

/* ---- queries ---- */

static const char *const aggs[] = {
    "{\"type\":\"count\",\"name\":\"a%u\"}",
    "{\"type\":\"longSum\",\"name\":\"a%u\",\"fieldName\":\"l\"}",
    "{\"type\":\"longMin\",\"name\":\"a%u\",\"fieldName\":\"l\"}",
    "{\"type\":\"doubleSum\",\"name\":\"a%u\",\"fieldName\":\"d\"}",
    "{\"type\":\"doubleMax\",\"name\":\"a%u\",\"fieldName\":\"d\"}",
    "{\"type\":\"doubleMean\",\"name\":\"a%u\",\"fieldName\":\"d\"}",
    "{\"type\":\"decimalSum\",\"name\":\"a%u\",\"fieldName\":\"m\"}",
    "{\"type\":\"longFirst\",\"name\":\"a%u\",\"fieldName\":\"l\"}",
    "{\"type\":\"doubleLast\",\"name\":\"a%u\",\"fieldName\":\"d\"}",
    "{\"type\":\"stringFirst\",\"name\":\"a%u\",\"fieldName\":\"s\"}",
    "{\"type\":\"stringLast\",\"name\":\"a%u\",\"fieldName\":\"t\",\"maxStringBytes\":8}",
    "{\"type\":\"HLLSketchBuild\",\"name\":\"a%u\",\"fieldName\":\"s\"}",
    "{\"type\":\"thetaSketch\",\"name\":\"a%u\",\"fieldName\":\"s\",\"size\":4096}",
    "{\"type\":\"quantilesDoublesSketch\",\"name\":\"a%u\",\"fieldName\":\"d\",\"k\":1024}",
    "{\"type\":\"cardinality\",\"name\":\"a%u\",\"fields\":[\"s\",\"t\"]}",
    "{\"type\":\"filtered\",\"filter\":{\"type\":\"selector\",\"dimension\":\"t\",\"value\":\"v10\"},\"aggregator\":{\"type\":\"longMax\",\"name\":\"a%u\",\"fieldName\":\"l\"}}",
    "{\"type\":\"expression\",\"name\":\"a%u\",\"fields\":[\"l\"],\"initialValue\":\"0\",\"fold\":\"__acc + if(isnull(l), 0, l)\"}",
    "{\"type\":\"grouping\",\"name\":\"a%u\",\"groupings\":[\"s\",\"t\"]}",
};
static const char *const dims[] = {
    "\"s\"", "\"t\"", "\"mv\"", "\"absent\"", "{\"type\":\"default\",\"dimension\":\"l\",\"outputName\":\"l\",\"outputType\":\"LONG\"}",
    "{\"type\":\"default\",\"dimension\":\"d\",\"outputName\":\"d\",\"outputType\":\"DOUBLE\"}", "{\"type\":\"default\",\"dimension\":\"l\",\"outputName\":\"l\"}",
    "{\"type\":\"extraction\",\"dimension\":\"s\",\"outputName\":\"s\",\"extractionFn\":{\"type\":\"substring\",\"index\":0,\"length\":3}}",
};
static const char *const dim_names[] = {"s", "t", "mv", "absent", "l", "d", "l", "s"};

static void make_query(struct hg_buf *b, const char *context)
{
    static const char *const grans[] = {"all", "hour", "day", "minute"};
    uint32_t used[3], n_dims = rnd(4), n_aggs = 1 + rnd(4);
    hg_buf_clear(b);
    hg_buf_printf(b, "{\"queryType\":\"groupBy\",\"dataSource\":\"x\",\"intervals\":\"2024-03-01/2024-03-20\",\"granularity\":\"%s\",\"dimensions\":[", grans[rnd(4)]);
    for (uint32_t k = 0; k < n_dims; k++) {
        bool twice = true;
        while (twice) {
            used[k] = rnd(sizeof dims / sizeof *dims);
            twice = false;
            for (uint32_t i = 0; i < k; i++) twice |= strcmp(dim_names[used[i]], dim_names[used[k]]) == 0;
        }
        hg_buf_printf(b, "%s%s", k ? "," : "", dims[used[k]]);
    }
    hg_buf_puts(b, "],\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"}");
    for (uint32_t k = 0; k < n_aggs; k++) {
        const char *one = aggs[rnd(sizeof aggs / sizeof *aggs)], *at = strstr(one, "%u");
        hg_buf_putc(b, ',');
        hg_buf_put(b, one, (size_t)(at - one));
        hg_buf_printf(b, "%u%s", k, at + 2);
    }
    hg_buf_puts(b, "],\"postAggregations\":[{\"type\":\"arithmetic\",\"name\":\"p\",\"fn\":\"*\",\"fields\":[{\"type\":\"fieldAccess\",\"fieldName\":\"n\"},{\"type\":\"constant\",\"value\":3}]}]");
    if (!rnd(3)) hg_buf_puts(b, ",\"having\":{\"type\":\"greaterThan\",\"aggregation\":\"n\",\"value\":1}");
    if (n_dims && !rnd(3)) {
        hg_buf_puts(b, ",\"subtotalsSpec\":[[");
        for (uint32_t k = 0; k < n_dims; k++) hg_buf_printf(b, "%s\"%s\"", k ? "," : "", dim_names[used[k]]);
        hg_buf_printf(b, "],[\"%s\"],[]]", dim_names[used[0]]);
    }
    uint32_t order = rnd(5);
    if (order) {
        hg_buf_puts(b, ",\"limitSpec\":{\"type\":\"default\",\"columns\":[");
        if (order == 2) hg_buf_puts(b, "{\"dimension\":\"n\",\"direction\":\"descending\"}");
        if (order == 3) hg_buf_puts(b, "\"p\",{\"dimension\":\"a0\",\"direction\":\"descending\",\"dimensionOrder\":\"numeric\"}");
        if (order == 4 && n_dims) hg_buf_printf(b, "{\"dimension\":\"%s\",\"direction\":\"descending\"}", dim_names[used[n_dims - 1]]);
        hg_buf_putc(b, ']');
        if (rnd(2)) hg_buf_printf(b, ",\"limit\":%u", 1 + rnd(2) * rnd(3000) + rnd(20));
        if (rnd(2)) hg_buf_printf(b, ",\"offset\":%u", rnd(40));
        hg_buf_putc(b, '}');
    }
    hg_buf_printf(b, ",\"context\":{\"resultAsArray\":%s,\"sortByDimsFirst\":%s%s}}", rnd(2) ? "true" : "false", rnd(4) ? "false" : "true", context);
    hg_buf_u8(b, 0);
}

/* ---- answers ---- */

static enum hg_rc give(void *arg, struct hg_partial *p, struct hg_err *err) { return hg_merge_add(arg, p, err); }

struct asked {
    struct hg_spill spill;
    bool spilled;
    enum hg_rc rc;
    struct hg_err err;
    char *json; /* owned */
};

/* What a data server does: partial results merged, and the result in pieces where it is large. */
static enum hg_rc server(struct run *r, struct hg_source *const *src, uint32_t n, struct hg_merge *broker, struct asked *a)
{
    struct hg_merge *m;
    struct hg_partial *p = NULL;
    HG_TRY(hg_merge_new(r->q, &r->x, &m, &r->err));
    r->x.give = give;
    r->x.give_arg = m;
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
        rc = run_scan(r, src[k], &p);
        if (rc == HG_OK) rc = hg_merge_add(m, p, &r->err);
    }
    p = NULL;
    if (rc == HG_OK) rc = hg_merge_take(m, &p, &r->err);
    hg_merge_free(m);
    if (rc != HG_OK) return rc;
    a->spilled |= hg_partial_spilled(p);
    if (!hg_partial_large(p)) return hg_merge_add(broker, run_recode(r, p), &r->err);
    for (;;) {
        struct hg_partial *piece;
        rc = hg_partial_next(r->q, p, &r->x, &piece, &r->err);
        if (rc != HG_OK || !piece) break;
        rc = hg_merge_add(broker, run_recode(r, piece), &r->err);
        if (rc != HG_OK) break;
    }
    hg_partial_free(p);
    return rc;
}

static struct asked ask(const char *json, struct hg_source *const *src, uint32_t n, int64_t memory, int64_t disk)
{
    struct asked a = {.json = NULL};
    struct run r;
    struct hg_merge *m;
    struct hg_partial *p = NULL;
    struct hg_buf b;
    if (run_open(&r, json, memory) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    hg_spill_init(&a.spill, disk ? dir : NULL, disk, r.q);
    r.x.spill = &a.spill;
    hg_buf_init(&b, SIZE_MAX);
    assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
    for (uint32_t k = 0; k < n && a.rc == HG_OK; k += 2) a.rc = server(&r, src + k, n - k < 2 ? n - k : 2, m, &a);
    if (a.rc == HG_OK) a.rc = hg_merge_take(m, &p, &r.err);
    hg_merge_free(m);
    if (a.rc == HG_OK) {
        a.spilled |= hg_partial_spilled(p);
        a.rc = hg_query_finish(r.q, p, &r.x, false, &b, &r.err);
    }
    hg_partial_free(p);
    hg_buf_u8(&b, 0);
    a.json = (char *)b.p;
    a.err = r.err;
    assert_int_equal(atomic_load(&a.spill.held), 0); /* nothing stays on disk */
    run_close(&r);
    return a;
}

/* ---- tests ---- */

static void differ(uint64_t seed, const char *query, const char *want, const char *got)
{
    size_t at = 0;
    while (got[at] && got[at] == want[at]) at++;
    at = at > 40 ? at - 40 : 0;
    fail_msg("seed %" PRIu64 ": %s\nwant …%.100s\ngot  …%.100s", seed, query, want + at, got + at);
}

static uint32_t n_spilled;

static void one_seed(uint64_t seed)
{
    rng = seed * 0x9E3779B97F4A7C15ull + 1;
    for (int k = 0; k < 5; k++) rnd(2);
    uint32_t n = rnd(4) ? 1 + rnd(400) : 1 + rnd(MAX_ROWS);
    struct hg_source *src[MAX_SRC];
    make_rows(n, 1 + rnd(rnd(2) ? 2000 : 50));
    uint32_t n_src = split(n, src);
    for (int queries = 0; queries < 3; queries++) {
        struct hg_buf b;
        char context[64] = "";
        hg_buf_init(&b, SIZE_MAX);
        bool by_groups = rnd(3) != 0;
        if (by_groups) snprintf(context, sizeof context, ",\"bufferGrouperMaxSize\":%u", 1 + rnd(rnd(2) ? 10 : 300));
        make_query(&b, context);
        struct asked want = ask((char *)b.p, src, n_src, 0, 0), got = ask((char *)b.p, src, n_src, by_groups ? 64 << 20 : 4 << 20, (int64_t)1 << 30);
        if (want.rc) fail_msg("seed %" PRIu64 ": %s\n%s", seed, want.err.msg, (char *)b.p);
        if (got.rc) fail_msg("seed %" PRIu64 ": %s\n%s", seed, got.err.msg, (char *)b.p);
        if (strcmp(want.json, got.json) != 0) differ(seed, (char *)b.p, want.json, got.json);
        n_spilled += got.spilled;
        free(want.json);
        free(got.json);
        hg_buf_free(&b);
    }
    for (uint32_t k = 0; k < n_src; k++) hg_mem_source_free(src[k]);
}

static void random_queries(void **state)
{
    (void)state;
    const char *one = getenv("HG_SEED"), *many = getenv("HG_SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 50;
    if (one) return one_seed(strtoull(one, NULL, 10));
    for (uint64_t seed = 1; seed <= n; seed++) one_seed(seed);
    assert_true(n_spilled > n / 2); /* of 3 n queries */
}

/* Many groups, more than there is room for. */
static const char many[] = "{\"queryType\":\"groupBy\",\"dataSource\":\"x\",\"intervals\":\"2024-03-01/2024-03-20\",\"granularity\":\"minute\",\"dimensions\":[\"s\",\"t\"],"
                           "\"aggregations\":[{\"type\":\"count\",\"name\":\"n\"}],\"context\":{\"bufferGrouperMaxSize\":50}}";

static void disk_limits(void **state)
{
    (void)state;
    rng = 7;
    make_rows(3000, 900);
    struct hg_source *src[] = {hg_mem_source_new(cols, N_COLS, rows[0], 1500, 0), hg_mem_source_new(cols, N_COLS, rows[1500], 1500, 0)};
    struct asked a = ask(many, src, 2, 64 << 20, 2000);
    assert_int_equal(a.rc, HG_E_LIMIT);
    assert_non_null(strstr(a.err.msg, "Resource limit exceeded"));
    assert_non_null(strstr(a.err.msg, "maxOnDiskStorage"));
    free(a.json);
    hg_file_fail_after(5000);
    a = ask(many, src, 2, 64 << 20, 1 << 30);
    hg_file_fail_after(-1);
    assert_int_equal(a.rc, HG_E_IO);
    assert_non_null(strstr(a.err.msg, "No space left on device"));
    free(a.json);
    a = ask(many, src, 2, 64 << 20, 1 << 30);
    assert_int_equal(a.rc, HG_OK);
    assert_true(a.spilled);
    free(a.json);
    for (int k = 0; k < 2; k++) hg_mem_source_free(src[k]);
}

/* Threads may share a merge: what comes after it has failed fails likewise, and finds nothing half done. */
static void failed_for_all(void **state)
{
    (void)state;
    struct run r;
    struct hg_partial *p[3], *out;
    struct hg_merge *m;
    char why[sizeof r.err.msg];
    rng = 7;
    make_rows(3000, 900);
    struct hg_source *src = hg_mem_source_new(cols, N_COLS, rows[0], 1500, 0);
    assert_int_equal(run_open(&r, many, 64 << 20), HG_OK);
    for (int k = 0; k < 3; k++) assert_int_equal(run_scan(&r, src, &p[k]), HG_OK);
    assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
    assert_int_equal(hg_merge_add(m, p[0], &r.err), HG_OK);
    r.budget.limit = atomic_load(&r.budget.used); /* others have taken all there was */
    assert_int_equal(hg_merge_add(m, p[1], &r.err), HG_E_LIMIT);
    snprintf(why, sizeof why, "%s", r.err.msg);
    r.budget.limit = 64 << 20;
    assert_int_equal(hg_merge_add(m, p[2], &r.err), HG_E_LIMIT);
    assert_string_equal(r.err.msg, why);
    assert_int_equal(hg_merge_take(m, &out, &r.err), HG_E_LIMIT);
    hg_merge_free(m);
    run_close(&r);
    hg_mem_source_free(src);
}

int main(void)
{
    snprintf(dir, sizeof dir, "/tmp/henge-spill-test-XXXXXX");
    if (!mkdtemp(dir)) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_queries),
        cmocka_unit_test(disk_limits),
        cmocka_unit_test(failed_for_all),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(dir) || failed; /* nothing was left in it */
}
