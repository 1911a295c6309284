#include "ingest/stream_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/metrics.h"

#define BATCH 5000
#define POLL_MS 100
#define TICK_MS 1000
#define LOOK_MS 30000    /* between two looks for new partitions */
#define RETRY_MS 1000
#define HIDDEN_MS 5000
#define KAFKA_MS 3000    /* for an answer */
#define MOST_QUEUED 2    /* closed generations that wait; with more, the open one grows on */

/* ---- small things ---- */

static void in_ms(struct timespec *t, int64_t ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += ms % 1000 * 1000000;
    if (t->tv_nsec >= 1000000000) t->tv_sec++, t->tv_nsec -= 1000000000;
}

bool hg_stream_wait(struct hg_stream *s, int64_t ms)
{
    struct timespec until;
    in_ms(&until, ms);
    pthread_mutex_lock(&s->mu);
    while (!s->stop && pthread_cond_timedwait(&s->wake, &s->mu, &until) == 0) {}
    bool stop = s->stop;
    pthread_mutex_unlock(&s->mu);
    return stop;
}

bool hg_stream_stopping(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->mu);
    return stop;
}

static const char *const trouble_names[HG_N_TROUBLES] = {
    [HG_TR_KAFKA] = "Kafka cannot be reached", [HG_TR_TOPIC] = "topic", [HG_TR_OFFSET] = "offset out of range", [HG_TR_STORE] = "metadata store cannot be reached, reading waits",
    [HG_TR_DISK] = "disk does not take rows, reading waits", [HG_TR_MEMORY] = "no memory for rows, reading waits", [HG_TR_ROWS] = "rows cannot be placed, reading waits",
    [HG_TR_PUBLISH] = "publishing waits", [HG_TR_LETTERS] = "dead letters", [HG_TR_FATAL] = "stream stopped",
};

void hg_stream_trouble(struct hg_stream *s, enum hg_trouble which, const struct hg_err *err)
{
    if (!err && !s->trouble[which]) return;
    pthread_mutex_lock(&s->mu);
    bool was = s->trouble[which], now = err != NULL;
    bool other = now && strncmp(s->trouble_msg[which], err->msg, sizeof s->trouble_msg[which] - 1) != 0;
    s->trouble[which] = now;
    if (now) snprintf(s->trouble_msg[which], sizeof s->trouble_msg[which], "%.399s", err->msg);
    if (now && (!was || other)) {
        struct hg_past_error *e = &s->errors[s->n_errors++ % HG_KEPT_ERRORS];
        *e = (struct hg_past_error){.at_ms = hg_clock_now_ms(), .which = which};
        snprintf(e->msg, sizeof e->msg, "%.399s", err->msg);
    }
    pthread_mutex_unlock(&s->mu);
    if (now && !was) hg_log(which == HG_TR_FATAL ? HG_LOG_ERROR : HG_LOG_WARN, "ingest", trouble_names[which], "stream", HG_LS(s->spec->id), "error", HG_LS(err->msg), NULL);
    if (!now && was) hg_log(HG_LOG_INFO, "ingest", "over", "stream", HG_LS(s->spec->id), "trouble", HG_LS(trouble_names[which]), NULL);
}

void hg_stream_fail(struct hg_stream *s, const struct hg_err *err)
{
    hg_stream_trouble(s, HG_TR_FATAL, err);
    pthread_mutex_lock(&s->mu);
    s->state = HG_STREAM_FAILED;
    s->stop = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
}

static void on_kafka_error(void *arg, int code, const char *text, bool all_down)
{
    struct hg_stream *s = arg;
    hg_metric_add(HG_M_kafka_errors, rd_kafka_err2name((rd_kafka_resp_err_t)code), 1);
    if (!all_down) return; /* one of several brokers, or a lookup: librdkafka tries on */
    struct hg_err err;
    hg_fail(&err, HG_E_UNAVAILABLE, "brokers %s: %s", hg_kafka_servers(s->spec), text);
    s->kafka_down = true;
    s->looked_ms = 0;
    hg_stream_trouble(s, HG_TR_KAFKA, &err);
}

/* ---- where to begin ---- */

static const struct hg_offset *stored_of(const struct hg_offset *o, size_t n, int32_t partition)
{
    for (size_t i = 0; i < n; i++)
        if (o[i].partition == partition) return &o[i];
    return NULL;
}

