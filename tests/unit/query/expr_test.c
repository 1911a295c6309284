/* Expressions against what Druid answered (tests/query/expressions/recorded.jsonl; where Henge means to differ the line has "henge"), errors with
 * their places, and types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include "query/expr/expr.h"

static struct hg_xval column(const char *name, struct hg_xval *mv, bool *multi)
{
    static const char *const x = "x", *const y = "y";
    *multi = false;
    if (strcmp(name, "s") == 0) return hg_x_str(HG_STR("abc"));
    if (strcmp(name, "l") == 0) return hg_x_long(7);
    if (strcmp(name, "d") == 0) return hg_x_double(2.5);
    if (strcmp(name, "k") == 0) return hg_x_null(HG_X_LONG);
    if (strcmp(name, "mv") != 0) return hg_x_null(HG_X_STRING);
    mv[0] = hg_x_str(hg_str_of(x));
    mv[1] = hg_x_str(hg_str_of(y));
    *multi = true;
    return hg_x_array(HG_X_STRINGS, mv, 2);
}

/* The value of an expression as JSON; NULL: an error, in *err. Returns owned. */
static char *value_of(const char *text, size_t len, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_expr *e;
    struct hg_expr_run run;
    struct hg_xval v, mv[2];
    struct hg_buf b;
    char *out = NULL;
    bool multi[64], mapped;
    assert_non_null(a);
    hg_buf_init(&b, 1u << 24);
    enum hg_rc rc = hg_expr_parse(a, (struct hg_str){text, len}, NULL, &e, err);
    if (rc == HG_OK) {
        assert_true(e->n_inputs <= 64);
        rc = hg_expr_run_new(e, a, a, &run, err);
        assert_int_equal(rc, HG_OK);
        for (uint32_t k = 0; k < e->n_inputs; k++) run.inputs[k] = column(e->inputs[k].name, mv, &multi[k]);
        rc = hg_expr_map(e, multi, a, &e, &mapped, err);
        assert_int_equal(rc, HG_OK);
        rc = hg_expr_eval(e, &run, &v, err);
    }
    if (rc == HG_OK) {
        hg_x_json(&v, &b);
        hg_buf_putc(&b, 0);
        out = strdup((char *)b.p);
    }
    hg_buf_free(&b);
    hg_arena_free(a);
    return out;
}

static bool same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return x == y || fabs(x - y) <= 1e-14 * fmax(fabs(x), fabs(y));
    }
    if (json_is_array(a) && json_is_array(b)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t k = 0; k < json_array_size(a); k++)
            if (!same(json_array_get(a, k), json_array_get(b, k))) return false;
        return true;
    }
    return json_equal(a, b);
}

static void recorded(void **state)
{
    char path[512], line[8192];
    int n = 0, bad = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/tests/query/expressions/recorded.jsonl", getenv("HENGE_SOURCE_DIR"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        json_t *j = json_loads(line, JSON_ALLOW_NUL, NULL), *want, *got = NULL;
        assert_non_null(j);
        const json_t *e = json_object_get(j, "e");
        struct hg_err err = {0};
        char *text = value_of(json_string_value(e), json_string_length(e), &err);
        bool error = json_is_true(json_object_get(j, "error"));
        want = json_object_get(j, "v");
        if (json_object_get(j, "henge")) { /* where we mean to differ: a value, or {"error": why} */
            want = json_object_get(j, "henge");
            error = json_is_object(want);
        }
        if (text) got = json_loads(text, JSON_DECODE_ANY, NULL);
        n++;
        if (error ? text != NULL : !got || !same(want, got)) {
            char *w = want ? json_dumps(want, JSON_ENCODE_ANY) : NULL;
            print_error("%s\n    want %s, got %s%s\n", json_string_value(e), error ? "an error" : w, text ? text : "error: ", text ? "" : err.msg);
            free(w);
            bad++;
        }
        json_decref(got);
        json_decref(j);
        free(text);
    }
    fclose(f);
    assert_true(n > 500);
    if (bad) fail_msg("%d of %d expressions differ", bad, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
