/* Going back to an earlier version of a namespace's data, over many intervals at one moment.
 *
 * A version is a place in time, so "back to V" within an interval means: of all that was ever published there with version V or older, what the timeline's own rule
 * shows (newest complete version first, less what replaced intervals took away). Asking computes that and marks it used, so that historicals load it; the flip, when
 * all of it is served, takes the newer versions off the list and brings it on, as one numbered change.
 *
 * Between the two the list may move on. So the flip works on what is there then: it takes off every segment within the intervals whose version lies above V and
 * not above the newest that was visible when the revert was asked for (rows that streams added to those versions meanwhile go with them); what is newer than that stays
 * and hides what comes back, as it would hide any older version. Both steps check that nothing changes outside of the intervals. */
#include "meta/meta_revert_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "timeline/timeline.h"

#define INTERVALS_MAX 10000
#define NAMED_AT_MOST 5

struct row {
    struct hg_segment_row seg;
    bool candidate;  /* was published whole: can be come back to */
    bool target, off;
};
struct gone { struct hg_interval iv; const char *version; int64_t n; };
struct replacing { struct hg_interval iv; const char *version; };
struct revert {
    const struct hg_revert *w;
    struct hg_arena *a; /* for one attempt */
    const char *ns;
    struct row *rows;   /* by id */
    size_t n_rows, cap_rows;
    struct gone *gone;
    size_t n_gone, cap_gone;
    struct replacing *replacing;
    size_t n_replacing, cap_replacing;
    struct hg_revert_part *parts; /* those where something changes */
    size_t n_parts;
    struct hg_seg_reader rd;
    struct hg_interval hull;
    int64_t id, now;
    const struct hg_segment_row **on, **off;
    size_t n_on, n_off;
    const char *error;
};

/* ---- reading what there was ---- */

static enum hg_rc seg_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct revert *w = arg;
    struct row row = {.seg = {.used = hg_dbrow_i64(r, 0), .visible = hg_dbrow_i64(r, 1)}};
    HG_TRY(hg_seg_read(&w->rd, r, 3, &row.seg.meta, err));
    /* What waits with its publish, or was given up with it, was never there. */
    row.candidate = hg_dbrow_i64(r, 2) && (!row.seg.used || row.seg.visible);
    HG_GROW(w->a, w->rows, w->n_rows, w->cap_rows, "revert", err);
    w->rows[w->n_rows++] = row;
    return HG_OK;
}

static enum hg_rc gone_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct revert *w = arg;
    struct gone g = {{hg_dbrow_i64(r, 0), hg_dbrow_i64(r, 1)}, hg_arena_strdup(w->a, hg_dbrow_text(r, 2)), hg_dbrow_i64(r, 3)};
    if (!g.version) return hg_arena_fail(w->a, "revert", err);
    HG_GROW(w->a, w->gone, w->n_gone, w->cap_gone, "revert", err);
    w->gone[w->n_gone++] = g;
    return HG_OK;
}

static enum hg_rc replacing_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct revert *w = arg;
    const char *version = hg_arena_strdup(w->a, hg_dbrow_text(r, 0));
    if (!version) return hg_arena_fail(w->a, "revert", err);
    for (const char *at = hg_dbrow_text(r, 1); *at;) {
        char *end;
        struct hg_interval iv;
        iv.start = strtoll(at, &end, 10);
        iv.end = strtoll(end, &end, 10);
        if (end == at) return hg_fail(err, HG_E_CORRUPT, "metadata store: replaced intervals of %s", w->w->datasource);
        at = end;
        if (!hg_interval_overlaps(iv, w->hull)) continue;
        HG_GROW(w->a, w->replacing, w->n_replacing, w->cap_replacing, "revert", err);
        w->replacing[w->n_replacing++] = (struct replacing){iv, version};
    }
    return HG_OK;
}

static int by_id(const void *pa, const void *pb) { return hg_segid_cmp(&((const struct row *)pa)->seg.meta.id, &((const struct row *)pb)->seg.meta.id); }

