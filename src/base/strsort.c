/* Eight bytes after what all texts have in common are a number each, and the numbers are sorted by radix, over those of their bytes that differ at all; of ids of twelve digits that is a pass a
 * digit. Texts whose numbers are equal are compared whole. */
#include "base/strsort.h"

#include <stdlib.h>
#include <string.h>

#define FEW 64u /* with fewer comparing is quicker */

struct item {
    uint64_t key; /* the first of the eight bytes is the highest; zeros behind the text's end */
    struct hg_str s;
};

static int cmp_str(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }
static int cmp_item(const void *a, const void *b) { return hg_str_cmp(((const struct item *)a)->s, ((const struct item *)b)->s); }

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

static size_t common_start(const struct hg_str *v, uint32_t n)
{
    size_t len = v[0].len;
    for (uint32_t i = 1; i < n; i++) {
        size_t most = v[i].len < len ? v[i].len : len, k = 0;
        while (k < most && v[i].p[k] == v[0].p[k]) k++;
        len = k;
    }
    return len;
}

static uint64_t key_of(struct hg_str s, size_t from)
{
    uint64_t key = 0;
    size_t n = s.len - from < 8 ? s.len - from : 8;
    for (size_t i = 0; i < n; i++) key |= (uint64_t)(unsigned char)s.p[from + i] << (56 - 8 * i);
    return key;
}

/* By the keys; a and b are room for n each. Returns the one that has the result. */
static struct item *by_key(struct item *a, struct item *b, uint32_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t at[257] = {0};
        for (uint32_t i = 0; i < n; i++) at[(a[i].key >> shift & 255) + 1]++;
        if (at[(a[0].key >> shift & 255) + 1] == n) continue; /* all have the same */
        for (unsigned d = 1; d < 256; d++) at[d] += at[d - 1];
        for (uint32_t i = 0; i < n; i++) b[at[a[i].key >> shift & 255]++] = a[i];
        struct item *t = a;
        a = b;
        b = t;
    }
    return a;
}

/* False: no memory. Nulls are not among them. */
static bool sort_by_radix(struct hg_str *v, uint32_t n)
{
    struct item *items = malloc((size_t)n * 2 * sizeof *items);
    if (!items) return false;
    size_t from = common_start(v, n);
    for (uint32_t i = 0; i < n; i++) items[i] = (struct item){key_of(v[i], from), v[i]};
    struct item *sorted = by_key(items, items + n, n);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i + 1; j < n && sorted[j].key == sorted[i].key;) j++;
        if (j - i > 1) qsort(&sorted[i], j - i, sizeof *sorted, cmp_item);
    }
    for (uint32_t i = 0; i < n; i++) v[i] = sorted[i].s;
    free(items);
    return true;
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
