/* The parts of a stream: stream.c (life, reader), intake.c (a batch of messages to rows), publisher.c, stream_status.c (what it tells). */
#ifndef HG_INGEST_STREAM_PRIVATE_H
#define HG_INGEST_STREAM_PRIVATE_H

#include <pthread.h>

#include "base/clock.h"
#include "ingest/deadletter.h"
#include "ingest/event.h"
#include "ingest/stream.h"

enum hg_trouble { HG_TR_KAFKA, HG_TR_TOPIC, HG_TR_OFFSET, HG_TR_STORE, HG_TR_DISK, HG_TR_MEMORY, HG_TR_ROWS, HG_TR_PUBLISH, HG_TR_LETTERS, HG_TR_FATAL, HG_N_TROUBLES };

enum { HG_KEPT_SAMPLES = 10, HG_KEPT_ERRORS = 10 };

struct hg_bad_sample {
    int64_t at_ms, offset;
    int32_t partition;
    const char *reason;
    char why[256], event[256];
};
struct hg_past_error {
    int64_t at_ms;
    enum hg_trouble which;
    char msg[400];
};

struct hg_part { /* of the topic */
    int32_t id;
    int64_t next;             /* to be read: the reader's */
    /* under mu */
    int64_t told, published;  /* `next` for others; stored */
    int64_t end;              /* the cluster's; -1: not known */
    int64_t owed_to;          /* the reader's: what lies before it may have been served by an owner before us; -1: not known yet */
    int64_t eof;              /* the reader's: there was nothing before it that is not read; -1: not seen */
    bool lost;                /* its offset is not in Kafka any more */
};

struct hg_stream {
    struct hg_stream_env *env;
    struct hg_stream_base *base;
    const struct hg_kafka_spec *spec;
    int64_t epoch;
    pthread_t reader, publisher;
    bool reader_on, publisher_on;

    /* the reader's */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    struct hg_kafka_callbacks cb;
    struct hg_event_parser *parser;
    struct hg_gen *gen;               /* open; NULL until partitions are assigned */
    int64_t looked_ms, ticked_ms, hidden_ms, asked_ms;
    uint64_t persist_round;
    bool kafka_down;                  /* set by callbacks on the reader's thread */
    bool settled;                     /* the store knows that we have caught up */
    _Atomic bool owes;                /* rows of earlier epochs may not be served */

    struct hg_dead_letters *letters;  /* NULL: no topic named */

    pthread_mutex_t publish_mu;       /* held over a publish, or the storing of first offsets, and what it changes in `published`; before mu */
    pthread_mutex_t mu;               /* guards all below */
    pthread_cond_t wake;
    struct hg_part *parts;            /* the reader alone changes the list; it reads it without mu */
    size_t n_parts;
    enum hg_stream_state state;
    bool stop, finish, seal, reader_done;
    struct hg_gen *first, **last;     /* closed, in order */
    size_t n_queued;
    int64_t started_ms;
    struct hg_stream_counts count;
    int64_t bytes, bad_by[HG_N_BAD_EVENTS];
    _Atomic bool trouble[HG_N_TROUBLES]; /* may be read without */
    char trouble_msg[HG_N_TROUBLES][400];
    struct hg_past_error errors[HG_KEPT_ERRORS];
    size_t n_errors;                  /* ever */
    struct hg_bad_sample samples[HG_KEPT_SAMPLES];
    size_t n_samples;                 /* ever */
};

/* Something is wrong (err) or right again (NULL): said in the log once each way, and kept for the status. */
void hg_stream_trouble(struct hg_stream *s, enum hg_trouble which, const struct hg_err *err);
/* Waits, but not past a stop; true: stopping. */
bool hg_stream_wait(struct hg_stream *s, int64_t ms);
bool hg_stream_stopping(struct hg_stream *s);
void hg_stream_fail(struct hg_stream *s, const struct hg_err *err);

/* Closes the open generation at what has been read, all of which must be in its sinks, and begins the next. On the reader's thread. */
HG_MUST_USE enum hg_rc hg_stream_close_gen(struct hg_stream *s, struct hg_err *err);

/* intake.c: all of the messages are in the sinks afterwards, unless false: the stream is stopping. Destroys the messages. */
bool hg_stream_intake(struct hg_stream *s, rd_kafka_message_t **m, size_t n);
/* publisher.c */
void *hg_stream_publisher(void *arg);

#endif
