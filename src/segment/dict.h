/* The sorted dictionary of a string column in a segment: front-coded values, every 16th whole ("restart"), found by binary search over the
 * restarts and a walk of at most 15 entries. A read-only view of mapped bytes; any thread may look up. Ids as in hg_dict: 0 is null and not
 * stored. Layout: docs/segment-format.md, "Dictionary". */
#ifndef HG_SEGMENT_DICT_H
#define HG_SEGMENT_DICT_H

#include "base/mem.h"
#include "segment/source.h"

#define HG_DICT_RESTART 16u
#define HG_DICT_MAX_VALUE (16u << 20) /* bytes of one value */

struct hg_dict_writer {
    struct hg_buf restarts, data, prev;
    uint32_t n, max_len;
};
void hg_dict_writer_init(struct hg_dict_writer *w);
void hg_dict_writer_free(struct hg_dict_writer *w);
/* Values ascend strictly (hg_str_cmp) and are not null: asserted. HG_E_LIMIT: a value or the whole is too long. */
HG_MUST_USE enum hg_rc hg_dict_writer_add(struct hg_dict_writer *w, struct hg_str s, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_dict_writer_finish(struct hg_dict_writer *w, struct hg_buf *out, struct hg_err *err);

/* Walks every entry: bounds, restarts and strict order are checked here and trusted after. *out lives in a and borrows raw. */
HG_MUST_USE enum hg_rc hg_dict_open(struct hg_arena *a, struct hg_span raw, const struct hg_dict **out, struct hg_err *err);

#endif
