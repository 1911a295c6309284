/* Data sources: tables in memory, and what filtering, unnesting and joining make of a source, held against twins that go row by row over plain arrays. */
#include "help.h"
#include "../segment/rng.h"
#include "query/nested.h"
#include "query/source/inline.h"
#include "query/source/over.h"

#define MAX_LIST 4
#define DAY INT64_C(86400000)

static const char *const words[] = {"a", "b", "c", "", "\xc3\xa9", "1", "2", "-3"};
#define N_WORDS 8

struct row { /* of a table x: __time, s, m, n, d */
    int64_t time;
    int s;               /* word, or -1: null */
    int m[MAX_LIST], n_m; /* n_m 1 with -1: null */
    bool n_null, d_null;
    int64_t n;
    double d;
};
struct right { int k; int64_t n; bool n_null; int t; };

static uint64_t seeds(void)
{
    const char *z = getenv("HG_SEEDS");
    return z ? strtoull(z, NULL, 10) : 25;
}

static struct row random_row(struct rng *r, int64_t *time)
{
    struct row v = {.time = *time, .s = (int)below(r, N_WORDS + 1) - 1, .n_null = below(r, 6) == 0, .d_null = below(r, 6) == 0, .n = (int64_t)below(r, 6) - 3, .d = (double)below(r, 9) / 2 - 2};
    *time += below(r, 3) ? 0 : (int64_t)below(r, 100);
    v.n_m = (int)below(r, MAX_LIST + 1);
    for (int k = 0; k < v.n_m; k++) v.m[k] = (int)below(r, N_WORDS + 1) - (v.n_m > 1 ? 0 : 1);
    for (int k = 0; k < v.n_m; k++)
        if (v.m[k] == N_WORDS) v.m[k] = -1;
    return v;
}

static struct hg_str word(int k) { return k < 0 ? (struct hg_str){0, 0} : hg_str_of(words[k]); }

static struct hg_source *source_of(const struct row *rows, uint32_t n, unsigned flags)
{
    static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}, {"m", HG_T_STRING, NULL, 0}, {"n", HG_T_LONG, NULL, 0}, {"d", HG_T_DOUBLE, NULL, 0}};
    struct hg_value *v = calloc((size_t)n * 5 + 1, sizeof *v);
    struct hg_str *lists = calloc((size_t)n * MAX_LIST + 1, sizeof *lists);
    for (uint32_t r = 0; r < n; r++) {
        struct hg_value *at = v + (size_t)r * 5;
        at[0] = (struct hg_value){.kind = HG_V_LONG, .u.i = rows[r].time};
        if (rows[r].s >= 0) at[1] = (struct hg_value){.kind = HG_V_STR, .u.s = word(rows[r].s)};
        for (int k = 0; k < rows[r].n_m; k++) lists[r * MAX_LIST + (uint32_t)k] = word(rows[r].m[k]);
        at[2] = (struct hg_value){.kind = HG_V_LIST};
        at[2].u.list.v = lists + r * MAX_LIST;
        at[2].u.list.n = (uint32_t)rows[r].n_m;
        if (!rows[r].n_null) at[3] = (struct hg_value){.kind = HG_V_LONG, .u.i = rows[r].n};
        if (!rows[r].d_null) at[4] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = rows[r].d};
    }
    struct hg_source *s = hg_mem_source_new(cols, 5, v, n, flags);
    free(v);
    free(lists);
    return s;
}

/* ---- rows of a source as text, read in batches of random length ---- */

static void put_text(struct hg_buf *b, struct hg_str s) { hg_buf_json_str(b, s); }

