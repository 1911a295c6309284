/* Named JSON documents with their history. Changes follow each other by the counter "docs", which also numbers the history. */
#include "meta/meta_private.h"

#include <inttypes.h>

static const char *const kinds[] = {[HG_DOC_SUPERVISOR] = "supervisor", [HG_DOC_TASK] = "task", [HG_DOC_RULES] = "rules", [HG_DOC_CONFIG] = "config", [HG_DOC_LOOKUP] = "lookup"};
static const enum hg_topic topics[] = {
    [HG_DOC_SUPERVISOR] = HG_TOPIC_SUPERVISORS, [HG_DOC_TASK] = HG_TOPIC_TASKS, [HG_DOC_RULES] = HG_TOPIC_RULES, [HG_DOC_CONFIG] = HG_TOPIC_RULES, [HG_DOC_LOOKUP] = HG_TOPIC_RULES,
};

struct change {
    enum hg_doc kind;
    const char *id, *text, *author, *remark;
    int64_t expect, version;
};

static enum hg_rc put_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct change *w = arg;
    const char *kind = kinds[w->kind];
    int64_t seq, now, current = 0, last = 0;
    HG_TRY(hg_db_count(tx, "docs", &seq, err));
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_db_i64(tx, "SELECT version FROM hg_docs WHERE kind = $1 AND id = $2", DB_V(DB_T(kind), DB_T(w->id)), &current, NULL, err));
    if (w->expect >= 0 && w->expect != current)
        return hg_fail(err, HG_E_CONFLICT, "%s %s: %s %" PRId64 ", expected %" PRId64, kind, w->id, current ? "its version is" : "there is none, version", current, w->expect);
    /* Versions go on after a deletion. */
    HG_TRY(hg_db_i64(tx, "SELECT coalesce(max(version), 0) FROM hg_doc_history WHERE kind = $1 AND id = $2", DB_V(DB_T(kind), DB_T(w->id)), &last, NULL, err));
    w->version = last;
    if (!w->text && !current) return HG_OK;
    w->version = last + 1;
    if (w->text) {
        HG_TRY(hg_db_exec(tx,
                          "INSERT INTO hg_docs (kind, id, version, body, changed_ms, author, remark) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kind, id) DO UPDATE SET"
                          " version = excluded.version, body = excluded.body, changed_ms = excluded.changed_ms, author = excluded.author, remark = excluded.remark",
                          DB_V(DB_T(kind), DB_T(w->id), DB_I(w->version), DB_T(w->text), DB_I(now), DB_T(w->author), DB_T(w->remark)), NULL, NULL, NULL, err));
    } else {
        HG_TRY(hg_db_exec(tx, "DELETE FROM hg_docs WHERE kind = $1 AND id = $2", DB_V(DB_T(kind), DB_T(w->id)), NULL, NULL, NULL, err));
    }
    HG_TRY(hg_db_exec(tx, "INSERT INTO hg_doc_history (seq, kind, id, version, body, changed_ms, author, remark) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                      DB_V(DB_I(seq), DB_T(kind), DB_T(w->id), DB_I(w->version), DB_NULLABLE(w->text), DB_I(now), DB_T(w->author), DB_T(w->remark)), NULL, NULL, NULL, err));
    hg_tx_notify(tx, topics[w->kind]);
    return HG_OK;
}

enum hg_rc hg_meta_doc_put(struct hg_meta *m, enum hg_doc kind, const char *id, const char *text, int64_t expect_version, const char *author, const char *comment, int64_t *version,
                           struct hg_err *err)
{
    struct change w = {.kind = kind, .id = id, .text = text, .author = author, .remark = comment, .expect = expect_version};
    if (!id[0]) return hg_fail(err, HG_E_INVALID, "%s: its id is empty", kinds[kind]);
    HG_TRY(hg_db_run(m->db, HG_TX_WRITE, put_tx, &w, err));
    if (version) *version = w.version;
    return HG_OK;
}

struct docs {
    struct hg_arena *a;
    enum hg_doc kind;
    const char *id;
    bool history;
    int64_t limit;
    struct hg_doc_row *v;
    size_t n, cap;
};

static enum hg_rc doc_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct docs *w = arg;
    const char *text = hg_dbrow_text(r, 2);
    struct hg_doc_row d = {
        .id = hg_arena_strdup(w->a, hg_dbrow_text(r, 0)),
        .version = hg_dbrow_i64(r, 1),
        .text = text ? hg_arena_strdup(w->a, text) : NULL,
        .changed_ms = hg_dbrow_i64(r, 3),
        .author = hg_arena_strdup(w->a, hg_dbrow_text(r, 4)),
        .comment = hg_arena_strdup(w->a, hg_dbrow_text(r, 5)),
    };
    if (!d.id || (text && !d.text) || !d.author || !d.comment) return hg_arena_fail(w->a, "documents", err);
    HG_GROW(w->a, w->v, w->n, w->cap, "documents", err);
    w->v[w->n++] = d;
    return HG_OK;
}

#define DOC_COLS "id, version, body, changed_ms, author, remark"

static enum hg_rc docs_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct docs *w = arg;
    char sql[300];
    w->n = 0;
    snprintf(sql, sizeof sql, "SELECT " DOC_COLS " FROM %s WHERE kind = $1%s ORDER BY %s", w->history ? "hg_doc_history" : "hg_docs", w->id ? " AND id = $2" : "",
             w->history ? "seq DESC LIMIT $3" : "id");
    return hg_db_exec(tx, sql, DB_V(DB_T(kinds[w->kind]), DB_T(w->id), DB_I(w->limit)), doc_row, w, NULL, err);
}

enum hg_rc hg_meta_doc_get(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, const char *id, struct hg_doc_row *out, struct hg_err *err)
{
    struct docs w = {.a = a, .kind = kind, .id = id};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, docs_tx, &w, err));
    if (w.n == 0) return hg_fail(err, HG_E_NOTFOUND, "there is no %s %s", kinds[kind], id);
    *out = w.v[0];
    return HG_OK;
}

enum hg_rc hg_meta_doc_list(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, struct hg_doc_row **out, size_t *n, struct hg_err *err)
{
    struct docs w = {.a = a, .kind = kind};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, docs_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}

enum hg_rc hg_meta_doc_history(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, const char *id, int64_t limit, struct hg_doc_row **out, size_t *n, struct hg_err *err)
{
    struct docs w = {.a = a, .kind = kind, .id = id, .history = true, .limit = limit > 0 ? limit : INT32_MAX};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, docs_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
