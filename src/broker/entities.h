/* The entity store: for each segment, sealed or live, which values its entity dimensions have, so that a segment that cannot hold what a query asks for is not asked, and a query
 * for which none is left is answered at once. It may say "maybe" wrongly, never "no" wrongly.
 *
 *   sealed  the summary that lies in the segment's file (segment/entity.h), fetched once from any historical that has it. A published segment never changes, so which segments
 *           count is left to the snapshot that the query works on: versions, namespaces, reverts and drops need no thought here.
 *   live    the values that an ingest server tells us of, relied on only while it has given us a lease (server/lease.h)
 *
 * What is not known is "maybe": a broker that has just started, a server out of reach, what the memory does not hold (the least recently asked for goes first). */
#ifndef HG_BROKER_ENTITIES_H
#define HG_BROKER_ENTITIES_H

#include "base/json.h"
#include "cluster/local.h"
#include "cluster/view.h"
#include "query/conjuncts.h"

struct hg_entities;
/* bytes: of summaries and live values together. local: as in broker.h, borrowed: summaries that lie in this process's locked memory are used where they lie. Starts its threads. */
HG_MUST_USE enum hg_rc hg_entities_start(struct hg_view *view, struct hg_wire_client *wire, const struct hg_local *local, int64_t bytes, struct hg_budget *process, struct hg_entities **out, struct hg_err *err);
void hg_entities_stop(struct hg_entities *e); /* before the view and the wire client go; NULL allowed */
void hg_entities_free(struct hg_entities *e); /* no query is left; NULL allowed */

bool hg_entities_idle(struct hg_entities *e); /* nobody is at work on what questions look at: to ask now does not wait (but for bad luck) */

/* One query's questions. */
struct hg_entity_ask;
/* n_targets: about how many there will be. c is borrowed. */
HG_MUST_USE enum hg_rc hg_entity_ask_new(struct hg_entities *e, struct hg_arena *a, const struct hg_conjunct *c, uint32_t n, size_t n_targets, struct hg_entity_ask **out, struct hg_err *err);
struct hg_entity_answer {
    bool may_match;                  /* false is certain */
    const struct hg_interval *times; /* of the segment's rows, where it is false: ascending, apart; in the ask's arena */
    uint32_t n_times;
    bool exact;                      /* they are known, and the gaps between them as well */
};
/* The next questions are about t[0..n), n <= HG_ENTITY_AHEAD, in this order: they are prepared together, which is several times quicker. Not a must. */
#define HG_ENTITY_AHEAD 64u
void hg_entity_ask_ahead(struct hg_entity_ask *k, const struct hg_target *const *t, size_t n);
/* The times of a published segment's rows, where its summary is here. */
bool hg_entity_ask_times(const struct hg_entity_ask *k, const struct hg_target *t, struct hg_interval *times);
HG_MUST_USE enum hg_rc hg_entity_ask_of(struct hg_entity_ask *k, const struct hg_target *t, struct hg_entity_answer *out, struct hg_err *err);
/* Whether any target so far knew of conjunct i's dimension. */
bool hg_entity_ask_knows(const struct hg_entity_ask *k, uint32_t i);
/* Of the values of conjunct i those that some target asked about may have. In its order, in the ask's arena. *n may be 0. */
HG_MUST_USE enum hg_rc hg_entity_ask_left(const struct hg_entity_ask *k, uint32_t i, const struct hg_str **values, uint32_t *n, struct hg_err *err);

/* What is held, per datasource (NULL: of all) and dimension, for people. */
HG_MUST_USE enum hg_rc hg_entities_status(struct hg_entities *e, const char *datasource, json_t **out, struct hg_err *err);

#endif