static enum hg_rc read_all(struct hg_tx *tx, struct revert *w, struct hg_err *err)
{
    const char *ds = w->w->datasource;
    int64_t longest = 0;
    w->hull = w->w->ivs[0];
    for (size_t i = 0; i < w->w->n_ivs; i++) {
        if (w->w->ivs[i].start < w->hull.start) w->hull.start = w->w->ivs[i].start;
        if (w->w->ivs[i].end > w->hull.end) w->hull.end = w->w->ivs[i].end;
    }
    HG_TRY(hg_db_i64(tx, "SELECT max_ms FROM hg_namespaces WHERE datasource = $1 AND ns = $2", DB_V(DB_T(ds), DB_T(w->ns)), &longest, NULL, err));
    for (size_t i = 0; i < w->w->n_ivs; i++) {
        struct hg_interval iv = w->w->ivs[i];
        int64_t from;
        if (__builtin_sub_overflow(iv.start, longest, &from)) from = INT64_MIN;
        HG_TRY(hg_db_exec(tx,
                          "SELECT s.used, s.visible, CASE WHEN coalesce(p.visible, 1) = 1 AND coalesce(p.outcome, '') = '' THEN 1 ELSE 0 END, " HG_SEG_COLS
                          " FROM hg_segments s LEFT JOIN hg_publishes p ON p.id = s.publish_id"
                          " WHERE s.datasource = $1 AND s.ns = $2 AND s.start_ms >= $3 AND s.start_ms < $4 AND s.end_ms > $5",
                          DB_V(DB_T(ds), DB_T(w->ns), DB_I(from), DB_I(iv.end), DB_I(iv.start)), seg_row, w, NULL, err));
    }
    if (w->n_rows) qsort(w->rows, w->n_rows, sizeof *w->rows, by_id);
    size_t k = 0;
    for (size_t i = 0; i < w->n_rows; i++)
        if (k == 0 || by_id(&w->rows[k - 1], &w->rows[i]) != 0) w->rows[k++] = w->rows[i];
    w->n_rows = k;
    HG_TRY(hg_db_exec(tx, "SELECT start_ms, end_ms, version, n_segments FROM hg_gone WHERE datasource = $1 AND ns = $2 AND start_ms < $3 AND end_ms > $4",
                      DB_V(DB_T(ds), DB_T(w->ns), DB_I(w->hull.end), DB_I(w->hull.start)), gone_row, w, NULL, err));
    return hg_db_exec(tx, "SELECT version, replaced FROM hg_publishes WHERE datasource = $1 AND ns = $2 AND replaced <> '' AND visible = 1 AND outcome = ''",
                      DB_V(DB_T(ds), DB_T(w->ns)), replacing_row, w, NULL, err);
}

/* ---- what comes and what goes ---- */

static const char *interval_text(struct hg_interval iv)
{
    static _Thread_local char text[2 * HG_TIME_TEXT];
    hg_interval_format(iv, text);
    return text;
}

static bool replaced(const struct revert *w, const char *bound, struct hg_interval iv, const char *version)
{
    for (size_t i = 0; i < w->n_replacing; i++)
        if (strcmp(w->replacing[i].version, bound) <= 0 && strcmp(version, w->replacing[i].version) < 0 && hg_interval_contains(w->replacing[i].iv, iv)) return true;
    return false;
}

/* The newest version that can be seen in iv, NULL: none; and the newest on the list there, seen or not. */
static enum hg_rc newest_visible(const struct revert *w, struct hg_interval iv, const char **seen, const char **listed, struct hg_err *err)
{
    struct hg_vis_list list = {.a = w->a};
    struct hg_timeline *t;
    struct hg_tl_hit *hits;
    size_t n;
    *seen = NULL;
    *listed = "";
    for (size_t i = 0; i < w->n_rows; i++) {
        const struct hg_segment_meta *m = &w->rows[i].seg.meta;
        if (!w->rows[i].seg.visible || !hg_interval_overlaps(iv, m->id.interval)) continue;
        HG_GROW(w->a, list.v, list.n, list.cap, "revert", err);
        list.v[list.n++] = (struct hg_vis){m->id, m->shard.core_partitions};
        if (strcmp(m->id.version, *listed) > 0) *listed = m->id.version;
    }
    HG_TRY(hg_vis_timeline(w->a, list.v, list.n, &t, err));
    enum hg_rc rc = hg_timeline_lookup(t, w->a, NULL, 0, &iv, 1, &hits, &n, err);
    for (size_t i = 0; rc == HG_OK && i < n; i++)
        if (!*seen || strcmp(hits[i].entry->id.version, *seen) > 0) *seen = hits[i].entry->id.version;
    hg_timeline_free(t);
    return rc;
}

