/* henge-produce: sends lines to a Kafka topic and waits until the broker has acknowledged each of them.
 *
 * A line is a message. Its partition follows from its key (Java's murmur2, so that other producers agree) where --key-field names
 * one, else lines go round robin: line i to partition i modulo the partition count, which makes runs repeatable. The producer is
 * idempotent: a retry never writes a message twice. Ends with one JSON line on stdout that says what was sent. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_PARTITIONS = 4096 };

struct options {
    const char *brokers, *topic, *key_field, *file;
    int32_t partitions; /* for --create; else as the broker says */
    int32_t only;       /* --partition: all lines go here; -1: spread */
    int timeout_ms;     /* for the broker to answer, and for a message to be acknowledged */
    int64_t rate;       /* lines a second; 0: as fast as it goes */
    bool create;
};

struct counts {
    int64_t lines, acked, failed, no_key;
    int64_t per_partition[MAX_PARTITIONS];
    char first_error[256];
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int sig)
{
    (void)sig;
    stop_asked = 1;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("henge-produce: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static int64_t mono_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    struct counts *c = opaque;
    if (m->err) {
        if (!c->failed++) snprintf(c->first_error, sizeof c->first_error, "%s", rd_kafka_err2str(m->err));
        return;
    }
    c->acked++;
    if (m->partition >= 0 && m->partition < MAX_PARTITIONS) c->per_partition[m->partition]++;
}

static void set_conf(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK) die("%s", text);
}

static rd_kafka_t *connect_producer(const struct options *o, struct counts *c)
{
    char text[256], number[32];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set_conf(conf, "bootstrap.servers", o->brokers);
    set_conf(conf, "client.id", "henge-produce");
    set_conf(conf, "enable.idempotence", "true");
    set_conf(conf, "partitioner", "murmur2_random");
    set_conf(conf, "linger.ms", "5");
    set_conf(conf, "compression.codec", "zstd");
    snprintf(number, sizeof number, "%d", o->timeout_ms);
    set_conf(conf, "message.timeout.ms", number);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) die("%s", text);
    return rk;
}

/* A topic that exists already is fine if it has the partitions asked for; topic_partitions tells. */
static void create_topic(rd_kafka_t *rk, const struct options *o)
{
    char text[256];
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(o->topic, o->partitions, 1, text, sizeof text);
    if (!topic) die("topic %s: %s", o->topic, text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    if (rd_kafka_AdminOptions_set_request_timeout(admin, o->timeout_ms, text, sizeof text)) die("%s", text);
    rd_kafka_CreateTopics(rk, &topic, 1, admin, queue);
    rd_kafka_event_t *ev = rd_kafka_queue_poll(queue, o->timeout_ms + 1000);
    if (!ev) die("topic %s: %s did not answer in %d ms", o->topic, o->brokers, o->timeout_ms);
    if (rd_kafka_event_error(ev)) die("topic %s cannot be created: %s", o->topic, rd_kafka_event_error_string(ev));
    size_t n;
    const rd_kafka_topic_result_t **res = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &n);
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t e = rd_kafka_topic_result_error(res[i]);
        if (e && e != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
            die("topic %s cannot be created: %s", o->topic, rd_kafka_topic_result_error_string(res[i]));
    }
    rd_kafka_event_destroy(ev);
    rd_kafka_AdminOptions_destroy(admin);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
}

/* How many partitions the broker says the topic has. A topic just made may take a moment to be known, so this asks again until the
 * deadline; each ask waits in the client for the broker's answer. */
static int32_t topic_partitions(rd_kafka_t *rk, rd_kafka_topic_t *rkt, const struct options *o)
{
    int64_t end = mono_ms() + o->timeout_ms;
    rd_kafka_resp_err_t e = RD_KAFKA_RESP_ERR__TIMED_OUT;
    while (mono_ms() < end) {
        const struct rd_kafka_metadata *md;
        e = rd_kafka_metadata(rk, 0, rkt, &md, 1000);
        if (!e) {
            int32_t n = 0;
            if (md->topic_cnt == 1) {
                e = md->topics[0].err;
                n = md->topics[0].partition_cnt;
            }
            rd_kafka_metadata_destroy(md);
            if (!e && n > MAX_PARTITIONS) die("topic %s has %" PRId32 " partitions, more than %d", o->topic, n, MAX_PARTITIONS);
            if (!e && n > 0) return n;
        }
        rd_kafka_poll(rk, 100);
    }
    die("topic %s at %s: %s (waited %d ms)", o->topic, o->brokers, rd_kafka_err2str(e), o->timeout_ms);
}

