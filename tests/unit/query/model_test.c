/* Random plans over random rows against an evaluator that goes row by row over plain values: the same groups with the same states must come out,
 * whatever the batch size, however the rows are spread over sources, sealed ones in any order of rows among them, and with partial results encoded and decoded on the way.
 * HG_SEED=n runs one seed; HG_SEEDS=n so many. */
#include <ctype.h>
#include <unistd.h>
#include "help.h"
#include "query/plan/order.h"
#include "segment/segment.h"

/* ---- random numbers ---- */
static uint64_t rng;
static uint32_t rnd(uint32_t n) /* 0..n-1 */
{
    rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
    return n ? (uint32_t)(rng >> 33) % n : 0;
}

/* ---- rows ---- */
enum { C_TIME, C_S, C_T, C_MV, C_L, C_D, C_F, C_DEC, N_COLS };
static const struct hg_mem_coldef cols[N_COLS] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}, {"t", HG_T_STRING, NULL, 0},         {"mv", HG_T_STRING, NULL, 0},
    {"l", HG_T_LONG, NULL, 0},      {"d", HG_T_DOUBLE, NULL, 0}, {"f", HG_T_FLOAT, "floatSum", 0},    {"dec", HG_T_DECIMAL, "decimalSum", 0},
};
static const char *const words[] = {"", "a", "ab", "b", "B", "10", "9", "010", "-3", "2.5", "z%", "a_b", "\xC3\xA9", "\xF0\x9F\x90\x95", "long value with spaces"};
#define N_WORDS 15
#define MAX_ROWS 9000

static struct hg_value rows[MAX_ROWS][N_COLS];
static struct hg_str lists[MAX_ROWS][4];
static uint32_t n_rows;

static struct hg_str word(void) { return hg_str_of(words[rnd(N_WORDS)]); }

static void make_rows(void)
{
    uint32_t kind = rnd(10), span_h = 1 + rnd(60), vocab = 1 + rnd(N_WORDS);
    n_rows = kind == 0 ? rnd(3) : kind == 1 ? 4000 + rnd(5000) : rnd(300);
    bool sorted = rnd(3) != 0, few_nulls = rnd(3) == 0;
    int64_t t0 = 1710000000000 - 1710000000000 % 3600000;
    for (uint32_t r = 0; r < n_rows; r++) {
        struct hg_value *v = rows[r];
        int64_t dt = sorted ? (int64_t)span_h * 3600000 * r / n_rows : (int64_t)rnd(span_h * 3600) * 1000;
        v[C_TIME] = (struct hg_value){.kind = HG_V_LONG, .u.i = t0 + dt};
        for (int c = C_S; c < N_COLS; c++) v[c] = (struct hg_value){.kind = HG_V_NULL};
        if (few_nulls || rnd(4)) v[C_S] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(words[rnd(vocab)])};
        if (few_nulls || rnd(4)) v[C_T] = (struct hg_value){.kind = HG_V_STR, .u.s = word()};
        uint32_t n = rnd(5);
        if (n) { /* 1..4: a list of n - 1 */
            for (uint32_t k = 0; k < n - 1; k++) lists[r][k] = rnd(6) ? word() : (struct hg_str){0, 0};
            v[C_MV].kind = HG_V_LIST;
            v[C_MV].u.list.v = lists[r];
            v[C_MV].u.list.n = n - 1;
        }
        if (few_nulls || rnd(4)) v[C_L] = (struct hg_value){.kind = HG_V_LONG, .u.i = (int64_t)rnd(25) - 5};
        if (few_nulls || rnd(4)) v[C_D] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = ((double)rnd(40) - 10) / 4};
        if (few_nulls || rnd(4)) v[C_F] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = ((double)rnd(40) - 10) / 8};
        if (few_nulls || rnd(4)) v[C_DEC] = (struct hg_value){.kind = HG_V_LONG, .u.i = ((int64_t)rnd(60) - 15) * 125000};
    }
}

/* ---- plans: JSON text and its evaluation side by side ---- */
struct f {
    enum { F_AND, F_OR, F_NOT, F_IST, F_ISF, F_IN, F_NULL, F_BOUND, F_RANGE, F_LIKE, F_INTERVAL, F_TRUE, F_FALSE } kind;
    struct f *kid[3];
    uint32_t n_kids;
    int col; /* N_COLS: absent */
    struct hg_str vals[6];
    uint32_t n_vals;
    bool has_lo, has_hi, lo_open, hi_open;
    enum hg_order order;
    bool numeric; /* range by numbers */
    int64_t from, to;
};
static struct f pool[64];
static uint32_t n_pool;
static const char *col_name(int c) { return c == N_COLS ? "absent" : cols[c].name; }

