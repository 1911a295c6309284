/* By radix of eight bytes behind those that all texts begin with, which is all there is of most ids; what is equal there is compared. */
#include "base/text_sort.h"

#include <stdlib.h>
#include "base/radix.h"

/* How many bytes all of them begin with. */
static size_t common_head(const struct hg_text *t, uint32_t n)
{
    size_t common = n ? t[0].s.len : 0;
    for (uint32_t i = 1; i < n && common; i++) {
        size_t same = 0, most = t[i].s.len < common ? t[i].s.len : common;
        while (same < most && t[i].s.p[same] == t[0].s.p[same]) same++;
        common = same;
    }
    return common;
}

/* Eight bytes as a number in their order. Shorter texts end in zeros, which a text of zeros does too. */
static uint64_t digit_of(struct hg_str s, size_t common)
{
    uint8_t b[8] = {0};
    uint64_t v = 0;
    if (s.len > common) memcpy(b, s.p + common, s.len - common < 8 ? s.len - common : 8);
    for (int i = 0; i < 8; i++) v = v << 8 | b[i];
    return v;
}

static int by_text(const void *a, const void *b) { return hg_str_cmp(((const struct hg_text *)a)->s, ((const struct hg_text *)b)->s); }

enum hg_rc hg_texts_sort(struct hg_text *texts, uint32_t n, struct hg_arena *a, struct hg_err *err)
{
    struct hg_text *copy = hg_arena_scratch(a, (size_t)n + 1, sizeof *copy);
    struct hg_radix *x = hg_arena_scratch(a, (size_t)n + 1, sizeof *x), *y = hg_arena_scratch(a, (size_t)n + 1, sizeof *y);
    if (!copy || !x || !y) return hg_arena_fail(a, "sorting texts", err);
    size_t common = common_head(texts, n);
    for (uint32_t i = 0; i < n; i++) x[i] = (struct hg_radix){digit_of(texts[i].s, common), i};
    x = hg_radix_sort(x, y, n);
    if (n) memcpy(copy, texts, n * sizeof *copy);
    for (uint32_t i = 0; i < n; i++) texts[i] = copy[x[i].of];
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && x[end].key == x[i].key;) end++;
        if (end > i + 1) qsort(texts + i, end - i, sizeof *texts, by_text);
    }
    return HG_OK;
}
