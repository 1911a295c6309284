/* Resident segments, and segments behind a block cache, answer as the file does; a resident one needs the file no more; capacity and limits are kept. */
#include "unit/support.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/metrics.h"
#include "base/usage.h"
#include "random_rows.h"
#include "segment/block_cache.h"
#include "segment/resident.h"
#include "segment/segment.h"
#include "source_compare.h"

#define POOL ((int64_t)6 << 20) /* below the 8 MiB that most systems let anybody lock */

static struct hg_resident_pool *pool_of(int64_t capacity)
{
    struct hg_err err;
    struct hg_resident_pool *p;
    enum hg_rc rc = hg_resident_pool_new(capacity, &p, &err);
    if (rc == HG_E_LIMIT) {
        print_message("cannot be tried here: %s\n", err.msg);
        skip();
    }
    assert_ok(rc, err);
    return p;
}

static struct hg_segment *opened(const char *path)
{
    struct hg_err err;
    struct hg_segment *seg;
    assert_ok(hg_segment_open(path, &seg, &err), err);
    return seg;
}

/* Writes a random segment of about n rows at path. */
static void make_file(uint64_t seed, uint32_t n, int level, const char *path)
{
    struct rng r = {seed};
    struct world w;
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = level};
    world_make(&w, &r);
    struct hg_value *rows = world_rows(&w, &r, n);
    const struct hg_source *src = hg_mem_source_new(w.defs, w.n_cols, rows, n, 0);
    assert_ok(hg_segment_merge(&w.schema, &src, 1, &opt, path, &st, &err), err);
    hg_mem_source_free((struct hg_source *)src);
    free(rows);
    world_free(&w);
}

static void same(const struct hg_segment *got, const struct hg_segment *want, uint64_t seed, const char *what)
{
    struct hg_cmp at = {""};
    if (!hg_same_sources(hg_segment_source(got), hg_segment_source(want), &at)) fail_msg("seed %llu, %s: %s", (unsigned long long)seed, what, at.text);
}

static uint64_t hits; /* of all caches */

static void try_file(uint64_t seed, uint32_t n, int level)
{
    struct hg_err err;
    char path[512];
    snprintf(path, sizeof path, "%s", hg_test_path("a.seg"));
    make_file(seed, n, level, path);
    struct hg_resident_pool *pool = pool_of(POOL);
    struct hg_block_cache *cache;
    assert_ok(hg_block_cache_new(1 << 20, &cache, &err), err);
    struct hg_segment *plain = opened(path), *hot = opened(path), *cold = opened(path);
    const struct hg_source *before = hg_segment_source(hot);
    uint64_t need = hg_segment_resident_bytes(hot), bytes = hg_segment_bytes(hot);
    assert_ok(hg_segment_make_resident(hot, pool, &err), err);
    assert_ok(hg_segment_make_resident(hot, pool, &err), err); /* once more is nothing */
    assert_true(hg_segment_resident(hot) && !hg_segment_resident(plain));
    assert_ptr_equal(hg_segment_source(hot), before);
    assert_int_equal(hg_segment_bytes(hot), bytes);
    assert_int_equal(hg_segment_resident_bytes(hot), need);
    assert_int_equal(hg_resident_pool_used(pool), need);
    assert_int_equal(hg_metric_get(HG_M_resident_bytes, NULL), need);
    hg_segment_use_cache(cold, cache);
    same(hot, plain, seed, "resident");
    same(cold, plain, seed, "cached");
    same(cold, hot, seed, "cached once more");
    assert_ok(hg_segment_verify(hot, &err), err); /* the image is a whole segment file */
    assert_ok(hg_segment_verify(cold, &err), err);
    struct hg_block_cache_stats st;
    hg_block_cache_stat(cache, &st);
    assert_true(st.bytes <= st.budget);
    hits += st.hits;
    hg_segment_close(plain);
    hg_segment_close(hot);
    hg_segment_close(cold);
    assert_int_equal(hg_resident_pool_used(pool), 0);
    assert_int_equal(hg_metric_get(HG_M_resident_bytes, NULL), 0);
    hg_block_cache_stat(cache, &st);
    assert_int_equal(st.blocks, 0); /* closing forgets */
    assert_int_equal(st.bytes, 0);
    assert_int_equal(hg_metric_get(HG_M_block_cache_bytes, NULL), 0);
    hg_block_cache_free(cache);
    hg_resident_pool_free(pool);
}

static void answers_are_the_files(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(), end = seed + 60; seed < end; seed++) try_file(seed, (uint32_t)(seed % 6 ? 1 + seed * 7919 % 300 : 0), seed % 3 ? 3 : 0);
    for (uint64_t seed = first_seed() + 1000, end = seed + 6; seed < end; seed++) try_file(seed, (uint32_t)(4096 * (1 + seed % 3) + seed % 5 - 2), seed % 3 ? 3 : 0);
    assert_true(hits > 100);
}

/* ---- threads on one segment ---- */

