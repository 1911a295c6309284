/* lookup() over the lookups that this process has. */
#include "lookup/lookup.h"
#include "query/expr/expr.h"

static enum hg_rc find(void *arg, const char *lookup, struct hg_str key, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    struct hg_lookup *l = hg_lookup_find(lookup);
    struct hg_str v;
    enum hg_rc rc = HG_OK;
    (void)arg;
    *out = (struct hg_str){0, 0};
    if (!l) return hg_fail(err, HG_E_INVALID, "there is no lookup called \"%.200s\"", lookup);
    if (hg_lookup_get(l, key, &v)) {
        char *copy = hg_arena_strndup(a, v.p, v.len); /* a newer version may come while this is used */
        if (copy) *out = (struct hg_str){copy, v.len};
        else rc = hg_arena_fail(a, "lookup", err);
    }
    hg_lookup_drop(l);
    return rc;
}

const struct hg_expr_lookups hg_expr_registered = {.find = find};
