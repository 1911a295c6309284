/* Building derived columns: their types, how they are computed, tables and dictionaries. */
#include "query/expr/derived.h"

#include <string.h>
#include "query/engine/check.h"
#include "query/expr/derived_private.h"
#include "query/expr/node.h"

struct build {
    const struct hg_source *base;
    const struct hg_interval *ivs;
    uint32_t n_ivs;
    struct hg_exec *x;
    struct hg_arena *a;
    struct hg_source *out;
    struct hg_column *cols;
    const struct dcol **made; /* by column: NULL when it is the base's */
};

/* ---- values ---- */

/* Whether any element is true; *null: none is, but one is null, as a row of a column without values is. Druid takes no array that it computes in batches for true. */
static bool list_is_true(const struct dcol *c, const struct hg_xval *v, bool *null)
{
    *null = false;
    if (c->in_batches && (v->n != 1 || !hg_expr_is_const(c->e)) && c->e->root->op != X_COLUMN) return false;
    for (uint32_t k = 0; k < v->n; k++) {
        if (hg_x_as_bool(&v->v[k])) return *null = false, true;
        *null |= v->v[k].null;
    }
    *null |= !v->n && c->e->root->op == X_COLUMN;
    return false;
}

void hg_derived_number(const struct dcol *c, const struct hg_xval *v, int64_t *i, double *d, bool *null)
{
    struct hg_xnum x = {0};
    *i = 0, *d = 0;
    if (c->def->kind == HG_VC_BOOL) {
        *null = v->null;
        if (v->null) return;
        if (hg_xtype_is_array(v->type)) *i = list_is_true(c, v, null);
        else *i = hg_x_as_bool(v);
        return;
    }
    *null = !hg_x_number(v, &x);
    if (*null) return;
    *i = x.is_int ? x.i : hg_x_double_to_long(x.d);
    *d = x.is_int ? (double)x.i : x.d;
    if (c->pub.type == HG_T_FLOAT) *d = (double)(float)*d;
}

enum hg_rc hg_derived_text(const struct dcol *c, const struct hg_xval *v, struct hg_arena *a, struct hg_buf *key, struct hg_str *out, struct hg_err *err)
{
    struct hg_xval w = *v;
    if (hg_xtype_is_array(c->type) && !hg_expr_is_const(c->e)) HG_TRY(hg_x_uniform(v, a, &w, err)); /* as a group an array is of one type */
    if (c->def->kind != HG_VC_KEY) {
        if (hg_xtype_is_array(c->type) && hg_xtype_is_array(v->type)) return hg_x_list_text(&w, a, out, err);
        return hg_x_text(v, a, out, err);
    }
    *out = (struct hg_str){0, 0};
    if (v->null) return HG_OK;
    HG_TRY(hg_x_uniform(v, a, &w, err));
    HG_TRY(hg_x_cast(&w, c->def->xtype, a, &w, err));
    hg_buf_clear(key);
    HG_TRY(hg_x_key(&w, key, err));
    *out = (struct hg_str){key->len ? (const char *)key->p : "", key->len};
    return HG_OK;
}

/* ---- inputs ---- */

static const struct hg_column *find(const struct build *b, const char *name, const struct dcol **made)
{
    *made = NULL;
    for (uint32_t k = 0; k < b->out->n_cols; k++) {
        if (strcmp(b->cols[k].name, name) != 0) continue;
        *made = b->made[k];
        return b->made[k] ? &b->made[k]->pub : &b->cols[k];
    }
    return NULL;
}

static enum hg_rc bind_inputs(struct build *b, struct dcol *c, bool *multi, struct hg_err *err)
{
    const struct hg_expr *e = c->def->expr;
    c->in = hg_arena_array(b->a, e->n_inputs, sizeof *c->in);
    if (!c->in) return hg_arena_fail(b->a, "virtual column", err);
    for (uint32_t k = 0; k < e->n_inputs; k++) {
        const struct dcol *made;
        const struct hg_column *col = find(b, e->inputs[k].name, &made);
        c->in[k].col = col;
        c->in[k].there = col != NULL;
        c->in[k].type = !col ? HG_X_NONE : made ? (made->type == HG_X_NONE ? HG_X_STRING : made->type) : hg_xtype_of_column(col->type);
        if (col && hg_type_is_complex(col->type)) c->in[k].col = NULL; /* a sketch has no value here */
        multi[k] = c->in[k].type != HG_X_NONE && col->type == HG_T_STRING && col->multi;
        if (hg_xtype_is_array(c->in[k].type) && made && col->type == HG_T_STRING && !col->multi)
            return hg_fail(err, HG_E_UNSUPPORTED, "the virtual column \"%s\" looks at \"%s\", which is an %s; write its expression out instead", c->def->name, col->name, hg_xtype_name(c->in[k].type));
    }
    return HG_OK;
}

