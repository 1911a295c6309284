/* The text of sketches against what Druid 33 (DataSketches for Java) printed of the same items; tests/conformance/extra/sketches.jsonl has more of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "sketch/describe.h"

static struct hg_err err;
#define OK(e)                                              \
    do {                                                   \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg); \
    } while (0)

static const struct hg_sketch_def hll = {.kind = HG_SKETCH_HLL, .lg_k = 12, .bits = 4}, theta = {.kind = HG_SKETCH_THETA, .lg_k = 14}, quantiles = {.kind = HG_SKETCH_QUANTILES, .lg_k = 7};

/* Of the texts "0", "1", ...; quantiles of 0 * 1.5 - 3 and so on. */
static struct hg_sketch *of(const struct hg_sketch_def *d, int n)
{
    struct hg_sketch *s;
    OK(hg_sketch_new(d, &s, &err));
    for (int i = 0; i < n; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        uint64_t item = d->kind == HG_SKETCH_QUANTILES ? hg_sketch_item_f64(d, i * 1.5 - 3) : hg_sketch_item_str(d, hg_str_of(text));
        OK(hg_sketch_add(d, s, item, &err));
    }
    return s;
}

static void check(const struct hg_sketch_def *d, int n, enum hg_sketch_made made, const char *want)
{
    struct hg_sketch *s = n ? of(d, n) : NULL;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    OK(hg_sketch_describe(d, s, made, &b, &err));
    hg_buf_u8(&b, 0);
    assert_string_equal((const char *)b.p, want);
    hg_buf_free(&b);
    hg_sketch_free(d, s);
}

static void hll_text(void **state)
{
    (void)state;
    check(&hll, 0, HG_SKETCH_READ,
          "### HLL SKETCH SUMMARY: \n  Log Config K   : 12\n  Hll Target     : HLL_4\n  Current Mode   : LIST\n  Memory         : false\n  LB             : 0.0\n  Estimate       : 0.0\n"
          "  UB             : 0.0\n  OutOfOrder Flag: false\n  Coupon Count   : 0\n");
    check(&hll, 50, HG_SKETCH_READ,
          "### HLL SKETCH SUMMARY: \n  Log Config K   : 12\n  Hll Target     : HLL_4\n  Current Mode   : SET\n  Memory         : false\n  LB             : 50.0\n"
          "  Estimate       : 50.00000608464168\n  UB             : 50.00250254747639\n  OutOfOrder Flag: false\n  Coupon Count   : 50\n");
    check(&hll, 1000, HG_SKETCH_READ,
          "### HLL SKETCH SUMMARY: \n  Log Config K   : 12\n  Hll Target     : HLL_4\n  Current Mode   : HLL\n  Memory         : false\n  LB             : 989.7609303275298\n"
          "  Estimate       : 1002.564728131762\n  UB             : 1015.6877510841019\n  OutOfOrder Flag: false\n  CurMin         : 0\n  NumAtCurMin    : 3197\n"
          "  HipAccum       : 1002.564728131762\n  KxQ0           : 3497.935546875\n  KxQ1           : 0.0\n  Rebuild KxQ Flg: false\n");
}

#define THETA(class, estimate, empty, retained, seed)                                                                                                                          \
    "\n### " class " SUMMARY: \n   Estimate                : " estimate "\n   Upper Bound, 95% conf   : " estimate "\n   Lower Bound, 95% conf   : " estimate                   \
    "\n   Theta (double)          : 1.0\n   Theta (long)            : 9223372036854775807\n   Theta (long) hex        : 7fffffffffffffff\n   EstMode?                : false"     \
    "\n   Empty?                  : " empty "\n   Ordered?                : true\n   Retained Entries        : " retained "\n   Seed Hash               : " seed                \
    "\n### END SKETCH SUMMARY\n"