/* Offsets for partitions that have none stored; -1 is stored where an operator's reset forgot one. They are stored before anything is read: a start at the latest offset
 * must be the same one after a crash. */
static enum hg_rc begin_new(struct hg_stream *s, const struct hg_offset *stored, size_t n_stored, struct hg_offset *at, size_t n, bool *of_store, struct hg_err *err)
{
    struct hg_offset *expected = calloc(n + 1, sizeof *expected), *next = calloc(n + 1, sizeof *next);
    enum hg_rc rc = expected && next ? HG_OK : hg_fail(err, HG_E_NOMEM, "offsets of %s", s->spec->id);
    size_t k = 0;
    bool any = false; /* a partition that came to a topic that is being read: from its first event on */
    for (size_t i = 0; i < n_stored; i++) any |= stored[i].offset >= 0;
    for (size_t i = 0; i < n && !rc; i++) {
        const struct hg_offset *o = stored_of(stored, n_stored, at[i].partition);
        if (o && o->offset >= 0) {
            at[i].offset = o->offset;
            continue;
        }
        int64_t first, end;
        rc = hg_kafka_ends(s->rk, s->spec->topic, at[i].partition, KAFKA_MS, &first, &end, err);
        if (rc) break;
        at[i].offset = s->spec->earliest || any ? first : end;
        expected[k] = (struct hg_offset){at[i].partition, o ? o->offset : at[i].offset};
        next[k++] = at[i];
    }
    if (!rc && k) {
        struct hg_publish p = {.stream = s->spec->id, .stream_epoch = s->epoch, .expected = expected, .next = next, .n_offsets = k, .visible = true, .task = s->spec->id};
        rc = hg_meta_publish(s->env->opt.meta, &p, NULL, err);
        *of_store = true;
    }
    free(expected);
    free(next);
    return rc;
}

/* Takes over the list of partitions `at`; the open generation, if there is one, has been closed. */
static enum hg_rc assign(struct hg_stream *s, const struct hg_offset *at, size_t n, struct hg_err *err)
{
    struct hg_part *parts = calloc(n + 1, sizeof *parts);
    struct hg_gen *gen = NULL;
    if (!parts) return hg_fail(err, HG_E_NOMEM, "partitions of %s", s->spec->id);
    for (size_t i = 0; i < n; i++) parts[i] = (struct hg_part){.id = at[i].partition, .next = at[i].offset, .told = at[i].offset, .published = at[i].offset, .end = -1, .owed_to = -1, .eof = -1};
    enum hg_rc rc = hg_gen_new(s->env, s->base, s->epoch, at, n, &gen, err);
    if (!rc) rc = hg_kafka_assign(s->rk, s->spec->topic, at, n, err);
    if (rc) {
        free(parts);
        hg_gen_free(gen, true);
        return rc;
    }
    struct hg_gen *old = s->gen;
    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s->n_parts; k++)
            if (s->parts[k].id == parts[i].id) {
                parts[i].published = s->parts[k].published;
                parts[i].end = s->parts[k].end;
                parts[i].owed_to = s->parts[k].owed_to;
            }
    free(s->parts);
    s->parts = parts;
    s->n_parts = n;
    s->gen = gen;
    s->count.next_sum = 0;
    for (size_t i = 0; i < n; i++) s->count.next_sum += at[i].offset;
    pthread_mutex_unlock(&s->mu);
    hg_gen_free(old, true); /* an empty one */
    return HG_OK;
}

static enum hg_rc list_partitions(struct hg_stream *s, struct hg_offset **out, size_t *n, struct hg_err *err)
{
    int32_t *ids;
    enum hg_rc rc = hg_kafka_partitions(s->rk, s->spec->topic, KAFKA_MS, &ids, n, err);
    if (rc) return hg_err_context(err, rc, "brokers %s", hg_kafka_servers(s->spec));
    struct hg_offset *at = calloc(*n + 1, sizeof *at);
    for (size_t i = 0; at && i < *n; i++) at[i].partition = ids[i];
    free(ids);
    *out = at;
    return at ? HG_OK : hg_fail(err, HG_E_NOMEM, "partitions of %s", s->spec->id);
}

