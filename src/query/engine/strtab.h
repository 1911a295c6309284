/* Distinct texts of a partial being built. Texts are copied into its arena. */
#ifndef HG_QUERY_ENGINE_STRTAB_H
#define HG_QUERY_ENGINE_STRTAB_H

#include "query/engine/rows.h"

struct hg_strtab {
    struct hg_partial *p;
    uint32_t cap;     /* room in p->strings */
    uint32_t *slots;  /* string number, 0: empty; in p's arena */
    uint32_t mask;
    bool distinct;    /* set it before the first add where no text comes twice: none is looked for then */
};
/* p->strings holds only the null. */
void hg_strtab_init(struct hg_strtab *t, struct hg_partial *p);
/* The number of s in p->strings, added when new; null is 0. copy: false when s outlives p. */
HG_MUST_USE enum hg_rc hg_strtab_add(struct hg_strtab *t, struct hg_str s, bool copy, uint32_t *out, struct hg_err *err);
/* The same for each of s[0..n): much faster when the table is larger than the caches, for what one needs of it is fetched while those before it are looked up. */
HG_MUST_USE enum hg_rc hg_strtab_add_all(struct hg_strtab *t, const struct hg_str *s, uint32_t n, bool copy, uint32_t *out, struct hg_err *err);

#endif