static void dump_cells(struct hg_buf *lines, const struct hg_column *c, struct rng *r, struct hg_arena *a)
{
    static int64_t i[HG_BLOCK_ROWS];
    static double d[HG_BLOCK_ROWS];
    static uint8_t nulls[HG_BLOCK_ROWS];
    static uint32_t ids[HG_BLOCK_ROWS];
    struct hg_colread *rd;
    struct hg_err err;
    struct hg_buf scratch;
    hg_buf_init(&scratch, SIZE_MAX);
    assert_int_equal(c->ops->open(c, a, &rd, &err), HG_OK);
    for (uint32_t row = 0, n; row < c->src->n_rows; row += n) {
        uint32_t left = HG_BLOCK_ROWS - row % HG_BLOCK_ROWS, all = c->src->n_rows - row;
        const uint32_t *ends, *list;
        if (all < left) left = all;
        n = below(r, 3) ? left : 1 + below(r, left);
        enum hg_rc rc;
        if (c->type == HG_T_LONG) rc = c->ops->i64(rd, row, n, i, nulls, &err);
        else if (c->type == HG_T_DOUBLE) rc = c->ops->f64(rd, row, n, d, nulls, &err);
        else rc = c->multi ? c->ops->multi(rd, row, n, &ends, &list, &err) : c->ops->ids(rd, row, n, ids, &err);
        if (rc != HG_OK) fail_msg("%s: %s", c->name, err.msg);
        for (uint32_t k = 0; k < n; k++) {
            struct hg_buf *b = &lines[row + k];
            hg_buf_putc(b, '|');
            if (c->type == HG_T_LONG) {
                if (nulls[k] && strcmp(c->name, "__time") != 0) hg_buf_puts(b, "null");
                else hg_buf_printf(b, "%" PRId64, i[k]);
            } else if (c->type == HG_T_DOUBLE) {
                if (nulls[k]) hg_buf_puts(b, "null");
                else hg_buf_printf(b, "%g", d[k]);
            } else if (!c->multi) {
                put_text(b, hg_dict_get(c->dict, ids[k], &scratch));
            } else {
                for (uint32_t at = k ? ends[k - 1] : 0; at < ends[k]; at++) {
                    put_text(b, hg_dict_get(c->dict, list[at], &scratch));
                    hg_buf_putc(b, ',');
                }
            }
        }
    }
    hg_buf_free(&scratch);
}

static char *dump(const struct hg_source *s, const char *const *cols, struct rng *r)
{
    struct hg_buf *lines = calloc(s->n_rows + 1, sizeof *lines), all;
    struct hg_arena *a = hg_arena_new(NULL);
    for (uint32_t k = 0; k <= s->n_rows; k++) hg_buf_init(&lines[k], SIZE_MAX);
    hg_buf_init(&all, SIZE_MAX);
    for (; *cols; cols++) {
        const struct hg_column *c = hg_source_column(s, *cols);
        if (!c) fail_msg("no column %s", *cols);
        assert_ptr_equal(c->src, s);
        dump_cells(lines, c, r, a);
    }
    for (uint32_t k = 0; k < s->n_rows; k++) {
        hg_buf_put(&all, lines[k].p, lines[k].len);
        hg_buf_putc(&all, '\n');
        hg_buf_free(&lines[k]);
    }
    free(lines);
    hg_arena_free(a);
    hg_buf_u8(&all, 0);
    return (char *)all.p;
}

/* ---- tables ---- */

