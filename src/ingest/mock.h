/* A Kafka cluster inside this process, for trying Henge out and for its tests: librdkafka's own mock broker. It speaks the protocol on a local port, keeps what it is given in
 * memory only (of each partition the last 5 MB), and is gone with the process. Not for anything one wants to keep. */
#ifndef HG_INGEST_MOCK_H
#define HG_INGEST_MOCK_H

#include "base/err.h"

struct hg_kafka_mock;
HG_MUST_USE enum hg_rc hg_kafka_mock_start(struct hg_kafka_mock **out, struct hg_err *err);
const char *hg_kafka_mock_bootstrap(const struct hg_kafka_mock *m); /* "127.0.0.1:PORT" */
HG_MUST_USE enum hg_rc hg_kafka_mock_topic(struct hg_kafka_mock *m, const char *topic, int partitions, struct hg_err *err); /* topics are made by first use too, with 4 partitions */
void hg_kafka_mock_set_up(struct hg_kafka_mock *m, bool up); /* false: refuses and breaks connections, as a broker that is down; keeps what it has */
void hg_kafka_mock_stop(struct hg_kafka_mock *m);            /* NULL allowed */

#endif
