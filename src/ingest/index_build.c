/* Building: the sinks of a slab become one sorted, rolled-up file; where partitions are wanted, the file is divided; each part is pushed. On a pool: a slab is a job, and so is each of its
 * parts, which go before further slabs, so that few files are open at once. */
#include "ingest/index_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "ingest/publish.h"

struct builder {
    struct hg_index_run *run;
    struct hg_pool *pool;
    pthread_mutex_t mu; /* guards left */
    pthread_cond_t none;
    size_t left;        /* jobs that are not done */
};
struct slab_job {
    struct builder *b;
    struct hg_index_chunk *chunk;
    uint32_t nth;       /* slab of the chunk */
    char file[4096];
    /* Once it is divided: */
    struct hg_arena *arena;
    struct hg_segment *whole;
    struct hg_partition *parts;
    struct part_job *jobs;
    _Atomic uint32_t parts_left;
};
struct part_job {
    struct slab_job *slab;
    uint32_t nth;
};

static enum hg_rc submit(struct builder *b, int priority, void (*fn)(void *), void *arg, struct hg_err *err)
{
    pthread_mutex_lock(&b->mu);
    b->left++;
    pthread_mutex_unlock(&b->mu);
    enum hg_rc rc = hg_pool_submit(b->pool, priority, fn, arg, err);
    if (!rc) return HG_OK;
    pthread_mutex_lock(&b->mu);
    b->left--;
    pthread_mutex_unlock(&b->mu);
    return rc;
}

static void done(struct builder *b)
{
    pthread_mutex_lock(&b->mu);
    if (--b->left == 0) pthread_cond_signal(&b->none);
    pthread_mutex_unlock(&b->mu);
}

/* ---- one segment ---- */

/* The id that a segment of this task has: partitions of the new version, or whatever number is free where rows are appended. */
static enum hg_rc name_it(struct hg_index_run *r, struct hg_arena *a, const struct hg_index_chunk *c, struct hg_shard *shard, uint32_t nth, struct hg_segid *out, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    *out = (struct hg_segid){d->datasource, d->ns, c->iv, r->version, shard->partition};
    if (*r->version) return HG_OK;
    char sequence[64];
    snprintf(sequence, sizeof sequence, "%" PRIu32, nth);
    struct hg_alloc w = {d->datasource, d->ns, c->iv, r->env->task, sequence};
    HG_TRY(hg_meta_allocate(r->env->meta, a, &w, out, err));
    *shard = (struct hg_shard){.kind = HG_SHARD_NUMBERED, .partition = out->partition};
    return HG_OK;
}

enum hg_rc hg_index_push(struct hg_index_run *r, const char *file, const struct hg_segid *id, const struct hg_shard *shard, const struct hg_segment_stats *stats, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "index task");
    struct hg_segment_meta m;
    enum hg_rc rc = hg_push_segment(a, r->env->store, file, id, shard, r->spec->data.schema, stats, &m, err);
    pthread_mutex_lock(&r->mu);
    if (!rc && r->n_out == r->cap_out) {
        size_t cap = r->cap_out ? r->cap_out * 2 : 64;
        struct hg_segment_meta *v = hg_arena_array(r->arena, cap, sizeof *v);
        if (v && r->n_out) memcpy(v, r->out, r->n_out * sizeof *v);
        if (v) r->out = v, r->cap_out = cap;
        else rc = hg_arena_fail(r->arena, "index task", err);
    }
    if (!rc) rc = hg_segment_meta_copy(r->arena, &m, &r->out[r->n_out], err);
    if (!rc) r->n_out++;
    pthread_mutex_unlock(&r->mu);
    hg_arena_free(a);
    if (!rc) r->env->progress->segments++;
    return rc;
}

static enum hg_rc push_as(struct hg_index_run *r, const struct hg_index_chunk *c, const char *file, struct hg_shard shard, uint32_t nth, const struct hg_segment_stats *stats, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segid id;
    if (!a) return hg_fail(err, HG_E_NOMEM, "index task");
    enum hg_rc rc = name_it(r, a, c, &shard, nth, &id, err);
    if (!rc) rc = hg_index_push(r, file, &id, &shard, stats, err);
    hg_arena_free(a);
    return rc;
}

/* ---- parts ---- */

