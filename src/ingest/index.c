#include "ingest/index.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/num.h"
#include "base/pool.h"
#include "ingest/event.h"
#include "ingest/lines.h"
#include "ingest/publish.h"
#include "ingest/sink.h"

#define BATCH_ROWS 1024      /* rows parsed before they are handed on */
#define MAX_CHUNKS 100000    /* intervals that one task may touch */
#define DEEP_ZSTD_LEVEL 3

struct shard_out { /* one segment in the making */
    struct hg_sink *sink;
    struct hg_row *rows; /* of this batch */
    uint32_t n_rows;
    int64_t taken;       /* rows given to the sink */
    struct hg_segid id;
    struct hg_shard shard;
    struct hg_segment_meta meta;
};
struct chunk { /* an interval of segment granularity */
    struct chunk *next; /* in order of appearance */
    struct hg_interval iv;
    struct shard_out *outs;
    uint32_t n_outs, cap_outs;
    int64_t counted;     /* rows seen by the counting pass */
};
struct job { /* sealing and pushing one segment, on the pool */
    struct run *run;
    struct chunk *chunk;
    struct shard_out *out;
};
struct run {
    const struct hg_index_spec *spec;
    const struct hg_index_env *env;
    struct hg_arena *arena;
    struct hg_budget budget;
    struct hg_event_parser *parser;
    struct hg_map *chunks; /* start as text -> chunk */
    struct chunk *first, **last;
    struct chunk *recent;  /* rows mostly come in order of time */
    size_t n_chunks;
    unsigned n_sinks;
    bool counting;         /* the pass that only counts rows */
    struct hg_buf key;
    pthread_mutex_t mu;    /* guards err, arena while jobs run */
    struct hg_err err;
};

static enum hg_rc check(const struct run *r, struct hg_err *err)
{
    return r->env->cancelled && *r->env->cancelled ? hg_fail(err, HG_E_CANCELLED, "the task was shut down") : HG_OK;
}

/* ---- where a row goes ---- */

static bool wanted(const struct hg_data_schema *d, int64_t t)
{
    if (!d->n_intervals) return true;
    for (uint32_t i = 0; i < d->n_intervals; i++)
        if (t >= d->intervals[i].start && t < d->intervals[i].end) return true;
    return false;
}

static enum hg_rc chunk_of(struct run *r, int64_t t, struct chunk **out, struct hg_err *err)
{
    if (r->recent && t >= r->recent->iv.start && t < r->recent->iv.end) return *out = r->recent, HG_OK;
    struct hg_interval iv = hg_gran_bucket(&r->spec->data.segment_gran, t);
    char key[HG_NUM_TEXT];
    hg_fmt_i64(iv.start, key);
    struct chunk *c = hg_map_get(r->chunks, key);
    if (!c) {
        if (r->n_chunks++ == MAX_CHUNKS) return hg_fail(err, HG_E_LIMIT, "the rows touch more than %d intervals of segmentGranularity; are the times right?", MAX_CHUNKS);
        c = hg_arena_zalloc(r->arena, sizeof *c);
        if (!c || !hg_map_put(r->chunks, key, c, NULL)) return hg_fail(err, HG_E_NOMEM, "index task");
        c->iv = iv;
        *r->last = c;
        r->last = &c->next;
    }
    r->recent = c;
    *out = c;
    return HG_OK;
}

static enum hg_rc add_out(struct run *r, struct chunk *c, struct hg_err *err)
{
    if (c->n_outs == c->cap_outs) {
        uint32_t cap = c->cap_outs ? c->cap_outs * 2 : 4;
        struct shard_out *o = hg_arena_array(r->arena, cap, sizeof *o);
        if (!o) return hg_arena_fail(r->arena, "index task", err);
        if (c->n_outs) memcpy(o, c->outs, c->n_outs * sizeof *o);
        c->outs = o;
        c->cap_outs = cap;
    }
    struct shard_out *o = &c->outs[c->n_outs];
    o->rows = hg_arena_array(r->arena, BATCH_ROWS, sizeof *o->rows);
    char dir[4096], id[128];
    snprintf(dir, sizeof dir, "%s/sink-%u", r->env->dir, r->n_sinks++);
    snprintf(id, sizeof id, "%s/%u", r->env->task, r->n_sinks - 1);
    if (!o->rows) return hg_arena_fail(r->arena, "index task", err);
    struct hg_sink_options so = {.schema = r->spec->data.schema, .id = id, .dir = dir, .min_time = c->iv.start, .max_rows_in_memory = r->spec->max_rows_in_memory, .budget = &r->budget};
    HG_TRY(hg_sink_new(&so, &o->sink, err));
    c->n_outs++;
    return HG_OK;
}

