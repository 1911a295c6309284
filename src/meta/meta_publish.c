/* Publishing: segments and a stream's offsets in one transaction; and the flip that makes a publish visible.
 *
 * Locks are taken in one order everywhere: the stream's lease, its offsets, the counter "publish", the publish's row, the counter "visible", the namespace's row, chunks. */
#include "meta/meta_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "timeline/timeline.h"

struct chunk { /* distinct interval and version among the segments of a publish */
    struct hg_interval iv;
    const char *version;
    uint32_t last_part;
    bool adds; /* some segment is no core partition */
};
struct publish {
    const struct hg_publish *p;
    struct hg_arena *a; /* for one attempt */
    const char *datasource, *ns;
    struct chunk *chunks;
    size_t n_chunks;
    int64_t id, now;
};

/* ---- checks that need no database ---- */

static int by_id(const void *a, const void *b) { return hg_segid_cmp(&(*(const struct hg_segment_meta *const *)a)->id, &(*(const struct hg_segment_meta *const *)b)->id); }

static enum hg_rc check_segment(const struct hg_publish *p, const struct hg_segment_meta *s, struct hg_err *err)
{
    const struct hg_segment_meta *first = &p->segments[0];
    HG_TRY(hg_segid_check(&s->id, err));
    char id[HG_SEGID_TEXT];
    hg_segid_text(&s->id, id);
    if (strcmp(s->id.datasource, first->id.datasource) != 0 || strcmp(s->id.ns ? s->id.ns : "", first->id.ns ? first->id.ns : "") != 0)
        return hg_fail(err, HG_E_INVALID, "publish: %s is of another datasource or namespace than the first segment", id);
    if (s->shard.partition != s->id.partition)
        return hg_fail(err, HG_E_INVALID, "publish: %s has a shard spec of partition %" PRIu32, id, s->shard.partition);
    if (!s->path || !s->path[0] || s->size_bytes < 0 || s->n_rows < 0) return hg_fail(err, HG_E_INVALID, "publish: %s has no path, or a negative size", id);
    return HG_OK;
}

static enum hg_rc check(const struct hg_publish *p, struct hg_err *err)
{
    for (size_t i = 0; i < p->n_segments; i++) HG_TRY(check_segment(p, &p->segments[i], err));
    if (p->n_replaced && !p->n_segments) return hg_fail(err, HG_E_INVALID, "publish: intervals are replaced by no segment");
    for (size_t i = 0; i < p->n_replaced; i++)
        if (hg_interval_empty(p->replaced[i])) return hg_fail(err, HG_E_INVALID, "publish: a replaced interval is empty");
    if (p->stream && p->n_replaced) return hg_fail(err, HG_E_INVALID, "publish: a stream replaces no intervals");
    for (size_t i = 0; p->stream && i < p->n_offsets; i++)
        if (p->expected[i].partition != p->next[i].partition)
            return hg_fail(err, HG_E_INVALID, "publish of stream %s: expected and next offsets name partitions %" PRId32 " and %" PRId32, p->stream, p->expected[i].partition, p->next[i].partition);
    return HG_OK;
}

static enum hg_rc find_chunks(struct publish *w, struct hg_err *err)
{
    size_t n = w->p->n_segments;
    const struct hg_segment_meta **s = hg_arena_array(w->a, n, sizeof *s);
    w->chunks = hg_arena_array(w->a, n, sizeof *w->chunks);
    w->n_chunks = 0;
    if (!s || !w->chunks) return hg_arena_fail(w->a, "publish", err);
    for (size_t i = 0; i < n; i++) s[i] = &w->p->segments[i];
    if (n) qsort(s, n, sizeof *s, by_id);
    for (size_t i = 0; i < n; i++) {
        struct chunk *c = w->n_chunks ? &w->chunks[w->n_chunks - 1] : NULL;
        if (!c || c->iv.start != s[i]->id.interval.start || c->iv.end != s[i]->id.interval.end || strcmp(c->version, s[i]->id.version) != 0) {
            c = &w->chunks[w->n_chunks++];
            *c = (struct chunk){.iv = s[i]->id.interval, .version = s[i]->id.version};
        }
        c->last_part = s[i]->id.partition;
        c->adds = c->adds || s[i]->shard.core_partitions == 0;
    }
    return HG_OK;
}

