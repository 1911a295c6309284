/* Rows of several runs in the order of the query: by time across all of them, or run after run. Batches are put in as they come; asked for a row whose run has brought none yet, it says
 * which run that is. One thread. */
#ifndef HG_QUERY_RESULT_ROWFRONT_H
#define HG_QUERY_RESULT_ROWFRONT_H

#include "query/engine/rowbatch.h"

struct hg_rowrun {
    void *owner;                       /* whoever added it may put something here */
    struct hg_rowbatch *first, **last; /* batches to come; owned */
    uint32_t at;                       /* row of the first */
    uint32_t index;                    /* order of arrival; runs without order are read in it, and it decides between equal times */
    bool ended;                        /* nothing more will be put in */
    bool heaped;
};
struct hg_rowfront {
    enum hg_row_order order;
    struct hg_rowrun **runs; /* all; then, by order, a heap of those that have a row */
    struct hg_rowrun **heap;
    uint32_t n_runs, cap_runs, n_heap, oldest; /* oldest: the first run that may have rows */
    uint32_t n_waiting;        /* runs that have neither rows nor an end */
    bool bounded;
    int64_t bound;             /* rows at this time or behind it (ascending; descending: before it) are not given yet: runs may be added that have such */
    struct hg_rowbatch *given; /* holds the row that was given last, and is done with */
    uint64_t serials;
};
void hg_rowfront_init(struct hg_rowfront *f, enum hg_row_order order);
void hg_rowfront_free(struct hg_rowfront *f);
HG_MUST_USE enum hg_rc hg_rowfront_add(struct hg_rowfront *f, struct hg_rowrun **out, struct hg_err *err); /* a run; lives as long as f */
void hg_rowfront_put(struct hg_rowfront *f, struct hg_rowrun *run, struct hg_rowbatch *b);                 /* takes b; ends the run if b does */
/* finish_scan.c: all batches of a merged partial result, whose runs stand one after the other; takes them. p may be NULL. */
struct hg_partial;
HG_MUST_USE enum hg_rc hg_rowfront_fill(struct hg_rowfront *f, struct hg_partial *p, struct hg_err *err);
void hg_rowfront_end(struct hg_rowfront *f, struct hg_rowrun *run);                                         /* nothing more will be put into it */
enum hg_front { HG_FRONT_ROW, HG_FRONT_WAITS, HG_FRONT_BOUND, HG_FRONT_OVER };
/* ROW: the next row is row *row of *b, which is good until the next call. WAITS: *run must bring more first. BOUND: the next row lies at the bound or behind it. OVER: no run has more. */
enum hg_front hg_rowfront_next(struct hg_rowfront *f, struct hg_rowbatch **b, uint32_t *row, struct hg_rowrun **run);

#endif