static void slab_close(struct slab_job *j)
{
    struct hg_err err;
    hg_segment_close(j->whole);
    hg_arena_free(j->arena);
    j->whole = NULL;
    j->arena = NULL;
    if (hg_file_remove(j->file, &err)) hg_log(HG_LOG_WARN, "index", "built file stays", "error", HG_LS(err.msg), NULL);
}

static enum hg_rc build_part(struct part_job *p, struct hg_err *err)
{
    struct slab_job *j = p->slab;
    struct hg_index_run *r = j->b->run;
    const struct hg_partition *part = &j->parts[p->nth];
    char file[4200];
    struct hg_segment_stats stats;
    struct hg_err ignore;
    HG_TRY(hg_index_check(r, err));
    snprintf(file, sizeof file, "%s-%" PRIu32, j->file, p->nth);
    HG_TRY(hg_segment_pick(r->spec->data.schema, j->whole, part->rows, part->n_rows, &(struct hg_segment_write_options){.zstd_level = HG_INDEX_ZSTD_LEVEL}, file, &stats, err));
    enum hg_rc rc = push_as(r, j->chunk, file, part->shard, p->nth, &stats, err);
    if (hg_file_remove(file, &ignore)) hg_log(HG_LOG_WARN, "index", "built file stays", "error", HG_LS(ignore.msg), NULL);
    return rc;
}

static void part_main(void *arg)
{
    struct part_job *p = arg;
    struct builder *b = p->slab->b;
    struct hg_err err;
    enum hg_rc rc = build_part(p, &err);
    if (rc) hg_index_fail(b->run, rc, &err);
    if (atomic_fetch_sub(&p->slab->parts_left, 1) == 1) slab_close(p->slab);
    done(b);
}

/* ---- slabs ---- */

static enum hg_rc merge_sinks(struct hg_index_run *r, const struct hg_slab *s, const struct hg_segment_write_options *o, const char *file, struct hg_segment_stats *stats, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_source *const **srcs = a ? hg_arena_array(a, s->n_sinks + 1, sizeof *srcs) : NULL;
    void **handles = a ? hg_arena_array(a, s->n_sinks + 1, sizeof *handles) : NULL;
    size_t *n = a ? hg_arena_array(a, s->n_sinks + 1, sizeof *n) : NULL, total = 0;
    uint32_t held = 0;
    enum hg_rc rc = srcs && handles && n ? HG_OK : hg_fail(err, HG_E_NOMEM, "index task");
    for (; held < s->n_sinks && !rc; held++) {
        rc = hg_sink_acquire(s->sinks[held], a, &srcs[held], &n[held], &handles[held], err);
        if (rc) break;
        total += n[held];
    }
    const struct hg_source **all = rc ? NULL : hg_arena_array(a, total + 1, sizeof *all);
    if (!rc && !all) rc = hg_arena_fail(a, "index task", err);
    total = 0;
    for (uint32_t i = 0; i < held && !rc; i++)
        for (size_t k = 0; k < n[i]; k++)
            if (srcs[i][k]->n_rows) all[total++] = srcs[i][k];
    if (!rc) rc = hg_segment_merge(r->spec->data.schema, all, total, o, file, stats, err);
    for (uint32_t i = 0; i < held; i++) hg_sink_release(s->sinks[i], handles[i]);
    hg_arena_free(a);
    return rc;
}

static void free_sinks(struct hg_slab *s)
{
    for (uint32_t i = 0; i < s->n_sinks; i++) {
        hg_sink_free(s->sinks[i]);
        s->sinks[i] = NULL;
    }
}

/* Divides the merged file and sets its parts going; the last of them closes it. */
static enum hg_rc divide(struct slab_job *j, struct hg_err *err)
{
    struct hg_index_run *r = j->b->run;
    uint32_t n;
    j->arena = hg_arena_new(NULL);
    if (!j->arena) return hg_fail(err, HG_E_NOMEM, "index task");
    HG_TRY(hg_segment_open(j->file, &j->whole, err));
    HG_TRY(hg_partition_rows(j->arena, r->spec, j->whole, &j->parts, &n, err));
    j->jobs = hg_arena_array(j->arena, n, sizeof *j->jobs);
    if (!j->jobs) return hg_arena_fail(j->arena, "index task", err);
    j->parts_left = n;
    for (uint32_t i = 0; i < n; i++) j->jobs[i] = (struct part_job){j, i};
    for (uint32_t i = 0; i < n; i++) {
        enum hg_rc rc = submit(j->b, 1, part_main, &j->jobs[i], err);
        if (!rc) continue;
        /* Those that are under way close it, unless there is none. */
        hg_index_fail(r, rc, err);
        if (atomic_fetch_sub(&j->parts_left, n - i) == n - i) slab_close(j);
        break;
    }
    return HG_OK;
}