static void random_tables(void **state)
{
    (void)state;
    static const char *const cols[] = {"__time", "s", "m", "n", "d", NULL};
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct rng r = {seed};
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_err err;
        struct hg_table *t;
        bool typed = below(&r, 2);
        uint32_t n = below(&r, 5) ? below(&r, 60) : 3000 + below(&r, 9000);
        int64_t time = 0;
        struct hg_table_coldef defs[] = {{"__time", HG_T_LONG, 0, false}, {"s", HG_T_STRING, 0, false}, {"m", HG_T_STRING, 0, false}, {"n", HG_T_LONG, 0, false}, {"d", HG_T_DOUBLE, 0, false}};
        for (int k = 1; k < 5 && !typed; k++) defs[k].type = 0;
        assert_int_equal(hg_table_new(a, defs, 5, &t, &err), HG_OK);
        struct hg_buf want;
        hg_buf_init(&want, SIZE_MAX);
        bool some_n = false, some_d = false, some_m = false, multi = false;
        for (uint32_t k = 0; k < n; k++) {
            struct row v = random_row(&r, &time);
            struct hg_str list[MAX_LIST];
            for (int i = 0; i < v.n_m; i++) list[i] = word(v.m[i]);
            struct hg_cell cells[5] = {{.kind = HG_CELL_LONG, .i = v.time}, {.kind = HG_CELL_TEXT, .s = word(v.s)}, {.kind = HG_CELL_LIST, .list = list, .n = (uint32_t)v.n_m}};
            if (!v.n_null) cells[3] = (struct hg_cell){.kind = HG_CELL_LONG, .i = v.n};
            if (!v.d_null) cells[4] = (struct hg_cell){.kind = HG_CELL_DOUBLE, .d = v.d};
            assert_int_equal(hg_table_add(t, cells, &err), HG_OK);
            some_n |= !v.n_null, some_d |= !v.d_null, some_m = true, multi |= v.n_m != 1;
            hg_buf_printf(&want, "|%" PRId64 "|", v.time);
            put_text(&want, word(v.s));
            hg_buf_putc(&want, '|');
            for (int i = 0; i < v.n_m; i++) put_text(&want, word(v.m[i])), hg_buf_putc(&want, ',');
            if (v.n_null) hg_buf_puts(&want, "|null");
            else hg_buf_printf(&want, "|%" PRId64, v.n);
            if (v.d_null) hg_buf_puts(&want, "|null\n");
            else hg_buf_printf(&want, "|%g\n", v.d);
        }
        hg_buf_u8(&want, 0);
        assert_int_equal(hg_table_end(t, &err), HG_OK);
        assert_int_equal(hg_table_rows(t), n);
        if (multi && (typed || (some_n && some_d && some_m))) { /* else columns are of other kinds, and print otherwise */
            char *got = dump(hg_table_source(t), cols, &r);
            if (strcmp(got, (char *)want.p) != 0) fail_msg("seed %" PRIu64 ": want\n%.2000s\ngot\n%.2000s", seed, (char *)want.p, got);
            free(got);
            struct hg_buf json;
            json_t *doc = NULL;
            const struct hg_table *again;
            hg_buf_init(&json, SIZE_MAX);
            assert_int_equal(hg_table_json(t, &json, &err), HG_OK);
            assert_int_equal(hg_json_parse((struct hg_str){(char *)json.p, json.len}, &doc, &err), HG_OK);
            if (hg_table_of_inline(doc, &hg_jroot, a, &again, &err) != HG_OK) fail_msg("%s", err.msg);
            got = dump(hg_table_source(again), cols, &r);
            if (strcmp(got, (char *)want.p) != 0) fail_msg("seed %" PRIu64 " as JSON: want\n%.2000s\ngot\n%.2000s", seed, (char *)want.p, got);
            free(got);
            json_decref(doc);
            hg_buf_free(&json);
        }
        hg_buf_free(&want);
        hg_arena_free(a);
    }
}

static void values_take_the_columns_type(void **state)
{
    (void)state;
    static const struct { const char *types, *rows, *want; } t[] = {
        {"[\"LONG\",\"LONG\"]", "[[0,1.9],[1,\"7\"],[2,\"x\"],[3,null],[4,\"2.5\"],[5,true]]", "|0|1\n|1|7\n|2|null\n|3|null\n|4|2\n|5|1\n"},
        {"[\"LONG\",\"DOUBLE\"]", "[[0,1],[1,\"7.5\"],[2,\"x\"]]", "|0|1\n|1|7.5\n|2|null\n"},
        {"[\"LONG\",\"STRING\"]", "[[0,1],[1,2.5],[2,\"x\"],[3,null],[4,true]]", "|0|\"1\"\n|1|\"2.5\"\n|2|\"x\"\n|3|null\n|4|\"true\"\n"},
        {"[\"LONG\",null]", "[[0,null],[1,2],[2,3]]", "|0|null\n|1|2\n|2|3\n"},
        {"[\"LONG\",null]", "[[0,null],[1,2],[2,3.5]]", "|0|null\n|1|2\n|2|3.5\n"},
        {"[\"LONG\",null]", "[[0,null],[1,\"2\"],[2,3.5]]", "|0|null\n|1|\"2\"\n|2|\"3.5\"\n"},
        {"[\"LONG\",null]", "[[0,null],[1,null]]", "|0|null\n|1|null\n"},
        {"[\"LONG\",\"ARRAY<LONG>\"]", "[[0,[1,2]],[1,[]],[2,null],[3,[null,4]]]", "|0|\"1\",\"2\",\n|1|\n|2|\n|3|null,\"4\",\n"},
        {"[\"STRING\",\"LONG\"]", "[[\"7\",1],[null,2]]", "|7|1\n|0|2\n"},
    };
    static const char *const cols[] = {"__time", "v", NULL};
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct rng r = {k};
        struct hg_err err;
        json_t *doc = NULL;
        const struct hg_table *table;
        char *text = hg_arena_printf(a, "{\"columnNames\":[\"__time\",\"v\"],\"columnTypes\":%s,\"rows\":%s}", t[k].types, t[k].rows);
        assert_int_equal(hg_json_parse(hg_str_of(text), &doc, &err), HG_OK);
        if (hg_table_of_inline(doc, &hg_jroot, a, &table, &err) != HG_OK) fail_msg("%s: %s", text, err.msg);
        char *got = dump(hg_table_source(table), cols, &r);
        if (strcmp(got, t[k].want) != 0) fail_msg("%s\nwant\n%s\ngot\n%s", text, t[k].want, got);
        free(got);
        json_decref(doc);
        hg_arena_free(a);
    }
}

