/* Events that became no row, sent as they are to a topic of their own, with headers that say why and where from. Offsets past an event are published only when its letter
 * has arrived, so after a crash a letter may be there twice, but never not at all. */
#ifndef HG_INGEST_DEADLETTER_H
#define HG_INGEST_DEADLETTER_H

#include "ingest/kafka.h"

struct hg_dead_letters;
struct hg_letter {
    struct hg_span payload, key;
    const char *reason, *why, *topic;
    int32_t partition;
    int64_t offset;
};
HG_MUST_USE enum hg_rc hg_dead_letters_new(const struct hg_kafka_spec *spec, struct hg_dead_letters **out, struct hg_err *err);
void hg_dead_letters_free(struct hg_dead_letters *d); /* drops what is under way; NULL allowed */
/* Copies and queues it, adding one to *under_way until it has arrived or was refused for good. HG_E_LIMIT: too many are queued, poll and try again. */
HG_MUST_USE enum hg_rc hg_dead_letters_send(struct hg_dead_letters *d, const struct hg_letter *l, _Atomic int64_t *under_way, struct hg_err *err);
void hg_dead_letters_poll(struct hg_dead_letters *d, int timeout_ms); /* any thread; something must call it */
/* Letters that arrived, and that the cluster refused (message tells the last refusal). */
void hg_dead_letters_counts(struct hg_dead_letters *d, int64_t *arrived, int64_t *refused, char *message, size_t cap);

#endif
