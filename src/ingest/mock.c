#include "ingest/mock.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdlib.h>
#include <string.h>

struct hg_kafka_mock {
    rd_kafka_t *rk; /* the mock lives in a client of its own, which does nothing else */
    rd_kafka_mock_cluster_t *cluster;
};

static void no_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    (void)rk, (void)level, (void)fac, (void)text;
}

enum hg_rc hg_kafka_mock_start(struct hg_kafka_mock **out, struct hg_err *err)
{
    struct hg_kafka_mock *m = calloc(1, sizeof *m);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256] = "";
    if (m && conf) {
        rd_kafka_conf_set_log_cb(conf, no_log);
        m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    }
    if (!m || !m->rk) {
        if (conf) rd_kafka_conf_destroy(conf);
        free(m);
        return hg_fail(err, HG_E_NOMEM, "mock Kafka: %s", text);
    }
    m->cluster = rd_kafka_mock_cluster_new(m->rk, 1);
    if (!m->cluster) {
        hg_kafka_mock_stop(m);
        return hg_fail(err, HG_E_IO, "mock Kafka: no local port for it");
    }
    *out = m;
    return HG_OK;
}

const char *hg_kafka_mock_bootstrap(const struct hg_kafka_mock *m) { return rd_kafka_mock_cluster_bootstraps(m->cluster); }

enum hg_rc hg_kafka_mock_topic(struct hg_kafka_mock *m, const char *topic, int partitions, struct hg_err *err)
{
    rd_kafka_resp_err_t e = rd_kafka_mock_topic_create(m->cluster, topic, partitions, 1);
    return e ? hg_fail(err, HG_E_INVALID, "mock Kafka: topic %s: %s", topic, rd_kafka_err2str(e)) : HG_OK;
}

void hg_kafka_mock_set_up(struct hg_kafka_mock *m, bool up)
{
    if (up) rd_kafka_mock_broker_set_up(m->cluster, -1);
    else rd_kafka_mock_broker_set_down(m->cluster, -1);
}

void hg_kafka_mock_stop(struct hg_kafka_mock *m)
{
    if (!m) return;
    if (m->cluster) rd_kafka_mock_cluster_destroy(m->cluster);
    rd_kafka_destroy(m->rk);
    free(m);
}
