#include "query/agg/aggs_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "query/agg/kernels.h"
#include "query/engine/check.h"
#include "query/expr/derived.h"

#define SUMS 12u         /* that are added at once */
#define MANY_ROWS 1024u  /* tell what the next ones will be like */
#define MOST_SKIPPED 15u /* batches that are not looked at for runs */
#define RUNS_SHARE 3 /* slots are added run by run where runs are longer than this on average */

/* ---- conversions ---- */

static int64_t to_long(double v) /* Java's (long) */
{
    if (isnan(v)) return 0;
    if (v >= 0x1p63) return INT64_MAX;
    if (v < -0x1p63) return INT64_MIN;
    return (int64_t)v;
}

static void neutral(const struct input *in, int64_t *i, double *d)
{
    *i = in->op == HG_AGG_MIN ? INT64_MAX : in->op == HG_AGG_MAX ? INT64_MIN : 0;
    *d = in->op == HG_AGG_MIN ? INFINITY : in->op == HG_AGG_MAX ? -INFINITY : 0;
}

static bool is_pick(enum hg_agg_kind k) { return k == HG_AGG_FIRST || k == HG_AGG_LAST || k == HG_AGG_ANY; }

static enum hg_rc string_values(struct hg_aggs *g, struct input *in, struct hg_err *err)
{
    const struct hg_dict *d = in->col->dict;
    bool integer = hg_type_is_integer(in->as);
    if (in->as == HG_T_STRING) return HG_OK; /* their texts are asked for as they are needed */
    if (hg_type_is_complex(in->as)) in->item = hg_arena_array(g->a, d->card, sizeof *in->item);
    else if (integer) in->id_i = hg_arena_array(g->a, d->card, sizeof *in->id_i);
    else in->id_d = hg_arena_array(g->a, d->card, sizeof *in->id_d);
    if (is_pick(in->op)) in->id_null = hg_arena_zalloc(g->a, d->card);
    if ((!in->item && !in->id_i && !in->id_d) || (is_pick(in->op) && !in->id_null)) return hg_arena_fail(g->a, "aggregator over a string column", err);
    if (in->id_null) in->id_null[0] = !in->zeros;
    struct hg_buf scratch;
    enum hg_rc rc = HG_OK;
    hg_buf_init(&scratch, SIZE_MAX);
    if (in->item) in->item[0] = HG_SKETCH_NO_ITEM;
    for (uint32_t id = 1; id < d->card; id++) {
        if ((id & 4095) == 0 && (rc = hg_exec_check(g->x, err)) != HG_OK) break;
        struct hg_str s = hg_dict_get(d, id, &scratch);
        int64_t i;
        double f;
        if (in->item) {
            in->item[id] = hg_sketch_item_str(&in->sketch, s);
            continue;
        }
        neutral(in, &i, &f);
        if (in->zeros) {
            /* as it is */
        } else if (in->op == HG_AGG_ANY) {
            in->id_null[id] = 1; /* Druid reads no numbers from texts here */
        } else if (in->as == HG_T_DECIMAL) {
            int64_t m;
            if (hg_parse_decimal(s, &m)) i = m;
        } else {
            struct hg_edge e = {.there = true, .s = s};
            hg_edge_numbers(&e);
            if (e.is_num) {
                f = in->as == HG_T_FLOAT ? (double)(float)e.d : e.d;
                i = e.is_int ? e.i : to_long(e.d);
            } else if (in->id_null) {
                in->id_null[id] = 1;
            }
        }
        if (integer) in->id_i[id] = i;
        else in->id_d[id] = f;
    }
    hg_buf_free(&scratch);
    return rc;
}

