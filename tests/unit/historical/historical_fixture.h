/* Segments in a deep storage of the test's own, historicals in this process that load them, and somebody who watches what they announce. */
#ifndef HG_TESTS_HISTORICAL_FIXTURE_H
#define HG_TESTS_HISTORICAL_FIXTURE_H

#include "unit/server/server_fixture.h"

#include "base/hash.h"
#include "base/json.h"
#include "cluster/assign.h"
#include "historical/historical.h"
#include "segment/segment.h"
#include "store/store.h"

/* ---- deep storage ---- */

static inline struct hg_store *fx_store(const char *name)
{
    char url[600];
    struct hg_store *s;
    struct hg_err err;
    snprintf(url, sizeof url, "file://%s", hg_test_path(name));
    assert_ok(hg_store_open(url, &s, &err), err);
    return s;
}

/* Writes a segment of `rows` rows, a click each, pushes it and describes it. Strings live in a. */
static inline struct hg_segment_meta fx_push(struct hg_store *store, struct hg_arena *a, const char *ds, const char *version, int day, uint32_t partition, int rows)
{
    static const char spec[] = "{\"dimensionsSpec\":{\"dimensions\":[\"country\"]},\"metricsSpec\":[{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"clicks\"}],"
                               "\"granularitySpec\":{\"queryGranularity\":\"none\",\"rollup\":false}}";
    static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"country", HG_T_STRING, NULL, 0}, {"clicks", HG_T_LONG, "longSum", 0}};
    struct hg_err err;
    json_t *j;
    struct hg_schema *schema;
    assert_ok(hg_json_parse(hg_str_of(spec), &j, &err), err);
    assert_ok(hg_schema_parse(a, j, &hg_jroot, &schema, &err), err);
    struct hg_segment_meta m = {.id = {ds, "", {FX_T0 + day * FX_DAY, FX_T0 + (day + 1) * FX_DAY}, version, partition}, .shard = {.kind = HG_SHARD_NUMBERED, .partition = partition},
                                .n_rows = rows, .dimensions = "country", .metrics = "clicks"};
    struct hg_value *v = calloc((size_t)rows * 3 + 1, sizeof *v);
    for (int i = 0; i < rows; i++) {
        v[i * 3] = (struct hg_value){.kind = HG_V_LONG, .u.i = m.id.interval.start + i};
        v[i * 3 + 1] = (struct hg_value){.kind = HG_V_STR, .u.s = i % 2 ? HG_STR("us") : HG_STR("de")};
        v[i * 3 + 2] = (struct hg_value){.kind = HG_V_LONG, .u.i = 1};
    }
    const struct hg_source *src = hg_mem_source_new(cols, 3, v, (uint32_t)rows, 0);
    char id[HG_SEGID_TEXT];
    const char *path = hg_test_path("made.seg");
    struct hg_segment_stats st;
    assert_ok(hg_segment_merge(schema, &src, 1, &(struct hg_segment_write_options){0}, path, &st, &err), err);
    hg_segid_text(&m.id, id);
    m.path = hg_arena_printf(a, "%s/%s.seg", ds, id);
    m.size_bytes = (int64_t)st.bytes;
    m.file_hash = st.hash;
    assert_ok(hg_store_push(store, path, m.path, &err), err);
    assert_ok(hg_file_remove(path, &err), err);
    hg_mem_source_free((struct hg_source *)(uintptr_t)src);
    free(v);
    json_decref(j);
    return m;
}

/* ---- a historical ---- */

struct fx_hist {
    struct fx_node node;
    struct hg_historical *h;
    char dir[512];
};
static inline enum hg_rc fx_hist_try(struct fx_hist *x, const char *name, struct hg_store *store, int64_t capacity, unsigned loaders, struct hg_err *err)
{
    fx_node_open(&x->node, name, 2, 1000, 1 << 26);
    snprintf(x->dir, sizeof x->dir, "%s", hg_test_path(name));
    return hg_historical_new(x->node.data, store, x->node.wire, NULL, &(struct hg_historical_options){.dir = x->dir, .capacity_bytes = capacity, .loaders = loaders}, &x->h, err);
}
static inline void fx_hist_open(struct fx_hist *x, const char *name, struct hg_store *store, int64_t capacity, unsigned loaders)
{
    struct hg_err err;
    assert_ok(fx_hist_try(x, name, store, capacity, loaders, &err), err);
}
static inline void fx_hist_close(struct fx_hist *x)
{
    hg_historical_stop(x->h);
    fx_node_close(&x->node);
    hg_historical_free(x->h);
}

/* ---- who watches ---- */

