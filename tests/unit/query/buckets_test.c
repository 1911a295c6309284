/* Time buckets of rows: those that gran says, also where the last day is longer than the others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "base/cpu.h"
#include "base/gran_json.h"
#include "query/engine/scan.h"

#define HOUR INT64_C(3600000)

static void rows_find_their_buckets(void **state)
{
    (void)state;
    static const struct { const char *gran; int64_t start; uint32_t hours; } cases[] = {
        {"\"hour\"", 1704067200000, 48},
        {"\"day\"", 1704067200000, 24 * 40},
        {"\"month\"", 1704067200000, 24 * 100},
        {"\"all\"", 1704067200000, 24},
        {"{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"America/New_York\"}", 1730433600000, 24 * 2 + 25}, /* three days, in the last of which clocks go back */
        {"{\"type\":\"period\",\"period\":\"P1D\",\"timeZone\":\"America/New_York\"}", 1730433600000, 24 * 9 + 1},
        {"{\"type\":\"duration\",\"duration\":1}", 1704067200000, 1},
    };
    for (int c = HG_CPU_PORTABLE; c <= (int)hg_cpu_best(); c++) {
        hg_cpu_force((enum hg_cpu)c);
        for (size_t z = 0; z < sizeof cases / sizeof *cases; z++) {
            struct hg_err err;
            struct hg_arena *a = hg_arena_new(NULL);
            json_t *j = json_loads(cases[z].gran, JSON_DECODE_ANY, NULL);
            struct hg_plan plan;
            struct hg_query q;
            struct hg_source src;
            memset(&plan, 0, sizeof plan);
            memset(&q, 0, sizeof q);
            memset(&src, 0, sizeof src);
            q.plan = &plan;
            struct hg_jpath at = {0};
            if (hg_gran_parse_json(a, j, &at, &q.gran, &err)) fail_msg("%s: %s", cases[z].gran, err.msg);
            src.n_rows = 1;
            src.times = (struct hg_interval){cases[z].start, cases[z].start + cases[z].hours * HOUR};
            struct hg_buckets b;
            if (hg_buckets_new(&q, &src, &src.times, 1, HG_MAX_BUCKETS, a, &b, &err)) fail_msg("%s", err.msg);
            enum { N = 4096 };
            static int64_t t[N];
            static uint16_t pos[N];
            static uint32_t got[N];
            uint32_t n = 0;
            for (; n < N; n++) {
                t[n] = cases[z].start + (int64_t)(n * 7919u % N) * (cases[z].hours * HOUR - 1) / (N - 1);
                pos[n] = (uint16_t)(N - 1 - n);
            }
            hg_buckets_find_many(&b, t, NULL, n, got);
            for (uint32_t k = 0; k < n; k++) {
                assert_true(got[k] < b.n);
                assert_int_equal(got[k], hg_buckets_find(&b, t[k]));
                if (!b.all) assert_int_equal(b.start[got[k]], hg_gran_bucket(&q.gran, t[k]).start);
            }
            hg_buckets_find_many(&b, t, pos, n, got);
            for (uint32_t k = 0; k < n; k++) assert_int_equal(got[k], hg_buckets_find(&b, t[pos[k]]));
            json_decref(j);
            hg_arena_free(a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_find_their_buckets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
