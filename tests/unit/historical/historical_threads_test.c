/* A historical, told what to do over the wire: loads, drops, restarts, and what goes wrong in between. */
#include "unit/historical/historical_fixture.h"

#include <unistd.h>

#include "server/server_private.h"

#define V1 "2024-04-01T00:00:00.000Z"
#define EPOCH 5

static struct hg_loop *loop;
static struct hg_wire_client *client;
static struct hg_err err;

static struct fx_answer count(const struct fx_hist *x, const struct hg_segment_meta *m, size_t n)
{
    struct fx_seg **s = calloc(n + 1, sizeof *s);
    for (size_t i = 0; i < n; i++) {
        s[i] = calloc(1, sizeof **s);
        s[i]->id = m[i].id;
    }
    struct fx_reply r;
    struct hg_wire_call *call = fx_ask(client, x->node.address, FX_COUNT, 0, s, n, 0, &r);
    fx_wait("a reply", fx_is_done, &r);
    hg_wire_call_release(call);
    struct fx_answer a = fx_answer_of(&r);
    fx_reply_free(&r);
    for (size_t i = 0; i < n; i++) free(s[i]);
    free(s);
    return a;
}

static void loads_serves_restarts_drops(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep1");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m[5];
    for (int i = 0; i < 5; i++) m[i] = fx_push(store, a, "ads", V1, i, 0, 100 + i);
    struct fx_hist x;
    struct fx_watch w;
    fx_hist_open(&x, "hist1", store, 0, 2);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(hg_map_size(w.has), 0);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, 5, NULL, 0, NULL), HG_OK);
    for (int i = 0; i < 5; i++) fx_wait_has(&w, &m[i], true);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, 5, NULL, 0, NULL), HG_OK); /* again: harmless */
    struct fx_answer got = count(&x, m, 5);
    assert_int_equal(got.rows, 510);
    assert_int_equal(got.clicks, 510);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, NULL, 0, &m[1], 2, NULL), HG_OK);
    fx_wait_has(&w, &m[1], false);
    fx_wait_has(&w, &m[2], false);
    assert_int_equal(count(&x, m, 5).missing, 2);
    assert_int_equal(fx_files_of(&x).segs, 3);
    fx_watch_close(&w);
    fx_hist_close(&x);

    /* Without anybody's help, deep storage's least of all. */
    hg_store_close(store);
    assert_ok(hg_dir_remove_all(hg_test_path("deep1"), &err), err);
    store = fx_store("deep1");
    fx_hist_open(&x, "hist1", store, 0, 2);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(hg_map_size(w.has), 3);
    assert_int_equal(count(&x, m, 5).rows, 100 + 103 + 104);
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void dropped_while_it_is_read(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep2");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m = fx_push(store, a, "ads", V1, 0, 0, 10);
    struct fx_hist x;
    struct fx_watch w;
    char id[HG_SEGID_TEXT];
    hg_segid_text(&m.id, id);
    fx_hist_open(&x, "hist2", store, 0, 2);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m, 1, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m, true);
    struct hg_entry *e = hg_registry_get(x.node.data->reg, hg_str_of(id)); /* as a query does */
    const struct hg_source *const *srcs;
    size_t n;
    void *handle;
    assert_ok(e->served.acquire(e->served.self, a, &srcs, &n, &handle, &err), err);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, NULL, 0, &m, 1, NULL), HG_OK);
    fx_wait_has(&w, &m, false);
    assert_int_equal(fx_files_of(&x).segs, 1);
    assert_int_equal(srcs[0]->n_rows, 10);
    assert_string_equal(srcs[0]->cols[1].name, "country");
    /* It comes back while the old one is still read. */
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m, 1, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m, true);
    assert_int_equal(fx_files_of(&x).segs, 2);
    e->served.release(e->served.self, handle);
    hg_entry_release(e);
    assert_int_equal(fx_files_of(&x).segs, 1);
    assert_int_equal(count(&x, &m, 1).rows, 10);
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void loads_that_fail(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep3");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m[5];
    for (int i = 0; i < 5; i++) m[i] = fx_push(store, a, "ads", V1, i, 0, 10);
    struct hg_segment_meta bad[5];
    memcpy(bad, m, sizeof m);
    bad[0].path = "ads/nowhere.seg";
    bad[1].file_hash ^= 1;
    bad[2].size_bytes++;
    const char *junk = hg_test_path("junk");
    assert_ok(hg_file_write_atomic(junk, (struct hg_span){(const uint8_t *)"not a segment", 13}, &err), err);
    assert_ok(hg_store_push(store, junk, "ads/junk.seg", &err), err);
    bad[3].path = "ads/junk.seg";
    bad[3].size_bytes = 13;
    bad[3].file_hash = hg_xxh3("not a segment", 13);
    struct fx_hist x;
    struct fx_watch w;
    fx_hist_open(&x, "hist3", store, 0, 1); /* one after the other: when the last is there the others have failed */
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, bad, 5, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m[4], true);
    for (int i = 0; i < 4; i++) assert_false(fx_has(&w, &m[i]));
    assert_int_equal(fx_files_of(&x).segs, 1);
    assert_int_equal(fx_files_of(&x).other, 0);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, 5, NULL, 0, NULL), HG_OK);
    for (int i = 0; i < 5; i++) fx_wait_has(&w, &m[i], true);
    /* A path out of the store is refused by the store. */
    struct hg_segment_meta out = m[0];
    out.id.partition = 7;
    out.path = "../../etc/passwd";
    struct hg_segment_meta last = fx_push(store, a, "ads", V1, 30, 0, 1), both[] = {out, last};
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, both, 2, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &last, true);
    assert_false(fx_has(&w, &out));
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void capacity(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep4");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m[3];
    for (int i = 0; i < 3; i++) m[i] = fx_push(store, a, "ads", V1, i, 0, 10);
    assert_int_equal(m[0].size_bytes, m[2].size_bytes);
    struct fx_hist x;
    struct fx_watch w;
    char msg[512], want[512];
    fx_hist_open(&x, "hist4", store, 2 * m[0].size_bytes + 5, 1);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, 3, NULL, 0, msg), HG_E_LIMIT);
    snprintf(want, sizeof want, "ads_2024-03-10T00:00:00.000Z_2024-03-11T00:00:00.000Z_" V1 ": %lld bytes more would be past this node's capacity of %lld", (long long)m[0].size_bytes,
             2 * (long long)m[0].size_bytes + 5);
    assert_string_equal(msg, want);
    fx_wait_has(&w, &m[0], true); /* what fits is loaded all the same */
    fx_wait_has(&w, &m[1], true);
    /* Room made in the same order is room. */
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m[2], 1, &m[0], 1, NULL), HG_OK);
    fx_wait_has(&w, &m[2], true);
    struct hg_segment_meta huge = m[0];
    huge.size_bytes = INT64_MAX;
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &huge, 1, NULL, 0, NULL), HG_E_INVALID);
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void old_leaders_are_refused(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep5");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m = fx_push(store, a, "ads", V1, 0, 0, 10);
    struct fx_hist x;
    struct fx_watch w;
    char msg[512];
    fx_hist_open(&x, "hist5", store, 0, 1);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, 7, NULL, 0, NULL, 0, NULL), HG_OK);
    assert_int_equal(fx_assign(client, x.node.address, 6, &m, 1, NULL, 0, msg), HG_E_CONFLICT);
    assert_string_equal(msg, "assignment of leader epoch 6, but epoch 7 leads");
    assert_int_equal(fx_assign(client, x.node.address, 7, &m, 1, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m, true);
    assert_int_equal(fx_assign(client, x.node.address, 6, NULL, 0, &m, 1, NULL), HG_E_CONFLICT);
    assert_true(fx_has(&w, &m));
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void put_file(const struct fx_hist *x, const char *name)
{
    char path[700];
    snprintf(path, sizeof path, "%s/%s", x->dir, name);
    assert_ok(hg_file_write_atomic(path, (struct hg_span){(const uint8_t *)"x", 1}, &err), err);
}

static enum hg_rc cut_file(void *arg, const char *name, struct hg_err *e)
{
    char path[700];
    (void)e;
    snprintf(path, sizeof path, "%s/%s", (const char *)arg, name);
    if (strstr(name, ".seg")) assert_int_equal(truncate(path, 40), 0);
    return HG_OK;
}

static void after_a_crash(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep6");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m = fx_push(store, a, "ads", V1, 0, 0, 10);
    struct fx_hist x;
    struct fx_watch w;
    fx_hist_open(&x, "hist6", store, 0, 1);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m, 1, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m, true);
    fx_watch_close(&w);
    fx_hist_close(&x);
    put_file(&x, "0123456789abcdef-1f.seg");            /* fetched, not listed */
    put_file(&x, "0123456789abcdef-2f.seg.part-77-1");  /* half fetched */
    put_file(&x, "notes.txt");                          /* not ours */
    fx_hist_open(&x, "hist6", store, 0, 1);
    assert_int_equal(fx_files_of(&x).segs, 1);
    assert_int_equal(fx_files_of(&x).other, 1);
    assert_int_equal(count(&x, &m, 1).rows, 10);
    fx_hist_close(&x);

    /* A file that went bad is fetched again when it is assigned again. */
    assert_ok(hg_dir_list(x.dir, cut_file, x.dir, &err), err);
    fx_hist_open(&x, "hist6", store, 0, 1);
    assert_int_equal(fx_files_of(&x).segs, 0);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(hg_map_size(w.has), 0);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m, 1, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m, true);
    assert_int_equal(count(&x, &m, 1).rows, 10);
    fx_watch_close(&w);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static void a_folder_that_cannot_be_used(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep7");
    struct fx_hist x;
    assert_ok(hg_file_write_atomic(hg_test_path("hist7"), (struct hg_span){(const uint8_t *)"x", 1}, &err), err);
    assert_int_equal(fx_hist_try(&x, "hist7", store, 0, 1, &err), HG_E_IO);
    fx_node_close(&x.node);
    hg_store_close(store);
}