static void sort_out(struct hg_stream *s, enum hg_rc rc, const struct hg_err *err)
{
    hg_stream_trouble(s, HG_TR_TOPIC, rc == HG_E_NOTFOUND ? err : NULL);
    hg_stream_trouble(s, HG_TR_KAFKA, rc == HG_E_UNAVAILABLE ? err : NULL);
    s->kafka_down = rc == HG_E_UNAVAILABLE;
}

static enum hg_rc with_stored(struct hg_stream *s, struct hg_offset *at, size_t n, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_offset *stored;
    size_t n_stored;
    enum hg_rc rc = a ? hg_meta_offsets(s->env->opt.meta, a, s->spec->id, &stored, &n_stored, err) : hg_fail(err, HG_E_NOMEM, "offsets of %s", s->spec->id);
    bool of_store = rc != HG_OK;
    if (!rc) rc = begin_new(s, stored, n_stored, at, n, &of_store, err);
    if (rc == HG_E_CONFLICT) hg_stream_fail(s, err);
    else hg_stream_trouble(s, HG_TR_STORE, rc && of_store ? err : NULL);
    if (rc && !of_store) sort_out(s, rc, err);
    hg_arena_free(a);
    return rc;
}

/* First assignment, or a look for partitions that have come since. True: assigned and reading. */
static bool look(struct hg_stream *s)
{
    int64_t now = hg_clock_mono_ms();
    bool trouble = s->trouble[HG_TR_KAFKA] || s->trouble[HG_TR_TOPIC];
    if (s->gen && s->looked_ms && now - s->looked_ms < (trouble ? RETRY_MS : LOOK_MS)) return true;
    s->looked_ms = now;
    struct hg_offset *at;
    size_t n;
    struct hg_err err;
    enum hg_rc rc = list_partitions(s, &at, &n, &err);
    sort_out(s, rc, &err);
    if (rc) return s->gen != NULL;
    bool fresh = !s->gen;
    for (size_t i = 0; i < n && !fresh; i++) {
        bool known = false;
        for (size_t k = 0; k < s->n_parts && !known; k++) known = s->parts[k].id == at[i].partition;
        fresh = !known;
    }
    if (fresh) {
        if (s->gen && hg_gen_moved(s->gen)) rc = hg_stream_close_gen(s, &err);
        pthread_mutex_lock(&s->publish_mu); /* whoever compares stored with published offsets sees both as they were before, or both as they are after */
        if (!rc) rc = with_stored(s, at, n, &err);
        for (size_t i = 0; i < n && !rc; i++) /* what is read but not stored yet goes on from where it is */
            for (size_t k = 0; k < s->n_parts; k++)
                if (s->parts[k].id == at[i].partition) at[i].offset = s->parts[k].next;
        if (!rc) rc = assign(s, at, n, &err);
        pthread_mutex_unlock(&s->publish_mu);
        if (!rc) hg_log(HG_LOG_INFO, "ingest", "reading", "stream", HG_LS(s->spec->id), "topic", HG_LS(s->spec->topic), "partitions", HG_LI(n), "epoch", HG_LI(s->epoch), NULL);
        else s->looked_ms = now - LOOK_MS + RETRY_MS;
    }
    free(at);
    return s->gen != NULL;
}

/* ---- sealing ---- */

enum hg_rc hg_stream_close_gen(struct hg_stream *s, struct hg_err *err)
{
    struct hg_gen *g = s->gen, *next;
    for (size_t i = 0; i < s->n_parts; i++) g->at[i].offset = s->parts[i].next;
    if (!hg_gen_moved(g)) {
        pthread_mutex_lock(&s->mu);
        g->opened_ms = hg_clock_mono_ms();
        pthread_mutex_unlock(&s->mu);
        return HG_OK;
    }
    HG_TRY(hg_gen_new(s->env, s->base, s->epoch, g->at, g->n_parts, &next, err));
    hg_gen_tell(g);
    pthread_mutex_lock(&s->mu);
    s->gen = next;
    *s->last = g;
    s->last = &g->next;
    s->n_queued++;
    s->seal = false;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
    return HG_OK;
}

