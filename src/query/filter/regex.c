#define PCRE2_CODE_UNIT_WIDTH 8
#include "query/filter/regex.h"

#include <pcre2.h>

/* A pattern such as (a+)+$ backtracks for ever on some texts; a value may take this many steps. */
#define MATCH_STEPS 1000000u

struct hg_pcre {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static void drop(void *arg)
{
    struct hg_pcre *re = arg;
    pcre2_code_free(re->code);
    pcre2_match_context_free(re->limits);
}

enum hg_rc hg_regex_compile(struct hg_arena *a, struct hg_str pattern, const struct hg_pcre **out, struct hg_err *err)
{
    struct hg_pcre *re = hg_arena_zalloc(a, sizeof *re);
    if (!re) return hg_arena_fail(a, "regular expression", err);
    HG_TRY(hg_arena_on_free(a, drop, re, err));
    int code = 0;
    PCRE2_SIZE at = 0;
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
    *out = re;
    return HG_OK;
}

static enum hg_rc match(const struct hg_pcre *re, struct hg_str s, pcre2_match_data *md, bool *found, struct hg_err *err)
{
    int rc = pcre2_match(re->code, (PCRE2_SPTR)s.p, s.len, 0, 0, md, re->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = pcre2_match(re->code, (PCRE2_SPTR)s.p, s.len, 0, PCRE2_NO_JIT, md, re->limits);
    if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH) return *found = rc >= 0, HG_OK;
    return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the regular expression takes more than %u steps (pcre2 error %d) on a value of %zu bytes", MATCH_STEPS, rc, s.len);
}

enum hg_rc hg_regex_find(const struct hg_pcre *re, struct hg_str s, bool *found, struct hg_err *err)
{
    pcre2_match_data *md = pcre2_match_data_create(1, NULL);
    if (!md) return hg_fail(err, HG_E_NOMEM, "regular expression match");
    enum hg_rc rc = match(re, s, md, found, err);
    pcre2_match_data_free(md);
    return rc;
}

uint32_t hg_regex_groups(const struct hg_pcre *re)
{
    uint32_t n = 0;
    (void)pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &n);
    return n;
}

enum hg_rc hg_regex_group(const struct hg_pcre *re, struct hg_str s, uint32_t group, bool *found, struct hg_str *out, struct hg_err *err)
{
    pcre2_match_data *md = pcre2_match_data_create_from_pattern(re->code, NULL);
    if (!md) return hg_fail(err, HG_E_NOMEM, "regular expression match");
    *out = (struct hg_str){0, 0};
    enum hg_rc rc = match(re, s, md, found, err);
    if (rc == HG_OK && *found && group < pcre2_get_ovector_count(md)) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(md) + 2 * (size_t)group;
        if (at[0] != PCRE2_UNSET && at[0] <= at[1]) *out = (struct hg_str){s.p + at[0], at[1] - at[0]};
    }
    pcre2_match_data_free(md);
    return rc;
}
