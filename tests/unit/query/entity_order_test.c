/* Filters over a sealed segment whose rows are sorted by entities before time: what a block's least and greatest ids say of it is right, and leaves out the blocks of other entities, with a bitmap index
 * and without; the rows selected are those of a look at every row; an entity's rows are one small batch. */
#include <unistd.h>
#include "help.h"
#include "query/filter/sieve.h"
#include "segment/segment.h"

enum { ADVERTISERS = 20, ADS = 15, HOURS = 150, N = ADVERTISERS * ADS * HOURS, BLOCKS = (N + 4095) / 4096 };
static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"advertiser", HG_T_STRING, NULL, 0}, {"ad", HG_T_STRING, NULL, 0},
                                            {"tags", HG_T_STRING, NULL, 0}, {"country", HG_T_STRING, NULL, 0},    {"n", HG_T_LONG, "longSum", 0}};
#define N_COLS 6
static struct hg_value (*rows)[N_COLS];
static struct hg_segment *segs[2]; /* without bitmap indexes, and with */
static struct hg_err err;

/* Advertiser 7's ads have no name, and its tags are empty lists. */
static int make(void **state)
{
    (void)state;
    static char advertisers[ADVERTISERS][16], ads[ADVERTISERS * ADS][16];
    static struct hg_str tags[ADVERTISERS][2], countries[] = {{"de", 2}, {"fr", 2}, {"us", 2}};
    rows = calloc(N, sizeof *rows);
    for (uint32_t r = 0; r < N; r++) {
        uint32_t ad = r % (ADVERTISERS * ADS), adv = ad % ADVERTISERS, hour = r / (ADVERTISERS * ADS); /* in order of time, entities mixed */
        struct hg_value *v = rows[r];
        snprintf(advertisers[adv], 16, "adv-%02u", adv);
        snprintf(ads[ad], 16, "ad-%03u", ad * 7 % (ADVERTISERS * ADS));
        tags[adv][0] = hg_str_of(advertisers[adv]);
        tags[adv][1] = hg_str_of("all");
        v[0] = (struct hg_value){.kind = HG_V_LONG, .u.i = 1700000000000 - 1700000000000 % 3600000 + (int64_t)hour * 3600000};
        v[1] = (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(advertisers[adv])};
        v[2] = adv == 7 ? (struct hg_value){.kind = HG_V_NULL} : (struct hg_value){.kind = HG_V_STR, .u.s = hg_str_of(ads[ad])};
        v[3] = (struct hg_value){.kind = HG_V_LIST, .u.list = {tags[adv], adv == 7 ? 0 : 2}};
        v[4] = (struct hg_value){.kind = HG_V_STR, .u.s = countries[r * 2654435761u >> 30 ? r % 3 : 2]};
        v[5] = (struct hg_value){.kind = HG_V_LONG, .u.i = 1};
    }
    struct hg_source *src = hg_mem_source_new(cols, N_COLS, rows[0], N, HG_MEM_LIVE_DICT);
    const struct hg_source *one = src;
    for (int bitmaps = 0; bitmaps < 2; bitmaps++) {
        struct hg_schema_dim dims[4] = {{.name = "advertiser"}, {.name = "ad"}, {.name = "tags"}, {.name = "country"}};
        for (int k = 0; k < 4; k++) dims[k].type = HG_T_STRING, dims[k].bitmap = bitmaps;
        struct hg_schema_metric n = {.name = "n", .field = "n", .agg = "longSum", .roll = HG_ROLL_LONG_SUM, .type = HG_T_LONG};
        struct hg_schema schema = {.n_dims = 4, .n_metrics = 1, .dims = dims, .metrics = &n, .time_at = 2, .query_gran.kind = HG_GRAN_NONE};
        char path[] = "/tmp/henge-order-XXXXXX";
        struct hg_segment_stats st;
        close(mkstemp(path));
        int rc = hg_segment_merge(&schema, &one, 1, &(struct hg_segment_write_options){0}, path, &st, &err) || hg_segment_open(path, &segs[bitmaps], &err);
        unlink(path);
        if (rc) return fprintf(stderr, "%s\n", err.msg), -1;
    }
    hg_mem_source_free(src);
    return 0;
}
static int drop(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) hg_segment_close(segs[k]);
    free(rows);
    return 0;
}

#define AD(x) "{\"type\":\"selector\",\"dimension\":\"ad\",\"value\":" x "}"
#define ADV(x) "{\"type\":\"selector\",\"dimension\":\"advertiser\",\"value\":" x "}"
#define TAG(x) "{\"type\":\"selector\",\"dimension\":\"tags\",\"value\":" x "}"
#define NOT(x) "{\"type\":\"not\",\"field\":" x "}"
#define ALL_OF(x, y) "{\"type\":\"and\",\"fields\":[" x "," y "]}"
#define ANY_OF(x, y) "{\"type\":\"or\",\"fields\":[" x "," y "]}"

