#include "query/agg/xagg.h"

#include <stdlib.h>
#include <string.h>

static enum hg_rc keep(struct hg_xacc **o, const void *p, size_t len, struct hg_err *err)
{
    if (!*o || (*o)->cap < len) {
        struct hg_xacc *x = realloc(*o, sizeof *x + len);
        if (!x) return hg_fail(err, HG_E_NOMEM, "expression aggregator");
        x->cap = (uint32_t)len;
        *o = x;
    }
    (*o)->len = (uint32_t)len;
    memcpy((*o)->bytes, p, len);
    return HG_OK;
}

enum hg_rc hg_xacc_set(const struct hg_agg *a, struct hg_xacc **o, const struct hg_xval *v, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, (size_t)a->xagg->max_bytes + 16);
    hg_buf_u8(&b, (uint8_t)v->type);
    hg_buf_u8(&b, v->null);
    enum hg_rc rc = HG_OK;
    if (v->null) rc = HG_OK;
    else if (hg_xtype_is_array(v->type)) rc = hg_x_key(v, &b, err);
    else if (v->type == HG_X_LONG) hg_buf_i64(&b, v->i);
    else if (v->type == HG_X_DOUBLE) hg_buf_f64(&b, v->d);
    else hg_buf_put(&b, v->s.p, v->s.len);
    if (b.failed && !b.nomem) rc = hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the aggregator \"%s\" gathers more than its maxSizeBytes, %u", a->name, a->xagg->max_bytes);
    else if (rc == HG_OK) rc = hg_buf_check(&b, "expression aggregator", err);
    if (rc == HG_OK) rc = keep(o, b.p, b.len, err);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_xacc_get(const struct hg_xacc *o, struct hg_arena *a, struct hg_xval *out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of((struct hg_span){o->bytes, o->len});
    uint8_t type = hg_rd_u8(&r), null = hg_rd_u8(&r);
    if (r.bad || type < HG_X_STRING || type > HG_X_DOUBLES) return hg_fail(err, HG_E_CORRUPT, "the state of an expression aggregator is malformed");
    *out = hg_x_null((enum hg_xtype)type);
    if (null) return HG_OK;
    struct hg_str rest = {(const char *)r.p, hg_rd_left(&r)};
    if (hg_xtype_is_array(out->type)) return hg_x_of_key(rest, out->type, a, out, err);
    if (type == HG_X_STRING) {
        char *copy = hg_arena_strndup(a, rest.p, rest.len);
        if (!copy) return hg_arena_fail(a, "expression aggregator", err);
        *out = hg_x_str((struct hg_str){copy, rest.len});
    } else if (type == HG_X_LONG) {
        *out = hg_x_long(hg_rd_i64(&r));
    } else {
        *out = hg_x_double(hg_rd_f64(&r));
    }
    return r.bad ? hg_fail(err, HG_E_CORRUPT, "the state of an expression aggregator is cut") : HG_OK;
}

enum hg_rc hg_xacc_copy(const struct hg_xacc *o, struct hg_xacc **out, struct hg_err *err)
{
    *out = NULL;
    return keep(out, o->bytes, o->len, err);
}

enum hg_rc hg_xacc_read(const struct hg_agg *a, struct hg_span bytes, struct hg_xacc **out, struct hg_err *err)
{
    struct hg_xval v;
    *out = NULL;
    if (bytes.len > (size_t)a->xagg->max_bytes + 16) return hg_fail(err, HG_E_CORRUPT, "the state of an expression aggregator has %zu bytes", bytes.len);
    HG_TRY(keep(out, bytes.p ? (const void *)bytes.p : "", bytes.len, err));
    struct hg_arena *scratch = hg_arena_new(NULL);
    enum hg_rc rc = scratch ? hg_xacc_get(*out, scratch, &v, err) : hg_fail(err, HG_E_NOMEM, "expression aggregator");
    hg_arena_free(scratch);
    if (rc == HG_OK) return rc;
    free(*out);
    *out = NULL;
    return rc;
}

static enum hg_rc combine(const struct hg_agg *a, struct hg_xacc **acc, const struct hg_xacc *src, struct hg_arena *scratch, struct hg_err *err)
{
    const struct hg_xagg *x = a->xagg;
    struct hg_expr_run run;
    struct hg_xval v;
    HG_TRY(hg_expr_run_new(x->combine, scratch, scratch, &run, err));
    if (x->combine_acc != UINT32_MAX) HG_TRY(hg_xacc_get(*acc, scratch, &run.inputs[x->combine_acc], err));
    if (x->combine_value != UINT32_MAX) HG_TRY(hg_xacc_get(src, scratch, &run.inputs[x->combine_value], err));
    HG_TRY(hg_expr_eval(x->combine, &run, &v, err));
    return hg_xacc_set(a, acc, &v, err);
}

enum hg_rc hg_xacc_merge(const struct hg_agg *a, struct hg_xacc **acc, const struct hg_xacc *src, struct hg_err *err)
{
    struct hg_arena *scratch = hg_arena_new(NULL);
    enum hg_rc rc = scratch ? combine(a, acc, src, scratch, err) : hg_fail(err, HG_E_NOMEM, "expression aggregator");
    hg_arena_free(scratch);
    return rc;
}

enum hg_rc hg_xacc_value(const struct hg_agg *a, const struct hg_xacc *o, bool finalize, struct hg_arena *arena, struct hg_xval *out, struct hg_err *err)
{
    const struct hg_xagg *x = a->xagg;
    struct hg_expr_run run;
    *out = x->null_unless ? hg_x_null(x->initial.type) : x->initial;
    if (o) HG_TRY(hg_xacc_get(o, arena, out, err));
    if (!finalize || !x->finalize || (!o && x->null_unless)) return HG_OK;
    HG_TRY(hg_expr_run_new(x->finalize, arena, arena, &run, err));
    if (x->finalize_value != UINT32_MAX) run.inputs[x->finalize_value] = *out;
    return hg_expr_eval(x->finalize, &run, out, err);
}
