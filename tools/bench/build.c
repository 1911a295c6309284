/* How fast segments are built: from columns through the segment writer, by merging, from live rows, and from files by `henge index`.
 *
 *   henge-bench-build [ROWS] [--henge PATH] [--only write|merge|live|index]      default: 1,000,000 made-up ads rows of one day
 *
 * Prints rows a second of CPU time of one thread, best of several rounds; for `henge index` rows a second of all its CPU time, user and system, likewise. */
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "bench/columns.h"
#include "segment/live.h"
#include "segment/segment.h"

enum { ROUNDS = 5, SHARES = 4 };

static char dir[] = "/tmp/henge-bench-build-XXXXXX";

static char *in_dir(const char *name, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s/%s", dir, name);
    return buf;
}

static void say(const char *what, uint32_t rows, double cpu, uint64_t bytes)
{
    printf("%-44s %8.3f s %8.2f M rows/s/core", what, cpu, rows / cpu / 1e6);
    if (bytes) printf(" %8.2f bytes a row", (double)bytes / rows);
    printf("\n");
    fflush(stdout);
}

/* ---- from columns ---- */

static void write_columns(const struct bench_columns *c, const char *what, const struct bench_write *how)
{
    char path[256];
    double best = 1e9;
    uint64_t bytes = 0;
    for (int i = 0; i < ROUNDS; i++) {
        double begin = bench_cpu_s();
        bytes = bench_columns_write(c, how, in_dir("written.seg", path, sizeof path));
        double took = bench_cpu_s() - begin;
        if (took < best) best = took;
    }
    unlink(path);
    say(what, c->n, best, bytes);
}

static void bench_write_all(const struct bench_columns *c)
{
    write_columns(c, "columns to a segment, zstd", &(struct bench_write){.zstd_level = 3});
    write_columns(c, "columns to a segment, not compressed", &(struct bench_write){0});
    write_columns(c, "the same without bitmaps and entities", &(struct bench_write){.no_bitmaps = true, .no_entities = true});
}

/* ---- merging ---- */

static void merge(const struct hg_schema *schema, const struct hg_source *const *srcs, size_t n, int zstd_level, const char *what, uint32_t rows)
{
    struct hg_err err;
    char path[256];
    double best = 1e9;
    struct hg_segment_stats stats;
    for (int i = 0; i < ROUNDS; i++) {
        double begin = bench_cpu_s();
        bench_need(hg_segment_merge(schema, srcs, n, &(struct hg_segment_write_options){.zstd_level = zstd_level}, in_dir("merged.seg", path, sizeof path), &stats, &err), &err);
        double took = bench_cpu_s() - begin;
        if (took < best) best = took;
    }
    unlink(path);
    say(what, rows, best, stats.bytes);
}

/* The shares are written as segments that are sorted as a merge sorts, which is what a merge of sealed parts meets. */
static void bench_merge_all(const struct bench_columns *c, const struct hg_schema *schema)
{
    struct hg_err err;
    struct hg_segment *segs[SHARES];
    const struct hg_source *srcs[SHARES];
    char raw[256], path[256], name[32];
    for (uint32_t k = 0; k < SHARES; k++) {
        struct bench_columns *s = bench_columns_share(c, k, SHARES);
        struct hg_segment *whole;
        struct hg_segment_stats stats;
        bench_columns_write(s, &(struct bench_write){0}, in_dir("raw.seg", raw, sizeof raw));
        bench_columns_free(s);
        snprintf(name, sizeof name, "share-%u.seg", k);
        bench_need(hg_segment_open(raw, &whole, &err), &err);
        const struct hg_source *src = hg_segment_source(whole);
        bench_need(hg_segment_merge(schema, &src, 1, &(struct hg_segment_write_options){0}, in_dir(name, path, sizeof path), &stats, &err), &err);
        hg_segment_close(whole);
        bench_need(hg_segment_open(path, &segs[k], &err), &err);
        srcs[k] = hg_segment_source(segs[k]);
    }
    merge(schema, srcs, SHARES, 3, "4 segments merged, zstd", c->n);
    merge(schema, srcs, SHARES, 0, "4 segments merged, not compressed", c->n);
    for (uint32_t k = 0; k < SHARES; k++) hg_segment_close(segs[k]);
}

/* ---- live rows ---- */

static struct hg_str text_of(uint64_t v, char *buf)
{
    int len = snprintf(buf, 24, "%" PRIu64, v);
    return (struct hg_str){buf, (size_t)len};
}