/* ---- the stream's side ---- */

static enum hg_rc fence(struct hg_tx *tx, const struct hg_publish *p, struct hg_err *err)
{
    int64_t mine = 0, epoch = 0;
    bool leased;
    HG_TRY(hg_db_exec(tx, "UPDATE hg_leases SET epoch = epoch WHERE what = $1 AND epoch = $2", DB_V(DB_T(p->stream), DB_I(p->stream_epoch)), NULL, NULL, &mine, err));
    if (mine) return HG_OK;
    HG_TRY(hg_db_i64(tx, "SELECT epoch FROM hg_leases WHERE what = $1", DB_V(DB_T(p->stream)), &epoch, &leased, err));
    if (!leased && p->stream_epoch == 0) return HG_OK; /* nobody takes leases on it */
    return hg_fail(err, HG_E_CONFLICT, "stream %s: this publisher has epoch %" PRId64 " of its lease, which is at %" PRId64 " now", p->stream, p->stream_epoch, epoch);
}

static enum hg_rc move_offset(struct hg_tx *tx, const char *stream, int32_t partition, int64_t expected, int64_t next, struct hg_err *err)
{
    int64_t changed = 0, stored = 0;
    bool known;
    HG_TRY(hg_db_exec(tx, "UPDATE hg_offsets SET next_offset = $3 WHERE stream = $1 AND part_num = $2 AND next_offset = $4",
                      DB_V(DB_T(stream), DB_I(partition), DB_I(next), DB_I(expected)), NULL, NULL, &changed, err));
    if (changed) return HG_OK;
    HG_TRY(hg_db_i64(tx, "SELECT next_offset FROM hg_offsets WHERE stream = $1 AND part_num = $2", DB_V(DB_T(stream), DB_I(partition)), &stored, &known, err));
    if (!known) { /* read for the first time, from wherever the spec said */
        HG_TRY(hg_db_exec(tx, "INSERT INTO hg_offsets (stream, part_num, next_offset) VALUES ($1, $2, $3) ON CONFLICT (stream, part_num) DO NOTHING",
                          DB_V(DB_T(stream), DB_I(partition), DB_I(next)), NULL, NULL, &changed, err));
        if (changed) return HG_OK;
        HG_TRY(hg_db_i64(tx, "SELECT next_offset FROM hg_offsets WHERE stream = $1 AND part_num = $2", DB_V(DB_T(stream), DB_I(partition)), &stored, NULL, err));
    }
    return hg_fail(err, HG_E_CONFLICT, "stream %s partition %" PRId32 ": stored offset %" PRId64 ", expected %" PRId64, stream, partition, stored, expected);
}

static enum hg_rc stream_side(struct hg_tx *tx, const struct publish *w, struct hg_err *err)
{
    const struct hg_publish *p = w->p;
    HG_TRY(fence(tx, p, err));
    for (size_t i = 0; i < p->n_offsets; i++) HG_TRY(move_offset(tx, p->stream, p->expected[i].partition, p->expected[i].offset, p->next[i].offset, err));
    return hg_db_exec(tx, "DELETE FROM hg_allocations WHERE stream = $1 AND created_ms < $2", DB_V(DB_T(p->stream), DB_I(w->now - HG_ALLOCATIONS_KEPT_MS)), NULL, NULL, NULL, err);
}

/* ---- what is visible around the publish ---- */

/* A publish must not be older than what is visible where it goes, or it would never be seen. And a stream's must hide nothing: its rows come on top of
 * what is there. Either happens when something newer (older) became visible after its ids were allocated; allocating again gives ids that fit. */
