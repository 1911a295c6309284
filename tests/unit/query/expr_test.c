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

/* ---- errors ---- */

static void mistakes(void **state)
{
    (void)state;
    static const struct { const char *text, *says; enum hg_rc rc; } t[] = {
        {"", "the expression is empty", HG_E_INVALID},
        {"1 +", "at 3: syntax error, unexpected the end", HG_E_INVALID},
        {"a ==", "at 4: syntax error", HG_E_INVALID},
        {"a = 1", "at 2: '=' has no meaning here", HG_E_INVALID},
        {"'abc", "at 0: a text begins here and has no end", HG_E_INVALID},
        {"concat(\"abc)", "at 7: a quoted name begins here", HG_E_INVALID},
        {"frobnicate(1)", "unknown function 'frobnicate'", HG_E_INVALID},
        {"subtring(a, 0, 1)", "near to it: substring", HG_E_INVALID},
        {"1 + abs()", "at 4: abs takes 1 argument, not 0", HG_E_INVALID},
        {"if(1, 2)", "if takes 3 arguments, not 2", HG_E_INVALID},
        {"round(1, 2, 3)", "round takes 1 to 2 arguments, not 3", HG_E_INVALID},
        {"map(x, y)", "map takes a lambda first", HG_E_INVALID},
        {"abs((x) -> x, y)", "abs takes no lambda", HG_E_INVALID},
        {"map((x, y) -> x, a)", "the lambda has 2 parameters, and 1 argument follow", HG_E_INVALID},
        {"9223372036854775808", "does not fit in 64 bits", HG_E_INVALID},
        {"1 / 0", "division of a long by zero", HG_E_INVALID},
        {"regexp_like(a, '(')", "regular expression", HG_E_INVALID},
        {"timestamp_floor(a, 'X')", "timestamp_floor: period", HG_E_INVALID},
        {"timestamp_floor(a, 'P1D', null, 'Mars/Base')", "time zone", HG_E_INVALID},
        {"timestamp_format(a, 'yyyy b')", "the letter b", HG_E_INVALID},
        {"cast(a, 'FOO')", "the type must be", HG_E_INVALID},
        {"json_value(a, '$.b')", "json_value is not supported", HG_E_UNSUPPORTED},
        {"lookup(a, 'b')", "no lookups here", HG_E_UNSUPPORTED},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct hg_err err = {0};
        char *v = value_of(t[k].text, strlen(t[k].text), &err);
        if (v || err.rc != t[k].rc || !strstr(err.msg, t[k].says)) fail_msg("%s: %s, want \"%s\"", t[k].text, v ? v : err.msg, t[k].says);
    }
}

/* Depth and length are held; long chains of && and || are not deep. */
static void limits(void **state)
{
    (void)state;
    struct hg_buf b;
    struct hg_err err = {0};
    hg_buf_init(&b, 1u << 22);
    for (int k = 0; k < 3000; k++) hg_buf_puts(&b, "-(");
    assert_null(value_of((char *)b.p, b.len, &err));
    hg_buf_clear(&b);
    for (int k = 0; k < 2000; k++) hg_buf_puts(&b, "1 + (");
    hg_buf_puts(&b, "l");
    for (int k = 0; k < 2000; k++) hg_buf_puts(&b, ")");
    assert_null(value_of((char *)b.p, b.len, &err));
    assert_non_null(strstr(err.msg, "nested deeper"));
    hg_buf_clear(&b);
    hg_buf_puts(&b, "l == 0");
    for (int k = 1; k < 5000; k++) hg_buf_printf(&b, " || l == %d", k);
    char *v = value_of((char *)b.p, b.len, &err);
    assert_string_equal(v, "1");
    free(v);
    hg_buf_clear(&b);
    for (int k = 0; k < 200000; k++) hg_buf_puts(&b, "1");
    assert_null(value_of((char *)b.p, b.len, &err));
    hg_buf_free(&b);
    assert_null(value_of("repeat(s, 100000000)", 20, &err));
    assert_non_null(strstr(err.msg, "Resource limit exceeded"));
}

