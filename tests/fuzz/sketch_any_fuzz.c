/* Serialised sketches of every kind (the first byte says which): what reads, reads back what it writes, merges as bytes and whole, and goes on taking items. */
#include <stdlib.h>
#include "sketch/sketch.h"

static void ask_quantiles(const struct hg_sketch *s)
{
    struct hg_quantiles_view w;
    if (hg_quantiles_view_open((const void *)s, &w, NULL) != HG_OK) abort();
    (void)hg_quantiles_at(&w, 0.5);
    if (!(hg_quantiles_rank(&w, 1e300) >= 0) && w.count) abort();
    hg_quantiles_view_close(&w);
}

static void ask_theta(const struct hg_sketch *s)
{
    const struct hg_theta *t = (const void *)s;
    if (hg_theta_lower_bound(t, 2) > hg_theta_estimate(t) || hg_theta_upper_bound(t, 2) < hg_theta_estimate(t)) abort();
}

/* Quantiles may say that they hold more items than can be counted on top. */
static bool failed(const struct hg_sketch_def *d, enum hg_rc rc) { return rc != HG_OK && !(rc == HG_E_LIMIT && d->kind == HG_SKETCH_QUANTILES); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hg_sketch_def defs[] = {
        {.kind = HG_SKETCH_HLL, .lg_k = 11, .bits = 4}, {.kind = HG_SKETCH_THETA, .lg_k = 6}, {.kind = HG_SKETCH_QUANTILES, .lg_k = 5}, {.kind = HG_SKETCH_HYPERUNIQUE, .lg_k = 11}};
    if (size == 0) return 0;
    const struct hg_sketch_def *d = &defs[data[0] % 4];
    struct hg_span in = {data + 1, size - 1};
    struct hg_sketch *s = NULL, *acc = NULL, *again = NULL;
    struct hg_buf b;
    hg_buf_init(&b, 1u << 25);
    if (hg_sketch_new(d, &acc, NULL) != HG_OK) abort();
    size_t room = hg_sketch_memory(d, acc) + hg_sketch_merge_growth(d, acc, in.len);
    enum hg_rc merged = hg_sketch_merge_bytes(d, acc, in, NULL);
    if (merged == HG_OK && hg_sketch_memory(d, acc) > room) abort();
    if (hg_sketch_read(d, in, &s, NULL) == HG_OK) {
        if (merged != HG_OK || hg_sketch_write(d, s, &b, NULL) != HG_OK || b.failed) abort();
        if (hg_sketch_read(d, hg_buf_span(&b), &again, NULL) != HG_OK) abort();
        if (d->kind == HG_SKETCH_QUANTILES) ask_quantiles(s);
        if (d->kind == HG_SKETCH_THETA) ask_theta(s);
        if (d->kind != HG_SKETCH_HLL) /* an HLL that was read may have registers that take in no other */
            for (int64_t v = 0; v < 100; v++)
                if (failed(d, hg_sketch_add(d, s, hg_sketch_item_i64(d, v), NULL))) abort();
        if (failed(d, hg_sketch_merge(d, acc, s, NULL)) || !(hg_sketch_estimate(d, acc) >= 0)) abort();
        hg_sketch_free(d, again);
        hg_sketch_free(d, s);
    }
    hg_sketch_free(d, acc);
    hg_buf_free(&b);
    return 0;
}
