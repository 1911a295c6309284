#include "base/strsort.h"

#include <stdlib.h>

#include "base/text_sort.h"

#define FEW 64u /* with fewer comparing is quicker */

static int cmp_str(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

static bool ascends(const struct hg_str *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (hg_str_cmp(v[i - 1], v[i]) >= 0) return false;
    return true;
}

static uint32_t unique(struct hg_str *v, uint32_t n)
{
    uint32_t m = 1;
    for (uint32_t i = 1; i < n; i++)
        if (!hg_str_eq(v[m - 1], v[i])) v[m++] = v[i];
    return m;
}

/* False: no memory. Nulls are not among them. */
static bool sort_by_radix(struct hg_str *v, uint32_t n)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_text *texts = a ? hg_arena_scratch(a, n, sizeof *texts) : NULL;
    bool ok = texts != NULL;
    for (uint32_t i = 0; ok && i < n; i++) texts[i] = (struct hg_text){v[i], i};
    ok = ok && hg_texts_sort(texts, n, a, NULL) == HG_OK;
    for (uint32_t i = 0; ok && i < n; i++) v[i] = texts[i].s;
    hg_arena_free(a);
    return ok;
}

static bool has_null(const struct hg_str *v, uint32_t n)
{
    uint32_t i = 0;
    while (i < n && v[i].p) i++;
    return i < n;
}

uint32_t hg_str_sort_unique(struct hg_str *v, uint32_t n)
{
    if (n < 2 || ascends(v, n)) return n; /* clients often sort */
    if (n < FEW || has_null(v, n) || !sort_by_radix(v, n)) qsort(v, n, sizeof *v, cmp_str);
    return unique(v, n);
}