static enum hg_rc build_slab(struct slab_job *j, struct hg_err *err)
{
    struct hg_index_run *r = j->b->run;
    struct hg_index_chunk *c = j->chunk;
    struct hg_slab *s = &c->slabs[j->nth];
    struct hg_segment_stats stats;
    struct hg_err ignore;
    bool by_rows = r->spec->partitioning == HG_PART_DYNAMIC;
    static const struct hg_segment_write_options last = {.zstd_level = HG_INDEX_ZSTD_LEVEL}, middle = {.plain = true, .bare = true};
    HG_TRY(hg_index_check(r, err));
    snprintf(j->file, sizeof j->file, "%s/%" PRId64 "-%" PRIu32 ".seg", r->env->dir, c->iv.start, j->nth);
    HG_TRY(merge_sinks(r, s, by_rows ? &last : &middle, j->file, &stats, err));
    free_sinks(s);
    if (!by_rows) {
        enum hg_rc rc = divide(j, err);
        if (rc) slab_close(j);
        return rc;
    }
    struct hg_shard shard = {.kind = HG_SHARD_NUMBERED, .partition = j->nth, .core_partitions = c->n_slabs};
    enum hg_rc rc = push_as(r, c, j->file, shard, j->nth, &stats, err);
    if (hg_file_remove(j->file, &ignore)) hg_log(HG_LOG_WARN, "index", "built file stays", "error", HG_LS(ignore.msg), NULL);
    return rc;
}

static void slab_main(void *arg)
{
    struct slab_job *j = arg;
    struct builder *b = j->b;
    struct hg_err err;
    enum hg_rc rc = build_slab(j, &err);
    if (rc) hg_index_fail(b->run, rc, &err);
    done(b);
}

/* ---- all ---- */

static enum hg_rc run_jobs(struct builder *b, struct hg_err *err)
{
    struct hg_index_run *r = b->run;
    size_t n = 0;
    for (size_t i = 0; i < r->n_chunks; i++) n += r->chunks[i].n_slabs;
    struct slab_job *jobs = calloc(n + 1, sizeof *jobs);
    if (!jobs) return hg_fail(err, HG_E_NOMEM, "index task");
    HG_TRY(hg_index_check(r, err));
    enum hg_rc rc = HG_OK;
    n = 0;
    for (size_t i = 0; i < r->n_chunks && !rc; i++)
        for (uint32_t k = 0; k < r->chunks[i].n_slabs && !rc; k++) {
            jobs[n].b = b;
            jobs[n].chunk = &r->chunks[i];
            jobs[n].nth = k;
            rc = submit(b, 0, slab_main, &jobs[n++], err);
        }
    pthread_mutex_lock(&b->mu);
    while (b->left) pthread_cond_wait(&b->none, &b->mu);
    pthread_mutex_unlock(&b->mu);
    free(jobs);
    return rc ? rc : hg_index_check(r, err);
}

enum hg_rc hg_index_build(struct hg_index_run *r, struct hg_err *err)
{
    struct builder b = {.run = r};
    HG_TRY(hg_pool_new("index", r->n_lanes, (size_t)64 * HG_INDEX_MAX_CHUNKS, &b.pool, err));
    pthread_mutex_init(&b.mu, NULL);
    pthread_cond_init(&b.none, NULL);
    enum hg_rc rc = run_jobs(&b, err);
    hg_pool_close(b.pool);
    pthread_cond_destroy(&b.none);
    pthread_mutex_destroy(&b.mu);
    return rc;
}

void hg_index_drop_sinks(struct hg_index_run *r)
{
    for (size_t i = 0; i < r->n_chunks; i++)
        for (uint32_t k = 0; k < r->chunks[i].n_sinks; k++) hg_sink_free(r->chunks[i].sinks[k]);
}
