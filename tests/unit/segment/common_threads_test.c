/* One numbering over many dictionaries: equal texts have equal numbers whatever segment they come from, also from many threads; what no segment has any more goes; the limit holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rng.h"
#include "segment/common.h"
#include "segment/dict.h"

struct one { /* a segment's column */
    struct hg_arena *a;
    const struct hg_dict *dict;
    struct hg_buf bytes;
    struct hg_common_slot slot;
};

/* Every step-th of the texts from `from` on. */
static void make(struct one *o, uint32_t from, uint32_t step, uint32_t n)
{
    struct hg_dict_writer w;
    struct hg_err err;
    hg_dict_writer_init(&w);
    for (uint32_t i = 0; i < n; i++) {
        char t[32];
        int len = snprintf(t, sizeof t, "text%08u", from + i * step);
        assert_int_equal(hg_dict_writer_add(&w, (struct hg_str){t, (size_t)len}, &err), HG_OK);
    }
    hg_buf_init(&o->bytes, SIZE_MAX);
    assert_int_equal(hg_dict_writer_finish(&w, &o->bytes, &err), HG_OK);
    hg_dict_writer_free(&w);
    o->a = hg_arena_new(NULL);
    memset(&o->slot, 0, sizeof o->slot);
    assert_int_equal(hg_dict_open(o->a, (struct hg_span){o->bytes.p, o->bytes.len}, &o->dict, &err), HG_OK);
}

static void drop(struct one *o)
{
    hg_common_forget(&o->slot);
    hg_arena_free(o->a);
    hg_buf_free(&o->bytes);
}

static void check(const struct one *o, const struct hg_common_ids *ids)
{
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    assert_int_equal(ids->card, o->dict->card);
    assert_int_equal(ids->number[0], 0);
    for (uint32_t id = 1; id < ids->card; id++) {
        struct hg_str s = hg_dict_get(o->dict, id, &b), t = hg_common_text(ids->of, ids->number[id]);
        assert_true(ids->number[id] > 0 && ids->number[id] < hg_common_end(ids->of));
        assert_true(hg_str_eq(s, t));
    }
    hg_buf_free(&b);
}

static void equal_texts_have_equal_numbers(void **state)
{
    (void)state;
    struct one a, b, other;
    make(&a, 0, 2, 5000);
    make(&b, 0, 3, 5000);
    make(&other, 0, 1, 10);
    assert_null(hg_common_acquire(&a.slot, "ad", a.dict, false));
    const struct hg_common_ids *x = hg_common_acquire(&a.slot, "ad", a.dict, true), *y = hg_common_acquire(&b.slot, "ad", b.dict, true);
    const struct hg_common_ids *z = hg_common_acquire(&other.slot, "country", other.dict, true);
    check(&a, x);
    check(&b, y);
    check(&other, z);
    assert_ptr_equal(x->of, y->of);
    assert_ptr_not_equal(x->of, z->of);
    for (uint32_t k = 0; k * 6 < 10000 && k * 2 < 5000; k++) assert_int_equal(x->number[1 + k * 3], y->number[1 + k * 2]); /* multiples of six are in both */
    const struct hg_common_ids *again = hg_common_acquire(&a.slot, "ad", a.dict, false);
    assert_ptr_equal(again, x);
    hg_common_release(again);
    drop(&a); /* x lives on */
    check(&b, y);
    assert_true(hg_str_eq(hg_common_text(x->of, x->number[2]), (struct hg_str){"text00000002", 12}));
    hg_common_release(x);
    hg_common_release(y);
    hg_common_release(z);
    drop(&b);
    drop(&other);
    assert_int_equal(hg_common_bytes(), 0);
}

/* Segments come and go, each with texts of its own: what is kept stays in proportion to what is there. */
static void old_texts_go(void **state)
{
    (void)state;
    struct one o[3];
    size_t most = 0;
    for (uint32_t k = 0; k < 60; k++) {
        if (k >= 3) drop(&o[k % 3]);
        make(&o[k % 3], k * 20000, 1, 20000);
        const struct hg_common_ids *ids = hg_common_acquire(&o[k % 3].slot, "ad", o[k % 3].dict, true);
        check(&o[k % 3], ids);
        hg_common_release(ids);
        if (hg_common_bytes() > most) most = hg_common_bytes();
    }
    assert_true(most < (size_t)60 * 20000 * 30);
    for (int k = 0; k < 3; k++) drop(&o[k]);
    assert_int_equal(hg_common_bytes(), 0);
}

static void the_limit_holds(void **state)
{
    (void)state;
    struct one a, b;
    make(&a, 0, 1, 2000);
    make(&b, 5000, 1, 200000);
    hg_common_limit(1 << 20);
    const struct hg_common_ids *x = hg_common_acquire(&a.slot, "ad", a.dict, true);
    assert_non_null(x);
    assert_null(hg_common_acquire(&b.slot, "ad", b.dict, true));
    assert_true(hg_common_bytes() <= 1 << 20);
    check(&a, x);
    hg_common_release(x);
    drop(&a);
    drop(&b);
    hg_common_limit((size_t)256 << 20);
    assert_int_equal(hg_common_bytes(), 0);
}

static void *work(void *arg)
{
    struct one *all = arg;
    struct rng r = {first_seed() + (uintptr_t)pthread_self()};
    for (int k = 0; k < 200; k++) {
        struct one *o = &all[below(&r, 8)];
        const struct hg_common_ids *ids = hg_common_acquire(&o->slot, "ad", o->dict, below(&r, 2));
        if (!ids) continue;
        uint32_t id = 1 + (uint32_t)below(&r, ids->card - 1);
        struct hg_buf b;
        hg_buf_init(&b, SIZE_MAX);
        assert_true(hg_str_eq(hg_dict_get(o->dict, id, &b), hg_common_text(ids->of, ids->number[id])));
        hg_buf_free(&b);
        if (below(&r, 20) == 0) hg_common_forget(&o->slot);
        hg_common_release(ids);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    struct one all[8];
    pthread_t t[4];
    for (uint32_t k = 0; k < 8; k++) make(&all[k], k * 500, 1, 1000);
    for (int k = 0; k < 4; k++) assert_int_equal(pthread_create(&t[k], NULL, work, all), 0);
    for (int k = 0; k < 4; k++) pthread_join(t[k], NULL);
    for (uint32_t k = 0; k < 8; k++) drop(&all[k]);
    assert_int_equal(hg_common_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_texts_have_equal_numbers), cmocka_unit_test(old_texts_go), cmocka_unit_test(the_limit_holds), cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