/* ---- steps ---- */

struct world {
    struct rng r;
    struct row *rows;
    uint32_t n;
    struct right right[12];
    uint32_t n_right;
    bool filter; /* s in (a, b), on the left */
    struct hg_interval iv;
};

static void make_world(struct world *w, uint64_t seed)
{
    int64_t time = 1000;
    *w = (struct world){.r = {seed}};
    w->n = below(&w->r, 4) ? below(&w->r, 50) : 3000 + below(&w->r, 9000);
    w->rows = calloc(w->n + 1, sizeof *w->rows);
    for (uint32_t k = 0; k < w->n; k++) w->rows[k] = random_row(&w->r, &time);
    w->n_right = below(&w->r, 12);
    for (uint32_t k = 0; k < w->n_right; k++)
        w->right[k] = (struct right){(int)below(&w->r, N_WORDS + 1) - 1, (int64_t)below(&w->r, 6) - 3, below(&w->r, 5) == 0, (int)below(&w->r, N_WORDS + 1) - 1};
    w->filter = below(&w->r, 2);
    w->iv = below(&w->r, 2) ? (struct hg_interval){0, DAY * 100} : (struct hg_interval){1010, 1000 + (time - 1000) / 2 + 1};
}

static bool passes(const struct world *w, const struct row *v)
{
    return v->time >= w->iv.start && v->time < w->iv.end && (!w->filter || v->s == 0 || v->s == 1);
}

