#include "ingest/deadletter.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"

#define CUT_AT (64 * 1024) /* of an event too large for the topic */

struct hg_dead_letters {
    rd_kafka_t *rk;
    char *topic;
    struct hg_kafka_callbacks cb;
    pthread_mutex_t mu; /* guards the counts */
    int64_t arrived, refused;
    char message[256];
};

static void delivered(void *arg, void *opaque, const char *error)
{
    struct hg_dead_letters *d = arg;
    pthread_mutex_lock(&d->mu);
    if (!error) d->arrived++;
    else {
        if (d->refused++ == 0) hg_log(HG_LOG_ERROR, "ingest", "dead letter refused", "topic", HG_LS(d->topic), "error", HG_LS(error), NULL);
        snprintf(d->message, sizeof d->message, "dead-letter topic %s: %s", d->topic, error);
    }
    pthread_mutex_unlock(&d->mu);
    atomic_fetch_sub((_Atomic int64_t *)opaque, 1);
}

enum hg_rc hg_dead_letters_new(const struct hg_kafka_spec *spec, struct hg_dead_letters **out, struct hg_err *err)
{
    struct hg_dead_letters *d = calloc(1, sizeof *d);
    if (!d || !(d->topic = strdup(spec->dead_letter_topic))) {
        free(d);
        return hg_fail(err, HG_E_NOMEM, "dead letters");
    }
    pthread_mutex_init(&d->mu, NULL);
    d->cb = (struct hg_kafka_callbacks){.delivered = delivered, .arg = d};
    enum hg_rc rc = hg_kafka_client(spec, true, &d->cb, &d->rk, err);
    if (rc) {
        hg_dead_letters_free(d);
        return rc;
    }
    *out = d;
    return HG_OK;
}

void hg_dead_letters_free(struct hg_dead_letters *d)
{
    if (!d) return;
    if (d->rk) {
        rd_kafka_purge(d->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
        rd_kafka_destroy(d->rk);
    }
    pthread_mutex_destroy(&d->mu);
    free(d->topic);
    free(d);
}

static rd_kafka_resp_err_t produce(struct hg_dead_letters *d, const struct hg_letter *l, size_t len, _Atomic int64_t *under_way)
{
    char partition[16], offset[32];
    snprintf(partition, sizeof partition, "%" PRId32, l->partition);
    snprintf(offset, sizeof offset, "%" PRId64, l->offset);
    const char *cut = len < l->payload.len ? "true" : "false";
    return rd_kafka_producev(d->rk, RD_KAFKA_V_TOPIC(d->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE((void *)(uintptr_t)l->payload.p, len),
                             RD_KAFKA_V_KEY((void *)(uintptr_t)l->key.p, l->key.len), RD_KAFKA_V_HEADER("reason", l->reason, -1), RD_KAFKA_V_HEADER("message", l->why, -1),
                             RD_KAFKA_V_HEADER("topic", l->topic, -1), RD_KAFKA_V_HEADER("partition", partition, -1), RD_KAFKA_V_HEADER("offset", offset, -1),
                             RD_KAFKA_V_HEADER("cut", cut, -1), RD_KAFKA_V_OPAQUE(under_way), RD_KAFKA_V_END);
}

enum hg_rc hg_dead_letters_send(struct hg_dead_letters *d, const struct hg_letter *l, _Atomic int64_t *under_way, struct hg_err *err)
{
    atomic_fetch_add(under_way, 1); /* before it can be delivered */
    rd_kafka_resp_err_t e = produce(d, l, l->payload.len, under_way);
    if (e == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE && l->payload.len > CUT_AT) e = produce(d, l, CUT_AT, under_way);
    if (!e) return HG_OK;
    if (e == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        atomic_fetch_sub(under_way, 1);
        return hg_fail(err, HG_E_LIMIT, "dead-letter topic %s: %s", d->topic, rd_kafka_err2str(e));
    }
    delivered(d, under_way, rd_kafka_err2str(e)); /* refused at once */
    return HG_OK;
}

void hg_dead_letters_poll(struct hg_dead_letters *d, int timeout_ms) { rd_kafka_poll(d->rk, timeout_ms); }

void hg_dead_letters_counts(struct hg_dead_letters *d, int64_t *arrived, int64_t *refused, char *message, size_t cap)
{
    pthread_mutex_lock(&d->mu);
    *arrived = d->arrived;
    *refused = d->refused;
    snprintf(message, cap, "%s", d->message);
    pthread_mutex_unlock(&d->mu);
}
