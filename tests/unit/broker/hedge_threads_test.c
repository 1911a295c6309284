/* Late sub-queries and long lists: a server that hangs does not hold a query up, and no row is counted twice, whoever answers, however a list is cut. */
#include "unit/broker/broker_fixture.h"

#include "base/metrics.h"

static const char *const two_rows[] = {"[[0,\"us\",1],[5,\"de\",2]]"};

static struct fx_seg *seg(int day, const char *const *rows) { return fx_seg_new("ads", day, 0, HG_SEG_SEALED, rows, 1); }
static int64_t hedges(const char *outcome) { return hg_metric_get(HG_M_hedges, outcome); }

/* Two honest servers with the same segments, and one that has them, too, and hangs. */
struct stage {
    struct fx_cluster y;
    struct fx_node b;
    struct fx_liar a;
    struct fx_seg *s[4];
    struct hg_picker *p;
};
static void stage_open(struct stage *g, const char *name, enum fx_lie lie, const char *picture)
{
    fx_cluster_open(&g->y, name);
    fx_node_open(&g->b, "b", 2, 1000, 1 << 26);
    fx_liar_open(&g->a, "a", lie);
    for (int i = 0; i < 4; i++) {
        fx_serve(&g->b, g->s[i] = seg(i, two_rows));
        fx_liar_claim(&g->a, g->s[i]);
    }
    fx_publish(&g->y, g->s, 4);
    fx_lease(&g->y, "a", g->a.address);
    fx_lease(&g->y, "b", g->b.address);
    fx_wait_picture(&g->y, picture);
    g->p = hg_picker_new(&(struct hg_picker_options){.hedge = true, .percentile = 95, .floor_ms = 2, .share = 50});
}
static void stage_close(struct stage *g)
{
    fx_cluster_close(&g->y);
    fx_liar_close(&g->a);
    fx_node_close(&g->b);
    for (int i = 0; i < 4; i++) fx_seg_free(g->s[i]);
    hg_picker_free(g->p);
}
static void stage_wants(struct stage *g, const char *context, struct ask *k)
{
    *k = (struct ask){.timeout_ms = 60000, .picker = g->p, .context = context};
    ask_start(k, &g->y, 60000);
    ask_end(k);
    assert_ok(k->rc, k->err);
    assert_int_equal(k->rows, 8);
    assert_int_equal(k->clicks, 12);
}

static void a_server_that_hangs(void **state)
{
    (void)state;
    struct stage g;
    struct ask k;
    int64_t won = hedges("won");
    stage_open(&g, "hangs", FX_HANG, "0.0(ab) 1.0(ab) 2.0(ab) 3.0(ab)");
    int64_t begin = hg_clock_mono_ms();
    stage_wants(&g, NULL, &k); /* of four segments some are asked of each */
    assert_true(k.res.hedged >= 1 && g.a.asked >= 1);
    for (int i = 0; i < 20; i++) stage_wants(&g, NULL, &k); /* from then on it is known to be slow */
    assert_true(hg_clock_mono_ms() - begin < 20000);
    assert_true(hedges("won") > won);
    stage_close(&g);
}

static void not_when_it_is_not_wanted(void **state)
{
    (void)state;
    struct stage g;
    stage_open(&g, "unwanted", FX_HANG, "0.0(ab) 1.0(ab) 2.0(ab) 3.0(ab)");
    struct ask k = {.timeout_ms = 300, .picker = g.p, .context = "\"hedge\":false"};
    ask_start(&k, &g.y, 60000);
    ask_end(&k);
    assert_int_equal(k.rc, HG_E_TIMEOUT);
    assert_int_equal(k.res.hedged, 0);
    stage_close(&g);
}