static enum hg_rc load_strings(struct hg_aggs *g, struct input *in, struct hg_err *err)
{
    const struct hg_column *c = in->col;
    if (c->multi) {
        HG_TRY(c->ops->multi(in->rd, g->row, g->rows, &in->ends, &in->mids, err));
        if (in->item || in->as == HG_T_STRING) return HG_OK;
        in->has_nulls = false;
        for (uint32_t k = 0; k < g->rows; k++) { /* a row of one value reads as that; of several it is no number */
            uint32_t from = k ? in->ends[k - 1] : 0, n = in->ends[k] - from, id = n == 1 ? in->mids[from] : 0;
            int64_t i;
            double d;
            neutral(in, &i, &d);
            in->nulls[k] = in->id_null ? in->id_null[id] : n == 0 || (n == 1 && id == 0);
            in->has_nulls |= in->nulls[k];
            if (in->id_i) in->i[k] = n == 1 ? in->id_i[id] : i;
            else in->d[k] = n == 1 ? in->id_d[id] : d;
        }
        return HG_OK;
    }
    HG_TRY(c->ops->ids(in->rd, g->row, g->rows, in->ids, err));
    if (in->item || in->as == HG_T_STRING) return HG_OK;
    in->has_nulls = c->has_nulls || in->id_null;
    for (uint32_t k = 0; k < g->rows; k++) {
        uint32_t id = in->ids[k];
        in->nulls[k] = in->id_null ? in->id_null[id] : id == 0;
        if (in->id_i) in->i[k] = in->id_i[id];
        else in->d[k] = in->id_d[id];
    }
    return HG_OK;
}

/* Numbers that are used as they are read: only those that are wanted need to be there. */
static bool as_stored(const struct input *in) { return in->as == in->col->type || (in->as == HG_T_DOUBLE && in->col->type == HG_T_FLOAT); }

enum hg_rc hg_aggs_load(struct hg_aggs *g, struct input *in, struct hg_err *err)
{
    if (in->loaded) return HG_OK;
    in->loaded = true;
    const struct hg_column *c = in->col;
    uint32_t n = g->rows;
    if (hg_type_is_complex(c->type)) return HG_OK; /* read row by row */
    if (in->raw) return hg_derived_load(in->raw, g->row, n, err);
    if (c->type == HG_T_STRING) return load_strings(g, in, err);
    in->has_nulls = c->has_nulls;
    uint8_t *nulls = c->has_nulls ? in->nulls : NULL;
    const uint16_t *at = g->want && !g->want->all && as_stored(in) ? g->want->at : NULL;
    uint32_t m = at ? g->want->n : 0;
    if (hg_type_is_integer(c->type)) {
        HG_TRY(hg_column_pick_i64(c, in->rd, g->row, n, at, m, in->i, nulls, err));
        bool dec = c->type == HG_T_DECIMAL;
        switch (in->as) {
        case HG_T_LONG:
            if (dec)
                for (uint32_t k = 0; k < n; k++) in->i[k] /= HG_DECIMAL_SCALE;
            break;
        case HG_T_DECIMAL:
            if (!dec)
                for (uint32_t k = 0; k < n; k++)
                    if (__builtin_mul_overflow(in->i[k], (int64_t)HG_DECIMAL_SCALE, &in->i[k]))
                        return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: column \"%s\" holds a number too large for a decimal", c->name);
            break;
        case HG_T_FLOAT:
            for (uint32_t k = 0; k < n; k++) in->d[k] = (double)(float)(dec ? (double)in->i[k] / HG_DECIMAL_SCALE : (double)in->i[k]);
            break;
        case HG_T_DOUBLE:
            for (uint32_t k = 0; k < n; k++) in->d[k] = dec ? (double)in->i[k] / HG_DECIMAL_SCALE : (double)in->i[k];
            break;
        default: break; /* sketches, texts: i as it is */
        }
        return HG_OK;
    }
    HG_TRY(hg_column_pick_f64(c, in->rd, g->row, n, at, m, in->d, nulls, err));
    switch (in->as) {
    case HG_T_LONG:
        for (uint32_t k = 0; k < n; k++) in->i[k] = to_long(in->d[k]);
        break;
    case HG_T_DECIMAL:
        for (uint32_t k = 0; k < n; k++) {
            double micros = in->d[k] * HG_DECIMAL_SCALE;
            if (!(fabs(micros) < 0x1p63)) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: column \"%s\" holds a number too large for a decimal", c->name);
            in->i[k] = llround(micros);
        }
        break;
    case HG_T_FLOAT:
        if (c->type != HG_T_FLOAT)
            for (uint32_t k = 0; k < n; k++) in->d[k] = (double)(float)in->d[k];
        break;
    default: break;
    }
    return HG_OK;
}

