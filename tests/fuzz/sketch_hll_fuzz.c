/* Serialised HLL sketches: what reads, reads back what it writes, unions and goes on taking items. */
#include <stdlib.h>
#include "sketch/hll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_span in = {data, size};
    struct hg_hll *s = NULL, *acc = NULL, *again = NULL;
    struct hg_buf b;
    double est;
    hg_buf_init(&b, 1u << 25);
    if (hg_hll_new(11, 8, &acc, NULL) != HG_OK) abort();
    enum hg_rc merged = hg_hll_union_bytes(acc, in, NULL), whole = hg_hll_estimate_bytes(in, &est, NULL);
    if (hg_hll_read(in, &s, NULL) == HG_OK) {
        if (merged != HG_OK || whole != HG_OK) abort();
        hg_hll_write(s, true, &b);
        if (b.failed || hg_hll_read(hg_buf_span(&b), &again, NULL) != HG_OK) abort();
        if (hg_hll_composite_estimate(s) != hg_hll_composite_estimate(again)) abort();
        for (int64_t v = 0; v < 100; v++)
            if (hg_hll_add_i64(s, v, NULL) != HG_OK) abort();
        if (hg_hll_union(acc, s, NULL) != HG_OK || !(hg_hll_estimate(acc) >= 0)) abort();
    }
    hg_buf_free(&b);
    hg_hll_free(again);
    hg_hll_free(s);
    hg_hll_free(acc);
    return 0;
}