/* Texts that hit values of all columns now and then. */
static struct hg_str literal(void)
{
    static char text[64][16];
    static uint32_t at;
    if (rnd(2)) return word();
    char *z = text[at++ % 64];
    switch (rnd(3)) {
    case 0: snprintf(z, 16, "%d", (int)rnd(25) - 5); break;
    case 1: snprintf(z, 16, "%g", ((double)rnd(40) - 10) / 4); break;
    default: snprintf(z, 16, "%g", ((double)rnd(40) - 10) / 8); break;
    }
    return hg_str_of(z);
}

static struct f *make_filter(int depth)
{
    struct f *f = &pool[n_pool++];
    memset(f, 0, sizeof *f);
    uint32_t k = depth > 0 && n_pool < 50 ? rnd(14) : 5 + rnd(9);
    f->col = (int)rnd(N_COLS + 1);
    if (k < 2) {
        f->kind = k ? F_OR : F_AND;
        f->n_kids = 1 + rnd(3);
    } else if (k < 5) {
        f->kind = k == 2 ? F_IST : k == 3 ? F_ISF : F_NOT;
        f->n_kids = 1;
    } else if (k < 8) {
        f->kind = F_IN;
        f->n_vals = rnd(7);
        for (uint32_t i = 0; i < f->n_vals; i++) f->vals[i] = rnd(7) ? literal() : (struct hg_str){0, 0};
    } else if (k == 8) {
        f->kind = F_NULL;
    } else if (k < 11) {
        f->kind = k == 9 ? F_BOUND : F_RANGE;
        f->order = f->kind == F_RANGE ? HG_ORD_LEXICOGRAPHIC : (enum hg_order)rnd(4);
        f->numeric = f->kind == F_RANGE && rnd(2);
        f->has_lo = rnd(3) != 0;
        f->has_hi = !f->has_lo || rnd(3) != 0;
        f->lo_open = rnd(2), f->hi_open = rnd(2);
        for (int i = 0; i < 2; i++) {
            f->vals[i] = literal();
            double d;
            while (f->numeric && !hg_parse_f64(f->vals[i], &d)) f->vals[i] = literal();
        }
    } else if (k == 11) {
        static const char *const pats[] = {"%", "a%", "%b", "_", "1%", "%.5", "-%", "z%", "ab", "%_b%", ""};
        f->kind = F_LIKE;
        f->vals[0] = hg_str_of(pats[rnd(11)]);
    } else if (k == 12) {
        f->kind = F_INTERVAL;
        f->from = f->col == C_TIME ? 1710000000000 + (int64_t)rnd(60) * 1800000 : (int64_t)rnd(10);
        f->to = f->from + (f->col == C_TIME ? (int64_t)rnd(30) * 3600000 : (int64_t)rnd(20));
    } else {
        f->kind = rnd(2) ? F_TRUE : F_FALSE;
    }
    for (uint32_t i = 0; i < f->n_kids; i++) f->kid[i] = make_filter(depth - 1);
    return f;
}

static void put_filter(struct hg_buf *b, const struct f *f)
{
    static const char *const names[] = {"and", "or", "not", "istrue", "isfalse", "in", "null", "bound", "range", "like", "interval", "true", "false"};
    static const char *const orders[] = {"lexicographic", "alphanumeric", "numeric", "strlen"};
    char t[2 * HG_TIME_TEXT];
    hg_buf_printf(b, "{\"type\":\"%s\"", names[f->kind]);
    switch (f->kind) {
    case F_AND:
    case F_OR:
        hg_buf_puts(b, ",\"fields\":[");
        for (uint32_t i = 0; i < f->n_kids; i++) {
            if (i) hg_buf_putc(b, ',');
            put_filter(b, f->kid[i]);
        }
        hg_buf_putc(b, ']');
        break;
    case F_NOT:
    case F_IST:
    case F_ISF:
        hg_buf_puts(b, ",\"field\":");
        put_filter(b, f->kid[0]);
        break;
    case F_IN:
        hg_buf_printf(b, ",\"dimension\":\"%s\",\"values\":[", col_name(f->col));
        for (uint32_t i = 0; i < f->n_vals; i++) {
            if (i) hg_buf_putc(b, ',');
            hg_buf_json_str(b, f->vals[i]);
        }
        hg_buf_putc(b, ']');
        break;
    case F_NULL: hg_buf_printf(b, ",\"column\":\"%s\"", col_name(f->col)); break;
    case F_BOUND:
    case F_RANGE: {
        bool bound = f->kind == F_BOUND;
        hg_buf_printf(b, ",\"%s\":\"%s\",\"%s\":%s,\"%s\":%s", bound ? "dimension" : "column", col_name(f->col), bound ? "lowerStrict" : "lowerOpen", f->lo_open ? "true" : "false",
                      bound ? "upperStrict" : "upperOpen", f->hi_open ? "true" : "false");
        if (bound) hg_buf_printf(b, ",\"ordering\":\"%s\"", orders[f->order]);
        else hg_buf_printf(b, ",\"matchValueType\":\"%s\"", f->numeric ? "DOUBLE" : "STRING");
        if (f->has_lo) hg_buf_puts(b, ",\"lower\":"), hg_buf_json_str(b, f->vals[0]);
        if (f->has_hi) hg_buf_puts(b, ",\"upper\":"), hg_buf_json_str(b, f->vals[1]);
        break;
    }
    case F_LIKE:
        hg_buf_printf(b, ",\"dimension\":\"%s\",\"pattern\":", col_name(f->col));
        hg_buf_json_str(b, f->vals[0]);
        break;
    case F_INTERVAL:
        hg_interval_format((struct hg_interval){f->from, f->to}, t);
        hg_buf_printf(b, ",\"dimension\":\"%s\",\"intervals\":[\"%s\"]", col_name(f->col), t);
        break;
    case F_TRUE:
    case F_FALSE: break;
    }
    hg_buf_putc(b, '}');
}

