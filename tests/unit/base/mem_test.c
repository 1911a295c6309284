/* Budgets count in a tree and never past a limit; arenas keep what they gave intact until freed. */
#include "unit/support.h"

#include <pthread.h>

#include "base/mem.h"

static void counts_up_the_tree(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_budget process, query;
    hg_budget_init(&process, NULL, "process memory", 1000);
    hg_budget_init(&query, &process, "query memory", 600);
    assert_ok(hg_budget_take(&query, 500, &err), err);
    assert_int_equal(process.used, 500);
    assert_fails(hg_budget_take(&query, 101, &err), HG_E_LIMIT, err, "query memory: limit of 600 bytes reached: 500 in use, 101 more wanted");
    assert_int_equal(query.used, 500);
    assert_int_equal(process.used, 500);
    assert_ok(hg_budget_take(&process, 450, &err), err);
    assert_fails(hg_budget_take(&query, 100, &err), HG_E_LIMIT, err, "process memory: limit of 1000 bytes reached: 950 in use, 100 more wanted");
    assert_int_equal(query.used, 500); /* undone below the full one */
    assert_ok(hg_budget_take(&query, 50, &err), err);
    hg_budget_give(&query, 550);
    hg_budget_give(&process, 450);
    assert_int_equal(query.used, 0);
    assert_int_equal(process.used, 0);
    assert_int_equal(process.peak, 1000);
    assert_int_equal(query.peak, 550);
    assert_int_equal(hg_budget_take(&query, SIZE_MAX, NULL), HG_E_LIMIT);
    struct hg_budget none;
    hg_budget_init(&none, NULL, "none", 0);
    assert_ok(hg_budget_take(&none, (size_t)1 << 50, &err), err);
}

static struct hg_budget shared;
static _Atomic int holders;
static void *hammer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        if (hg_budget_take(&shared, 7, NULL) != HG_OK) continue;
        if (atomic_fetch_add(&holders, 1) >= 3) abort(); /* a fourth cannot fit */
        atomic_fetch_sub(&holders, 1);
        hg_budget_give(&shared, 7);
    }
    return NULL;
}
static void threads_share_a_budget(void **state)
{
    (void)state;
    pthread_t t[4];
    hg_budget_init(&shared, NULL, "shared", 3 * 7);
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, hammer, NULL), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    assert_int_equal(shared.used, 0);
    assert_true(shared.peak <= 3 * 7);
}

static void pieces_stay_intact(void **state)
{
    (void)state;
    uint64_t seed = hg_test_seed();
    struct hg_budget b;
    hg_budget_init(&b, NULL, "test", 0);
    struct hg_arena *a = hg_arena_new(&b);
    assert_non_null(a);
    for (int round = 0; round < 3; round++) {
        enum { N = 2000 };
        static struct { uint8_t *p; size_t n; } piece[N];
        for (int i = 0; i < N; i++) {
            uint64_t r = hg_test_random(&seed);
            size_t n = r % 16 == 0 ? (r >> 8) % 20000 : (r >> 8) % 100;
            uint8_t *p = hg_arena_alloc(a, n);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 16, 0);
            memset(p, i & 0xFF, n);
            piece[i].p = p;
            piece[i].n = n;
        }
        for (int i = 0; i < N; i++)
            for (size_t j = 0; j < piece[i].n; j++) assert_int_equal(piece[i].p[j], i & 0xFF);
        assert_int_equal(hg_arena_bytes(a), b.used);
        hg_arena_reset(a);
        assert_int_equal(hg_arena_bytes(a), b.used);
        assert_true(b.used <= 262144); /* at most the first chunk is kept */
    }
    hg_arena_free(a);
    assert_int_equal(b.used, 0);
    hg_arena_free(NULL);
}

