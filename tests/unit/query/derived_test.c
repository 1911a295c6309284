/* Derived sources. `scans`: the values and types that Druid gave for virtual columns over rows of the conformance data (the scan cases of
 * tests/conformance/cases/expressions.jsonl, over tests/query/expressions/ads_rows.json). `model`: random expressions over random rows; a column read in
 * batches must hold what row by row evaluation gives, whichever way it is computed. HG_SEED=n, HG_SEEDS=n. */
#include "help.h"
#include "query/expr/derived.h"

/* ---- helpers ---- */

struct derived {
    struct run run;
    struct hg_arena *a;
    const struct hg_source *src;
};

/* The virtual columns of a query that groups by `names`, over base. */
static void derive(struct derived *d, const json_t *virtuals, const json_t *names, const struct hg_source *base)
{
    json_t *q = json_pack("{s:s,s:s,s:[s],s:s,s:[],s:o,s:o}", "queryType", "groupBy", "dataSource", "x", "intervals", "1900/2100", "granularity", "all", "aggregations", "dimensions",
                          json_deep_copy(names), "virtualColumns", json_deep_copy(virtuals));
    char *text = json_dumps(q, 0);
    assert_non_null(text);
    if (run_open(&d->run, text, 0) != HG_OK) fail_msg("%s: %s", text, d->run.err.msg);
    free(text);
    json_decref(q);
    d->a = hg_arena_new(&d->run.budget);
    const struct hg_plan *p = d->run.q->plan;
    d->src = base;
    if (p->n_virtuals && hg_derived_new(p->virtuals, p->n_virtuals, base, d->run.q->intervals, d->run.q->n_intervals, &d->run.x, d->a, &d->src, &d->run.err) != HG_OK)
        fail_msg("derived: %s", d->run.err.msg);
}
static void drop(struct derived *d)
{
    hg_arena_free(d->a);
    run_close(&d->run);
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return x == y || fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y));
    }
    if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t k = 0; k < json_array_size(a); k++)
            if (!same(json_array_get(a, k), json_array_get(b, k))) return false;
        return true;
    }
    return json_equal(a, b);
}

static json_t *json_of(const struct hg_xval *v)
{
    struct hg_buf b;
    hg_buf_init(&b, 1u << 24);
    hg_x_json(v, &b);
    json_t *j = json_loadb((const char *)b.p, b.len, JSON_DECODE_ANY, NULL);
    assert_non_null(j);
    hg_buf_free(&b);
    return j;
}

/* ---- what Druid gave ---- */

static const struct hg_mem_coldef ads[] = {
    {"__time", HG_T_LONG, NULL, 0},     {"advertiser_id", HG_T_STRING, NULL, 0}, {"campaign_id", HG_T_STRING, NULL, 0}, {"ad_group_id", HG_T_STRING, NULL, 0}, {"ad_id", HG_T_STRING, NULL, 0},
    {"country", HG_T_STRING, NULL, 0},  {"device", HG_T_STRING, NULL, 0},        {"placement", HG_T_STRING, NULL, 0},   {"objective", HG_T_STRING, NULL, 0},   {"age_bucket", HG_T_STRING, NULL, 0},
    {"gender", HG_T_STRING, NULL, 0},   {"interests", HG_T_STRING, NULL, 0},     {"bid_type", HG_T_STRING, NULL, 0},    {"user_id", HG_T_STRING, NULL, 0},     {"impressions", HG_T_LONG, NULL, 0},
    {"clicks", HG_T_LONG, NULL, 0},     {"spend", HG_T_DOUBLE, NULL, 0},         {"conversions", HG_T_LONG, NULL, 0},   {"video_ms", HG_T_LONG, NULL, 0},      {"viewability", HG_T_FLOAT, NULL, 0},
};

static char *slurp(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("HENGE_SOURCE_DIR"), name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is not there", path);
    struct hg_buf b;
    char piece[65536];
    size_t n;
    hg_buf_init(&b, 1u << 28);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) hg_buf_put(&b, piece, n);
    fclose(f);
    hg_buf_putc(&b, 0);
    return (char *)b.p;
}

