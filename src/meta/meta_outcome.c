#include "meta/outcome.h"

#include <inttypes.h>

#include "meta/meta_private.h"

struct asking {
    struct hg_arena *a;
    int64_t id;
    struct hg_outcome o;
    const char **ids;
    size_t n, cap;
    bool found;
};

static enum hg_rc publish_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct asking *w = arg;
    w->found = true;
    w->o = (struct hg_outcome){.datasource = hg_arena_strdup(w->a, hg_dbrow_text(r, 0)), .ns = hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), .task = hg_arena_strdup(w->a, hg_dbrow_text(r, 2)),
                               .waits = !hg_dbrow_i64(r, 3), .revert = hg_dbrow_i64(r, 4), .given_up = hg_arena_strdup(w->a, hg_dbrow_text(r, 5)), .created_ms = hg_dbrow_i64(r, 6),
                               .ended_ms = hg_dbrow_i64(r, 7)};
    return w->o.datasource && w->o.ns && w->o.task && w->o.given_up ? HG_OK : hg_arena_fail(w->a, "publish", err);
}

static enum hg_rc id_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct asking *w = arg;
    HG_GROW(w->a, w->ids, w->n, w->cap, "publish", err);
    w->ids[w->n] = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
    return w->ids[w->n++] ? HG_OK : hg_arena_fail(w->a, "publish", err);
}

static enum hg_rc outcome_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct asking *w = arg;
    w->n = 0;
    HG_TRY(hg_db_exec(tx, "SELECT datasource, ns, task, visible, is_revert, outcome, created_ms, visible_ms FROM hg_publishes WHERE id = $1", DB_V(DB_I(w->id)), publish_row, w, NULL, err));
    return hg_db_exec(tx, "SELECT segment_id FROM hg_revert_segments WHERE publish_id = $1", DB_V(DB_I(w->id)), id_row, w, NULL, err);
}

enum hg_rc hg_meta_outcome(struct hg_meta *m, struct hg_arena *a, int64_t publish_id, struct hg_outcome *out, struct hg_err *err)
{
    struct asking w = {.a = a, .id = publish_id};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, outcome_tx, &w, err));
    if (!w.found) return hg_fail(err, HG_E_NOTFOUND, "there is no publish %" PRId64, publish_id);
    w.o.ids = w.ids;
    w.o.n = w.n;
    *out = w.o;
    return HG_OK;
}
