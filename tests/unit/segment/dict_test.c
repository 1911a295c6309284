/* The front-coded dictionary against a sorted array of strings. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rng.h"
#include "segment/dict.h"

struct model { struct hg_str *v; uint32_t n; };

static int cmp(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

static struct hg_str random_text(struct rng *r)
{
    static const char *const pieces[] = {"a", "ab", "campaign_", "\xc3\xa9", "\xf0\x9f\x98\x80", "zz", "0", "\x01", "\xff", "-", "advertiser-"};
    char *p = malloc(400);
    size_t len = 0, parts = below(r, 6);
    for (size_t i = 0; i < parts; i++) {
        const char *s = pieces[below(r, 11)];
        memcpy(p + len, s, strlen(s));
        len += strlen(s);
    }
    if (below(r, 30) == 0) memset(p + len, 'x', 200), len += 200;
    if (below(r, 20) == 0) p[len++] = 0;
    return (struct hg_str){p, len};
}

static struct model make(struct rng *r, uint32_t n)
{
    struct model m = {calloc(n + 1, sizeof *m.v), 0};
    for (uint32_t i = 0; i < n; i++) m.v[i] = random_text(r);
    qsort(m.v, n, sizeof *m.v, cmp);
    for (uint32_t i = 0; i < n; i++) {
        if (m.n && hg_str_eq(m.v[m.n - 1], m.v[i])) free((char *)m.v[i].p);
        else m.v[m.n++] = m.v[i];
    }
    return m;
}
static void drop(struct model *m)
{
    for (uint32_t i = 0; i < m->n; i++) free((char *)m->v[i].p);
    free(m->v);
}

static void write_dict(const struct model *m, struct hg_buf *out)
{
    struct hg_dict_writer w;
    struct hg_err err;
    hg_dict_writer_init(&w);
    for (uint32_t i = 0; i < m->n; i++) assert_int_equal(hg_dict_writer_add(&w, m->v[i], &err), HG_OK);
    assert_int_equal(hg_dict_writer_finish(&w, out, &err), HG_OK);
    hg_dict_writer_free(&w);
}

static int text_cmp(const void *a, const void *b) { return hg_str_cmp(*(const struct hg_str *)a, *(const struct hg_str *)b); }

/* Lists with values that are there and others, near each other and far, in pieces of any size: as one find after the other. */
static void compare_lists(const struct hg_dict *d, const struct model *m, struct rng *r)
{
    for (int round = 0; round < 20; round++) {
        struct hg_str list[200], made[60];
        uint32_t n = 0, want, ids[200], at = 0, odds = 1 + below(r, 40);
        for (uint32_t i = 0; i < m->n && n < 140; i++)
            if (below(r, odds) == 0) list[n++] = m->v[i];
        for (int k = 0; k < 60; k++) list[n++] = made[k] = random_text(r);
        qsort(list, n, sizeof *list, text_cmp);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++)
            if (!kept || !hg_str_eq(list[i], list[kept - 1])) list[kept++] = list[i];
        for (uint32_t from = 0, some; from < kept; from += some) {
            some = 1 + below(r, kept - from);
            d->ops->find_sorted(d, list + from, some, &at, ids + from);
        }
        for (uint32_t i = 0; i < kept; i++) assert_int_equal(ids[i], hg_dict_find(d, list[i], &want) ? want : 0);
        for (int k = 0; k < 60; k++) free((char *)made[k].p);
    }
}

