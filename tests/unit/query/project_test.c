/* Random projections of random rows, and random queries: the answer is the same with them as without, whichever way the file is read. Numbers are such that sums of doubles are exact in
 * any order. HG_SEED=n runs one seed; HG_SEEDS=n so many. */
#include "help.h"

#include <unistd.h>

#include "base/file.h"
#include "segment/block_cache.h"
#include "segment/resident.h"
#include "segment/segment.h"

static uint64_t rng;
static uint32_t rnd(uint32_t n) /* 0..n-1 */
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? (uint32_t)(rng >> 33) % n : 0;
}

#define T0 INT64_C(1710028800000) /* a Sunday on which New York's clocks go forward, 00:00 UTC */
static char dir[] = "/tmp/hg-project-XXXXXX";

/* ---- rows ---- */

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0},         {"c", HG_T_STRING, NULL, 0},           {"p", HG_T_STRING, NULL, 0},         {"u", HG_T_STRING, NULL, 0},
    {"l", HG_T_LONG, NULL, 0},              {"mv", HG_T_STRING, NULL, 0},          {"clicks", HG_T_LONG, "longSum", 0}, {"spend", HG_T_DECIMAL, "decimalSum", 0},
    {"score", HG_T_DOUBLE, "doubleSum", 0}, {"rate", HG_T_FLOAT, "floatMax", 0},
};
enum { N_COLS = sizeof cols / sizeof *cols };
static const char dims_json[] = "\"dimensionsSpec\":{\"dimensions\":[\"c\",\"p\",{\"name\":\"u\",\"type\":\"string\",\"createBitmapIndex\":false},{\"name\":\"l\",\"type\":\"long\"},\"mv\"]},"
                                "\"metricsSpec\":[{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"clicks\"},{\"type\":\"decimalSum\",\"name\":\"spend\",\"fieldName\":\"spend\"},"
                                "{\"type\":\"doubleSum\",\"name\":\"score\",\"fieldName\":\"score\"},{\"type\":\"floatMax\",\"name\":\"rate\",\"fieldName\":\"rate\"}]";

static struct hg_str text(struct hg_arena *a, char letter, uint32_t card) { return hg_str_of(hg_arena_printf(a, "%c%u", letter, rnd(card))); }

static struct hg_source *make_rows(struct hg_arena *a, uint32_t n)
{
    struct hg_value *v = hg_arena_array(a, (size_t)n * N_COLS, sizeof *v);
    static const uint32_t spans[] = {600, 3600, 86400, 200000, 900000};
    uint32_t span = spans[rnd(5)], lead = rnd(100000), cards[3] = {1 + rnd(5), 1 + rnd(40), 1 + rnd(50)};
    for (uint32_t r = 0; r < n; r++) {
        struct hg_value *x = v + (size_t)r * N_COLS;
        x[0] = (struct hg_value){.kind = HG_V_LONG, .u.i = T0 + (int64_t)(lead + rnd(span)) * 1000};
        for (uint32_t k = 0; k < 3; k++)
            if (rnd(9)) x[1 + k] = (struct hg_value){.kind = HG_V_STR, .u.s = text(a, "cpu"[k], cards[k])};
        if (rnd(9)) x[4] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(4) - 1};
        uint32_t m = rnd(4);
        struct hg_str *items = hg_arena_array(a, m + 1, sizeof *items);
        for (uint32_t k = 0; k < m; k++) items[k] = rnd(5) ? text(a, 'm', 3) : (struct hg_str){0, 0};
        x[5].kind = HG_V_LIST;
        x[5].u.list.v = items;
        x[5].u.list.n = m;
        if (rnd(5)) x[6] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(100) - 10};
        if (rnd(5)) x[7] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(1000) * 1000};
        if (rnd(5)) x[8] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = (double)rnd(100) / 4};
        if (rnd(5)) x[9] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = (double)rnd(100) / 8};
    }
    return hg_mem_source_new(cols, N_COLS, v, n, rnd(2) ? HG_MEM_LIVE_DICT : 0);
}

/* ---- projections ---- */

