/* The aggregators of a plan bound to the columns of one source. An aggregator whose column the source lacks is left out; its states stay untouched,
 * which reads as null, or as the empty sketch. One scan's own; lives in the arena given. */
#ifndef HG_QUERY_AGG_AGGS_H
#define HG_QUERY_AGG_AGGS_H

#include "query/agg/states.h"

struct hg_aggs;
HG_MUST_USE enum hg_rc hg_aggs_bind(const struct hg_plan *plan, const struct hg_source *src, struct hg_arena *a, struct hg_exec *x, struct hg_aggs **out, struct hg_err *err);

struct hg_sel;
/* A batch: rows [row, row + n) inside one block, of which only those of sel (NULL: all) will be added. Columns are read when a first aggregator wants them. */
void hg_aggs_begin(struct hg_aggs *g, uint32_t row, uint32_t n, const struct hg_sel *sel);
/* Adds the m rows at positions pos of the batch (NULL: 0..m-1) to slots slot[0..m), or all to slot `one` when slot is NULL. May be called
 * several times for a batch. m <= HG_BLOCK_ROWS. */
HG_MUST_USE enum hg_rc hg_aggs_add(struct hg_aggs *g, struct hg_states *s, const uint16_t *pos, const uint32_t *slot, uint32_t one, uint32_t m, struct hg_err *err);
/* After the last row that was added by slots: which slots [0, n) have rows (NULL: all). Aggregators that take a value from every row do not keep book themselves. */
void hg_aggs_seen(const struct hg_aggs *g, struct hg_states *s, const uint8_t *used, uint64_t n);
/* Whether states that were made for another plan (with room for a slot at least) can take what these aggregators add. */
bool hg_aggs_fit(const struct hg_aggs *g, const struct hg_states *s);
/* A bit for each of the first 32 aggregators of which that is so. */
uint32_t hg_aggs_sure(const struct hg_aggs *g);
/* Adds a whole block to slot `one`: from what is known of the block where that is enough, else by reading it. */
HG_MUST_USE enum hg_rc hg_aggs_add_block(struct hg_aggs *g, struct hg_states *s, uint32_t block, uint32_t vector_rows, uint32_t one, struct hg_err *err);

#endif
