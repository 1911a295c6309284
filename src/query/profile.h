/* What scans did, as the answer to context "profile" tells it. A scan notes in hg_exec's stats how many rows and blocks it met, always; where hg_exec has a profile, names and bytes as well.
 * A profile is one thread's at a time, has no memory of its own, and travels from data servers to brokers at the end of a sub-query's coverage. */
#ifndef HG_QUERY_PROFILE_H
#define HG_QUERY_PROFILE_H

#include "query/query.h"

/* What became of a segment that was asked for. Of several looks at one (parts of a list) the greatest counts. */
enum hg_fate { HG_FATE_NONE, HG_FATE_BY_TIME, HG_FATE_BY_FILTER, HG_FATE_READ }; /* none of its rows is in the intervals; dictionaries, indexes and headers show that none is selected */

enum hg_told { HG_TOLD_PROJECTION = 1, HG_TOLD_BITMAP, HG_TOLD_IDS, HG_TOLD_VALUES }; /* answered by; tests of a column, by a bitmap of rows, by ids, by values */
#define HG_TOLD_KINDS 4
#define HG_TOLD_NAME 64  /* bytes; longer names are cut */
#define HG_TOLD_MOST 32u /* names; others are left out */

struct hg_profile {
    struct hg_exec_stats stats;
    int64_t in_time;                 /* sources with rows in the intervals */
    int64_t wait_us, scan_us, merge_us, elapsed_us; /* until the first thread had it; of all threads; uniting and encoding, of all threads; of the sub-query */
    uint32_t n_names;
    struct hg_told_name { enum hg_told what; char name[HG_TOLD_NAME]; int64_t n; } names[HG_TOLD_MOST]; /* how many sources it was so of */
};

/* Adds n to what is told of the name. p may be NULL. */
void hg_profile_tell(struct hg_profile *p, enum hg_told what, const char *name, int64_t n);
void hg_profile_add(struct hg_profile *to, const struct hg_profile *p);
void hg_exec_stats_add(struct hg_exec_stats *to, const struct hg_exec_stats *s);

/* Around the reading of a source by one thread: notes the bytes. x->profile may be NULL. */
struct hg_reading { int64_t stored, raw; };
struct hg_reading hg_profile_begin(const struct hg_exec *x);
void hg_profile_end(struct hg_exec *x, struct hg_reading began);
/* Notes whether the source has rows in the intervals. */
void hg_profile_source(struct hg_exec *x, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs);
/* Around the scans of one segment: what became of it. */
struct hg_mark { int64_t blocks, in_time; };
struct hg_mark hg_profile_mark(const struct hg_exec *x);
enum hg_fate hg_profile_fate(const struct hg_query *q, const struct hg_exec *x, struct hg_mark before); /* x->profile is not NULL */

/* Bytes between servers: the profile and the fates (a byte each) of n segments. Decoding borrows the fates from the bytes; HG_E_CORRUPT: malformed, or not of n. */
void hg_profile_encode(const struct hg_profile *p, const uint8_t *fates, uint32_t n, struct hg_buf *out);
HG_MUST_USE enum hg_rc hg_profile_decode(struct hg_span bytes, uint32_t n, struct hg_profile *out, const uint8_t **fates, struct hg_err *err);

#endif
