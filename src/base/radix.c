#include "base/radix.h"

#include <string.h>

struct hg_radix *hg_radix_sort(struct hg_radix *a, struct hg_radix *b, uint32_t n)
{
    uint64_t differ = 0;
    for (uint32_t i = 1; i < n; i++) differ |= a[i].key ^ a[0].key;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        if (!(differ >> shift & 255)) continue;
        uint32_t at[257] = {0};
        for (uint32_t i = 0; i < n; i++) at[(a[i].key >> shift & 255) + 1]++;
        for (unsigned d = 1; d < 257; d++) at[d] += at[d - 1];
        for (uint32_t i = 0; i < n; i++) b[at[a[i].key >> shift & 255]++] = a[i];
        struct hg_radix *t = a;
        a = b;
        b = t;
    }
    return a;
}
