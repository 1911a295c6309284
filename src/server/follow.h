/* Which entities the live rows of this server have, told to the brokers that follow (HG_WIRE_ENTITIES): all there are, then the new ones. A row with an entity that is new in its sink
 * is shown to queries only when every broker that relies on us knows of it (lease.h), so that no broker calls an entity empty that a query has seen. Rows without new entities
 * never wait.
 *
 *   rows ──► offer: new entities get a number and are told ──► wait: the number may be shown ──► the rows go into the live index
 *
 * One a process. Its mutex is held while what is new, or to a new follower everything, is queued on wire streams. */
#ifndef HG_SERVER_FOLLOW_H
#define HG_SERVER_FOLLOW_H

#include "cluster/entities.h"
#include "segment/schema.h"
#include "wire/wire.h"

struct hg_follow;
HG_MUST_USE enum hg_rc hg_follow_new(int64_t lease_ms, struct hg_follow **out, struct hg_err *err);
/* No set is left, no wire server runs any more. NULL allowed. */
void hg_follow_free(struct hg_follow *f);
/* Before the streams are given to another server: all brokers forget what they know of us, which is waited for. From here on nothing is told and nothing waits. */
void hg_follow_shut(struct hg_follow *f);

/* Requests of brokers; take st. */
void hg_follow_open(struct hg_follow *f, uint64_t follower, struct hg_wire_stream *st);
void hg_follow_confirm(struct hg_follow *f, uint64_t follower, uint64_t sequence, struct hg_wire_stream *st);

/* The entities of one sink's rows, known under the ids that the sink is served under. One writer, but name and unname from any thread. */
struct hg_live_set;
/* NULL: the schema declares no entities, or f is NULL; every function below takes that. most: values of a dimension that are kept. */
HG_MUST_USE enum hg_rc hg_live_set_new(struct hg_follow *f, const struct hg_schema *schema, int64_t min_time, uint32_t most, struct hg_live_set **out, struct hg_err *err);
void hg_live_set_free(struct hg_live_set *s);
HG_MUST_USE enum hg_rc hg_live_set_name(struct hg_live_set *s, const char *id, struct hg_err *err); /* before it is announced */
/* wait: another server may come to serve other rows under the id; brokers have forgotten ours when this returns. */
void hg_live_set_unname(struct hg_live_set *s, const char *id, bool wait);
/* Rows that are about to be added. *number is raised to what hg_follow_wait must be called with before they are. Never fails: what cannot be kept is told to be unknown. */
void hg_live_set_offer(struct hg_live_set *s, const struct hg_row *rows, size_t n, uint64_t *number);
/* The times of the sink's rows: one interval a source, in any order. */
void hg_live_set_times(struct hg_live_set *s, const struct hg_interval *times, size_t n);
/* Returns when everything up to number may be shown: after a lease at the latest. */
void hg_follow_wait(struct hg_follow *f, uint64_t number);

#endif