/* ---- types ---- */

/* Whether all columns that a part of the expression looks at are there. (A join's condition is cut in two, and each has the inputs of both.) */
static bool all_there(const struct dcol *c, const struct hg_xnode *n)
{
    if (n->op == X_COLUMN) return c->in[n->slot].there;
    for (uint32_t k = 0; k < n->n_args; k++)
        if (!all_there(c, n->args[k])) return false;
    return true;
}

/* What the expression is known to give. Over a column that is not there that is not known, unless Druid computes it in batches; then it is asked nevertheless. */
static enum hg_xtype known_type(struct dcol *c, bool mapped)
{
    enum hg_xtype types[256];
    uint32_t n = c->def->expr->n_inputs;
    if (n > 256) return HG_X_NONE;
    for (uint32_t k = 0; k < n; k++) types[k] = c->in[k].type;
    c->in_batches = !mapped && hg_expr_in_batches(c->def->expr, types);
    return c->in_batches || all_there(c, c->def->expr->root) ? hg_expr_type(c->def->expr, types) : HG_X_NONE;
}

/* Druid's ExpressionPlan: numbers are what the expression is known to give, but FLOAT where "outputType" says so; anything else is numbers where "outputType" says so, and where
 * nothing is known and nothing is said. */
static void choose_type(struct dcol *c, bool mapped)
{
    const struct hg_vcol *def = c->def;
    c->pub.is_metric = false;
    c->pub.has_nulls = true;
    if (def->kind == HG_VC_BOOL || def->kind == HG_VC_NUMBER) {
        known_type(c, mapped);
        c->pub.type = def->kind == HG_VC_BOOL ? HG_T_LONG : def->type == HG_T_DECIMAL ? HG_T_DOUBLE : def->type;
        c->type = hg_xtype_of_column(c->pub.type);
        return;
    }
    c->type = known_type(c, mapped);
    if (def->kind == HG_VC_KEY) {
        c->pub.type = HG_T_STRING;
        return;
    }
    bool as_float = def->has_type && def->type == HG_T_FLOAT && def->xtype == HG_X_DOUBLE, numbers = hg_xtype_is_number(c->type);
    if (!numbers && (def->has_type ? hg_xtype_is_number(def->xtype) : c->type == HG_X_NONE && !hg_vcol_hidden(def))) { /* a join's hidden key is text */
        c->type = def->has_type ? def->xtype : HG_X_DOUBLE;
        as_float = as_float || !def->has_type;
        numbers = true;
    }
    if (numbers) {
        c->pub.type = as_float ? HG_T_FLOAT : c->type == HG_X_LONG ? HG_T_LONG : HG_T_DOUBLE;
        return;
    }
    if (c->type == HG_X_NONE) c->type = def->xtype;
    if (hg_xtype_is_array(c->type) && def->has_type && def->xtype == HG_X_STRING) c->type = HG_X_STRING; /* an array asked for as text is a multi-value */
    c->pub.type = HG_T_STRING;
    c->list = (mapped || hg_x_gives_arrays(c->e->root)) && !hg_xtype_is_array(c->type);
}

/* ---- tables ---- */

static enum hg_rc entry_of(struct build *b, struct dcol *c, struct hg_expr_run *run, struct hg_buf *key, uint32_t at, struct hg_err *err)
{
    struct hg_xval v;
    struct hg_err why;
    enum hg_rc rc = hg_expr_eval(c->def->expr, run, &v, &why);
    if (rc == HG_E_INVALID) {
        if (!c->failure.rc) c->failure = why;
        if (c->entry) c->entry[at] = ENTRY_FAILED;
        else c->num_null[at] = 2;
        return HG_OK;
    }
    if (rc != HG_OK) {
        if (err) *err = why;
        return rc;
    }
    if (c->entry) {
        struct hg_str s;
        HG_TRY(hg_derived_text(c, &v, run->a, key, &s, err));
        return hg_xdict_add(&c->dict, s, &c->entry[at], err);
    }
    int64_t i;
    double d;
    bool null;
    hg_derived_number(c, &v, &i, &d, &null);
    if (c->num_i) c->num_i[at] = i;
    else c->num_d[at] = d;
    c->num_null[at] = null;
    (void)b;
    return HG_OK;
}