static const char *type_name(const struct hg_column *c)
{
    if (!c) return NULL;
    if (!hg_derived_is(c)) return hg_type_name(c->type);
    enum hg_xtype t = hg_derived_type(c);
    return t == HG_X_NONE ? "FLOAT" : c->type == HG_T_FLOAT ? "FLOAT" : hg_xtype_name(t);
}

/* One column against the events, by time. */
static int check_column(struct derived *d, const char *name, const json_t *events, const char *type, const char *where)
{
    const struct hg_column *c = hg_source_column(d->src, name);
    int bad = 0;
    if (type && (!type_name(c) || strcmp(type_name(c), type) != 0)) {
        print_error("%s.%s: type %s, want %s\n", where, name, type_name(c) ? type_name(c) : "none", type);
        bad++;
    }
    if (!c || !hg_derived_is(c)) return bad;
    struct hg_derived_read *r;
    struct hg_err err;
    int64_t times[16];
    struct hg_colread *tr;
    uint32_t n = d->src->n_rows;
    assert_int_equal(d->src->cols[0].ops->open(&d->src->cols[0], d->a, &tr, &err), HG_OK);
    assert_int_equal(d->src->cols[0].ops->i64(tr, 0, n, times, NULL, &err), HG_OK);
    if (hg_derived_open(c, d->a, &r, &err) != HG_OK || hg_derived_load(r, 0, n, &err) != HG_OK) fail_msg("%s: %s", where, err.msg);
    size_t i;
    json_t *e;
    json_array_foreach(events, i, e)
    {
        const json_t *t = json_object_get(e, "__time"), *want = json_object_get(e, name);
        uint32_t k = 0;
        while (t && k < n && times[k] != json_integer_value(t)) k++;
        assert_true(k < n);
        struct hg_xval v;
        if (hg_derived_value(r, k, &v, &err) != HG_OK) {
            print_error("%s.%s: %s\n", where, name, err.msg);
            return bad + 1;
        }
        json_t *got = json_of(&v);
        if (!same(want, got)) {
            char *a = json_dumps(want, JSON_ENCODE_ANY), *b = json_dumps(got, JSON_ENCODE_ANY);
            print_error("%s.%s: row %u: want %s, got %s\n", where, name, k, a, b);
            free(a), free(b);
            bad++;
        }
        json_decref(got);
        if (!t) break; /* without a time all rows are alike */
    }
    return bad;
}

static int check_case(const json_t *c, const struct hg_source *base)
{
    const json_t *q = json_object_get(c, "query"), *expect = json_object_get(c, "expect"), *virtuals = json_object_get(q, "virtualColumns");
    json_t *names = json_array(), *events = json_array(), *b, *v;
    size_t i;
    int bad = 0;
    struct derived d;
    json_array_foreach(virtuals, i, v) json_array_append(names, json_object_get(v, "name"));
    json_array_foreach(expect, i, b) json_array_extend(events, json_object_get(b, "events"));
    derive(&d, virtuals, names, base);
    json_array_foreach(json_object_get(json_array_get(expect, 0), "rowSignature"), i, v)
    {
        const char *name = json_string_value(json_object_get(v, "name"));
        if (strcmp(name, "__time") != 0) bad += check_column(&d, name, events, json_string_value(json_object_get(v, "type")), json_string_value(json_object_get(c, "name")));
    }
    drop(&d);
    json_decref(names);
    json_decref(events);
    return bad;
}