enum tri { NO, YES, MAYBE };

static bool number(struct hg_str s, double *d)
{
    for (size_t i = 0; i < s.len; i++)
        if (!strchr("0123456789.+-eE", s.p[i])) return false;
    return s.len && hg_parse_f64(s, d);
}
static bool simple_like(const char *p, struct hg_str s)
{
    if (!*p) return s.len == 0;
    if (*p == '%') return simple_like(p + 1, s) || (s.len && simple_like(p, (struct hg_str){s.p + 1, s.len - 1}));
    if (!s.len) return false;
    if (*p == '_') {
        size_t n = 1;
        while (n < s.len && ((unsigned char)s.p[n] & 0xC0) == 0x80) n++;
        return simple_like(p + 1, (struct hg_str){s.p + n, s.len - n});
    }
    return *p == *s.p && simple_like(p + 1, (struct hg_str){s.p + 1, s.len - 1});
}

/* A leaf over one value, given as text and, in number columns, as a number. */
static enum tri leaf(const struct f *f, bool null, struct hg_str s, bool is_num, double num, bool f32)
{
    switch (f->kind) {
    case F_NULL: return null;
    case F_IN:
        for (uint32_t i = 0; i < f->n_vals; i++) {
            double d;
            if (null) {
                if (!f->vals[i].p) return YES;
            } else if (f->vals[i].p && (is_num ? number(f->vals[i], &d) && (f32 ? (double)(float)d : d) == num : hg_str_eq(f->vals[i], s))) {
                return YES;
            }
        }
        return null && f->n_vals ? MAYBE : NO;
    case F_BOUND:
    case F_RANGE: {
        if (null && f->kind == F_BOUND && !is_num) return !f->has_lo ? YES : f->order == HG_ORD_LEXICOGRAPHIC ? MAYBE : NO;
        if (null) return MAYBE;
        bool by_number = f->numeric || (f->kind == F_BOUND && f->order == HG_ORD_NUMERIC && is_num);
        double v = num;
        if (f->numeric && !is_num && !number(s, &v)) return MAYBE;
        for (int e = 0; e < 2; e++) {
            if (!(e ? f->has_hi : f->has_lo)) continue;
            int k;
            double d;
            if (!by_number) k = hg_order_cmp(f->order, s, f->vals[e]);
            else if (!number(f->vals[e], &d)) k = 1; /* a word stands below numbers */
            else if (f32) k = (v > (double)(float)d) - (v < (double)(float)d);
            else k = (v > d) - (v < d);
            if (e) k = -k;
            if (k < 0 || (k == 0 && (e ? f->hi_open : f->lo_open))) return NO;
        }
        return YES;
    }
    case F_LIKE: return null ? MAYBE : simple_like(f->vals[0].p, s);
    case F_INTERVAL: {
        double d = num;
        if (null) return MAYBE;
        if (!is_num && (!number(s, &d) || strchr(s.p, '.'))) return NO;
        return d >= (double)f->from && d < (double)f->to;
    }
    default: return NO;
    }
}

