/* Regular expressions (PCRE2) of a plan: compiled once, shared by threads. */
#ifndef HG_QUERY_FILTER_REGEX_H
#define HG_QUERY_FILTER_REGEX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct hg_pcre;

/* HG_E_INVALID names the offset and what is wrong there. Freed with the arena. */
HG_MUST_USE enum hg_rc hg_regex_compile(struct hg_arena *a, struct hg_str pattern, const struct hg_pcre **out, struct hg_err *err);
/* Whether the pattern is found anywhere in s (not null). HG_E_LIMIT: it took more steps than a value may. */
HG_MUST_USE enum hg_rc hg_regex_find(const struct hg_pcre *re, struct hg_str s, bool *found, struct hg_err *err);
/* The same, and what group number `group` matched (0: the whole pattern); p NULL where it took no part. Borrows from s. */
HG_MUST_USE enum hg_rc hg_regex_group(const struct hg_pcre *re, struct hg_str s, uint32_t group, bool *found, struct hg_str *out, struct hg_err *err);
uint32_t hg_regex_groups(const struct hg_pcre *re); /* groups in the pattern */

#endif
