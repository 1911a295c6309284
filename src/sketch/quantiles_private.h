/* Inside of a quantiles sketch, shared by quantiles*.c. */
#ifndef HG_SKETCH_QUANTILES_PRIVATE_H
#define HG_SKETCH_QUANTILES_PRIVATE_H

#include "sketch/quantiles.h"

#define QUANTILES_LEVELS 48u /* 2k items of weight 2^48: more than can be counted */

struct hg_quantiles {
    uint32_t k;
    uint32_t n_base, cap_base; /* items in the base buffer, in order of arrival; at most 2k - 1 between calls */
    uint64_t n, levels;        /* levels: bit i: level i has its k items, each of weight 2^(i+1) */
    double min, max;
    double *base;
    double *level[QUANTILES_LEVELS]; /* ascending; NULL where the bit is not set */
    uint64_t coins;
};

void hg_quantiles_sort(double *v, size_t n);

#endif
