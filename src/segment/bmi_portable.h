/* Sets of rows in CRoaring's portable form (RoaringFormatSpec), written straight from sorted rows: what roaring_bitmap_of_ptr, run_optimize and portable_serialize make of them, byte for byte,
 * without a bitmap in between. */
#ifndef HG_SEGMENT_BMI_PORTABLE_H
#define HG_SEGMENT_BMI_PORTABLE_H

#include "base/buf.h"

struct hg_portable_part { /* rows of the same upper 16 bits */
    uint32_t from, n, runs;
};
struct hg_portable { /* a set made ready */
    const uint32_t *rows;
    uint32_t n_parts, n_runs; /* n_runs: of the parts, those that are written as runs */
    size_t bytes;
    struct hg_portable_part *parts, few[64]; /* parts: few, or owned */
};
/* rows[0..n), ascending, n >= 1, are borrowed. */
HG_MUST_USE enum hg_rc hg_portable_of(struct hg_portable *p, const uint32_t *rows, uint32_t n, struct hg_err *err);
void hg_portable_put(const struct hg_portable *p, struct hg_buf *out); /* p->bytes of them */
void hg_portable_free(struct hg_portable *p);

#endif
