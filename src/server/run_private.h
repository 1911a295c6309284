/* One query on a data server, shared by run.c (partial results of segments, merged here), run_rows.c (rows, sent as they come) and run_groups.c (a large result, sent in pieces). */
#ifndef HG_SERVER_RUN_PRIVATE_H
#define HG_SERVER_RUN_PRIVATE_H

#include "query/profile.h"
#include "query/spill/spill.h"
#include "server/server_private.h"

struct hg_run_item {
    struct hg_entry *entry;
    struct hg_sub_item ask;
};

/* What one runner at a time unites the partial results of its segments in; in the end they are united among themselves. */
struct hg_run_lane {
    struct hg_run *run;
    pthread_mutex_t mu;     /* guards merge: when memory is short all use the first lane */
    struct hg_merge *merge; /* NULL: not used yet */
    struct hg_numbered *numbered; /* its runner's alone; NULL: not for such a query */
    struct hg_run_lane *next;
    struct hg_profile *profile; /* of its runners; NULL: not asked for */
};

struct hg_run {
    struct hg_dataserver *d;
    struct hg_wire_stream *st;
    struct hg_arena *arena; /* request, plan, lists */
    struct hg_budget budget;
    struct hg_span body;
    int64_t deadline_mono_ms;
    int priority;
    const struct hg_query *q;
    struct hg_run_item *items;
    uint32_t n_items;
    _Atomic uint32_t next; /* the item that the next free runner takes */
    bool alone;           /* see hg_subquery */
    const char *part_dim; /* NULL: the query is whole; see hg_subquery */
    struct hg_str *covered, *missing, *whole;
    struct hg_interval *times; /* of the rows of each covered one */
    uint8_t *fates;            /* of each covered one; NULL: not asked for */
    int64_t arrived_ns, begun_ns; /* when the request came, and when it got a thread */

    struct hg_spill spill;
    uint32_t scans;     /* at most so many at once */
    struct hg_partial *result; /* that is being sent */

    struct hg_exec merge_exec;
    struct hg_run_lane *lanes; /* `scans` of them */

    pthread_mutex_t mu; /* guards all below */
    struct hg_run_lane *idle;
    struct hg_err err; /* the first failure */
    uint32_t runners, n_covered, n_missing, n_whole;
    int64_t rows_scanned, cpu_us, unite_us; /* unite_us: with fates: for the result and its pieces, after the scans */
};

int64_t hg_run_cpu_us(void);                    /* of this thread */
struct hg_exec hg_run_exec(struct hg_run *r);   /* cancel, deadline, budget */
HG_MUST_USE enum hg_rc hg_run_look(const struct hg_run *r, struct hg_err *err); /* cancel, deadline */
struct hg_interval hg_run_times(const struct hg_source *const *srcs, size_t n); /* of their rows */
void hg_run_finish(struct hg_run *r);           /* the merged result, and the reply's end (or r->err); frees r */
void hg_run_end(struct hg_run *r);              /* the reply's end alone */
void hg_run_groups(struct hg_run *r);           /* run_groups.c: r->result in pieces, and the end. On a pool thread */
void hg_run_rows(struct hg_run *r);             /* run_rows.c: everything from here on. On a pool thread */

#endif
