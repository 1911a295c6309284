/* A sub-query as a data server reads it, and coverage as a broker does; what was read, written and read again is the same. */
#include <stdlib.h>

#include "cluster/subquery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

static void same(struct hg_str x, struct hg_str y) { MUST(hg_str_eq(x, y)); }

static void again(struct hg_arena *a, const struct hg_subquery *s)
{
    struct hg_err err;
    struct hg_buf b;
    struct hg_subquery t;
    hg_buf_init(&b, 1 << 26);
    MUST(hg_subquery_encode(s, &b, &err) == HG_OK && hg_subquery_decode(a, hg_buf_span(&b), &t, &err) == HG_OK);
    same(s->query, t.query);
    same(s->query_id, t.query_id);
    same(s->part_dim, t.part_dim);
    MUST(s->priority == t.priority && s->alone == t.alone && s->n_items == t.n_items);
    for (uint32_t i = 0; i < s->n_items; i++) {
        same(s->items[i].segid, t.items[i].segid);
        MUST(s->items[i].n_ivs == t.items[i].n_ivs);
        for (uint32_t k = 0; k < s->items[i].n_ivs; k++) {
            MUST(s->items[i].ivs[k].start == t.items[i].ivs[k].start && s->items[i].ivs[k].end == t.items[i].ivs[k].end);
            MUST(k == 0 || t.items[i].ivs[k - 1].end <= t.items[i].ivs[k].start);
        }
    }
    hg_buf_free(&b);
}

static void coverage_again(struct hg_arena *a, const struct hg_sub_coverage *c)
{
    struct hg_err err;
    struct hg_buf b;
    struct hg_sub_coverage d;
    hg_buf_init(&b, 1 << 26);
    MUST(hg_sub_coverage_encode(c, &b, &err) == HG_OK && hg_sub_coverage_decode(a, hg_buf_span(&b), &d, &err) == HG_OK);
    MUST(c->n_covered == d.n_covered && c->n_missing == d.n_missing && c->rows_scanned == d.rows_scanned && c->cpu_us == d.cpu_us);
    same((struct hg_str){(const char *)c->profile.p, c->profile.len}, (struct hg_str){(const char *)d.profile.p, d.profile.len});
    for (uint32_t i = 0; i < c->n_covered; i++) same(c->covered[i], d.covered[i]);
    for (uint32_t i = 0; i < c->n_missing; i++) same(c->missing[i], d.missing[i]);
    hg_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct hg_err err;
    struct hg_budget budget;
    hg_budget_init(&budget, NULL, "query memory", 64 << 20);
    struct hg_arena *a = hg_arena_new(&budget);
    struct hg_subquery s;
    struct hg_sub_coverage c;
    struct hg_span bytes = {data + 1, size - 1};
    if (data[0] & 1) {
        if (hg_subquery_decode(a, bytes, &s, &err) == HG_OK) again(a, &s);
    } else {
        if (hg_sub_coverage_decode(a, bytes, &c, &err) == HG_OK) coverage_again(a, &c);
    }
    hg_arena_free(a);
    MUST(budget.used == 0);
    return 0;
}