/* The greatest version below `below` that ever was in iv; NULL: none. */
static const char *version_before(const struct revert *w, struct hg_interval iv, const char *below)
{
    const char *best = NULL;
    for (size_t i = 0; i < w->n_rows; i++) {
        const struct hg_segid *id = &w->rows[i].seg.meta.id;
        if (w->rows[i].candidate && hg_interval_overlaps(iv, id->interval) && strcmp(id->version, below) < 0 && (!best || strcmp(id->version, best) > 0)) best = id->version;
    }
    for (size_t i = 0; i < w->n_gone; i++)
        if (hg_interval_overlaps(iv, w->gone[i].iv) && strcmp(w->gone[i].version, below) < 0 && (!best || strcmp(w->gone[i].version, best) > 0)) best = w->gone[i].version;
    return best;
}

/* rows[from..to) are a chunk that is to be come back to. */
static enum hg_rc check_chunk(const struct revert *w, size_t from, size_t to, struct hg_err *err)
{
    uint32_t core = 0, next = 0;
    const struct hg_segid *id = &w->rows[from].seg.meta.id;
    for (size_t i = from; i < to; i++) {
        if (!w->rows[i].candidate) continue;
        if (w->rows[i].seg.meta.shard.core_partitions > core) core = w->rows[i].seg.meta.shard.core_partitions;
        if (w->rows[i].seg.meta.id.partition == next) next++;
    }
    if (next < core)
        return hg_fail(err, HG_E_CONFLICT, "%s: version %s of %s is not complete: partition %" PRIu32 " of its %" PRIu32 " is not there", id->datasource, id->version, interval_text(id->interval),
                       next, core);
    return HG_OK;
}

static bool chunk_ends(const struct revert *w, size_t i)
{
    const struct hg_segid *a = &w->rows[i].seg.meta.id;
    if (i + 1 == w->n_rows) return true;
    const struct hg_segid *b = &w->rows[i + 1].seg.meta.id;
    return a->interval.start != b->interval.start || a->interval.end != b->interval.end || strcmp(a->version, b->version) != 0;
}

/* Marks the rows that iv shows when it is as of version `above`. Chunks count as complete, so that one that is not is refused, and not passed over. */
static enum hg_rc find_target(struct revert *w, struct hg_interval iv, const char *above, struct hg_err *err)
{
    struct hg_tl_entry *e = hg_arena_array(w->a, w->n_rows + w->n_gone, sizeof *e);
    bool *shown = hg_arena_array(w->a, w->n_rows, sizeof *shown);
    struct hg_timeline *t;
    struct hg_tl_hit *hits;
    size_t n = 0, n_hits;
    if (!e || !shown) return hg_arena_fail(w->a, "revert", err);
    for (size_t i = 0; i < w->n_rows; i++) {
        const struct hg_segid *id = &w->rows[i].seg.meta.id;
        if (!w->rows[i].candidate || !hg_interval_overlaps(iv, id->interval) || strcmp(id->version, above) > 0 || replaced(w, above, id->interval, id->version)) continue;
        e[n++] = (struct hg_tl_entry){.id = *id, .shard = {.partition = id->partition}, .tag = &w->rows[i]};
    }
    for (size_t i = 0; i < w->n_gone; i++) {
        const struct gone *g = &w->gone[i];
        if (!hg_interval_overlaps(iv, g->iv) || strcmp(g->version, above) > 0 || replaced(w, above, g->iv, g->version)) continue;
        e[n++] = (struct hg_tl_entry){.id = {w->w->datasource, w->ns, g->iv, g->version, UINT32_MAX}, .tag = NULL};
    }
    HG_TRY(hg_timeline_build(e, n, &t, err));
    enum hg_rc rc = hg_timeline_lookup(t, w->a, NULL, 0, &iv, 1, &hits, &n_hits, err);
    if (!rc && n_hits == 0)
        rc = hg_fail(err, HG_E_NOTFOUND, "%s: there is nothing of version %s or older in %s", w->w->datasource, above, interval_text(iv));
    for (size_t i = 0; !rc && i < n_hits; i++) {
        struct row *row = hits[i].entry->tag;
        if (row) {
            row->target = shown[row - w->rows] = true;
            continue;
        }
        const struct hg_segid *id = &hits[i].entry->id;
        rc = hg_fail(err, HG_E_CONFLICT, "%s: version %s of %s cannot come back: segments of it were deleted by clean-up", id->datasource, id->version, interval_text(id->interval));
    }
    hg_timeline_free(t);
    for (size_t i = 0, from = 0; !rc && i < w->n_rows; i++) {
        if (!chunk_ends(w, i)) continue;
        bool any = false;
        for (size_t k = from; k <= i; k++) any |= shown[k];
        if (any) rc = check_chunk(w, from, i + 1, err);
        from = i + 1;
    }
    return rc;
}