/* What constants take while an expression is parsed is bounded: the rest is computed with the rows, within their budget and deadline. */
static void constants(void **state)
{
    static const struct { const char *text; bool folded; } list[] = {
        {"upper('a')", true}, {"array_concat([1], ['a'])", true}, {"repeat('a', 60000)", true}, {"repeat('a', 70000)", false}, {"strlen(repeat('a', 1000000))", false},
        {"array_length(string_to_array('a,b', ','))", true}, {"trim(repeat('a', 60000), concat(repeat('b', 60000), 'a'))", false}, {"like(repeat('a', 60000), '%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')", true},
    };
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_expr *e;
    struct hg_err err;
    for (size_t k = 0; k < sizeof list / sizeof *list; k++) {
        assert_int_equal(hg_expr_parse(a, hg_str_of(list[k].text), NULL, &e, &err), HG_OK);
        if (hg_expr_is_const(e) != list[k].folded) fail_msg("%s: %sfolded", list[k].text, list[k].folded ? "not " : "");
    }
    struct hg_buf b;
    hg_buf_init(&b, 1u << 20);
    hg_buf_puts(&b, "0");
    for (int k = 0; k < 900; k++) hg_buf_puts(&b, " + strlen(repeat('abcdefgh', 8000))"); /* 57 MB in all: most of it is left */
    assert_int_equal(hg_expr_parse(a, (struct hg_str){(const char *)b.p, b.len}, NULL, &e, &err), HG_OK);
    hg_buf_free(&b);
    hg_arena_free(a);
}

/* ---- the page that lists the functions ---- */

static void put_functions(struct hg_buf *b)
{
#define X_GROUP(title) hg_buf_printf(b, "\n### %s\n\n| function | |\n|---|---|\n", title);
#define X(name, least, most, rule, flags, eval, prepare, doc) hg_buf_printf(b, "| `%s` | %s |\n", name, doc);
#define X_NOT_HAD(name, why) hg_buf_printf(&refused, "%s`%s`", refused.len ? ", " : "", name);
    struct hg_buf refused;
    hg_buf_init(&refused, 1u << 16);
#include "query/expr/functions.def"
#undef X
#undef X_NOT_HAD
    hg_buf_printf(b, "\nRefused by name: %.*s.\n", (int)refused.len, (char *)refused.p);
    hg_buf_free(&refused);
}

static void page(void **state)
{
    (void)state;
    static const char begin[] = "<!-- functions:begin -->\n", end[] = "<!-- functions:end -->";
    char path[512];
    struct hg_buf page, want;
    int c;
    snprintf(path, sizeof path, "%s/docs/expressions.md", getenv("HENGE_SOURCE_DIR"));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    hg_buf_init(&page, 1u << 22);
    hg_buf_init(&want, 1u << 22);
    while ((c = fgetc(f)) != EOF) hg_buf_putc(&page, (char)c);
    fclose(f);
    hg_buf_putc(&page, 0);
    char *from = strstr((char *)page.p, begin), *to = from ? strstr(from, end) : NULL;
    assert_non_null(to);
    from += sizeof begin - 1;
    put_functions(&want);
    bool same_text = (size_t)(to - from) == want.len && memcmp(from, want.p, want.len) == 0;
    if (!same_text && getenv("HENGE_TEST_UPDATE")) {
        f = fopen(path, "w");
        assert_non_null(f);
        fwrite(page.p, 1, (size_t)(from - (char *)page.p), f);
        fwrite(want.p, 1, want.len, f);
        fwrite(to, 1, strlen(to), f);
        fclose(f);
        same_text = true;
    }
    hg_buf_free(&page);
    hg_buf_free(&want);
    if (!same_text) fail_msg("docs/expressions.md is not what functions.def says; HENGE_TEST_UPDATE=1 renews it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(limits),
        cmocka_unit_test(constants),
        cmocka_unit_test(page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
