/* Immutable images that queries pin, made so that a change costs what changed: a snapshot shares everything else with the one before it.
 *
 *   snapshot ──► image of a datasource ──► core: descriptions of its segments, found by id, and their timeline. Anew when the set changes
 *                                     └──► blocks of 512 holder lists, one list a segment. A list and its block anew when holders change
 *
 * All of it is counted by reference, and freed by whoever lets go of it last, on any thread. */
#ifndef HG_CLUSTER_SNAPSHOT_PRIVATE_H
#define HG_CLUSTER_SNAPSHOT_PRIVATE_H

#include <stdatomic.h>
#include "base/hash.h"
#include "cluster/view.h"

struct hg_server_ref { /* a server's description */
    _Atomic int refs;
    struct hg_server pub; /* strings are in arena */
    struct hg_arena *arena;
};
struct hg_server_ref *hg_server_ref_new(const struct hg_server *d); /* copies; NULL: no memory */
struct hg_server_ref *hg_server_ref_hold(struct hg_server_ref *r);
void hg_server_ref_release(struct hg_server_ref *r); /* NULL allowed */

struct hg_desc { /* a segment's description, in one piece of memory */
    _Atomic int refs;
    bool published, parked;  /* parked: as hg_meta_park tells */
    int64_t size_bytes, n_rows;
    struct hg_segid id;
    struct hg_shard shard;
    uint64_t hash;           /* of text */
    const char *text, *dimensions, *metrics;
    struct hg_arena *arena;  /* of a shard spec with values; NULL for numbered ones, which are nearly all */
    char bytes[];
};
/* Copies m, but keeps m->dimensions and m->metrics where interned: they outlive every image then. */
HG_MUST_USE enum hg_rc hg_desc_new(const char *text, const struct hg_segment_meta *m, bool published, bool interned, struct hg_desc **out, struct hg_err *err);
struct hg_desc *hg_desc_hold(struct hg_desc *d);
void hg_desc_release(struct hg_desc *d); /* NULL allowed */

/* Texts that many segments have in common (lists of column names). Counted, because snapshots may outlive the state. Filled under the state's lock only. */
struct hg_texts {
    _Atomic int refs;
    struct hg_map *map;
};
struct hg_texts *hg_texts_new(void);
const char *hg_texts_get(struct hg_texts *t, const char *s, bool *interned); /* s itself when it is not taken in */
struct hg_texts *hg_texts_hold(struct hg_texts *t);
void hg_texts_release(struct hg_texts *t); /* NULL allowed */

struct hg_ds_core {
    _Atomic int refs;
    struct hg_texts *texts;
    struct hg_desc **descs; /* n filled of cap */
    uint32_t n, cap;
    uint32_t *slots;        /* by hash of the id: position + 1; 0: free */
    uint32_t mask;
    struct hg_tl_entry *entries;
    struct hg_timeline *timeline;
    char name[];
};
struct hg_ds_core *hg_ds_core_new(const char *name, size_t cap, struct hg_texts *texts); /* descs are put in by the caller */
HG_MUST_USE enum hg_rc hg_ds_core_seal(struct hg_ds_core *c, struct hg_err *err);        /* index and timeline */
void hg_ds_core_release(struct hg_ds_core *c);

struct hg_holders {
    _Atomic int refs;
    uint32_t n;
    struct hg_holder h[]; /* each holds its server's ref; server points to its pub */
};
void hg_holders_release(struct hg_holders *h); /* NULL allowed: nobody holds it */

#define HG_BLOCK_SEGS 512u
struct hg_hblock {
    _Atomic int refs;
    struct hg_holders *of[HG_BLOCK_SEGS];
};

struct hg_ds_image {
    _Atomic int refs;
    struct hg_ds_core *core;
    uint32_t n_blocks;
    struct hg_hblock *blocks[];
};
struct hg_ds_image *hg_ds_image_new(struct hg_ds_core *core);          /* takes core's reference, also on failure; blocks are NULL */
struct hg_ds_image *hg_ds_image_copy(const struct hg_ds_image *from);  /* shares core and blocks */
bool hg_ds_image_set(struct hg_ds_image *im, uint32_t at, struct hg_holders *h); /* takes h, also on failure; im is not shared yet */
void hg_ds_image_release(struct hg_ds_image *im); /* NULL allowed */

struct hg_snapshot *hg_snapshot_new(uint64_t generation, int64_t visible_seq, size_t max_datasources, size_t max_servers);
void hg_snapshot_add(struct hg_snapshot *s, struct hg_ds_image *im);
void hg_snapshot_add_server(struct hg_snapshot *s, struct hg_server_ref *ref, const struct hg_server *now);
void hg_snapshot_sort(struct hg_snapshot *s);
struct hg_snapshot *hg_snapshot_hold(struct hg_snapshot *s);

#endif
