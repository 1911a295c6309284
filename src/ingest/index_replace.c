/* Publishing what a task has built.
 *
 * A task that replaces takes its version before it reads. It hides what is older in the intervals where it has rows and, with dropExisting, in all of the spec's intervals: one that has no
 * new rows gets an empty segment, Druid's tombstone. What was added there by a stream while the task ran is in no row of the task, so it is carried over: copied into the new version. The
 * publish is refused as long as something more has come, and once it is made nobody adds to the old version any more (meta/meta_older.c), so every row is there once.
 *
 *   begin ──seen──► read, build ──► older segments of the intervals ──► empty segments, copies ──► publish ──"added meanwhile"──┐
 *                                              ▲                                                                               │
 *                                              └───────────────────────────────────────────────────────────────────────────────┘
 */
#include "ingest/index_private.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "ingest/publish.h"

#define MOST_ROUNDS 100          /* of carrying over; each begins where the last one ended */
#define WAIT_STEP_MS 100
#define WAIT_MOST_MS (10 * 60000) /* for another publish to become visible */

enum hg_rc hg_index_begin(struct hg_index_run *r, struct hg_err *err)
{
    if (r->spec->append) return HG_OK;
    const struct hg_data_schema *d = &r->spec->data;
    HG_TRY(hg_meta_new_version(r->env->meta, r->version, err));
    struct hg_older w = {.datasource = d->datasource, .ns = d->ns, .version = r->version};
    return hg_meta_older(r->env->meta, r->arena, &w, NULL, NULL, &r->seen, err);
}

/* ---- which intervals ---- */

/* The spec's intervals in whole chunks. */
static struct hg_interval whole_chunks(const struct hg_data_schema *d, struct hg_interval iv)
{
    int64_t last = hg_gran_floor(&d->segment_gran, iv.end - 1);
    return (struct hg_interval){hg_gran_floor(&d->segment_gran, iv.start), hg_gran_next(&d->segment_gran, last)};
}

