/* Partial results from the network: decoding trusts nothing. The first byte chooses the query; what decodes is merged with itself and encoded again. */
#include <stdio.h>
#include <stdlib.h>
#include "query/query.h"

static const char *const queries[] = {
    "{\"queryType\":\"timeseries\",\"dataSource\":\"x\",\"intervals\":\"2024/2025\",\"granularity\":\"day\",\"aggregations\":[{\"type\":\"count\",\"name\":\"c\"},"
    "{\"type\":\"doubleSum\",\"name\":\"d\",\"fieldName\":\"d\"},{\"type\":\"doubleMean\",\"name\":\"m\",\"fieldName\":\"d\"}]}",
    "{\"queryType\":\"topN\",\"dataSource\":\"x\",\"intervals\":\"2024/2025\",\"granularity\":\"day\",\"dimension\":\"s\",\"metric\":\"c\",\"threshold\":5,"
    "\"aggregations\":[{\"type\":\"count\",\"name\":\"c\"},{\"type\":\"decimalSum\",\"name\":\"d\",\"fieldName\":\"d\"}]}",
    "{\"queryType\":\"groupBy\",\"dataSource\":\"x\",\"intervals\":\"2024/2025\",\"granularity\":\"all\",\"dimensions\":[\"s\",{\"dimension\":\"l\",\"outputType\":\"LONG\"},"
    "{\"dimension\":\"f\",\"outputType\":\"FLOAT\"},\"t\"],\"aggregations\":[{\"type\":\"longMax\",\"name\":\"c\",\"fieldName\":\"l\"},"
    "{\"type\":\"HLLSketchMerge\",\"name\":\"h\",\"fieldName\":\"h\",\"lgK\":8}]}",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hg_query *parsed[3];
    static struct hg_arena *plans;
    struct hg_err err;
    if (!plans) {
        plans = hg_arena_new(NULL);
        for (int k = 0; k < 3; k++)
            if (!plans || hg_query_parse(plans, hg_str_of(queries[k]), &parsed[k], &err) != HG_OK) abort();
    }
    if (!size) return 0;
    const struct hg_query *q = parsed[data[0] % 3];
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "query memory", 64 << 20);
    struct hg_exec x = {.budget = &budget};
    struct hg_merge *m = NULL;
    if (hg_merge_new(q, &x, &m, &err) != HG_OK) abort();
    for (int k = 0; k < 2; k++) {
        struct hg_partial *p = NULL;
        if (hg_partial_decode(q, (struct hg_span){data + 1, size - 1}, &x, &p, &err) == HG_OK) (void)!hg_merge_add(m, p, &err);
    }
    struct hg_partial *p = NULL;
    if (hg_merge_take(m, &p, &err) == HG_OK) {
        struct hg_buf b;
        hg_buf_init(&b, 64 << 20);
        (void)!hg_partial_encode(p, &b, &err);
        hg_buf_free(&b);
        hg_partial_free(p);
    }
    hg_merge_free(m);
    if (atomic_load(&budget.used) != 0) abort();
    return 0;
}
