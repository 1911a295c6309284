/* Projections in specs and in files: what is declared is read, what is wrong is refused with its JSON path; a file's projections are its rows' own, also after merging, and one that is not is
 * found out. That queries get the same answers from them is query/project_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "base/file.h"
#include "mem_source.h"
#include "schema_of.h"
#include "segment/segment_private.h"
#include "segment/writer.h"

static char dir[] = "/tmp/hg-projection-XXXXXX";

static enum hg_rc parse(struct hg_arena *a, const char *projections, struct hg_schema **out, struct hg_err *err)
{
    char text[4000];
    snprintf(text, sizeof text,
             "{\"dimensionsSpec\":{\"dimensions\":[\"c\",\"p\",{\"name\":\"age\",\"type\":\"long\"}]},\"metricsSpec\":[{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"raw\"},"
             "{\"type\":\"decimalSum\",\"name\":\"spend\",\"fieldName\":\"spend\"},{\"type\":\"HLLSketchBuild\",\"name\":\"users\",\"fieldName\":\"user\"}],\"projections\":%s}",
             projections);
    return schema_of(a, text, out, err);
}

#define DAY "{\"type\":\"expression\",\"name\":\"__gran\",\"expression\":\"timestamp_floor(__time, 'P1D')\"}"
#define HOUR "{\"type\":\"expression\",\"name\":\"h\",\"expression\":\"timestamp_floor(\\\"__time\\\",'PT1H',null,'UTC')\",\"outputType\":\"LONG\"}"

static void declared(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    if (parse(a,
              "[{\"type\":\"aggregate\",\"name\":\"one\",\"virtualColumns\":[" DAY "," HOUR "],\"groupingColumns\":[\"p\",{\"type\":\"long\",\"name\":\"__gran\"},{\"type\":\"long\",\"name\":\"h\"},{\"type\":\"string\",\"name\":\"c\"}],"
              "\"aggregators\":[{\"type\":\"longSum\",\"name\":\"k\",\"fieldName\":\"clicks\"},{\"type\":\"HLLSketchMerge\",\"name\":\"u\",\"fieldName\":\"users\"},{\"type\":\"thetaSketch\",\"name\":\"th\",\"fieldName\":\"c\"},"
              "{\"type\":\"count\",\"name\":\"n\"}]},"
              "{\"name\":\"two\",\"groupingColumns\":[\"age\"]}]",
              &s, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(s->n_projections, 2);
    const struct hg_schema_projection *p = &s->projections[0];
    assert_string_equal(p->name, "one");
    assert_string_equal(p->time_column, "h"); /* the finest */
    assert_int_equal(hg_gran_floor(&p->schema.query_gran, 3600001), 3600000);
    assert_int_equal(p->schema.n_dims, 2);
    assert_string_equal(p->schema.dims[1].name, "c");
    assert_int_equal(p->schema.time_at, 1);
    assert_int_equal(p->schema.n_metrics, 4);
    assert_string_equal(p->schema.metrics[0].field, "clicks");
    assert_int_equal(p->schema.metrics[1].roll, HG_ROLL_SKETCH_MERGE);
    assert_int_equal(p->schema.metrics[2].roll, HG_ROLL_SKETCH_BUILD);
    p = &s->projections[1];
    assert_null(p->time_column);
    assert_int_equal(p->schema.query_gran.kind, HG_GRAN_ALL);
    assert_int_equal(p->schema.n_metrics, 1);
    assert_string_equal(p->schema.metrics[0].name, "__count");
    hg_arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    static const struct refused cases[] = {
        {"{}", "$.projections"},
        {"[5]", "$.projections[0]"},
        {"[{\"type\":\"view\",\"name\":\"x\",\"groupingColumns\":[\"c\"]}]", "$.projections[0].type: projections of type \"view\""},
        {"[{\"groupingColumns\":[\"c\"]}]", "$.projections[0].name"},
        {"[{\"name\":\"\",\"groupingColumns\":[\"c\"]}]", "$.projections[0].name"},
        {"[{\"name\":\"x\"}]", "$.projections[0].groupingColumns"},
        {"[{\"name\":\"x\",\"groupingColumns\":[]}]", "$.projections[0].groupingColumns: name at least one"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"nope\"]}]", "$.projections[0].groupingColumns[0]: \"nope\" is neither a dimension"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"clicks\"]}]", "$.projections[0].groupingColumns[0]"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\",\"c\"]}]", "$.projections[0].groupingColumns[1]: a grouping column \"c\" was named before"},
        {"[{\"name\":\"x\",\"groupingColumns\":[{\"name\":\"c\",\"type\":\"long\"}]}]", "$.projections[0].groupingColumns[0].type: \"c\" is a dimension of type STRING"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"]},{\"name\":\"x\",\"groupingColumns\":[\"p\"]}]", "$.projections[1].name: a projection \"x\" was declared before"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"upper(c)\"}]}]", "$.projections[0].virtualColumns[0].expression: \"upper(c)\" is not supported"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"timestamp_floor(__time, 'P0D')\"}]}]", "$.projections[0].virtualColumns[0].expression"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"timestamp_floor(__time, 'P1D') + 1\"}]}]", "$.projections[0].virtualColumns[0].expression"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"virtualColumns\":[{\"type\":\"expression\",\"name\":\"v\",\"expression\":\"timestamp_floor(__time, 'P1D', null, 'Moon/Base')\"}]}]", "$.projections[0].virtualColumns[0].expression"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"virtualColumns\":[{\"type\":\"mv-filtered\",\"name\":\"v\"}]}]", "$.projections[0].virtualColumns[0].type"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"nope\",\"name\":\"n\"}]}]", "$.projections[0].aggregators[0].type: aggregator \"nope\""},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"longSum\",\"name\":\"n\",\"fieldName\":\"raw\"}]}]", "$.projections[0].aggregators[0].fieldName: \"raw\" is no column"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"longSum\",\"name\":\"n\",\"fieldName\":\"spend\"}]}]", "$.projections[0].aggregators[0]: longSum over \"spend\", a column of type DECIMAL"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"HLLSketchMerge\",\"name\":\"n\",\"fieldName\":\"c\"}]}]", "$.projections[0].aggregators[0]"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"thetaSketch\",\"name\":\"n\",\"fieldName\":\"users\"}]}]", "$.projections[0].aggregators[0]"},
        {"[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"count\",\"name\":\"c\"}]}]", "$.projections[0].aggregators[0].name: a column \"c\""},
    };
    all_refused(cases, sizeof cases / sizeof *cases, parse);
}

