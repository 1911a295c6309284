/* Which rows of a batch pass one test: positions in, positions out. Inner loops of sieves, with variants for wider registers (base/cpu.h).
 *
 * The candidates are the positions in[0..n), ascending, or 0..n-1 where in is NULL. Those that pass are written to out in their order, which has room for n and may be `in` itself; what stands
 * after them in out is void. Returns how many. */
#ifndef HG_QUERY_FILTER_SELECT_H
#define HG_QUERY_FILTER_SELECT_H

#include <stdbool.h>
#include <stdint.h>

/* Bit v[i] is set in a set of ids 0..card-1, in ceil(card / 64) words. */
uint32_t hg_select_bits(const uint32_t *v, const uint64_t *bits, uint32_t card, const uint16_t *in, uint32_t n, uint16_t *out);
/* lo <= v[i] <= hi, or not so where `outside`. lo is at most hi. */
uint32_t hg_select_ids(const uint32_t *v, uint32_t lo, uint32_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out);
uint32_t hg_select_i64(const int64_t *v, int64_t lo, int64_t hi, bool outside, const uint16_t *in, uint32_t n, uint16_t *out);
/* flag[i] is not 0. */
uint32_t hg_select_flags(const uint8_t *flag, const uint16_t *in, uint32_t n, uint16_t *out);

#endif
