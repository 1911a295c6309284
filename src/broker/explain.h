/* What a query did, for context "profile": what data servers told, by server, and the broker's own time stage by stage. Nobody makes one for a query that did not ask. It belongs to the query's
 * thread (before, to the loop), lives in its arena, and grows by a server at most as often as there are servers. */
#ifndef HG_BROKER_EXPLAIN_H
#define HG_BROKER_EXPLAIN_H

#include "base/buf.h"
#include "query/profile.h"

/* What became of the query's segments. considered = what the broker pruned + asked; asked = by_time + by_filter + read + missing + not_needed. */
struct hg_segment_counts {
    uint32_t asked, by_interval, by_namespace, by_shard, by_entity; /* by the broker: their times, what the query's namespaces leave out, shard specs, the entity store */
    uint32_t by_time, by_filter, read, missing, not_needed;         /* by data servers; allowPartial; a scan had its rows before */
};

enum hg_stage { HG_STAGE_WAIT, HG_STAGE_PARSE, HG_STAGE_PLAN, HG_STAGE_MERGE, HG_STAGE_FINISH, HG_STAGES };

struct hg_explain_server {
    struct hg_explain_server *next;
    const char *name;
    uint32_t requests;
    int64_t took_us; /* all of them, from the broker's side */
    struct hg_profile told;
};
struct hg_explain {
    struct hg_arena *arena;
    int64_t arrived_ns, left_ns; /* left_ns: when the loop gave it to a thread; 0: it did not */
    int64_t stage_us[HG_STAGES];
    struct hg_profile own;       /* scans on the broker itself */
    struct hg_explain_server *servers;
};

struct hg_explain *hg_explain_new(struct hg_arena *a, int64_t arrived_ns); /* NULL: no memory */
/* The time of a stage, from begin to end. e may be NULL: then it costs nothing. */
int64_t hg_explain_begin(const struct hg_explain *e);
void hg_explain_end(struct hg_explain *e, enum hg_stage stage, int64_t began_ns);
/* NULL: no memory */
struct hg_explain_server *hg_explain_server(struct hg_explain *e, const char *name);
void hg_segment_counts_add(struct hg_segment_counts *to, const struct hg_segment_counts *n);
void hg_segment_counts_fate(struct hg_segment_counts *n, enum hg_fate fate); /* one that was asked for; none: not needed */

/* The member "profile". inner: what the broker scanned itself (joins, inline rows). f: figures of the query that are counted anyway. */
struct hg_explain_figures { struct hg_segment_counts segments; uint32_t requests, hedged, batches; int64_t rows_scanned, cpu_us; };
void hg_explain_put(const struct hg_explain *e, const struct hg_exec_stats *inner, const struct hg_explain_figures *f, struct hg_buf *b);

#endif