/* Two that give orders, one that asks, and in the end all agree on what is there. */
enum { SEGS = 12, ORDERS = 60 };
struct giver {
    pthread_t thread;
    struct fx_hist *x;
    struct hg_segment_meta *m;
    uint64_t rnd;
};
static void *give_orders(void *arg)
{
    struct giver *g = arg;
    for (int i = 0; i < ORDERS; i++) {
        struct hg_segment_meta load[4], drop[4];
        size_t n_load = hg_test_random(&g->rnd) % 4, n_drop = hg_test_random(&g->rnd) % 4;
        for (size_t k = 0; k < n_load; k++) load[k] = g->m[hg_test_random(&g->rnd) % SEGS];
        for (size_t k = 0; k < n_drop; k++) drop[k] = g->m[hg_test_random(&g->rnd) % SEGS];
        enum hg_rc rc = fx_assign(client, g->x->node.address, EPOCH, load, n_load, drop, n_drop, NULL);
        if (rc) abort();
    }
    return NULL;
}

static void a_storm_of_orders(void **state)
{
    (void)state;
    struct hg_store *store = fx_store("deep8");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m[SEGS + 1];
    for (int i = 0; i <= SEGS; i++) m[i] = fx_push(store, a, "ads", V1, i, 0, 10);
    struct fx_hist x;
    struct fx_watch w;
    uint64_t seed = hg_test_seed();
    fx_hist_open(&x, "hist8", store, 0, 2);
    fx_watch_open(&w, client, x.node.address);
    struct giver g[2] = {{.x = &x, .m = m, .rnd = seed}, {.x = &x, .m = m, .rnd = seed + 1}};
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&g[i].thread, NULL, give_orders, &g[i]), 0);
    for (int i = 0; i < 40; i++) {
        struct fx_answer got = count(&x, m, SEGS);
        assert_int_equal(got.rows, 10 * (int)got.covered);
        assert_int_equal(got.covered + got.missing, SEGS);
    }
    for (int i = 0; i < 2; i++) pthread_join(g[i].thread, NULL);
    /* All there, then some gone; what was ordered last counts. */
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, SEGS, NULL, 0, NULL), HG_OK);
    for (int i = 0; i < SEGS; i++) fx_wait_has(&w, &m[i], true);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, &m[SEGS], 1, &m[3], 4, NULL), HG_OK);
    fx_wait_has(&w, &m[SEGS], true);
    for (int i = 3; i < 7; i++) fx_wait_has(&w, &m[i], false);
    fx_watch_close(&w);
    fx_hist_close(&x);
    fx_hist_open(&x, "hist8", store, 0, 2);
    assert_int_equal(fx_files_of(&x).segs, SEGS + 1 - 4);
    struct fx_answer got = count(&x, m, SEGS + 1);
    assert_int_equal(got.covered, SEGS + 1 - 4);
    assert_int_equal(got.missing, 4);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