/* ---- binding ---- */

static bool shared(const struct input *have, const struct input *want)
{
    if (have->col != want->col || have->as != want->as) return false;
    if (have->sketch.kind != want->sketch.kind || have->sketch.utf16 != want->sketch.utf16) return false;
    return (want->col->type != HG_T_STRING && want->as != HG_T_STRING) || have->op == want->op;
}

static enum hg_rc input_buffers(struct hg_aggs *g, struct input *in, struct hg_err *err)
{
    const struct hg_column *c = in->col;
    bool string = c->type == HG_T_STRING, integer = hg_type_is_integer(c->type), as_integer = hg_type_is_integer(in->as);
    bool need_i = integer || as_integer, need_d = !as_integer || !integer;
    in->nulls = hg_arena_array(g->a, HG_BLOCK_ROWS, 1);
    in->i = need_i ? hg_arena_scratch(g->a, HG_BLOCK_ROWS, sizeof *in->i) : NULL;
    in->d = need_d ? hg_arena_scratch(g->a, HG_BLOCK_ROWS, sizeof *in->d) : NULL;
    in->ids = string ? hg_arena_scratch(g->a, HG_BLOCK_ROWS, sizeof *in->ids) : NULL;
    if (!in->nulls || (need_i && !in->i) || (need_d && !in->d) || (string && !in->ids)) return hg_arena_fail(g->a, "aggregators", err);
    return string ? string_values(g, in, err) : HG_OK;
}

/* The input that is `want` (its column, what it is read as, the operation): one that is there already, or a new one. */
static enum hg_rc get_input(struct hg_aggs *g, const struct input *want, struct input **out, struct hg_err *err)
{
    for (uint32_t k = 0; k < g->n_in; k++)
        if (shared(g->in[k], want)) return *out = g->in[k], HG_OK;
    struct input *in = hg_arena_zalloc(g->a, sizeof *in);
    if (!in) return hg_arena_fail(g->a, "aggregators", err);
    *in = *want;
    HG_TRY(in->col->ops->open(in->col, g->a, &in->rd, err));
    if (!hg_type_is_complex(in->col->type)) HG_TRY(input_buffers(g, in, err));
    if (in->as == HG_T_STRING && in->col->type != HG_T_STRING && hg_derived_is(in->col)) HG_TRY(hg_derived_open(in->col, g->a, &in->raw, err));
    g->in[g->n_in++] = in;
    *out = in;
    return HG_OK;
}

static bool fits(const struct hg_agg *agg, const struct hg_column *c)
{
    bool stored = hg_type_is_complex(c->type) && c->type == agg->type;
    if (agg->kind == HG_AGG_SKETCH_MERGE) return stored;
    return !hg_type_is_complex(c->type) || (agg->kind == HG_AGG_SKETCH_EITHER && stored);
}

static enum hg_rc bind_column(struct hg_aggs *g, struct bound *b, const char *name, struct input **out, struct hg_err *err)
{
    const struct hg_agg *agg = b->agg;
    const struct hg_column *c = hg_source_column(g->src, name);
    *out = NULL;
    if (!c) return HG_OK;
    if ((agg->state == HG_STATE_I64 || agg->state == HG_STATE_F64) && hg_derived_is(c) && hg_xtype_is_array(hg_derived_type(c))) return HG_OK; /* arrays are no numbers */
    if (!fits(agg, c)) return hg_fail(err, HG_E_INVALID, "aggregator \"%s\": column \"%s\" is of type %s", agg->name, c->name, hg_type_name(c->type));
    return get_input(g, &(struct input){.col = c, .as = agg->type, .op = agg->kind, .zeros = g->topn && is_pick(agg->kind), .sketch = agg->sketch}, out, err);
}