/* The values that decide the partition, as Druid hashes them: a JSON list with a list of values per dimension; without declared dimensions the truncated time and all of them. */
static uint32_t hash_row(struct run *r, const struct hg_row *row)
{
    const struct hg_index_spec *s = r->spec;
    const struct hg_schema *schema = s->data.schema;
    struct hg_buf *b = &r->key;
    char num[HG_NUM_TEXT];
    hg_buf_clear(b);
    if (!s->n_partition_dims) hg_buf_printf(b, "%" PRId64, hg_gran_floor(&schema->query_gran, row->time));
    for (uint32_t i = 0; i < schema->n_dims; i++) {
        bool in = !s->n_partition_dims;
        for (uint32_t k = 0; k < s->n_partition_dims && !in; k++) in = strcmp(s->partition_dims[k], schema->dims[i].name) == 0;
        if (!in) continue;
        const struct hg_value *v = &row->dims[i];
        hg_buf_putc(b, '[');
        switch (v->kind) {
        case HG_V_STR: hg_buf_json_str(b, v->u.s); break;
        case HG_V_LONG: hg_fmt_i64(v->u.i, num), hg_buf_printf(b, "\"%s\"", num); break;
        case HG_V_DOUBLE: hg_fmt_f64(v->u.d, num), hg_buf_printf(b, "\"%s\"", num); break;
        case HG_V_LIST:
            for (uint32_t k = 0; k < v->u.list.n; k++) {
                if (k) hg_buf_putc(b, ',');
                hg_buf_json_str(b, v->u.list.v[k]);
            }
            break;
        default: break;
        }
        hg_buf_putc(b, ']');
    }
    uint32_t h = hg_murmur3_32(b->p, b->len, 0);
    return h & 0x7fffffffu;
}

static enum hg_rc out_of(struct run *r, struct chunk *c, const struct hg_row *row, struct shard_out **out, struct hg_err *err)
{
    const struct hg_index_spec *s = r->spec;
    if (s->partitioning == HG_PART_HASHED) {
        uint32_t n = s->num_shards ? s->num_shards : (uint32_t)(1 + (c->counted - 1) / s->max_rows_per_segment);
        while (c->n_outs < n) HG_TRY(add_out(r, c, err));
        *out = &c->outs[hash_row(r, row) % n];
        return HG_OK;
    }
    struct shard_out *o = c->n_outs ? &c->outs[c->n_outs - 1] : NULL;
    if (!o || o->taken + o->n_rows >= s->max_rows_per_segment) {
        HG_TRY(add_out(r, c, err));
        o = &c->outs[c->n_outs - 1];
    }
    *out = o;
    return HG_OK;
}

/* ---- reading ---- */

/* Live memory is used up by all sinks together: all of them go to disk, then there is room again. */
static enum hg_rc persist_all(struct run *r, struct hg_err *err)
{
    for (struct chunk *c = r->first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++)
            if (c->outs[i].sink) HG_TRY(hg_sink_persist(c->outs[i].sink, err));
    return HG_OK;
}

static enum hg_rc give(struct run *r, struct shard_out *o, struct hg_err *err)
{
    size_t done = 0;
    while (done < o->n_rows) {
        size_t took = 0;
        enum hg_rc rc = hg_sink_add(o->sink, o->rows + done, o->n_rows - done, &took, err);
        done += took;
        if (rc == HG_E_LIMIT && hg_sink_live_bytes(o->sink) * 2 < r->budget.used) rc = persist_all(r, err);
        if (rc) return rc;
    }
    o->taken += o->n_rows;
    o->n_rows = 0;
    return HG_OK;
}

static enum hg_rc flush(struct run *r, struct hg_err *err)
{
    for (struct chunk *c = r->first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++)
            if (c->outs[i].n_rows) HG_TRY(give(r, &c->outs[i], err));
    hg_event_parser_reset(r->parser);
    return check(r, err);
}