static enum tri filter(const struct f *f, const struct hg_value *row)
{
    switch (f->kind) {
    case F_TRUE: return YES;
    case F_FALSE: return NO;
    case F_NOT:
    case F_IST:
    case F_ISF: {
        enum tri t = filter(f->kid[0], row);
        if (f->kind == F_NOT) return t == MAYBE ? MAYBE : t == NO;
        return t == (f->kind == F_IST ? YES : NO);
    }
    case F_AND:
    case F_OR: {
        bool some = false, maybe = false;
        for (uint32_t i = 0; i < f->n_kids; i++) {
            enum tri t = filter(f->kid[i], row);
            some |= t == (f->kind == F_AND ? NO : YES);
            maybe |= t == MAYBE;
        }
        if (some) return f->kind == F_AND ? NO : YES;
        return maybe ? MAYBE : f->kind == F_AND ? YES : NO;
    }
    default: break;
    }
    struct hg_str none = {0, 0};
    if (f->col == N_COLS) return leaf(f, true, none, false, 0, false);
    const struct hg_value *v = &row[f->col];
    char num[HG_NUM_TEXT];
    bool string = cols[f->col].type == HG_T_STRING;
    if (v->kind == HG_V_NULL) return leaf(f, true, none, !string, 0, false);
    if (v->kind == HG_V_STR) return leaf(f, false, v->u.s, false, 0, false);
    if (v->kind == HG_V_LIST) {
        enum tri all = v->u.list.n ? NO : leaf(f, true, none, false, 0, false);
        for (uint32_t i = 0; i < v->u.list.n; i++) {
            enum tri t = leaf(f, !v->u.list.v[i].p, v->u.list.v[i], false, 0, false);
            if (t == YES) return YES;
            if (t == MAYBE) all = MAYBE;
        }
        return all;
    }
    double d;
    int n;
    if (cols[f->col].type == HG_T_DECIMAL) d = (double)v->u.i / 1e6, n = hg_fmt_decimal(v->u.i, num);
    else if (v->kind == HG_V_LONG) d = (double)v->u.i, n = hg_fmt_i64(v->u.i, num);
    else if (cols[f->col].type == HG_T_FLOAT) d = v->u.d, n = hg_fmt_f32((float)d, num);
    else d = v->u.d, n = hg_fmt_f64(d, num);
    if (f->kind == F_INTERVAL && cols[f->col].type == HG_T_DECIMAL && d != floor(d)) return NO;
    return leaf(f, false, (struct hg_str){num, (size_t)n}, true, d, cols[f->col].type == HG_T_FLOAT);
}

/* ---- aggregators ---- */
struct agg {
    int op;   /* 0 count, 1 sum, 2 min, 3 max, 4 mean, 5 hll */
    int type; /* 0 long, 1 double, 2 float, 3 decimal */
    int col;
    struct f *filter;
};
struct state {
    int64_t i;
    double d;
    bool seen;
    char distinct[64][40];
    uint32_t n_distinct;
};
static struct agg aggs[4];
static uint32_t n_aggs;

static void put_agg(struct hg_buf *b, const struct agg *a, uint32_t k)
{
    static const char *const types[] = {"long", "double", "float", "decimal"}, *const ops[] = {"", "Sum", "Min", "Max"};
    if (a->filter) {
        hg_buf_puts(b, "{\"type\":\"filtered\",\"filter\":");
        put_filter(b, a->filter);
        hg_buf_puts(b, ",\"aggregator\":");
    }
    if (a->op == 0) hg_buf_printf(b, "{\"type\":\"count\",\"name\":\"a%u\"}", k);
    else if (a->op == 4) hg_buf_printf(b, "{\"type\":\"doubleMean\",\"name\":\"a%u\",\"fieldName\":\"%s\"}", k, col_name(a->col));
    else if (a->op == 5) hg_buf_printf(b, "{\"type\":\"HLLSketchBuild\",\"name\":\"a%u\",\"fieldName\":\"%s\"}", k, col_name(a->col));
    else hg_buf_printf(b, "{\"type\":\"%s%s\",\"name\":\"a%u\",\"fieldName\":\"%s\"}", types[a->type], ops[a->op], k, col_name(a->col));
    if (a->filter) hg_buf_putc(b, '}');
}

static void see(struct state *s, struct hg_str text)
{
    if (!text.p || !text.len) return; /* the empty text is no item, as in DataSketches */
    for (uint32_t i = 0; i < s->n_distinct; i++)
        if (strlen(s->distinct[i]) == text.len && memcmp(s->distinct[i], text.p, text.len) == 0) return;
    assert_true(s->n_distinct < 64 && text.len < 40);
    memcpy(s->distinct[s->n_distinct], text.p, text.len);
    s->distinct[s->n_distinct++][text.len] = 0;
}

