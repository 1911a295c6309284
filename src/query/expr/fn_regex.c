/* Patterns: LIKE, and regular expressions by PCRE2. The pattern is written out in the expression and compiled with it. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>
#include "query/expr/node.h"
#include "query/expr/utf16.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)
#define MATCH_STEPS 1000000u
#define STEP 200u /* of hg_x_step: a match that is found soon */

static enum hg_rc literal(const struct hg_xnode *n, uint32_t k, struct hg_str *out, struct hg_err *err)
{
    const struct hg_xnode *a = n->args[k];
    if (a->op != X_CONST || a->val.null || a->val.type != HG_X_STRING) return hg_fail(err, HG_E_INVALID, "argument %u must be a text in quotes", k + 1);
    *out = a->val.s;
    return HG_OK;
}

/* ---- LIKE ---- */

struct like {
    struct hg_str pattern;
    char escape; /* 0: none */
};

enum hg_rc hg_xprep_like(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    struct like *l = hg_arena_zalloc(ps->a, sizeof *l);
    struct hg_str esc;
    if (!l) return hg_arena_fail(ps->a, "like", err);
    HG_TRY(literal(n, 1, &l->pattern, err));
    if (n->n_args == 3 && !(n->args[2]->op == X_CONST && n->args[2]->val.null)) {
        HG_TRY(literal(n, 2, &esc, err));
        if (esc.len != 1) return hg_fail(err, HG_E_INVALID, "the escape must be one character");
        l->escape = esc.p[0];
    }
    n->bound = l;
    return HG_OK;
}

/* Greedy with one place to return to: the last %. */
static enum hg_rc like_matches(struct hg_xctx *c, const struct like *l, struct hg_str s, bool *matches, struct hg_err *err)
{
    size_t p = 0, i = 0, star = SIZE_MAX, mark = 0;
    *matches = false;
    while (i < s.len) {
        uint32_t u;
        bool escaped = p + 1 < l->pattern.len && l->escape && l->pattern.p[p] == l->escape;
        char x = p < l->pattern.len ? l->pattern.p[p + escaped] : 0;
        if (p < l->pattern.len && !escaped && x == '%') {
            star = ++p;
            mark = i;
        } else if (p < l->pattern.len && !escaped && x == '_') {
            i += hg_u16_char(s.p + i, s.len - i, &u);
            p++;
        } else if (p < l->pattern.len && x == s.p[i]) {
            i++;
            p += 1u + escaped;
        } else if (star != SIZE_MAX) {
            HG_TRY(hg_x_step(c, i - mark + 1, err));
            mark += hg_u16_char(s.p + mark, s.len - mark, &u);
            i = mark;
            p = star;
        } else {
            return HG_OK;
        }
    }
    while (p < l->pattern.len && l->pattern.p[p] == '%' && l->escape != '%') p++;
    return *matches = p == l->pattern.len, HG_OK;
}

FN(hg_xf_like)
{
    struct hg_str s;
    bool matches;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return *out = hg_x_null(HG_X_LONG), HG_OK;
    HG_TRY(like_matches(c, n->bound, s, &matches, err));
    *out = hg_x_bool(matches);
    return HG_OK;
}

/* ---- regular expressions ---- */

struct regex {
    pcre2_code *code;
    pcre2_match_context *limits;
    uint32_t groups;
};

static void drop(void *arg)
{
    struct regex *re = arg;
    pcre2_code_free(re->code);
    pcre2_match_context_free(re->limits);
}

static enum hg_rc compile(struct hg_arena *a, struct hg_str pattern, const struct regex **out, struct hg_err *err)
{
    struct regex *re = hg_arena_zalloc(a, sizeof *re);
    int code = 0;
    PCRE2_SIZE at = 0;
    if (!re) return hg_arena_fail(a, "regular expression", err);
    HG_TRY(hg_arena_on_free(a, drop, re, err));
    re->limits = pcre2_match_context_create(NULL);
    if (!re->limits) return hg_fail(err, HG_E_NOMEM, "regular expression");
    pcre2_set_match_limit(re->limits, MATCH_STEPS);
    pcre2_set_heap_limit(re->limits, 20000); /* KiB */
    re->code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.len, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!re->code) {
        PCRE2_UCHAR text[128];
        if (pcre2_get_error_message(code, text, sizeof text) < 0) text[0] = 0;
        return hg_fail(err, HG_E_INVALID, "the regular expression \"%.*s\" is wrong at offset %zu: %s", (int)(pattern.len > 200 ? 200 : pattern.len), pattern.p, (size_t)at, (const char *)text);
    }
    (void)pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE); /* without it, matching interprets */
    (void)pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    *out = re;
    return HG_OK;
}

