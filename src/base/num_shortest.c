/* The shortest decimal that reads back as the same floating-point number, after Raffaello Giulietti's "The Schubfach way to render
 * doubles": scale the number and the two ends of its rounding interval by one power of ten, so that the candidates become two
 * neighbouring integers (or two neighbouring multiples of ten), and take the one inside, or the closer one. One table look-up and three
 * multiplications, whatever the number. Like Java, it prefers the closest two-digit decimal to a one-digit one: 4.9E-324. */
#include "base/num_private.h"

/* floor(log10(2^q)), or of 3/4 * 2^q; floor(log2(10^k)). Exact in the range of doubles. */
static int log10_pow2(int q, bool three_quarters) { return (q * 1262611 - (three_quarters ? 524031 : 0)) >> 22; }
static int log2_pow10(int k) { return (k * 1741647) >> 19; }

/* g * cp / 2^128, the last bit set when anything was cut off: enough to compare exactly. */
static uint64_t round_to_odd(const uint64_t g[2], uint64_t cp)
{
    hg_u128 x = (hg_u128)g[1] * cp;
    hg_u128 y = (hg_u128)g[0] * cp + (uint64_t)(x >> 64);
    return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* v = c * 2^q. narrow: c is the least of its binade, so the gap below is half the gap above. */
static struct hg_shortest shortest(uint64_t c, int q, bool narrow)
{
    bool odd = c & 1; /* the ends of the interval read back as v only when c is even */
    uint64_t cbl = 4 * c - 2 + narrow, cb = 4 * c, cbr = 4 * c + 2;
    int k = log10_pow2(q, narrow);
    int h = q + log2_pow10(-k) + 1;
    const uint64_t *g = hg_num_pow10[-k - HG_NUM_POW10_MIN];
    uint64_t vb = round_to_odd(g, cb << h);
    uint64_t lower = round_to_odd(g, cbl << h) + odd, upper = round_to_odd(g, cbr << h) - odd;
    uint64_t s = vb / 4;
    if (s >= 100) {
        uint64_t sp = s / 10;
        bool down = lower <= 40 * sp, up = 40 * sp + 40 <= upper;
        if (down != up) return (struct hg_shortest){sp + up, k + 1};
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up) return (struct hg_shortest){s + up, k};
    uint64_t mid = 4 * s + 2;
    bool round_up = vb > mid || (vb == mid && (s & 1));
    return (struct hg_shortest){s + round_up, k};
}

static struct hg_shortest trim(struct hg_shortest d)
{
    while (d.digits % 100 == 0) {
        d.digits /= 100;
        d.exp += 2;
    }
    if (d.digits % 10 == 0) {
        d.digits /= 10;
        d.exp++;
    }
    return d;
}

/* c below `tiny` has one digit only; ten times c shows the second one that Java prints. */
static struct hg_shortest subnormal(uint64_t c, int q, uint64_t tiny)
{
    if (c >= tiny) return trim(shortest(c, q, false));
    struct hg_shortest d = shortest(10 * c, q, false);
    d.exp--;
    return trim(d);
}

struct hg_shortest hg_shortest_f64(double v)
{
    uint64_t bits, frac;
    memcpy(&bits, &v, sizeof bits);
    frac = bits & ((UINT64_C(1) << 52) - 1);
    int e = (int)(bits >> 52 & 0x7ff);
    if (v < 9007199254740992.0 && v == (double)(uint64_t)v) return trim((struct hg_shortest){(uint64_t)v, 0});
    if (e == 0) return subnormal(frac, -1074, 3);
    return trim(shortest(frac | UINT64_C(1) << 52, e - 1075, frac == 0 && e > 1));
}

struct hg_shortest hg_shortest_f32(float v)
{
    uint32_t bits, frac;
    memcpy(&bits, &v, sizeof bits);
    frac = bits & ((1u << 23) - 1);
    int e = (int)(bits >> 23 & 0xff);
    if (v < 16777216.0f && v == (float)(uint32_t)v) return trim((struct hg_shortest){(uint32_t)v, 0});
    if (e == 0) return subnormal(frac, -149, 8);
    return trim(shortest(frac | 1u << 23, e - 150, frac == 0 && e > 1));
}
