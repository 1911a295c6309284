/* What was done, between servers: it comes back as it was, malformed bytes never do, and figures of later versions are skipped. */
#include "unit/support.h"

#include "query/profile.h"

static struct hg_err err;
static uint64_t rnd;
static uint64_t dice(uint64_t n) { return hg_test_random(&rnd) % n; }

static struct hg_profile random_profile(void)
{
    struct hg_profile p = {.in_time = (int64_t)dice(9), .wait_us = (int64_t)dice(1u << 20), .scan_us = (int64_t)dice(1u << 30), .merge_us = (int64_t)dice(3), .elapsed_us = (int64_t)dice(1u << 31)};
    p.stats = (struct hg_exec_stats){.rows_scanned = (int64_t)(dice(UINT64_MAX) >> 1), .rows_selected = (int64_t)dice(99), .blocks = 7, .blocks_read = 2, .blocks_from_stats = 3, .bytes_read = (int64_t)dice(1u << 31),
                                     .bytes_decoded = (int64_t)dice(1u << 31), .projections = 1, .projection_rows = 5, .projection_blocks = 4};
    for (uint64_t k = 0, n = dice(2 * HG_TOLD_MOST); k < n; k++) {
        char name[200];
        snprintf(name, sizeof name, "c%0*u", (int)dice(100) + 1, (unsigned)dice(50));
        hg_profile_tell(&p, (enum hg_told)(1 + dice(HG_TOLD_KINDS)), name, (int64_t)dice(1000));
    }
    return p;
}

static void assert_same(const struct hg_profile *a, const struct hg_profile *b)
{
    assert_memory_equal(&a->stats, &b->stats, sizeof a->stats);
    assert_true(a->in_time == b->in_time && a->wait_us == b->wait_us && a->scan_us == b->scan_us && a->merge_us == b->merge_us && a->elapsed_us == b->elapsed_us);
    assert_int_equal(a->n_names, b->n_names);
    for (uint32_t k = 0; k < a->n_names; k++) {
        assert_int_equal(a->names[k].what, b->names[k].what);
        assert_string_equal(a->names[k].name, b->names[k].name);
        assert_int_equal(a->names[k].n, b->names[k].n);
    }
}

static void there_and_back(void **state)
{
    (void)state;
    rnd = hg_test_seed();
    for (int round = 0; round < 200; round++) {
        struct hg_profile p = random_profile(), q;
        uint8_t fates[20];
        const uint8_t *got;
        uint32_t n = (uint32_t)dice(20);
        struct hg_buf b;
        for (uint32_t k = 0; k < n; k++) fates[k] = (uint8_t)dice(HG_FATE_READ + 1);
        hg_buf_init(&b, 1 << 20);
        hg_profile_encode(&p, fates, n, &b);
        assert_ok(hg_profile_decode(hg_buf_span(&b), n, &q, &got, &err), err);
        assert_same(&p, &q);
        if (n) assert_memory_equal(fates, got, n);
        for (size_t len = 0; len < b.len; len++) {
            uint8_t *exact = malloc(len ? len : 1);
            memcpy(exact, b.p, len);
            assert_int_equal(hg_profile_decode((struct hg_span){exact, len}, n, &q, &got, &err), HG_E_CORRUPT);
            free(exact);
        }
        assert_int_equal(hg_profile_decode(hg_buf_span(&b), n + 1, &q, &got, &err), HG_E_CORRUPT);
        assert_non_null(strstr(err.msg, "malformed"));
        hg_buf_u8(&b, 1);
        assert_int_equal(hg_profile_decode(hg_buf_span(&b), n, &q, &got, &err), HG_E_CORRUPT);
        hg_buf_free(&b);
    }
}

/* Written by hand: figures, names, fates. */
static void by_hand(void **state)
{
    (void)state;
    static const struct { const char *what; uint8_t bytes[64]; size_t len; bool ok; } t[] = {
        {"nothing", {0, 0, 0}, 3, true},
        {"one figure", {1, 7, 0, 0}, 4, true},
        {"more figures than are known", {17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0, 0}, 20, true},
        {"a figure past 63 bits", {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0}, 13, false},
        {"an unknown kind of name", {0, 1, 99, 2, 'a', 5, 0}, 7, true},
        {"kind 0", {0, 1, 0, 2, 'a', 5, 0}, 7, false},
        {"no name", {0, 1, 1, 0, 5, 0}, 6, false},
        {"a name with a zero", {0, 1, 1, 2, 0, 5, 0}, 7, false},
        {"a fate that there is not", {0, 0, 1, 4}, 4, false},
        {"a fate that nobody asked for", {0, 0, 1, 1}, 4, false},
        {"more names than bytes", {0, 200, 1, 1}, 4, false},
    };
    for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
        struct hg_profile p;
        const uint8_t *fates;
        uint32_t n = t[k].bytes[t[k].len - 1] == 4 && k == 8;
        enum hg_rc rc = hg_profile_decode((struct hg_span){t[k].bytes, t[k].len}, n, &p, &fates, &err);
        if ((rc == HG_OK) != t[k].ok || (rc && rc != HG_E_CORRUPT)) fail_msg("%s: %s", t[k].what, rc ? err.msg : "taken");
    }
}

static void names(void **state)
{
    (void)state;
    struct hg_profile p = {0}, q = {0};
    char name[200];
    hg_profile_tell(NULL, HG_TOLD_IDS, "x", 1);
    hg_profile_tell(&p, HG_TOLD_IDS, "country", 2);
    hg_profile_tell(&p, HG_TOLD_BITMAP, "country", 3);
    hg_profile_tell(&q, HG_TOLD_IDS, "country", 5);
    hg_profile_add(&p, &q);
    assert_int_equal(p.n_names, 2);
    assert_int_equal(p.names[0].n, 7);
    memset(name, 'x', 62);
    memcpy(name + 62, "\xc3\xa4\xc3\xa4", 5); /* byte 63 would be half a character */
    hg_profile_tell(&p, HG_TOLD_IDS, name, 1);
    assert_int_equal(strlen(p.names[2].name), 62);
    for (unsigned k = 0; k < 2 * HG_TOLD_MOST; k++) {
        snprintf(name, sizeof name, "c%u", k);
        hg_profile_tell(&p, HG_TOLD_IDS, name, 1);
    }
    assert_int_equal(p.n_names, HG_TOLD_MOST);
    q = (struct hg_profile){.stats = {.rows_scanned = INT64_MAX}};
    hg_profile_add(&p, &q);
    hg_profile_add(&p, &q); /* what many say does not wrap */
    assert_true(p.stats.rows_scanned == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(by_hand), cmocka_unit_test(names)};
    return cmocka_run_group_tests_name("query/profile", tests, NULL, NULL);
}