static enum hg_rc bind_fields(struct hg_aggs *g, struct bound *b, struct hg_err *err)
{
    b->fields = hg_arena_array(g->a, b->agg->n_fields, sizeof *b->fields);
    if (!b->fields) return hg_arena_fail(g->a, "aggregators", err);
    for (uint32_t k = 0; k < b->agg->n_fields; k++) {
        HG_TRY(bind_column(g, b, b->agg->fields[k], &b->fields[b->n_fields], err));
        if (b->fields[b->n_fields] || b->agg->by_row) b->n_fields++; /* by row: an absent column is null in every row */
    }
    b->out = b->n_fields == 0;
    return HG_OK;
}

static enum hg_rc bind_inputs(struct hg_aggs *g, struct bound *b, struct hg_err *err)
{
    const struct hg_agg *agg = b->agg;
    if (agg->kind == HG_AGG_COUNT) return HG_OK;
    if (agg->kind == HG_AGG_GROUPING) return b->out = true, HG_OK; /* it is the answer's, not the rows' */
    if (agg->kind == HG_AGG_EXPR) return hg_aggs_bind_expr(g, b, err);
    if (agg->kind == HG_AGG_CARDINALITY) return bind_fields(g, b, err);
    HG_TRY(bind_column(g, b, agg->column, &b->in, err));
    b->out = !b->in;
    if (b->out || (agg->kind != HG_AGG_FIRST && agg->kind != HG_AGG_LAST)) return HG_OK;
    const struct hg_column *t = hg_source_column(g->src, agg->time_column);
    if (t && t->type != HG_T_LONG) return hg_fail(err, HG_E_INVALID, "aggregator \"%s\": column \"%s\" is of type %s, not a time", agg->name, t->name, hg_type_name(t->type));
    b->out = !t;
    return t ? get_input(g, &(struct input){.col = t, .as = HG_T_LONG, .op = agg->kind}, &b->time, err) : HG_OK;
}

static void free_scratch(void *arg)
{
    struct hg_aggs *g = arg;
    hg_buf_free(&g->text);
    hg_buf_free(&g->text_too);
    hg_buf_free(&g->row_text);
    hg_buf_free(&g->row_ids);
}

static uint32_t most_inputs(const struct hg_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < plan->n_aggs; k++) n += 2 + plan->aggs[k].n_fields;
    return n;
}

