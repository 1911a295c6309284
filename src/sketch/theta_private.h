/* Inside of a theta sketch, shared by theta*.c. */
#ifndef HG_SKETCH_THETA_PRIVATE_H
#define HG_SKETCH_THETA_PRIVATE_H

#include "sketch/theta.h"

#define THETA_MAX ((uint64_t)INT64_MAX) /* 1.0 */
#define THETA_SEED 9001u
#define THETA_LG_MIN_ARR 5u

struct hg_theta {
    uint8_t lg_k, lg_arr; /* lg_arr: log2 of the slots; 0: no table yet */
    bool empty;
    uint32_t count;
    uint64_t theta;
    uint64_t *slots;      /* open addressing; 0: free. Hashes are 1..theta-1 */
};

/* Serialised bytes that were checked. */
struct theta_src {
    bool empty;
    uint64_t theta;
    const uint8_t *hashes; /* `slots` times u64; zero where free (an update sketch's table) */
    uint32_t slots, count;
};
HG_MUST_USE enum hg_rc hg_theta_parse(struct hg_span bytes, struct theta_src *out, struct hg_err *err);

#endif
