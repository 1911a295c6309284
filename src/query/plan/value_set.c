/* The values of selector, in, inType and equals as sets. Their texts are sorted once; what columns of numbers need is made of them when such a column is met, which for lists of
 * entities is never. Room for it is taken with the filter, so that making it cannot fail, and touched only then. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/strsort.h"
#include "query/plan/parse.h"

struct hg_in_numbers {
    pthread_mutex_t mu; /* guards making the set; nothing is held in it that needs to be destroyed */
    _Atomic bool made;
    struct hg_number_set set;
    int64_t *i, *dec; /* room for each value */
    double *d, *f;
};

static int cmp_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}
static int cmp_f64(const void *a, const void *b) /* no NaN here; -0.0 before 0.0 */
{
    double x = *(const double *)a, y = *(const double *)b;
    if (x != y) return x < y ? -1 : 1;
    return (signbit(y) != 0) - (signbit(x) != 0);
}

static bool ascends(const char *v, uint32_t n, size_t size, int (*cmp)(const void *, const void *))
{
    for (uint32_t i = 1; i < n; i++)
        if (cmp(v + (size_t)(i - 1) * size, v + (size_t)i * size) >= 0) return false;
    return true;
}

static uint32_t sort_unique(void *v, uint32_t n, size_t size, int (*cmp)(const void *, const void *))
{
    char *b = v;
    if (n == 0 || ascends(b, n, size, cmp)) return n; /* clients often sort */
    qsort(v, n, size, cmp);
    uint32_t m = 1;
    for (uint32_t i = 1; i < n; i++)
        if (cmp(b + (size_t)(m - 1) * size, b + (size_t)i * size) != 0) {
            if (m != i) memcpy(b + (size_t)m * size, b + (size_t)i * size, size);
            m++;
        }
    return m;
}

static void make(struct hg_in_numbers *v, const struct hg_str *texts, uint32_t n)
{
    uint32_t ni = 0, nd = 0, nc = 0;
    for (uint32_t k = 0; k < n; k++) {
        struct hg_edge e = {.there = true, .s = texts[k]};
        hg_edge_numbers(&e);
        if (e.is_int) v->i[ni++] = e.i;
        if (!e.is_num) continue;
        v->d[nd] = e.d;
        v->f[nd++] = (double)(float)e.d;
        int64_t micros;
        if (hg_parse_decimal(e.s, &micros) && fabs(e.d * HG_DECIMAL_SCALE - (double)micros) < 1e-3) v->dec[nc++] = micros;
    }
    v->set = (struct hg_number_set){.i = v->i, .d = v->d, .f = v->f, .dec = v->dec};
    v->set.n_i = sort_unique(v->i, ni, sizeof *v->i, cmp_i64);
    v->set.n_d = sort_unique(v->d, nd, sizeof *v->d, cmp_f64);
    v->set.n_f = sort_unique(v->f, nd, sizeof *v->f, cmp_f64);
    v->set.n_dec = sort_unique(v->dec, nc, sizeof *v->dec, cmp_i64);
}

const struct hg_number_set *hg_filter_numbers(const struct hg_filter *in)
{
    struct hg_in_numbers *v = in->u.in.numbers;
    if (atomic_load_explicit(&v->made, memory_order_acquire)) return &v->set;
    pthread_mutex_lock(&v->mu);
    if (!v->made) make(v, in->u.in.s, in->u.in.n_s);
    atomic_store_explicit(&v->made, true, memory_order_release);
    pthread_mutex_unlock(&v->mu);
    return &v->set;
}

enum hg_rc hg_filter_set_values(struct hg_arena *a, struct hg_filter *f, struct hg_str *texts, uint32_t n, struct hg_err *err)
{
    struct hg_in_numbers *v = hg_arena_zalloc(a, sizeof *v);
    int64_t *room = hg_arena_alloc(a, (size_t)n * 4 * sizeof *room); /* not zeroed: memory that is not touched costs nothing */
    if (!v || !room) return hg_arena_fail(a, "filter values", err);
    v->i = room;
    v->dec = room + n;
    v->d = (double *)(void *)(room + (size_t)2 * n);
    v->f = (double *)(void *)(room + (size_t)3 * n);
    pthread_mutex_init(&v->mu, NULL);
    uint32_t ns = 0;
    f->kind = HG_F_IN;
    f->u.in.null = false;
    for (uint32_t k = 0; k < n; k++) {
        if (texts[k].p) texts[ns++] = texts[k];
        else f->u.in.null = true;
    }
    f->u.in.s = texts;
    f->u.in.n_s = hg_str_sort_unique(texts, ns);
    f->u.in.numbers = v;
    return HG_OK;
}
