#include "columns.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <jansson.h>

#include "segment/dict.h"

enum { ADS = 100000, GROUPS = 30000, CAMPAIGNS = 10000, ADVERTISERS = 2000, NESTED = 4 };

double bench_cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_need(enum hg_rc rc, const struct hg_err *err)
{
    if (rc == HG_OK) return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (p) return p;
    fprintf(stderr, "no memory for %zu times %zu bytes\n", n, size);
    exit(1);
}

static uint64_t state = 20240308;
uint64_t bench_random(void)
{
    uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static double unit(void) { return ((double)(bench_random() >> 11) + 0.5) / 9007199254740992.0; }

static int ascending(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, 8);
    memcpy(&y, b, 8);
    return (x > y) - (x < y);
}

/* Nested ids: child c belongs to parent[c], ascending. */
static uint64_t *nest(uint32_t children, uint32_t parents)
{
    uint64_t *of = zeroed(children, sizeof *of);
    for (uint32_t c = 0; c < children; c++) of[c] = bench_random() % parents;
    qsort(of, children, sizeof *of, ascending);
    return of;
}

/* Hour and ad of each row, sorted. */
static uint64_t *make_keys(uint32_t n)
{
    double *upto = zeroed(ADS, sizeof *upto), total = 0;
    for (uint32_t k = 0; k < ADS; k++) upto[k] = total += pow(1 + (double)(bench_random() % ADS), -0.8);
    uint64_t *row = zeroed(n, sizeof *row);
    for (uint32_t i = 0; i < n; i++) {
        double x = unit() * total;
        uint32_t lo = 0, hi = ADS - 1;
        while (lo < hi) {
            uint32_t mid = lo + (hi - lo) / 2;
            if (upto[mid] < x) lo = mid + 1;
            else hi = mid;
        }
        row[i] = bench_random() % 24 << 32 | lo;
    }
    qsort(row, n, sizeof *row, ascending);
    free(upto);
    return row;
}

static struct bench_columns *empty(uint32_t n)
{
    static const struct bench_dim dims[BENCH_DIMS] = {
        {"advertiser_id", UINT64_C(549755800000), ADVERTISERS, NULL}, {"campaign_id", UINT64_C(626700000000), CAMPAIGNS, NULL}, {"ad_group_id", UINT64_C(2680000000000), GROUPS, NULL},
        {"ad_id", UINT64_C(687200000000), ADS, NULL}, {"country", 10, 40, NULL}, {"device", 10, 4, NULL}, {"placement", 10, 5, NULL}, {"objective", 10, 5, NULL}, {"age_bucket", 10, 7, NULL}, {"gender", 10, 3, NULL}};
    static const char *const longs[BENCH_LONGS] = {"impressions", "clicks", "conversions", "video_ms"};
    struct bench_columns *c = zeroed(1, sizeof *c);
    c->n = n;
    c->time = zeroed(n, sizeof *c->time);
    c->spend = zeroed(n, sizeof *c->spend);
    memcpy(c->dims, dims, sizeof dims);
    for (int d = 0; d < BENCH_DIMS; d++) c->dims[d].v = zeroed(n, sizeof(uint32_t));
    for (int m = 0; m < BENCH_LONGS; m++) {
        c->long_names[m] = longs[m];
        c->longs[m] = zeroed(n, sizeof(int64_t));
    }
    return c;
}