static const char *const floors[] = {"PT1H'", "P1D'", "PT15M'", "P1D',null,'America/New_York'", "PT6H','2024-03-10T03:00:00Z'", "P1W'", "P1M'"};
static const char *const stored[] = {
    "{\"type\":\"longSum\",\"name\":\"n_clicks\",\"fieldName\":\"clicks\"}",  "{\"type\":\"longMax\",\"name\":\"most\",\"fieldName\":\"clicks\"}", "{\"type\":\"decimalSum\",\"name\":\"spend\",\"fieldName\":\"spend\"}",
    "{\"type\":\"doubleSum\",\"name\":\"score\",\"fieldName\":\"score\"}",    "{\"type\":\"doubleSum\",\"name\":\"c2\",\"fieldName\":\"clicks\"}", "{\"type\":\"floatMin\",\"name\":\"r0\",\"fieldName\":\"rate\"}",
    "{\"type\":\"longSum\",\"name\":\"sum_l\",\"fieldName\":\"l\"}",          "{\"type\":\"HLLSketchBuild\",\"name\":\"users\",\"fieldName\":\"u\"}", "{\"type\":\"count\",\"name\":\"rows\"}",
    "{\"type\":\"thetaSketch\",\"name\":\"th\",\"fieldName\":\"u\"}",         "{\"type\":\"HLLSketchBuild\",\"name\":\"hmv\",\"fieldName\":\"mv\"}",
};
#define N_STORED (sizeof stored / sizeof *stored)

static void put_projection(struct hg_buf *b, uint32_t k)
{
    static const char *const groups[] = {"c", "p", "l", "mv"};
    bool none = true;
    hg_buf_printf(b, "%s{\"type\":\"aggregate\",\"name\":\"v%u\",\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"__gran\",\"expression\":\"timestamp_floor(__time, '%s)\"}],\"groupingColumns\":[", k ? "," : "", k,
                  floors[rnd(7)]);
    uint32_t time = rnd(6); /* 0: all time is one, 1: as it is */
    if (time) hg_buf_printf(b, "\"%s\"", time == 1 ? "__time" : "__gran"), none = false;
    for (uint32_t g = 0; g < 4; g++)
        if (rnd(2) || (none && g == 3)) hg_buf_printf(b, "%s{\"type\":\"%s\",\"name\":\"%s\"}", none ? "" : ",", g == 2 ? "long" : "string", groups[g]), none = false;
    hg_buf_puts(b, "],\"aggregators\":[");
    bool first = true;
    for (uint32_t g = 0; g < N_STORED; g++)
        if (rnd(4)) hg_buf_printf(b, "%s%s", first ? "" : ",", stored[g]), first = false;
    hg_buf_puts(b, "]}");
}

static struct hg_schema *make_schema(struct hg_arena *a)
{
    struct hg_buf b;
    struct hg_err err;
    struct hg_schema *s;
    json_t *j;
    hg_buf_init(&b, SIZE_MAX);
    hg_buf_printf(&b, "{%s,\"granularitySpec\":{\"rollup\":%s},\"projections\":[", dims_json, rnd(2) ? "true" : "false");
    for (uint32_t k = 0, n = 1 + rnd(3); k < n; k++) put_projection(&b, k);
    hg_buf_puts(&b, "]}");
    if (hg_json_parse((struct hg_str){(char *)b.p, b.len}, &j, &err)) fail_msg("%s", err.msg);
    if (hg_schema_parse(a, j, &hg_jroot, &s, &err)) fail_msg("%s\n%.*s", err.msg, (int)b.len, (char *)b.p);
    json_decref(j);
    hg_buf_free(&b);
    return s;
}

/* ---- queries ---- */

static const char *const filters[] = {
    "{\"type\":\"selector\",\"dimension\":\"c\",\"value\":\"c0\"}",
    "{\"type\":\"in\",\"dimension\":\"p\",\"values\":[\"p0\",\"p1\",\"p7\",null]}",
    "{\"type\":\"not\",\"field\":{\"type\":\"bound\",\"dimension\":\"l\",\"lower\":\"1\",\"ordering\":\"numeric\"}}",
    "{\"type\":\"expression\",\"expression\":\"concat(c, 'x') == 'c1x' || l == 2\"}",
    "{\"type\":\"and\",\"fields\":[{\"type\":\"like\",\"dimension\":\"p\",\"pattern\":\"p1%\"},{\"type\":\"null\",\"column\":\"absent\"}]}",
    "{\"type\":\"selector\",\"dimension\":\"mv\",\"value\":\"m1\"}",
    "{\"type\":\"selector\",\"dimension\":\"u\",\"value\":\"u1\"}",
    "{\"type\":\"columnComparison\",\"dimensions\":[\"c\",\"p\"]}",
    "{\"type\":\"range\",\"column\":\"clicks\",\"matchValueType\":\"LONG\",\"lower\":5}",
    "{\"type\":\"interval\",\"dimension\":\"__time\",\"intervals\":[\"2024-03-10T05/2024-03-11\"]}",
};
static const char *const dims[] = {"\"c\"", "\"p\"", "\"l\"", "\"v\"", "{\"type\":\"default\",\"dimension\":\"vt\",\"outputName\":\"vt\",\"outputType\":\"LONG\"}", "\"absent\"", "\"u\"", "\"mv\"", "{\"type\":\"default\",\"dimension\":\"__time\",\"outputName\":\"t\",\"outputType\":\"LONG\"}",
                                   "{\"type\":\"extraction\",\"dimension\":\"p\",\"outputName\":\"px\",\"extractionFn\":{\"type\":\"substring\",\"index\":1,\"length\":1}}"};