static void aggregate(const struct agg *a, struct state *s, const struct hg_value *row)
{
    if (a->filter && filter(a->filter, row) != YES) return;
    if (a->op == 0) {
        s->i++;
        return;
    }
    if (a->col == N_COLS) return;
    const struct hg_value *v = &row[a->col];
    if (v->kind == HG_V_NULL) return;
    enum hg_type ct = cols[a->col].type;
    if (a->op == 5) {
        char num[HG_NUM_TEXT];
        if (v->kind == HG_V_STR) see(s, v->u.s);
        else if (v->kind == HG_V_LIST)
            for (uint32_t i = 0; i < v->u.list.n; i++) see(s, v->u.list.v[i]);
        else see(s, (struct hg_str){num, (size_t)(ct == HG_T_LONG ? hg_fmt_i64(v->u.i, num) : hg_fmt_f64(ct == HG_T_DECIMAL ? (double)v->u.i : v->u.d, num))});
        return;
    }
    /* the number as a double, exact for all values that are made here */
    double d = 0;
    bool word_in = false;
    if (ct == HG_T_STRING) {
        struct hg_str s1 = v->u.s;
        if (v->kind == HG_V_LIST) {
            if (v->u.list.n == 0) return;
            if (v->u.list.n == 1) {
                if (!v->u.list.v[0].p) return;
                s1 = v->u.list.v[0];
            } else {
                word_in = true;
            }
        }
        if (!word_in) word_in = !number(s1, &d);
    } else {
        d = ct == HG_T_DECIMAL ? (double)v->u.i / 1e6 : v->kind == HG_V_LONG ? (double)v->u.i : v->u.d;
    }
    if (a->op == 4) {
        if (word_in) d = 0;
        s->d += d;
        s->i++;
        return;
    }
    bool integer = a->type == 0 || a->type == 3;
    int64_t i = a->type == 0 ? (int64_t)trunc(d) : (int64_t)llround(d * 1e6);
    if (a->type == 3 && ct == HG_T_DECIMAL) i = v->u.i;
    if (word_in) { /* a text that is no number counts as the operation's neutral value */
        i = a->op == 2 ? INT64_MAX : a->op == 3 ? INT64_MIN : 0;
        d = a->op == 2 ? INFINITY : a->op == 3 ? -INFINITY : 0;
    }
    if (!s->seen) s->i = integer ? i : 0, s->d = d;
    else if (a->op == 1) s->i += integer ? i : 0, s->d += d;
    else if (a->op == 2) s->i = i < s->i ? i : s->i, s->d = d < s->d ? d : s->d;
    else s->i = i > s->i ? i : s->i, s->d = d > s->d ? d : s->d;
    s->seen = true;
}

/* ---- the query ---- */
enum { TS, TOPN, GROUPBY };
static struct {
    int type;
    struct f *filter;
    int dim[3], dim_type[3]; /* type: 0 string, 1 long, 2 double */
    uint32_t n_dims;
    int gran;
    struct hg_gran g;
    struct hg_interval iv[2];
    uint32_t n_iv;
    bool skip;
} plan;

static const char *const grans[] = {"\"all\"", "\"hour\"", "\"day\"", "{\"type\":\"period\",\"period\":\"PT2H\",\"timeZone\":\"America/Los_Angeles\"}", "{\"type\":\"duration\",\"duration\":5400000}",
                                    "\"minute\""};

static void make_plan(struct hg_buf *b, uint32_t vec)
{
    static const char *const types[] = {"timeseries", "topN", "groupBy"}, *const outs[] = {"STRING", "LONG", "DOUBLE"};
    char t[2][2 * HG_TIME_TEXT];
    n_pool = 0;
    memset(&plan, 0, sizeof plan);
    plan.type = (int)rnd(3);
    plan.filter = rnd(4) ? make_filter(3) : NULL;
    plan.gran = (int)rnd(6);
    plan.skip = rnd(3) == 0;
    plan.n_dims = plan.type == TS ? 0 : plan.type == TOPN ? 1 : rnd(4);
    for (uint32_t k = 0; k < plan.n_dims; k++) plan.dim[k] = (int)rnd(N_COLS + 1), plan.dim_type[k] = (int)rnd(3);
    if (plan.type != TS && rnd(3) == 0) plan.gran = 0, plan.n_dims = 1, plan.dim[0] = rnd(2) ? C_S : C_T, plan.dim_type[0] = 0; /* what query/merge/numbered.h is for */
    int64_t t0 = 1710000000000;
    plan.n_iv = 1 + rnd(2);
    plan.iv[0] = (struct hg_interval){t0 - 3600000 + (int64_t)rnd(20) * 1800000, 0};
    plan.iv[0].end = plan.iv[0].start + 1 + (int64_t)rnd(70) * 1700000;
    plan.iv[1].start = plan.iv[0].end + 1 + rnd(7200000);
    plan.iv[1].end = plan.iv[1].start + 1 + rnd(86400000);
    if (rnd(3) == 0) plan.n_iv = 1, plan.iv[0] = (struct hg_interval){t0 - 100000000, t0 + 1000000000};
    for (uint32_t k = 0; k < plan.n_iv; k++) hg_interval_format(plan.iv[k], t[k]);
    hg_buf_printf(b, "{\"queryType\":\"%s\",\"dataSource\":\"x\",\"intervals\":[\"%s\"", types[plan.type], t[0]);
    if (plan.n_iv > 1) hg_buf_printf(b, ",\"%s\"", t[1]);
    hg_buf_printf(b, "],\"granularity\":%s,\"context\":{\"vectorSize\":%u,\"skipEmptyBuckets\":%s}", grans[plan.gran], vec, plan.skip ? "true" : "false");
    if (plan.filter) hg_buf_puts(b, ",\"filter\":"), put_filter(b, plan.filter);
    if (plan.type == GROUPBY) hg_buf_puts(b, ",\"dimensions\":[");
    for (uint32_t k = 0; k < plan.n_dims; k++) {
        if (plan.type == TOPN) hg_buf_puts(b, ",\"dimension\":");
        else if (k) hg_buf_putc(b, ',');
        hg_buf_printf(b, "{\"type\":\"default\",\"dimension\":\"%s\",\"outputName\":\"d%u\",\"outputType\":\"%s\"}", col_name(plan.dim[k]), k, outs[plan.dim_type[k]]);
    }
    if (plan.type == GROUPBY) hg_buf_putc(b, ']');
    if (plan.type == TOPN) hg_buf_puts(b, ",\"metric\":{\"type\":\"dimension\"},\"threshold\":5");
    n_aggs = rnd(5);
    hg_buf_puts(b, ",\"aggregations\":[");
    for (uint32_t k = 0; k < n_aggs; k++) {
        aggs[k] = (struct agg){(int)rnd(6), (int)rnd(4), (int)rnd(N_COLS + 1), rnd(4) ? NULL : make_filter(1)};
        if (aggs[k].col == C_TIME) aggs[k].col = C_L;
        if (k) hg_buf_putc(b, ',');
        put_agg(b, &aggs[k], k);
    }
    hg_buf_puts(b, "]}");
    hg_buf_u8(b, 0);
}

