/* A stream: n numbers in the smallest of a few encodings, describing itself. Blocks of columns are made of streams. Layout:
 * docs/segment-format.md, "Streams". */
#ifndef HG_SEGMENT_STREAM_H
#define HG_SEGMENT_STREAM_H

#include "base/buf.h"
#include "base/err.h"

/* Stored, so numbers never change. */
enum hg_enc {
    HG_ENC_FOR = 1,   /* base + packed offset; 64 bits wide it is raw, 0 bits wide a constant */
    HG_ENC_DELTA = 2, /* first value, then packed differences */
    HG_ENC_RLE = 3,   /* runs: packed ends, packed values */
    HG_ENC_DEC = 4,   /* doubles: packed integers over a power of ten, with exceptions */
    HG_ENC_SCALED = 5, /* base + factor x packed: times in whole hours, money in whole cents */
};
const char *hg_enc_name(enum hg_enc e);

/* How the integers of a floating stream stand for its values; known from the column's type, not stored. */
enum hg_float_width { HG_FLOAT64, HG_FLOAT32 };

/* Append the encoding of v[0..n) that takes the fewest bytes; n >= 1. Streams are multiples of 8 bytes long. Failures are sticky in b. */
void hg_stream_put_i64(struct hg_buf *b, const int64_t *v, uint32_t n);
void hg_stream_put_u32(struct hg_buf *b, const uint32_t *v, uint32_t n);
/* The same of v, SCALED among the choices: files before version 3 have none. */
void hg_stream_put_scaled(struct hg_buf *b, const int64_t *v, uint32_t n);
/* FLOAT32: every value is one that a float holds. Bit patterns come back exactly, -0.0 and NaN payloads included. */
void hg_stream_put_f64(struct hg_buf *b, const double *v, uint32_t n, enum hg_float_width w);

struct hg_stream { /* an opened stream; borrows its bytes */
    enum hg_enc enc;
    unsigned bits, end_bits, exponent;
    uint32_t count, n_runs, n_exc;
    int64_t base, delta_base;
    uint64_t factor;
    const uint8_t *packed, *ends, *exc_pos, *exc_val;
    size_t bytes; /* its whole length */
};
/* Checks all that decoding relies on. HG_E_CORRUPT when the bytes are not a stream of `count` numbers. The bytes after it must be readable
 * up to HG_BITS_SLACK. */
HG_MUST_USE enum hg_rc hg_stream_open(struct hg_span bytes, uint32_t count, struct hg_stream *out, struct hg_err *err);
/* Values [start, start + n). */
void hg_stream_i64(const struct hg_stream *s, uint32_t start, uint32_t n, int64_t *out);
void hg_stream_u32(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *out);
/* Their sum, exactly, without writing them out where the encoding allows. */
void hg_stream_sum_i64(const struct hg_stream *s, uint32_t start, uint32_t n, __int128 *sum);
/* The same values as runs: run k has v[k] and ends before value number start + ends[k]. Returns how many, or 0 when the stream is not made of runs. ends and v have room for n; n >= 1. */
uint32_t hg_stream_runs(const struct hg_stream *s, uint32_t start, uint32_t n, uint32_t *ends, uint32_t *v);
void hg_stream_f64(const struct hg_stream *s, enum hg_float_width w, uint32_t start, uint32_t n, double *out);
/* Only the values at row + at[0..m), ascending: value row + at[k] goes to out[at[k]]. What else of out between at[0] and at[m - 1] is written is not said. */
void hg_stream_i64_at(const struct hg_stream *s, uint32_t row, const uint16_t *at, uint32_t m, int64_t *out);
void hg_stream_u32_at(const struct hg_stream *s, uint32_t row, const uint16_t *at, uint32_t m, uint32_t *out);
void hg_stream_f64_at(const struct hg_stream *s, enum hg_float_width w, uint32_t row, const uint16_t *at, uint32_t m, double *out);
double hg_stream_scale(const struct hg_stream *s); /* DECIMAL: 10^exponent, else 1 */

#endif
