/* Merging rows: batches stay what they are and are put into one list, run by run. Only when they are written are the runs of an ordered query taken together (result/rowfront.h). */
#include <stdlib.h>
#include <string.h>
#include "query/engine/rowbatch.h"
#include "query/merge/merge_private.h"

struct rows {
    const struct hg_query *q;
    struct hg_exec *x;
    struct hg_partial *p; /* what came; NULL: nothing yet */
    struct hg_rowbatch **end;
    uint32_t parts;       /* partials so far: of two of one segment the parts have different numbers */
};

static enum hg_rc rows_new(const struct hg_query *q, struct hg_exec *x, void **out, struct hg_err *err)
{
    struct rows *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "merge");
    m->q = q;
    m->x = x;
    *out = m;
    return HG_OK;
}

static void rows_free(void *arg)
{
    struct rows *m = arg;
    hg_partial_free(m->p);
    free(m);
}

static int by_run(const void *x, const void *y)
{
    const struct hg_rowbatch *const *pa = x, *const *pb = y, *a = *pa, *b = *pb;
    if (a->segment_start != b->segment_start) return a->segment_start < b->segment_start ? -1 : 1;
    int c = strcmp(a->segment, b->segment);
    if (c) return c;
    if (a->part != b->part) return a->part < b->part ? -1 : 1;
    return (a->seq > b->seq) - (a->seq < b->seq);
}

static enum hg_rc rows_add(void *arg, struct hg_partial *p, struct hg_err *err)
{
    struct rows *m = arg;
    (void)err;
    uint32_t parts = m->parts;
    for (struct hg_rowbatch *b = p->batches; b; b = b->next) {
        b->part += m->parts;
        b->n_parts = b->part + 1;
        if (b->part >= parts) parts = b->part + 1;
    }
    m->parts = parts;
    if (!m->p) {
        m->p = p;
        m->end = &p->batches;
    } else {
        *m->end = p->batches;
        m->p->n_rows += p->n_rows;
        p->batches = NULL;
        hg_partial_free(p);
    }
    while (*m->end) m->end = &(*m->end)->next;
    return HG_OK;
}

static enum hg_rc sort_batches(struct hg_partial *p, struct hg_err *err)
{
    size_t n = 0, i = 0;
    for (struct hg_rowbatch *b = p->batches; b; b = b->next) n++;
    struct hg_rowbatch **v = malloc((n + 1) * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "merge");
    for (struct hg_rowbatch *b = p->batches; b; b = b->next) v[i++] = b;
    qsort(v, n, sizeof *v, by_run);
    struct hg_rowbatch **end = &p->batches;
    for (i = 0; i < n; i++) {
        *end = v[i];
        end = &v[i]->next;
    }
    *end = NULL;
    free(v);
    return HG_OK;
}

static enum hg_rc rows_take(void *arg, struct hg_partial **out, struct hg_err *err)
{
    struct rows *m = arg;
    if (!m->p) return hg_partial_new(m->q, m->x, 0, 0, out, err);
    HG_TRY(sort_batches(m->p, err));
    *out = m->p;
    m->p = NULL;
    return HG_OK;
}

const struct hg_form hg_form_rows = {rows_new, rows_add, rows_take, rows_free, hg_rows_encode, hg_rows_decode};