static int by_start(const void *pa, const void *pb)
{
    const struct hg_interval *a = pa, *b = pb;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* Everything in which older segments are hidden: ascending, joined. */
static enum hg_rc covered(const struct hg_index_run *r, struct hg_arena *a, struct hg_interval **out, size_t *n, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    size_t drops = r->spec->drop_existing ? d->n_intervals : 0, k = 0, m = 0;
    struct hg_interval *v = hg_arena_array(a, r->n_chunks + drops + 1, sizeof *v);
    if (!v) return hg_arena_fail(a, "index task", err);
    for (size_t i = 0; i < r->n_chunks; i++) v[k++] = r->chunks[i].iv;
    for (size_t i = 0; i < drops; i++)
        if (!hg_interval_empty(d->intervals[i])) v[k++] = whole_chunks(d, d->intervals[i]);
    if (k) qsort(v, k, sizeof *v, by_start);
    for (size_t i = 0; i < k; i++) {
        if (m && v[i].start <= v[m - 1].end) v[m - 1].end = v[i].end > v[m - 1].end ? v[i].end : v[m - 1].end;
        else v[m++] = v[i];
    }
    *out = v;
    *n = m;
    return HG_OK;
}

static bool is_covered(const struct hg_interval *v, size_t n, struct hg_interval iv)
{
    for (size_t i = 0; i < n; i++)
        if (hg_interval_contains(v[i], iv)) return true;
    return false;
}

static bool has_segment(const struct hg_index_run *r, struct hg_interval iv)
{
    for (size_t i = 0; i < r->n_out; i++)
        if (r->out[i].id.interval.start == iv.start && r->out[i].id.interval.end == iv.end) return true;
    return false;
}

/* ---- empty segments ---- */

static enum hg_rc push_empty(struct hg_index_run *r, struct hg_interval iv, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    char file[4096];
    struct hg_segment_stats stats;
    struct hg_err ignore;
    snprintf(file, sizeof file, "%s/empty.seg", r->env->dir);
    HG_TRY(hg_segment_merge(d->schema, NULL, 0, &(struct hg_segment_write_options){0}, file, &stats, err));
    struct hg_segid id = {d->datasource, d->ns, iv, r->version, 0};
    struct hg_shard shard = {.kind = HG_SHARD_NUMBERED, .partition = 0, .core_partitions = 1};
    enum hg_rc rc = hg_index_push(r, file, &id, &shard, &stats, err);
    if (!rc) r->env->progress->empty++;
    if (hg_file_remove(file, &ignore)) hg_log(HG_LOG_WARN, "index", "built file stays", "error", HG_LS(ignore.msg), NULL);
    return rc;
}

/* Chunks of the spec's intervals in which there is something older and nothing new. */
static enum hg_rc empty_chunks(struct hg_index_run *r, const struct hg_segment_row *old, size_t n, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    size_t made = 0;
    for (size_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < d->n_intervals; i++) {
            if (hg_interval_empty(d->intervals[i])) continue;
            struct hg_interval cut = hg_interval_cut(old[k].meta.id.interval, whole_chunks(d, d->intervals[i]));
            for (int64_t t = cut.start; t < cut.end;) {
                struct hg_interval chunk = hg_gran_bucket(&d->segment_gran, t);
                t = chunk.end;
                if (has_segment(r, chunk)) continue;
                HG_TRY(hg_index_check(r, err));
                if (made++ == HG_INDEX_MAX_CHUNKS) return hg_fail(err, HG_E_LIMIT, "dropExisting would empty more than %d intervals of segmentGranularity", HG_INDEX_MAX_CHUNKS);
                HG_TRY(push_empty(r, chunk, err));
            }
        }
    return HG_OK;
}

/* ---- copies ---- */

static uint32_t next_partition(const struct hg_index_run *r, struct hg_interval iv)
{
    uint32_t next = 0;
    for (size_t i = 0; i < r->n_out; i++)
        if (r->out[i].id.interval.start == iv.start && r->out[i].id.interval.end == iv.end && r->out[i].id.partition >= next) next = r->out[i].id.partition + 1;
    return next;
}

/* The same file under another id. */
static enum hg_rc copy_as(struct hg_index_run *r, const struct hg_segment_meta *from, const struct hg_segid *id, struct hg_segment_meta *out, struct hg_err *err)
{
    char file[4096];
    struct hg_err ignore;
    struct hg_shard shard = {.kind = HG_SHARD_NUMBERED, .partition = id->partition};
    snprintf(file, sizeof file, "%s/copy.seg", r->env->dir);
    HG_TRY(hg_store_pull(r->env->store, from->path, file, from->size_bytes, from->file_hash, err));
    enum hg_rc rc = hg_push_copy(r->arena, r->env->store, file, from, id, &shard, out, err);
    if (hg_file_remove(file, &ignore)) hg_log(HG_LOG_WARN, "index", "copied file stays", "error", HG_LS(ignore.msg), NULL);
    return rc;
}

static enum hg_rc carry(struct hg_index_run *r, const struct hg_segment_meta *from, struct hg_err *err)
{
    struct hg_segid id = from->id;
    id.version = r->version;
    id.partition = next_partition(r, id.interval);
    if (r->n_out == r->cap_out) {
        size_t cap = r->cap_out ? r->cap_out * 2 : 64;
        struct hg_segment_meta *v = hg_arena_array(r->arena, cap, sizeof *v);
        if (!v) return hg_arena_fail(r->arena, "index task", err);
        if (r->n_out) memcpy(v, r->out, r->n_out * sizeof *v);
        r->out = v;
        r->cap_out = cap;
    }
    HG_TRY(copy_as(r, from, &id, &r->out[r->n_out], err));
    r->n_out++;
    r->env->progress->carried++;
    return HG_OK;
}

/* What was added after *upto; *upto moves on. */
static enum hg_rc carry_over(struct hg_index_run *r, const struct hg_segment_row *old, size_t n, const struct hg_interval *cov, size_t n_cov, int64_t last, int64_t *upto, bool *any, struct hg_err *err)
{
    *any = false;
    for (size_t i = 0; i < n; i++) {
        const struct hg_segment_meta *m = &old[i].meta;
        if (m->publish_id <= *upto || m->shard.core_partitions) continue;
        char text[HG_SEGID_TEXT];
        hg_segid_text(&m->id, text);
        if (!is_covered(cov, n_cov, m->id.interval))
            return hg_fail(err, HG_E_CONFLICT, "%s was added while the task ran, and only a part of its interval is replaced, so it can neither stay nor go; run the task again", text);
        HG_TRY(hg_index_check(r, err));
        HG_TRY(carry(r, m, err));
        hg_log(HG_LOG_INFO, "index", "carried over", "task", HG_LS(r->env->task), "segment", HG_LS(text), "rows", HG_LI(m->n_rows), NULL);
        *any = true;
    }
    *upto = last;
    return HG_OK;
}

/* ---- publish ---- */

static enum hg_rc publish_once(struct hg_index_run *r, int64_t upto, int64_t *publish_id, struct hg_err *err)
{
    struct hg_publish p = {.segments = r->out, .n_segments = r->n_out, .visible = false, .task = r->env->task, .guarded = !r->spec->append, .seen = upto};
    enum hg_rc rc = hg_meta_publish(r->env->meta, &p, publish_id, err);
    /* Lost with its connection, a commit may have happened: its files must stay. */
    r->files_stay = rc && rc != HG_E_CONFLICT && rc != HG_E_INVALID && rc != HG_E_LIMIT && rc != HG_E_NOMEM;
    return rc;
}

static enum hg_rc replace_round(struct hg_index_run *r, struct hg_arena *a, int64_t *upto, bool first, bool *again, int64_t *publish_id, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    struct hg_older w = {.datasource = d->datasource, .ns = d->ns, .version = r->version};
    struct hg_interval *cov;
    struct hg_segment_row *old;
    size_t n;
    int64_t last;
    bool any;
    HG_TRY(covered(r, a, &cov, &w.n_ivs, err));
    w.ivs = cov;
    HG_TRY(hg_meta_older(r->env->meta, a, &w, &old, &n, &last, err));
    if (r->spec->drop_existing) HG_TRY(empty_chunks(r, old, n, err));
    HG_TRY(carry_over(r, old, n, cov, w.n_ivs, last, upto, &any, err));
    *again = any || first; /* a conflict with nothing new to carry is of another kind */
    return r->n_out ? publish_once(r, *upto, publish_id, err) : HG_OK;
}

static enum hg_rc publish_replacing(struct hg_index_run *r, int64_t *publish_id, struct hg_err *err)
{
    int64_t upto = r->seen;
    enum hg_rc rc = HG_OK;
    for (int round = 0; round < MOST_ROUNDS; round++) {
        struct hg_arena *a = hg_arena_new(NULL);
        if (!a) return hg_fail(err, HG_E_NOMEM, "index task");
        bool again = false;
        rc = replace_round(r, a, &upto, round == 0, &again, publish_id, err);
        hg_arena_free(a);
        if (rc != HG_E_CONFLICT || !again) return rc;
        HG_TRY(hg_index_check(r, err));
    }
    return rc;
}

/* Ids that fit what is visible now, for what has another version since. */
static enum hg_rc new_ids(struct hg_index_run *r, unsigned round, struct hg_err *err)
{
    for (size_t i = 0; i < r->n_out; i++) {
        struct hg_segment_meta *m = &r->out[i], copy;
        struct hg_segid id;
        char sequence[64];
        struct hg_err ignore;
        snprintf(sequence, sizeof sequence, "%zu.%u", i, round);
        struct hg_alloc w = {m->id.datasource, m->id.ns, m->id.interval, r->env->task, sequence};
        HG_TRY(hg_meta_allocate(r->env->meta, r->arena, &w, &id, err));
        if (strcmp(id.version, m->id.version) == 0) continue;
        HG_TRY(copy_as(r, m, &id, &copy, err));
        if (hg_store_delete(r->env->store, m->path, &ignore)) hg_log(HG_LOG_WARN, "index", "pushed file stays", "error", HG_LS(ignore.msg), NULL);
        *m = copy;
    }
    return HG_OK;
}

static enum hg_rc pause_ms(struct hg_index_run *r, int64_t ms, struct hg_err *err)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
    return hg_index_check(r, err);
}

/* Rows are added to the version that is visible. One that waits to replace it goes first, and the rows are added to it. */
static enum hg_rc publish_adding(struct hg_index_run *r, int64_t *publish_id, struct hg_err *err)
{
    int64_t until = hg_clock_mono_ms() + WAIT_MOST_MS;
    for (unsigned round = 0;; round++) {
        enum hg_rc rc = publish_once(r, 0, publish_id, err);
        if ((rc != HG_E_CONFLICT && rc != HG_E_UNAVAILABLE) || hg_clock_mono_ms() > until || round > WAIT_MOST_MS / WAIT_STEP_MS) return rc;
        if (rc == HG_E_CONFLICT && round > MOST_ROUNDS) return rc;
        if (rc == HG_E_UNAVAILABLE) HG_TRY(pause_ms(r, WAIT_STEP_MS, err));
        else HG_TRY(new_ids(r, round, err));
    }
}

enum hg_rc hg_index_publish(struct hg_index_run *r, int64_t *publish_id, struct hg_err *err)
{
    *publish_id = 0;
    if (!r->spec->append) return publish_replacing(r, publish_id, err);
    return r->n_out ? publish_adding(r, publish_id, err) : HG_OK;
}