/* The late one answers after all, before the hedge does. */
static void the_late_one_wins(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node n[2];
    struct fx_seg *s[2];
    struct hg_picker *p = hg_picker_new(&(struct hg_picker_options){.hedge = true, .percentile = 95, .floor_ms = 2, .share = 50});
    fx_cluster_open(&y, "latewins");
    for (int k = 0; k < 2; k++) {
        fx_node_open(&n[k], k ? "b" : "a", 2, 1000, 1 << 26);
        fx_serve(&n[k], s[k] = seg(0, two_rows));
        s[k]->gate = true;
    }
    fx_publish(&y, s, 1);
    for (int k = 0; k < 2; k++) fx_lease(&y, k ? "b" : "a", n[k].address);
    fx_wait_picture(&y, "0.0(ab)");
    int64_t lost = hedges("lost");
    struct ask k = {.picker = p};
    ask_start(&k, &y, 60000);
    int first = -1;
    while (first < 0) { /* whoever is asked first */
        pthread_mutex_lock(&fx_lock);
        for (int i = 0; i < 2; i++)
            if (s[i]->acquired) first = i;
        if (first < 0) pthread_cond_wait(&fx_cond, &fx_lock);
        pthread_mutex_unlock(&fx_lock);
    }
    fx_wait("the hedge", fx_is_waiting, s[!first]);
    fx_open_gate(s[first]);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 2);
    assert_int_equal(k.clicks, 3);
    assert_int_equal(k.res.hedged, 1);
    assert_int_equal(hedges("lost"), lost + 1);
    fx_open_gate(s[!first]);
    for (int i = 0; i < 2; i++) hg_dataserver_drain(n[i].data, 60000);
    fx_cluster_close(&y);
    for (int i = 0; i < 2; i++) {
        fx_node_close(&n[i]);
        fx_seg_free(s[i]);
    }
    hg_picker_free(p);
}

/* The late one breaks while the hedge works: the hedge's answer is the answer. */
static void the_late_one_dies(void **state)
{
    (void)state;
    struct fx_cluster y;
    struct fx_node b;
    struct fx_liar a;
    struct fx_seg *s = seg(0, two_rows);
    struct hg_picker *p = hg_picker_new(&(struct hg_picker_options){.hedge = true, .percentile = 95, .floor_ms = 2, .share = 50});
    fx_cluster_open(&y, "latedies");
    fx_node_open(&b, "b", 2, 1000, 1 << 26);
    fx_liar_open(&a, "a", FX_HANG);
    s->gate = true;
    fx_serve(&b, s);
    fx_liar_claim(&a, s);
    fx_publish(&y, &s, 1);
    fx_lease(&y, "a", a.address);
    fx_lease(&y, "b", b.address);
    fx_wait_picture(&y, "0.0(ab)");
    hg_picker_began(p, "b", 1000); /* so that a is asked first */
    struct ask k = {.picker = p};
    ask_start(&k, &y, 60000);
    fx_wait("the question", fx_liar_was_asked, &a);
    fx_wait("the hedge", fx_is_waiting, s);
    fx_liar_unplug(&a);
    fx_open_gate(s);
    ask_end(&k);
    assert_ok(k.rc, k.err);
    assert_int_equal(k.rows, 2);
    assert_int_equal(k.clicks, 3);
    fx_cluster_close(&y);
    fx_liar_close(&a);
    fx_node_close(&b);
    fx_seg_free(s);
    hg_picker_free(p);
}

/* ---- lists in parts ---- */

#define SEGS 6
#define WORDS 12
static const char *const words[WORDS] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", NULL};
struct model_row { int n; int v[3]; int clicks; };

static const char *make_rows(struct hg_arena *a, uint64_t *rnd, bool multi, struct model_row *rows, int n)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_buf_putc(&b, '[');
    for (int i = 0; i < n; i++) {
        struct model_row *r = &rows[i];
        r->n = multi ? (int)(hg_test_random(rnd) % 4) : 1;
        r->clicks = (int)(hg_test_random(rnd) % 100);
        hg_buf_printf(&b, "%s[%d,%s", i ? "," : "", i, r->n == 1 ? "" : "[");
        for (int k = 0; k < r->n; k++) {
            r->v[k] = (int)(hg_test_random(rnd) % WORDS);
            hg_buf_printf(&b, "%s%s%s%s", k ? "," : "", words[r->v[k]] ? "\"" : "", words[r->v[k]] ? words[r->v[k]] : "null", words[r->v[k]] ? "\"" : "");
        }
        hg_buf_printf(&b, "%s,%d]", r->n == 1 ? "" : "]", r->clicks);
    }
    hg_buf_puts(&b, "]");
    hg_buf_u8(&b, 0);
    const char *z = hg_arena_strdup(a, (const char *)b.p);
    hg_buf_free(&b);
    return z;
}

