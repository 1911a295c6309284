/* Bitmap index of a string column: which rows hold dictionary id N. Few rows are a list of varint differences, many a portable CRoaring
 * bitmap, whichever is smaller, so the common id with a handful of rows costs a few bytes. The compact form, of files of version 3, has besides: rows that follow each other, which are those of an entity
 * where rows are sorted by it; ids with so many rows that their number is all that is kept, because looking at the column is as good; and a table of every eighth id. A read-only view of mapped bytes, checked in chunks on
 * first use (checksum, then the structure of every set in the chunk); any thread may look up. Layout: docs/segment-format.md, "Bitmap index". */
#ifndef HG_SEGMENT_BMI_H
#define HG_SEGMENT_BMI_H

#include <roaring/roaring.h>
#include "base/buf.h"
#include "base/mem.h"

struct hg_bmi_form {
    bool compact;
    uint32_t most; /* compact: ids with more rows than that are only counted */
};
/* Writes the index of card ids: id i holds rows[starts[i] .. starts[i + 1]), ascending strictly. dir and data are appended to. */
HG_MUST_USE enum hg_rc hg_bmi_write(const uint32_t *starts, const uint32_t *rows, uint32_t card, struct hg_bmi_form form, struct hg_buf *dir, struct hg_buf *data, struct hg_err *err);

struct hg_bmi; /* lives in the arena given to open */
/* dir's bytes have been checked against their checksum. HG_E_CORRUPT: a table does not agree with card or data's length. */
HG_MUST_USE enum hg_rc hg_bmi_open(struct hg_arena *a, struct hg_span dir, struct hg_span data, uint32_t card, uint32_t n_rows, bool compact, struct hg_bmi **out, struct hg_err *err);
/* Adds the rows of ids[0..n) to *acc; ids past the dictionary have none. *counted: some of them are only counted, and what *acc holds then is of no use. */
HG_MUST_USE enum hg_rc hg_bmi_rows_of(struct hg_bmi *ix, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, bool *counted, struct hg_err *err);
/* Rows of id; UINT32_MAX when its bytes are broken (rows_of then tells how). */
uint32_t hg_bmi_count(struct hg_bmi *ix, uint32_t id);
/* How many ids are kept in which way; for stat. */
struct hg_bmi_stat { uint32_t empty, lists, bitmaps, runs, counted; };
HG_MUST_USE enum hg_rc hg_bmi_stat(struct hg_bmi *ix, struct hg_bmi_stat *out, struct hg_err *err);

#endif
