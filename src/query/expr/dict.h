/* A dictionary that grows in order of arrival, of texts that expressions make. Texts are copied into the arena. */
#ifndef HG_QUERY_EXPR_DICT_H
#define HG_QUERY_EXPR_DICT_H

#include "segment/source.h"

struct hg_xdict {
    struct hg_dict base; /* first: the two pointers are one */
    struct hg_arena *a;
    struct hg_str *text; /* [0] null */
    uint32_t cap;
    uint32_t *slots;     /* ids by hash of the text; 0: empty */
    uint32_t mask;
};
HG_MUST_USE enum hg_rc hg_xdict_init(struct hg_xdict *d, struct hg_arena *a, struct hg_err *err);
/* The id of s, added when new; null is 0. */
HG_MUST_USE enum hg_rc hg_xdict_add(struct hg_xdict *d, struct hg_str s, uint32_t *id, struct hg_err *err);

#endif
