/* Spilled blocks from a disk that gives back something else: reading trusts nothing. What passes the checksums is decoded as groups. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "query/query.h"
#include "query/spill/spill.h"

static const char query[] = "{\"queryType\":\"groupBy\",\"dataSource\":\"x\",\"intervals\":\"2024/2025\",\"granularity\":\"all\",\"dimensions\":[\"s\"],"
                            "\"aggregations\":[{\"type\":\"longSum\",\"name\":\"c\",\"fieldName\":\"l\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hg_query *q;
    static struct hg_arena *plans;
    struct hg_err err;
    if (!plans && (!(plans = hg_arena_new(NULL)) || hg_query_parse(plans, hg_str_of(query), &q, &err) != HG_OK)) abort();
    struct hg_budget budget;
    struct hg_spill spill;
    struct hg_spill_file *f = NULL;
    hg_budget_init(&budget, NULL, "query memory", 64 << 20);
    struct hg_exec x = {.budget = &budget};
    hg_spill_init(&spill, "/nowhere", 1 << 20, q);
    int fd = memfd_create("spill", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    if (hg_spill_adopt(&spill, &budget, fd, (int64_t)size, 1 << 20, &f, &err) != HG_OK) abort();
    for (bool more = true; more;) {
        struct hg_span block;
        struct hg_partial *p = NULL;
        if (hg_spill_get(f, &block, &more, &err) != HG_OK) break;
        if (more && hg_partial_decode(q, block, &x, &p, &err) == HG_OK) hg_partial_free(p);
    }
    hg_spill_close(f);
    if (atomic_load(&budget.used) != 0 || atomic_load(&spill.held) != 0) abort();
    return 0;
}
