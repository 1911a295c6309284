#include "sketch/quantiles.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "sketch/quantiles_private.h"

#define FIRST_BASE 16u

enum hg_rc hg_quantiles_new(uint32_t k, struct hg_quantiles **out, struct hg_err *err)
{
    static _Atomic uint64_t made; /* each sketch throws coins of its own */
    if (k < HG_QUANTILES_MIN_K || k > HG_QUANTILES_MAX_K || (k & (k - 1)))
        return hg_fail(err, HG_E_INVALID, "a quantiles sketch of k %u: k is a power of two between %u and %u", k, HG_QUANTILES_MIN_K, HG_QUANTILES_MAX_K);
    struct hg_quantiles *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "quantiles sketch");
    s->k = k;
    s->min = s->max = NAN;
    s->coins = atomic_fetch_add(&made, 1) << 32;
    *out = s;
    return HG_OK;
}

static void drop(struct hg_quantiles *s)
{
    free(s->base);
    for (uint32_t i = 0; i < QUANTILES_LEVELS; i++) free(s->level[i]);
}

void hg_quantiles_free(struct hg_quantiles *s)
{
    if (!s) return;
    drop(s);
    free(s);
}

static uint32_t coin(struct hg_quantiles *s) { return hg_mix64(++s->coins) & 1; }