enum { BATCH = 1024, METRICS = BENCH_LONGS + 1 };
static struct hg_value dim_values[BATCH][BENCH_DIMS], metric_values[BATCH][METRICS];
static char texts[BATCH][BENCH_DIMS][24];

static void fill_batch(const struct bench_columns *c, uint32_t at, uint32_t n, struct hg_row *rows)
{
    for (uint32_t i = 0; i < n; i++) {
        for (int d = 0; d < BENCH_DIMS; d++) dim_values[i][d] = (struct hg_value){.kind = HG_V_STR, .u.s = text_of(c->dims[d].base + c->dims[d].v[at + i], texts[i][d])};
        for (int m = 0; m < BENCH_LONGS; m++) metric_values[i][m] = (struct hg_value){.kind = HG_V_LONG, .u.i = c->longs[m][at + i]};
        metric_values[i][BENCH_LONGS] = (struct hg_value){.kind = HG_V_DOUBLE, .u.d = c->spend[at + i]};
        rows[i] = (struct hg_row){c->time[at + i], dim_values[i], metric_values[i]};
    }
}

static void bench_live_all(const struct bench_columns *c, const struct hg_schema *schema)
{
    struct hg_err err;
    struct hg_live *live;
    struct hg_row rows[BATCH];
    double took = 0;
    bench_need(hg_live_new(schema, &(struct hg_live_opts){.max_rows = c->n, .min_time = HG_TIME_MIN}, &live, &err), &err);
    for (uint32_t at = 0; at < c->n; at += BATCH) {
        uint32_t n = c->n - at < BATCH ? c->n - at : BATCH, taken;
        fill_batch(c, at, n, rows);
        double begin = bench_cpu_s();
        bench_need(hg_live_add(live, rows, n, &taken, &err), &err);
        took += bench_cpu_s() - begin;
    }
    say("rows into the live index", c->n, took, 0);
    hg_live_freeze(live);
    const struct hg_source *src;
    hg_live_acquire(live, &src);
    merge(schema, &src, 1, 0, "the live index to a segment, not compressed", c->n);
    hg_live_release(live);
    hg_live_free(live);
}

/* ---- files ---- */

static void write_csv(const struct bench_columns *c, FILE *f)
{
    for (uint32_t i = 0; i < c->n; i++) {
        fprintf(f, "2024-02-01T%02d:00:00Z", (int)((c->time[i] - c->time[0]) / 3600000) % 24);
        for (int d = 0; d < BENCH_DIMS; d++) fprintf(f, ",%" PRIu64, c->dims[d].base + c->dims[d].v[i]);
        for (int m = 0; m < BENCH_LONGS; m++) fprintf(f, ",%" PRId64, c->longs[m][i]);
        fprintf(f, ",%.6f\n", c->spend[i]);
    }
}

static void write_json(const struct bench_columns *c, FILE *f)
{
    for (uint32_t i = 0; i < c->n; i++) {
        fprintf(f, "{\"timestamp\":\"2024-02-01T%02d:00:00Z\"", (int)((c->time[i] - c->time[0]) / 3600000) % 24);
        for (int d = 0; d < BENCH_DIMS; d++) fprintf(f, ",\"%s\":\"%" PRIu64 "\"", c->dims[d].name, c->dims[d].base + c->dims[d].v[i]);
        for (int m = 0; m < BENCH_LONGS; m++) fprintf(f, ",\"%s\":%" PRId64, c->long_names[m], c->longs[m][i]);
        fprintf(f, ",\"spend\":%.6f}\n", c->spend[i]);
    }
}

static void put_names(FILE *f, const struct bench_columns *c, bool csv)
{
    if (csv) fputs("\"timestamp\",", f);
    for (int d = 0; d < BENCH_DIMS; d++) fprintf(f, "%s\"%s\"", d ? "," : "", c->dims[d].name);
    for (int m = 0; csv && m < BENCH_LONGS; m++) fprintf(f, ",\"%s\"", c->long_names[m]);
    if (csv) fputs(",\"spend\"", f);
}

