/* Which handler a path belongs to. Patterns are kept in an order of "more literal first", so that the first that matches is the right one. */
#include <stdlib.h>

#include "http/http_private.h"

static bool is_param(const char *seg) { return seg[0] == ':'; }

/* Segment by segment a literal goes before a parameter, a parameter before the rest. */
static int order(const struct hg_route *a, const struct hg_route *b)
{
    unsigned n = a->n_segs < b->n_segs ? a->n_segs : b->n_segs;
    for (unsigned i = 0; i < n; i++) {
        int d = (int)is_param(a->segs[i]) - (int)is_param(b->segs[i]);
        if (d) return d;
    }
    if (a->rest != b->rest) return a->rest ? 1 : -1;
    return a->n_segs > b->n_segs ? -1 : a->n_segs < b->n_segs;
}

static void route_free(struct hg_route *r)
{
    if (!r) return;
    for (unsigned i = 0; i < r->n_segs; i++) free(r->segs[i]);
    free(r->segs);
    free(r->pattern);
    free(r);
}

static bool split(struct hg_route *r)
{
    unsigned most = 1;
    for (const char *p = r->pattern; *p; p++) most += *p == '/';
    r->segs = calloc(most, sizeof *r->segs);
    if (!r->segs) return false;
    for (const char *p = r->pattern; *p == '/';) {
        const char *end = strchrnul(++p, '/');
        if (end == p) break; /* "/" alone, or a slash at the end */
        if (end - p == 1 && *p == '*') {
            r->rest = true;
            break;
        }
        r->segs[r->n_segs] = strndup(p, (size_t)(end - p));
        if (!r->segs[r->n_segs]) return false;
        r->n_segs++;
        p = end;
    }
    return true;
}

bool hg_routes_add(struct hg_routes *rs, unsigned methods, const char *pattern, hg_http_fn *fn, void *arg)
{
    struct hg_route *r = calloc(1, sizeof *r);
    if (r) *r = (struct hg_route){.methods = methods, .pattern = strdup(pattern), .fn = fn, .arg = arg};
    if (!r || !r->pattern || !split(r)) {
        route_free(r);
        return false;
    }
    if (rs->n == rs->cap) {
        size_t cap = rs->cap ? rs->cap * 2 : 32;
        struct hg_route **at = realloc(rs->at, cap * sizeof *at);
        if (!at) {
            route_free(r);
            return false;
        }
        rs->at = at;
        rs->cap = cap;
    }
    size_t i = rs->n++;
    for (; i && order(r, rs->at[i - 1]) < 0; i--) rs->at[i] = rs->at[i - 1];
    rs->at[i] = r;
    return true;
}

void hg_routes_free(struct hg_routes *rs)
{
    for (size_t i = 0; i < rs->n; i++) route_free(rs->at[i]);
    free(rs->at);
    *rs = (struct hg_routes){0};
}

static bool matches(const struct hg_route *r, char *const *segs, unsigned n)
{
    if (r->rest ? n < r->n_segs : n != r->n_segs) return false;
    for (unsigned i = 0; i < r->n_segs; i++)
        if (!is_param(r->segs[i]) && strcmp(r->segs[i], segs[i]) != 0) return false;
    return true;
}

void hg_routes_find(const struct hg_routes *rs, enum hg_http_method m, char *const *segs, unsigned n_segs, const char *const *rest, struct hg_match *out)
{
    out->route = NULL;
    out->n_params = 0;
    out->allowed = 0;
    for (size_t i = 0; i < rs->n; i++) {
        const struct hg_route *r = rs->at[i];
        if (!matches(r, segs, n_segs)) continue;
        if (r->rest && out->allowed) return; /* the path is another route's, which does not have this method: the rest is for paths that nobody names */
        unsigned allowed = r->methods;
        if (allowed & HG_GET) allowed |= HG_HEAD;
        out->allowed |= allowed;
        if (!(allowed & (unsigned)m)) continue;
        out->route = r;
        for (unsigned k = 0; k < r->n_segs && out->n_params < HG_HTTP_PARAMS; k++)
            if (is_param(r->segs[k])) out->params[out->n_params++] = (struct hg_kv){r->segs[k] + 1, segs[k]};
        if (r->rest && out->n_params < HG_HTTP_PARAMS) out->params[out->n_params++] = (struct hg_kv){"*", rest[r->n_segs]};
        return;
    }
}
