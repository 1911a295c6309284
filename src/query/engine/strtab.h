/* Distinct texts of a partial being built. Texts are copied into its arena. */
#ifndef HG_QUERY_ENGINE_STRTAB_H
#define HG_QUERY_ENGINE_STRTAB_H

#include "query/engine/rows.h"

struct hg_strtab {
    struct hg_partial *p;
    uint32_t cap;     /* room in p->strings */
    uint32_t *slots;  /* string number, 0: empty; in p's arena; NULL: none yet */
    uint32_t mask;
    uint32_t indexed; /* strings below this are in slots */
};
/* p->strings holds only the null. */
void hg_strtab_init(struct hg_strtab *t, struct hg_partial *p);
/* Makes room in p->strings and p->common for n more, which the caller appends himself: texts that live as long as p, with their numbers (segment/common.h). One that is there already may come
 * again: it costs its place. */
HG_MUST_USE enum hg_rc hg_strtab_room(struct hg_strtab *t, uint32_t n, struct hg_err *err);
/* The number of s in p->strings, added when new; null is 0. copy: false when s outlives p. */
HG_MUST_USE enum hg_rc hg_strtab_add(struct hg_strtab *t, struct hg_str s, bool copy, uint32_t *out, struct hg_err *err);

#endif