/* Runs the data source over the rows, and compares. */
static void compare(struct world *w, uint64_t seed, const char *source, bool as_query_filter, const char *const *cols, struct hg_buf *want)
{
    struct hg_arena *a = hg_arena_new(NULL);
    static const char f[] = "{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"a\",\"b\"]}";
    struct run r;
    struct hg_source *base = source_of(w->rows, w->n, below(&w->r, 2) ? HG_MEM_LIVE_DICT : 0);
    const struct hg_source *out;
    char *json = hg_arena_printf(a, "{\"queryType\":\"timeseries\",\"granularity\":\"all\",\"intervals\":\"1970/2000\",\"dataSource\":%s%s%s}", source, as_query_filter ? ",\"filter\":" : "",
                                 as_query_filter ? f : "");
    if (run_open(&r, json, 0) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    struct hg_arena *scratch = hg_arena_new(&r.budget);
    if (hg_source_over(r.q, base, &w->iv, 1, &r.x, scratch, &out, &r.err) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    assert_int_equal(out->times.start, base->times.start);
    char *got = dump(out, cols, &w->r);
    hg_buf_u8(want, 0);
    if (strcmp(got, (char *)want->p) != 0) fail_msg("seed %" PRIu64 " %s\nwant\n%.3000s\ngot\n%.3000s", seed, json, (char *)want->p, got);
    free(got);
    hg_arena_free(scratch);
    run_close(&r);
    hg_mem_source_free(base);
    hg_arena_free(a);
}

static void put_left(struct hg_buf *b, const struct row *v)
{
    hg_buf_printf(b, "|%" PRId64 "|", v->time);
    put_text(b, word(v->s));
    if (v->n_null) hg_buf_puts(b, "|null|");
    else hg_buf_printf(b, "|%" PRId64 "|", v->n);
}

static char *wrapped(struct hg_arena *a, struct world *w, bool as_query_filter)
{
    if (!w->filter || as_query_filter) return hg_arena_strdup(a, "\"x\"");
    return hg_arena_strdup(a, "{\"type\":\"filter\",\"base\":\"x\",\"filter\":{\"type\":\"in\",\"dimension\":\"s\",\"values\":[\"a\",\"b\"]}}");
}

static void random_unnests(void **state)
{
    (void)state;
    static const char *const cols[] = {"__time", "s", "n", "u", NULL};
    for (uint64_t seed = 1; seed <= seeds(); seed++) {
        struct world w;
        struct hg_buf want;
        struct hg_arena *a = hg_arena_new(NULL);
        make_world(&w, seed);
        bool early = w.filter && below(&w.r, 2), multi = false;
        int kind = (int)below(&w.r, 3); /* m itself; upper(m); array(s, 'b') */
        hg_buf_init(&want, SIZE_MAX);
        for (uint32_t k = 0; k < w.n; k++) multi |= w.rows[k].n_m != 1;
        for (uint32_t k = 0; k < w.n; k++) {
            const struct row *v = &w.rows[k];
            int n = kind == 2 ? 2 : v->n_m;
            bool none = kind != 2 && (n == 0 || (n == 1 && v->m[0] < 0));
            if (!passes(&w, v) || (none && kind == 1)) continue;
            for (int i = 0; i < (none ? 1 : n); i++) {
                int m = none ? -1 : kind == 2 ? i ? 1 : v->s : v->m[i];
                put_left(&want, v);
                put_text(&want, kind == 1 && m >= 0 && m < 3 ? hg_str_of(m == 0 ? "A" : m == 1 ? "B" : "C") : kind == 1 && m == 4 ? hg_str_of("\xc3\x89") : word(m));
                hg_buf_putc(&want, '\n');
            }
        }
        char *src = hg_arena_printf(a, "{\"type\":\"unnest\",\"base\":%s,\"virtualColumn\":{\"type\":\"expression\",\"name\":\"u\",\"expression\":\"%s\",\"outputType\":\"STRING\"}}", wrapped(a, &w, early),
                                    kind == 0 ? "m" : kind == 1 ? "upper(m)" : "array(s,'b')");
        if (w.n && (multi || kind == 2)) compare(&w, seed, src, early, cols, &want);
        hg_buf_free(&want);
        free(w.rows);
        hg_arena_free(a);
    }
}

static void put_right_json(struct hg_buf *b, const struct world *w, bool numbers_as_doubles)
{
    hg_buf_printf(b, "{\"type\":\"inline\",\"columnNames\":[\"k\",\"n\",\"t\"],\"columnTypes\":[\"STRING\",\"%s\",\"STRING\"],\"rows\":[", numbers_as_doubles ? "DOUBLE" : "LONG");
    for (uint32_t k = 0; k < w->n_right; k++) {
        const struct right *v = &w->right[k];
        hg_buf_puts(b, k ? ",[" : "[");
        put_text(b, word(v->k));
        if (v->n_null) hg_buf_puts(b, ",null,");
        else hg_buf_printf(b, ",%" PRId64 ",", v->n);
        put_text(b, word(v->t));
        hg_buf_putc(b, ']');
    }
    hg_buf_puts(b, "]}");
}

/* What the condition says of two rows: kinds of conditions below. */
static bool matches(int kind, const struct row *l, const struct right *r)
{
    static const int64_t as_number[N_WORDS] = {0, 0, 0, 0, 0, 1, 2, -3};
    bool text = l->s >= 0 && l->s == r->k, number = !l->n_null && !r->n_null && l->n == r->n;
    switch (kind) {
    case 0: return text;
    case 1: return number;
    case 2: return text && number;
    case 3: return !l->n_null && !r->n_null && l->n + 1 == r->n;
    case 4: return l->s >= 5 && !r->n_null && as_number[l->s] == r->n; /* text against numbers */
    case 5: return !l->n_null && r->k >= 5 && as_number[r->k] == l->n; /* numbers against text */
    case 6: return true;
    default: return false;
    }
}

static void random_joins(void **state)
{
    (void)state;
    static const char *const conditions[] = {"s == \\\"r.k\\\"", "n == \\\"r.n\\\"", "s == \\\"r.k\\\" && \\\"r.n\\\" == n", "n + 1 == \\\"r.n\\\"", "s == \\\"r.n\\\"", "n == \\\"r.k\\\"", "1", "0"};
    static const char *const cols[] = {"__time", "s", "n", "m", "r.k", "r.t", NULL};
    for (uint64_t seed = 1; seed <= seeds() * 2; seed++) {
        struct world w;
        struct hg_buf want, right;
        struct hg_arena *a = hg_arena_new(NULL);
        make_world(&w, seed);
        bool early = w.filter && below(&w.r, 2), outer = below(&w.r, 2), multi = false, some = false;
        int kind = (int)below(&w.r, 8);
        hg_buf_init(&want, SIZE_MAX);
        hg_buf_init(&right, SIZE_MAX);
        put_right_json(&right, &w, kind != 5 && below(&w.r, 3) == 0);
        hg_buf_u8(&right, 0);
        for (uint32_t k = 0; k < w.n; k++) multi |= w.rows[k].n_m != 1;
        for (uint32_t k = 0; k < w.n; k++) {
            const struct row *v = &w.rows[k];
            bool any = false;
            if (!passes(&w, v)) continue;
            for (uint32_t i = 0; i <= w.n_right; i++) {
                bool pad = i == w.n_right;
                if (pad ? !outer || any : !matches(kind, v, &w.right[i])) continue;
                any = some = true;
                put_left(&want, v);
                for (int j = 0; j < v->n_m; j++) put_text(&want, word(v->m[j])), hg_buf_putc(&want, ',');
                hg_buf_putc(&want, '|');
                put_text(&want, pad ? (struct hg_str){0, 0} : word(w.right[i].k));
                hg_buf_putc(&want, '|');
                put_text(&want, pad ? (struct hg_str){0, 0} : word(w.right[i].t));
                hg_buf_putc(&want, '\n');
            }
        }
        char *src = hg_arena_printf(a, "{\"type\":\"join\",\"left\":%s,\"right\":%s,\"rightPrefix\":\"r.\",\"condition\":\"%s\",\"joinType\":\"%s\"}", wrapped(a, &w, early), (char *)right.p,
                                    conditions[kind], outer ? "LEFT" : "INNER");
        if (w.n && multi) compare(&w, seed, src, early, cols, &want);
        (void)some;
        hg_buf_free(&want);
        hg_buf_free(&right);
        free(w.rows);
        hg_arena_free(a);
    }
}

/* A list on the left of a join is an error, not some of its values. */
static void lists_are_not_joined(void **state)
{
    (void)state;
    struct run r;
    struct row rows[] = {{.time = 1, .s = 0, .m = {0, 1}, .n_m = 2}, {.time = 2, .s = 0, .m = {0}, .n_m = 1}};
    struct hg_source *base = source_of(rows, 2, 0);
    struct hg_partial *p = NULL;
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\",\"granularity\":\"all\",\"intervals\":\"1970/2000\",\"dataSource\":{\"type\":\"join\",\"left\":\"x\",\"right\":{\"type\":\"inline\","
                                  "\"columnNames\":[\"k\"],\"rows\":[[\"a\"]]},\"rightPrefix\":\"r.\",\"condition\":\"m == \\\"r.k\\\"\",\"joinType\":\"INNER\"}}",
                              0),
                     HG_OK);
    assert_int_equal(run_scan(&r, base, &p), HG_E_UNSUPPORTED);
    assert_non_null(strstr(r.err.msg, "multi-value"));
    run_close(&r);
    hg_mem_source_free(base);
}

