/* A segment file that was cut or changed gives the rows it held, or an error that names the file; never a crash or other rows. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <unistd.h>
#include "base/file.h"
#include "base/hash.h"
#include "random_rows.h"
#include "segment/format.h"
#include "segment/segment.h"
#include "source_compare.h"

struct sample { struct hg_buf bytes; struct hg_segment *seg; };

static void make_sample(struct sample *s, uint64_t seed, uint32_t n, int level)
{
    char path[] = "/tmp/henge-corrupt-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct rng r = {seed};
    struct world w;
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = level};
    world_make(&w, &r);
    struct hg_value *rows = world_rows(&w, &r, n);
    const struct hg_source *src = hg_mem_source_new(w.defs, w.n_cols, rows, n, 0);
    if (hg_segment_merge(&w.schema, &src, 1, &opt, path, &st, &err)) fail_msg("%s", err.msg);
    hg_buf_init(&s->bytes, 1u << 30);
    assert_int_equal(hg_file_read(path, 1u << 30, &s->bytes, &err), HG_OK);
    assert_int_equal(st.hash, hg_xxh3(s->bytes.p, s->bytes.len));
    unlink(path);
    if (hg_segment_open_bytes(hg_buf_span(&s->bytes), "sample", &s->seg, &err)) fail_msg("%s", err.msg);
    hg_mem_source_free((struct hg_source *)src);
    free(rows);
    world_free(&w);
}
static void drop_sample(struct sample *s)
{
    hg_segment_close(s->seg);
    hg_buf_free(&s->bytes);
}

/* Reads all of a segment as an engine would. */
static enum hg_rc read_all(const struct hg_source *s, struct hg_err *err)
{
    static int64_t v[HG_BLOCK_ROWS];
    static uint8_t z[HG_BLOCK_ROWS];
    struct hg_arena *a = hg_arena_new(NULL);
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < s->n_cols && rc == HG_OK; k++) {
        const struct hg_column *c = &s->cols[k];
        struct hg_colread *r;
        rc = c->ops->open(c, a, &r, err);
        for (uint32_t b = 0; b < hg_source_blocks(s) && rc == HG_OK; b++) {
            uint32_t row = b * HG_BLOCK_ROWS, n = hg_block_rows(s, b);
            const uint32_t *ends, *ids;
            struct hg_span bytes;
            if (c->type == HG_T_STRING) rc = c->multi ? c->ops->multi(r, row, n, &ends, &ids, err) : c->ops->ids(r, row, n, (uint32_t *)v, err);
            else if (hg_type_is_integer(c->type)) rc = c->ops->i64(r, row, n, v, z, err);
            else if (hg_type_is_number(c->type)) rc = c->ops->f64(r, row, n, (double *)v, z, err);
            else for (uint32_t i = 0; i < n && rc == HG_OK; i++) rc = c->ops->blob(r, row + i, &bytes, err);
        }
        if (c->type == HG_T_STRING && rc == HG_OK) {
            roaring_bitmap_t *bm = roaring_bitmap_create();
            for (uint32_t id = 0; id < c->dict->card && rc == HG_OK; id++) rc = c->ops->rows_of(c, &id, 1, bm, err);
            roaring_bitmap_free(bm);
        }
    }
    hg_arena_free(a);
    return rc;
}

/* The changed bytes are opened and read; if nothing complains the rows must be those of the sample. */
static bool survives(const struct sample *s, const uint8_t *p, size_t len, const char *what, size_t at)
{
    struct hg_err err = {0};
    struct hg_segment *seg = NULL;
    enum hg_rc rc = hg_segment_open_bytes((struct hg_span){p, len}, "changed-file", &seg, &err);
    bool ok = rc == HG_OK;
    if (ok) {
        rc = read_all(hg_segment_source(seg), &err);
        ok = rc == HG_OK;
    }
    if (ok) {
        struct hg_cmp diff = {""};
        if (!hg_same_sources(hg_segment_source(s->seg), hg_segment_source(seg), &diff)) fail_msg("%s at %zu: other rows: %s", what, at, diff.text);
    } else {
        if (rc != HG_E_CORRUPT) fail_msg("%s at %zu: %s: %s", what, at, hg_rc_name(rc), err.msg);
        if (!strstr(err.msg, "changed-file")) fail_msg("%s at %zu: the message names no file: %s", what, at, err.msg);
    }
    hg_segment_close(seg);
    return ok;
}

static void every_cut(void **state)
{
    (void)state;
    for (int level = 0; level <= 3; level += 3) {
        struct sample s;
        make_sample(&s, first_seed() + 11, 200, level);
        for (size_t cut = 0; cut < s.bytes.len; cut++) {
            uint8_t *p = malloc(cut + 1); /* exact, so that reading past it shows */
            memcpy(p, s.bytes.p, cut);
            if (survives(&s, p, cut, "cut", cut)) fail_msg("a file cut at %zu of %zu was taken as whole", cut, s.bytes.len);
            free(p);
        }
        drop_sample(&s);
    }
}