/* ---- files ---- */

static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"c", HG_T_STRING, NULL, 0}, {"p", HG_T_STRING, NULL, 0}, {"age", HG_T_LONG, NULL, 0}, {"clicks", HG_T_LONG, "longSum", 0}, {"spend", HG_T_DECIMAL, "decimalSum", 0}};

static struct hg_segment *merged(const struct hg_schema *s, const struct hg_source *const *srcs, size_t n, const char *name, bool plain)
{
    char path[200];
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment *seg = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (hg_segment_merge(s, srcs, n, &(struct hg_segment_write_options){.plain = plain}, path, &st, &err) || hg_segment_open(path, &seg, &err) || hg_segment_verify(seg, &err)) fail_msg("%s", err.msg);
    assert_int_equal(st.bytes, hg_segment_bytes(seg));
    return seg;
}

static int64_t at(const struct hg_source *s, const char *col, uint32_t row)
{
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_column *c = hg_source_column(s, col);
    struct hg_colread *r;
    int64_t v = 0;
    assert_non_null(c);
    assert_int_equal(c->ops->open(c, a, &r, NULL), HG_OK);
    assert_int_equal(c->ops->i64(r, row, 1, &v, NULL, NULL), HG_OK);
    hg_arena_free(a);
    return v;
}

