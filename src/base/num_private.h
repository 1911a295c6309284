/* Shared by the sources behind base/num.h only. */
#ifndef HG_BASE_NUM_PRIVATE_H
#define HG_BASE_NUM_PRIVATE_H

#include "base/num.h"

__extension__ typedef unsigned __int128 hg_u128;

enum { HG_NUM_POW10_MIN = -292, HG_NUM_POW10_MAX = 324, HG_NUM_POW10_N = HG_NUM_POW10_MAX - HG_NUM_POW10_MIN + 1 };
extern const uint64_t hg_num_pow10[HG_NUM_POW10_N][2];

/* digits * 10^exp, the shortest decimal that reads back; no trailing zeros; finite v > 0 only. */
struct hg_shortest {
    uint64_t digits;
    int exp;
};
struct hg_shortest hg_shortest_f64(double v);
struct hg_shortest hg_shortest_f32(float v);

#endif
