/* Makes segments, inventory messages and changes of the visible list out of short texts, for tests of what keeps or sends them. */
#ifndef HG_TESTS_CLUSTER_FIXTURE_H
#define HG_TESTS_CLUSTER_FIXTURE_H

#include "unit/support.h"

#include "cluster/inventory.h"
#include "cluster/view_private.h"

#define DAY_MS 86400000LL

/* "ads_<day>_v<version>_<partition>" is awkward to type: day, version and partition as numbers. ns "" or "x". */
static inline struct hg_segid fx_id(const char *ds, const char *ns, int day, int version, uint32_t partition)
{
    static const char *const versions[] = {"2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.000Z", "2024-01-03T00:00:00.000Z", "2024-01-04T00:00:00.000Z"};
    int64_t start = 1709856000000LL + day * DAY_MS;
    return (struct hg_segid){ds, ns, {start, start + DAY_MS}, versions[version], partition};
}

static inline const char *fx_text(struct hg_segid id)
{
    static char buf[16][HG_SEGID_TEXT];
    static unsigned next;
    char *b = buf[next++ % 16];
    assert_true(hg_segid_text(&id, b) > 0);
    return b;
}

static inline struct hg_segment_meta fx_meta(struct hg_segid id)
{
    return (struct hg_segment_meta){.id = id, .shard = {.kind = HG_SHARD_NUMBERED, .partition = id.partition}, .size_bytes = 1000 + id.partition, .n_rows = 10,
                                    .path = "p", .file_hash = 1, .dimensions = "country,site", .metrics = "clicks"};
}

static inline struct hg_visible_change fx_add(struct hg_segid id) { return (struct hg_visible_change){.add = true, .meta = fx_meta(id)}; }
static inline struct hg_visible_change fx_del(struct hg_segid id) { return (struct hg_visible_change){.meta = {.id = id}}; }

static inline struct hg_server_row fx_server(const char *name, int64_t started)
{
    return (struct hg_server_row){.name = name, .roles = "historical", .tier = "hot", .wire_address = "127.0.0.1:1", .http_address = name, .state = "up", .capacity_bytes = 1 << 30,
                                  .started_ms = started, .seen_ms = started};
}

/* ---- inventory messages ---- */

struct fx_msg {
    struct hg_buf b;
    uint32_t n;
    bool whole;
};
static inline void fx_msg_begin(struct fx_msg *m, bool whole)
{
    *m = (struct fx_msg){.whole = whole};
    hg_buf_init(&m->b, 1 << 24);
}
static inline void fx_has_of(struct fx_msg *m, const char *id, enum hg_seg_state state, const char *stream, int64_t epoch)
{
    hg_inv_put(&m->b, &(struct hg_inv_item){.add = true, .id = hg_str_of(id), .state = state, .rows = 5, .bytes = 100,
                                            .shard = HG_STR("{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0}"), .dimensions = HG_STR("country,site"), .metrics = HG_STR("clicks"),
                                            .stream = hg_str_of(stream), .epoch = epoch});
    m->n++;
}
static inline void fx_has(struct fx_msg *m, const char *id, enum hg_seg_state state) { fx_has_of(m, id, state, NULL, 0); }
static inline void fx_runs(struct fx_msg *m, const char *stream, int64_t epoch, enum hg_runs runs)
{
    hg_inv_put(&m->b, &(struct hg_inv_item){.runs = runs, .stream = hg_str_of(stream), .epoch = epoch});
    m->n++;
}
static inline void fx_lost(struct fx_msg *m, const char *id, int64_t visible_seq)
{
    hg_inv_put(&m->b, &(struct hg_inv_item){.id = hg_str_of(id), .visible_seq = visible_seq});
    m->n++;
}
/* The message as it goes over the wire; frees m. */
static inline struct hg_buf fx_msg_end(struct fx_msg *m)
{
    struct hg_buf out;
    hg_buf_init(&out, 1 << 24);
    hg_inv_begin(&out, m->whole, m->n);
    hg_buf_put(&out, m->b.p, m->b.len);
    hg_buf_free(&m->b);
    assert_false(out.failed);
    return out;
}
static inline void fx_tell(struct hg_vstate *s, struct hg_vserver *sv, struct fx_msg *m)
{
    struct hg_buf b = fx_msg_end(m);
    struct hg_err err;
    bool whole;
    assert_ok(hg_vstate_inventory(s, sv, hg_buf_span(&b), &whole, &err), err);
    assert_int_equal(whole, m->whole);
    hg_buf_free(&b);
}

#endif
