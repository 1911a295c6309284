/* Immutable images that queries pin: of a server's description, of a datasource's segments with their timeline, of the whole. */
#ifndef HG_CLUSTER_SNAPSHOT_PRIVATE_H
#define HG_CLUSTER_SNAPSHOT_PRIVATE_H

#include <stdatomic.h>
#include "base/hash.h"
#include "cluster/view.h"

struct hg_server_ref {
    _Atomic int refs;
    struct hg_server pub; /* strings are in the same allocation's arena */
    struct hg_arena *arena;
};
struct hg_server_ref *hg_server_ref_new(const struct hg_server_row *row);
void hg_server_ref_release(struct hg_server_ref *r); /* NULL allowed */

struct hg_image_entry {
    struct hg_segid id;
    struct hg_shard shard;
    const char *text, *dimensions, *metrics;
    bool published;
    int64_t size_bytes, n_rows;
    const struct hg_holder *holders;
    uint32_t n_holders;
};
struct hg_ds_image {
    _Atomic int refs;
    struct hg_arena *arena; /* all below */
    const char *name;
    struct hg_image_entry *entries; /* n filled of cap */
    size_t n, cap;
    struct hg_map *by_text, *kept;  /* entries by id; server refs held, by address */
    struct hg_timeline *timeline;
};
struct hg_ds_image *hg_ds_image_new(const char *name, size_t cap);
bool hg_ds_image_keep(struct hg_ds_image *im, struct hg_server_ref *ref); /* holds ref as long as the image lives */
HG_MUST_USE enum hg_rc hg_ds_image_seal(struct hg_ds_image *im, struct hg_err *err); /* index and timeline over the entries */
void hg_ds_image_release(struct hg_ds_image *im);

struct hg_snapshot *hg_snapshot_new(uint64_t generation, int64_t visible_seq, size_t max_datasources, size_t max_servers);
void hg_snapshot_add(struct hg_snapshot *s, struct hg_ds_image *im);
void hg_snapshot_add_server(struct hg_snapshot *s, struct hg_server_ref *ref, const struct hg_server *now);
void hg_snapshot_sort(struct hg_snapshot *s);
struct hg_snapshot *hg_snapshot_hold(struct hg_snapshot *s);

#endif
