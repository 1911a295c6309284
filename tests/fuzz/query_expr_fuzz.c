/* Expressions: any text is parsed; what parses is typed, mapped, evaluated over one row, and its array keys are read back. */
#include <stdlib.h>
#include "query/expr/expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct hg_xval column(uint32_t k, struct hg_xval *list)
{
    list[0] = hg_x_str(HG_STR("x"));
    list[1] = hg_x_null(HG_X_STRING);
    switch (k % 6) {
    case 0: return hg_x_long(7);
    case 1: return hg_x_double(-2.5);
    case 2: return hg_x_str(HG_STR("a1,b"));
    case 3: return hg_x_array(HG_X_STRINGS, list, 2);
    case 4: return hg_x_null(HG_X_LONG);
    default: return hg_x_null(HG_X_STRING);
    }
}

static void key_back(const struct hg_xval *v, struct hg_arena *a)
{
    struct hg_buf key;
    struct hg_xval back;
    hg_buf_init(&key, 1u << 20);
    if (hg_x_key(v, &key, NULL) == HG_OK && key.len) {
        if (hg_x_of_key((struct hg_str){(const char *)key.p, key.len}, v->type, a, &back, NULL) != HG_OK || hg_x_cmp(v, &back) != 0) abort();
    }
    hg_buf_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_budget budget;
    struct hg_err err;
    const struct hg_expr *e;
    struct hg_expr_run run;
    struct hg_xval v, list[2];
    enum hg_xtype types[64];
    bool multi[64], mapped;
    if (size > 4096) return 0;
    hg_budget_init(&budget, NULL, "fuzz", 64 << 20);
    struct hg_arena *a = hg_arena_new(&budget);
    if (!a) return 0;
    if (hg_x_of_key((struct hg_str){(const char *)data, size}, HG_X_STRINGS + size % 3, a, &v, &err) == HG_OK) hg_x_cmp(&v, &v);
    if (hg_expr_parse(a, (struct hg_str){(const char *)data, size}, NULL, &e, &err) == HG_OK && e->n_inputs <= 64 && hg_expr_run_new(e, a, a, &run, &err) == HG_OK) {
        for (uint32_t k = 0; k < e->n_inputs; k++) {
            run.inputs[k] = column(k, list);
            multi[k] = hg_xtype_is_array(run.inputs[k].type);
            types[k] = hg_xtype_element(run.inputs[k].type);
        }
        (void)hg_expr_type(e, types);
        if (hg_expr_map(e, multi, a, &e, &mapped, &err) == HG_OK && hg_expr_eval(e, &run, &v, &err) == HG_OK) {
            struct hg_buf b;
            hg_buf_init(&b, 1u << 22);
            hg_x_json(&v, &b);
            hg_buf_free(&b);
            if (hg_xtype_is_array(v.type) && !v.null) key_back(&v, a);
        }
    }
    hg_arena_free(a);
    return 0;
}
