/* A segment of each format version, kept as it was written: it opens, is whole, and holds the rows that it held (tests/golden/segment, made by make.py there). And the claims about the order of rows
 * that version 3 brought: each wrong one is refused, when the file is opened or when it is verified. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "segment/format.h"
#include "segment/segment.h"

static struct hg_err err;

static struct hg_buf file(const char *name)
{
    char path[300];
    struct hg_buf b;
    const char *root = getenv("HENGE_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/segment/%s", root ? root : ".", name);
    hg_buf_init(&b, 1u << 26);
    if (hg_file_read(path, 1u << 26, &b, &err)) fail_msg("%s", err.msg);
    return b;
}

static const struct { uint32_t version, time_at; const char *order; } versions[] = {{1, 0, "__time advertiser ad tags age"}, {2, 0, "__time advertiser ad tags age"}, {3, 2, "advertiser ad __time tags age"},
                                                                                      {4, 2, "advertiser ad __time tags age"}};

static void every_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        char seg_name[16], rows_name[16], order[200] = "";
        snprintf(seg_name, sizeof seg_name, "v%u.seg", versions[i].version);
        snprintf(rows_name, sizeof rows_name, "v%u.jsonl", versions[i].version);
        struct hg_buf bytes = file(seg_name), rows = file(rows_name);
        struct hg_segment *seg;
        assert_int_equal(hg_le32(bytes.p + 8), versions[i].version);
        if (hg_segment_open_bytes(hg_buf_span(&bytes), seg_name, &seg, &err) || hg_segment_verify(seg, &err)) fail_msg("%s", err.msg);
        char *text = NULL;
        size_t len = 0;
        FILE *out = open_memstream(&text, &len);
        assert_int_equal(hg_segment_dump(seg, 0, UINT32_MAX, out, &err), HG_OK);
        fclose(out);
        if (len != rows.len || memcmp(text, rows.p, len) != 0) fail_msg("%s does not hold the rows of %s", seg_name, rows_name);
        free(text);
        assert_int_equal(hg_segment_time_at(seg), versions[i].time_at);
        assert_int_equal(hg_segment_source(seg)->time_sorted, versions[i].time_at == 0);
        const struct hg_column *c;
        for (uint32_t k = 0; (c = hg_segment_key(seg, k)) != NULL; k++) snprintf(order + strlen(order), sizeof order - strlen(order), "%s%s", k ? " " : "", c->name);
        assert_string_equal(order, versions[i].order);
        assert_int_equal(hg_segment_source(seg)->n_projections, versions[i].version >= 4 ? 2 : 0);
        hg_segment_close(seg);
        hg_buf_free(&bytes);
        hg_buf_free(&rows);
    }
}

/* Where the footer of a file of version 3 has the place of __time: after rows, interval, rows of a block, flags and two texts. */
static uint8_t *time_place(const struct hg_buf *b)
{
    struct hg_rd r = hg_rd_of((struct hg_span){b->p + hg_le64(b->p + b->len - HG_SEG_TAIL), b->len});
    r.p += 32;
    struct hg_str gran = hg_rd_str(&r), spec = hg_rd_str(&r);
    assert_true(gran.p && spec.p);
    return b->p + (r.p - b->p);
}

static void wrong_orders(void **state)
{
    (void)state;
    static const struct { uint8_t version, place; bool opens; const char *says; } cases[] = {
        {3, 0, false, "footer: __time cannot be key number 0"},
        {3, 5, false, "footer: rows are sorted by 5 dimensions before __time, of 4"},
        {3, 10, false, "footer: __time cannot be key number 10"},
        {3, 1, true, "is out of order"},
        {3, 3, true, "is out of order"},
        {4, 2, false, "footer: its list of projections is malformed"},
        {5, 2, false, "segment format version 5; this program reads versions 1 to 4"},
        {2, 2, false, "footer"}, /* what version 3 added is not there to be read */
    };
    hg_seg_skip_sums = true; /* so that what stands behind them is reached */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hg_buf b = file("v3.seg");
        struct hg_segment *seg = NULL;
        assert_int_equal(*time_place(&b), 2);
        b.p[8] = cases[i].version;
        *time_place(&b) = cases[i].place;
        enum hg_rc rc = hg_segment_open_bytes(hg_buf_span(&b), "v3.seg", &seg, &err);
        if ((rc == HG_OK) != cases[i].opens) fail_msg("case %zu: %s", i, rc ? err.msg : "it was opened");
        if (rc == HG_OK) rc = hg_segment_verify(seg, &err);
        if (rc != HG_E_CORRUPT || !strstr(err.msg, cases[i].says)) fail_msg("case %zu: %s, want %s", i, rc ? err.msg : "it is whole", cases[i].says);
        hg_segment_close(seg);
        hg_buf_free(&b);
    }
    hg_seg_skip_sums = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_version), cmocka_unit_test(wrong_orders)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