static int ascending(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

void hg_quantiles_sort(double *v, size_t n) { qsort(v, n, sizeof *v, ascending); }

/* ---- levels ---- */

/* Every other of 2k sorted items. */
static void thin(struct hg_quantiles *s, const double *from, double *to)
{
    for (uint32_t i = 0, at = coin(s); i < s->k; i++, at += 2) to[i] = from[at];
}

static void merge_sorted(const double *a, const double *b, uint32_t k, double *out)
{
    uint32_t i = 0, j = 0;
    for (uint32_t at = 0; at < 2 * k; at++) out[at] = j == k || (i < k && a[i] <= b[j]) ? a[i++] : b[j++];
}

/* Puts k sorted items (taken over) on a level; while one is there already, the two become one on the next. both: room for 2k. */
static void carry(struct hg_quantiles *s, uint32_t at, double *items, double *both)
{
    for (; s->levels >> at & 1; at++) {
        merge_sorted(s->level[at], items, s->k, both);
        thin(s, both, items);
        free(s->level[at]);
        s->level[at] = NULL;
        s->levels ^= (uint64_t)1 << at;
    }
    s->level[at] = items;
    s->levels |= (uint64_t)1 << at;
}

/* Memory for a carry is taken before anything changes. */
static enum hg_rc carry_room(const struct hg_quantiles *s, uint32_t at, double **items, double **both, struct hg_err *err)
{
    uint64_t above = s->levels >> at;
    uint32_t end = at;
    while (above & 1) above >>= 1, end++;
    if (end >= QUANTILES_LEVELS) return hg_fail(err, HG_E_LIMIT, "a quantiles sketch cannot count more items");
    *items = malloc(s->k * sizeof **items);
    *both = malloc(2 * (size_t)s->k * sizeof **both);
    if (*items && *both) return HG_OK;
    free(*items);
    free(*both);
    return hg_fail(err, HG_E_NOMEM, "quantiles sketch");
}

static enum hg_rc compact_base(struct hg_quantiles *s, struct hg_err *err)
{
    double *items, *both;
    HG_TRY(carry_room(s, 0, &items, &both, err));
    hg_quantiles_sort(s->base, s->n_base);
    thin(s, s->base, items);
    s->n_base = 0;
    carry(s, 0, items, both);
    free(both);
    return HG_OK;
}

static enum hg_rc base_room(struct hg_quantiles *s, struct hg_err *err)
{
    if (s->n_base < s->cap_base) return HG_OK;
    uint32_t cap = s->cap_base ? s->cap_base * 2 : FIRST_BASE;
    if (cap > 2 * s->k) cap = 2 * s->k;
    double *b = realloc(s->base, cap * sizeof *b);
    if (!b) return hg_fail(err, HG_E_NOMEM, "quantiles sketch");
    s->base = b;
    s->cap_base = cap;
    return HG_OK;
}

static void widen(struct hg_quantiles *s, double lo, double hi)
{
    if (!(s->min <= lo)) s->min = lo;
    if (!(s->max >= hi)) s->max = hi;
}

enum hg_rc hg_quantiles_add(struct hg_quantiles *s, double v, struct hg_err *err)
{
    if (isnan(v)) return HG_OK;
    HG_TRY(base_room(s, err));
    s->base[s->n_base++] = v;
    if (s->n_base == 2 * s->k) {
        enum hg_rc rc = compact_base(s, err);
        if (rc) return s->n_base--, rc;
    }
    s->n++;
    widen(s, v, v);
    return HG_OK;
}

/* ---- merging ---- */

/* One level of src onto acc: k_src / k_acc of its items, equally spaced from a random one on, stand for all; then each of them weighs that much more. */
static enum hg_rc add_level(struct hg_quantiles *acc, const struct hg_quantiles *src, uint32_t at, struct hg_err *err)
{
    double *items, *both;
    uint32_t step = src->k / acc->k, up = 0;
    while (1u << up < step) up++;
    if (at + up >= QUANTILES_LEVELS) return hg_fail(err, HG_E_LIMIT, "a quantiles sketch cannot count more items");
    HG_TRY(carry_room(acc, at + up, &items, &both, err));
    uint32_t from = step > 1 ? (uint32_t)(hg_mix64(++acc->coins) % step) : 0;
    for (uint32_t i = 0; i < acc->k; i++) items[i] = src->level[at][i * step + from];
    carry(acc, at + up, items, both);
    free(both);
    return HG_OK;
}

static enum hg_rc add_all(struct hg_quantiles *acc, const struct hg_quantiles *src, struct hg_err *err)
{
    uint64_t n = acc->n + src->n;
    for (uint32_t i = 0; i < src->n_base; i++) HG_TRY(hg_quantiles_add(acc, src->base[i], err));
    for (uint32_t i = 0; i < QUANTILES_LEVELS; i++)
        if (src->levels >> i & 1) HG_TRY(add_level(acc, src, i, err));
    acc->n = n;
    widen(acc, src->min, src->max);
    return HG_OK;
}

enum hg_rc hg_quantiles_merge(struct hg_quantiles *acc, const struct hg_quantiles *src, struct hg_err *err)
{
    if (!src->n) return HG_OK;
    if (src->k >= acc->k) return add_all(acc, src, err);
    struct hg_quantiles *less, old; /* the finer of the two gives way */
    HG_TRY(hg_quantiles_new(src->k, &less, err));
    enum hg_rc rc = acc->n ? add_all(less, acc, err) : HG_OK;
    if (!rc) rc = add_all(less, src, err);
    if (!rc) {
        old = *acc;
        *acc = *less;
        *less = old;
    }
    hg_quantiles_free(less);
    return rc;
}

/* ---- facts ---- */

uint64_t hg_quantiles_n(const struct hg_quantiles *s) { return s->n; }
uint32_t hg_quantiles_k(const struct hg_quantiles *s) { return s->k; }
double hg_quantiles_min(const struct hg_quantiles *s) { return s->min; }
double hg_quantiles_max(const struct hg_quantiles *s) { return s->max; }

size_t hg_quantiles_memory(const struct hg_quantiles *s)
{
    return sizeof *s + (s->cap_base + (size_t)__builtin_popcountll(s->levels) * s->k) * sizeof(double);
}

size_t hg_quantiles_growth(const struct hg_quantiles *s)
{
    size_t bytes = s->n_base < s->cap_base ? 0 : (s->cap_base ? s->cap_base : FIRST_BASE) * sizeof(double);
    if (s->n_base + 1 == 2 * s->k) bytes += 3 * (size_t)s->k * sizeof(double);
    return bytes;
}

/* ---- questions ---- */

struct weighted { double v; uint64_t w; };

static int by_value(const void *a, const void *b)
{
    const struct weighted *x = a, *y = b;
    return (x->v > y->v) - (x->v < y->v);
}

static size_t gather(const struct hg_quantiles *s, struct weighted *to)
{
    size_t n = 0;
    for (uint32_t i = 0; i < s->n_base; i++) to[n++] = (struct weighted){s->base[i], 1};
    for (uint32_t l = 0; l < QUANTILES_LEVELS; l++)
        for (uint32_t i = 0; s->levels >> l & 1 && i < s->k; i++) to[n++] = (struct weighted){s->level[l][i], (uint64_t)2 << l};
    return n;
}

enum hg_rc hg_quantiles_view_open(const struct hg_quantiles *s, struct hg_quantiles_view *w, struct hg_err *err)
{
    size_t cap = s->n_base + (size_t)__builtin_popcountll(s->levels) * s->k + 1;
    struct weighted *all = malloc(cap * sizeof *all);
    *w = (struct hg_quantiles_view){.v = malloc(cap * sizeof *w->v), .upto = malloc(cap * sizeof *w->upto), .n = s->n};
    if (!all || !w->v || !w->upto) {
        free(all);
        hg_quantiles_view_close(w);
        return hg_fail(err, HG_E_NOMEM, "quantiles");
    }
    w->count = gather(s, all);
    qsort(all, w->count, sizeof *all, by_value);
    uint64_t sum = 0;
    for (size_t i = 0; i < w->count; i++) {
        w->v[i] = all[i].v;
        w->upto[i] = sum += all[i].w;
    }
    free(all);
    return HG_OK;
}

void hg_quantiles_view_close(struct hg_quantiles_view *w)
{
    free(w->v);
    free(w->upto);
    *w = (struct hg_quantiles_view){0};
}

double hg_quantiles_at(const struct hg_quantiles_view *w, double fraction)
{
    if (!w->count) return NAN;
    double natural = fraction * (double)w->n;
    if (w->n <= 10000000) natural = floor(natural * 1e7 + 0.5) / 1e7; /* 0.1 * 10 is 1, not a little more */
    uint64_t rank = (uint64_t)ceil(natural);
    size_t lo = 0, hi = w->count - 1; /* the first whose weight reaches it, else the last */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (w->upto[mid] >= rank) hi = mid;
        else lo = mid + 1;
    }
    return w->v[lo];
}

double hg_quantiles_rank(const struct hg_quantiles_view *w, double value)
{
    if (!w->count) return NAN;
    size_t lo = 0, hi = w->count; /* the first greater one */
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (w->v[mid] > value) hi = mid;
        else lo = mid + 1;
    }
    return lo ? (double)w->upto[lo - 1] / (double)w->n : 0;
}