static enum hg_rc fill_entries(struct build *b, struct dcol *c, struct hg_arena *scratch, struct hg_buf *text, struct hg_buf *key, struct hg_err *err)
{
    const struct hg_expr *e = c->def->expr;
    struct hg_expr_run run;
    uint32_t *last = hg_arena_array(b->a, e->n_inputs, sizeof *last);
    if (!last) return hg_arena_fail(b->a, "virtual column", err);
    HG_TRY(hg_expr_run_new(e, b->a, scratch, &run, err));
    run.x = b->x;
    for (uint32_t at = 0; at < c->entries; at++) {
        if ((at & 1023) == 0) HG_TRY(hg_exec_check(b->x, err));
        uint32_t left = at;
        for (uint32_t k = 0; k < e->n_inputs; k++) {
            if (!c->in[k].col) continue;
            uint32_t id = left / c->stride[k];
            left %= c->stride[k];
            if (at && id == last[k]) continue;
            last[k] = id;
            run.inputs[k] = hg_x_str(hg_dict_get(c->in[k].col->dict, id, &text[k]));
        }
        hg_arena_reset(scratch);
        HG_TRY(entry_of(b, c, &run, key, at, err));
    }
    return HG_OK;
}

/* Room for the results, then each combination of ids once. */
static enum hg_rc make_table(struct build *b, struct dcol *c, struct hg_err *err)
{
    uint32_t n = c->def->expr->n_inputs;
    struct hg_buf *text = hg_arena_array(b->a, n, sizeof *text), key;
    struct hg_arena *scratch = hg_arena_new(b->x->budget);
    if (!text || !scratch) {
        hg_arena_free(scratch);
        return hg_fail(err, HG_E_NOMEM, "virtual column");
    }
    for (uint32_t k = 0; k < n; k++) hg_buf_init(&text[k], SIZE_MAX);
    hg_buf_init(&key, HG_X_MAX_TEXT);
    bool room;
    if (c->pub.type == HG_T_STRING) {
        room = (c->entry = hg_arena_array(b->a, c->entries, sizeof *c->entry)) != NULL;
    } else {
        c->num_null = hg_arena_array(b->a, c->entries, 1);
        if (c->pub.type == HG_T_LONG) c->num_i = hg_arena_array(b->a, c->entries, sizeof *c->num_i);
        else c->num_d = hg_arena_array(b->a, c->entries, sizeof *c->num_d);
        room = c->num_null && (c->num_i || c->num_d);
    }
    enum hg_rc rc = room ? fill_entries(b, c, scratch, text, &key, err) : hg_arena_fail(b->a, "virtual column", err);
    for (uint32_t k = 0; k < n; k++) hg_buf_free(&text[k]);
    hg_buf_free(&key);
    hg_arena_free(scratch);
    return rc;
}

/* Whether the combinations of the inputs' ids are few enough, and lays them out. */
static enum hg_rc plan_table(struct build *b, struct dcol *c, bool mapped, bool *fits, struct hg_err *err)
{
    uint32_t n = c->def->expr->n_inputs, there = 0;
    uint64_t total = 1, most = b->base->n_rows > 4096 ? b->base->n_rows : 4096;
    *fits = false;
    c->stride = hg_arena_array(b->a, n, sizeof *c->stride);
    if (!c->stride) return hg_arena_fail(b->a, "virtual column", err);
    for (uint32_t k = n; k-- > 0;) {
        const struct hg_column *col = c->in[k].col;
        if (!col) continue;
        if (col->type != HG_T_STRING || hg_xtype_is_array(c->in[k].type)) return HG_OK;
        there++;
        if (col->multi && !mapped) return HG_OK;
        c->stride[k] = (uint32_t)total;
        total *= col->dict->card;
        if (total > most || total > 1u << 24) {
            if (n != 1 || total >= ENTRY_DROP) return HG_OK; /* of one column alone it pays all the same: once a value, not once a row */
        }
    }
    if (mapped && (there != 1 || c->pub.type != HG_T_STRING)) return HG_OK;
    c->entries = (uint32_t)total;
    *fits = true;
    return HG_OK;
}

