/* Search specs ("contains", "fragment", ...): what a text must hold. Of search filters, of the extraction function searchQuery and of search queries. */
#ifndef HG_QUERY_FILTER_SEARCH_H
#define HG_QUERY_FILTER_SEARCH_H

#include "base/buf.h"
#include "base/mem.h"

struct hg_pcre;
enum hg_search_kind { HG_SEARCH_ALL, HG_SEARCH_FRAGMENTS, HG_SEARCH_REGEX };
struct hg_search {
    enum hg_search_kind kind;
    const struct hg_str *parts; /* FRAGMENTS: each must be there; folded when case does not matter */
    uint32_t n_parts;
    bool any_case;
    bool never;                 /* a part is null: nothing holds it */
    const struct hg_pcre *re;   /* REGEX: found anywhere */
};
/* text is not null. HG_E_LIMIT: a regular expression took too many steps; HG_E_NOMEM. */
HG_MUST_USE enum hg_rc hg_search_accepts(const struct hg_search *s, struct hg_str text, bool *yes, struct hg_err *err);
/* Text without regard to case, as Java's regionMatches compares: each character in upper, then in lower case. Appends. */
void hg_search_fold(struct hg_str s, struct hg_buf *out);

#endif
