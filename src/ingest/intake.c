/* A batch of messages to rows in sinks. What cannot be put away now (no memory, a full disk, no metadata store) holds the reader: librdkafka's queue fills up to its limit and
 * fetches no more, so nothing grows and nothing is lost. */
#include <inttypes.h>

#include "base/metrics.h"
#include "ingest/stream_private.h"

#define FLUSH_ROWS 4096
#define FLUSH_BYTES ((size_t)8 << 20)
#define RETRY_MS 1000

struct intake {
    struct hg_stream *s;
    size_t rows, bytes; /* since the last flush */
    int64_t read, parsed, read_bytes, empty, filtered, late, early, bad, skipped, bad_by[HG_N_BAD_EVENTS];
    int64_t least, greatest; /* times that are let in */
};

/* ---- putting away ---- */

/* Live memory is used up: everybody's rows to disk, ours at once. */
static enum hg_rc make_room(struct hg_stream *s, struct hg_err *err)
{
    bool had = hg_gen_live_bytes(s->gen) > 0;
    atomic_fetch_add(&s->env->persist_round, 1);
    HG_TRY(hg_gen_persist(s->gen, INT64_MAX, err));
    if (had) return HG_OK;
    return hg_fail(err, HG_E_LIMIT, "live rows of other streams and of generations being sealed take all of the memory for live rows; reading waits");
}

static enum hg_trouble kind_of(enum hg_rc rc)
{
    switch (rc) {
    case HG_E_UNAVAILABLE: return HG_TR_STORE;
    case HG_E_IO: return HG_TR_DISK;
    case HG_E_LIMIT:
    case HG_E_NOMEM: return HG_TR_MEMORY;
    default: return HG_TR_ROWS;
    }
}

static void paused(struct hg_stream *s, bool on) { hg_metric_set(HG_M_ingest_paused, s->spec->data.datasource, on ? (int64_t)s->n_parts : 0); }

static bool flush(struct intake *k)
{
    struct hg_stream *s = k->s;
    bool waited = false;
    for (;;) {
        struct hg_err err;
        enum hg_rc rc = hg_gen_flush(s->gen, &err);
        if (!rc) break;
        enum hg_trouble kind = kind_of(rc);
        if (rc == HG_E_LIMIT) {
            rc = make_room(s, &err);
            if (!rc) continue;
            kind = kind_of(rc);
        }
        for (int t = HG_TR_STORE; t <= HG_TR_ROWS; t++)
            if ((int)kind != t) hg_stream_trouble(s, (enum hg_trouble)t, NULL);
        hg_stream_trouble(s, kind, &err);
        paused(s, true);
        waited = true;
        hg_gen_tell(s->gen);
        if (hg_stream_wait(s, kind == HG_TR_MEMORY ? RETRY_MS / 5 : RETRY_MS)) return false;
    }
    if (waited) paused(s, false);
    for (int t = HG_TR_STORE; t <= HG_TR_ROWS; t++) hg_stream_trouble(s, (enum hg_trouble)t, NULL);
    hg_event_parser_reset(s->parser);
    k->rows = k->bytes = 0;
    return true;
}

/* ---- one message ---- */

static struct hg_part *part_of(struct hg_stream *s, int32_t id)
{
    if (id >= 0 && (size_t)id < s->n_parts && s->parts[id].id == id) return &s->parts[id];
    for (size_t i = 0; i < s->n_parts; i++)
        if (s->parts[i].id == id) return &s->parts[i];
    return NULL;
}

static void sample(struct hg_stream *s, const rd_kafka_message_t *m, const char *reason, const char *why)
{
    pthread_mutex_lock(&s->mu);
    struct hg_bad_sample *b = &s->samples[s->n_samples++ % HG_KEPT_SAMPLES];
    *b = (struct hg_bad_sample){.at_ms = hg_clock_now_ms(), .offset = m->offset, .partition = m->partition, .reason = reason};
    snprintf(b->why, sizeof b->why, "%s", why);
    snprintf(b->event, sizeof b->event, "%.*s", (int)(m->len < sizeof b->event ? m->len : sizeof b->event - 1), m->payload ? (const char *)m->payload : "");
    pthread_mutex_unlock(&s->mu);
}

static bool bad_event(struct intake *k, const rd_kafka_message_t *m, enum hg_bad_event bad, const char *why)
{
    struct hg_stream *s = k->s;
    const char *reason = hg_bad_event_name(bad);
    k->bad++;
    k->bad_by[bad]++;
    hg_metric_add(HG_M_ingest_thrown, reason, 1);
    sample(s, m, reason, why);
    if (!s->letters) return true;
    struct hg_letter l = {.payload = {m->payload, m->len}, .key = {m->key, m->key_len}, .reason = reason, .why = why, .topic = s->spec->topic, .partition = m->partition, .offset = m->offset};
    struct hg_err err;
    while (hg_dead_letters_send(s->letters, &l, &s->gen->letters, &err) == HG_E_LIMIT) {
        hg_stream_trouble(s, HG_TR_LETTERS, &err);
        hg_dead_letters_poll(s->letters, 200);
        if (hg_stream_stopping(s)) return false;
    }
    hg_stream_trouble(s, HG_TR_LETTERS, NULL);
    return true;
}