static bool seal_due(struct hg_stream *s, int64_t now)
{
    pthread_mutex_lock(&s->mu);
    bool asked = s->seal, room = s->n_queued < MOST_QUEUED;
    pthread_mutex_unlock(&s->mu);
    if (asked) return true;
    if (!room) return false;
    if (now - s->gen->opened_ms >= s->spec->seal_ms || s->gen->rows >= s->spec->max_total_rows) return true;
    if (now - s->hidden_ms < HIDDEN_MS) return false;
    s->hidden_ms = now;
    if (!hg_gen_hidden(s->gen)) return false;
    hg_log(HG_LOG_INFO, "ingest", "live rows are hidden by a newer version of their interval: sealing, for new ids", "stream", HG_LS(s->spec->id), NULL);
    return true;
}

static void ends(struct hg_stream *s)
{
    bool all = true;
    char label[200];
    for (size_t i = 0; i < s->n_parts; i++) {
        int64_t low, high;
        if (rd_kafka_get_watermark_offsets(s->rk, s->spec->topic, s->parts[i].id, &low, &high)) high = -1;
        pthread_mutex_lock(&s->mu);
        if (high >= 0) s->parts[i].end = high;
        high = s->parts[i].end;
        pthread_mutex_unlock(&s->mu);
        if (high < 0 || s->parts[i].next < high) all = false;
        if (high < 0) continue;
        int64_t lag = high > s->parts[i].next ? high - s->parts[i].next : 0;
        snprintf(label, sizeof label, "%s/%" PRId32, s->spec->id, s->parts[i].id);
        hg_metric_set(HG_M_kafka_lag, label, lag);
    }
    pthread_mutex_lock(&s->mu);
    s->count.caught_up = all && s->n_parts > 0;
    pthread_mutex_unlock(&s->mu);
}

/* ---- catching up ---- */

/* How far an owner before us can have read: to the end that the partition has now, at most. False: not known yet. Where the topic ends before our offset the rows cannot be read again: then
 * an operator must decide (a reset), or the end comes back with the broker that knew it. */
static bool know_owed(struct hg_stream *s, int64_t now)
{
    bool all = true, asked = false;
    for (size_t i = 0; i < s->n_parts; i++) {
        struct hg_part *p = &s->parts[i];
        if (p->owed_to >= 0) continue;
        all = false;
        if (s->asked_ms && now - s->asked_ms < RETRY_MS) continue;
        int64_t first, end;
        struct hg_err err;
        asked = true;
        if (hg_kafka_ends(s->rk, s->spec->topic, p->id, KAFKA_MS, &first, &end, &err)) break; /* reading says what is wrong with Kafka */
        if (end >= p->next) p->owed_to = end;
    }
    if (asked) s->asked_ms = now;
    return all;
}

/* Says so once everything that may have been served before us is in our sinks: first to those who ask us, then to the store, for those who come later. */
static void catch_up(struct hg_stream *s)
{
    int64_t now = hg_clock_mono_ms();
    struct hg_err err;
    if (s->owes) {
        if (!know_owed(s, now)) return;
        for (size_t i = 0; i < s->n_parts; i++) {
            const struct hg_part *p = &s->parts[i];
            if ((p->next > p->eof ? p->next : p->eof) < p->owed_to) return;
        }
        hg_log(HG_LOG_INFO, "ingest", "caught up with what was served before", "stream", HG_LS(s->spec->id), "epoch", HG_LI(s->epoch), NULL);
        hg_dataserver_runs(s->env->opt.dataserver, s->spec->id, s->epoch, HG_RUNS_CAUGHT_UP);
        s->owes = false;
        s->asked_ms = 0;
    }
    if (s->settled || (s->asked_ms && now - s->asked_ms < RETRY_MS)) return;
    s->asked_ms = now;
    s->settled = hg_meta_lease_settle(s->env->opt.meta, s->spec->id, s->env->opt.self, s->epoch, &err) == HG_OK;
}

