#include "query/result/sort.h"

#include <string.h>
#include "base/mem.h"
#include "query/engine/check.h"

struct order {
    hg_sort_cmp *cmp;
    const void *arg;
};
static bool before(const struct order *o, uint32_t a, uint32_t b)
{
    int k = o->cmp(o->arg, a, b);
    return k < 0 || (k == 0 && a < b);
}

/* ---- the first k of many: a heap whose root is the last of them ---- */

static void sink(const struct order *o, uint32_t *h, uint32_t n, uint32_t i)
{
    for (;;) {
        uint32_t kid = 2 * i + 1;
        if (kid >= n) return;
        if (kid + 1 < n && before(o, h[kid], h[kid + 1])) kid++;
        if (!before(o, h[i], h[kid])) return;
        uint32_t t = h[i];
        h[i] = h[kid], h[kid] = t;
        i = kid;
    }
}

static enum hg_rc pick(const struct order *o, uint32_t *v, uint32_t n, uint32_t keep, struct hg_exec *x, struct hg_err *err)
{
    if (keep == 0) return HG_OK;
    for (uint32_t i = keep / 2; i-- > 0;) sink(o, v, keep, i);
    for (uint32_t i = keep; i < n; i++) {
        if ((i & 4095) == 0) HG_TRY(hg_exec_check(x, err));
        if (!before(o, v[i], v[0])) continue;
        uint32_t t = v[0];
        v[0] = v[i], v[i] = t;
        sink(o, v, keep, 0);
    }
    for (uint32_t m = keep; m > 1; m--) {
        uint32_t t = v[0];
        v[0] = v[m - 1], v[m - 1] = t;
        sink(o, v, m - 1, 0);
    }
    return HG_OK;
}

/* ---- all: merge sort from the bottom, runs of a few by insertion ---- */

#define RUN 12u

static void insertion(const struct order *o, uint32_t *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint32_t x = v[i], j = i;
        for (; j > 0 && before(o, x, v[j - 1]); j--) v[j] = v[j - 1];
        v[j] = x;
    }
}

static void merge(const struct order *o, const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb, uint32_t *out)
{
    if (!before(o, b[0], a[na - 1])) { /* in order already */
        memcpy(out, a, na * sizeof *a);
        memcpy(out + na, b, nb * sizeof *b);
        return;
    }
    while (na && nb) {
        if (before(o, *b, *a)) *out++ = *b++, nb--;
        else *out++ = *a++, na--;
    }
    memcpy(out, a, na * sizeof *a);
    memcpy(out + na, b, nb * sizeof *b);
}

static enum hg_rc sort_all(const struct order *o, uint32_t *v, uint32_t n, uint32_t *tmp, struct hg_exec *x, struct hg_err *err)
{
    for (uint64_t i = 0; i < n; i += RUN) {
        if (i % (RUN * 256) == 0) HG_TRY(hg_exec_check(x, err));
        insertion(o, v + i, (uint32_t)(n - i < RUN ? n - i : RUN));
    }
    uint32_t *from = v, *to = tmp;
    for (uint64_t w = RUN; w < n; w *= 2) {
        uint64_t since = 0;
        for (uint64_t i = 0; i < n; i += 2 * w) {
            uint64_t na = n - i < w ? n - i : w, nb = n - i - na < w ? n - i - na : w;
            if (nb) merge(o, from + i, (uint32_t)na, from + i + na, (uint32_t)nb, to + i);
            else memcpy(to + i, from + i, na * sizeof *to);
            since += na + nb;
            if (since > 4096) {
                since = 0;
                HG_TRY(hg_exec_check(x, err));
            }
        }
        uint32_t *t = from;
        from = to, to = t;
    }
    if (from != v) memcpy(v, from, n * sizeof *v);
    return HG_OK;
}

enum hg_rc hg_sort_rows(uint32_t *v, uint32_t n, uint64_t keep, hg_sort_cmp *cmp, const void *arg, struct hg_exec *x, struct hg_err *err)
{
    struct order o = {cmp, arg};
    if (!hg_sort_is_whole(n, keep)) return pick(&o, v, n, (uint32_t)keep, x, err);
    if (n <= RUN) {
        insertion(&o, v, n);
        return HG_OK;
    }
    struct hg_arena *a = hg_arena_new(x->budget);
    if (!a) return hg_fail(err, HG_E_NOMEM, "sorting");
    uint32_t *tmp = hg_arena_array(a, n, sizeof *tmp);
    enum hg_rc rc = tmp ? sort_all(&o, v, n, tmp, x, err) : hg_arena_fail(a, "sorting", err);
    hg_arena_free(a);
    return rc;
}