static enum hg_rc bad_row(struct run *r, const char *file, int64_t line, enum hg_bad_event bad, const char *why, struct hg_err *err)
{
    int64_t n = ++r->env->progress->bad;
    if (n == 1 && r->env->bad_sample) snprintf(r->env->bad_sample, r->env->bad_sample_cap, "%s, record %" PRId64 ": %s", file, line, why);
    if (n > r->spec->max_parse_exceptions)
        return hg_fail(err, HG_E_INVALID, "more than %" PRId64 " bad rows (tuningConfig.maxParseExceptions); the last: %s, record %" PRId64 ": %s (%s)", r->spec->max_parse_exceptions, file,
                       line, why, hg_bad_event_name(bad));
    return HG_OK;
}

static enum hg_rc take_record(struct run *r, const char *file, int64_t line, struct hg_span rec, struct hg_err *err)
{
    struct hg_row row;
    char why[256];
    enum hg_bad_event bad = hg_event_parse(r->parser, rec, &row, why, sizeof why);
    if (bad == HG_EV_EMPTY) return HG_OK;
    if (bad) return r->counting ? HG_OK : bad_row(r, file, line, bad, why, err);
    if (!wanted(&r->spec->data, row.time)) {
        if (!r->counting) r->env->progress->thrown++;
        return HG_OK;
    }
    struct chunk *c;
    HG_TRY(chunk_of(r, row.time, &c, err));
    if (r->counting) return c->counted++, HG_OK;
    struct shard_out *o;
    HG_TRY(out_of(r, c, &row, &o, err));
    o->rows[o->n_rows++] = row;
    r->env->progress->rows++;
    return HG_OK;
}

static enum hg_rc read_records(struct run *r, struct hg_lines *l, const char *file, struct hg_err *err)
{
    const struct hg_input_format *f = &r->spec->format;
    uint32_t skip = f->kind == HG_INPUT_JSON ? 0 : f->skip_rows, in_batch = 0;
    bool header = f->kind != HG_INPUT_JSON && f->find_header;
    for (;;) {
        struct hg_span rec;
        HG_TRY(hg_lines_next(l, &rec, err));
        if (!rec.p) break;
        if (skip) {
            skip--;
        } else if (header) {
            header = false;
            if (!f->columns) HG_TRY(hg_event_parser_header(r->parser, rec, err));
        } else {
            HG_TRY(take_record(r, file, hg_lines_number(l), rec, err));
            r->env->progress->bytes += r->counting ? 0 : (int64_t)rec.len + 1;
            if (++in_batch == BATCH_ROWS) {
                HG_TRY(flush(r, err));
                in_batch = 0;
            }
        }
    }
    return flush(r, err);
}

static enum hg_rc read_file(struct run *r, const char *path, struct hg_err *err)
{
    struct hg_lines *l;
    HG_TRY(hg_lines_open(path, r->spec->format.kind == HG_INPUT_CSV, &l, err));
    enum hg_rc rc = read_records(r, l, path, err);
    hg_lines_close(l);
    return rc;
}

struct walk {
    struct run *r;
    const char *dir;
    unsigned depth, *found;
};

static enum hg_rc walk_one(void *arg, const char *name, struct hg_err *err)
{
    struct walk *w = arg;
    char path[4096];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/%s", w->dir, name) >= (int)sizeof path) return hg_fail(err, HG_E_LIMIT, "path too long: %s/%s", w->dir, name);
    if (stat(path, &st)) return hg_fail_errno(err, HG_E_IO, "%s", path);
    if (S_ISDIR(st.st_mode)) {
        if (w->depth >= 32) return hg_fail(err, HG_E_LIMIT, "%s: folders deeper than 32", path);
        struct walk in = {w->r, path, w->depth + 1, w->found};
        return hg_dir_list(path, walk_one, &in, err);
    }
    if (fnmatch(w->r->spec->filter, name, 0) != 0) return HG_OK;
    ++*w->found;
    return read_file(w->r, path, err);
}

static enum hg_rc read_all(struct run *r, struct hg_err *err)
{
    const struct hg_index_spec *s = r->spec;
    if (s->inline_data) {
        struct hg_lines *l;
        HG_TRY(hg_lines_of_text(s->inline_data, s->format.kind == HG_INPUT_CSV, &l, err));
        enum hg_rc rc = read_records(r, l, "inline data", err);
        hg_lines_close(l);
        return rc;
    }
    for (uint32_t i = 0; i < s->n_files; i++) HG_TRY(read_file(r, s->files[i], err));
    if (s->n_files) return HG_OK;
    unsigned found = 0;
    struct walk w = {r, s->base_dir, 0, &found};
    HG_TRY(hg_dir_list(s->base_dir, walk_one, &w, err));
    return found ? HG_OK : hg_fail(err, HG_E_NOTFOUND, "no file in %s matches \"%s\"", s->base_dir, s->filter);
}