/* A stop does not wait for what is queued, and leaves what it has in order. */
static void stopped_in_the_middle(void **state)
{
    (void)state;
    enum { N = 60 };
    struct hg_store *store = fx_store("deep9");
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segment_meta m[N];
    for (int i = 0; i < N; i++) m[i] = fx_push(store, a, "ads", V1, i % 30, (uint32_t)(i / 30), 10);
    struct fx_hist x;
    struct fx_watch w;
    char msg[512];
    fx_hist_open(&x, "hist9", store, 0, 1);
    fx_watch_open(&w, client, x.node.address);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, N, NULL, 0, NULL), HG_OK);
    fx_wait_has(&w, &m[0], true);
    hg_historical_stop(x.h);
    assert_int_equal(fx_assign(client, x.node.address, EPOCH, m, N, NULL, 0, msg), HG_E_UNAVAILABLE);
    assert_string_equal(msg, "the server is stopping");
    uint32_t had = count(&x, m, N).covered;
    assert_true(had >= 1);
    fx_watch_close(&w);
    fx_node_close(&x.node);
    hg_historical_free(x.h);
    assert_int_equal(fx_files_of(&x).segs, had);
    fx_hist_open(&x, "hist9", store, 0, 1);
    assert_int_equal(count(&x, m, N).covered, had);
    fx_hist_close(&x);
    hg_store_close(store);
    hg_arena_free(a);
}

static int setup(void **state)
{
    (void)state;
    assert_ok(hg_loop_new("boss", &loop, &err), err);
    assert_ok(hg_wire_client_new(loop, "boss", "secret", &client, &err), err);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    hg_wire_client_close(client);
    hg_loop_close(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_serves_restarts_drops), cmocka_unit_test(dropped_while_it_is_read), cmocka_unit_test(loads_that_fail), cmocka_unit_test(capacity),
        cmocka_unit_test(old_leaders_are_refused),     cmocka_unit_test(after_a_crash),            cmocka_unit_test(a_folder_that_cannot_be_used),
        cmocka_unit_test(a_storm_of_orders),           cmocka_unit_test(stopped_in_the_middle),
    };
    return cmocka_run_group_tests_name("historical/historical", tests, setup, teardown);
}