static enum hg_rc check_versions(struct hg_tx *tx, const struct publish *w, struct hg_err *err)
{
    struct hg_interval *ivs = hg_arena_array(w->a, w->n_chunks, sizeof *ivs);
    struct hg_vis_list around = {.a = w->a};
    char text[2 * HG_TIME_TEXT];
    if (!ivs) return hg_arena_fail(w->a, "publish", err);
    for (size_t i = 0; i < w->n_chunks; i++) ivs[i] = w->chunks[i].iv;
    size_t n = hg_intervals_join(ivs, w->n_chunks);
    HG_TRY(hg_vis_load_all(tx, w->datasource, w->ns, ivs, n, &around, err));
    for (size_t i = 0; i < w->n_chunks; i++) {
        const struct chunk *c = &w->chunks[i];
        hg_interval_format(c->iv, text);
        for (size_t k = 0; k < around.n; k++)
            if (hg_interval_overlaps(around.v[k].id.interval, c->iv) && strcmp(around.v[k].id.version, c->version) > 0)
                return hg_fail(err, HG_E_CONFLICT, "publish of %s: version %s of %s is overshadowed by version %s", w->datasource, c->version, text, around.v[k].id.version);
        if (w->p->guarded) HG_TRY(hg_added_since(tx, w->datasource, w->ns, c->iv, c->version, w->p->seen, err));
        if (w->p->stream || (c->adds && !w->p->guarded)) HG_TRY(hg_replacement_waits(tx, w->datasource, w->ns, c->iv, c->version, err));
        const struct hg_vis *hidden = NULL;
        if (w->p->stream) HG_TRY(hg_vis_would_hide(w->a, around.v, around.n, c->iv, c->version, &hidden, err));
        if (hidden) return hg_fail(err, HG_E_CONFLICT, "publish of stream %s: version %s of %s would hide version %s, which it does not replace", w->p->stream, c->version, text, hidden->id.version);
    }
    return HG_OK;
}

struct flip {
    int64_t id;
    struct hg_arena *a;
    char datasource[HG_SEGID_TEXT], ns[HG_SEGID_TEXT];
    struct hg_interval *ivs, *replaced;
    size_t n_ivs, cap_ivs, n_replaced, cap_replaced;
    const char *version; /* the greatest of the publish */
    bool stream, revert;
};

/* The publish's segments are visible already (in this transaction). Finds what that hides wholly, and what its replaced intervals take away. */
static enum hg_rc find_drops(struct hg_tx *tx, struct flip *f, struct hg_drops *d, struct hg_err *err)
{
    struct hg_vis_list around = {.a = f->a};
    size_t all = f->n_ivs + f->n_replaced;
    struct hg_interval *near = hg_arena_array(f->a, all, sizeof *near);
    if (!near) return hg_arena_fail(f->a, "publish", err);
    if (f->n_ivs) memcpy(near, f->ivs, f->n_ivs * sizeof *near);
    if (f->n_replaced) memcpy(near + f->n_ivs, f->replaced, f->n_replaced * sizeof *near);
    size_t n = hg_intervals_join(near, all);
    HG_TRY(hg_vis_load_all(tx, f->datasource, f->ns, near, n, &around, err));

    /* An older segment may reach beyond the publish and be hidden there by what was visible before: look at all of it. */
    struct hg_interval *wide = hg_arena_array(f->a, n + around.n, sizeof *wide);
    if (!wide) return hg_arena_fail(f->a, "publish", err);
    if (n) memcpy(wide, near, n * sizeof *wide);
    for (size_t i = 0; i < around.n; i++) wide[n + i] = around.v[i].id.interval;
    size_t n_wide = hg_intervals_join(wide, n + around.n);
    HG_TRY(hg_vis_load_all(tx, f->datasource, f->ns, wide, n_wide, &around, err));
    HG_TRY(hg_drops_find(&around, d, err));