/* ---- strings of all rows ---- */

static enum hg_rc add_text(struct dcol *c, const struct hg_xval *v, struct hg_arena *scratch, struct hg_buf *key, uint32_t *id, struct hg_err *err)
{
    struct hg_str s;
    HG_TRY(hg_derived_text(c, v, scratch, key, &s, err));
    return hg_xdict_add(&c->dict, s, id, err);
}

/* No array is a null among a row's values; but as Druid has it these functions then give a row without any. */
static bool loses_nulls(const struct hg_xnode *n)
{
    if (n->op != X_CALL && n->op != X_APPLY) return false;
    if (n->fn->rule == R_FILTER || n->fn->eval == hg_xf_to_strings) return true;
    for (uint32_t k = 0; n->fn->flags & F_LAZY && k < n->n_args; k++)
        if (loses_nulls(n->args[k])) return true;
    return false;
}

static enum hg_rc add_list(struct dcol *c, const struct hg_xval *v, struct hg_arena *scratch, struct hg_buf *key, struct hg_buf *ids, struct hg_err *err)
{
    uint32_t id = 0;
    if (v->null && hg_xtype_is_array(v->type) && loses_nulls(c->e->root)) return HG_OK;
    if (v->null || !hg_xtype_is_array(v->type)) {
        HG_TRY(add_text(c, v, scratch, key, &id, err));
        hg_buf_u32(ids, id);
        return hg_buf_check(ids, "virtual column", err);
    }
    for (uint32_t k = 0; k < v->n; k++) {
        HG_TRY(add_text(c, &v->v[k], scratch, key, &id, err));
        hg_buf_u32(ids, id);
    }
    return hg_buf_check(ids, "virtual column", err);
}

static bool wanted(const struct build *b, int64_t t)
{
    for (uint32_t k = 0; k < b->n_ivs; k++)
        if (t >= b->ivs[k].start && t < b->ivs[k].end) return true;
    return false;
}
static bool block_wanted(const struct build *b, const struct hg_block_stats *st)
{
    struct hg_interval span = {st->min.i, st->max.i + 1};
    for (uint32_t k = 0; k < b->n_ivs; k++)
        if (hg_interval_overlaps(span, b->ivs[k])) return true;
    return false;
}

static enum hg_rc fill_block(struct build *b, struct dcol *c, struct hg_xrows *r, uint32_t block, const int64_t *times, struct hg_buf *key, struct hg_buf *ids, struct hg_err *err)
{
    uint32_t n = hg_block_rows(b->base, block);
    struct block_ids *out = &c->blocks[block];
    HG_TRY(hg_xrows_load(r, block * HG_BLOCK_ROWS, n, err));
    hg_buf_clear(ids);
    if (c->list && !(out->ends = hg_arena_array(b->a, n, sizeof *out->ends))) return hg_arena_fail(b->a, "virtual column", err);
    for (uint32_t k = 0; k < n; k++) {
        struct hg_xval v;
        if (!wanted(b, times[k])) {
            hg_buf_u32(ids, 0);
        } else {
            uint32_t id = 0;
            HG_TRY(hg_xrows_eval(r, k, &v, err));
            if (c->list) HG_TRY(add_list(c, &v, r->scratch, key, ids, err));
            else {
                HG_TRY(add_text(c, &v, r->scratch, key, &id, err));
                hg_buf_u32(ids, id);
            }
        }
        if (out->ends) out->ends[k] = (uint32_t)(ids->len / 4);
    }
    HG_TRY(hg_buf_check(ids, "virtual column", err));
    out->ids = hg_arena_alloc(b->a, ids->len);
    if (!out->ids) return hg_arena_fail(b->a, "virtual column", err);
    if (ids->len) memcpy(out->ids, ids->p, ids->len);
    return HG_OK;
}