static const struct { const char *filter; uint32_t rows, blocks, whole; } table[] = { /* selected; blocks that are not known to have none; at least so many known to have nothing else */
    {ADV("\"adv-03\""), ADS * HOURS, 2, 0},
    {AD("\"ad-033\""), HOURS, BLOCKS, 0}, /* names of ads do not follow those of advertisers: without an index each block may have it */
    {ALL_OF(ADV("\"adv-19\""), AD("\"ad-033\"")), HOURS, 2, 0},
    {AD("\"nobody\""), 0, 0, 0},
    {AD("null"), ADS * HOURS, 2, 0},
    {NOT(ADV("\"adv-03\"")), N - ADS * HOURS, BLOCKS, BLOCKS - 2},
    {"{\"type\":\"bound\",\"dimension\":\"advertiser\",\"lower\":\"adv-05\",\"upper\":\"adv-15\",\"upperStrict\":true}", 10 * ADS * HOURS, 7, 4},
    {TAG("\"adv-03\""), ADS * HOURS, 3, 0}, /* "all" is the greatest of each block */
    {TAG("null"), ADS * HOURS, 2, 0},
    {NOT(TAG("null")), N - ADS * HOURS, BLOCKS, BLOCKS - 2},
    {TAG("\"all\""), N - ADS * HOURS, BLOCKS, 0},
    {ANY_OF(ADV("\"adv-00\""), ADV("\"adv-19\"")), 2 * ADS * HOURS, 3, 0},
};

static void check(const struct hg_source *src, size_t k, bool bitmaps)
{
    char json[900];
    struct run r;
    snprintf(json, sizeof json, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":\"2000/2100\",\"granularity\":\"all\",\"filter\":%s}", table[k].filter);
    assert_int_equal(run_open(&r, json, 0), HG_OK);
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_sieve *s;
    struct hg_sel *sel = hg_arena_alloc(a, sizeof *sel);
    assert_int_equal(hg_sieve_new(r.q->plan->filter, src, a, &r.x, &s, &err), HG_OK);
    uint32_t selected = 0, maybe = 0, whole = 0;
    for (uint32_t b = 0; b < hg_source_blocks(src); b++) {
        enum hg_cover c;
        uint32_t from = b * HG_BLOCK_ROWS, n = hg_block_rows(src, b), next = hg_sieve_skip(s, from);
        assert_int_equal(hg_sieve_block(s, b, &c, &err), HG_OK);
        hg_sel_all(sel, n);
        assert_int_equal(hg_sieve_rows(s, from, n, sel, &err), HG_OK);
        if (c == HG_COVER_NONE ? sel->n != 0 : c == HG_COVER_ALL && sel->n != n) fail_msg("%s: block %u has %u of %u rows, which is not what its ids say", table[k].filter, b, sel->n, n);
        hg_sel_list(sel);
        if (next < from || (sel->n && next > from + sel->at[0])) fail_msg("%s: block %u: row %u was skipped for %u", table[k].filter, b, from + sel->at[0], next);
        selected += sel->n;
        maybe += c != HG_COVER_NONE;
        whole += c == HG_COVER_ALL;
    }
    if (selected != table[k].rows || maybe > table[k].blocks || whole < table[k].whole)
        fail_msg("%s, %s bitmap indexes: %u rows in %u blocks, %u of them whole; want %u in %u, %u", table[k].filter, bitmaps ? "with" : "without", selected, maybe, whole, table[k].rows, table[k].blocks,
                 table[k].whole);
    hg_arena_free(a);
    run_close(&r);
}

static void blocks_by_ids(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof table / sizeof *table; k++)
        for (int bitmaps = 0; bitmaps < 2; bitmaps++) check(hg_segment_source(segs[bitmaps]), k, bitmaps);
}

/* One ad, all hours: no more is scanned than its rows, however they are found. */
static void one_batch(void **state)
{
    (void)state;
    for (int bitmaps = 0; bitmaps < 2; bitmaps++) {
        struct run r;
        struct hg_partial *p;
        assert_int_equal(run_open(&r, "{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":\"2000/2100\",\"granularity\":\"hour\",\"context\":{\"skipEmptyBuckets\":true},"
                                      "\"aggregations\":[{\"type\":\"longSum\",\"name\":\"n\",\"fieldName\":\"n\"}],\"filter\":" ALL_OF(ADV("\"adv-19\""), AD("\"ad-033\"")) "}", 0), HG_OK);
        assert_int_equal(run_scan(&r, hg_segment_source(segs[bitmaps]), &p), HG_OK);
        assert_int_equal(p->n_rows, HOURS);
        assert_int_equal(r.x.stats.rows_selected, HOURS);
        assert_true(r.x.stats.blocks_read <= 2);
        hg_partial_free(p);
        run_close(&r);
    }
}

/* Part of the time: blocks are left out by their times too. */
static void part_of_the_time(void **state)
{
    (void)state;
    char *got = run_text("{\"queryType\":\"timeseries\",\"dataSource\":\"t\",\"intervals\":[\"2023-11-15/2023-11-15T06\",\"2023-11-18T03/2023-11-18T04\"],\"granularity\":\"all\","
                         "\"aggregations\":[{\"type\":\"longSum\",\"name\":\"n\",\"fieldName\":\"n\"}],\"filter\":" ADV("\"adv-07\"") "}", hg_segment_source(segs[1]));
    char want[40];
    snprintf(want, sizeof want, "0|%d\n", 7 * ADS);
    assert_string_equal(got, want);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(blocks_by_ids), cmocka_unit_test(one_batch), cmocka_unit_test(part_of_the_time)};
    return cmocka_run_group_tests(tests, make, drop);
}