enum hg_rc hg_aggs_bind(const struct hg_plan *plan, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_aggs **out, struct hg_err *err)
{
    struct hg_aggs *g = hg_arena_zalloc(a, sizeof *g);
    if (!g) return hg_arena_fail(a, "aggregators", err);
    g->src = src;
    g->a = a;
    g->x = x;
    g->n = plan->n_aggs;
    g->topn = plan->threshold > 0;
    g->v = hg_arena_array(a, g->n, sizeof *g->v);
    g->in = hg_arena_array(a, most_inputs(plan), sizeof *g->in);
    hg_buf_init(&g->text, SIZE_MAX);
    hg_buf_init(&g->text_too, SIZE_MAX);
    hg_buf_init(&g->row_text, SIZE_MAX);
    hg_buf_init(&g->row_ids, SIZE_MAX);
    HG_TRY(hg_arena_on_free(a, free_scratch, g, err));
    g->pos = hg_arena_scratch(a, HG_BLOCK_ROWS, sizeof *g->pos);
    g->slot = hg_arena_scratch(a, HG_BLOCK_ROWS, sizeof *g->slot);
    g->sel = hg_arena_alloc(a, sizeof *g->sel);
    g->run = hg_arena_scratch(a, HG_BLOCK_ROWS + 1, sizeof *g->run);
    if (!g->v || !g->in || !g->pos || !g->slot || !g->sel || !g->run) return hg_arena_fail(a, "aggregators", err);
    for (uint32_t k = 0; k < g->n; k++) {
        struct bound *b = &g->v[k];
        b->agg = &plan->aggs[k];
        HG_TRY(bind_inputs(g, b, err));
        b->sure = !b->agg->filter && b->in && hg_type_is_number(b->in->col->type) && !b->in->col->has_nulls && (b->agg->state == HG_STATE_I64 || b->agg->state == HG_STATE_F64);
        if (b->out || !b->agg->filter) continue;
        HG_TRY(hg_sieve_new(b->agg->filter, src, a, x, &b->sieve, err));
        if (hg_sieve_is_none(b->sieve)) b->out = true;
        if (hg_sieve_is_all(b->sieve)) b->sieve = NULL;
        else if (!(b->mask = hg_arena_array(a, HG_BLOCK_ROWS, 1))) return hg_arena_fail(a, "filtered aggregator", err);
    }
    *out = g;
    return HG_OK;
}

/* ---- rows ---- */

void hg_aggs_begin(struct hg_aggs *g, uint32_t row, uint32_t n, const struct hg_sel *sel)
{
    g->row = row;
    g->rows = n;
    g->want = sel;
    for (uint32_t k = 0; k < g->n_in; k++) g->in[k]->loaded = false;
    for (uint32_t k = 0; k < g->n; k++) g->v[k].masked = false;
}

static enum hg_rc decimal_overflow(const struct hg_agg *a, struct hg_err *err)
{
    return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the sum \"%s\" is too large for a decimal (64 bits of micro-units)", a->name);
}

/* Rows that lie together, into one group: a sum of integers is had from their column without reading the numbers. */
static enum hg_rc sum_together(struct hg_aggs *g, struct bound *b, struct hg_state_arr *st, const uint16_t *pos, uint32_t one, uint32_t m, bool *done, struct hg_err *err)
{
    const struct hg_agg *a = b->agg;
    const struct input *in = b->in;
    *done = false;
    if (a->kind != HG_AGG_SUM || a->state != HG_STATE_I64 || in->loaded || in->as != in->col->type || !in->col->ops->sum_i64) return HG_OK;
    if (pos && (uint32_t)pos[m - 1] - pos[0] + 1 != m) return HG_OK;
    __int128 sum;
    HG_TRY(in->col->ops->sum_i64(in->rd, g->row + (pos ? pos[0] : 0), m, &sum, done, err));
    if (!*done) return HG_OK;
    st->seen[one] = 1;
    sum += st->i[one];
    if (a->type == HG_T_DECIMAL && (sum < INT64_MIN || sum > INT64_MAX)) return decimal_overflow(a, err);
    st->i[one] = (int64_t)(uint64_t)sum; /* LONG wraps */
    return HG_OK;
}

