#include "sketch/describe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "sketch/hll_private.h"
#include "sketch/quantiles_private.h"
#include "sketch/theta_private.h"

static void put_f64(struct hg_buf *out, const char *name, double v)
{
    char num[HG_NUM_TEXT];
    hg_buf_puts(out, name);
    hg_buf_put(out, num, (size_t)hg_fmt_f64(v, num));
    hg_buf_putc(out, '\n');
}

static const char *bool_of(bool v) { return v ? "true" : "false"; }

/* ---- HLL ---- */

/* The least value of a register, and how many have it: a sketch of 8 bits does not keep them up. Java has them for those of 4 and 8 bits only. */
static void least_of(const struct hg_hll *s, uint32_t *least, uint32_t *n)
{
    *least = HLL_MAX_VALUE + 1;
    for (uint32_t i = 0; i < 1u << s->lg_k; i++) {
        uint32_t v = hg_hll_slot_value(s, i);
        if (v < *least) *least = v, *n = 0;
        *n += v == *least;
    }
}

static void hll_registers(const struct hg_sketch_def *d, const struct hg_hll *s, struct hg_buf *out)
{
    struct hll_sums sums;
    uint32_t least = 0, at_least = 0;
    hg_hll_sums(s, &sums);
    if (d->bits != 6) least_of(s, &least, &at_least);
    hg_buf_printf(out, "  CurMin         : %u\n  NumAtCurMin    : %u\n", least, at_least);
    put_f64(out, "  HipAccum       : ", s->ooo ? 0 : s->regs->hip);
    put_f64(out, "  KxQ0           : ", sums.kxq0);
    put_f64(out, "  KxQ1           : ", sums.kxq1);
    hg_buf_puts(out, "  Rebuild KxQ Flg: false\n");
}

static void hll(const struct hg_sketch_def *d, const struct hg_hll *s, struct hg_buf *out)
{
    static const char *const modes[] = {"LIST", "SET", "HLL"};
    bool array = s && s->mode == HLL_ARRAY;
    hg_buf_printf(out, "### HLL SKETCH SUMMARY: \n  Log Config K   : %u\n  Hll Target     : HLL_%u\n", s ? s->lg_k : d->lg_k, d->bits);
    hg_buf_printf(out, "  Current Mode   : %s\n  Memory         : false\n", modes[s ? s->mode : HLL_LIST]);
    put_f64(out, "  LB             : ", s ? hg_hll_lower_bound(s, 1) : 0);
    put_f64(out, "  Estimate       : ", s ? hg_hll_estimate(s) : 0);
    put_f64(out, "  UB             : ", s ? hg_hll_upper_bound(s, 1) : 0);
    hg_buf_printf(out, "  OutOfOrder Flag: %s\n", bool_of(array && s->ooo));
    if (array) hll_registers(d, s, out);
    else hg_buf_printf(out, "  Coupon Count   : %u\n", s ? s->count : 0);
}

/* ---- theta ---- */

static void theta_text(const struct hg_theta *s, enum hg_sketch_made made, struct hg_buf *out)
{
    bool empty = !s || s->empty, one = !empty && s->count == 1 && s->theta == THETA_MAX;
    uint64_t theta = empty ? THETA_MAX : s->theta;
    const char *class = empty ? "EmptyCompactSketch" : one ? "SingleItemSketch" : made == HG_SKETCH_READ ? "DirectCompactSketch" : "HeapCompactSketch";
    hg_buf_printf(out, "\n### %s SUMMARY: \n", class);
    put_f64(out, "   Estimate                : ", empty ? 0 : hg_theta_estimate(s));
    put_f64(out, "   Upper Bound, 95% conf   : ", empty ? 0 : hg_theta_upper_bound(s, 2));
    put_f64(out, "   Lower Bound, 95% conf   : ", empty ? 0 : hg_theta_lower_bound(s, 2));
    put_f64(out, "   Theta (double)          : ", (double)theta / (double)THETA_MAX);
    hg_buf_printf(out, "   Theta (long)            : %" PRIu64 "\n   Theta (long) hex        : %016" PRIx64 "\n", theta, theta);
    hg_buf_printf(out, "   EstMode?                : %s\n   Empty?                  : %s\n", bool_of(theta < THETA_MAX && !empty), bool_of(empty));
    hg_buf_printf(out, "   Ordered?                : %s\n", bool_of(empty || one || made != HG_SKETCH_CUT));
    hg_buf_printf(out, "   Retained Entries        : %u\n   Seed Hash               : %s\n### END SKETCH SUMMARY\n", empty ? 0 : s->count, empty ? "0 | 0" : "93cc | 37836");
}

