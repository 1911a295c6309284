/* Stable sorting of numbers by radix. */
#ifndef HG_BASE_RADIX_H
#define HG_BASE_RADIX_H

#include <stdint.h>
#include "base/err.h"

struct hg_radix {
    uint64_t key;
    uint32_t of; /* what it is the key of */
};
/* Sorts a[0..n) by key; what is equal stays in its order. Bytes that are the same in all keys cost nothing. b: room for as many. Returns where they are then, a or b. */
struct hg_radix *hg_radix_sort(struct hg_radix *a, struct hg_radix *b, uint32_t n);

#endif