static enum hg_rc add_one(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                          struct hg_err *err)
{
    if (!m) return HG_OK;
    const struct hg_agg *a = b->agg;
    const struct hg_slot_run *run = g->run;
    uint32_t n_runs = slot && slot != g->slot ? g->n_runs : 0; /* a filtered aggregator has slots of its own */
    if (a->kind == HG_AGG_COUNT) {
        if (n_runs) hg_k_count_runs(run, n_runs, st->i);
        else if (slot) hg_k_count_many(slot, m, st->i);
        else st->i[one] += m;
        return HG_OK;
    }
    if (a->kind == HG_AGG_EXPR) return hg_aggs_expr(g, b, s, st, pos, slot, one, m, err);
    if (a->kind == HG_AGG_CARDINALITY) return hg_aggs_cardinality(g, b, s, st, pos, slot, one, m, err);
    struct input *in = b->in;
    if (!slot) {
        bool done;
        HG_TRY(sum_together(g, b, st, pos, one, m, &done, err));
        if (done) return HG_OK;
    }
    HG_TRY(hg_aggs_load(g, in, err));
    if (a->state == HG_STATE_SKETCH) return hg_aggs_sketch(g, b, s, st, pos, slot, one, m, err);
    if (a->state == HG_STATE_TIMED || a->state == HG_STATE_TEXT) return hg_aggs_timed(g, b, s, st, pos, slot, one, m, err);
    const uint8_t *nulls = in->has_nulls ? in->nulls : NULL;
#define RUN(name, vals, acc)                                                                   \
    do {                                                                                       \
        if (n_runs && b->sure) hg_k_##name##_runs(vals, pos, run, n_runs, acc);                  \
        else if (slot) hg_k_##name##_many(vals, nulls, pos, slot, m, acc, b->sure ? NULL : st->seen); \
        else hg_k_##name##_one(vals, nulls, pos, m, &(acc)[one], &st->seen[one]);              \
        return HG_OK;                                                                          \
    } while (0)
    if (a->kind == HG_AGG_MEAN) {
        if (slot) hg_k_mean_many(in->d, nulls, pos, slot, m, st->d, st->i);
        else hg_k_mean_one(in->d, nulls, pos, m, &st->d[one], &st->i[one]);
        return HG_OK;
    }
    if (a->state == HG_STATE_I64) {
        if (a->kind == HG_AGG_MIN) RUN(min_i64, in->i, st->i);
        if (a->kind == HG_AGG_MAX) RUN(max_i64, in->i, st->i);
        if (a->type == HG_T_LONG) RUN(sum_i64, in->i, st->i);
        bool ok = n_runs && b->sure ? hg_k_sum_dec_runs(in->i, pos, run, n_runs, st->i) : slot ? hg_k_sum_dec_many(in->i, nulls, pos, slot, m, st->i, b->sure ? NULL : st->seen) : hg_k_sum_dec_one(in->i, nulls, pos, m, &st->i[one], &st->seen[one]);
        return ok ? HG_OK : decimal_overflow(a, err);
    }
    if (a->kind == HG_AGG_MIN) RUN(min_f64, in->d, st->d);
    if (a->kind == HG_AGG_MAX) RUN(max_f64, in->d, st->d);
    RUN(sum_f64, in->d, st->d);
#undef RUN
}

/* Which rows of the batch the aggregator's own filter takes. */
static enum hg_rc make_mask(struct hg_aggs *g, struct bound *b, struct hg_err *err)
{
    if (b->masked) return HG_OK;
    hg_sel_all(g->sel, g->rows);
    HG_TRY(hg_sieve_rows(b->sieve, g->row, g->rows, g->sel, err));
    if (g->sel->all) {
        memset(b->mask, 1, g->rows);
    } else {
        memset(b->mask, 0, g->rows);
        for (uint32_t k = 0; k < g->sel->n; k++) b->mask[g->sel->at[k]] = 1;
    }
    b->masked = true;
    return HG_OK;
}

static enum hg_rc add_bound(struct hg_aggs *g, struct bound *b, struct hg_states *s, struct hg_state_arr *st, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m,
                            struct hg_err *err)
{
    if (b->out) return HG_OK;
    if (!b->sieve) return add_one(g, b, s, st, pos, slot, one, m, err);
    HG_TRY(make_mask(g, b, err));
    uint32_t n = 0;
    for (uint32_t k = 0; k < m; k++) {
        uint32_t i = pos ? pos[k] : k;
        g->pos[n] = (uint16_t)i;
        if (slot) g->slot[n] = slot[k];
        n += b->mask[i];
    }
    return add_one(g, b, s, st, g->pos, slot ? g->slot : NULL, one, n, err);
}

