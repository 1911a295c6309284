/* A source whose rows are rows of another one, in its order, each any number of times: what filtering, unnesting and joining leave of a source. Beside the columns of the base it may have
 * columns of a table in memory, by row numbers of their own, and one column of dictionary ids. Everything lives in the arena; base and table outlive it. */
#ifndef HG_QUERY_SOURCE_MAPPED_H
#define HG_QUERY_SOURCE_MAPPED_H

#include "query/source/table.h"

#define HG_NO_ROW UINT32_MAX /* of the table: the row's values are null */

/* Row numbers that grow; counted in the budget of an arena. */
struct hg_rowlist {
    struct hg_arena *a;
    uint32_t *v, n, cap;
};
HG_MUST_USE enum hg_rc hg_rowlist_add(struct hg_rowlist *l, uint32_t row, struct hg_err *err);

struct hg_mapped;
/* rows[0..n): rows of base, ascending; extra: how many columns may be added. */
HG_MUST_USE enum hg_rc hg_mapped_new(const struct hg_source *base, const uint32_t *rows, uint32_t n, uint32_t extra, struct hg_arena *a, struct hg_mapped **out, struct hg_err *err);
/* A column of a table, by another name: rows[0..n) of it, or HG_NO_ROW. It hides one of that name. */
HG_MUST_USE enum hg_rc hg_mapped_gather(struct hg_mapped *m, const char *name, const struct hg_column *c, const uint32_t *rows, struct hg_err *err);
/* A column of single texts: ids[0..n) of dict. It hides one of that name. */
HG_MUST_USE enum hg_rc hg_mapped_ids(struct hg_mapped *m, const char *name, const struct hg_dict *dict, const uint32_t *ids, struct hg_err *err);
/* A column of LONG: rows[0..n), null for HG_NO_ROW. It hides one of that name. */
HG_MUST_USE enum hg_rc hg_mapped_numbers(struct hg_mapped *m, const char *name, const uint32_t *rows, struct hg_err *err);
/* Reads the times; its own times are those of the base. */
HG_MUST_USE enum hg_rc hg_mapped_end(struct hg_mapped *m, const struct hg_source **out, struct hg_err *err);
/* Whether the column is a table's in the end: then its rows were values, not ids of a dictionary. */
bool hg_mapped_loose(const struct hg_column *c);

#endif