static enum hg_rc version_named(const struct revert *w, struct hg_err *err)
{
    const char *v = w->w->to_version;
    for (size_t k = 0; k < w->w->n_ivs; k++) {
        for (size_t i = 0; i < w->n_rows; i++)
            if (w->rows[i].candidate && strcmp(w->rows[i].seg.meta.id.version, v) == 0 && hg_interval_overlaps(w->rows[i].seg.meta.id.interval, w->w->ivs[k])) return HG_OK;
        for (size_t i = 0; i < w->n_gone; i++)
            if (strcmp(w->gone[i].version, v) == 0 && hg_interval_overlaps(w->gone[i].iv, w->w->ivs[k])) return HG_OK;
    }
    struct hg_buf names; /* the newest few */
    hg_buf_init(&names, 4096);
    const char *at = "~"; /* after all versions, which begin with a letter or digit */
    for (int i = 0; i < NAMED_AT_MOST && (at = version_before(w, w->hull, at)); i++) hg_buf_printf(&names, "%s%s", i ? ", " : "", at);
    hg_buf_u8(&names, 0);
    bool ok = !names.failed && names.len > 1;
    hg_fail(err, HG_E_NOTFOUND, "%s: there is no version %s in %s; there %s %s", w->w->datasource, v, interval_text(w->hull), ok ? "are" : "is", ok ? (const char *)names.p : "none");
    hg_buf_free(&names);
    return HG_E_NOTFOUND;
}

static enum hg_rc plan_part(struct revert *w, struct hg_interval iv, struct hg_err *err)
{
    const char *seen, *upto, *above = w->w->to_version;
    HG_TRY(newest_visible(w, iv, &seen, &upto, err));
    if (!above && !seen)
        return hg_fail(err, HG_E_NOTFOUND, "%s: nothing can be seen in %s now, so there is none before it; name the version to go back to", w->w->datasource, interval_text(iv));
    if (!above && !(above = version_before(w, iv, seen)))
        return hg_fail(err, HG_E_NOTFOUND, "%s: there is no version older than %s in %s", w->w->datasource, seen, interval_text(iv));
    HG_TRY(find_target(w, iv, above, err));
    bool changes = false;
    for (size_t i = 0; i < w->n_rows; i++) {
        struct row *r = &w->rows[i];
        if (!hg_interval_overlaps(iv, r->seg.meta.id.interval)) continue;
        if (r->seg.visible && strcmp(r->seg.meta.id.version, above) > 0) r->off = true;
        changes |= r->off || (r->target && !r->seg.visible);
    }
    if (changes) w->parts[w->n_parts++] = (struct hg_revert_part){iv, above, upto};
    return HG_OK;
}

static enum hg_rc waiting_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    const struct hg_revert *w = ((const struct revert *)arg)->w;
    struct hg_interval iv = {hg_dbrow_i64(r, 1), hg_dbrow_i64(r, 2)};
    for (size_t i = 0; i < w->n_ivs; i++)
        if (hg_interval_overlaps(iv, w->ivs[i]))
            return hg_fail(err, HG_E_CONFLICT, "%s: a revert of %s (publish %" PRId64 ") waits for its segments to be served; wait for it, or cancel it", w->datasource, interval_text(iv),
                           hg_dbrow_i64(r, 0));
    return HG_OK;
}