/* Slots as runs, if they are few. Rows whose slots were not are mostly followed by more of the kind. */
static void find_runs(struct hg_aggs *g, const uint32_t *slot, uint32_t m)
{
    g->n_runs = 0;
    if (!slot || !m || (g->no_runs && g->no_runs--)) return;
    g->n_runs = hg_k_runs(slot, m, g->run, m / RUNS_SHARE + 1);
    if (g->n_runs || m < MANY_ROWS) g->runs_failed = 0;
    else g->no_runs = g->runs_failed < MOST_SKIPPED ? g->runs_failed++ : MOST_SKIPPED;
}

static bool is_plain_sum(const struct bound *b)
{
    const struct hg_agg *a = b->agg;
    return a->kind == HG_AGG_SUM && b->sure && !b->out && !b->sieve && ((a->state == HG_STATE_I64 && a->type == HG_T_LONG) || a->state == HG_STATE_F64);
}

/* The sums, which most aggregators are: all at once. */
static enum hg_rc add_sums(struct hg_aggs *g, struct hg_states *s, const uint32_t *slot, uint32_t m, struct hg_err *err)
{
    struct hg_k_sum v[SUMS];
    uint32_t n = 0;
    for (uint32_t k = 0; k < g->n; k++) {
        const struct bound *b = &g->v[k];
        if (!is_plain_sum(b)) continue;
        HG_TRY(hg_aggs_load(g, b->in, err));
        bool whole = b->agg->state == HG_STATE_I64;
        v[n++] = whole ? (struct hg_k_sum){.i = b->in->i, .acc_i = s->v[k].i} : (struct hg_k_sum){.d = b->in->d, .acc_d = s->v[k].d};
        if (n < SUMS) continue;
        hg_k_sums_many(v, n, slot, m);
        n = 0;
    }
    hg_k_sums_many(v, n, slot, m);
    return HG_OK;
}

enum hg_rc hg_aggs_add(struct hg_aggs *g, struct hg_states *s, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m, struct hg_err *err)
{
    find_runs(g, slot, m);
    bool at_once = slot && !g->n_runs && !pos;
    if (at_once) HG_TRY(add_sums(g, s, slot, m, err));
    for (uint32_t k = 0; k < g->n; k++)
        if (!at_once || !is_plain_sum(&g->v[k])) HG_TRY(add_bound(g, &g->v[k], s, &s->v[k], pos, slot, one, m, err));
    return HG_OK;
}

void hg_aggs_seen(const struct hg_aggs *g, struct hg_states *s, const uint8_t *used, uint64_t n)
{
    for (uint32_t k = 0; k < g->n; k++) {
        if (!g->v[k].sure) continue;
        if (!used && n) memset(s->v[k].seen, 1, n);
        for (uint64_t i = 0; used && i < n; i++) s->v[k].seen[i] |= used[i];
    }
}

bool hg_aggs_fit(const struct hg_aggs *g, const struct hg_states *s)
{
    for (uint32_t k = 0; k < g->n; k++) {
        const struct hg_state_arr *st = &s->v[k];
        struct hg_state_parts needs = hg_state_parts(g->v[k].agg);
        if ((needs.i && !st->i) || (needs.d && !st->d) || (needs.timed && !st->t) || (needs.obj && !st->obj) || (needs.seen && !st->seen && !g->v[k].sure)) return false;
    }
    return true;
}

uint32_t hg_aggs_sure(const struct hg_aggs *g)
{
    uint32_t bits = 0;
    for (uint32_t k = 0; k < g->n && k < 32; k++) bits |= (uint32_t)g->v[k].sure << k;
    return bits;
}

/* ---- whole blocks ---- */