    for (size_t i = 0; i < around.n && f->version; i++)
        for (size_t k = 0; k < f->n_replaced; k++)
            if (hg_interval_contains(f->replaced[k], around.v[i].id.interval) && strcmp(around.v[i].id.version, f->version) < 0) {
                HG_TRY(hg_drops_add(d, &around.v[i].id, err));
                break;
            }
    return HG_OK;
}

static enum hg_rc flip_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct flip *f = arg;
    const char *version = hg_dbrow_text(r, 2);
    HG_GROW(f->a, f->ivs, f->n_ivs, f->cap_ivs, "publish", err);
    f->ivs[f->n_ivs++] = (struct hg_interval){hg_dbrow_i64(r, 0), hg_dbrow_i64(r, 1)};
    if (f->version && strcmp(version, f->version) <= 0) return HG_OK;
    f->version = hg_arena_strdup(f->a, version);
    return f->version ? HG_OK : hg_arena_fail(f->a, "publish", err);
}

/* One numbered change: everything of the publish in, what it hides or replaces out. "visible <> 0" where rows are found by publish or id: "visible = 1" would let a planner
 * without statistics walk the partial index of all that is visible. */
static enum hg_rc show(struct hg_tx *tx, struct flip *f, int64_t seq, int64_t now, struct hg_err *err)
{
    struct hg_drops d = {.a = f->a};
    HG_TRY(hg_db_exec(tx, "UPDATE hg_segments SET visible = 1, changed_ms = $2 WHERE publish_id = $1 AND used = 1", DB_V(DB_I(f->id), DB_I(now)), NULL, NULL, NULL, err));
    if (!f->stream) { /* a stream's publish hides nothing: it was checked */
        HG_TRY(hg_db_exec(tx, "SELECT DISTINCT start_ms, end_ms, version FROM hg_segments WHERE publish_id = $1 AND visible <> 0", DB_V(DB_I(f->id)), flip_row, f, NULL, err));
        HG_TRY(find_drops(tx, f, &d, err));
    }
    HG_TRY(hg_drops_apply(tx, &d, seq, now, err));
    return hg_db_exec(tx, "INSERT INTO hg_visible_log (seq, segment_id, op, changed_ms) SELECT $1, id, 1, $2 FROM hg_segments WHERE publish_id = $3 AND visible <> 0",
                      DB_V(DB_I(seq), DB_I(now), DB_I(f->id)), NULL, NULL, NULL, err);
}

/* ---- the transaction ---- */

static enum hg_rc insert_publish(struct hg_tx *tx, const struct publish *w, struct hg_err *err)
{
    const char *version = ""; /* the greatest */
    for (size_t i = 0; i < w->n_chunks; i++)
        if (strcmp(w->chunks[i].version, version) > 0) version = w->chunks[i].version;
    struct hg_buf replaced;
    hg_buf_init(&replaced, 1 << 24);
    for (size_t i = 0; i < w->p->n_replaced; i++) hg_buf_printf(&replaced, "%s%" PRId64 " %" PRId64, i ? " " : "", w->p->replaced[i].start, w->p->replaced[i].end);
    hg_buf_u8(&replaced, 0);
    enum hg_rc rc = hg_buf_check(&replaced, "replaced intervals", err);
    if (!rc)
        rc = hg_db_exec(tx, "INSERT INTO hg_publishes (id, datasource, ns, task, stream, replaced, visible, created_ms, visible_ms, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                        DB_V(DB_I(w->id), DB_T(w->datasource), DB_T(w->ns), DB_T(w->p->task), DB_T(w->p->stream), DB_T((const char *)replaced.p), DB_I(w->p->visible), DB_I(w->now),
                             DB_I(w->p->visible ? w->now : 0), DB_T(version)),
                        NULL, NULL, NULL, err);
    hg_buf_free(&replaced);
    return rc;
}

