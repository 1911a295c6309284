/* Which supervisors run here. Specs are documents of the metadata store; each runs on exactly one ingest server, the one that has the lease named as the spec's id. A changed
 * spec seals what the old one read and starts anew; a suspended or deleted one seals and stops; offsets are kept. */
#ifndef HG_INGEST_SUPERVISORS_H
#define HG_INGEST_SUPERVISORS_H

#include "ingest/stream.h"

struct hg_supervisors;
HG_MUST_USE enum hg_rc hg_supervisors_start(struct hg_stream_env *env, const struct hg_kafka_defaults *d, struct hg_supervisors **out, struct hg_err *err); /* copies d */
/* Seals all streams and starts none any more. True: all that was read is published. */
bool hg_supervisors_drain(struct hg_supervisors *v, int64_t grace_ms);
void hg_supervisors_stop(struct hg_supervisors *v);
void hg_supervisors_free(struct hg_supervisors *v); /* NULL allowed */
void hg_supervisors_wake(struct hg_supervisors *v); /* something changed: look now */
const struct hg_kafka_defaults *hg_supervisors_defaults(const struct hg_supervisors *v);

/* How spec `id` of text `text` (its document) is doing, as seen from here. */
struct hg_supervisor_state {
    const char *state, *detail; /* Druid's words */
    bool healthy, here;         /* here: it runs on this server */
    json_t *status;             /* the payload of its status; owned by the caller, NULL when it does not run here */
    json_t *stats;
    char error[HG_ERR_MSG];     /* why it does not start; "" */
};
void hg_supervisors_state(struct hg_supervisors *v, const char *id, bool suspended, struct hg_supervisor_state *out);

#endif