static enum hg_rc fill_blocks(struct build *b, struct dcol *c, struct hg_buf *key, struct hg_buf *ids, struct hg_err *err)
{
    uint32_t blocks = hg_source_blocks(b->base);
    struct hg_xrows *r = hg_arena_alloc(b->a, sizeof *r);
    const struct hg_column *time = &b->base->cols[0];
    struct hg_colread *rd;
    int64_t *times = hg_arena_array(b->a, HG_BLOCK_ROWS, sizeof *times);
    c->blocks = hg_arena_array(b->a, blocks, sizeof *c->blocks);
    if (!r || !times || !c->blocks) return hg_arena_fail(b->a, "virtual column", err);
    HG_TRY(time->ops->open(time, b->a, &rd, err));
    HG_TRY(hg_xrows_open(r, c->e, c->in, b->x, b->a, err));
    for (uint32_t k = 0; k < blocks; k++) {
        struct hg_block_stats st;
        HG_TRY(hg_exec_check(b->x, err));
        HG_TRY(time->ops->stats(time, k, &st, err));
        if (st.has_range && !block_wanted(b, &st)) continue;
        HG_TRY(time->ops->i64(rd, k * HG_BLOCK_ROWS, hg_block_rows(b->base, k), times, NULL, err));
        HG_TRY(fill_block(b, c, r, k, times, key, ids, err));
    }
    return HG_OK;
}

static enum hg_rc make_blocks(struct build *b, struct dcol *c, struct hg_err *err)
{
    struct hg_buf key, ids;
    hg_buf_init(&key, HG_X_MAX_TEXT);
    hg_buf_init(&ids, 1u << 30);
    enum hg_rc rc = fill_blocks(b, c, &key, &ids, err);
    hg_buf_free(&key);
    hg_buf_free(&ids);
    return rc;
}

/* ---- columns ---- */

static enum hg_rc make_expr(struct build *b, struct dcol *c, struct hg_err *err)
{
    bool *multi = hg_arena_array(b->a, c->def->expr->n_inputs, sizeof *multi), mapped = false, fits;
    if (!multi) return hg_arena_fail(b->a, "virtual column", err);
    HG_TRY(bind_inputs(b, c, multi, err));
    HG_TRY(hg_expr_map(c->def->expr, multi, b->a, &c->e, &mapped, err));
    choose_type(c, mapped);
    bool text = c->pub.type == HG_T_STRING;
    if (text) {
        HG_TRY(hg_xdict_init(&c->dict, b->a, err));
        c->pub.dict = &c->dict.base;
    }
    HG_TRY(plan_table(b, c, mapped, &fits, err));
    if (fits && c->list == mapped) {
        c->how = BY_TABLE;
        c->pub.multi = mapped;
        return make_table(b, c, err);
    }
    if (text) {
        c->how = BY_BLOCKS;
        c->pub.multi = c->list;
        return make_blocks(b, c, err);
    }
    if (!mapped) HG_TRY(hg_xvector_new(c->e, c->in, b->a, &c->vec, err));
    c->how = c->vec ? BY_VECTOR : BY_ROWS;
    return HG_OK;
}

static bool is_array(const struct dcol *made) { return made->e && made->pub.type == HG_T_STRING && hg_xtype_is_array(made->type); }

/* The elements of a column of arrays as values of rows, which is what an extraction function sees of it. */
static enum hg_rc make_elements(struct build *b, const struct dcol *made, const struct hg_column **col, struct hg_err *err)
{
    struct hg_vcol *def = hg_arena_alloc(b->a, sizeof *def);
    struct dcol *c = hg_arena_zalloc(b->a, sizeof *c);
    if (!def || !c) return hg_arena_fail(b->a, "virtual column", err);
    *def = *made->def;
    def->has_type = true;
    def->xtype = HG_X_STRING;
    c->def = def;
    c->x = b->x;
    c->pub = (struct hg_column){.name = def->name, .ops = &hg_derived_ops, .src = b->base};
    HG_TRY(make_expr(b, c, err));
    c->pub.impl = c;
    *col = &c->pub;
    return HG_OK;
}

static enum hg_rc make_values(struct build *b, struct dcol *c, struct hg_err *err)
{
    const struct dcol *made;
    const struct hg_column *col = find(b, c->def->column, &made);
    if (made && c->def->kind == HG_VC_EXTRACT && !c->def->in_filter && is_array(made)) HG_TRY(make_elements(b, made, &col, err));
    c->fill_empty = c->def->in_filter && !(made && !made->e); /* what a filter left empty stays so */
    return hg_derived_values(c, col, b->base, b->ivs, b->n_ivs, b->x, b->a, err);
}

static bool takes_arrays(const struct hg_xnode *n)
{
    for (uint32_t k = 0; k < n->n_args; k++)
        if (((n->op == X_CALL || n->op == X_APPLY) && hg_xfn_wants_array(n, k)) || takes_arrays(n->args[k])) return true;
    return false;
}