enum hg_rc hg_xprep_regex(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    struct hg_str pattern;
    const struct regex *re;
    bool splits = n->fn->eval == hg_xf_string_to_array;
    if ((n->args[1]->op != X_CONST || (n->args[1]->val.null && !splits)) && (splits || n->fn->eval == hg_xf_regexp_replace)) return HG_OK; /* compiled row by row */
    if (splits && n->args[1]->val.null) pattern = HG_STR("");
    else HG_TRY(literal(n, 1, &pattern, err));
    HG_TRY(compile(ps->a, pattern, &re, err));
    n->bound = re;
    if (n->fn->eval == hg_xf_regexp_extract && n->n_args == 3) {
        const struct hg_xnode *g = n->args[2];
        if (g->op != X_CONST || g->val.type != HG_X_LONG || g->val.null) return hg_fail(err, HG_E_INVALID, "the group must be a number written out");
        if (g->val.i < 0 || g->val.i > (int64_t)re->groups) return hg_fail(err, HG_E_INVALID, "there is no group %lld: the pattern has %u", (long long)g->val.i, re->groups);
    }
    return HG_OK;
}

static enum hg_rc regex_of(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *pattern, const struct regex **out, struct hg_err *err)
{
    struct hg_str p;
    if (n->bound) return *out = n->bound, HG_OK;
    HG_TRY(hg_x_text(pattern, c->a, &p, err));
    return compile(c->a, p.p ? p : HG_STR(""), out, err);
}

