/* Versions, and the ids under which streams' rows will be published.
 *
 * Rows of a stream are added to what is visible, so an allocation takes the version that the chunk has now. Where the namespace has nothing visible it takes the
 * namespace's own first version, always the same one: equal versions never hide each other, so a stream may change its segment granularity, and two streams may write
 * one namespace with different ones, without one's segments hiding the other's. Batch versions are always newer than it. */
#include "meta/meta_private.h"

#include <inttypes.h>

/* ---- versions ---- */

enum hg_rc hg_new_version_tx(struct hg_tx *tx, char *version, struct hg_err *err)
{
    int64_t now, ms = 0;
    bool found;
    HG_TRY(hg_db_now(tx, &now, err));
    /* The row keeps them ascending over all servers, and when the clock is set back. */
    HG_TRY(hg_db_i64(tx, "UPDATE hg_counters SET value = CASE WHEN value >= $1 THEN value + 1 ELSE $1 END WHERE name = 'version' RETURNING value", DB_V(DB_I(now)), &ms, &found, err));
    if (!found) return hg_fail(err, HG_E_CORRUPT, "metadata store: counter version is not there");
    hg_time_format(ms, hg_tz_utc(), version);
    return HG_OK;
}

static enum hg_rc version_tx(struct hg_tx *tx, void *arg, struct hg_err *err) { return hg_new_version_tx(tx, arg, err); }

enum hg_rc hg_meta_new_version(struct hg_meta *m, char *version, struct hg_err *err) { return hg_db_run(m->db, HG_TX_WRITE, version_tx, version, err); }

/* ---- allocation ---- */

#define EPOCH_NOW "coalesce((SELECT l.epoch FROM hg_leases l WHERE l.what = $1), 0)" /* of the stream's lease: what is served under the id from here on is owed from it */

struct alloc {
    const struct hg_alloc *w;
    struct hg_arena *a; /* for one attempt */
    char first_version[80]; /* the namespace's; "" until it has one */
    char had_version[80];   /* what this (stream, sequence, interval) was given before */
    int64_t had_partition;
    char version[80];
    int64_t partition;
};

static enum hg_rc keep_version(char to[80], const char *from, struct hg_err *err)
{
    int n = snprintf(to, 80, "%s", from);
    return n < 80 ? HG_OK : hg_fail(err, HG_E_CORRUPT, "metadata store: a version of %d bytes", n);
}

static enum hg_rc first_row(void *arg, const struct hg_dbrow *r, struct hg_err *err) { return keep_version(((struct alloc *)arg)->first_version, hg_dbrow_text(r, 0), err); }

static enum hg_rc had_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct alloc *s = arg;
    s->had_partition = hg_dbrow_i64(r, 1);
    return keep_version(s->had_version, hg_dbrow_text(r, 0), err);
}

/* The version that the visible segments of the interval have; "" where there are none. */
static enum hg_rc visible_version(struct hg_tx *tx, struct alloc *s, struct hg_err *err)
{
    struct hg_vis_list around = {.a = s->a};
    const struct hg_vis *hidden;
    s->version[0] = 0;
    HG_TRY(hg_vis_load(tx, s->w->datasource, s->w->ns ? s->w->ns : "", s->w->interval, &around, err));
    for (size_t i = 0; i < around.n; i++)
        if (strcmp(around.v[i].id.version, s->version) > 0) HG_TRY(keep_version(s->version, around.v[i].id.version, err));
    if (around.n == 0) return HG_OK;
    HG_TRY(hg_vis_would_hide(s->a, around.v, around.n, s->w->interval, s->version, &hidden, err));
    if (!hidden) return HG_OK;
    char text[2 * HG_TIME_TEXT];
    hg_interval_format(s->w->interval, text);
    return hg_fail(err, HG_E_CONFLICT, "%s: no version fits all of %s: its visible segments have versions %s and %s; a finer segment granularity keeps them apart", s->w->datasource, text,
                   hidden->id.version, s->version);
}

static enum hg_rc still_good(struct hg_tx *tx, struct alloc *s, bool *good, struct hg_err *err)
{
    const struct hg_alloc *w = s->w;
    int64_t published = 0;
    /* An older version may have come too: a batch publish that began before the first allocation. */
    *good = s->had_version[0] && (!s->version[0] || strcmp(s->had_version, s->version) == 0);
    if (!*good) return HG_OK;
    struct hg_segid id = {w->datasource, w->ns ? w->ns : "", w->interval, s->had_version, (uint32_t)s->had_partition};
    char text[HG_SEGID_TEXT];
    hg_segid_text(&id, text);
    /* After an operator's reset a stream may come by the same offsets again; its rows are another segment then. */
    HG_TRY(hg_db_i64(tx, "SELECT count(*) FROM hg_segments WHERE id = $1", DB_V(DB_T(text)), &published, NULL, err));
    *good = published == 0;
    if (!*good) return HG_OK;
    /* Of a chunk that clean-up has been at, the id may have been published and deleted. */
    HG_TRY(hg_db_i64(tx, "SELECT count(*) FROM hg_gone WHERE datasource = $1 AND ns = $2 AND start_ms = $3 AND end_ms = $4 AND version = $5",
                     DB_V(DB_T(id.datasource), DB_T(id.ns), DB_I(id.interval.start), DB_I(id.interval.end), DB_T(id.version)), &published, NULL, err));
    *good = published == 0;
    return HG_OK;
}