struct bench_columns *bench_columns_new(uint32_t n, uint64_t seed)
{
    state = seed;
    uint64_t *group_of = nest(ADS, GROUPS), *campaign_of = nest(GROUPS, CAMPAIGNS), *advertiser_of = nest(CAMPAIGNS, ADVERTISERS), *row = make_keys(n);
    struct bench_columns *c = empty(n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ad = (uint32_t)row[i];
        c->time[i] = INT64_C(1706745600000) + (int64_t)(row[i] >> 32) * 3600000;
        c->dims[3].v[i] = ad;
        c->dims[2].v[i] = (uint32_t)group_of[ad];
        c->dims[1].v[i] = (uint32_t)campaign_of[group_of[ad]];
        c->dims[0].v[i] = (uint32_t)advertiser_of[campaign_of[group_of[ad]]];
        for (int d = NESTED; d < BENCH_DIMS; d++) c->dims[d].v[i] = (uint32_t)(unit() * unit() * c->dims[d].card);
        int64_t impressions = 1 + (int64_t)(log(unit()) / log(0.98));
        c->longs[0][i] = impressions;
        c->longs[1][i] = (int64_t)((double)impressions * 0.04 * unit());
        c->longs[2][i] = bench_random() % 400 == 0;
        c->longs[3][i] = bench_random() % 10 < 3 ? impressions * (int64_t)(bench_random() % 30000) : 0;
        c->spend[i] = round((double)impressions * -4000 * (log(unit()) + log(unit()))) / 1e6;
    }
    free(group_of), free(campaign_of), free(advertiser_of), free(row);
    return c;
}

void bench_columns_free(struct bench_columns *c)
{
    for (int d = 0; d < BENCH_DIMS; d++) free(c->dims[d].v);
    for (int m = 0; m < BENCH_LONGS; m++) free(c->longs[m]);
    free(c->time);
    free(c->spend);
    free(c);
}

struct bench_columns *bench_columns_share(const struct bench_columns *c, uint32_t nth, uint32_t of)
{
    struct bench_columns *s = empty(nth < c->n ? (c->n - nth + of - 1) / of : 0);
    for (uint32_t i = nth, k = 0; k < s->n; i += of, k++) {
        s->time[k] = c->time[i];
        s->spend[k] = c->spend[i];
        for (int d = 0; d < BENCH_DIMS; d++) s->dims[d].v[k] = c->dims[d].v[i];
        for (int m = 0; m < BENCH_LONGS; m++) s->longs[m][k] = c->longs[m][i];
    }
    return s;
}

const struct hg_schema *bench_schema(struct hg_arena *a)
{
    static const char text[] =
        "{\"dimensionsSpec\":{\"dimensions\":[\"advertiser_id\",\"campaign_id\",\"ad_group_id\",\"ad_id\",\"country\",\"device\",\"placement\",\"objective\",\"age_bucket\",\"gender\"],"
        "\"entityDimensions\":[\"advertiser_id\",\"campaign_id\",\"ad_group_id\",\"ad_id\"]},"
        "\"metricsSpec\":[{\"type\":\"longSum\",\"name\":\"impressions\",\"fieldName\":\"impressions\"},{\"type\":\"longSum\",\"name\":\"clicks\",\"fieldName\":\"clicks\"},"
        "{\"type\":\"longSum\",\"name\":\"conversions\",\"fieldName\":\"conversions\"},{\"type\":\"longSum\",\"name\":\"video_ms\",\"fieldName\":\"video_ms\"},"
        "{\"type\":\"doubleSum\",\"name\":\"spend\",\"fieldName\":\"spend\"}],"
        "\"granularitySpec\":{\"queryGranularity\":\"HOUR\",\"rollup\":true}}";
    struct hg_err err;
    json_t *j;
    struct hg_schema *s;
    bench_need(hg_json_parse((struct hg_str){text, sizeof text - 1}, &j, &err), &err);
    bench_need(hg_schema_parse(a, j, &hg_jroot, &s, &err), &err);
    json_decref(j);
    return s;
}

static uint32_t block_rows(uint32_t n, uint32_t at) { return n - at < HG_BLOCK_ROWS ? n - at : HG_BLOCK_ROWS; }

