/* Joda's patterns for dates ("yyyy-MM-dd HH:mm"), printed and read. Letters: G C Y x w e E y D M d a K h H k m s S z Z; other letters are
 * refused; text in single quotes stands for itself. Names are English. */
#ifndef HG_QUERY_EXPR_TIMEFMT_H
#define HG_QUERY_EXPR_TIMEFMT_H

#include "base/mem.h"
#include "base/time.h"

struct hg_timefmt; /* read-only; lives in the arena */

/* HG_E_INVALID names the letter. */
HG_MUST_USE enum hg_rc hg_timefmt_new(struct hg_arena *a, struct hg_str pattern, const struct hg_timefmt **out, struct hg_err *err);
/* The same with the names of a language for printing ("pt-BR"; NULL: English). */
HG_MUST_USE enum hg_rc hg_timefmt_new_in(struct hg_arena *a, struct hg_str pattern, const char *locale, const struct hg_timefmt **out, struct hg_err *err);
void hg_timefmt_print(const struct hg_timefmt *f, int64_t t, const struct hg_tz *tz, struct hg_buf *out);
/* The whole text must fit. What the pattern leaves out is that of 1970-01-01T00:00 (year 2000 where only a month or a day is given). */
bool hg_timefmt_parse(const struct hg_timefmt *f, struct hg_str s, const struct hg_tz *tz, int64_t *out);

#endif