static enum hg_rc allocate_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct alloc *s = arg;
    const struct hg_alloc *w = s->w;
    const char *ns = w->ns ? w->ns : "";
    hg_arena_reset(s->a);
    s->had_version[0] = 0;
    /* Allocations of a namespace follow each other by its row. */
    HG_TRY(hg_db_exec(tx,
                      "INSERT INTO hg_namespaces (datasource, ns, version, max_ms) VALUES ($1, $2, '', 0) ON CONFLICT (datasource, ns) DO UPDATE SET max_ms = hg_namespaces.max_ms"
                      " RETURNING version",
                      DB_V(DB_T(w->datasource), DB_T(ns)), first_row, s, NULL, err));
    HG_TRY(hg_db_exec(tx,
                      "SELECT version, part_num FROM hg_allocations WHERE stream = $1 AND sequence = $2 AND datasource = $3 AND ns = $4 AND start_ms = $5 AND end_ms = $6",
                      DB_V(DB_T(w->stream), DB_T(w->sequence), DB_T(w->datasource), DB_T(ns), DB_I(w->interval.start), DB_I(w->interval.end)), had_row, s, NULL, err));
    HG_TRY(visible_version(tx, s, err));
    bool good;
    HG_TRY(still_good(tx, s, &good, err));
    if (good) {
        memcpy(s->version, s->had_version, sizeof s->version);
        s->partition = s->had_partition;
        return hg_db_exec(tx, "UPDATE hg_allocations SET epoch = " EPOCH_NOW " WHERE stream = $1 AND sequence = $2 AND datasource = $3 AND ns = $4 AND start_ms = $5 AND end_ms = $6",
                          DB_V(DB_T(w->stream), DB_T(w->sequence), DB_T(w->datasource), DB_T(ns), DB_I(w->interval.start), DB_I(w->interval.end)), NULL, NULL, NULL, err);
    }
    if (!s->version[0] && !s->first_version[0]) {
        HG_TRY(hg_new_version_tx(tx, s->first_version, err));
        HG_TRY(hg_db_exec(tx, "UPDATE hg_namespaces SET version = $3 WHERE datasource = $1 AND ns = $2", DB_V(DB_T(w->datasource), DB_T(ns), DB_T(s->first_version)), NULL, NULL, NULL, err));
    }
    if (!s->version[0]) memcpy(s->version, s->first_version, sizeof s->version);
    HG_TRY(hg_db_i64(tx,
                     "INSERT INTO hg_chunks (datasource, ns, start_ms, end_ms, version, next_part) VALUES ($1, $2, $3, $4, $5, 1)"
                     " ON CONFLICT (datasource, ns, start_ms, end_ms, version) DO UPDATE SET next_part = hg_chunks.next_part + 1 RETURNING next_part - 1",
                     DB_V(DB_T(w->datasource), DB_T(ns), DB_I(w->interval.start), DB_I(w->interval.end), DB_T(s->version)), &s->partition, NULL, err));
    int64_t now;
    HG_TRY(hg_db_now(tx, &now, err));
    return hg_db_exec(tx,
                      "INSERT INTO hg_allocations (stream, sequence, datasource, ns, start_ms, end_ms, version, part_num, created_ms, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, " EPOCH_NOW ")"
                      " ON CONFLICT (stream, sequence, datasource, ns, start_ms, end_ms) DO UPDATE SET version = excluded.version, part_num = excluded.part_num,"
                      " created_ms = excluded.created_ms, epoch = excluded.epoch",
                      DB_V(DB_T(w->stream), DB_T(w->sequence), DB_T(w->datasource), DB_T(ns), DB_I(w->interval.start), DB_I(w->interval.end), DB_T(s->version), DB_I(s->partition),
                           DB_I(now)),
                      NULL, NULL, NULL, err);
}

enum hg_rc hg_meta_allocate(struct hg_meta *m, struct hg_arena *a, const struct hg_alloc *w, struct hg_segid *out, struct hg_err *err)
{
    struct hg_segid id = {w->datasource, w->ns ? w->ns : "", w->interval, "v", 0};
    HG_TRY(hg_segid_check(&id, err));
    struct alloc s = {.w = w, .a = hg_arena_new(NULL)};
    if (!s.a) return hg_fail(err, HG_E_NOMEM, "allocation");
    enum hg_rc rc = hg_db_run(m->db, HG_TX_WRITE, allocate_tx, &s, err);
    hg_arena_free(s.a);
    if (rc) return rc;
    id.datasource = hg_arena_strdup(a, w->datasource);
    id.ns = hg_arena_strdup(a, id.ns);
    id.version = hg_arena_strdup(a, s.version);
    id.partition = (uint32_t)s.partition;
    if (!id.datasource || !id.ns || !id.version) return hg_arena_fail(a, "allocation", err);
    *out = id;
    return HG_OK;
}