static void rebuilt_by_merging(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    if (parse(a,
              "[{\"name\":\"by_c\",\"virtualColumns\":[" HOUR "],\"groupingColumns\":[\"h\",\"c\"],\"aggregators\":[{\"type\":\"longSum\",\"name\":\"k\",\"fieldName\":\"clicks\"},{\"type\":\"longMax\",\"name\":\"top\",\"fieldName\":\"clicks\"}]},"
              "{\"name\":\"all\",\"groupingColumns\":[\"age\"]}]",
              &s, &err))
        fail_msg("%s", err.msg);
    s->n_metrics = 2; /* no sketches here */
    struct hg_source *one = hg_mem_source_json(cols, 6, "[[600000, \"x\", \"p\", 1, 3, 1], [700000, \"x\", \"q\", 1, 4, 1], [3600000, \"x\", \"p\", null, 5, 1]]", 0);
    struct hg_source *two = hg_mem_source_json(cols, 6, "[[600000, \"x\", \"p\", 1, 10, 1], [650000, \"y\", \"p\", 2, null, 1]]", 0);
    struct hg_segment *segs[2] = {merged(s, (const struct hg_source *const *)&one, 1, "one", false), merged(s, (const struct hg_source *const *)&two, 1, "two", true)};
    const struct hg_source *srcs[2] = {hg_segment_source(segs[0]), hg_segment_source(segs[1])};
    assert_int_equal(srcs[0]->n_projections, 2);
    assert_int_equal(segs[0]->version, HG_SEG_VERSION_PROJECTIONS);
    assert_int_equal(srcs[1]->n_projections, 0); /* plain */
    assert_int_equal(segs[1]->version, HG_SEG_VERSION);
    struct hg_segment *both = merged(s, srcs, 2, "both", false);
    const struct hg_source *b = hg_segment_source(both);
    const struct hg_projection *p = &b->projections[0];
    assert_string_equal(p->name, "by_c");
    assert_string_equal(p->time_column, "h");
    assert_int_equal(p->src->n_rows, 3); /* x and y in the first hour, x in the second */
    assert_int_equal(at(p->src, "__time", 0), 600000); /* the hour began before the rows */
    assert_int_equal(at(p->src, "__time", 2), 3600000);
    assert_int_equal(at(p->src, "k", 0), 17);
    assert_int_equal(at(p->src, "top", 0), 13); /* of rows that were rolled up */
    assert_int_equal(at(p->src, "__count", 0), 2);
    assert_string_equal(p->fields[hg_source_column(p->src, "k") - p->src->cols], "clicks");
    assert_null(p->fields[hg_source_column(p->src, "__count") - p->src->cols]);
    assert_int_equal(b->projections[1].src->n_rows, 3);
    struct hg_segment *none = merged(s, NULL, 0, "none", false);
    assert_int_equal(none->version, HG_SEG_VERSION); /* without rows there is nothing to group */
    for (int i = 0; i < 2; i++) hg_segment_close(segs[i]);
    hg_segment_close(both);
    hg_segment_close(none);
    hg_mem_source_free(one);
    hg_mem_source_free(two);
    hg_arena_free(a);
}

/* A query over decimals fails when they pass 64 bits; one over sums of them would not notice. */
static void sums_that_might_pass(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    if (parse(a, "[{\"name\":\"x\",\"groupingColumns\":[\"c\"],\"aggregators\":[{\"type\":\"decimalSum\",\"name\":\"s\",\"fieldName\":\"spend\"}]},{\"name\":\"y\",\"groupingColumns\":[\"c\"]}]", &s, &err)) fail_msg("%s", err.msg);
    s->n_metrics = 2;
    struct hg_source *rows = hg_mem_source_json(cols, 6, "[[0, \"x\", \"p\", 1, 3, 5000000000000], [1, \"x\", \"q\", 1, 4, 5000000000000]]", 0);
    struct hg_segment *seg = merged(s, (const struct hg_source *const *)&rows, 1, "large", false);
    assert_int_equal(hg_segment_source(seg)->n_projections, 1);
    assert_string_equal(hg_segment_source(seg)->projections[0].name, "y");
    hg_segment_close(seg);
    hg_mem_source_free(rows);
    hg_arena_free(a);
}

/* ---- what is not the rows' own ---- */

struct made { uint32_t n; int64_t time[4], key[4], sum[4], count[4]; };

static void put_column(struct hg_segwriter *w, const char *name, const char *agg, const int64_t *v, uint32_t n)
{
    int64_t copy[4];
    struct hg_segwriter_column c = {.name = name, .agg = agg, .type = HG_T_LONG};
    memcpy(copy, v, n * sizeof *v);
    assert_int_equal(hg_segwriter_begin(w, &c, (struct hg_span){0, 0}, 0, NULL), HG_OK);
    assert_int_equal(hg_segwriter_i64(w, copy, NULL, n, NULL), HG_OK);
    assert_int_equal(hg_segwriter_end(w, NULL), HG_OK);
}

/* Rows of keys 1, 1, 2 with values 10, 20, 30, all at time 5, and a projection that claims *m. Returns what opening and verifying say; *says is their message. */
static enum hg_rc claimed(const struct made *m, struct hg_err *err)
{
    static const int64_t time[] = {5, 5, 5}, key[] = {1, 1, 2}, value[] = {10, 20, 30};
    static const char *const fields[] = {"v", NULL};
    char path[200];
    struct hg_segwriter *w, *p;
    struct hg_segwriter_done done;
    struct hg_segment *seg = NULL;
    snprintf(path, sizeof path, "%s/claimed", dir);
    struct hg_segwriter_file f = {.n_rows = 3, .sorted = true, .query_gran = "\"none\"", .projections = true}, g = {.n_rows = m->n, .sorted = true, .rollup = true, .query_gran = "\"hour\""};
    struct hg_segwriter_projection as = {"x", "__gran", fields, 2};
    assert_int_equal(hg_segwriter_open(path, &f, &w, err), HG_OK);
    put_column(w, "__time", NULL, time, 3);
    put_column(w, "k", NULL, key, 3);
    put_column(w, "v", "longSum", value, 3);
    assert_int_equal(hg_segwriter_project(w, &as, &g, &p, err), HG_OK);
    put_column(p, "__time", NULL, m->time, m->n);
    put_column(p, "k", NULL, m->key, m->n);
    put_column(p, "s", "longSum", m->sum, m->n);
    put_column(p, "n", "count", m->count, m->n);
    assert_int_equal(hg_segwriter_commit(p, &done, err), HG_OK);
    assert_int_equal(hg_segwriter_commit(w, &done, err), HG_OK);
    enum hg_rc rc = hg_segment_open(path, &seg, err);
    if (rc) return rc;
    rc = hg_segment_verify(seg, err);
    hg_segment_close(seg);
    return rc;
}