static const char *const wanted[] = {
    "{\"type\":\"count\",\"name\":\"%s\"}",
    "{\"type\":\"longSum\",\"name\":\"%s\",\"fieldName\":\"clicks\"}",
    "{\"type\":\"longMax\",\"name\":\"%s\",\"fieldName\":\"clicks\"}",
    "{\"type\":\"decimalSum\",\"name\":\"%s\",\"fieldName\":\"spend\"}",
    "{\"type\":\"doubleSum\",\"name\":\"%s\",\"fieldName\":\"score\"}",
    "{\"type\":\"doubleSum\",\"name\":\"%s\",\"fieldName\":\"clicks\"}",
    "{\"type\":\"floatMin\",\"name\":\"%s\",\"fieldName\":\"rate\"}",
    "{\"type\":\"longSum\",\"name\":\"%s\",\"fieldName\":\"l\"}",
    "{\"type\":\"longMin\",\"name\":\"%s\",\"fieldName\":\"l\"}",
    "{\"type\":\"HLLSketchBuild\",\"name\":\"%s\",\"fieldName\":\"u\"}",
    "{\"type\":\"thetaSketch\",\"name\":\"%s\",\"fieldName\":\"u\"}",
    "{\"type\":\"HLLSketchBuild\",\"name\":\"%s\",\"fieldName\":\"mv\"}",
    "{\"type\":\"cardinality\",\"name\":\"%s\",\"fields\":[\"c\",\"p\"]}",
    "{\"type\":\"longSum\",\"name\":\"%s\",\"fieldName\":\"absent\"}",
    "{\"type\":\"longSum\",\"name\":\"%s\",\"fieldName\":\"n_clicks\"}", /* the projection's name for it, which the data source has not */
    "{\"type\":\"longFirst\",\"name\":\"%s\",\"fieldName\":\"clicks\"}",
};
static const char *const grans[] = {"\"all\"", "\"hour\"", "\"day\"", "\"none\"", "{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"America/New_York\"}", "\"week\"", "{\"type\":\"duration\",\"duration\":21600000}", "\"month\""};

static void put_interval(struct hg_buf *b)
{
    char t[2 * HG_TIME_TEXT];
    int64_t unit = rnd(3) == 0 ? 86400000 : rnd(3) ? 3600000 : 1000 * (1 + (int64_t)rnd(5000)), from = T0 + (int64_t)rnd(30) * unit;
    struct hg_interval iv = {from, from + (1 + (int64_t)rnd(60)) * unit};
    if (rnd(2)) iv = (struct hg_interval){T0 - 86400000, T0 + INT64_C(30) * 86400000};
    hg_interval_format(iv, t);
    hg_buf_printf(b, "\"intervals\":\"%s\"", t);
}

