/* How data servers do, as one broker sees it, and what follows from it: which of several holders is asked, which is left alone for a while, and when a sub-query takes so long that
 * another server is asked as well. Times are given by the caller. Any thread.
 *
 * A server's cost is (work under way + 1) x (recent time a segment takes there). Of two holders drawn by chance the cheaper one is asked ("power of two choices"), so that load
 * spreads evenly over equal servers, whatever their tier, and flows away from a slow one. Time a segment takes is an average that jumps up at once and comes down slowly; it fades
 * while a server is not asked, so that one that was slow is tried again. */
#ifndef HG_BROKER_PICKER_H
#define HG_BROKER_PICKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hg_picker;
struct hg_picker_options {
    bool hedge;
    int percentile;        /* of recent times of like sub-queries, past which one is late: 50..99 */
    int64_t floor_ms;      /* none is late before */
    int share;             /* of 1,000 sub-queries so many may be hedged */
};
struct hg_picker *hg_picker_new(const struct hg_picker_options *o); /* returns owned; NULL: no memory */
void hg_picker_free(struct hg_picker *p);                           /* NULL allowed */

/* ---- servers ---- */

struct hg_load { /* of one server, at a moment */
    double cost_us;    /* of a segment there, with nothing under way */
    uint32_t items;    /* segments that are asked of it now */
    bool backed_off;   /* it failed lately; not to be asked while there is another */
};
struct hg_load hg_picker_load(struct hg_picker *p, const char *server, int64_t now_us);
/* Which of two loads is cheaper; `a` when they are equal. extra_a, extra_b: segments that are about to be asked of them. */
bool hg_load_first(const struct hg_load *a, uint32_t extra_a, const struct hg_load *b, uint32_t extra_b);

enum hg_outcome {
    HG_DONE,      /* answered */
    HG_FAILED,    /* out of reach, or it could not */
    HG_ABANDONED, /* another was faster, or nobody wants the answer any more: it took longer than so much */
    HG_UNKNOWN,   /* the query ended for another reason: says nothing */
};
void hg_picker_began(struct hg_picker *p, const char *server, uint32_t items);
void hg_picker_ended(struct hg_picker *p, const char *server, uint32_t items, int64_t took_us, enum hg_outcome how, int64_t now_us);

/* ---- hedging ---- */

/* Sub-queries that are alike, for which times can be compared: of the same type over the same datasource, of about so many segments. */
uint32_t hg_picker_class(int query_type, const char *datasource, uint32_t items);
void hg_picker_took(struct hg_picker *p, uint32_t class, int64_t took_us);
/* When a sub-query of the class is late, µs after it was sent; INT64_MAX: never (no hedging). */
int64_t hg_picker_late_us(struct hg_picker *p, uint32_t class);
/* Counts a sub-query in the share; and takes one out of it: false when there are too many already. */
void hg_picker_earn(struct hg_picker *p);
bool hg_picker_spend(struct hg_picker *p);

#endif
