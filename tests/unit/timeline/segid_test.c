/* Ids and shard specs: examples, round trips of random ids, and texts that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "timeline/segid.h"

#define DAY 86400000LL

static struct hg_arena *arena;
static int setup(void **s) { (void)s; return (arena = hg_arena_new(NULL)) ? 0 : -1; }
static int teardown(void **s) { (void)s; hg_arena_free(arena); return 0; }

static void text_examples(void **state)
{
    (void)state;
    static const struct { struct hg_segid id; const char *text; } t[] = {
        {{"ads", "", {0, DAY}, "2024-05-01T10:00:00.000Z", 0}, "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_2024-05-01T10:00:00.000Z"},
        {{"ads", NULL, {0, DAY}, "v1", 7}, "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v1_7"},
        {{"a_b_", "delivery_x", {-DAY, 0}, "1", 4294967295u}, "a_b_@delivery_x_1969-12-31T00:00:00.000Z_1970-01-01T00:00:00.000Z_1_4294967295"},
        {{"5", "1", {0, 1}, "5", 0}, "5@1_1970-01-01T00:00:00.000Z_1970-01-01T00:00:00.001Z_5"},
        {{"d", "", {HG_TIME_MIN, HG_TIME_MAX}, "v", 1}, "d_-146136543-09-08T08:23:32.096Z_146140482-04-24T15:36:27.903Z_v_1"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char buf[HG_SEGID_TEXT];
        struct hg_err err = {0};
        struct hg_segid back;
        assert_int_equal(hg_segid_check(&t[i].id, &err), HG_OK);
        assert_int_equal(hg_segid_text(&t[i].id, buf), (int)strlen(t[i].text));
        assert_string_equal(buf, t[i].text);
        if (hg_segid_parse(arena, hg_str_of(buf), &back, &err)) fail_msg("%s", err.msg);
        assert_int_equal(hg_segid_cmp(&back, &t[i].id), 0);
    }
}

static void refused_texts(void **state)
{
    (void)state;
    static const char *const t[] = {
        "",
        "_",
        "ads",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z",                 /* no version */
        "_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",                  /* no datasource */
        "ads@_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",              /* empty namespace written */
        "a@b@c_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",
        "../x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",
        ".x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",
        "a/x_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v",
        "ads_1970-01-01_1970-01-02T00:00:00.000Z_v",                             /* another spelling of the same */
        "ads_1970-01-01T00:00:00.000Z_1970-01-01T00:00:00.000Z_v",               /* empty interval */
        "ads_1970-01-02T00:00:00.000Z_1970-01-01T00:00:00.000Z_v",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v_0",             /* partition 0 is not written */
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v_01",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v_4294967296",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_v/x",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_.",
        "ads_1970-01-01T00:00:00.000Z_1970-01-02T00:00:00.000Z_",
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_segid id;
        struct hg_err err = {0};
        if (hg_segid_parse(arena, hg_str_of(t[i]), &id, &err) != HG_E_INVALID) fail_msg("taken: %s", t[i]);
        assert_true(err.msg[0]);
    }
    char big[2 * HG_SEGID_TEXT];
    memset(big, 'a', sizeof big);
    struct hg_segid id;
    assert_int_equal(hg_segid_parse(arena, (struct hg_str){big, sizeof big}, &id, NULL), HG_E_INVALID);
    assert_int_equal(hg_segid_parse(arena, (struct hg_str){"a\0b", 3}, &id, NULL), HG_E_INVALID);
}

static void names(void **state)
{
    (void)state;
    char longest[130];
    memset(longest, 'x', 129);
    longest[129] = 0;
    assert_int_equal(hg_name_check("datasource", longest, NULL), HG_E_INVALID);
    longest[128] = 0;
    assert_int_equal(hg_name_check("datasource", longest, NULL), HG_OK);
    assert_int_equal(hg_name_check("datasource", "", NULL), HG_E_INVALID);
    assert_int_equal(hg_name_check("namespace", "", NULL), HG_OK);
    assert_int_equal(hg_name_check("namespace", "a b", NULL), HG_E_INVALID);
    assert_int_equal(hg_name_check("namespace", "a@b", NULL), HG_E_INVALID);
    assert_int_equal(hg_name_check("namespace", "\xc3\xa9", NULL), HG_E_INVALID);
    assert_int_equal(hg_name_check("namespace", "A-1_b.c", NULL), HG_OK);
}