static enum hg_rc plan(struct hg_tx *tx, struct revert *w, struct hg_err *err)
{
    HG_TRY(hg_db_exec(tx, "SELECT p.id, i.start_ms, i.end_ms FROM hg_publishes p JOIN hg_revert_intervals i ON i.publish_id = p.id WHERE p.visible = 0 AND p.datasource = $1 AND p.ns = $2",
                      DB_V(DB_T(w->w->datasource), DB_T(w->ns)), waiting_row, w, NULL, err));
    HG_TRY(read_all(tx, w, err));
    w->parts = hg_arena_array(w->a, w->w->n_ivs, sizeof *w->parts);
    w->on = hg_arena_array(w->a, w->n_rows, sizeof(struct hg_segment_row *));
    w->off = hg_arena_array(w->a, w->n_rows, sizeof(struct hg_segment_row *));
    struct hg_vis *on = hg_arena_array(w->a, w->n_rows, sizeof *on);
    if (!w->parts || !w->on || !w->off || !on) return hg_arena_fail(w->a, "revert", err);
    if (w->w->to_version) HG_TRY(version_named(w, err));
    for (size_t i = 0; i < w->w->n_ivs; i++) HG_TRY(plan_part(w, w->w->ivs[i], err));
    for (size_t i = 0; i < w->n_rows; i++) {
        const struct row *r = &w->rows[i];
        if (r->off) w->off[w->n_off++] = &r->seg;
        if (!r->target || r->seg.visible) continue;
        on[w->n_on] = (struct hg_vis){r->seg.meta.id, r->seg.meta.shard.core_partitions};
        w->on[w->n_on++] = &r->seg;
    }
    struct hg_vis_list before;
    const struct hg_segid *differs;
    HG_TRY(hg_revert_outside(tx, w->a, w->w->datasource, w->ns, w->parts, w->n_parts, on, w->n_on, &before, &differs, err));
    if (!differs) return HG_OK;
    char id[HG_SEGID_TEXT];
    hg_segid_text(differs, id);
    return hg_fail(err, HG_E_INVALID, "%s: the revert would change what is outside of its intervals: segment %s reaches beyond them; revert all of its interval", w->w->datasource, id);
}

/* ---- asking ---- */

static enum hg_rc put_parts(struct hg_tx *tx, const struct revert *w, struct hg_err *err)
{
    struct hg_db_bulk b = {.tx = tx, .head = "INSERT INTO hg_revert_intervals (publish_id, start_ms, end_ms, above, upto) VALUES", .tail = ""};
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < w->n_parts && !rc; i++)
        rc = hg_db_bulk_add(&b, DB_V(DB_I(w->id), DB_I(w->parts[i].iv.start), DB_I(w->parts[i].iv.end), DB_T(w->parts[i].above), DB_T(w->parts[i].upto)), err);
    if (!rc) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    return rc;
}

static enum hg_rc put_segments(struct hg_tx *tx, const struct revert *w, struct hg_err *err)
{
    struct hg_drops on = {.a = w->a};
    for (size_t i = 0; i < w->n_on; i++) HG_TRY(hg_drops_add(&on, &w->on[i]->meta.id, err));
    struct hg_db_bulk b = {.tx = tx, .head = "INSERT INTO hg_revert_segments (publish_id, segment_id) VALUES", .tail = ""};
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < on.n && !rc; i++) rc = hg_db_bulk_add(&b, DB_V(DB_I(w->id), DB_T(on.ids[i])), err);
    if (!rc) rc = hg_db_bulk_flush(&b, err);
    hg_db_bulk_free(&b);
    if (rc) return rc;
    /* Clean-up may have taken some since they were read; it takes none that are used. */
    int64_t changed = 0;
    const struct hg_dbv v[2] = {DB_I(1), DB_I(w->now)};
    HG_TRY(hg_db_each_in(tx, "UPDATE hg_segments SET used = $1, changed_ms = $2 WHERE used = 0 AND id IN %s", v, on.ids, on.n, &changed, err));
    if (changed != (int64_t)on.n)
        return hg_fail(err, HG_E_CONFLICT, "%s: %" PRId64 " of the %zu segments to come back to were deleted by clean-up meanwhile", w->w->datasource, (int64_t)on.n - changed, on.n);
    return HG_OK;
}

static enum hg_rc put_audit(struct hg_tx *tx, const struct revert *w, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, (size_t)1 << 24);
    hg_buf_printf(&b, "{\"publish\":%" PRId64 ",\"datasource\":\"%s\",\"namespace\":\"%s\",\"to\":", w->id, w->w->datasource, w->ns);
    hg_buf_json_str(&b, hg_str_of(w->w->to_version ? w->w->to_version : "previous"));
    hg_buf_printf(&b, ",\"segmentsOn\":%zu,\"segmentsOff\":%zu,\"intervals\":[", w->n_on, w->n_off);
    for (size_t i = 0; i < w->n_parts; i++)
        hg_buf_printf(&b, "%s{\"interval\":\"%s\",\"from\":\"%s\",\"to\":\"%s\"}", i ? "," : "", interval_text(w->parts[i].iv), w->parts[i].upto, w->parts[i].above);
    hg_buf_puts(&b, "]}");
    hg_buf_u8(&b, 0);
    enum hg_rc rc = hg_buf_check(&b, "audit row", err);
    if (!rc) rc = hg_audit_tx(tx, w->now, w->w->who, "revert", (const char *)b.p, err);
    hg_buf_free(&b);
    return rc;
}