/* What all runs of one query have in common; its context comes after. */
static void put_query(struct hg_buf *b)
{
    static const char *const types[] = {"timeseries", "topN", "groupBy"};
    uint32_t type = rnd(3), n_dims = type == 0 ? 0 : type == 1 ? 1 : rnd(4);
    hg_buf_printf(b, "{\"queryType\":\"%s\",\"dataSource\":\"x\",\"granularity\":%s,", types[type], grans[rnd(4) ? rnd(3) : rnd(8)]);
    put_interval(b);
    hg_buf_puts(b, ",\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"concat(c, p)\"},");
    hg_buf_printf(b, "{\"type\":\"expression\",\"name\":\"vt\",\"expression\":\"timestamp_floor(__time, '%s)\"}]", floors[rnd(7)]);
    if (rnd(2)) hg_buf_printf(b, ",\"filter\":%s", filters[rnd(3) ? rnd(5) : rnd(10)]);
    if (type == 1) hg_buf_printf(b, ",\"dimension\":%s,\"metric\":{\"type\":\"dimension\"},\"threshold\":1000", dims[rnd(3) ? rnd(6) : rnd(10)]);
    if (type == 2) {
        uint32_t from = rnd(9);
        hg_buf_puts(b, ",\"dimensions\":[");
        for (uint32_t k = 0; k < n_dims; k++) hg_buf_printf(b, "%s%s", k ? "," : "", dims[(from + k * 3) % (rnd(3) ? 5 : 10)]);
        hg_buf_puts(b, "]");
    }
    hg_buf_puts(b, ",\"aggregations\":[");
    for (uint32_t k = 0, n = rnd(5); k < n; k++) {
        char name[16], agg[200];
        const char *form = wanted[rnd(8) ? rnd(9) : rnd(16)], *at = strstr(form, "%s");
        snprintf(name, sizeof name, "a%u", k);
        snprintf(agg, sizeof agg, "%.*s%s%s", (int)(at - form), form, name, at + 2);
        if (k) hg_buf_putc(b, ',');
        if (rnd(4) == 0) hg_buf_printf(b, "{\"type\":\"filtered\",\"filter\":%s,\"aggregator\":%s}", filters[rnd(3) ? rnd(5) : rnd(10)], agg);
        else hg_buf_puts(b, agg);
    }
    hg_buf_puts(b, "],\"context\":{");
}

struct answer { char *text; int64_t first; bool has_first; uint64_t n_buckets; struct hg_exec_stats stats; enum hg_rc rc; char why[sizeof ((struct hg_err *)0)->msg]; };

static unsigned common_groups;

/* The result; groups by one text are added up by the numbers that segments have in common, if that is asked for (query/merge/numbered.h). */
static enum hg_rc scan(struct run *r, const struct hg_source *s, bool common, struct hg_partial **out)
{
    struct hg_numbered *n = NULL;
    struct hg_merge *m;
    struct hg_partial *p;
    if (common) assert_int_equal(hg_numbered_new(r->q, &r->x, &n, &r->err), HG_OK);
    r->x.numbered = n;
    enum hg_rc rc = run_scan(r, s, out);
    if (n && rc == HG_OK) {
        assert_int_equal(hg_merge_new(r->q, &r->x, &m, &r->err), HG_OK);
        assert_int_equal(hg_merge_add(m, *out, &r->err), HG_OK);
        assert_int_equal(hg_numbered_take(n, &r->x, &p, &r->err), HG_OK);
        common_groups += p && p->n_rows && r->x.stats.projections;
        if (p) assert_int_equal(hg_merge_add(m, p, &r->err), HG_OK);
        assert_int_equal(hg_merge_take(m, out, &r->err), HG_OK);
        hg_merge_free(m);
    }
    hg_numbered_free(n);
    return rc;
}

static struct answer ask(const struct hg_buf *query, const char *context, const struct hg_source *s)
{
    struct run r;
    struct answer out = {0};
    struct hg_partial *p = NULL;
    char *json = malloc(query->len + 200);
    snprintf(json, query->len + 200, "%.*s%s}}", (int)query->len, (const char *)query->p, context);
    if (run_open(&r, json, 0) != HG_OK) {
        if (!strstr(r.err.msg, "uplicate")) fail_msg("%s\n%s", r.err.msg, json);
        out.rc = HG_E_INVALID; /* a dimension twice */
    } else if ((out.rc = scan(&r, s, !strstr(context, "noProjections"), &p)) == HG_OK) {
        p = run_recode(&r, p);
        out.text = rows_text(r.q, p);
        out.first = p->first_time;
        out.has_first = p->has_first_time;
        out.n_buckets = p->n_buckets;
        out.stats = r.x.stats;
        hg_partial_free(p);
    }
    snprintf(out.why, sizeof out.why, "%s", out.rc ? r.err.msg : "");
    run_close(&r);
    free(json);
    return out;
}

static void same(const struct answer *a, const struct answer *b, uint64_t seed, const struct hg_buf *query)
{
    if (a->rc != b->rc || (!a->rc && (strcmp(a->text, b->text) != 0 || a->has_first != b->has_first || (a->has_first && a->first != b->first) || a->n_buckets != b->n_buckets)))
        fail_msg("seed %" PRIu64 ": %.*s\nwithout (%s):\n%s\nwith (%s):\n%s", seed, (int)query->len, (const char *)query->p, a->why, a->text ? a->text : "", b->why, b->text ? b->text : "");
}

