/* What is known of the cluster, as state.c and owed.c share it. */
#ifndef HG_CLUSTER_STATE_PRIVATE_H
#define HG_CLUSTER_STATE_PRIVATE_H

#include "cluster/snapshot_private.h"
#include "cluster/view_private.h"

#define NOWHERE UINT32_MAX

struct seg;
struct stream { /* a supervisor's, see owed.c */
    int64_t epoch;                      /* the newest that is known of its lease */
    struct hg_vserver *by;              /* whose inventory says that it runs the stream under that epoch; NULL: nobody's does */
    bool caught_up;                     /* what `by` says */
    uint64_t by_round;                  /* of by's list that said so */
    struct seg *lost;                   /* segments whose rows were served, and are not now */
    bool wanted;                        /* nobody runs it, or he reads again, and the store was not asked for what is owed */
    int64_t owed_from, asked_epoch;     /* of the lease; for which epoch the store was asked */
    int64_t settled;                    /* what was served up to this epoch is published or was read again */
    char name[];
};
struct hold { /* a server has a segment */
    struct hold *next;                  /* of the segment */
    struct hold *sv_next, **sv_link;    /* of the server */
    struct seg *seg;
    struct hg_vserver *server;
    enum hg_seg_state state;
    int64_t bytes;
    struct stream *stream;              /* whose live rows they are, read under this epoch; epoch 0: they stand */
    int64_t epoch;
    uint64_t round;                     /* the server's whole list that named it last */
};
struct ds;
struct seg {
    struct seg *next, **link;           /* in its datasource */
    struct ds *ds;
    struct hg_desc *pub, *ann;          /* as published, NULL: it is not in the visible list; as announced, or as it was published last */
    struct hold *holds;
    uint32_t n_holds;
    uint32_t at;                        /* in the datasource's core; NOWHERE */
    bool stale;                         /* its holders changed since the image; in the datasource's list */
    struct seg *stale_next;
    /* Expected though nobody says so now: rows that were announced and may have been published since. Until the visible list has reached
     * expect_seq and was read again more than expect_poll times. */
    struct seg *exp_next, **exp_link;   /* exp_link NULL: not expected */
    int64_t expect_seq;
    uint64_t expect_poll;
    /* Live rows that nobody serves now, or somebody who has not read all of them again. */
    struct stream *lost_of;             /* NULL: not lost */
    int64_t lost_epoch;                 /* the greatest under which they were served */
    struct seg *lost_next, **lost_link;
    bool guessed;                       /* ann has no column names: nobody announced it here */
    char id[];
};
struct ds {
    struct seg *first;
    size_t n_segs;
    struct hg_ds_image *image;          /* NULL at first */
    bool recore;                        /* the set of its routable segments, or one's description, changed */
    struct seg *stale;                  /* empty when recore */
    char name[];
};
struct hg_vserver {
    struct hg_server_ref *ref;          /* what snapshots point at */
    struct hold *holds;
    int64_t started_ms, segments, bytes;
    uint64_t round;
    bool known, unreachable;
    void *tag;
};
struct hg_vstate {
    uint64_t generation, polls;
    int64_t visible_seq;
    bool visible_known;
    struct hg_map *segs, *datasources, *servers, *streams;
    struct seg *expected;
    size_t n_wanted;                    /* streams that are */
    struct hg_texts *texts;
    struct hg_snapshot *current;        /* of `generation`, or older */
};

/* ---- state.c ---- */
void hg_vstate_touch(struct hg_vstate *s, struct seg *g); /* after anything about g changed but its description */
/* The segment of this id, made if need be. ds: its datasource. */
HG_MUST_USE enum hg_rc hg_vstate_seg(struct hg_vstate *s, const char *id, const char *ds, struct seg **out, struct hg_err *err);
void hg_vstate_settle(struct hg_vstate *s, struct seg *g); /* takes g away when nothing is known of it any more */
void hg_vstate_expect_read(struct hg_vstate *s, struct seg *g); /* expected until the visible list was read again */

/* ---- owed.c ---- */
bool hg_hold_is_void(const struct hold *h);
/* The stream of a name; NULL: no memory. */
struct stream *hg_vstream_of(struct hg_vstate *s, const char *name);
/* The lease has this epoch: what was read under an older one is void. */
void hg_vstream_epoch(struct hg_vstate *s, struct stream *t, int64_t epoch);
/* h is void, or goes though nothing took its place: its rows are owed, unless they have been read again. */
void hg_hold_lost(struct hg_vstate *s, struct hold *h);
void hg_seg_found(struct seg *g); /* it is not lost; the caller says what it is */
bool hg_hold_answers(const struct hold *h); /* may be asked for the segment */
/* An item of sv's inventory that speaks of a stream; what sv said of streams, and does not say any more; the same with all of it. */
HG_MUST_USE enum hg_rc hg_vstream_item(struct hg_vstate *s, struct hg_vserver *sv, const char *name, const struct hg_inv_item *it, struct hg_err *err);
void hg_vstream_sweep(struct hg_vstate *s, struct hg_vserver *sv, bool all);

#endif