/* Between two batches. */
static void tick(struct hg_stream *s)
{
    int64_t now = hg_clock_mono_ms();
    struct hg_err err;
    if (s->letters) hg_dead_letters_poll(s->letters, 0);
    if (!s->gen) return;
    if (!s->settled) catch_up(s);
    uint64_t round = s->env->persist_round;
    if (round != s->persist_round) {
        enum hg_rc rc = hg_gen_persist(s->gen, INT64_MAX, &err);
        hg_stream_trouble(s, HG_TR_DISK, rc ? &err : NULL);
        s->persist_round = round;
    }
    if (seal_due(s, now)) {
        enum hg_rc rc = hg_stream_close_gen(s, &err);
        hg_stream_trouble(s, HG_TR_MEMORY, rc ? &err : NULL);
        if (!rc) {
            pthread_mutex_lock(&s->mu);
            s->seal = false;
            pthread_mutex_unlock(&s->mu);
        }
    }
    if (now - s->ticked_ms < TICK_MS) return;
    s->ticked_ms = now;
    enum hg_rc rc = hg_gen_persist(s->gen, now - s->spec->persist_ms, &err);
    hg_stream_trouble(s, HG_TR_DISK, rc ? &err : NULL);
    hg_gen_tell(s->gen);
    ends(s);
    int64_t rows = hg_gen_rows(s->gen), bytes = hg_gen_live_bytes(s->gen);
    pthread_mutex_lock(&s->mu);
    int64_t more_rows = rows - s->count.live_rows, more_bytes = bytes - s->count.live_bytes;
    s->count.live_rows = rows;
    s->count.live_bytes = bytes;
    pthread_mutex_unlock(&s->mu);
    hg_metric_add(HG_M_ingest_live_rows, s->spec->data.datasource, more_rows);
    hg_metric_add(HG_M_ingest_live_bytes, s->spec->data.datasource, more_bytes);
}

/* ---- the reader ---- */

static bool finishing(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    bool finish = s->finish;
    pthread_mutex_unlock(&s->mu);
    return finish;
}

static void read_on(struct hg_stream *s)
{
    static const int quick = 20;
    rd_kafka_message_t **batch = calloc(BATCH, sizeof *batch);
    if (!batch) abort(); /* 40 kB at start */
    while (!hg_stream_stopping(s) && !finishing(s)) {
        if (!look(s)) {
            rd_kafka_poll(s->rk, 0);
            hg_stream_wait(s, s->looked_ms ? 300 : quick);
            continue;
        }
        ssize_t n = rd_kafka_consume_batch_queue(s->queue, POLL_MS, batch, BATCH);
        if (n > 0 && !hg_stream_intake(s, batch, (size_t)n)) break;
        tick(s);
    }
    free(batch);
}

static void *reader(void *arg)
{
    struct hg_stream *s = arg;
    read_on(s);
    struct hg_err err;
    while (s->gen && finishing(s) && !hg_stream_stopping(s)) {
        if (hg_stream_close_gen(s, &err) == HG_OK) break;
        hg_stream_wait(s, RETRY_MS);
    }
    pthread_mutex_lock(&s->mu);
    s->reader_done = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
    return NULL;
}

/* ---- the interface ---- */

enum hg_rc hg_stream_start(struct hg_stream_env *env, struct hg_stream_base *base, int64_t epoch, bool owed, struct hg_stream **out, struct hg_err *err)
{
    struct hg_stream *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "stream %s", base->spec->id);
    s->env = env;
    s->base = hg_stream_base_ref(base);
    s->spec = base->spec;
    s->epoch = epoch;
    s->owes = owed;
    s->settled = !owed;
    s->last = &s->first;
    s->started_ms = hg_clock_now_ms();
    s->persist_round = env->persist_round;
    s->cb = (struct hg_kafka_callbacks){.error = on_kafka_error, .arg = s};
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->publish_mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &mono);
    pthread_condattr_destroy(&mono);
    hg_metric_add(HG_M_ingest_handoff_waiting, s->spec->data.datasource, 0); /* so that it is there */
    enum hg_rc rc = hg_event_parser_new(&s->spec->data, &s->spec->format, &s->parser, err);
    if (!rc) rc = hg_kafka_client(s->spec, false, &s->cb, &s->rk, err);
    if (!rc && !(s->queue = rd_kafka_queue_get_consumer(s->rk))) rc = hg_fail(err, HG_E_NOMEM, "stream %s", s->spec->id);
    if (!rc && s->spec->dead_letter_topic) rc = hg_dead_letters_new(s->spec, &s->letters, err);
    if (!rc) hg_dataserver_runs(env->opt.dataserver, s->spec->id, epoch, owed ? HG_RUNS_READING : HG_RUNS_CAUGHT_UP);
    if (!rc && pthread_create(&s->publisher, NULL, hg_stream_publisher, s)) rc = hg_fail(err, HG_E_NOMEM, "stream %s: no thread", s->spec->id);
    else if (!rc) s->publisher_on = true;
    if (!rc && pthread_create(&s->reader, NULL, reader, s)) rc = hg_fail(err, HG_E_NOMEM, "stream %s: no thread", s->spec->id);
    else if (!rc) s->reader_on = true;
    if (rc) {
        hg_stream_free(s, true);
        return rc;
    }
    *out = s;
    return HG_OK;
}