/* The key of a line: the string or number in its field. Returns owned, or NULL when the line has none. */
static char *key_of(const char *line, size_t len, const char *field, int64_t line_no)
{
    json_error_t je;
    json_t *obj = json_loadb(line, len, 0, &je);
    if (!obj) die("line %" PRId64 " is not JSON: %s. Send such lines without --key-field", line_no, je.text);
    json_t *v = json_object_get(obj, field);
    char *key = NULL;
    if (json_is_string(v)) {
        key = strdup(json_string_value(v));
    } else if (json_is_number(v)) {
        key = json_dumps(v, JSON_ENCODE_ANY);
    }
    json_decref(obj);
    return key;
}

static void send_line(rd_kafka_t *rk, rd_kafka_topic_t *rkt, int32_t partition, char *line, size_t len, const char *key)
{
    for (;;) {
        int rc = rd_kafka_produce(rkt, partition, RD_KAFKA_MSG_F_COPY, line, len, key, key ? strlen(key) : 0, NULL);
        if (!rc) return;
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) die("%s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 100); /* the queue has room again when reports come in */
    }
}

static void send_all(rd_kafka_t *rk, rd_kafka_topic_t *rkt, const struct options *o, int32_t partitions, struct counts *c)
{
    FILE *in = stdin;
    if (o->file && strcmp(o->file, "-") != 0 && !(in = fopen(o->file, "r"))) die("%s: %s", o->file, strerror(errno));
    char *line = NULL;
    size_t cap = 0;
    ssize_t got;
    int64_t start = mono_ms();
    while (!stop_asked && (got = getline(&line, &cap, in)) >= 0) {
        size_t len = (size_t)got;
        if (len && line[len - 1] == '\n') len--;
        if (!len) continue;
        char *key = o->key_field ? key_of(line, len, o->key_field, c->lines + 1) : NULL;
        if (o->key_field && !key) c->no_key++;
        int32_t to = o->only >= 0 ? o->only : o->key_field ? RD_KAFKA_PARTITION_UA : (int32_t)(c->lines % partitions);
        send_line(rk, rkt, to, line, len, key);
        free(key);
        c->lines++;
        rd_kafka_poll(rk, 0);
        while (o->rate > 0 && !stop_asked) {
            int64_t ahead = c->lines * 1000 / o->rate - (mono_ms() - start);
            if (ahead <= 0) break;
            rd_kafka_poll(rk, (int)(ahead < 100 ? ahead : 100));
        }
    }
    if (ferror(in)) die("%s: %s", o->file ? o->file : "stdin", strerror(errno));
    free(line);
    if (in != stdin) fclose(in);
}

static void report(const struct options *o, const struct counts *c, int32_t partitions, int64_t ms)
{
    printf("{\"topic\": \"%s\", \"lines\": %" PRId64 ", \"acknowledged\": %" PRId64 ", \"failed\": %" PRId64 ", \"withoutKey\": %" PRId64
           ", \"ms\": %" PRId64 ", \"partitions\": [", o->topic, c->lines, c->acked, c->failed, c->no_key, ms);
    for (int32_t i = 0; i < partitions; i++) printf("%s%" PRId64, i ? ", " : "", c->per_partition[i]);
    printf("]}\n");
}