static void scans(void **state)
{
    (void)state;
    char *rows = slurp("tests/query/expressions/ads_rows.json"), *cases = slurp("tests/conformance/cases/expressions.jsonl"), *save = NULL;
    struct hg_source *base = hg_mem_source_json(ads, sizeof ads / sizeof *ads, rows, 0);
    int n = 0, bad = 0;
    for (char *line = strtok_r(cases, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        json_t *c = json_loads(line, 0, NULL);
        assert_non_null(c);
        const json_t *q = json_object_get(c, "query");
        if (strcmp(json_string_value(json_object_get(q, "queryType")), "scan") == 0 && json_integer_value(json_object_get(c, "status")) == 200 &&
            strcmp(json_string_value(json_object_get(q, "dataSource")), "ads_raw") == 0) {
            n++;
            bad += check_case(c, base);
        }
        json_decref(c);
    }
    hg_mem_source_free(base);
    free(rows);
    free(cases);
    assert_true(n > 50);
    if (bad) fail_msg("%d differences in %d cases", bad, n);
}

/* ---- the model ---- */

static uint64_t rng;
static uint32_t rnd(uint32_t n)
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? (uint32_t)(rng >> 33) % n : 0;
}
enum { C_TIME, C_S, C_T, C_MV, C_L, C_M, C_D, C_F, C_DEC, N_COLS };
static const struct hg_mem_coldef cols[N_COLS] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}, {"t", HG_T_STRING, NULL, 0}, {"mv", HG_T_STRING, NULL, 0},         {"l", HG_T_LONG, NULL, 0},
    {"m", HG_T_LONG, NULL, 0},      {"d", HG_T_DOUBLE, NULL, 0}, {"f", HG_T_FLOAT, NULL, 0},  {"dec", HG_T_DECIMAL, "decimalSum", 0},
};
static const char *const words[] = {"", "a", "ab", "B", "10", "9", "-3", "2.5", "true", "false", "a_b", "\xC3\xA9", "\xF0\x9F\x90\x95"};
#define N_WORDS 13
#define MAX_ROWS 6000
static struct hg_value rows[MAX_ROWS][N_COLS];
static struct hg_str lists[MAX_ROWS][3];

static struct hg_source *random_source(uint32_t n)
{
    static const double reals[] = {0, -0.0, 1, 2.5, -7.25, 1e300, 1e-5, 100};
    for (uint32_t r = 0; r < n; r++) {
        memset(rows[r], 0, sizeof rows[r]);
        rows[r][C_TIME] = (struct hg_value){.kind = HG_V_LONG, .u.i = 1709856000000 + r / 3 * 1000};
        for (int k = C_S; k <= C_T; k++)
            if (rnd(8)) rows[r][k] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(words[rnd(N_WORDS)])};
        uint32_t m = rnd(4);
        for (uint32_t j = 0; j < m; j++) lists[r][j] = hg_str_of(words[rnd(N_WORDS)]);
        rows[r][C_MV].kind = HG_V_LIST;
        rows[r][C_MV].u.list.v = lists[r];
        rows[r][C_MV].u.list.n = m;
        for (int k = C_L; k <= C_M; k++)
            if (rnd(6)) rows[r][k] = (struct hg_value){.kind = HG_V_LONG, .u.i = rnd(20) ? (int64_t)rnd(11) - 5 : (int64_t)(((uint64_t)rnd(1u << 31) << 33) ^ rnd(1u << 31))};
        for (int k = C_D; k <= C_F; k++)
            if (rnd(6)) rows[r][k] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = reals[rnd(8)]};
        if (rnd(6)) rows[r][C_DEC] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(5000000) - 2000000};
    }
    return hg_mem_source_new(cols, N_COLS, &rows[0][0], n, rnd(2) ? HG_MEM_LIVE_DICT : 0);
}

