/* The steps between unpacked numbers and values: inner loops of streams, with variants for wider registers (base/cpu.h). */
#ifndef HG_SEGMENT_DECODE_H
#define HG_SEGMENT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

/* out[i] = (double)v[i] / scale, rounded to a float first where `narrow`. */
void hg_decode_decimals(const int64_t *v, uint32_t n, double scale, bool narrow, double *out);
/* v[i] = v[i] * factor + base, mod 2^64. */
void hg_decode_scaled(int64_t *v, uint32_t n, uint64_t factor, uint64_t base);
/* v[i] becomes from + v[0] + ... + v[i], mod 2^64. Returns the last one, `from` when there is none. */
uint64_t hg_decode_prefix(int64_t *v, uint32_t n, uint64_t from);
/* Rows from..from + n - 1 of a null bitmap: nulls[i] (NULL: not wanted) is 1 where the bit is set, and v[i], whatever 64 bits it is made of, becomes 0 there. */
void hg_decode_nulls(const uint8_t *bits, uint32_t from, uint32_t n, uint8_t *nulls, void *v);

#endif