void hg_stream_finish(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    s->finish = true;
    if (s->state == HG_STREAM_RUNNING) s->state = HG_STREAM_FINISHING;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
}

void hg_stream_seal(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    s->seal = true;
    pthread_mutex_unlock(&s->mu);
}

enum hg_stream_state hg_stream_state(struct hg_stream *s)
{
    pthread_mutex_lock(&s->mu);
    enum hg_stream_state st = s->state;
    pthread_mutex_unlock(&s->mu);
    return st;
}

bool hg_stream_owes(struct hg_stream *s) { return s->owes; }

void hg_stream_check_offsets(struct hg_stream *s)
{
    if (pthread_mutex_trylock(&s->publish_mu)) return; /* a publish is under way, which will find out */
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_offset *o;
    size_t n;
    struct hg_err err;
    bool moved = false;
    if (a && hg_meta_offsets(s->env->opt.meta, a, s->spec->id, &o, &n, &err) == HG_OK) {
        pthread_mutex_lock(&s->mu);
        for (size_t i = 0; i < s->n_parts && !moved; i++) {
            const struct hg_offset *stored = stored_of(o, n, s->parts[i].id);
            moved = !stored || stored->offset != s->parts[i].published;
            if (moved)
                hg_fail(&err, HG_E_CONFLICT, "partition %" PRId32 ": stored offset is %" PRId64 ", not %" PRId64 " as published: it was reset", s->parts[i].id,
                        stored ? stored->offset : -1, s->parts[i].published);
        }
        pthread_mutex_unlock(&s->mu);
    }
    hg_arena_free(a);
    if (moved) hg_stream_fail(s, &err);
    pthread_mutex_unlock(&s->publish_mu);
}

static void forget_metrics(struct hg_stream *s)
{
    char label[200];
    hg_metric_add(HG_M_ingest_live_rows, s->spec->data.datasource, -s->count.live_rows);
    hg_metric_add(HG_M_ingest_live_bytes, s->spec->data.datasource, -s->count.live_bytes);
    for (size_t i = 0; i < s->n_parts; i++) {
        snprintf(label, sizeof label, "%s/%" PRId32, s->spec->id, s->parts[i].id);
        hg_metric_set(HG_M_kafka_lag, label, 0);
    }
    hg_metric_set(HG_M_ingest_paused, s->spec->data.datasource, 0);
}

void hg_stream_free(struct hg_stream *s, bool withdraw)
{
    if (!s) return;
    pthread_mutex_lock(&s->mu);
    s->stop = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
    if (s->reader_on) pthread_join(s->reader, NULL);
    if (s->publisher_on) pthread_join(s->publisher, NULL);
    hg_dead_letters_free(s->letters); /* before the generations, whose counters it holds */
    if (s->queue) rd_kafka_queue_destroy(s->queue);
    if (s->rk) rd_kafka_destroy_flags(s->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    forget_metrics(s);
    if (withdraw) hg_dataserver_runs(s->env->opt.dataserver, s->spec->id, s->epoch, HG_RUNS_NOT); /* else it is served on as it is */
    hg_gen_free(s->gen, withdraw);
    for (struct hg_gen *g = s->first, *next; g; g = next) {
        next = g->next;
        hg_gen_free(g, withdraw);
    }
    hg_event_parser_free(s->parser);
    free(s->parts);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->mu);
    pthread_mutex_destroy(&s->publish_mu);
    hg_stream_base_unref(s->base);
    free(s);
}

const struct hg_kafka_spec *hg_stream_spec(const struct hg_stream *s) { return s->spec; }

void hg_stream_get_counts(struct hg_stream *s, struct hg_stream_counts *out)
{
    pthread_mutex_lock(&s->mu);
    *out = s->count;
    pthread_mutex_unlock(&s->mu);
}