static void write_spec(const struct bench_columns *c, const char *rows, bool csv, FILE *f)
{
    fputs("{\"type\":\"index_parallel\",\"spec\":{\"dataSchema\":{\"dataSource\":\"ads\",\"timestampSpec\":{\"column\":\"timestamp\",\"format\":\"iso\"},\"dimensionsSpec\":{\"dimensions\":[", f);
    put_names(f, c, false);
    fputs("],\"entityDimensions\":[\"advertiser_id\",\"campaign_id\",\"ad_group_id\",\"ad_id\"]},\"metricsSpec\":[", f);
    for (int m = 0; m < BENCH_LONGS; m++) fprintf(f, "{\"type\":\"longSum\",\"name\":\"%s\",\"fieldName\":\"%s\"},", c->long_names[m], c->long_names[m]);
    fputs("{\"type\":\"doubleSum\",\"name\":\"spend\",\"fieldName\":\"spend\"}],\"granularitySpec\":{\"segmentGranularity\":\"DAY\",\"queryGranularity\":\"HOUR\",\"rollup\":true}},", f);
    fprintf(f, "\"ioConfig\":{\"type\":\"index_parallel\",\"inputSource\":{\"type\":\"local\",\"files\":[\"%s\"]},\"inputFormat\":", rows);
    if (csv) {
        fputs("{\"type\":\"csv\",\"columns\":[", f);
        put_names(f, c, true);
        fputs("]}", f);
    } else {
        fputs("{\"type\":\"json\"}", f);
    }
    fputs("},\"tuningConfig\":{\"type\":\"index_parallel\"}}}", f);
}

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "w");
    if (f) return f;
    perror(path);
    exit(1);
}

/* -> CPU seconds of the child, user and system. */
static double run_index(const char *henge, const char *spec, const char *data)
{
    extern char **environ;
    struct rusage before, after;
    pid_t pid;
    int status = 1;
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
    char index[] = "index", option[] = "--data";
    char *argv[] = {(char *)(uintptr_t)henge, index, (char *)(uintptr_t)spec, option, (char *)(uintptr_t)data, NULL};
    getrusage(RUSAGE_CHILDREN, &before);
    if (posix_spawn(&pid, henge, &quiet, NULL, argv, environ) || waitpid(pid, &status, 0) < 0 || status) {
        fprintf(stderr, "%s index %s failed\n", henge, spec);
        exit(1);
    }
    posix_spawn_file_actions_destroy(&quiet);
    getrusage(RUSAGE_CHILDREN, &after);
    return (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
           (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
}

static void bench_index(const struct bench_columns *c, const char *henge, bool csv)
{
    char rows[256], spec[256], data[256];
    struct hg_err err;
    FILE *f = create(in_dir(csv ? "rows.csv" : "rows.json", rows, sizeof rows));
    if (csv) write_csv(c, f);
    else write_json(c, f);
    fclose(f);
    f = create(in_dir("spec.json", spec, sizeof spec));
    write_spec(c, rows, csv, f);
    fclose(f);
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double took = run_index(henge, spec, in_dir("data", data, sizeof data));
        if (took < best) best = took;
        bench_need(hg_dir_remove_all(data, &err), &err);
    }
    say(csv ? "henge index, CSV" : "henge index, JSON", c->n, best, 0);
    unlink(rows);
}

int main(int argc, char **argv)
{
    uint32_t n = 1000000;
    const char *only = "", *henge = NULL;
    char beside[512], *slash;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--henge") == 0 && i + 1 < argc) henge = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) only = argv[++i];
        else n = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    if (n < 1000 || n > 100000000) return fprintf(stderr, "usage: henge-bench-build [ROWS: 1,000 to 100,000,000] [--henge PATH] [--only write|merge|live|index]\n"), 2;
    if (!henge) { /* build/tools/henge-bench-build: build/henge */
        snprintf(beside, sizeof beside - 16, "%s", argv[0]);
        if ((slash = strrchr(beside, '/'))) memcpy(slash + 1, "../henge", 9);
        henge = beside;
    }
    if (!mkdtemp(dir)) return perror(dir), 1;
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return 1;
    const struct hg_schema *schema = bench_schema(a);
    struct bench_columns *c = bench_columns_new(n, 20240308);
    printf("%" PRIu32 " rows, %d dimensions, %d metrics\n", n, BENCH_DIMS, METRICS);
    if (strstr("write", only)) bench_write_all(c);
    if (strstr("merge", only)) bench_merge_all(c, schema);
    if (strstr("live", only)) bench_live_all(c, schema);
    if (strstr("index", only)) {
        if (access(henge, X_OK)) fprintf(stderr, "%s is not there: no figures for henge index; --henge PATH\n", henge);
        else bench_index(c, henge, true), bench_index(c, henge, false);
    }
    bench_columns_free(c);
    hg_arena_free(a);
    struct hg_err err;
    bench_need(hg_dir_remove_all(dir, &err), &err);
    return 0;
}