/* Whether the block's statistics answer the aggregator; if so they are added. */
static enum hg_rc from_stats(struct hg_aggs *g, struct bound *b, struct hg_state_arr *st, uint32_t block, uint32_t one, bool *done, struct hg_err *err)
{
    const struct hg_agg *a = b->agg;
    *done = b->out;
    if (b->out) return HG_OK;
    if (b->sieve) {
        enum hg_cover c;
        HG_TRY(hg_sieve_block(b->sieve, block, &c, err));
        *done = c == HG_COVER_NONE;
        if (c != HG_COVER_ALL) return HG_OK;
    }
    if (a->kind == HG_AGG_COUNT) {
        st->i[one] += hg_block_rows(g->src, block);
        return *done = true, HG_OK;
    }
    if (a->state != HG_STATE_I64 && a->state != HG_STATE_F64 && a->state != HG_STATE_MEAN) return HG_OK;
    const struct hg_column *c = b->in->col;
    bool same = a->type == c->type || (a->type == HG_T_DOUBLE && c->type == HG_T_FLOAT), widened = a->type == HG_T_DOUBLE && c->type == HG_T_LONG;
    if (!hg_type_is_number(c->type) || !(same || widened)) return HG_OK;
    struct hg_block_stats bs;
    HG_TRY(c->ops->stats(c, block, &bs, err));
    uint32_t some = bs.rows - bs.nulls;
    if (some == 0) return *done = true, HG_OK;
    if (a->kind == HG_AGG_SUM || a->kind == HG_AGG_MEAN) {
        if (!bs.has_sum) return HG_OK;
        if (a->state == HG_STATE_I64) {
            bool over = __builtin_add_overflow(st->i[one], bs.sum.i, &st->i[one]); /* LONG wraps; the wrapped sum is what is left there */
            if (over && a->type == HG_T_DECIMAL) return decimal_overflow(a, err);
        } else {
            st->d[one] += widened ? (double)bs.sum.i : bs.sum.d;
            if (a->kind == HG_AGG_MEAN) st->i[one] += some;
        }
        if (a->kind == HG_AGG_SUM) st->seen[one] = 1;
        return *done = true, HG_OK;
    }
    if (!bs.has_range) return HG_OK;
    if (a->state == HG_STATE_I64) {
        if (a->kind == HG_AGG_MIN && bs.min.i < st->i[one]) st->i[one] = bs.min.i;
        if (a->kind == HG_AGG_MAX && bs.max.i > st->i[one]) st->i[one] = bs.max.i;
    } else {
        double lo = widened ? (double)bs.min.i : bs.min.d, hi = widened ? (double)bs.max.i : bs.max.d;
        if (a->kind == HG_AGG_MIN && lo < st->d[one]) st->d[one] = lo;
        if (a->kind == HG_AGG_MAX && hi > st->d[one]) st->d[one] = hi;
    }
    st->seen[one] = 1;
    return *done = true, HG_OK;
}

enum hg_rc hg_aggs_add_block(struct hg_aggs *g, struct hg_states *s, uint32_t block, uint32_t vector_rows, uint32_t one, struct hg_err *err)
{
    uint32_t rows = hg_block_rows(g->src, block), left = 0;
    bool todo[HG_PLAN_MAX_AGGS];
    for (uint32_t k = 0; k < g->n; k++) {
        bool done;
        HG_TRY(from_stats(g, &g->v[k], &s->v[k], block, one, &done, err));
        todo[k] = !done;
        left += !done;
    }
    if (!left) {
        g->x->stats.blocks_from_stats++;
        return HG_OK;
    }
    g->x->stats.blocks_read++;
    for (uint32_t at = 0; at < rows; at += vector_rows) {
        uint32_t n = rows - at < vector_rows ? rows - at : vector_rows;
        hg_aggs_begin(g, block * HG_BLOCK_ROWS + at, n, NULL);
        for (uint32_t k = 0; k < g->n; k++)
            if (todo[k]) HG_TRY(add_bound(g, &g->v[k], s, &s->v[k], NULL, NULL, one, n, err));
    }
    return HG_OK;
}