static bool listed(const struct model_row *r, const bool *in)
{
    if (!r->n) return in[WORDS - 1]; /* no value: as null */
    for (int k = 0; k < r->n; k++)
        if (in[r->v[k]]) return true;
    return false;
}

/* However a list is cut, the answer is that of the whole list: rows of one value and of several, live and sealed, over two servers. */
static void parts_are_the_whole(void **state)
{
    (void)state;
    uint64_t rnd = hg_test_seed();
    struct fx_cluster y;
    struct fx_node n[2];
    struct fx_seg *s[SEGS];
    struct model_row rows[SEGS][20];
    fx_cluster_open(&y, "parts");
    for (int i = 0; i < 2; i++) fx_node_open(&n[i], i ? "b" : "a", 2, 1000, 1 << 26);
    for (int i = 0; i < SEGS; i++) {
        const char *text[2] = {make_rows(y.a, &rnd, false, rows[i], 10), make_rows(y.a, &rnd, i % 2, rows[i] + 10, 10)}; /* the second part of a segment alone has rows of several */
        s[i] = fx_seg_new("ads", i, 0, HG_SEG_SEALED, text, 2);
        fx_serve(&n[i % 2], s[i]);
    }
    fx_publish(&y, s, SEGS);
    for (int i = 0; i < 2; i++) fx_lease(&y, i ? "b" : "a", n[i].address);
    fx_wait_picture(&y, "0.0(a) 1.0(b) 2.0(a) 3.0(b) 4.0(a) 5.0(b)");
    bool cut = false;
    for (int round = 0; round < 60; round++) {
        bool in[WORDS];
        struct hg_buf b;
        int count = 0, clicks = 0, want = 0;
        hg_buf_init(&b, 1 << 16);
        hg_buf_printf(&b, "%.*s,\"filter\":{\"type\":\"in\",\"dimension\":\"country\",\"values\":[", (int)strlen(FX_COUNT) - 1, FX_COUNT);
        for (int w = 0; w < WORDS; w++) {
            in[w] = hg_test_random(&rnd) % 2;
            if (!in[w]) continue;
            hg_buf_printf(&b, "%s%s%s%s", count++ ? "," : "", words[w] ? "\"" : "", words[w] ? words[w] : "null", words[w] ? "\"" : "");
        }
        hg_buf_puts(&b, "]}}");
        hg_buf_u8(&b, 0);
        for (int i = 0; i < SEGS; i++)
            for (int k = 0; k < 20; k++)
                if (listed(&rows[i][k], in)) clicks += rows[i][k].clicks, want++;
        static const char *const contexts[] = {"\"entityBatch\":0", "\"entityBatch\":1", "\"entityBatch\":2", "\"entityBatch\":5"};
        static const int sizes[] = {1000, 1, 2, 5};
        for (int c = 0; c < 4; c++) {
            struct ask k = {.query = (const char *)b.p, .context = contexts[c]};
            ask_start(&k, &y, 60000);
            ask_end(&k);
            assert_ok(k.rc, k.err);
            if (k.rows != want || k.clicks != (want ? clicks : 0)) fail_msg("%s %s: %lld rows, want %d", (const char *)b.p, contexts[c], (long long)k.rows, want);
            assert_int_equal(k.res.batches, count > sizes[c] ? (count + sizes[c] - 1) / sizes[c] : 0);
            cut |= k.res.batches > 1;
        }
        hg_buf_free(&b);
    }
    assert_true(cut);
    fx_cluster_close(&y);
    for (int i = 0; i < 2; i++) fx_node_close(&n[i]);
    for (int i = 0; i < SEGS; i++) fx_seg_free(s[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_hangs), cmocka_unit_test(not_when_it_is_not_wanted), cmocka_unit_test(the_late_one_wins), cmocka_unit_test(the_late_one_dies),
        cmocka_unit_test(parts_are_the_whole),
    };
    return cmocka_run_group_tests_name("broker/hedge", tests, NULL, NULL);
}