/* ---- building ---- */

static enum hg_rc name_segments(struct run *r, struct hg_err *err)
{
    const struct hg_index_spec *s = r->spec;
    char version[HG_TIME_TEXT] = "";
    if (!s->append) HG_TRY(hg_meta_new_version(r->env->meta, version, err));
    const char *v = hg_arena_strdup(r->arena, version);
    if (!v) return hg_arena_fail(r->arena, "index task", err);
    unsigned n = 0;
    for (struct chunk *c = r->first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++) {
            struct shard_out *o = &c->outs[i];
            o->id = (struct hg_segid){s->data.datasource, s->data.ns, c->iv, v, i};
            o->shard = (struct hg_shard){.kind = HG_SHARD_NUMBERED, .partition = i, .core_partitions = c->n_outs};
            if (s->append) {
                char sequence[64];
                snprintf(sequence, sizeof sequence, "%u", n++);
                struct hg_alloc w = {s->data.datasource, s->data.ns, c->iv, r->env->task, sequence};
                HG_TRY(hg_meta_allocate(r->env->meta, r->arena, &w, &o->id, err));
                o->shard = (struct hg_shard){.kind = HG_SHARD_NUMBERED, .partition = o->id.partition};
            } else if (s->partitioning == HG_PART_HASHED) {
                o->shard.kind = HG_SHARD_HASHED;
                o->shard.bucket = i;
                o->shard.n_buckets = c->n_outs;
                o->shard.dims = s->partition_dims;
                o->shard.n_dims = s->n_partition_dims;
            }
        }
    return HG_OK;
}

static enum hg_rc build_one(struct job *j, struct hg_err *err)
{
    struct run *r = j->run;
    char path[4096];
    HG_TRY(check(r, err));
    snprintf(path, sizeof path, "%s/%" PRId64 "-%u.seg", r->env->dir, j->chunk->iv.start, (unsigned)(j->out - j->chunk->outs));
    struct hg_segment_stats stats;
    HG_TRY(hg_sink_seal(j->out->sink, path, &(struct hg_segment_write_options){.zstd_level = DEEP_ZSTD_LEVEL}, &stats, err));
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "index task");
    struct hg_segment_meta m;
    enum hg_rc rc = hg_push_segment(a, r->env->store, path, &j->out->id, &j->out->shard, r->spec->data.schema, &stats, &m, err);
    pthread_mutex_lock(&r->mu);
    if (!rc) rc = hg_segment_meta_copy(r->arena, &m, &j->out->meta, err);
    pthread_mutex_unlock(&r->mu);
    hg_arena_free(a);
    hg_sink_free(j->out->sink); /* and the local file */
    j->out->sink = NULL;
    if (!rc) r->env->progress->segments++;
    return rc;
}

static void build_job(void *arg)
{
    struct job *j = arg;
    struct hg_err err;
    pthread_mutex_lock(&j->run->mu);
    bool failed = j->run->err.rc != HG_OK;
    pthread_mutex_unlock(&j->run->mu);
    enum hg_rc rc = failed ? HG_OK : build_one(j, &err);
    if (!rc) return;
    pthread_mutex_lock(&j->run->mu);
    if (!j->run->err.rc) j->run->err = err;
    j->run->err.rc = j->run->err.rc ? j->run->err.rc : rc;
    pthread_mutex_unlock(&j->run->mu);
}

/* Hashed buckets without a row still count as partitions of the version: each has a file, an empty one. */
static enum hg_rc build_all(struct run *r, struct hg_err *err)
{
    struct hg_pool *pool;
    HG_TRY(hg_pool_new("index", r->env->threads ? r->env->threads : 1, (size_t)MAX_CHUNKS * 64, &pool, err));
    enum hg_rc rc = HG_OK;
    size_t n = 0;
    for (struct chunk *c = r->first; c; c = c->next) n += c->n_outs;
    struct job *jobs = hg_arena_array(r->arena, n + 1, sizeof *jobs);
    if (!jobs) rc = hg_arena_fail(r->arena, "index task", err);
    n = 0;
    for (struct chunk *c = r->first; c && !rc; c = c->next)
        for (uint32_t i = 0; i < c->n_outs && !rc; i++) {
            jobs[n] = (struct job){r, c, &c->outs[i]};
            rc = hg_pool_submit(pool, 0, build_job, &jobs[n++], err);
        }
    hg_pool_close(pool);
    if (!rc && r->err.rc) {
        if (err) *err = r->err;
        rc = r->err.rc;
    }
    return rc;
}