/* An error in place of a message, or word that there is none now. */
static void kafka_error(struct hg_stream *s, const rd_kafka_message_t *m)
{
    struct hg_err err;
    if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        struct hg_part *p = part_of(s, m->partition);
        if (p) p->eof = m->offset;
        return;
    }
    hg_metric_add(HG_M_kafka_errors, rd_kafka_err2name(m->err), 1);
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        struct hg_part *p = part_of(s, m->partition);
        if (!p) return;
        hg_fail(&err, HG_E_NOTFOUND, "Kafka topic \"%s\" partition %d does not have offset %lld any more: reset the supervisor's offsets to go on", s->spec->topic, (int)m->partition,
                (long long)p->next);
        pthread_mutex_lock(&s->mu);
        p->lost = true;
        pthread_mutex_unlock(&s->mu);
        hg_stream_trouble(s, HG_TR_OFFSET, &err);
        return;
    }
    hg_fail(&err, HG_E_UNAVAILABLE, "Kafka topic \"%s\" partition %d: %s", s->spec->topic, (int)m->partition, rd_kafka_message_errstr(m));
    hg_stream_trouble(s, HG_TR_TOPIC, &err);
    s->looked_ms = 0; /* ask about the topic soon: that clears it */
}

static bool take(struct intake *k, rd_kafka_message_t *m)
{
    struct hg_stream *s = k->s;
    struct hg_part *p = part_of(s, m->partition);
    if (!p) return true;
    if (m->offset < p->next) { /* read before the partitions were assigned anew */
        k->skipped++;
        return true;
    }
    struct hg_row row;
    char why[256];
    k->read++;
    k->read_bytes += (int64_t)m->len;
    enum hg_bad_event bad = hg_event_parse(s->parser, (struct hg_span){m->payload, m->len}, &row, why, sizeof why);
    if (bad == HG_EV_TOO_LARGE && k->rows) { /* perhaps not it, but the batch with it: once more, alone */
        if (!flush(k)) return false;
        bad = hg_event_parse(s->parser, (struct hg_span){m->payload, m->len}, &row, why, sizeof why);
    }
    if (bad == HG_EV_EMPTY) k->empty++;
    else if (bad == HG_EV_FILTERED) k->filtered++;
    else if (bad) {
        if (!bad_event(k, m, bad, why)) return false;
    } else if (row.time < k->least) k->late++;
    else if (row.time > k->greatest) k->early++;
    else {
        struct hg_err err;
        while (hg_gen_row(s->gen, &row, &err)) { /* too many intervals: a new generation, which begins with this message */
            hg_stream_trouble(s, HG_TR_ROWS, &err);
            if (!flush(k)) return false;
            if (hg_stream_close_gen(s, &err) && hg_stream_wait(s, RETRY_MS)) return false;
            if (hg_event_parse(s->parser, (struct hg_span){m->payload, m->len}, &row, why, sizeof why)) return hg_stream_wait(s, RETRY_MS), false; /* it was fine just now */
        }
        k->parsed++;
        k->rows++;
    }
    k->bytes += m->len;
    p->next = m->offset + 1;
    return k->rows < FLUSH_ROWS && k->bytes < FLUSH_BYTES ? true : flush(k);
}

/* ---- the batch ---- */

static void count(struct intake *k)
{
    struct hg_stream *s = k->s;
    const char *ds = s->spec->data.datasource;
    hg_metric_add(HG_M_ingest_read, ds, k->read);
    hg_metric_add(HG_M_ingest_parsed, ds, k->parsed);
    hg_metric_add(HG_M_ingest_bytes, ds, k->read_bytes);
    if (k->filtered) hg_metric_add(HG_M_ingest_thrown, "filtered", k->filtered);
    if (k->late) hg_metric_add(HG_M_ingest_thrown, "late", k->late);
    if (k->early) hg_metric_add(HG_M_ingest_thrown, "early", k->early);
    pthread_mutex_lock(&s->mu);
    s->count.read += k->read;
    s->count.parsed += k->parsed;
    s->count.empty += k->empty + k->filtered;
    s->count.late += k->late;
    s->count.early += k->early;
    s->count.bad += k->bad;
    s->count.skipped += k->skipped;
    s->bytes += k->read_bytes;
    for (int i = 0; i < HG_N_BAD_EVENTS; i++) s->bad_by[i] += k->bad_by[i];
    s->count.next_sum = 0;
    for (size_t i = 0; i < s->n_parts; i++) {
        s->parts[i].told = s->parts[i].next;
        s->count.next_sum += s->parts[i].next;
    }
    pthread_mutex_unlock(&s->mu);
}

bool hg_stream_intake(struct hg_stream *s, rd_kafka_message_t **m, size_t n)
{
    int64_t now = hg_clock_now_ms();
    struct intake k = {.s = s, .least = INT64_MIN, .greatest = INT64_MAX};
    if (s->spec->late_before_ms >= 0) k.least = now - s->spec->late_before_ms;
    if (s->spec->early_after_ms >= 0) k.greatest = now + s->spec->early_after_ms;
    bool ok = true, any = false;
    for (size_t i = 0; i < n; i++) {
        if (ok && m[i]->err) kafka_error(s, m[i]);
        else if (ok) ok = take(&k, m[i]), any = true;
        rd_kafka_message_destroy(m[i]);
    }
    if (ok) ok = flush(&k);
    if (ok) count(&k);
    if (any && s->kafka_down) {
        s->kafka_down = false;
        hg_stream_trouble(s, HG_TR_KAFKA, NULL);
    }
    return ok;
}