/* Druid leaves out a dimension's extraction function over a virtual column that is computed, value by value, from one column of text, and what filters
 * a dimension over one that is filtered itself, or is of arrays. */
static bool left_out(const struct hg_vcol *def, const struct dcol *made)
{
    if (!made || def->in_filter) return false;
    if (def->kind != HG_VC_EXTRACT) return hg_vcol_hidden(def) && (made->e ? is_array(made) : made->def->kind != HG_VC_EXTRACT);
    if (!made->e) return made->def->kind != HG_VC_EXTRACT;
    const struct hg_expr *e = made->def->expr;
    return made->def->kind == HG_VC_EXPR && e->n_inputs == 1 && made->in[0].col && made->in[0].col->type == HG_T_STRING && !hg_expr_gives_arrays(e) && !takes_arrays(e->root);
}

/* Whether an expression that is only the name of a column is the column itself: where "outputType" asks for nothing else. What is no FLOAT is not changed by asking for another number, nor
 * a number by asking for text. */
static bool is_itself(const struct hg_vcol *def, const struct hg_column *col)
{
    if (!def->has_type || hg_type_is_complex(col->type) || hg_xtype_is_array(def->xtype) || def->type == col->type) return true;
    return hg_type_is_integer(col->type) || col->type == HG_T_DOUBLE ? def->type != HG_T_FLOAT : false;
}

/* The column by another name: what an expression that is only a name is. */
static const struct hg_column *alias_of(const struct build *b, const struct hg_vcol *def, const struct dcol **made)
{
    if (def->kind >= HG_VC_VALUES) {
        const struct hg_column *col = find(b, def->column, made);
        return left_out(def, *made) ? col : NULL;
    }
    if (def->kind != HG_VC_EXPR || !def->expr) return NULL;
    uint32_t k = hg_expr_is_column(def->expr);
    const struct hg_column *col = k == UINT32_MAX ? NULL : find(b, def->expr->inputs[k].name, made);
    return col && is_itself(def, col) ? col : NULL;
}

static enum hg_rc add(struct build *b, const struct hg_vcol *def, struct hg_err *err)
{
    uint32_t at = 0;
    const struct dcol *made = NULL;
    const struct hg_column *same = alias_of(b, def, &made);
    while (at < b->out->n_cols && strcmp(b->cols[at].name, def->name) != 0) at++;
    if (same) {
        struct hg_column copy = *same;
        copy.name = def->name;
        b->cols[at] = copy;
        b->made[at] = made;
    } else {
        struct dcol *c = hg_arena_zalloc(b->a, sizeof *c);
        if (!c) return hg_arena_fail(b->a, "virtual column", err);
        c->def = def;
        c->x = b->x;
        c->pub = (struct hg_column){.name = def->name, .ops = &hg_derived_ops, .src = b->base};
        HG_TRY(def->expr ? make_expr(b, c, err) : make_values(b, c, err));
        c->pub.impl = c;
        b->cols[at] = c->pub;
        b->made[at] = c;
    }
    if (at == b->out->n_cols) b->out->n_cols++;
    return HG_OK;
}

enum hg_rc hg_derived_new(const struct hg_vcol *const *cols, uint32_t n, const struct hg_source *base, const struct hg_interval *ivs, uint32_t n_ivs, struct hg_exec *x, struct hg_arena *a,
                          const struct hg_source **out, struct hg_err *err)
{
    struct build b = {.base = base, .ivs = ivs, .n_ivs = n_ivs, .x = x, .a = a};
    b.out = hg_arena_alloc(a, sizeof *b.out);
    b.cols = hg_arena_array(a, (size_t)base->n_cols + n, sizeof *b.cols);
    b.made = hg_arena_array(a, (size_t)base->n_cols + n, sizeof *b.made);
    if (!b.out || !b.cols || !b.made) return hg_arena_fail(a, "virtual columns", err);
    memcpy(b.cols, base->cols, base->n_cols * sizeof *b.cols);
    *b.out = *base;
    b.out->cols = b.cols;
    for (uint32_t k = 0; k < n; k++) {
        enum hg_rc rc = add(&b, cols[k], err);
        if (rc != HG_OK) return !hg_vcol_hidden(cols[k]) ? hg_err_context(err, rc, "virtual column \"%s\"", cols[k]->name) : rc;
    }
    *out = b.out;
    return HG_OK;
}
