/* Query JSON from strangers: parse, scan a small source, encode, decode, merge, finish. */
#include <stdio.h>
#include <stdlib.h>
#include "../mem_source.h"
#include "query/query.h"

static const struct hg_mem_coldef cols[] = {
    {"__time", HG_T_LONG, NULL, 0}, {"s", HG_T_STRING, NULL, 0}, {"mv", HG_T_STRING, NULL, 0}, {"l", HG_T_LONG, NULL, 0},
    {"d", HG_T_DOUBLE, NULL, 0},    {"f", HG_T_FLOAT, NULL, 0},  {"m", HG_T_DECIMAL, "decimalSum", 0},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hg_source *src;
    if (!src)
        src = hg_mem_source_json(cols, 7, "[[0, \"a\", [\"x\", \"y\"], 1, 0.5, 0.25, 1.5], [3600000, null, [], null, null, null, null], [7200000, \"10\", null, -7, 1e9, 3.5, -2],"
                                          " [7200001, \"\", [\"x\", null], 9, -0.0, 0.1, 0]]", 0);
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_query *q = NULL;
    if (!a) abort();
    if (hg_query_parse(a, (struct hg_str){(const char *)data, size}, &q, &err) == HG_OK) {
        struct hg_budget budget;
        hg_budget_init(&budget, NULL, "query memory", 16 << 20);
        struct hg_exec x = {.budget = &budget};
        struct hg_merge *m = NULL;
        struct hg_buf b;
        hg_buf_init(&b, 64 << 20);
        if (hg_merge_new(q, &x, &m, &err) != HG_OK) abort();
        enum hg_rc rc = HG_OK;
        for (int k = 0; k < 2 && rc == HG_OK; k++) {
            struct hg_partial *p = NULL, *p2 = NULL;
            rc = hg_query_scan(q, src, src->times, q->intervals, q->n_intervals, &x, &p, &err);
            if (rc != HG_OK) break;
            hg_buf_clear(&b);
            rc = hg_partial_encode(p, &b, &err);
            hg_partial_free(p);
            if (rc == HG_OK) rc = hg_partial_decode(q, hg_buf_span(&b), &x, &p2, &err);
            if (rc == HG_E_CORRUPT) abort(); /* what we wrote we can read */
            if (rc == HG_OK) rc = hg_merge_add(m, p2, &err);
        }
        struct hg_partial *all = NULL;
        if (rc == HG_OK && hg_merge_take(m, &all, &err) == HG_OK) {
            hg_buf_clear(&b);
            (void)!hg_query_finish(q, all, &x, false, &b, &err);
            hg_partial_free(all);
        }
        hg_merge_free(m);
        hg_buf_free(&b);
        if (atomic_load(&budget.used) != 0) abort();
    }
    hg_arena_free(a);
    return 0;
}