static void take_back(struct run *r)
{
    for (struct chunk *c = r->first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++) {
            struct hg_err err;
            const char *path = c->outs[i].meta.path;
            if (path && hg_store_delete(r->env->store, path, &err)) hg_log(HG_LOG_WARN, "index", "pushed file stays", "error", HG_LS(err.msg), NULL);
        }
}

/* The intervals that get a new version whole: those named, cut to whole chunks, so that an interval without rows is emptied too. */
static enum hg_rc replaced(struct run *r, struct hg_interval **out, size_t *n, struct hg_err *err)
{
    const struct hg_data_schema *d = &r->spec->data;
    *n = r->spec->append ? 0 : d->n_intervals;
    *out = hg_arena_array(r->arena, *n + 1, sizeof **out);
    if (!*out) return hg_arena_fail(r->arena, "index task", err);
    for (size_t i = 0; i < *n; i++) {
        int64_t start = hg_gran_floor(&d->segment_gran, d->intervals[i].start), last = hg_gran_floor(&d->segment_gran, d->intervals[i].end - 1);
        (*out)[i] = (struct hg_interval){start, hg_gran_next(&d->segment_gran, last)};
    }
    return HG_OK;
}

static enum hg_rc publish(struct run *r, int64_t *publish_id, struct hg_err *err)
{
    size_t n = 0;
    for (struct chunk *c = r->first; c; c = c->next) n += c->n_outs;
    struct hg_segment_meta *all = hg_arena_array(r->arena, n + 1, sizeof *all);
    if (!all) return hg_arena_fail(r->arena, "index task", err);
    n = 0;
    for (struct chunk *c = r->first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++) all[n++] = c->outs[i].meta;
    struct hg_publish p = {.segments = all, .n_segments = n, .visible = false, .task = r->env->task};
    struct hg_interval *ivs;
    HG_TRY(replaced(r, &ivs, &p.n_replaced, err));
    p.replaced = ivs;
    *publish_id = 0;
    if (!n) return HG_OK;
    return hg_meta_publish(r->env->meta, &p, publish_id, err);
}

static enum hg_rc run_stages(struct run *r, int64_t *publish_id, struct hg_err *err)
{
    HG_TRY(hg_event_parser_new(&r->spec->data, &r->spec->format, &r->parser, err));
    if (r->spec->partitioning == HG_PART_HASHED && !r->spec->num_shards) {
        r->counting = true;
        HG_TRY(read_all(r, err));
        r->counting = false;
        hg_event_parser_free(r->parser);
        r->parser = NULL;
        HG_TRY(hg_event_parser_new(&r->spec->data, &r->spec->format, &r->parser, err));
    }
    HG_TRY(read_all(r, err));
    r->env->progress->stage = 1;
    HG_TRY(name_segments(r, err));
    HG_TRY(build_all(r, err));
    HG_TRY(check(r, err));
    r->env->progress->stage = 2;
    return publish(r, publish_id, err);
}

enum hg_rc hg_index_run(const struct hg_index_spec *spec, const struct hg_index_env *env, int64_t *publish_id, struct hg_err *err)
{
    struct run r = {.spec = spec, .env = env};
    HG_TRY(hg_dir_make(env->dir, err));
    hg_budget_init(&r.budget, NULL, "live rows of the task", env->memory_bytes);
    r.last = &r.first;
    r.arena = hg_arena_new(NULL);
    r.chunks = hg_map_new();
    hg_buf_init(&r.key, 1 << 20);
    pthread_mutex_init(&r.mu, NULL);
    enum hg_rc rc = r.arena && r.chunks ? run_stages(&r, publish_id, err) : hg_fail(err, HG_E_NOMEM, "index task");
    if (rc) take_back(&r);
    for (struct chunk *c = r.first; c; c = c->next)
        for (uint32_t i = 0; i < c->n_outs; i++) hg_sink_free(c->outs[i].sink);
    hg_event_parser_free(r.parser);
    hg_buf_free(&r.key);
    if (r.chunks) hg_map_free(r.chunks, NULL);
    pthread_mutex_destroy(&r.mu);
    hg_arena_free(r.arena);
    struct hg_err ignore;
    if (hg_dir_remove_all(env->dir, &ignore)) hg_log(HG_LOG_WARN, "index", "task folder stays", "error", HG_LS(ignore.msg), NULL);
    if (!rc) env->progress->stage = 3;
    return rc;
}