/* The longest segment, and the partition numbers that are taken now. */
static enum hg_rc note_chunks(struct hg_tx *tx, const struct publish *w, struct hg_err *err)
{
    int64_t longest = 0;
    for (size_t i = 0; i < w->n_chunks; i++) {
        int64_t len = w->chunks[i].iv.end - w->chunks[i].iv.start;
        if (len > longest) longest = len;
    }
    HG_TRY(hg_db_exec(tx,
                      "INSERT INTO hg_namespaces (datasource, ns, version, max_ms) VALUES ($1, $2, '', $3) ON CONFLICT (datasource, ns) DO UPDATE SET"
                      " max_ms = CASE WHEN hg_namespaces.max_ms < excluded.max_ms THEN excluded.max_ms ELSE hg_namespaces.max_ms END",
                      DB_V(DB_T(w->datasource), DB_T(w->ns), DB_I(longest)), NULL, NULL, NULL, err));
    struct hg_db_bulk b = {
        .tx = tx,
        .head = "INSERT INTO hg_chunks (datasource, ns, start_ms, end_ms, version, next_part) VALUES",
        .tail = "ON CONFLICT (datasource, ns, start_ms, end_ms, version) DO UPDATE SET"
                " next_part = CASE WHEN hg_chunks.next_part < excluded.next_part THEN excluded.next_part ELSE hg_chunks.next_part END",
    };
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < w->n_chunks && rc == HG_OK; i++) {
        const struct chunk *c = &w->chunks[i];
        rc = hg_db_bulk_add(&b, DB_V(DB_T(w->datasource), DB_T(w->ns), DB_I(c->iv.start), DB_I(c->iv.end), DB_T(c->version), DB_I((int64_t)c->last_part + 1)), err);
    }
    if (rc == HG_OK) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    return rc;
}

static enum hg_rc insert_segment(struct hg_db_bulk *b, const struct publish *w, const struct hg_segment_meta *s, struct hg_err *err)
{
    char text[HG_SEGID_TEXT];
    hg_segid_text(&s->id, text);
    const char *id = hg_arena_strdup(w->a, text);
    json_t *j = hg_shard_json(&s->shard);
    char *json = j ? hg_json_text(j) : NULL;
    const char *shard = json ? hg_arena_strdup(w->a, json) : NULL;
    json_decref(j);
    free(json);
    if (!id || !shard) return hg_arena_fail(w->a, "publish", err);
    return hg_db_bulk_add(b,
                          DB_V(DB_T(id), DB_T(w->datasource), DB_T(w->ns), DB_I(s->id.interval.start), DB_I(s->id.interval.end), DB_T(s->id.version), DB_I(s->id.partition),
                               DB_I(s->shard.core_partitions), DB_T(shard), DB_I(s->size_bytes), DB_I(s->n_rows), DB_T(s->path), DB_I(s->file_hash), DB_I(w->id),
                               DB_I(s->created_ms ? s->created_ms : w->now), DB_T(s->dimensions), DB_T(s->metrics), DB_NULLABLE(s->sums), DB_I(1), DB_I(0), DB_I(w->now)),
                          err);
}

static enum hg_rc insert_segments(struct hg_tx *tx, const struct publish *w, struct hg_err *err)
{
    struct hg_db_bulk b = {
        .tx = tx,
        .head = "INSERT INTO hg_segments (id, datasource, ns, start_ms, end_ms, version, part_num, core_parts, shard, size_bytes, n_rows, path, file_hash, publish_id, created_ms,"
                " dimensions, metrics, sums, used, visible, changed_ms) VALUES",
        .tail = "ON CONFLICT (id) DO NOTHING",
    };
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < w->p->n_segments && rc == HG_OK; i++) rc = insert_segment(&b, w, &w->p->segments[i], err);
    if (rc == HG_OK) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    if (rc == HG_OK && b.changed != (int64_t)w->p->n_segments)
        rc = hg_fail(err, HG_E_CONFLICT, "publish of %s: %" PRId64 " of its %zu segments are published already", w->datasource, (int64_t)w->p->n_segments - b.changed, w->p->n_segments);
    return rc;
}