/* ---- groups ---- */
struct group {
    char *key;
    struct state st[4];
    bool rows; /* some row, not only an empty bucket */
};
static struct group *groups;
static uint32_t n_groups, cap_groups;

static struct group *group_of(const char *key)
{
    for (uint32_t k = 0; k < n_groups; k++)
        if (strcmp(groups[k].key, key) == 0) return &groups[k];
    if (n_groups == cap_groups) {
        cap_groups = cap_groups ? cap_groups * 2 : 64;
        groups = realloc(groups, cap_groups * sizeof *groups);
        assert_non_null(groups);
    }
    memset(&groups[n_groups], 0, sizeof *groups);
    groups[n_groups].key = strdup(key);
    return &groups[n_groups++];
}

/* The output value of dimension k as text. */
static void dim_text(struct hg_buf *b, uint32_t k, const struct hg_value *v, struct hg_str item)
{
    char num[HG_NUM_TEXT];
    double d;
    enum hg_type ct = plan.dim[k] == N_COLS ? HG_T_STRING : cols[plan.dim[k]].type;
    hg_buf_putc(b, '|');
    if (!v || v->kind == HG_V_NULL || (ct == HG_T_STRING && !item.p)) {
        hg_buf_puts(b, "null");
        return;
    }
    if (ct == HG_T_STRING) {
        if (plan.dim_type[k] == 0) {
            hg_buf_json_str(b, item);
            return;
        }
        if (!number(item, &d) || (plan.dim_type[k] == 1 && d != floor(d))) {
            hg_buf_puts(b, "null");
            return;
        }
    } else {
        d = ct == HG_T_DECIMAL ? (double)v->u.i / 1e6 : v->kind == HG_V_LONG ? (double)v->u.i : v->u.d;
    }
    if (plan.dim_type[k] == 1) hg_buf_printf(b, "%" PRId64, (int64_t)d);
    else if (plan.dim_type[k] == 2) hg_buf_printf(b, "%.17g", d);
    else {
        int n = ct == HG_T_DECIMAL ? hg_fmt_decimal(v->u.i, num) : ct == HG_T_LONG ? hg_fmt_i64(v->u.i, num) : ct == HG_T_FLOAT ? hg_fmt_f32((float)d, num) : hg_fmt_f64(d, num);
        hg_buf_json_str(b, (struct hg_str){num, (size_t)n});
    }
}

/* The row goes to the group of every combination of its dimensions' values. */
static void to_groups(const char *prefix, uint32_t k, const struct hg_value *row)
{
    if (k == plan.n_dims) {
        struct group *g = group_of(prefix);
        g->rows = true;
        for (uint32_t a = 0; a < n_aggs; a++) aggregate(&aggs[a], &g->st[a], row);
        return;
    }
    const struct hg_value *v = plan.dim[k] == N_COLS ? NULL : &row[plan.dim[k]];
    uint32_t n = v && v->kind == HG_V_LIST ? v->u.list.n : 1;
    if (n == 0 && plan.type == TOPN) return; /* topN drops the empty list */
    for (uint32_t i = 0; i < (n ? n : 1); i++) {
        struct hg_str item = {0, 0};
        if (v && v->kind == HG_V_LIST && n) item = v->u.list.v[i];
        if (v && v->kind == HG_V_STR) item = v->u.s;
        struct hg_buf b;
        hg_buf_init(&b, SIZE_MAX);
        hg_buf_puts(&b, prefix);
        dim_text(&b, k, v, item);
        hg_buf_u8(&b, 0);
        to_groups((char *)b.p, k + 1, row);
        hg_buf_free(&b);
    }
}

static int64_t bucket_of(const struct hg_gran *g, int64_t t) { return g->kind == HG_GRAN_ALL ? 0 : hg_gran_floor(g, t); }