static enum hg_rc revert_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct revert *w = arg;
    hg_arena_reset(w->a);
    *w = (struct revert){.w = w->w, .a = w->a, .ns = w->ns, .rd = {.a = w->a}};
    if (w->w->dry_run) return plan(tx, w, err);
    HG_TRY(hg_db_now(tx, &w->now, err));
    HG_TRY(hg_db_count(tx, "publish", &w->id, err));
    HG_TRY(hg_vis_lock(tx, err)); /* what is visible and used stands still while it is decided upon */
    HG_TRY(plan(tx, w, err));
    if (w->n_parts == 0) {
        w->id = 0;
        return HG_OK;
    }
    hg_tx_notify(tx, HG_TOPIC_SEGMENTS);
    HG_TRY(hg_db_exec(tx,
                      "INSERT INTO hg_publishes (id, datasource, ns, task, stream, replaced, visible, created_ms, visible_ms, version, is_revert) VALUES ($1, $2, $3, $4, '', '', 0, $5, 0, '', 1)",
                      DB_V(DB_I(w->id), DB_T(w->w->datasource), DB_T(w->ns), DB_T("revert"), DB_I(w->now)), NULL, NULL, NULL, err));
    HG_TRY(put_parts(tx, w, err));
    HG_TRY(put_segments(tx, w, err));
    return put_audit(tx, w, err);
}

static int by_start(const void *pa, const void *pb)
{
    const struct hg_interval *a = pa, *b = pb;
    return a->start < b->start ? -1 : a->start > b->start;
}

static enum hg_rc check_asked(const struct hg_revert *w, struct hg_err *err)
{
    struct hg_segid id = {w->datasource, w->ns ? w->ns : "", {0, 1}, w->to_version ? w->to_version : "v", 0};
    HG_TRY(hg_segid_check(&id, err));
    if (w->n_ivs == 0 || w->n_ivs > INTERVALS_MAX) return hg_fail(err, HG_E_INVALID, "revert of %zu intervals: expected 1 to %d", w->n_ivs, INTERVALS_MAX);
    for (size_t i = 0; i < w->n_ivs; i++)
        if (hg_interval_empty(w->ivs[i]) || w->ivs[i].start < HG_TIME_MIN || w->ivs[i].end > HG_TIME_MAX) return hg_fail(err, HG_E_INVALID, "revert: an interval is empty or out of range");
    struct hg_interval *v = malloc(w->n_ivs * sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "revert");
    memcpy(v, w->ivs, w->n_ivs * sizeof *v);
    qsort(v, w->n_ivs, sizeof *v, by_start);
    enum hg_rc rc = HG_OK;
    for (size_t i = 1; i < w->n_ivs && !rc; i++)
        if (v[i].start < v[i - 1].end) rc = hg_fail(err, HG_E_INVALID, "revert: interval %s overlaps another", interval_text(v[i]));
    free(v);
    return rc;
}

static enum hg_rc copy_rows(struct hg_arena *a, const struct hg_segment_row **from, size_t n, const struct hg_segment_row **out, struct hg_err *err)
{
    struct hg_segment_row *v = hg_arena_array(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "revert", err);
    for (size_t i = 0; i < n; i++) {
        v[i] = *from[i];
        HG_TRY(hg_segment_meta_copy(a, &from[i]->meta, &v[i].meta, err));
    }
    *out = v;
    return HG_OK;
}

enum hg_rc hg_meta_revert(struct hg_meta *m, struct hg_arena *a, const struct hg_revert *w, struct hg_revert_result *out, struct hg_err *err)
{
    HG_TRY(check_asked(w, err));
    struct revert s = {.w = w, .a = hg_arena_new(NULL), .ns = w->ns ? w->ns : ""};
    struct hg_revert_result r = {0};
    if (!s.a) return hg_fail(err, HG_E_NOMEM, "revert");
    enum hg_rc rc = hg_db_run(m->db, w->dry_run ? HG_TX_READ : HG_TX_WRITE, revert_tx, &s, err);
    if (!rc) rc = copy_rows(a, s.on, s.n_on, &r.on, err);
    if (!rc) rc = copy_rows(a, s.off, s.n_off, &r.off, err);
    r.publish_id = s.id;
    r.n_on = s.n_on;
    r.n_off = s.n_off;
    hg_arena_free(s.a);
    if (!rc) *out = r;
    return rc;
}