static enum hg_rc show_published(struct hg_tx *tx, const struct publish *w, int64_t seq, struct hg_err *err)
{
    struct flip f = {.id = w->id, .a = w->a, .stream = w->p->stream != NULL};
    snprintf(f.datasource, sizeof f.datasource, "%s", w->datasource);
    snprintf(f.ns, sizeof f.ns, "%s", w->ns);
    for (size_t i = 0; i < w->p->n_replaced; i++) {
        HG_GROW(f.a, f.replaced, f.n_replaced, f.cap_replaced, "publish", err);
        f.replaced[f.n_replaced++] = w->p->replaced[i];
    }
    return show(tx, &f, seq, w->now, err);
}

static enum hg_rc publish_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct publish *w = arg;
    int64_t seq = 0;
    hg_arena_reset(w->a);
    HG_TRY(find_chunks(w, err));
    HG_TRY(hg_db_now(tx, &w->now, err));
    if (w->p->stream) HG_TRY(stream_side(tx, w, err));
    HG_TRY(hg_db_count(tx, "publish", &w->id, err));
    HG_TRY(insert_publish(tx, w, err));
    if (w->p->n_segments == 0) return HG_OK;
    hg_tx_notify(tx, HG_TOPIC_SEGMENTS);
    /* The list must stand still from the check of versions on. */
    if (w->p->visible) HG_TRY(hg_vis_begin(tx, &seq, w->now, err));
    HG_TRY(note_chunks(tx, w, err));
    HG_TRY(check_versions(tx, w, err));
    HG_TRY(insert_segments(tx, w, err));
    return w->p->visible ? show_published(tx, w, seq, err) : HG_OK;
}

enum hg_rc hg_meta_publish(struct hg_meta *m, const struct hg_publish *p, int64_t *publish_id, struct hg_err *err)
{
    HG_TRY(check(p, err));
    struct publish w = {.p = p, .a = hg_arena_new(NULL), .datasource = p->n_segments ? p->segments[0].id.datasource : "", .ns = p->n_segments ? p->segments[0].id.ns : ""};
    if (!w.ns) w.ns = "";
    if (!w.a) return hg_fail(err, HG_E_NOMEM, "publish");
    enum hg_rc rc = hg_db_run(m->db, HG_TX_WRITE, publish_tx, &w, err);
    hg_arena_free(w.a);
    if (rc == HG_OK && publish_id) *publish_id = w.id;
    return rc;
}

/* ---- the flip ---- */

static enum hg_rc publish_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct flip *f = arg;
    snprintf(f->datasource, sizeof f->datasource, "%s", hg_dbrow_text(r, 0));
    snprintf(f->ns, sizeof f->ns, "%s", hg_dbrow_text(r, 1));
    f->stream = hg_dbrow_text(r, 2)[0] != 0;
    f->revert = hg_dbrow_i64(r, 4);
    for (const char *at = hg_dbrow_text(r, 3); *at;) {
        char *end;
        struct hg_interval iv;
        iv.start = strtoll(at, &end, 10);
        iv.end = strtoll(end, &end, 10);
        if (end == at) return hg_fail(err, HG_E_CORRUPT, "metadata store: replaced intervals of publish %" PRId64, f->id);
        HG_GROW(f->a, f->replaced, f->n_replaced, f->cap_replaced, "publish", err);
        f->replaced[f->n_replaced++] = iv;
        at = end;
    }
    return HG_OK;
}