static unsigned asked, served;

/* Whatever was done: every block counts once. */
static void adds_up(const struct answer *a)
{
    const struct hg_exec_stats *s = &a->stats;
    assert_true(s->blocks_read >= 0 && s->blocks_from_stats >= 0 && s->blocks_read + s->blocks_from_stats <= s->blocks);
    assert_true(s->rows_selected <= s->rows_scanned && s->projection_rows <= s->rows_scanned && s->projection_blocks <= s->blocks_read + s->blocks_from_stats);
}

static void try_query(const struct hg_source *s, uint64_t seed)
{
    struct hg_buf q;
    hg_buf_init(&q, SIZE_MAX);
    put_query(&q);
    struct answer plain = ask(&q, "\"noProjections\":true", s), with = ask(&q, "", s), named = ask(&q, "\"useProjection\":\"v0\"", s), forced = ask(&q, "\"forceProjections\":true", s);
    same(&plain, &with, seed, &q);
    adds_up(&plain), adds_up(&with), adds_up(&named), adds_up(&forced);
    assert_int_equal(plain.stats.projections, 0);
    if (named.rc == HG_OK) same(&plain, &named, seed, &q);
    else if (plain.rc == HG_OK) assert_string_equal(named.why, "Projection[v0] specified, but does not satisfy query");
    if (forced.rc == HG_OK) same(&plain, &forced, seed, &q);
    else if (plain.rc == HG_OK) assert_string_equal(forced.why, "Force projections specified, but none satisfy query");
    if (with.stats.projections) assert_true(forced.rc == HG_OK && with.stats.projection_rows <= plain.stats.rows_scanned);
    if (forced.rc == HG_OK) assert_int_equal(forced.stats.projections, 1);
    asked++;
    served += with.stats.projections > 0;
    free(plain.text), free(with.text), free(named.text), free(forced.text);
    hg_buf_free(&q);
}

static void try_seed(uint64_t seed)
{
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment *seg;
    struct hg_segment_stats st;
    struct hg_block_cache *cache;
    struct hg_resident_pool *pool;
    char path[128];
    rng = seed * 0x9e3779b97f4a7c15u + 1;
    struct hg_schema *schema = make_schema(a);
    struct hg_source *rows = make_rows(a, 1 + (rnd(4) ? rnd(500) : rnd(9000)));
    struct hg_segment_write_options opt = {.zstd_level = rnd(2) ? 3 : 0};
    snprintf(path, sizeof path, "%s/seg", dir);
    if (hg_segment_merge(schema, (const struct hg_source *const *)&rows, 1, &opt, path, &st, &err)) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    if (hg_segment_open(path, &seg, &err)) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    if (hg_segment_verify(seg, &err)) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    assert_int_equal(hg_segment_source(seg)->n_projections, schema->n_projections);
    assert_int_equal(hg_block_cache_new(1 << 20, &cache, &err), HG_OK);
    assert_int_equal(hg_resident_pool_new(64 << 20, &pool, &err), HG_OK);
    uint32_t how = rnd(3);
    if (how == 1) hg_segment_use_cache(seg, cache);
    if (how == 2 && hg_segment_make_resident(seg, pool, &err)) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    if (how == 2 && hg_segment_verify(seg, &err)) fail_msg("seed %" PRIu64 ": in memory: %s", seed, err.msg);
    for (uint32_t k = 0; k < 25; k++) try_query(hg_segment_source(seg), seed);
    hg_segment_close(seg);
    struct hg_block_cache_stats left;
    hg_block_cache_stat(cache, &left);
    assert_int_equal(left.blocks, 0);
    assert_int_equal(hg_resident_pool_used(pool), 0);
    hg_block_cache_free(cache);
    hg_resident_pool_free(pool);
    hg_mem_source_free(rows);
    hg_arena_free(a);
}

static void answers_are_the_same(void **state)
{
    (void)state;
    const char *one = getenv("HG_SEED"), *many = getenv("HG_SEEDS");
    uint64_t from = one ? strtoull(one, NULL, 10) : 1, n = one ? 1 : many ? strtoull(many, NULL, 10) : 20;
    for (uint64_t k = 0; k < n; k++) try_seed(from + k);
    if (one) return;
    assert_in_range(served * 100 / asked, 10, 90); /* both ways are met often */
    assert_true(common_groups >= n / 4);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
    (void)state;
    return hg_dir_remove_all(dir, NULL) == HG_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_the_same)};
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
