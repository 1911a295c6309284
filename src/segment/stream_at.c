/* Reading a few values of a stream: those at given places, each into its place. Where the places are one range, that range is unpacked as such. */
#include <string.h>
#include "segment/bitpack.h"
#include "segment/stream.h"

static bool one_range(const uint16_t *at, uint32_t m) { return (uint32_t)at[m - 1] - at[0] + 1 == m; }

/* The run that holds value number i, counted from run r on. */
static uint32_t run_from(const struct hg_stream *s, uint32_t r, uint32_t i)
{
    uint32_t lo = r, hi = s->n_runs - 1;
    if (hg_bits_get(s->ends, s->end_bits, lo) > i) return lo;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (hg_bits_get(s->ends, s->end_bits, mid) <= i) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Walks the runs that hold the places; `put` is done for each place with v set to the run's value. */
#define BY_RUNS(put)                                                                                  \
    do {                                                                                              \
        uint32_t run_ = 0, end_ = 0;                                                                  \
        uint64_t v = 0;                                                                               \
        for (uint32_t k = 0; k < m; k++) {                                                            \
            uint32_t i = row + at[k];                                                                 \
            if (i >= end_) {                                                                          \
                run_ = run_from(s, run_, i);                                                          \
                end_ = (uint32_t)hg_bits_get(s->ends, s->end_bits, run_);                             \
                v = hg_bits_get(s->packed, s->bits, run_) + (uint64_t)s->base;                        \
            }                                                                                         \
            put;                                                                                      \
        }                                                                                             \
    } while (0)

void hg_stream_i64_at(const struct hg_stream *s, uint32_t row, const uint16_t *at, uint32_t m, int64_t *out)
{
    if (m == 0) return;
    if (one_range(at, m)) {
        hg_stream_i64(s, row + at[0], m, out + at[0]);
    } else if (s->enc == HG_ENC_RLE) {
        BY_RUNS(out[at[k]] = (int64_t)v);
    } else if (s->enc == HG_ENC_FOR || s->enc == HG_ENC_DEC) {
        for (uint32_t k = 0; k < m; k++) out[at[k]] = (int64_t)(hg_bits_get(s->packed, s->bits, row + at[k]) + (uint64_t)s->base);
    } else if (s->enc == HG_ENC_SCALED) {
        for (uint32_t k = 0; k < m; k++) out[at[k]] = (int64_t)(hg_bits_get(s->packed, s->bits, row + at[k]) * s->factor + (uint64_t)s->base);
    } else {
        hg_stream_i64(s, row + at[0], (uint32_t)at[m - 1] - at[0] + 1, out + at[0]);
    }
}

void hg_stream_u32_at(const struct hg_stream *s, uint32_t row, const uint16_t *at, uint32_t m, uint32_t *out)
{
    if (m == 0) return;
    if (one_range(at, m)) {
        hg_stream_u32(s, row + at[0], m, out + at[0]);
    } else if (s->enc == HG_ENC_RLE) {
        BY_RUNS(out[at[k]] = (uint32_t)v);
    } else if (s->enc == HG_ENC_FOR) {
        for (uint32_t k = 0; k < m; k++) out[at[k]] = (uint32_t)(hg_bits_get(s->packed, s->bits, row + at[k]) + (uint64_t)s->base);
    } else {
        hg_stream_u32(s, row + at[0], (uint32_t)at[m - 1] - at[0] + 1, out + at[0]);
    }
}

/* The exceptions among the places; both ascend. */
static void put_exceptions(const struct hg_stream *s, uint32_t row, const uint16_t *at, uint32_t m, double *out)
{
    for (uint32_t x = 0, k = 0; x < s->n_exc; x++) {
        uint16_t pos;
        memcpy(&pos, s->exc_pos + (size_t)x * 2, 2);
        while (k < m && row + at[k] < pos) k++;
        if (k == m) return;
        if (row + at[k] == pos) memcpy(&out[at[k]], s->exc_val + (size_t)x * 8, 8);
    }
}

void hg_stream_f64_at(const struct hg_stream *s, enum hg_float_width w, uint32_t row, const uint16_t *at, uint32_t m, double *out)
{
    if (m == 0) return;
    if (s->enc != HG_ENC_DEC || one_range(at, m)) {
        hg_stream_f64(s, w, row + at[0], (uint32_t)at[m - 1] - at[0] + 1, out + at[0]);
        return;
    }
    const double scale = hg_stream_scale(s);
    for (uint32_t k = 0; k < m; k++) {
        double d = (double)(int64_t)(hg_bits_get(s->packed, s->bits, row + at[k]) + (uint64_t)s->base) / scale;
        out[at[k]] = w == HG_FLOAT32 ? (double)(float)d : d;
    }
    put_exceptions(s, row, at, m, out);
}