static void seeded_flips(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed(), end = seed + 6; seed < end; seed++) {
        struct sample s;
        make_sample(&s, seed, seed % 2 ? 150 : 5000, seed % 3 ? 3 : 0);
        struct rng r = {seed};
        uint8_t *p = malloc(s.bytes.len);
        size_t caught = 0, rounds = seed % 2 ? 700 : 250;
        for (size_t i = 0; i < rounds; i++) {
            memcpy(p, s.bytes.p, s.bytes.len);
            size_t at = below(&r, (uint32_t)s.bytes.len);
            p[at] ^= (uint8_t)(1u << below(&r, 8));
            caught += !survives(&s, p, s.bytes.len, "flip", at);
        }
        if (caught < rounds / 4) fail_msg("seed %llu: only %zu of %zu flips were noticed", (unsigned long long)seed, caught, rounds);
        free(p);
        drop_sample(&s);
    }
}

/* Every byte of a small file, one bit each. */
static void flip_everywhere(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s, first_seed() + 4, 40, 0);
    uint8_t *p = malloc(s.bytes.len);
    memcpy(p, s.bytes.p, s.bytes.len);
    for (size_t at = 0; at < s.bytes.len; at++) {
        p[at] ^= (uint8_t)(1u << (at % 8));
        survives(&s, p, s.bytes.len, "flip", at);
        p[at] = s.bytes.p[at];
    }
    free(p);
    drop_sample(&s);
}

/* With checksums taken as right the damage gets through to the structures: any rows or an error, but no crash and nothing out of bounds. */
static void flips_behind_checksums(void **state)
{
    (void)state;
    hg_seg_skip_sums = true;
    for (uint64_t seed = first_seed(), end = seed + 6; seed < end; seed++) {
        struct sample s;
        make_sample(&s, seed, seed % 2 ? 100 : 5000, seed % 3 ? 3 : 0);
        struct rng r = {seed};
        for (size_t i = 0, rounds = seed % 2 ? 1200 : 150; i < rounds; i++) {
            uint8_t *p = malloc(s.bytes.len);
            memcpy(p, s.bytes.p, s.bytes.len);
            /* half of them in the last part: directories and footer */
            size_t len = s.bytes.len, at = i % 2 ? below(&r, (uint32_t)len) : len - 1 - below(&r, (uint32_t)(len < 1500 ? len : 1500));
            p[at] ^= (uint8_t)(1u << below(&r, 8));
            struct hg_segment *seg;
            struct hg_err err = {0};
            if (hg_segment_open_bytes((struct hg_span){p, len}, "changed-file", &seg, &err) == HG_OK) {
                enum hg_rc rc = read_all(hg_segment_source(seg), &err);
                if (rc != HG_OK && rc != HG_E_CORRUPT) fail_msg("flip at %zu: %s: %s", at, hg_rc_name(rc), err.msg);
                rc = hg_segment_verify(seg, &err);
                if (rc != HG_OK && rc != HG_E_CORRUPT) fail_msg("flip at %zu: %s: %s", at, hg_rc_name(rc), err.msg);
                hg_segment_close(seg);
            }
            free(p);
        }
        drop_sample(&s);
    }
    hg_seg_skip_sums = false;
}

/* The error of a damaged block names file, column, block and place. */
static void message(void **state)
{
    (void)state;
    static const struct hg_mem_coldef defs[] = {{"__time", HG_T_LONG, NULL, 0}, {"clicks", HG_T_LONG, "longSum", 0}};
    struct hg_value *rows = calloc(10000, sizeof *rows);
    for (int64_t i = 0; i < 5000; i++) rows[i * 2] = (struct hg_value){.kind = HG_V_LONG, .u.i = i}, rows[i * 2 + 1] = (struct hg_value){.kind = HG_V_LONG, .u.i = i * i % 977};
    const struct hg_source *src = hg_mem_source_new(defs, 2, rows, 5000, 0);
    struct hg_schema_metric m = {.name = "clicks", .field = "clicks", .agg = "longSum", .roll = HG_ROLL_LONG_SUM, .type = HG_T_LONG};
    struct hg_schema sc = {.n_metrics = 1, .metrics = &m};
    char path[] = "/tmp/henge-corrupt-XXXXXX", want[200];
    close(mkstemp(path));
    struct hg_err err;
    struct hg_segment_stats st;
    struct hg_segment_write_options opt = {.zstd_level = 0};
    struct hg_buf b;
    hg_buf_init(&b, 1u << 26);
    assert_int_equal(hg_segment_merge(&sc, &src, 1, &opt, path, &st, &err), HG_OK);
    assert_int_equal(hg_file_read(path, 1u << 26, &b, &err), HG_OK);
    unlink(path);
    /* the last block of clicks stands before its directory, which stands before the footer */
    size_t footer = hg_le64(b.p + b.len - HG_SEG_TAIL), dir = (footer - 1) / 64 * 64 - 64;
    struct hg_seg_block e;
    assert_true(hg_seg_block_get(b.p + dir + 64, &e));
    b.p[e.off + 9] ^= 4;
    struct hg_segment *seg;
    assert_int_equal(hg_segment_open_bytes(hg_buf_span(&b), "ads.seg", &seg, &err), HG_OK);
    assert_int_equal(hg_segment_verify(seg, &err), HG_E_CORRUPT);
    snprintf(want, sizeof want, "segment ads.seg: column clicks: block 1 at %llu: checksum", (unsigned long long)e.off);
    assert_non_null(strstr(err.msg, want));
    hg_segment_close(seg);
    hg_buf_free(&b);
    hg_mem_source_free((struct hg_source *)src);
    free(rows);
    assert_int_equal(hg_segment_open("/no/such/file", &seg, &err), HG_E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_cut), cmocka_unit_test(seeded_flips), cmocka_unit_test(flip_everywhere), cmocka_unit_test(flips_behind_checksums), cmocka_unit_test(message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