static void gives_reasons(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_budget b;
    hg_budget_init(&b, NULL, "query memory", 10000);
    struct hg_arena *a = hg_arena_new(&b);
    assert_non_null(hg_arena_alloc(a, 0));
    assert_non_null(hg_arena_alloc(a, 100));
    size_t before = hg_arena_bytes(a);
    assert_null(hg_arena_alloc(a, 1 << 20));
    assert_int_equal(hg_arena_fail(a, "groups", &err), HG_E_LIMIT);
    assert_non_null(strstr(err.msg, "query memory: limit of 10000 bytes reached"));
    assert_non_null(strstr(err.msg, "for groups"));
    assert_int_equal(hg_arena_bytes(a), before);
    assert_null(hg_arena_alloc(a, 1 << 20));
    assert_non_null(hg_arena_alloc(a, 4100)); /* another that fits does not make it a lack of memory */
    assert_int_equal(hg_arena_fail(a, "groups", &err), HG_E_LIMIT);
    hg_arena_reset(a);
    assert_non_null(hg_arena_alloc(a, 100));
    assert_null(hg_arena_alloc(a, 1 << 20));
    /* A fresh chunk of the usual size would not fit any more, the piece itself does. */
    assert_non_null(hg_arena_alloc(a, 3900));
    assert_true(b.used <= 10000);
    assert_null(hg_arena_scratch(a, SIZE_MAX / 4, 8));
    assert_int_equal(hg_arena_fail(a, "scratch", &err), HG_E_NOMEM);
    assert_null(hg_arena_array(a, SIZE_MAX / 4, 8));
    assert_int_equal(hg_arena_fail(a, "a table", &err), HG_E_NOMEM);
    hg_arena_free(a);
    assert_int_equal(b.used, 0);

    a = hg_arena_new(NULL);
    assert_null(hg_arena_array(a, SIZE_MAX, 2));
    assert_int_equal(hg_arena_fail(a, "a table", NULL), HG_E_NOMEM);
    hg_arena_free(a);
}

static void small_budget_is_used_to_its_end(void **state)
{
    (void)state;
    struct hg_budget b;
    hg_budget_init(&b, NULL, "small", 1000);
    struct hg_arena *a = hg_arena_new(&b);
    int n = 0;
    while (hg_arena_alloc(a, 64)) n++;
    assert_true(n >= 7); /* each with a head of its own */
    hg_arena_free(a);
}

static void text(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    assert_string_equal(hg_arena_strdup(a, "ads"), "ads");
    assert_string_equal(hg_arena_strndup(a, "adsense", 3), "ads");
    assert_string_equal(hg_arena_strndup(a, NULL, 0), "");
    assert_string_equal(hg_arena_printf(a, "%s-%d", "ads", 7), "ads-7");
    uint64_t *z = hg_arena_array(a, 10, sizeof *z);
    for (int i = 0; i < 10; i++) assert_int_equal(z[i], 0);
    assert_non_null(hg_arena_array(a, 0, 8));
    uint64_t *s = hg_arena_scratch(a, 10, sizeof *s);
    for (int i = 0; i < 10; i++) s[i] = 1; /* room for all, beside what there is */
    for (int i = 0; i < 10; i++) assert_int_equal(z[i], 0);
    hg_arena_free(a);
}

static int order[8], n_order;
static void note(void *arg) { order[n_order++] = (int)(intptr_t)arg; }

static void cleanups_run_last_first(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    for (intptr_t i = 1; i <= 3; i++) assert_ok(hg_arena_on_free(a, note, (void *)i, &err), err);
    n_order = 0;
    hg_arena_reset(a);
    assert_int_equal(n_order, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(order[i], 3 - i);
    hg_arena_reset(a); /* once only */
    assert_int_equal(n_order, 3);
    assert_ok(hg_arena_on_free(a, note, (void *)9, &err), err);
    hg_arena_free(a);
    assert_int_equal(n_order, 4);
    assert_int_equal(order[3], 9);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t out = 0;
    assert_true(hg_mul_size(3, 4, &out) && out == 12);
    assert_false(hg_mul_size(SIZE_MAX / 2, 3, &out));
    assert_true(hg_add_size(3, 4, &out) && out == 7);
    assert_false(hg_add_size(SIZE_MAX, 1, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_the_tree),     cmocka_unit_test(threads_share_a_budget), cmocka_unit_test(pieces_stay_intact),
        cmocka_unit_test(gives_reasons),          cmocka_unit_test(small_budget_is_used_to_its_end), cmocka_unit_test(text),
        cmocka_unit_test(cleanups_run_last_first), cmocka_unit_test(sizes_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