static void put(struct hg_buf *b, uint32_t depth, bool text)
{
    static const char *const ops[] = {"+", "-", "*", "/", "%", "<", "<=", ">", ">=", "==", "!=", "&&", "||"};
    static const char *const nums[] = {"l", "m", "d", "f", "dec", "2", "0", "-1", "2.5", "1e3", "strlen(s)", "(l > 1)", "(s == t)", "nosuch"};
    static const char *const texts[] = {"s", "t", "mv", "'x'", "'ab'", "s", "t"};
    static const char *const reals[] = {"floor", "ceil", "sqrt", "abs", "rint", "signum", "isnull", "notnull", "-", "!", "exp", "log", "log10"};
    if (text) {
        switch (depth ? rnd(7) : 0) {
        case 1: hg_buf_puts(b, "upper("), put(b, depth - 1, true), hg_buf_puts(b, ")"); return;
        case 2: hg_buf_puts(b, "concat("), put(b, depth - 1, true), hg_buf_puts(b, ", "), put(b, depth - 1, rnd(2)), hg_buf_puts(b, ")"); return;
        case 3: hg_buf_puts(b, "if("), put(b, depth - 1, false), hg_buf_puts(b, ", "), put(b, depth - 1, true), hg_buf_puts(b, ", "), put(b, depth - 1, true), hg_buf_puts(b, ")"); return;
        case 4: hg_buf_puts(b, "nvl("), put(b, depth - 1, true), hg_buf_puts(b, ", 'none')"); return;
        case 5: hg_buf_puts(b, "substring("), put(b, depth - 1, true), hg_buf_puts(b, ", 0, 2)"); return;
        case 6: hg_buf_puts(b, "array_to_string(mv, '|')"); return;
        default: hg_buf_puts(b, texts[rnd(7)]); return;
        }
    }
    switch (depth ? rnd(6) : 0) {
    case 1:
    case 2: {
        const char *op = ops[rnd(13)];
        bool risky = *op == '/' || *op == '%'; /* never a long by zero */
        hg_buf_puts(b, "("), put(b, depth - 1, false), hg_buf_printf(b, " %s ", op);
        if (risky) hg_buf_puts(b, rnd(2) ? "3" : "d");
        else put(b, depth - 1, false);
        hg_buf_puts(b, ")");
        return;
    }
    case 3: {
        const char *f = reals[rnd(13)];
        hg_buf_printf(b, "%s(", f), put(b, depth - 1, false), hg_buf_puts(b, ")");
        return;
    }
    case 4: hg_buf_puts(b, "if("), put(b, depth - 1, false), hg_buf_puts(b, ", "), put(b, depth - 1, false), hg_buf_puts(b, ", "), put(b, depth - 1, false), hg_buf_puts(b, ")"); return;
    case 5: {
        bool nvl = rnd(2);
        hg_buf_puts(b, nvl ? "nvl(" : "timestamp_floor("), put(b, depth - 1, false), hg_buf_puts(b, nvl ? ", 0)" : ", 'PT1H')");
        return;
    }
    default: hg_buf_puts(b, nums[rnd(14)]); return;
    }
}

/* The k-th row of a block as the column has it, and as evaluation has it. */
static bool row_agrees(const struct hg_column *c, uint32_t k, const int64_t *i, const double *d, const uint8_t *nulls, const uint32_t *ids, const uint32_t *ends, const struct hg_xval *v,
                       struct hg_arena *a)
{
    struct hg_xnum x;
    struct hg_str s;
    struct hg_buf scratch;
    hg_buf_init(&scratch, 100);
    if (c->type != HG_T_STRING) {
        if (!hg_x_number(v, &x)) return nulls[k];
        if (nulls[k]) return false;
        if (i) return i[k] == hg_x_as_long(v);
        double want = c->type == HG_T_FLOAT ? (double)(float)hg_x_as_double(v) : hg_x_as_double(v);
        return d[k] == want || (isnan(d[k]) && isnan(want));
    }
    uint32_t from = ends && k ? ends[k - 1] : 0, n = ends ? ends[k] - from : 1;
    if (ends) ids += from;
    else ids += k;
    if (hg_xtype_is_array(v->type) && c->multi && !v->null) {
        if (n == 0) return v->n == 0 || (v->n == 1 && v->v[0].null);
        if (n != v->n) return false;
        for (uint32_t j = 0; j < n; j++) {
            assert_int_equal(hg_x_text(&v->v[j], a, &s, NULL), HG_OK);
            if (!hg_str_eq(s, hg_dict_get(c->dict, ids[j], &scratch))) return false;
        }
        return true;
    }
    assert_int_equal(hg_x_text(v, a, &s, NULL), HG_OK);
    if (n == 0) return !s.p;
    return n == 1 && hg_str_eq(s, hg_dict_get(c->dict, ids[0], &scratch));
}