struct fx_watch {
    struct hg_wire_call *call;
    struct hg_map *has; /* guarded by fx_lock */
    bool whole, done;
};
static inline enum hg_rc fx_watch_item(void *arg, const struct hg_inv_item *it, struct hg_err *err)
{
    struct fx_watch *w = arg;
    char id[HG_SEGID_TEXT];
    (void)err;
    snprintf(id, sizeof id, "%.*s", (int)it->id.len, it->id.p);
    if (it->add) (void)!hg_map_put(w->has, id, (void *)(uintptr_t)it->state, NULL);
    else hg_map_take(w->has, id);
    return HG_OK;
}
static inline void fx_watch_data(void *arg, struct hg_span body)
{
    struct fx_watch *w = arg;
    struct hg_err err;
    bool whole;
    FX_NOTE(if (hg_inv_read(body, &whole, fx_watch_item, w, &err)) abort(); w->whole = true);
}
static inline void fx_watch_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct fx_watch *w = arg;
    (void)rc, (void)msg;
    FX_NOTE(w->done = true);
}
static inline bool fx_watch_is_whole(void *w) { return ((struct fx_watch *)w)->whole; }
static inline bool fx_watch_is_done(void *w) { return ((struct fx_watch *)w)->done; }
static inline void fx_watch_open(struct fx_watch *w, struct hg_wire_client *c, const char *address)
{
    *w = (struct fx_watch){.has = hg_map_new()};
    struct hg_buf b;
    hg_buf_init(&b, 16);
    w->call = hg_wire_request_send(c, address, HG_WIRE_INVENTORY, &b, 0, (struct hg_wire_reply){fx_watch_data, fx_watch_done, w});
    fx_wait("an inventory", fx_watch_is_whole, w);
}
static inline void fx_watch_close(struct fx_watch *w)
{
    hg_wire_call_cancel(w->call);
    fx_wait("the end of an inventory", fx_watch_is_done, w);
    hg_wire_call_release(w->call);
    hg_map_free(w->has, NULL);
}
struct fx_watch_for { struct fx_watch *w; char id[HG_SEGID_TEXT]; bool there; };
static inline bool fx_watch_sees(void *arg)
{
    struct fx_watch_for *f = arg;
    return (hg_map_get(f->w->has, f->id) != NULL) == f->there;
}
static inline void fx_wait_has(struct fx_watch *w, const struct hg_segment_meta *m, bool there)
{
    struct fx_watch_for f = {.w = w, .there = there};
    hg_segid_text(&m->id, f.id);
    fx_wait(f.id, fx_watch_sees, &f);
}
static inline bool fx_has(struct fx_watch *w, const struct hg_segment_meta *m)
{
    struct fx_watch_for f = {.w = w, .there = true};
    hg_segid_text(&m->id, f.id);
    pthread_mutex_lock(&fx_lock);
    bool yes = fx_watch_sees(&f);
    pthread_mutex_unlock(&fx_lock);
    return yes;
}

/* ---- who assigns ---- */

static inline enum hg_rc fx_assign(struct hg_wire_client *c, const char *address, uint64_t epoch, const struct hg_segment_meta *load, size_t n_load, const struct hg_segment_meta *drop, size_t n_drop,
                                   char msg[512])
{
    struct hg_err err;
    char(*ids)[HG_SEGID_TEXT] = calloc(n_drop + 1, sizeof *ids);
    const char **names = calloc(n_drop + 1, sizeof *names);
    for (size_t i = 0; i < n_drop; i++) {
        hg_segid_text(&drop[i].id, ids[i]);
        names[i] = ids[i];
    }
    struct hg_assign as = {.epoch = epoch, .load = load, .n_load = (uint32_t)n_load, .drop = names, .n_drop = (uint32_t)n_drop};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 26);
    assert_ok(hg_assign_encode(&as, &b, &err), err);
    free(ids);
    free(names);
    struct fx_reply r = {0};
    struct hg_wire_call *call = hg_wire_request_send(c, address, HG_WIRE_ASSIGN, &b, 0, (struct hg_wire_reply){fx_on_data, fx_on_done, &r});
    fx_wait("the answer to an assignment", fx_is_done, &r);
    hg_wire_call_release(call);
    if (msg) snprintf(msg, 512, "%s", r.msg);
    for (size_t i = 0; i < r.n; i++) hg_buf_free(&r.messages[i]);
    return r.rc;
}

/* ---- what is on its disk ---- */

struct fx_files { int segs, other; };
static inline enum hg_rc fx_count_file(void *arg, const char *name, struct hg_err *err)
{
    struct fx_files *f = arg;
    (void)err;
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".seg") == 0) f->segs++;
    else if (strcmp(name, "manifest") != 0) f->other++;
    return HG_OK;
}
static inline struct fx_files fx_files_of(const struct fx_hist *x)
{
    struct fx_files f = {0};
    struct hg_err err;
    assert_ok(hg_dir_list(x->dir, fx_count_file, &f, &err), err);
    return f;
}

#endif
