/* groupBy's having, row by row. */
#include "query/filter/eval.h"
#include "query/result/answer.h"

#include <string.h>

static enum hg_rc compare(struct hg_answer *an, const struct hg_having *h, bool *out, struct hg_err *err)
{
    struct hg_val v;
    struct hg_field f = hg_answer_find(an, h->field);
    HG_TRY(hg_answer_get(an, f, &v, err));
    *out = false;
    if (v.kind == HG_VAL_NULL || !h->value.there) { /* null equals null, and compares with nothing */
        *out = h->kind == HG_HAVING_EQUAL && v.kind == HG_VAL_NULL && !h->value.there && f.kind != HG_FIELD_NONE;
        return HG_OK;
    }
    bool ok;
    int k = hg_val_cmp_edge(&v, &h->value, &ok);
    if (ok) *out = h->kind == HG_HAVING_GREATER ? k > 0 : h->kind == HG_HAVING_LESS ? k < 0 : k == 0;
    return HG_OK;
}

static enum hg_rc dim_is(struct hg_answer *an, const struct hg_having *h, bool *out, struct hg_err *err)
{
    struct hg_val v;
    char scratch[HG_VAL_TEXT];
    HG_TRY(hg_answer_get(an, hg_answer_find(an, h->field), &v, err));
    struct hg_str s = hg_val_text(&v, scratch);
    *out = s.len == 0 ? h->text.len == 0 : hg_str_eq(s, h->text); /* here, as in Druid, null and "" are one */
    return HG_OK;
}

struct row_of { /* what a filter looks at */
    struct hg_answer *an;
    enum hg_rc rc;
    struct hg_err *err;
};

static void get(void *arg, const char *column, struct hg_fval *out)
{
    struct row_of *row = arg;
    struct hg_val v;
    *out = (struct hg_fval){.null = true, .type = HG_T_STRING};
    if (strcmp(column, "__time") == 0) {
        *out = (struct hg_fval){.type = HG_T_LONG, .i = hg_answer_stamp(row->an)};
        return;
    }
    struct hg_field f = hg_answer_find(row->an, column);
    enum hg_rc rc = hg_answer_get(row->an, f, &v, row->err);
    if (rc != HG_OK) {
        row->rc = rc;
        return;
    }
    if (f.kind == HG_FIELD_AGG) out->type = row->an->plan->aggs[f.k].type == HG_T_STRING ? HG_T_STRING : row->an->plan->aggs[f.k].type == HG_T_LONG ? HG_T_LONG : HG_T_DOUBLE; /* the type of a null */
    else if (f.kind == HG_FIELD_DIM) out->type = row->an->plan->dims[f.k].type;
    else if (f.kind == HG_FIELD_POST) out->type = HG_T_DOUBLE;
    out->null = false;
    switch (v.kind) {
    case HG_VAL_I64: out->type = HG_T_LONG, out->i = v.i; return;
    case HG_VAL_DEC: out->type = HG_T_DECIMAL, out->i = v.i; return;
    case HG_VAL_F64: out->type = HG_T_DOUBLE, out->d = v.d; return;
    case HG_VAL_F32: out->type = HG_T_FLOAT, out->d = (double)(float)v.d; return;
    case HG_VAL_STR: out->type = HG_T_STRING, out->s = v.s; return;
    case HG_VAL_MEAN:
    case HG_VAL_SKETCH:
    case HG_VAL_BOUNDS:
    case HG_VAL_TIMED:
        out->type = HG_T_DOUBLE;
        out->null = !hg_val_number(&v, &out->d);
        return;
    case HG_VAL_NULL:
    case HG_VAL_ARRAY:
    case HG_VAL_LIST: out->null = true; return;
    }
}

enum hg_rc hg_having_holds(struct hg_answer *an, const struct hg_having *h, bool *out, struct hg_err *err)
{
    switch (h->kind) {
    case HG_HAVING_ALWAYS: return *out = true, HG_OK;
    case HG_HAVING_NEVER: return *out = false, HG_OK;
    case HG_HAVING_AND:
    case HG_HAVING_OR: {
        bool ends = h->kind == HG_HAVING_OR;
        *out = !ends;
        for (uint32_t k = 0; k < h->n_kids && *out != ends; k++) HG_TRY(hg_having_holds(an, h->kids[k], out, err));
        return HG_OK;
    }
    case HG_HAVING_NOT:
        HG_TRY(hg_having_holds(an, h->kids[0], out, err));
        *out = !*out;
        return HG_OK;
    case HG_HAVING_GREATER:
    case HG_HAVING_LESS:
    case HG_HAVING_EQUAL: return compare(an, h, out, err);
    case HG_HAVING_DIM: return dim_is(an, h, out, err);
    case HG_HAVING_FILTER: {
        struct row_of row = {an, HG_OK, err};
        *out = hg_filter_eval(h->filter, get, &row) == HG_TRUE;
        return row.rc;
    }
    }
    return HG_OK;
}
