/* For the tests of the query engine: a query from JSON text, run over sources, as lines of text that can be compared. */
#ifndef HG_TESTS_UNIT_QUERY_HELP_H
#define HG_TESTS_UNIT_QUERY_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka wants the four above */
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include "base/num.h"
#include "mem_source.h"
#include "query/engine/rows.h"
#include "query/query.h"

struct run {
    struct hg_arena *arena;
    struct hg_budget budget;
    struct hg_exec x;
    const struct hg_query *q;
    struct hg_err err;
};

static inline enum hg_rc run_open(struct run *r, const char *json, int64_t limit)
{
    memset(r, 0, sizeof *r);
    hg_budget_init(&r->budget, NULL, "query memory", limit);
    r->x.budget = &r->budget;
    r->arena = hg_arena_new(NULL);
    assert_non_null(r->arena);
    return hg_query_parse(r->arena, hg_str_of(json), &r->q, &r->err);
}
static inline void run_close(struct run *r)
{
    assert_int_equal(atomic_load(&r->budget.used), 0); /* everything was given back */
    hg_arena_free(r->arena);
}

/* Parts of the query's intervals that meet a source. */
static inline enum hg_rc run_scan(struct run *r, const struct hg_source *s, struct hg_partial **out)
{
    return hg_query_scan(r->q, s, s->times, r->q->intervals, r->q->n_intervals, &r->x, out, &r->err);
}

static inline struct hg_partial *run_recode(struct run *r, struct hg_partial *p)
{
    struct hg_buf b;
    struct hg_partial *q = NULL;
    hg_buf_init(&b, SIZE_MAX);
    if (hg_partial_encode(p, &b, &r->err) != HG_OK) fail_msg("encode: %s", r->err.msg);
    hg_partial_free(p);
    if (hg_partial_decode(r->q, hg_buf_span(&b), &r->x, &q, &r->err) != HG_OK) fail_msg("decode: %s", r->err.msg);
    hg_buf_free(&b);
    return q;
}

static inline int line_cmp(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* One line a row: "bucket|key|...|state|...\n", sorted. Returns owned (free). */
static inline char *rows_text(const struct hg_query *q, const struct hg_partial *p)
{
    char **lines = calloc((size_t)p->n_rows + 1, sizeof *lines);
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    assert_non_null(lines);
    assert_int_equal(p->n_keys, q->plan->n_dims);
    assert_int_equal(p->n_aggs, q->plan->n_aggs);
    for (uint64_t r = 0; r < p->n_rows; r++) {
        hg_buf_clear(&b);
        hg_buf_printf(&b, "%" PRId64, p->bucket[r]);
        for (uint32_t k = 0; k < p->n_keys; k++) {
            const struct hg_key_col *c = &p->keys[k];
            hg_buf_putc(&b, '|');
            if (c->type == HG_T_STRING) {
                assert_true(c->ids[r] < p->n_strings);
                hg_buf_json_str(&b, p->strings[c->ids[r]]);
            } else if (c->nulls[r]) {
                hg_buf_puts(&b, "null");
            } else if (c->type == HG_T_LONG) {
                hg_buf_printf(&b, "%" PRId64, c->i[r]);
            } else {
                hg_buf_printf(&b, "%.17g", c->d[r]);
            }
        }
        for (uint32_t k = 0; k < p->n_aggs; k++) {
            const struct hg_state_col *c = &p->aggs[k];
            hg_buf_putc(&b, '|');
            switch (c->kind) {
            case HG_STATE_COUNT: hg_buf_printf(&b, "%" PRId64, c->i[r]); break;
            case HG_STATE_I64:
                if (c->nulls[r]) hg_buf_puts(&b, "null");
                else hg_buf_printf(&b, "%" PRId64, c->i[r]);
                break;
            case HG_STATE_F64:
                if (c->nulls[r]) hg_buf_puts(&b, "null");
                else hg_buf_printf(&b, "%.17g", c->d[r]);
                break;
            case HG_STATE_MEAN: hg_buf_printf(&b, "%.17g/%" PRId64, c->d[r], c->i[r]); break;
            case HG_STATE_SKETCH: hg_buf_printf(&b, "~%.0f", hg_sketch_estimate(&p->plan_aggs[k].sketch, c->obj[r])); break;
            case HG_STATE_TIMED:
                if (!c->there[r] || c->nulls[r]) hg_buf_puts(&b, c->there[r] ? "null" : "none");
                else if (c->i) hg_buf_printf(&b, "%" PRId64, c->i[r]);
                else hg_buf_printf(&b, "%.17g", c->d[r]);
                break;
            case HG_STATE_EXPR: hg_buf_puts(&b, c->obj[r] ? "value" : "none"); break;
            case HG_STATE_TEXT: {
                const struct hg_timed_text *t = c->obj[r];
                hg_buf_printf(&b, "%.*s", t ? (int)t->len : 4, t ? t->s : "none");
                break;
            }
            }
        }
        hg_buf_u8(&b, 0);
        lines[r] = strdup((char *)b.p);
    }
    qsort(lines, (size_t)p->n_rows, sizeof *lines, line_cmp);
    hg_buf_clear(&b);
    for (uint64_t r = 0; r < p->n_rows; r++) {
        hg_buf_puts(&b, lines[r]);
        hg_buf_putc(&b, '\n');
        free(lines[r]);
    }
    free(lines);
    hg_buf_u8(&b, 0);
    assert_false(b.failed);
    return (char *)b.p;
}

/* Runs the query over one source; the rows as text (owned). */
static inline char *run_text(const char *json, const struct hg_source *s)
{
    struct run r;
    struct hg_partial *p = NULL;
    if (run_open(&r, json, 0) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    if (run_scan(&r, s, &p) != HG_OK) fail_msg("%s\n%s", r.err.msg, json);
    char *t = rows_text(r.q, p);
    hg_partial_free(p);
    run_close(&r);
    return t;
}

#endif