/* ---- nested results ---- */

static void results_become_tables(void **state)
{
    (void)state;
    static const char *const cols[] = {"__time", "s", "c", "sum", "r", NULL};
    static const struct { const char *query, *want; bool timed; } t[] = {
        {"\"queryType\":\"groupBy\",\"granularity\":\"all\",\"dimensions\":[\"s\"]", "|0|null|1|null|null\n|0|\"a\"|2|5|2.5\n", false},
        {"\"queryType\":\"groupBy\",\"granularity\":\"day\",\"dimensions\":[\"s\"]", "|0|null|1|null|null\n|0|\"a\"|2|5|2.5\n", true},
        {"\"queryType\":\"topN\",\"granularity\":\"all\",\"dimension\":\"s\",\"metric\":\"c\",\"threshold\":1", "|1|\"a\"|2|5|2.5\n", true},
    };
    struct row rows[] = {{.time = 1, .s = 0, .n = 2, .n_m = 0}, {.time = 2, .s = 0, .n = 3, .n_m = 0}, {.time = 3, .s = -1, .n_null = true, .n_m = 0}};
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct run r;
        struct rng rng = {1};
        struct hg_partial *p = NULL;
        struct hg_arena *a = hg_arena_new(NULL);
        const struct hg_table *table;
        struct hg_source *base = source_of(rows, 3, 0);
        char *json = hg_arena_printf(a,
                                     "{%s,\"dataSource\":\"x\",\"intervals\":\"1970/1971\",\"aggregations\":[{\"type\":\"count\",\"name\":\"c\"},{\"type\":\"longSum\",\"name\":\"sum\",\"fieldName\":\"n\"}],"
                                     "\"postAggregations\":[{\"type\":\"arithmetic\",\"name\":\"r\",\"fn\":\"/\",\"fields\":[{\"type\":\"fieldAccess\",\"fieldName\":\"sum\"},{\"type\":\"constant\",\"value\":2}]}]}",
                                     t[k].query);
        if (run_open(&r, json, 0) != HG_OK || run_scan(&r, base, &p) != HG_OK) fail_msg("%s", r.err.msg);
        if (hg_query_table(r.q, p, &r.x, t[k].timed, 100, a, &table, &r.err) != HG_OK) fail_msg("%s", r.err.msg);
        char *got = dump(hg_table_source(table), cols, &rng);
        if (strcmp(got, t[k].want) != 0) fail_msg("%s\nwant\n%s\ngot\n%s", json, t[k].want, got);
        free(got);
        if (k < 2) assert_int_equal(hg_query_table(r.q, p, &r.x, t[k].timed, 1, a, &table, &r.err), HG_E_LIMIT);
        hg_partial_free(p);
        run_close(&r);
        hg_mem_source_free(base);
        hg_arena_free(a);
    }
}

