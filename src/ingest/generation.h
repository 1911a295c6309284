/* A generation: all rows of a stream between two points of it. Its sinks are sealed together and published with the offsets at its end, in one transaction.
 *
 * The reader fills it; closed, it is the publisher's. */
#ifndef HG_INGEST_GENERATION_H
#define HG_INGEST_GENERATION_H

#include "base/pool.h"
#include "ingest/handoff.h"
#include "ingest/ingest.h"

/* What the streams of a process share. */
struct hg_stream_env {
    struct hg_ingest_options opt;
    struct hg_pool *pool;          /* seals and pushes */
    struct hg_budget live;         /* of all streams' rows */
    struct hg_handoff *handoff;
    struct hg_follow *follow;      /* brokers that are told of new entities */
    _Atomic uint64_t persist_round; /* raised when memory is short: every stream writes its rows to disk */
    _Atomic uint64_t sinks;        /* names given */
};

struct hg_slot { /* one segment to be */
    struct hg_slot *next;
    struct hg_gen *gen;
    struct hg_live_sink *sink;
    struct hg_claim *claim;        /* NULL: without rows, left out */
    struct hg_interval iv;
    uint32_t nth;                  /* of its chunk in this generation */
    int64_t born_ms, written_ms;   /* mono; written: last persisted */
    int64_t told_rows;             /* as of the last inventory update */
    bool late;                     /* its interval had published segments when it began */
    /* the publisher's */
    bool sealed, pushed;
    struct hg_segment_stats stats;
    struct hg_segment_meta meta;   /* in arena */
    struct hg_arena *arena;
    struct hg_err err;             /* of the job */
    char dir[4096], file[4200];
};

struct hg_gen_chunk;
struct hg_gen {
    struct hg_gen *next;           /* the publisher's queue */
    struct hg_stream_env *env;
    struct hg_stream_base *base;
    int64_t epoch;                 /* of the stream's lease */
    char sequence[24];             /* of the start offsets */
    struct hg_offset *start, *at;  /* at: next to read */
    size_t n_parts;
    int64_t opened_ms;             /* mono */
    struct hg_slot *slots;
    size_t n_slots;
    struct hg_map *chunks;
    struct hg_gen_chunk *first, *recent;
    int64_t rows;                  /* given to the sinks */
    uint64_t entities;             /* what must be shown (server/follow.h) before rows collected so far may be */
    _Atomic int64_t letters;       /* under way */
};

HG_MUST_USE enum hg_rc hg_gen_new(struct hg_stream_env *env, struct hg_stream_base *base, int64_t epoch, const struct hg_offset *start, size_t n, struct hg_gen **out, struct hg_err *err);
/* withdraw: sinks that are still the generation's stop being served; else they stay so until the data server goes. No letter may be under way. NULL allowed. */
void hg_gen_free(struct hg_gen *g, bool withdraw);
/* Collects a row for its interval's sink; it is in the sink, and seen by queries, after hg_gen_flush. The row's values are borrowed until then. HG_E_LIMIT: too many intervals. */
HG_MUST_USE enum hg_rc hg_gen_row(struct hg_gen *g, const struct hg_row *row, struct hg_err *err);
/* Puts the collected rows into sinks, which are made as they are needed (and that asks the metadata store for ids). After a failure it goes on where it stopped when called again:
 * HG_E_UNAVAILABLE, HG_E_CONFLICT: no id; HG_E_LIMIT: no memory for a row: hg_gen_persist, or wait; HG_E_IO: disk. */
HG_MUST_USE enum hg_rc hg_gen_flush(struct hg_gen *g, struct hg_err *err);
/* Writes live rows of sinks to disk: of all, or of those last written before `before_ms` (mono). */
HG_MUST_USE enum hg_rc hg_gen_persist(struct hg_gen *g, int64_t before_ms, struct hg_err *err);
bool hg_gen_moved(const struct hg_gen *g); /* any offset */
void hg_gen_tell(struct hg_gen *g);        /* rows and bytes so far to the inventory */
int64_t hg_gen_rows(const struct hg_gen *g);       /* kept in the sinks */
int64_t hg_gen_live_bytes(const struct hg_gen *g);
bool hg_gen_hidden(const struct hg_gen *g); /* a newer version has come over one of its sinks: queries do not see it until it has another id */
/* The id that the slot's rows should have now. */
HG_MUST_USE enum hg_rc hg_gen_allocate(const struct hg_gen *g, const struct hg_slot *s, struct hg_arena *a, struct hg_segid *out, struct hg_err *err);

#endif
