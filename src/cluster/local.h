/* A data server in the broker's own process (standalone), asked by a call on the broker's thread: no message, no second parsing, no other thread. It is for sub-queries that are known to be
 * short; what takes long goes over the wire like any other, to be run by priority on the data server's own threads. */
#ifndef HG_CLUSTER_LOCAL_H
#define HG_CLUSTER_LOCAL_H

#include "cluster/subquery.h"

struct hg_query;
struct hg_exec;
struct hg_merge;
struct hg_sealed_entities;

struct hg_local {
    const char *address; /* the wire address that it announces */
    /* A stay: false: it is stopping. Between the two the server waits for us before it goes. */
    bool (*enter)(void *arg);
    void (*leave)(void *arg, int64_t rows_scanned, uint32_t segments);
    /* Scans one segment and adds what it gives to m. *covered false: nothing was added, for it is not served here, or failed; asked over the wire it will be said why. A failure is one of
     * adding, after which m is of no use. */
    enum hg_rc (*scan)(void *arg, const struct hg_query *q, const struct hg_sub_item *item, struct hg_exec *x, struct hg_merge *m, bool *covered, struct hg_interval *times, struct hg_err *err);
    /* What a sealed segment says of its entities (cluster/entities.h), as it lies in its memory: out borrows from there and from a until let_go(*lent), and the segment's memory stays as long.
     * False: it is not served here, or could have to be read from a disk when it is looked at; to be asked for over the wire. Not for loops. */
    bool (*entities)(void *arg, struct hg_arena *a, const char *segid, struct hg_sealed_entities *out, void **lent);
    void (*let_go)(void *arg, void *lent);
    void *arg;
};

#endif