/* Random ids over a hostile alphabet read back as themselves. */
static void round_trips(void **state)
{
    (void)state;
    static const char abc[] = "a1_-.Z_9";
    for (unsigned seed = 1; seed <= 5000; seed++) {
        srand(seed);
        char ds[12], ns[12], ver[12];
        for (int i = 0; i < 11; i++) ds[i] = abc[rand() % 8], ns[i] = abc[rand() % 8], ver[i] = "a1-.:+9T"[rand() % 8];
        ds[1 + rand() % 10] = 0, ns[rand() % 11] = 0, ver[1 + rand() % 10] = 0;
        int64_t start = (int64_t)rand() * rand() % 4000000000000LL - 2000000000000LL;
        struct hg_segid id = {ds, ns, {start, start + 1 + rand()}, ver, rand() % 2 ? 0 : (uint32_t)rand()}, back;
        if (hg_segid_check(&id, NULL)) continue; /* a leading dot or the like */
        char buf[HG_SEGID_TEXT];
        struct hg_err err = {0};
        int n = hg_segid_text(&id, buf);
        if (hg_segid_parse(arena, (struct hg_str){buf, (size_t)n}, &back, &err) || hg_segid_cmp(&id, &back)) fail_msg("seed %u: %s: %s", seed, buf, err.msg);
    }
}

static enum hg_rc parse_shard(const char *text, struct hg_shard *s, struct hg_err *err)
{
    json_t *j = NULL;
    HG_TRY(hg_json_parse(hg_str_of(text), &j, err));
    enum hg_rc rc = hg_shard_parse(arena, j, &hg_jroot, s, err);
    json_decref(j);
    return rc;
}

static void shards(void **state)
{
    (void)state;
    static const char *const same[] = {
        "{\"type\":\"numbered\",\"partitionNum\":3,\"partitions\":0}",
        "{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":4,\"bucketId\":1,\"numBuckets\":4,\"partitionDimensions\":[\"a\",\"b\"],\"partitionFunction\":\"murmur3_32_abs\"}",
        "{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":2,\"bucketId\":0,\"numBuckets\":4,\"partitionDimensions\":[],\"partitionFunction\":\"murmur3_32_abs\"}",
        "{\"type\":\"range\",\"dimensions\":[\"a\",\"b\"],\"start\":null,\"end\":[\"x\",null],\"partitionNum\":0,\"numCorePartitions\":2}",
        "{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":4,\"bucketId\":1,\"numBuckets\":4,\"partitionDimensions\":[\"a\"],\"partitionFunction\":\"murmur3_32_abs\",\"singleValues\":true}",
        "{\"type\":\"single\",\"dimension\":\"a\",\"start\":\"\",\"end\":null,\"partitionNum\":1,\"numCorePartitions\":2}",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct hg_shard s;
        struct hg_err err = {0};
        if (parse_shard(same[i], &s, &err)) fail_msg("%s: %s", same[i], err.msg);
        json_t *j = hg_shard_json(&s);
        char *text = json_dumps(j, JSON_COMPACT);
        assert_string_equal(text, same[i]);
        free(text);
        json_decref(j);
    }
    struct hg_shard s;
    assert_int_equal(parse_shard("{\"type\":\"none\"}", &s, NULL), HG_OK);
    assert_int_equal(s.core_partitions, 1);
    assert_int_equal(parse_shard("{\"type\":\"linear\",\"partitionNum\":9}", &s, NULL), HG_OK);
    assert_true(s.partition == 9 && s.core_partitions == 0);
    assert_int_equal(parse_shard("{\"type\":\"single\",\"dimension\":\"d\",\"start\":null,\"end\":\"m\",\"partitionNum\":0}", &s, NULL), HG_OK);
    assert_true(s.kind == HG_SHARD_RANGE && s.n_dims == 1 && !s.start && s.end && s.end[0].len == 1);

    static const struct { const char *text, *in_msg; } bad[] = {
        {"[]", "$"},
        {"{}", "$.type"},
        {"{\"type\":\"numbered\"}", "$.partitionNum"},
        {"{\"type\":\"tombstone\"}", "tombstone"},
        {"{\"type\":\"numbered\",\"partitionNum\":-1,\"partitions\":0}", "$.partitionNum"},
        {"{\"type\":\"numbered\",\"partitionNum\":1,\"partitions\":4294967296}", "$.partitions"},
        {"{\"type\":\"numbered\",\"partitionNum\":\"x\",\"partitions\":0}", "$.partitionNum"},
        {"{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":4,\"bucketId\":4,\"numBuckets\":4}", "$.bucketId"},
        {"{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":4,\"partitionDimensions\":[1]}", "$.partitionDimensions[0]"},
        {"{\"type\":\"hashed\",\"partitionNum\":1,\"partitions\":4,\"partitionFunction\":\"md5\"}", "md5"},
        {"{\"type\":\"range\",\"dimensions\":[],\"partitionNum\":0}", "$.dimensions"},
        {"{\"type\":\"range\",\"dimensions\":[\"a\"],\"start\":[\"1\",\"2\"],\"partitionNum\":0}", "$.start"},
        {"{\"type\":\"range\",\"dimensions\":[\"a\"],\"end\":[5],\"partitionNum\":0}", "$.end[0]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hg_err err = {0};
        if (parse_shard(bad[i].text, &s, &err) != HG_E_INVALID || !strstr(err.msg, bad[i].in_msg)) fail_msg("%s: %s", bad[i].text, err.msg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(text_examples), cmocka_unit_test(refused_texts), cmocka_unit_test(names), cmocka_unit_test(round_trips),
                                       cmocka_unit_test(shards)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
