/* A query of any data source. Its nested queries are run first, each like a query of its own but under the same deadline, budget and cancel flag; their results are tables in memory. Then
 * data servers are asked for the rows of tables, with what they need of those results in their query, and rows in memory are scanned here, on the query's own thread. */
#include <stdint.h>

#include "broker/broker_private.h"
#include "query/nested.h"

/* What an inner query did belongs to the whole; what it missed, too. */
static enum hg_rc add_up(struct hg_running *run, struct hg_scatter_result *all, const struct hg_scatter_result *one, struct hg_err *err)
{
    all->rows_scanned += one->rows_scanned;
    all->cpu_us += one->cpu_us;
    hg_segment_counts_add(&all->segments, &one->segments);
    all->entities += one->entities;
    all->empty += one->empty;
    all->servers += one->servers;
    all->requests += one->requests;
    all->hedged += one->hedged;
    all->batches += one->batches;
    if (!one->n_missing) return HG_OK;
    const char **ids = hg_arena_array(run->arena, all->n_missing + one->n_missing, sizeof *ids);
    if (!ids) return hg_arena_fail(run->arena, "missing segments", err);
    for (size_t k = 0; k < all->n_missing; k++) ids[k] = all->missing[k];
    for (size_t k = 0; k < one->n_missing; k++) ids[all->n_missing + k] = one->missing[k];
    all->missing = ids;
    all->n_missing += one->n_missing;
    return HG_OK;
}

static uint64_t most_rows(const struct hg_running *run, const struct hg_query *q)
{
    if (q->ctx.max_subquery_rows > 0) return (uint64_t)q->ctx.max_subquery_rows;
    return run->b->opt.subquery_rows > 0 ? (uint64_t)run->b->opt.subquery_rows : UINT64_MAX;
}

static enum hg_rc run_errand(struct hg_running *run, const struct hg_query *q, uint32_t k, struct hg_scatter_result *out, struct hg_err *err)
{
    struct hg_scatter_result res;
    const struct hg_table *rows;
    const char *path;
    const struct hg_query *inner = hg_query_errand(q, k, &path);
    HG_TRY(hg_ask(run, inner, &res, err));
    enum hg_rc rc = hg_query_table(inner, res.merged, &run->exec, hg_query_errand_timed(q, k), most_rows(run, q), run->arena, &rows, err);
    hg_partial_free(res.merged);
    if (rc == HG_E_LIMIT || rc == HG_E_INVALID) return hg_err_context(err, rc, "%s", path);
    if (!rc) rc = add_up(run, out, &res, err);
    if (!rc) rc = hg_query_bind(q, k, rows, run->arena, err);
    return rc;
}

/* The parts of an answer, merged: those of tables, which data servers gave, and those of rows that are here. */
struct parts {
    struct hg_running *run;
    const struct hg_query *q;
    struct hg_merge *m;
    struct hg_scatter_result *out;
};

static enum hg_rc add_tables(struct parts *p, const struct hg_query *q, struct hg_err *err)
{
    struct hg_scatter_result res;
    HG_TRY(hg_scatter(p->run, q, &res, err));
    struct hg_partial *merged = res.merged;
    enum hg_rc rc = add_up(p->run, p->out, &res, err);
    p->out->short_circuit |= res.short_circuit;
    if (rc) {
        hg_partial_free(merged);
        return rc;
    }
    return merged ? hg_merge_add(p->m, merged, err) : HG_OK;
}

static enum hg_rc give(void *arg, struct hg_partial *p, struct hg_err *err) { return hg_merge_add(arg, p, err); }

static enum hg_rc add_inputs(struct parts *p, const struct hg_query *q, struct hg_err *err)
{
    int64_t before = p->run->exec.stats.rows_scanned;
    for (uint32_t k = 0; k < hg_query_inputs(q); k++) {
        struct hg_partial *one;
        struct hg_exec x = p->run->exec;
        x.give = give;
        x.give_arg = p->m;
        enum hg_rc rc = hg_query_scan_input(q, k, &x, &one, err);
        p->run->exec.stats = x.stats;
        if (rc != HG_OK) return rc;
        HG_TRY(hg_merge_add(p->m, one, err));
    }
    p->out->rows_scanned += p->run->exec.stats.rows_scanned - before;
    return HG_OK;
}

/* Of a RIGHT or FULL join: the rows that nothing on the left met. */
static enum hg_rc add_unmet(struct parts *p, struct hg_err *err)
{
    struct hg_scatter_result res;
    const struct hg_query *met, *unmet;
    HG_TRY(hg_query_met(p->q, p->run->arena, &met, err));
    if (!met) return HG_OK;
    HG_TRY(hg_ask(p->run, met, &res, err));
    enum hg_rc rc = hg_query_unmet(p->q, res.merged, &p->run->exec, p->run->arena, &unmet, err);
    hg_partial_free(res.merged);
    if (!rc) rc = add_up(p->run, p->out, &res, err);
    return !rc && unmet ? add_inputs(p, unmet, err) : rc;
}

static enum hg_rc add_parts(struct parts *p, struct hg_err *err)
{
    const struct hg_query *q = p->q, *shipped;
    if (q->n_tables) {
        int64_t most = p->run->b->opt.subquery_ship_bytes;
        struct hg_query again;
        HG_TRY(hg_query_ship(q, most > 0 ? (size_t)most : SIZE_MAX, p->run->arena, &shipped, err));
        HG_TRY(add_tables(p, shipped, err));
        for (uint32_t k = 0; hg_query_again(shipped, k, &again); k++) HG_TRY(add_tables(p, &again, err));
    }
    HG_TRY(add_inputs(p, q, err));
    return add_unmet(p, err);
}

enum hg_rc hg_ask(struct hg_running *run, const struct hg_query *q, struct hg_scatter_result *out, struct hg_err *err)
{
    if (hg_query_is_plain(q)) return hg_scatter(run, q, out, err);
    *out = (struct hg_scatter_result){0};
    struct parts p = {.run = run, .q = q, .out = out};
    for (uint32_t k = 0; k < hg_query_errands(q); k++) HG_TRY(run_errand(run, q, k, out, err));
    HG_TRY(hg_merge_new(q, &run->exec, &p.m, err));
    enum hg_rc rc = add_parts(&p, err);
    if (!rc) rc = hg_merge_take(p.m, &out->merged, err);
    hg_merge_free(p.m);
    return rc;
}