static void usage(FILE *out)
{
    fputs("Sends lines to a Kafka topic and waits for their acknowledgement.\n\n"
          "  henge-produce --brokers HOST:PORT --topic NAME [FILE]      FILE: one message a line; default stdin\n\n"
          "  --key-field NAME   lines are JSON objects; the message's key is this field, and decides its partition\n"
          "  --partition N      send every line to partition N\n"
          "  --create           create the topic where it is not there\n"
          "  --partitions N     with --create: with N partitions (default 1); without: refuse a topic with another number\n"
          "  --rate N           at most N lines a second\n"
          "  --timeout-ms N     for the broker to answer and for a message to be acknowledged (default 30000)\n\n"
          "Without --key-field and --partition, line i goes to partition i modulo the number of partitions.\n", out);
}

static int64_t number_arg(const char *flag, const char *text, int64_t min, int64_t max)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || !*text || *end || v < min || v > max) die("%s %s: must be a number from %" PRId64 " to %" PRId64, flag, text, min, max);
    return v;
}

static struct options parse_args(int argc, char **argv)
{
    enum { BROKERS = 1, TOPIC, KEY, PARTITION, PARTITIONS, CREATE, RATE, TIMEOUT, HELP };
    static const struct option flags[] = {
        {"brokers", 1, NULL, BROKERS}, {"topic", 1, NULL, TOPIC}, {"key-field", 1, NULL, KEY}, {"partition", 1, NULL, PARTITION},
        {"partitions", 1, NULL, PARTITIONS}, {"create", 0, NULL, CREATE}, {"rate", 1, NULL, RATE}, {"timeout-ms", 1, NULL, TIMEOUT},
        {"help", 0, NULL, HELP}, {NULL, 0, NULL, 0}};
    struct options o = {.only = -1, .timeout_ms = 30000};
    int f;
    while ((f = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        switch (f) {
        case BROKERS: o.brokers = optarg; break;
        case TOPIC: o.topic = optarg; break;
        case KEY: o.key_field = optarg; break;
        case PARTITION: o.only = (int32_t)number_arg("--partition", optarg, 0, MAX_PARTITIONS - 1); break;
        case PARTITIONS: o.partitions = (int32_t)number_arg("--partitions", optarg, 1, MAX_PARTITIONS); break;
        case CREATE: o.create = true; break;
        case RATE: o.rate = number_arg("--rate", optarg, 0, 100000000); break;
        case TIMEOUT: o.timeout_ms = (int)number_arg("--timeout-ms", optarg, 1, 3600000); break;
        case HELP: usage(stdout); exit(0);
        default: usage(stderr); exit(2);
        }
    }
    if (optind < argc) o.file = argv[optind++];
    if (optind < argc || !o.brokers || !o.topic) {
        usage(stderr);
        exit(2);
    }
    return o;
}

int main(int argc, char **argv)
{
    struct options o = parse_args(argc, argv);
    struct sigaction sa = {.sa_handler = on_signal}; /* no SA_RESTART: a signal ends the wait for a line, and what was sent is flushed */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    static struct counts c;
    int64_t start = mono_ms();
    rd_kafka_t *rk = connect_producer(&o, &c);
    if (o.create) {
        struct options with = o;
        if (!with.partitions) with.partitions = 1;
        create_topic(rk, &with);
    }
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, o.topic, NULL);
    if (!rkt) die("topic %s: %s", o.topic, rd_kafka_err2str(rd_kafka_last_error()));
    int32_t partitions = topic_partitions(rk, rkt, &o);
    if (o.partitions && o.partitions != partitions)
        die("topic %s has %" PRId32 " partitions, not %" PRId32, o.topic, partitions, o.partitions);
    if (o.only >= partitions) die("topic %s has %" PRId32 " partitions, so there is no partition %" PRId32, o.topic, partitions, o.only);
    send_all(rk, rkt, &o, partitions, &c);
    rd_kafka_flush(rk, o.timeout_ms);
    int64_t lost = c.lines - c.acked - c.failed;
    rd_kafka_topic_destroy(rkt);
    rd_kafka_destroy(rk);
    report(&o, &c, partitions, mono_ms() - start);
    if (c.failed || lost) {
        fprintf(stderr, "henge-produce: %" PRId64 " of %" PRId64 " lines were not acknowledged%s%s\n", c.failed + lost, c.lines,
                c.failed ? ": " : " in time", c.first_error);
        return 1;
    }
    return 0;
}