/* A union may hold more hashes than its result has. */
static enum hg_rc theta(const struct hg_theta *s, enum hg_sketch_made made, struct hg_buf *out, struct hg_err *err)
{
    struct hg_theta *cut = NULL;
    if (s && s->count > 1u << s->lg_k) {
        HG_TRY(hg_theta_copy(s, &cut, err));
        enum hg_rc rc = hg_theta_trim(cut, err);
        if (rc) {
            hg_theta_free(cut);
            return rc;
        }
    }
    theta_text(cut ? cut : s, made, out);
    hg_theta_free(cut);
    return HG_OK;
}

/* ---- quantiles ---- */

/* "1,234,567" */
static void put_grouped(struct hg_buf *out, const char *name, uint64_t v)
{
    char digits[HG_NUM_TEXT];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, v);
    hg_buf_puts(out, name);
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0) hg_buf_putc(out, ',');
        hg_buf_putc(out, digits[i]);
    }
    hg_buf_putc(out, '\n');
}

static uint64_t pow2_above(uint64_t v)
{
    uint64_t p = 1;
    while (p < v) p *= 2;
    return p;
}

/* How many items fit in the form that can be updated: a base buffer that grows to 2k, and all levels up to the highest. */
static uint64_t updatable_items(uint32_t k, uint64_t n, unsigned levels)
{
    if (levels) return (2ull + levels) * k;
    return n < 4 ? 4 : pow2_above(n) < 2ull * k ? pow2_above(n) : 2ull * k;
}

static void put_edge(struct hg_buf *out, const char *name, double v)
{
    if (isnan(v)) hg_buf_printf(out, "%s         NaN\n", name);
    else hg_buf_printf(out, "%s%12.6e\n", name, v);
}

static void quantiles(const struct hg_sketch_def *d, const struct hg_quantiles *s, struct hg_buf *out)
{
    enum { HEADER = 32, EMPTY = 8 };
    uint32_t k = s ? s->k : 1u << d->lg_k;
    uint64_t n = s ? s->n : 0, levels = n / (2ull * k), base = n % (2ull * k);
    unsigned top = 0, full = (unsigned)__builtin_popcountll(levels);
    char bits[65] = "0";
    for (uint64_t left = levels; left; left >>= 1) top++;
    for (unsigned i = 0; i < top; i++) bits[i] = levels >> (top - 1 - i) & 1 ? '1' : '0';
    uint64_t items = base + (uint64_t)full * k, compact = n ? HEADER + items * 8 : EMPTY;
    hg_buf_printf(out, "\n### Quantiles DirectCompactDoublesSketch SUMMARY: \n   Empty                        : %s\n", bool_of(!n));
    hg_buf_printf(out, "   Memory, Capacity bytes       : true, %" PRIu64 "\n   Estimation Mode              : %s\n   K                            : %u\n", compact, bool_of(levels), k);
    put_grouped(out, "   N                            : ", n);
    hg_buf_printf(out, "   Levels (Needed, Total, Valid): %u, %u, %u\n   Level Bit Pattern            : %s\n", top, top, full, bits);
    hg_buf_printf(out, "   BaseBufferCount              : %" PRIu64 "\n", base);
    if (n) put_grouped(out, "   Combined Buffer Capacity     : ", items);
    else hg_buf_puts(out, "   Combined Buffer Capacity     : -3\n"); /* (8 - 32) / 8 bytes, says Java */
    put_grouped(out, "   Retained Items               : ", items);
    put_grouped(out, "   Compact Storage Bytes        : ", compact);
    put_grouped(out, "   Updatable Storage Bytes      : ", n ? HEADER + updatable_items(k, n, top) * 8 : EMPTY);
    hg_buf_printf(out, "   Normalized Rank Error        : %.3f%%\n   Normalized Rank Error (PMF)  : %.3f%%\n", 157.6 / pow(k, 0.9726), 185.4 / pow(k, 0.9657));
    put_edge(out, "   Min Item                     : ", n ? s->min : NAN);
    put_edge(out, "   Max Item                     : ", n ? s->max : NAN);
    hg_buf_puts(out, "### END SKETCH SUMMARY\n");
}

enum hg_rc hg_sketch_describe(const struct hg_sketch_def *d, const struct hg_sketch *s, enum hg_sketch_made made, struct hg_buf *out, struct hg_err *err)
{
    switch (d->kind) {
    case HG_SKETCH_HLL: hll(d, (const void *)s, out); return HG_OK;
    case HG_SKETCH_THETA: return theta((const void *)s, made, out, err);
    case HG_SKETCH_QUANTILES: quantiles(d, (const void *)s, out); return HG_OK;
    case HG_SKETCH_HYPERUNIQUE: break;
    }
    return hg_fail(err, HG_E_UNSUPPORTED, "this kind of sketch has no text");
}