/* The query that data servers are asked has the rows in the place of the query that gave them. */
static void rows_are_shipped(void **state)
{
    (void)state;
    struct run r;
    struct hg_arena *a = hg_arena_new(NULL);
    static const struct hg_table_coldef cols[] = {{"k", HG_T_STRING, 0, false}, {"v", HG_T_DOUBLE, 0, false}};
    const struct hg_cell row[] = {{.kind = HG_CELL_TEXT, .s = {"a\"", 2}}, {.kind = HG_CELL_DOUBLE, .d = 0.5}};
    struct hg_table *t;
    const struct hg_query *shipped;
    const char *path;
    assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\",\"granularity\":\"all\",\"intervals\":\"1970/2000\",\"dataSource\":{\"type\":\"join\",\"left\":\"x\",\"right\":{\"type\":\"query\",\"query\":"
                                  "{\"queryType\":\"groupBy\",\"dataSource\":\"y\",\"granularity\":\"all\",\"intervals\":\"1970/2000\",\"dimensions\":[\"k\"]}},\"rightPrefix\":\"r.\",\"condition\":\"s == \\\"r.k\\\"\","
                                  "\"joinType\":\"INNER\"},\"context\":{\"priority\":7}}",
                              0),
                     HG_OK);
    assert_int_equal(hg_query_errands(r.q), 1);
    const struct hg_query *inner = hg_query_errand(r.q, 0, &path);
    assert_string_equal(path, "$.dataSource.right");
    assert_string_equal(inner->datasource, "y");
    assert_int_equal(inner->ctx.priority, 7);
    assert_int_equal(hg_table_new(a, cols, 2, &t, &r.err), HG_OK);
    assert_int_equal(hg_table_add(t, row, &r.err), HG_OK);
    assert_int_equal(hg_table_end(t, &r.err), HG_OK);
    assert_int_equal(hg_query_bind(r.q, 0, t, a, &r.err), HG_OK);
    assert_int_equal(hg_query_ship(r.q, 1000, a, &shipped, &r.err), HG_OK);
    assert_non_null(strstr(shipped->text, "\"right\":{\"type\":\"inline\",\"columnNames\":[\"k\",\"v\"],\"columnTypes\":[\"STRING\",\"DOUBLE\"],\"rows\":[[\"a\\\"\",0.5]]}"));
    assert_int_equal(hg_query_errands(shipped), 0);
    assert_int_equal(hg_query_ship(r.q, 50, a, &shipped, &r.err), HG_E_LIMIT);
    assert_non_null(strstr(r.err.msg, "$.dataSource.right"));
    run_close(&r);
    hg_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_tables),        cmocka_unit_test(values_take_the_columns_type), cmocka_unit_test(random_unnests),        cmocka_unit_test(random_joins),
        cmocka_unit_test(lists_are_not_joined), cmocka_unit_test(results_become_tables),        cmocka_unit_test(rows_are_shipped),
    };
    return cmocka_run_group_tests_name("query/source", tests, NULL, NULL);
}
