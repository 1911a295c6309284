/* One supervisor at work: a thread that reads Kafka from the stored offsets into the sinks of a generation, and one that seals and publishes closed generations in order.
 *
 *   Kafka ──reader──► open generation ──seal: age, rows, finish──► queue ──publisher──► published, handed off
 *
 * Exactly once: rows and offsets go into one publish. What was read and not published is read again by whoever runs the stream next. Nothing that goes wrong outside (Kafka, the
 * metadata store, deep storage, disk) ends a stream: it waits, says so once in the log and in its status, and goes on. */
#ifndef HG_INGEST_STREAM_H
#define HG_INGEST_STREAM_H

#include "ingest/generation.h"

struct hg_stream;
enum hg_stream_state {
    HG_STREAM_RUNNING,
    HG_STREAM_FINISHING, /* reads no more; publishes what it has */
    HG_STREAM_FINISHED,
    HG_STREAM_FAILED,    /* its offsets or its lease are somebody else's: nothing of it can be published any more */
};
/* Takes a reference on base. epoch, owed: of the lease named as the spec's id (hg_meta_lease_begin). */
HG_MUST_USE enum hg_rc hg_stream_start(struct hg_stream_env *env, struct hg_stream_base *base, int64_t epoch, bool owed, struct hg_stream **out, struct hg_err *err);
void hg_stream_finish(struct hg_stream *s);
void hg_stream_seal(struct hg_stream *s); /* publishes what it has read so far, and reads on */
enum hg_stream_state hg_stream_state(struct hg_stream *s);
bool hg_stream_owes(struct hg_stream *s); /* it has not caught up yet with what others had served before it */
/* Are the stored offsets those that it published last? If not (an operator's reset), it fails. */
void hg_stream_check_offsets(struct hg_stream *s);
/* withdraw: rows not published stop being served; else they are served until the data server goes. NULL allowed. */
void hg_stream_free(struct hg_stream *s, bool withdraw);

const struct hg_kafka_spec *hg_stream_spec(const struct hg_stream *s);
/* Facts for the API; NULL: no memory. */
json_t *hg_stream_status(struct hg_stream *s); /* the payload of Druid's status */
json_t *hg_stream_stats(struct hg_stream *s);
bool hg_stream_healthy(struct hg_stream *s);
const char *hg_stream_detail(struct hg_stream *s); /* Druid's detailedState */

/* For tests. */
struct hg_stream_counts {
    int64_t read, parsed, empty, late, early, bad, skipped, published_gens, published_segments, published_rows, live_rows, live_bytes;
    int64_t next_sum; /* of the offsets to be read next */
    bool caught_up;   /* everything that the cluster said it has is read */
};
void hg_stream_get_counts(struct hg_stream *s, struct hg_stream_counts *out);

#endif
