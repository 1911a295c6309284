/* What streams need of librdkafka: clients made from a spec's properties, and questions to a cluster. */
#ifndef HG_INGEST_KAFKA_H
#define HG_INGEST_KAFKA_H

#include <librdkafka/rdkafka.h>

#include "ingest/spec.h"
#include "meta/meta.h"

/* Are the spec's consumerProperties usable? HG_E_INVALID names the property. Those that only a Java client knows are ignored, and so are those that are not the
 * spec's to decide (offsets are kept with the segments, not in Kafka). */
HG_MUST_USE enum hg_rc hg_kafka_check(const struct hg_kafka_spec *spec, struct hg_err *err);

const char *hg_kafka_servers(const struct hg_kafka_spec *spec); /* bootstrap.servers, for messages */

struct hg_kafka_callbacks {
    void (*error)(void *arg, int code, const char *text, bool all_down);                  /* on the thread that polls */
    void (*delivered)(void *arg, void *opaque, const char *error /* NULL: it was */);     /* producers */
    void *arg;
};
/* A consumer without a group's doings, or a producer. cb is borrowed and outlives the client. Reaches nobody yet. */
HG_MUST_USE enum hg_rc hg_kafka_client(const struct hg_kafka_spec *spec, bool producer, const struct hg_kafka_callbacks *cb, rd_kafka_t **out, struct hg_err *err);
/* Ids of the topic's partitions, ascending; returns owned (free). HG_E_UNAVAILABLE: no broker answers; HG_E_NOTFOUND: no such topic. */
HG_MUST_USE enum hg_rc hg_kafka_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t **ids, size_t *n, struct hg_err *err);
/* The first offset that is there and the next that will be. */
HG_MUST_USE enum hg_rc hg_kafka_ends(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *first, int64_t *end, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_kafka_assign(rd_kafka_t *rk, const char *topic, const struct hg_offset *at, size_t n, struct hg_err *err);

#endif