/* The rows [from, to), which are one source. */
static void model_add(const struct hg_gran *g, uint32_t from, uint32_t to)
{
    char key[32];
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (uint32_t r = from; r < to; r++) {
        int64_t t = rows[r][C_TIME].u.i;
        if (t < least) least = t;
        if (t > most) most = t;
        bool in = false;
        for (uint32_t k = 0; k < plan.n_iv; k++) in |= t >= plan.iv[k].start && t < plan.iv[k].end;
        if (!in || (plan.filter && filter(plan.filter, rows[r]) != YES)) continue;
        snprintf(key, sizeof key, "%" PRId64, bucket_of(g, t));
        to_groups(key, 0, rows[r]);
    }
    if (plan.type != TS || from == to) return;
    for (uint32_t k = 0; k < plan.n_iv; k++) { /* the buckets between its first and last row */
        int64_t lo = plan.iv[k].start > least ? plan.iv[k].start : least, end = g->kind == HG_GRAN_ALL ? most + 1 : hg_gran_next(g, hg_gran_floor(g, most)),
                hi = plan.iv[k].end < end ? plan.iv[k].end : end;
        for (int64_t t = bucket_of(g, lo); lo < hi && t < hi; t = hg_gran_next(g, t)) {
            snprintf(key, sizeof key, "%" PRId64, t);
            group_of(key);
            if (g->kind == HG_GRAN_ALL) break;
        }
    }
}

static char *model_text(void)
{
    char **lines = calloc(n_groups + 1, sizeof *lines);
    uint32_t n = 0;
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    for (uint32_t k = 0; k < n_groups; k++) {
        struct group *g = &groups[k];
        if (!g->rows && plan.skip) continue;
        hg_buf_clear(&b);
        hg_buf_puts(&b, g->key);
        for (uint32_t a = 0; a < n_aggs; a++) {
            const struct state *s = &g->st[a];
            hg_buf_putc(&b, '|');
            if (aggs[a].op == 0) hg_buf_printf(&b, "%" PRId64, s->i);
            else if (aggs[a].op == 4) hg_buf_printf(&b, "%.17g/%" PRId64, s->d, s->i);
            else if (aggs[a].op == 5) hg_buf_printf(&b, "~%u", s->n_distinct);
            else if (!s->seen) hg_buf_puts(&b, "null");
            else if (aggs[a].type == 0 || aggs[a].type == 3) hg_buf_printf(&b, "%" PRId64, s->i);
            else hg_buf_printf(&b, "%.17g", s->d);
        }
        hg_buf_u8(&b, 0);
        lines[n++] = strdup((char *)b.p);
    }
    qsort(lines, n, sizeof *lines, line_cmp);
    hg_buf_clear(&b);
    for (uint32_t k = 0; k < n; k++) {
        hg_buf_puts(&b, lines[k]);
        hg_buf_putc(&b, '\n');
        free(lines[k]);
    }
    free(lines);
    hg_buf_u8(&b, 0);
    return (char *)b.p;
}

/* The source as a sealed segment, its rows sorted by so many dimensions before __time. */
static struct hg_segment *sealed(const struct hg_source *src, uint32_t time_at, uint64_t seed)
{
    struct hg_schema_dim dims[] = {{.name = "s", .type = HG_T_STRING, .bitmap = seed % 2}, {.name = "t", .type = HG_T_STRING, .bitmap = true}, {.name = "mv", .type = HG_T_STRING, .bitmap = seed % 3},
                                   {.name = "l", .type = HG_T_LONG}, {.name = "d", .type = HG_T_DOUBLE}};
    struct hg_schema_metric metrics[] = {{.name = "f", .field = "f", .agg = "floatSum", .roll = HG_ROLL_FLOAT_SUM, .type = HG_T_FLOAT},
                                         {.name = "dec", .field = "dec", .agg = "decimalSum", .roll = HG_ROLL_DECIMAL_SUM, .type = HG_T_DECIMAL}};
    struct hg_schema schema = {.n_dims = 5, .n_metrics = 2, .dims = dims, .metrics = metrics, .time_at = time_at, .query_gran.kind = HG_GRAN_NONE};
    struct hg_segment_stats st;
    struct hg_segment *seg;
    struct hg_err err;
    char path[64];
    snprintf(path, sizeof path, "/tmp/henge-model-%ld.seg", (long)getpid());
    if (hg_segment_merge(&schema, &src, 1, &(struct hg_segment_write_options){.zstd_level = (int)(seed % 2)}, path, &st, &err) != HG_OK) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    if (hg_segment_open(path, &seg, &err) != HG_OK) fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
    unlink(path);
    return seg;
}

static uint32_t numbered_groups; /* that were met in all */