static enum hg_rc flip_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct flip *f = arg;
    int64_t now, seq, flipped = 0, known = 0;
    hg_arena_reset(f->a);
    *f = (struct flip){.id = f->id, .a = f->a};
    HG_TRY(hg_db_now(tx, &now, err));
    HG_TRY(hg_db_exec(tx, "UPDATE hg_publishes SET visible = 1, visible_ms = $2 WHERE id = $1 AND visible = 0", DB_V(DB_I(f->id), DB_I(now)), NULL, NULL, &flipped, err));
    if (!flipped) {
        HG_TRY(hg_db_i64(tx, "SELECT count(*) FROM hg_publishes WHERE id = $1", DB_V(DB_I(f->id)), &known, NULL, err));
        return known ? HG_OK : hg_fail(err, HG_E_NOTFOUND, "there is no publish %" PRId64, f->id);
    }
    HG_TRY(hg_db_exec(tx, "SELECT datasource, ns, stream, replaced, is_revert FROM hg_publishes WHERE id = $1", DB_V(DB_I(f->id)), publish_row, f, NULL, err));
    if (f->revert) return hg_revert_flip(tx, f->a, f->id, f->datasource, f->ns, now, err);
    f->stream = false; /* it was checked long ago, and the list has moved on */
    HG_TRY(hg_vis_begin(tx, &seq, now, err));
    return show(tx, f, seq, now, err);
}

enum hg_rc hg_meta_make_visible(struct hg_meta *m, int64_t publish_id, struct hg_err *err)
{
    struct flip f = {.id = publish_id, .a = hg_arena_new(NULL)};
    if (!f.a) return hg_fail(err, HG_E_NOMEM, "publish");
    enum hg_rc rc = hg_db_run(m->db, HG_TX_WRITE, flip_tx, &f, err);
    hg_arena_free(f.a);
    return rc;
}

/* ---- what waits ---- */

struct pending {
    struct hg_arena *a;
    struct hg_pending *v;
    size_t n, cap;
    struct hg_segid *ids; /* of the last publish */
    size_t n_ids, cap_ids;
};

static enum hg_rc pending_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct pending *w = arg;
    int64_t id = hg_dbrow_i64(r, 0);
    const char *seg = hg_dbrow_text(r, 4);
    if (w->n == 0 || w->v[w->n - 1].publish_id != id) {
        HG_GROW(w->a, w->v, w->n, w->cap, "publishes", err);
        struct hg_pending *p = &w->v[w->n++];
        *p = (struct hg_pending){.publish_id = id, .datasource = hg_arena_strdup(w->a, hg_dbrow_text(r, 1)), .task = hg_arena_strdup(w->a, hg_dbrow_text(r, 2)), .created_ms = hg_dbrow_i64(r, 3), .revert = hg_dbrow_i64(r, 5)};
        if (!p->datasource || !p->task) return hg_arena_fail(w->a, "publishes", err);
        w->ids = NULL;
        w->n_ids = w->cap_ids = 0;
    }
    if (!seg) return HG_OK;
    HG_GROW(w->a, w->ids, w->n_ids, w->cap_ids, "publishes", err);
    HG_TRY(hg_segid_parse(w->a, hg_str_of(seg), &w->ids[w->n_ids], err));
    w->n_ids++;
    w->v[w->n - 1].ids = w->ids;
    w->v[w->n - 1].n = w->n_ids;
    return HG_OK;
}

static enum hg_rc pending_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct pending *w = arg;
    w->n = 0;
    return hg_db_exec(tx,
                      "SELECT p.id, p.datasource, p.task, p.created_ms, s.id, p.is_revert FROM hg_publishes p LEFT JOIN hg_segments s ON s.publish_id = p.id AND s.used = 1"
                      " WHERE p.visible = 0 AND p.is_revert = 0 UNION ALL"
                      " SELECT p.id, p.datasource, p.task, p.created_ms, s.id, p.is_revert FROM hg_publishes p LEFT JOIN hg_revert_segments r ON r.publish_id = p.id"
                      " LEFT JOIN hg_segments s ON s.id = r.segment_id AND s.used = 1 WHERE p.visible = 0 AND p.is_revert = 1 ORDER BY 1, 5",
                      NULL, 0, pending_row, w, NULL, err);
}

enum hg_rc hg_meta_pending(struct hg_meta *m, struct hg_arena *a, struct hg_pending **out, size_t *n, struct hg_err *err)
{
    struct pending w = {.a = a};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, pending_tx, &w, err));
    *out = w.v;
    *n = w.n;
    return HG_OK;
}
