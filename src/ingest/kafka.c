#include "ingest/kafka.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* Ours to decide, whatever a spec says. */
static const char *const ours[] = {
    "enable.auto.commit", "auto.offset.reset", "enable.auto.offset.store", "enable.partition.eof", "group.instance.id", "enable.idempotence", "transactional.id", "key.deserializer",
    "value.deserializer",
};

static bool is_ours(const char *key)
{
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcmp(key, ours[i]) == 0) return true;
    return false;
}

/* Code named by a request must not be loaded into the server. */
static bool is_refused(const char *key) { return strncmp(key, "plugin.", 7) == 0 || strncmp(key, "test.mock.", 10) == 0; }

static enum hg_rc set(rd_kafka_conf_t *conf, const char *key, const char *value, struct hg_err *err)
{
    char why[256];
    switch (rd_kafka_conf_set(conf, key, value, why, sizeof why)) {
    case RD_KAFKA_CONF_OK: return HG_OK;
    case RD_KAFKA_CONF_UNKNOWN: return HG_OK; /* a Java client's */
    default: return hg_fail(err, HG_E_INVALID, "consumerProperties: %s: %s", key, why);
    }
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)level;
    hg_log(HG_LOG_DEBUG, "kafka", text, "client", HG_LS(rd_kafka_name(rk)), "facility", HG_LS(fac), NULL);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    const struct hg_kafka_callbacks *cb = opaque;
    if (cb && cb->error) cb->error(cb->arg, code, reason, code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN);
}

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    const struct hg_kafka_callbacks *cb = opaque;
    cb->delivered(cb->arg, m->_private, m->err ? rd_kafka_err2str(m->err) : NULL);
}

static enum hg_rc conf_of(const struct hg_kafka_spec *spec, bool producer, rd_kafka_conf_t **out, struct hg_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) return hg_fail(err, HG_E_NOMEM, "Kafka client");
    char group[300];
    snprintf(group, sizeof group, "henge-%s", spec->id);
    enum hg_rc rc = HG_OK;
    static const char *const consumer[] = {
        "enable.auto.commit", "false", "enable.auto.offset.store", "false", "auto.offset.reset", "error", /* never silently elsewhere than where we left off */
        "enable.partition.eof", "true", /* the end may lie behind marks that are no messages */
        "queued.max.messages.kbytes", "32768", "fetch.wait.max.ms", "100", "fetch.error.backoff.ms", "200",
    };
    static const char *const writer[] = {"message.timeout.ms", "0", "linger.ms", "20"}; /* tries on for ever */
    const char *const *base = producer ? writer : consumer;
    size_t n = producer ? sizeof writer / sizeof *writer : sizeof consumer / sizeof *consumer;
    for (size_t i = 0; i < n && !rc; i += 2) rc = set(conf, base[i], base[i + 1], err);
    if (!rc) rc = set(conf, "reconnect.backoff.max.ms", "2000", err);
    if (!rc && !producer) rc = set(conf, "group.id", group, err);
    for (uint32_t i = 0; i < spec->n_props && !rc; i++) {
        const char *key = spec->props[2 * i];
        if (is_refused(key)) rc = hg_fail(err, HG_E_INVALID, "consumerProperties: %s is not allowed", key);
        else if (!is_ours(key)) rc = set(conf, key, spec->props[2 * i + 1], err);
    }
    if (rc) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_log_cb(conf, on_log);
    *out = conf;
    return HG_OK;
}

enum hg_rc hg_kafka_check(const struct hg_kafka_spec *spec, struct hg_err *err)
{
    rd_kafka_conf_t *conf;
    HG_TRY(conf_of(spec, false, &conf, err));
    rd_kafka_conf_destroy(conf);
    return HG_OK;
}

enum hg_rc hg_kafka_client(const struct hg_kafka_spec *spec, bool producer, const struct hg_kafka_callbacks *cb, rd_kafka_t **out, struct hg_err *err)
{
    rd_kafka_conf_t *conf;
    char why[256];
    HG_TRY(conf_of(spec, producer, &conf, err));
    rd_kafka_conf_set_opaque(conf, (void *)(uintptr_t)cb);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (producer) rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    rd_kafka_t *rk = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return hg_fail(err, HG_E_INVALID, "Kafka client of %s: %s", spec->id, why);
    }
    if (!producer) rd_kafka_poll_set_consumer(rk);
    *out = rk;
    return HG_OK;
}

const char *hg_kafka_servers(const struct hg_kafka_spec *spec)
{
    for (uint32_t i = 0; i < spec->n_props; i++)
        if (strcmp(spec->props[2 * i], "bootstrap.servers") == 0) return spec->props[2 * i + 1];
    return "";
}

static int by_id(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

enum hg_rc hg_kafka_partitions(rd_kafka_t *rk, const char *topic, int timeout_ms, int32_t **ids, size_t *n, struct hg_err *err)
{
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);
    if (!t) return hg_fail(err, HG_E_INVALID, "Kafka topic \"%s\": %s", topic, rd_kafka_err2str(rd_kafka_last_error()));
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t e = rd_kafka_metadata(rk, 0, t, &md, timeout_ms);
    rd_kafka_topic_destroy(t);
    if (e) return hg_fail(err, HG_E_UNAVAILABLE, "Kafka does not answer: %s", rd_kafka_err2str(e));
    enum hg_rc rc = HG_OK;
    const struct rd_kafka_metadata_topic *mt = md->topic_cnt == 1 ? &md->topics[0] : NULL;
    if (!mt || mt->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || (!mt->err && mt->partition_cnt == 0)) rc = hg_fail(err, HG_E_NOTFOUND, "Kafka has no topic \"%s\"", topic);
    else if (mt->err) rc = hg_fail(err, HG_E_UNAVAILABLE, "Kafka topic \"%s\": %s", topic, rd_kafka_err2str(mt->err));
    int32_t *v = rc ? NULL : malloc((size_t)mt->partition_cnt * sizeof *v);
    if (!rc && !v) rc = hg_fail(err, HG_E_NOMEM, "partitions of \"%s\"", topic);
    if (!rc) {
        *n = (size_t)mt->partition_cnt;
        for (size_t i = 0; i < *n; i++) v[i] = mt->partitions[i].id;
        qsort(v, *n, sizeof *v, by_id);
        *ids = v;
    }
    rd_kafka_metadata_destroy(md);
    return rc;
}

enum hg_rc hg_kafka_ends(rd_kafka_t *rk, const char *topic, int32_t partition, int timeout_ms, int64_t *first, int64_t *end, struct hg_err *err)
{
    rd_kafka_resp_err_t e = rd_kafka_query_watermark_offsets(rk, topic, partition, first, end, timeout_ms);
    return e ? hg_fail(err, HG_E_UNAVAILABLE, "Kafka topic \"%s\" partition %d: %s", topic, (int)partition, rd_kafka_err2str(e)) : HG_OK;
}

enum hg_rc hg_kafka_assign(rd_kafka_t *rk, const char *topic, const struct hg_offset *at, size_t n, struct hg_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    for (size_t i = 0; i < n; i++) rd_kafka_topic_partition_list_add(list, topic, at[i].partition)->offset = at[i].offset;
    rd_kafka_resp_err_t e = rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return e ? hg_fail(err, HG_E_UNAVAILABLE, "Kafka topic \"%s\": assigning %zu partitions: %s", topic, n, rd_kafka_err2str(e)) : HG_OK;
}