static void agree(struct derived *d, const struct hg_column *c, const char *text, uint32_t vec)
{
    struct hg_colread *r;
    struct hg_derived_read *m;
    struct hg_err err;
    static int64_t i[HG_BLOCK_ROWS];
    static double f[HG_BLOCK_ROWS];
    static uint8_t nulls[HG_BLOCK_ROWS];
    static uint32_t single[HG_BLOCK_ROWS];
    const uint32_t *ends = NULL, *ids = single;
    assert_int_equal(c->ops->open(c, d->a, &r, &err), HG_OK);
    assert_int_equal(hg_derived_open(c, d->a, &m, &err), HG_OK);
    for (uint32_t row = 0, n; row < d->src->n_rows; row += n) {
        uint32_t left = HG_BLOCK_ROWS - row % HG_BLOCK_ROWS;
        n = d->src->n_rows - row;
        if (n > left) n = left;
        if (n > vec) n = vec;
        enum hg_rc rc;
        if (c->type == HG_T_STRING) rc = c->multi ? c->ops->multi(r, row, n, &ends, &ids, &err) : c->ops->ids(r, row, n, single, &err);
        else rc = c->type == HG_T_LONG ? c->ops->i64(r, row, n, i, nulls, &err) : c->ops->f64(r, row, n, f, nulls, &err);
        if (rc == HG_OK) rc = hg_derived_load(m, row, n, &err);
        for (uint32_t k = 0; k < n && rc == HG_OK; k++) {
            struct hg_xval v;
            rc = hg_derived_value(m, k, &v, &err);
            if (rc == HG_OK && !row_agrees(c, k, c->type == HG_T_LONG ? i : NULL, f, nulls, ids, ends, &v, d->a)) {
                struct hg_buf b;
                hg_buf_init(&b, 1u << 20);
                hg_x_json(&v, &b);
                fail_msg("%s (%s%s): row %u: evaluated %.*s", text, hg_type_name(c->type), c->multi ? ", multi" : "", row + k, (int)b.len, (char *)b.p);
            }
        }
        if (rc != HG_OK) fail_msg("%s: %s", text, err.msg);
    }
}

static void model(void **state)
{
    (void)state;
    int seeds = getenv("HG_SEEDS") ? atoi(getenv("HG_SEEDS")) : 150;
    for (int seed = getenv("HG_SEED") ? atoi(getenv("HG_SEED")) : 1; seeds-- > 0; seed++) {
        static const uint32_t vecs[] = {2, 64, HG_BLOCK_ROWS};
        rng = (uint64_t)seed * 0x9E3779B97F4A7C15u;
        print_message("seed %d\n", seed);
        struct hg_source *base = random_source(1 + rnd(rnd(10) ? 300 : MAX_ROWS - 1));
        for (int n = 0; n < 8; n++) {
            struct hg_buf b;
            struct derived d;
            hg_buf_init(&b, 1u << 16);
            put(&b, 1 + rnd(3), rnd(3) == 0);
            hg_buf_putc(&b, 0);
            json_t *v = json_pack("[{s:s,s:s,s:s}]", "type", "expression", "name", "v", "expression", (char *)b.p), *names = json_pack("[s]", "v");
            derive(&d, v, names, base);
            const struct hg_column *c = hg_source_column(d.src, "v");
            if (c && hg_derived_is(c)) agree(&d, c, (char *)b.p, vecs[rnd(3)]);
            drop(&d);
            json_decref(v);
            json_decref(names);
            hg_buf_free(&b);
        }
        hg_mem_source_free(base);
        if (getenv("HG_SEED")) break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans),
        cmocka_unit_test(model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