/* *md is the caller's to free, also after an error. */
static enum hg_rc match(const struct regex *re, struct hg_str s, size_t from, pcre2_match_data **md, bool *found, struct hg_err *err)
{
    if (!*md && !(*md = pcre2_match_data_create_from_pattern(re->code, NULL))) return hg_fail(err, HG_E_NOMEM, "regular expression match");
    int rc = pcre2_match(re->code, (PCRE2_SPTR)s.p, s.len, from, 0, *md, re->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = pcre2_match(re->code, (PCRE2_SPTR)s.p, s.len, from, PCRE2_NO_JIT, *md, re->limits);
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return *found = rc >= 0, HG_OK;
    return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: a regular expression takes more than %u steps (pcre2 error %d) on a value of %zu bytes", MATCH_STEPS, rc, s.len);
}

FN(hg_xf_regexp_like)
{
    struct hg_str s;
    pcre2_match_data *md = NULL;
    bool found = false;
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return *out = hg_x_null(HG_X_LONG), HG_OK;
    enum hg_rc rc = match(n->bound, s, 0, &md, &found, err);
    pcre2_match_data_free(md);
    *out = hg_x_bool(found);
    return rc;
}

FN(hg_xf_regexp_extract)
{
    struct hg_str s;
    pcre2_match_data *md = NULL;
    bool found = false;
    uint32_t group = n->n_args == 3 ? (uint32_t)args[2].i : 0;
    *out = hg_x_null(HG_X_STRING);
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return HG_OK;
    enum hg_rc rc = match(n->bound, s, 0, &md, &found, err);
    if (rc == HG_OK && found) {
        PCRE2_SIZE *at = pcre2_get_ovector_pointer(md), a = at[2 * group], b = at[2 * group + 1];
        if (a != PCRE2_UNSET && a <= b) *out = hg_x_str((struct hg_str){s.p + a, b - a});
    }
    pcre2_match_data_free(md);
    return rc;
}

/* A replacement as Java writes it: $1 is a group, \x is x. */
static enum hg_rc put_replacement(const struct hg_xnode *n, const struct regex *re, struct hg_str by, struct hg_str s, const PCRE2_SIZE *at, struct hg_buf *b, struct hg_err *err)
{
    for (size_t k = 0; k < by.len; k++) {
        if (by.p[k] == '\\' && k + 1 < by.len) {
            hg_buf_putc(b, by.p[++k]);
        } else if (by.p[k] == '$') {
            uint32_t g = 0;
            size_t from = k + 1;
            while (k + 1 < by.len && by.p[k + 1] >= '0' && by.p[k + 1] <= '9') { /* as many digits as still name a group */
                uint32_t more = g * 10 + (uint32_t)(by.p[k + 1] - '0');
                if (k + 1 > from && more > re->groups) break;
                g = more;
                k++;
            }
            if (k + 1 == from || g > re->groups) return hg_x_bad_arg(n, err, "the replacement names a group that the pattern has not");
            if (at[2 * g] != PCRE2_UNSET) hg_buf_put(b, s.p + at[2 * g], at[2 * g + 1] - at[2 * g]);
        } else {
            hg_buf_putc(b, by.p[k]);
        }
    }
    return HG_OK;
}

static enum hg_rc replace_all(struct hg_xctx *c, const struct hg_xnode *n, const struct regex *re, struct hg_str s, struct hg_str by, struct hg_buf *b, pcre2_match_data **md, struct hg_err *err)
{
    size_t from = 0, copied = 0;
    while (from <= s.len) {
        bool found;
        HG_TRY(hg_x_step(c, STEP, err));
        HG_TRY(match(re, s, from, md, &found, err));
        if (!found) break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(*md);
        if (at[0] < copied || at[1] < at[0]) break; /* no pattern that compiles does so */
        hg_buf_put(b, s.p + copied, at[0] - copied);
        HG_TRY(put_replacement(n, re, by, s, at, b, err));
        copied = at[1];
        from = at[1];
        if (at[0] == at[1]) { /* an empty match: on by one character */
            uint32_t u;
            from += from < s.len ? hg_u16_char(s.p + from, s.len - from, &u) : 1;
        }
        if (b->failed) break;
    }
    hg_buf_put(b, s.p + copied, s.len - copied);
    return hg_buf_check(b, "regexp_replace", err);
}

FN(hg_xf_regexp_replace)
{
    struct hg_str s, by;
    const struct regex *re;
    pcre2_match_data *md = NULL;
    struct hg_buf b;
    char *z = NULL;
    *out = hg_x_null(HG_X_STRING);
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    HG_TRY(hg_x_text(&args[2], c->a, &by, err));
    if (!s.p || !by.p || args[1].null) return HG_OK;
    HG_TRY(regex_of(c, n, &args[1], &re, err));
    hg_buf_init(&b, HG_X_MAX_TEXT);
    enum hg_rc rc = replace_all(c, n, re, s, by, &b, &md, err);
    pcre2_match_data_free(md);
    if (rc == HG_OK) rc = hg_x_room(c, b.len, &z, err);
    if (rc == HG_OK) {
        if (b.len) memcpy(z, b.p, b.len);
        *out = hg_x_str((struct hg_str){z, b.len});
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- split ---- */

struct parts {
    struct hg_xval *v;
    uint32_t n, cap;
};
static enum hg_rc add_part(struct hg_xctx *c, struct parts *p, struct hg_str s, struct hg_err *err)
{
    if (p->n == p->cap) {
        uint32_t cap = p->cap ? p->cap * 2 : 8;
        struct hg_xval *v = hg_arena_array(c->a, cap, sizeof *v);
        if (!v) return hg_arena_fail(c->a, "string_to_array", err);
        if (p->n) memcpy(v, p->v, p->n * sizeof *v);
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n++] = hg_x_str(s);
    return HG_OK;
}

/* As Java's String.split: empty parts at the end are dropped; an empty match at the beginning gives none. */
static enum hg_rc split(struct hg_xctx *c, const struct regex *re, struct hg_str s, struct parts *p, pcre2_match_data **md, struct hg_err *err)
{
    size_t from = 0, begin = 0;
    bool some = false;
    while (from <= s.len) {
        bool found;
        HG_TRY(hg_x_step(c, STEP, err));
        HG_TRY(match(re, s, from, md, &found, err));
        if (!found) break;
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(*md);
        uint32_t u;
        if (at[0] < begin || at[1] < at[0]) break; /* no pattern that compiles does so */
        if (at[1] == 0 || (at[0] == at[1] && at[0] >= s.len)) { /* empty, at an end */
            if (from >= s.len) break;
            from = at[1] ? at[1] + 1 : hg_u16_char(s.p, s.len, &u);
            continue;
        }
        HG_TRY(add_part(c, p, (struct hg_str){s.p + begin, at[0] - begin}, err));
        some = true;
        begin = at[1];
        from = at[1];
        if (at[0] == at[1]) from += from < s.len ? hg_u16_char(s.p + from, s.len - from, &u) : 1;
    }
    HG_TRY(add_part(c, p, (struct hg_str){s.p + begin, s.len - begin}, err));
    while (some && p->n && !p->v[p->n - 1].s.len) p->n--;
    return HG_OK;
}

FN(hg_xf_string_to_array)
{
    struct hg_str s;
    const struct regex *re;
    pcre2_match_data *md = NULL;
    struct parts p = {0};
    HG_TRY(hg_x_text(&args[0], c->a, &s, err));
    if (!s.p) return *out = hg_x_null(HG_X_STRINGS), HG_OK;
    HG_TRY(regex_of(c, n, &args[1], &re, err));
    enum hg_rc rc = split(c, re, s, &p, &md, err);
    pcre2_match_data_free(md);
    *out = hg_x_array(HG_X_STRINGS, p.v, p.n);
    return rc;
}
