/* Texts in the order of their bytes, each with what it is the text of. */
#ifndef HG_BASE_TEXT_SORT_H
#define HG_BASE_TEXT_SORT_H

#include "base/buf.h"
#include "base/mem.h"

struct hg_text {
    struct hg_str s;
    uint32_t id;
};
/* Sorts texts[0..n), none of which is null; equal ones stand in any order. The arena gives memory for the time of the call and a copy of them. */
HG_MUST_USE enum hg_rc hg_texts_sort(struct hg_text *texts, uint32_t n, struct hg_arena *a, struct hg_err *err);

#endif