static void compare_all(const struct hg_dict *d, const struct model *m, struct rng *r)
{
    struct hg_buf scratch;
    hg_buf_init(&scratch, 1 << 20);
    assert_int_equal(d->card, m->n + 1);
    assert_true(d->sorted);
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t id = 0;
        assert_true(hg_str_eq(hg_dict_get(d, i + 1, &scratch), m->v[i]));
        assert_true(hg_dict_find(d, m->v[i], &id));
        assert_int_equal(id, i + 1);
        assert_int_equal(hg_dict_lower_bound(d, m->v[i]), i + 1);
    }
    for (int k = 0; k < 500; k++) {
        struct hg_str s = random_text(r);
        uint32_t want = 0, id = 0;
        while (want < m->n && hg_str_cmp(m->v[want], s) < 0) want++;
        assert_int_equal(hg_dict_lower_bound(d, s), want + 1);
        assert_int_equal(hg_dict_find(d, s, &id), want < m->n && hg_str_eq(m->v[want], s));
        free((char *)s.p);
    }
    compare_lists(d, m, r);
    hg_buf_free(&scratch);
}

static void model(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 300, 3000};
    for (uint64_t seed = first_seed(), end = seed + 5; seed < end; seed++) {
        for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++) {
            struct rng r = {seed * 1000 + z};
            struct model m = make(&r, sizes[z]);
            struct hg_buf b;
            struct hg_err err;
            hg_buf_init(&b, 1 << 24);
            write_dict(&m, &b);
            struct hg_arena *a = hg_arena_new(NULL);
            const struct hg_dict *d;
            if (hg_dict_open(a, hg_buf_span(&b), &d, &err)) fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
            compare_all(d, &m, &r);
            hg_arena_free(a);
            hg_buf_free(&b);
            drop(&m);
        }
    }
}

/* Every cut is refused; a flipped bit is refused, or leaves a sorted dictionary that lookups may walk. */
static void broken_bytes(void **state)
{
    (void)state;
    struct rng r = {first_seed()};
    struct model m = make(&r, 60);
    struct hg_buf b;
    struct hg_err err;
    hg_buf_init(&b, 1 << 20);
    write_dict(&m, &b);
    for (size_t cut = 0; cut < b.len; cut++) {
        struct hg_arena *a = hg_arena_new(NULL);
        const struct hg_dict *d;
        uint8_t *p = malloc(cut + 1);
        memcpy(p, b.p, cut);
        assert_int_equal(hg_dict_open(a, (struct hg_span){p, cut}, &d, &err), HG_E_CORRUPT);
        free(p);
        hg_arena_free(a);
    }
    for (size_t bit = 0; bit < b.len * 8; bit++) {
        uint8_t *p = malloc(b.len);
        memcpy(p, b.p, b.len);
        p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        struct hg_arena *a = hg_arena_new(NULL);
        const struct hg_dict *d;
        if (hg_dict_open(a, (struct hg_span){p, b.len}, &d, &err) == HG_OK) {
            struct hg_buf scratch, last;
            hg_buf_init(&scratch, 1 << 20);
            hg_buf_init(&last, 1 << 20);
            for (uint32_t id = 1; id < d->card; id++) {
                uint32_t got = 0;
                struct hg_str s = hg_dict_get(d, id, &scratch);
                if (id > 1) assert_true(hg_str_cmp((struct hg_str){last.p ? (char *)last.p : "", last.len}, s) < 0);
                assert_true(hg_dict_find(d, s, &got));
                assert_int_equal(got, id);
                hg_buf_clear(&last);
                hg_buf_put(&last, s.p, s.len);
            }
            hg_buf_free(&scratch);
            hg_buf_free(&last);
        }
        free(p);
        hg_arena_free(a);
    }
    hg_buf_free(&b);
    drop(&m);
}

static void too_long(void **state)
{
    (void)state;
    struct hg_dict_writer w;
    struct hg_err err;
    hg_dict_writer_init(&w);
    char *big = calloc(1, HG_DICT_MAX_VALUE + 1);
    assert_int_equal(hg_dict_writer_add(&w, (struct hg_str){big, HG_DICT_MAX_VALUE + 1}, &err), HG_E_LIMIT);
    free(big);
    hg_dict_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(model), cmocka_unit_test(broken_bytes), cmocka_unit_test(too_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