/* Two scanning threads' groups, as a data server unites them. */
static void unite(struct run *r, struct hg_numbered *lane[2], struct hg_merge *m, uint64_t seed)
{
    struct hg_partial *p;
    bool done = false;
    if (lane[0] && hg_numbered_join(lane[0], lane[1], &done, &r->err)) fail_msg("seed %" PRIu64 ": %s", seed, r->err.msg);
    for (uint32_t k = 2; k-- > 0;) {
        if (lane[k] && hg_numbered_take(lane[k], &r->x, &p, &r->err)) fail_msg("seed %" PRIu64 ": %s", seed, r->err.msg);
        if (lane[k] && p) {
            numbered_groups += (uint32_t)p->n_rows;
            assert_false(done && k == 1);
            if (rnd(2)) p = run_recode(r, p);
            if (hg_merge_add(m, p, &r->err)) fail_msg("seed %" PRIu64 ": %s", seed, r->err.msg);
        }
        hg_numbered_free(lane[k]);
    }
}

static void one_seed(uint64_t seed)
{
    static const uint32_t vecs[] = {2, 64, 4096};
    rng = seed * 0x9E3779B97F4A7C15ull + 1;
    for (int k = 0; k < 5; k++) rnd(2);
    make_rows();
    uint32_t n_src = 1 + rnd(4), cut[6] = {0};
    for (uint32_t k = 1; k < n_src; k++) cut[k] = rnd(n_rows + 1);
    cut[n_src] = n_rows;
    for (uint32_t i = 1; i < n_src; i++)
        for (uint32_t k = i; k > 1 && cut[k] < cut[k - 1]; k--) {
            uint32_t t = cut[k];
            cut[k] = cut[k - 1], cut[k - 1] = t;
        }
    struct hg_source *src[4];
    struct hg_segment *seg[4] = {NULL};
    for (uint32_t k = 0; k < n_src; k++) {
        src[k] = hg_mem_source_new(cols, N_COLS, rows[cut[k]], cut[k + 1] - cut[k], rnd(2) ? HG_MEM_LIVE_DICT : 0);
        if (rnd(2)) seg[k] = sealed(src[k], rnd(6), seed);
    }

    for (int queries = 0; queries < 6; queries++) {
        struct hg_buf json;
        hg_buf_init(&json, SIZE_MAX);
        make_plan(&json, n_rows > 3000 ? 4096 : vecs[rnd(3)]);
        struct run r;
        if (run_open(&r, (char *)json.p, 0) != HG_OK) fail_msg("seed %" PRIu64 ": %s\n%s", seed, r.err.msg, (char *)json.p);
        struct hg_merge *m;
        struct hg_partial *p;
        struct hg_numbered *lane[2];
        assert_int_equal(hg_merge_new(r.q, &r.x, &m, &r.err), HG_OK);
        for (uint32_t k = 0; k < 2; k++) assert_int_equal(hg_numbered_new(r.q, &r.x, &lane[k], &r.err), HG_OK);
        n_groups = 0;
        for (uint32_t k = 0; k < n_src; k++) {
            model_add(&r.q->gran, cut[k], cut[k + 1]);
            r.x.numbered = rnd(4) ? lane[rnd(2)] : NULL;
            if (run_scan(&r, seg[k] ? hg_segment_source(seg[k]) : src[k], &p) != HG_OK) fail_msg("seed %" PRIu64 ": %s\n%s", seed, r.err.msg, (char *)json.p);
            if (rnd(2)) p = run_recode(&r, p);
            if (hg_merge_add(m, p, &r.err) != HG_OK) fail_msg("seed %" PRIu64 ": %s\n%s", seed, r.err.msg, (char *)json.p);
        }
        unite(&r, lane, m, seed);
        if (hg_merge_take(m, &p, &r.err) != HG_OK) fail_msg("seed %" PRIu64 ": %s", seed, r.err.msg);
        hg_merge_free(m);
        if (rnd(2)) p = run_recode(&r, p);
        char *got = rows_text(r.q, p), *want = model_text();
        if (strcmp(got, want) != 0) {
            size_t at = 0;
            while (got[at] && got[at] == want[at]) at++;
            while (at && got[at - 1] != '\n') at--;
            fail_msg("seed %" PRIu64 ", %u rows in %u sources, query %d: %s\nwant %.300s\ngot  %.300s", seed, n_rows, n_src, queries, (char *)json.p, want + at, got + at);
        }
        free(got);
        free(want);
        for (uint32_t k = 0; k < n_groups; k++) free(groups[k].key);
        n_groups = 0;
        hg_partial_free(p);
        run_close(&r);
        hg_buf_free(&json);
    }
    for (uint32_t k = 0; k < n_src; k++) {
        hg_segment_close(seg[k]);
        hg_mem_source_free(src[k]);
    }
}

static void random_plans(void **state)
{
    (void)state;
    const char *one = getenv("HG_SEED"), *many = getenv("HG_SEEDS");
    if (one) {
        one_seed(strtoull(one, NULL, 10));
    } else {
        uint64_t n = many ? strtoull(many, NULL, 10) : 400;
        for (uint64_t seed = 1; seed <= n; seed++) one_seed(seed);
        assert_true(numbered_groups > n); /* met often */
    }
    free(groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_plans)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
