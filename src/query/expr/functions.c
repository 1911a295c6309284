/* The table of functions, and finding one by name. */
#include <string.h>
#include <strings.h>
#include "base/nearest.h"
#include "query/expr/node.h"

const struct hg_xfn hg_xfns[] = {
#define X(name, least, most, rule, flags, eval, prepare, doc) {name, least, most, rule, flags, eval, prepare},
#define X_NOT_HAD(name, why) {name, 0, UINT32_MAX, R_NONE, 0, NULL, NULL},
#include "query/expr/functions.def"
#undef X
#undef X_NOT_HAD
};
const uint32_t hg_n_xfns = sizeof hg_xfns / sizeof *hg_xfns;

static const struct { const char *name, *why; } refused[] = {
#define X(name, least, most, rule, flags, eval, prepare, doc)
#define X_NOT_HAD(name, why) {name, why},
#include "query/expr/functions.def"
#undef X
#undef X_NOT_HAD
};

const struct hg_xfn *hg_xfn_find(const char *name)
{
    for (uint32_t k = 0; k < hg_n_xfns; k++)
        if (strcasecmp(hg_xfns[k].name, name) == 0) return &hg_xfns[k];
    return NULL;
}

enum hg_rc hg_xfn_unknown(const char *name, struct hg_err *err)
{
    char near[200];
    size_t at = 0, n = 0;
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++)
        if (strcasecmp(refused[k].name, name) == 0) return hg_fail(err, HG_E_UNSUPPORTED, "the function %s is not supported: Henge has no %s", refused[k].name, refused[k].why);
    near[0] = 0;
    for (uint32_t k = 0; k < hg_n_xfns && n < 4; k++) {
        if (!hg_xfns[k].eval || !hg_is_near(name, hg_edit_distance(name, hg_xfns[k].name))) continue;
        int w = snprintf(near + at, sizeof near - at, "%s%s", n ? ", " : "", hg_xfns[k].name);
        if (w < 0 || (size_t)w >= sizeof near - at) break;
        at += (size_t)w;
        n++;
    }
    if (n) return hg_fail(err, HG_E_INVALID, "unknown function '%.100s'; near to it: %s", name, near);
    return hg_fail(err, HG_E_INVALID, "unknown function '%.100s'; docs/expressions.md lists those there are", name);
}