static void wrong_claims(void **state)
{
    (void)state;
    static const struct { struct made m; const char *says; } cases[] = {
        {{2, {5, 5}, {1, 2}, {30, 30}, {2, 1}}, NULL},
        {{2, {5, 5}, {1, 2}, {30, 31}, {2, 1}}, "projection x: a row's metric"},
        {{2, {5, 5}, {1, 2}, {30, 30}, {2, 2}}, "projection x: a row's metric"},
        {{1, {5}, {1}, {30}, {2}}, "projection x: it lacks the group of a row"},
        {{2, {5, 5}, {1, 3}, {30, 30}, {2, 1}}, "projection x: it lacks the group of a row"},
        {{3, {5, 5, 5}, {1, 2, 4}, {30, 30, 0}, {2, 1, 0}}, "projection x: it has the group of no row"},
        {{2, {5, 5}, {2, 1}, {30, 30}, {1, 2}}, "out of order"},
        {{2, {5, 5}, {1, 1}, {30, 30}, {2, 1}}, "rolled up"},
        {{2, {4, 5}, {1, 2}, {30, 30}, {2, 1}}, "projection x has times that the segment lacks"},
        {{2, {5, 6}, {1, 2}, {30, 30}, {2, 1}}, "projection x has times that the segment lacks"},
        {{4, {5, 5, 5, 5}, {1, 2, 3, 4}, {30, 30, 0, 0}, {2, 1, 0, 0}}, "projection x has another number of rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hg_err err = {0};
        enum hg_rc rc = claimed(&cases[i].m, &err);
        if (!cases[i].says ? rc != HG_OK : rc != HG_E_CORRUPT || !strstr(err.msg, cases[i].says)) fail_msg("case %zu: %s: %s", i, hg_rc_name(rc), err.msg);
    }
}

/* Any byte of a file may be wrong: then it is refused, or what it says is read, in its own memory. */
static void flipped(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_schema *s;
    struct hg_err err;
    struct hg_buf b;
    char path[200];
    if (parse(a, "[{\"name\":\"x\",\"virtualColumns\":[" HOUR "],\"groupingColumns\":[\"c\",\"h\"],\"aggregators\":[{\"type\":\"longSum\",\"name\":\"k\",\"fieldName\":\"clicks\"}]}]", &s, &err)) fail_msg("%s", err.msg);
    s->n_metrics = 1;
    s->n_dims = 1;
    struct hg_source *rows = hg_mem_source_json(cols, 6, "[[600000, \"x\", \"p\", 1, 3, 1], [700000, \"y\", \"q\", 1, 4, 1], [3600000, \"x\", \"p\", null, 5, 1]]", 0);
    hg_segment_close(merged(s, (const struct hg_source *const *)&rows, 1, "flip", false));
    snprintf(path, sizeof path, "%s/flip", dir);
    hg_buf_init(&b, 1u << 20);
    assert_int_equal(hg_file_read(path, 1u << 20, &b, &err), HG_OK);
    for (int summed = 0; summed < 2; summed++) {
        hg_seg_skip_sums = !summed;
        for (size_t i = 0; i < b.len; i++) {
            struct hg_segment *seg;
            uint8_t was = b.p[i];
            b.p[i] = (uint8_t)(was ^ 1u << (i % 8));
            enum hg_rc rc = hg_segment_open_bytes(hg_buf_span(&b), "flip", &seg, &err);
            if (rc == HG_OK) {
                rc = hg_segment_verify(seg, &err);
                hg_segment_close(seg);
            }
            if (rc != HG_OK && rc != HG_E_CORRUPT) fail_msg("byte %zu: %s", i, err.msg);
            b.p[i] = was;
        }
    }
    hg_seg_skip_sums = false;
    hg_buf_free(&b);
    hg_mem_source_free(rows);
    hg_arena_free(a);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(declared), cmocka_unit_test(refused), cmocka_unit_test(rebuilt_by_merging), cmocka_unit_test(sums_that_might_pass), cmocka_unit_test(wrong_claims), cmocka_unit_test(flipped)};
    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