struct reading { const struct hg_segment *seg, *plain; struct hg_cmp at; bool same; };
static void *compare_all(void *arg)
{
    struct reading *r = arg;
    r->same = true;
    for (int i = 0; i < 2 && r->same; i++) r->same = hg_same_sources(hg_segment_source(r->seg), hg_segment_source(r->plain), &r->at);
    return NULL;
}

static void threads_share(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    struct hg_err err;
    char path[512];
    snprintf(path, sizeof path, "%s", hg_test_path("shared.seg"));
    make_file(4, 9000, 3, path);
    struct hg_resident_pool *pool = pool_of(POOL);
    struct hg_block_cache *cache;
    assert_ok(hg_block_cache_new(1 << 20, &cache, &err), err);
    struct hg_segment *plain = opened(path), *hot = opened(path), *cold = opened(path);
    assert_ok(hg_segment_make_resident(hot, pool, &err), err);
    hg_segment_use_cache(cold, cache);
    pthread_t t[THREADS];
    struct reading r[THREADS];
    for (int i = 0; i < THREADS; i++) {
        r[i] = (struct reading){.seg = i % 2 ? hot : cold, .plain = plain};
        assert_int_equal(pthread_create(&t[i], NULL, compare_all, &r[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (!r[i].same) fail_msg("thread %d: %s", i, r[i].at.text);
    hg_segment_close(plain);
    hg_segment_close(hot);
    hg_segment_close(cold);
    hg_block_cache_free(cache);
    hg_resident_pool_free(pool);
}

/* Drops the file's pages from memory. */
static void evict(const char *path)
{
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

static uint64_t sum_of(const struct hg_source *s)
{
    static int64_t v[HG_BLOCK_ROWS];
    static uint8_t z[HG_BLOCK_ROWS];
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    uint64_t sum = 0;
    for (uint32_t k = 0; k < s->n_cols; k++) {
        const struct hg_column *c = &s->cols[k];
        struct hg_colread *r;
        assert_ok(c->ops->open(c, a, &r, &err), err);
        for (uint32_t b = 0; b < hg_source_blocks(s); b++) {
            uint32_t n = hg_block_rows(s, b);
            if (hg_type_is_integer(c->type)) assert_ok(c->ops->i64(r, b * HG_BLOCK_ROWS, n, v, z, &err), err);
            else if (c->type == HG_T_STRING && !c->multi) assert_ok(c->ops->ids(r, b * HG_BLOCK_ROWS, n, (uint32_t *)v, &err), err);
            else continue;
            for (uint32_t i = 0; i < n; i++) sum += c->dict ? ((uint32_t *)v)[i] : (uint64_t)v[i];
        }
        if (!c->dict) continue;
        roaring_bitmap_t *bm = roaring_bitmap_create();
        for (uint32_t id = 0; id < c->dict->card; id++) assert_ok(c->ops->rows_of(c, &id, 1, bm, &err), err);
        sum += roaring_bitmap_get_cardinality(bm);
        roaring_bitmap_free(bm);
    }
    hg_arena_free(a);
    return sum;
}

static void the_file_may_go(void **state)
{
    (void)state;
    struct hg_err err;
    char path[512];
    snprintf(path, sizeof path, "%s", hg_test_path("gone.seg"));
    make_file(5, 20000, 3, path);
    struct hg_resident_pool *pool = pool_of(POOL);
    struct hg_segment *cold = opened(path), *hot = opened(path);
    uint64_t want = sum_of(hg_segment_source(cold));
    hg_segment_close(cold);
    assert_ok(hg_segment_make_resident(hot, pool, &err), err);
    evict(path);

    /* What the measure is worth: the same reading of the file does wait for the disk, where the file is on one. */
    cold = opened(path);
    evict(path);
    int64_t faults = hg_thread_major_faults();
    assert_int_equal(sum_of(hg_segment_source(cold)), want);
    print_message("major faults without residency: %lld\n", (long long)(hg_thread_major_faults() - faults));
    hg_segment_close(cold);

    evict(path);
    assert_int_equal(unlink(path), 0);
    faults = hg_thread_major_faults();
    assert_int_equal(sum_of(hg_segment_source(hot)), want);
    assert_int_equal(hg_thread_major_faults() - faults, 0);

    /* All of it is locked. */
    char line[200];
    long locked = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) (void)sscanf(line, "VmLck: %ld kB", &locked);
    if (f) fclose(f);
    assert_true(locked * 1024 >= (long)hg_segment_resident_bytes(hot));
    hg_segment_close(hot);
    hg_resident_pool_free(pool);
}

static void past_capacity(void **state)
{
    (void)state;
    struct hg_err err;
    char path[512], want[900];
    snprintf(path, sizeof path, "%s", hg_test_path("big.seg"));
    make_file(4, 9000, 3, path);
    struct hg_segment *one = opened(path), *two = opened(path), *plain = opened(path);
    long long need = (long long)hg_segment_resident_bytes(one), capacity = need * 2 - 1;
    struct hg_resident_pool *pool = pool_of(capacity);
    assert_int_equal(hg_resident_pool_capacity(pool), capacity);
    assert_ok(hg_segment_make_resident(one, pool, &err), err);
    snprintf(want, sizeof want, "segment %s: segments in locked memory: limit of %lld bytes reached: %lld in use, %lld more wanted", path, capacity, need, need);
    assert_fails(hg_segment_make_resident(two, pool, &err), HG_E_LIMIT, err, want);
    assert_int_equal(hg_resident_pool_used(pool), need);
    assert_false(hg_segment_resident(two));
    same(two, plain, 4, "refused"); /* and is used from its file */
    hg_segment_close(one);
    assert_ok(hg_segment_make_resident(two, pool, &err), err);
    same(two, plain, 4, "accepted later");
    hg_segment_close(two);
    hg_segment_close(plain);
    hg_resident_pool_free(pool);

    long long machine = (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 2; i++) {
        long long c = i ? machine + 1 : 0;
        snprintf(want, sizeof want, "capacity of %lld bytes for segments in locked memory: the machine has %lld bytes of memory, some of which others need", c, machine);
        assert_fails(hg_resident_pool_new(c, &pool, &err), HG_E_INVALID, err, want);
    }
}

/* In a child without rights. 0: all as wanted; else the line. */
#define NEED(c) do { if (!(c)) return __LINE__; } while (0)
static int with_low_limit(const char *path)
{
    struct hg_err err = {0};
    struct hg_resident_pool *pool;
    struct hg_segment *seg;
    if (getuid() == 0) NEED(setuid(65534) == 0); /* capabilities go with it */
    struct rlimit l = {1 << 20, 1 << 20};
    NEED(setrlimit(RLIMIT_MEMLOCK, &l) == 0);
    NEED(hg_resident_pool_new(2 << 20, &pool, &err) == HG_E_LIMIT);
    NEED(strstr(err.msg, "RLIMIT_MEMLOCK is 1048576 bytes; raise it (systemd: LimitMEMLOCK=infinity"));
    l.rlim_cur = 4096; /* the soft limit is raised to the hard one */
    NEED(setrlimit(RLIMIT_MEMLOCK, &l) == 0);
    NEED(hg_resident_pool_new(1 << 20, &pool, &err) == HG_OK);
    void *other = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(other != MAP_FAILED && mlock2(other, 1 << 20, 0) == 0);
    NEED(hg_segment_open(path, &seg, &err) == HG_OK);
    NEED(hg_segment_make_resident(seg, pool, &err) == HG_E_LIMIT);
    NEED(strstr(err.msg, "(Cannot allocate memory): RLIMIT_MEMLOCK is 1048576 bytes; raise") && strstr(err.msg, "LimitMEMLOCK"));
    NEED(hg_resident_pool_used(pool) == 0 && !hg_segment_resident(seg));
    NEED(munmap(other, 1 << 20) == 0);
    NEED(hg_segment_make_resident(seg, pool, &err) == HG_OK && hg_segment_resident(seg));
    hg_segment_close(seg);
    hg_resident_pool_free(pool);
    return 0;
}

static void limits_of_the_system(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof path, "%s", hg_test_path("small.seg"));
    make_file(3, 50, 3, path);
    assert_int_equal(chmod(hg_test_dir(), 0755), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int line = with_low_limit(path);
        if (line) fprintf(stderr, "line %d\n", line);
        _exit(line != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What is corrupt is found when it is made resident, named by its place in the file, and leaves nothing locked. */
static void corrupt_files(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 26);
    make_file(21, 5000, 3, hg_test_path("corrupt.seg"));
    assert_ok(hg_file_read(hg_test_path("corrupt.seg"), 1 << 26, &b, &err), err);
    struct hg_resident_pool *pool = pool_of(POOL);
    struct hg_segment *whole, *seg;
    assert_ok(hg_segment_open_bytes(hg_buf_span(&b), "whole", &whole, &err), err);
    assert_ok(hg_segment_make_resident(whole, pool, &err), err);
    int64_t used = hg_resident_pool_used(pool);
    uint32_t refused = 0, gaps = 0;
    for (size_t at = 64; at < b.len; at += 1 + b.len / 700) {
        b.p[at] ^= 0x10;
        if (hg_segment_open_bytes(hg_buf_span(&b), "changed", &seg, &err) == HG_OK) {
            enum hg_rc rc = hg_segment_make_resident(seg, pool, &err);
            if (rc == HG_OK) { /* between sections: not copied */
                gaps++;
                same(seg, whole, at, "changed");
            } else {
                refused++;
                assert_int_equal(rc, HG_E_CORRUPT);
                if (strncmp(err.msg, "segment changed: column ", 24)) fail_msg("%s", err.msg);
                assert_false(hg_segment_resident(seg));
            }
            hg_segment_close(seg);
        }
        assert_int_equal(hg_resident_pool_used(pool), used);
        b.p[at] ^= 0x10;
    }
    assert_true(refused > 100);
    assert_true(gaps < 100);
    hg_segment_close(whole);
    hg_resident_pool_free(pool);
    hg_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_the_files), cmocka_unit_test(threads_share), cmocka_unit_test(the_file_may_go), cmocka_unit_test(past_capacity), cmocka_unit_test(limits_of_the_system), cmocka_unit_test(corrupt_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
