/* Merging, by the form of the query type's results. */
#include <stdlib.h>
#include "query/merge/merge_private.h"

struct hg_merge {
    const struct hg_form *form;
    void *state;
    struct hg_err why; /* it failed, and its state is of no use any more: another thread that shares it may not know yet */
};

enum hg_rc hg_merge_new(const struct hg_query *q, struct hg_exec *x, struct hg_merge **out, struct hg_err *err)
{
    struct hg_merge *m = calloc(1, sizeof *m);
    if (!m) return hg_fail(err, HG_E_NOMEM, "merge");
    m->form = hg_query_ops(q)->form;
    enum hg_rc rc = m->form->merge_new(q, x, &m->state, err);
    if (rc == HG_OK) *out = m;
    else free(m);
    return rc;
}

static enum hg_rc note(struct hg_merge *m, enum hg_rc rc, struct hg_err *err)
{
    if (rc == HG_OK) return rc;
    if (err) m->why = *err;
    m->why.rc = rc;
    return rc;
}

enum hg_rc hg_merge_add(struct hg_merge *m, struct hg_partial *p, struct hg_err *err)
{
    if (m->why.rc == HG_OK) return note(m, m->form->merge_add(m->state, p, err), err);
    hg_partial_free(p);
    return hg_fail(err, m->why.rc, "%s", m->why.msg);
}

enum hg_rc hg_merge_take(struct hg_merge *m, struct hg_partial **out, struct hg_err *err)
{
    if (m->why.rc == HG_OK) return note(m, m->form->merge_take(m->state, out, err), err);
    return hg_fail(err, m->why.rc, "%s", m->why.msg);
}

void hg_merge_free(struct hg_merge *m)
{
    if (!m) return;
    m->form->merge_free(m->state);
    free(m);
}