static void theta_text(void **state)
{
    (void)state;
    check(&theta, 0, HG_SKETCH_CUT, THETA("EmptyCompactSketch", "0.0", "true", "0", "0 | 0"));
    check(&theta, 1, HG_SKETCH_READ, THETA("SingleItemSketch", "1.0", "false", "1", "93cc | 37836"));
    check(&theta, 50, HG_SKETCH_READ, THETA("DirectCompactSketch", "50.0", "false", "50", "93cc | 37836"));
    check(&theta, 50, HG_SKETCH_UNITED, THETA("HeapCompactSketch", "50.0", "false", "50", "93cc | 37836"));
}

/* An accumulator holds more hashes than its result: the text is of the result. */
static void theta_is_trimmed(void **state)
{
    (void)state;
    const struct hg_sketch_def small = {.kind = HG_SKETCH_THETA, .lg_k = 5};
    struct hg_sketch *s = of(&small, 1000);
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    OK(hg_sketch_describe(&small, s, HG_SKETCH_READ, &b, &err));
    hg_buf_u8(&b, 0);
    assert_non_null(strstr((const char *)b.p, "   EstMode?                : true\n"));
    assert_non_null(strstr((const char *)b.p, "   Retained Entries        : 32\n"));
    hg_buf_free(&b);
    hg_sketch_free(&small, s);
}

static void quantiles_text(void **state)
{
    (void)state;
#define HEAD "\n### Quantiles DirectCompactDoublesSketch SUMMARY: \n   Empty                        : "
#define ERRORS "   Normalized Rank Error        : 1.406%\n   Normalized Rank Error (PMF)  : 1.711%\n"
    check(&quantiles, 0, HG_SKETCH_READ,
          HEAD "true\n   Memory, Capacity bytes       : true, 8\n   Estimation Mode              : false\n   K                            : 128\n   N                            : 0\n"
               "   Levels (Needed, Total, Valid): 0, 0, 0\n   Level Bit Pattern            : 0\n   BaseBufferCount              : 0\n   Combined Buffer Capacity     : -3\n"
               "   Retained Items               : 0\n   Compact Storage Bytes        : 8\n   Updatable Storage Bytes      : 8\n" ERRORS
               "   Min Item                     :          NaN\n   Max Item                     :          NaN\n### END SKETCH SUMMARY\n");
    check(&quantiles, 50, HG_SKETCH_READ,
          HEAD "false\n   Memory, Capacity bytes       : true, 432\n   Estimation Mode              : false\n   K                            : 128\n   N                            : 50\n"
               "   Levels (Needed, Total, Valid): 0, 0, 0\n   Level Bit Pattern            : 0\n   BaseBufferCount              : 50\n   Combined Buffer Capacity     : 50\n"
               "   Retained Items               : 50\n   Compact Storage Bytes        : 432\n   Updatable Storage Bytes      : 544\n" ERRORS
               "   Min Item                     : -3.000000e+00\n   Max Item                     : 7.050000e+01\n### END SKETCH SUMMARY\n");
    check(&quantiles, 1000, HG_SKETCH_READ,
          HEAD "false\n   Memory, Capacity bytes       : true, 3936\n   Estimation Mode              : true\n   K                            : 128\n   N                            : 1,000\n"
               "   Levels (Needed, Total, Valid): 2, 2, 2\n   Level Bit Pattern            : 11\n   BaseBufferCount              : 232\n   Combined Buffer Capacity     : 488\n"
               "   Retained Items               : 488\n   Compact Storage Bytes        : 3,936\n   Updatable Storage Bytes      : 4,128\n" ERRORS
               "   Min Item                     : -3.000000e+00\n   Max Item                     : 1.495500e+03\n### END SKETCH SUMMARY\n");
}

static void others_have_none(void **state)
{
    (void)state;
    const struct hg_sketch_def unique = {.kind = HG_SKETCH_HYPERUNIQUE, .lg_k = 11};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    assert_int_equal(hg_sketch_describe(&unique, NULL, HG_SKETCH_READ, &b, &err), HG_E_UNSUPPORTED);
    hg_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hll_text), cmocka_unit_test(theta_text), cmocka_unit_test(theta_is_trimmed), cmocka_unit_test(quantiles_text), cmocka_unit_test(others_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