static void write_dim(struct hg_segwriter *w, const struct bench_dim *dim, const struct bench_write *how, bool entity, uint32_t n)
{
    struct hg_err err;
    uint32_t *id = zeroed(dim->card, sizeof *id), next = 1, ids[HG_BLOCK_ROWS];
    for (uint32_t i = 0; i < n; i++) id[dim->v[i]] = 1;
    struct hg_dict_writer d;
    struct hg_buf b;
    hg_dict_writer_init(&d);
    hg_buf_init(&b, (size_t)1 << 30);
    for (uint32_t k = 0; k < dim->card; k++) {
        if (!id[k]) continue;
        char text[32];
        int len = snprintf(text, sizeof text, "%" PRIu64, dim->base + k);
        bench_need(hg_dict_writer_add(&d, (struct hg_str){text, (size_t)len}, &err), &err);
        id[k] = next++;
    }
    bench_need(hg_dict_writer_finish(&d, &b, &err), &err);
    struct hg_segwriter_column col = {.name = dim->name, .type = HG_T_STRING, .bitmap = !how->no_bitmaps, .entity = entity};
    bench_need(hg_segwriter_begin(w, &col, hg_buf_span(&b), next, &err), &err);
    for (uint32_t at = 0; at < n; at += HG_BLOCK_ROWS) {
        uint32_t m = block_rows(n, at);
        for (uint32_t i = 0; i < m; i++) ids[i] = id[dim->v[at + i]];
        bench_need(hg_segwriter_ids(w, ids, m, &err), &err);
    }
    bench_need(hg_segwriter_end(w, &err), &err);
    hg_dict_writer_free(&d);
    hg_buf_free(&b);
    free(id);
}

static void write_longs(struct hg_segwriter *w, const char *name, const char *agg, const int64_t *v, uint32_t n)
{
    struct hg_err err;
    int64_t block[HG_BLOCK_ROWS];
    bench_need(hg_segwriter_begin(w, &(struct hg_segwriter_column){.name = name, .agg = agg, .type = HG_T_LONG}, (struct hg_span){0}, 0, &err), &err);
    for (uint32_t at = 0; at < n; at += HG_BLOCK_ROWS) {
        memcpy(block, v + at, block_rows(n, at) * sizeof *v);
        bench_need(hg_segwriter_i64(w, block, NULL, block_rows(n, at), &err), &err);
    }
    bench_need(hg_segwriter_end(w, &err), &err);
}

static void write_doubles(struct hg_segwriter *w, const char *name, const char *agg, const double *v, uint32_t n)
{
    struct hg_err err;
    double block[HG_BLOCK_ROWS];
    bench_need(hg_segwriter_begin(w, &(struct hg_segwriter_column){.name = name, .agg = agg, .type = HG_T_DOUBLE}, (struct hg_span){0}, 0, &err), &err);
    for (uint32_t at = 0; at < n; at += HG_BLOCK_ROWS) {
        memcpy(block, v + at, block_rows(n, at) * sizeof *v);
        bench_need(hg_segwriter_f64(w, block, NULL, block_rows(n, at), &err), &err);
    }
    bench_need(hg_segwriter_end(w, &err), &err);
}

uint64_t bench_columns_write(const struct bench_columns *c, const struct bench_write *how, const char *path)
{
    struct hg_err err;
    struct hg_segwriter *w;
    struct hg_segwriter_done done;
    struct hg_segwriter_file f = {.n_rows = c->n, .sorted = false, .query_gran = "\"hour\"", .zstd_level = how->zstd_level, .entities = !how->no_entities};
    bench_need(hg_segwriter_open(path, &f, &w, &err), &err);
    write_longs(w, "__time", NULL, c->time, c->n);
    for (int d = 0; d < BENCH_DIMS; d++) write_dim(w, &c->dims[d], how, d < NESTED && !how->no_entities, c->n);
    for (int m = 0; m < BENCH_LONGS; m++) write_longs(w, c->long_names[m], "longSum", c->longs[m], c->n);
    write_doubles(w, "spend", "doubleSum", c->spend, c->n);
    bench_need(hg_segwriter_commit(w, &done, &err), &err);
    return done.bytes;
}
