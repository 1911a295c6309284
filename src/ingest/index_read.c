/* Reading: one thread cuts files into records and hands them on in batches; lanes parse them and put rows into their sinks. */
#include "ingest/index_private.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/num.h"
#include "ingest/event.h"
#include "ingest/input.h"

#define BATCH_ROWS 1024
#define BATCH_BYTES ((size_t)512 << 10)
#define MANY_ROWS 250000 /* smaller segments are not worth rows that are rolled up late: how many there are must be known early */

/* ---- batches on their way from the reader to the lanes ---- */

struct batch {
    struct batch *next;
    const struct hg_input_file *file;
    struct { size_t at, len; int64_t number; } rec[BATCH_ROWS];
    uint32_t n;
    struct hg_buf bytes;
};
struct belt {
    pthread_mutex_t mu; /* guards all of it */
    pthread_cond_t more, less;
    struct batch *free, *first, **last;
    size_t n_free, enough; /* the reader, once it waits, is woken when so many are free: not for each of them, which would cost a change of threads */
    bool ended, broken; /* no more will come; nobody takes any more */
};

static struct batch *belt_take(struct belt *b)
{
    pthread_mutex_lock(&b->mu);
    while (!b->first && !b->ended && !b->broken) pthread_cond_wait(&b->more, &b->mu);
    struct batch *x = b->broken ? NULL : b->first;
    if (x && !(b->first = x->next)) b->last = &b->first;
    pthread_mutex_unlock(&b->mu);
    return x;
}

static void belt_return(struct belt *b, struct batch *x)
{
    pthread_mutex_lock(&b->mu);
    x->next = b->free;
    b->free = x;
    if (++b->n_free >= b->enough) pthread_cond_signal(&b->less);
    pthread_mutex_unlock(&b->mu);
}

static struct batch *belt_empty(struct belt *b) /* NULL: a lane failed */
{
    pthread_mutex_lock(&b->mu);
    while (!b->free && !b->broken) pthread_cond_wait(&b->less, &b->mu);
    struct batch *x = b->broken ? NULL : b->free;
    if (x) b->free = x->next, b->n_free--;
    pthread_mutex_unlock(&b->mu);
    if (x) x->n = 0, x->next = NULL, hg_buf_clear(&x->bytes);
    return x;
}

static void belt_put(struct belt *b, struct batch *x)
{
    pthread_mutex_lock(&b->mu);
    x->next = NULL;
    *b->last = x;
    b->last = &x->next;
    pthread_cond_signal(&b->more);
    pthread_mutex_unlock(&b->mu);
}

static void belt_stop(struct belt *b, bool broken)
{
    pthread_mutex_lock(&b->mu);
    if (broken) b->broken = true;
    else b->ended = true;
    pthread_cond_broadcast(&b->more);
    pthread_cond_broadcast(&b->less);
    pthread_mutex_unlock(&b->mu);
}

/* ---- a lane ---- */

struct lane_chunk {
    struct lane_chunk *next;
    struct hg_interval iv;
    struct hg_sink **slabs;
    uint32_t n_slabs, cap_slabs;
    /* Of the batch at hand: a list through lane.link. */
    uint32_t first, last;
    bool touched;
};
struct lane {
    struct hg_index_run *run;
    struct belt *belt;
    unsigned nth;
    pthread_t thread;
    struct hg_arena *arena;
    struct hg_budget *budget;
    struct hg_event_parser *parser;
    const struct hg_input_file *file; /* whose header the parser has */
    struct hg_map *by_start;
    struct lane_chunk *chunks, *recent;
    size_t n_chunks;
    unsigned n_sinks;
    int64_t slab_rows;                /* a slab is full */
    bool as_they_come;                /* rows are rolled up when they are written to disk or merged, not before */
    struct hg_row rows[BATCH_ROWS], gathered[BATCH_ROWS];
    uint32_t link[BATCH_ROWS], n_rows;
    struct lane_chunk *touched[BATCH_ROWS];
    uint32_t n_touched;
};

static bool wanted(const struct hg_data_schema *d, int64_t t)
{
    if (!d->n_intervals) return true;
    for (uint32_t i = 0; i < d->n_intervals; i++)
        if (t >= d->intervals[i].start && t < d->intervals[i].end) return true;
    return false;
}

static enum hg_rc chunk_of(struct lane *l, int64_t t, struct lane_chunk **out, struct hg_err *err)
{
    if (l->recent && t >= l->recent->iv.start && t < l->recent->iv.end) return *out = l->recent, HG_OK;
    struct hg_interval iv = hg_gran_bucket(&l->run->spec->data.segment_gran, t);
    char key[HG_NUM_TEXT];
    hg_fmt_i64(iv.start, key);
    struct lane_chunk *c = hg_map_get(l->by_start, key);
    if (!c) {
        if (l->n_chunks++ == HG_INDEX_MAX_CHUNKS) return hg_fail(err, HG_E_LIMIT, "the rows touch more than %d intervals of segmentGranularity; are the times right?", HG_INDEX_MAX_CHUNKS);
        c = hg_arena_zalloc(l->arena, sizeof *c);
        if (!c || !hg_map_put(l->by_start, key, c, NULL)) return hg_fail(err, HG_E_NOMEM, "index task");
        c->iv = iv;
        c->next = l->chunks;
        l->chunks = c;
    }
    l->recent = c;
    *out = c;
    return HG_OK;
}

static enum hg_rc add_slab(struct lane *l, struct lane_chunk *c, struct hg_err *err)
{
    if (c->n_slabs == c->cap_slabs) {
        uint32_t cap = c->cap_slabs ? c->cap_slabs * 2 : 2;
        struct hg_sink **s = hg_arena_array(l->arena, cap, sizeof(struct hg_sink *));
        if (!s) return hg_arena_fail(l->arena, "index task", err);
        if (c->n_slabs) memcpy(s, c->slabs, c->n_slabs * sizeof(struct hg_sink *));
        c->slabs = s;
        c->cap_slabs = cap;
    }
    const struct hg_index_run *r = l->run;
    char dir[4096], id[HG_ERR_MSG];
    snprintf(dir, sizeof dir, "%s/sink-%u-%u", r->env->dir, l->nth, l->n_sinks);
    snprintf(id, sizeof id, "%s/%u-%u", r->env->task, l->nth, l->n_sinks++);
    struct hg_sink_options so = {.schema = r->spec->data.schema, .id = id, .dir = dir, .min_time = c->iv.start, .only_merged = true, .as_they_come = l->as_they_come, .texts = r->texts[l->nth], .max_rows_in_memory = r->spec->max_rows_in_memory, .budget = l->budget};
    HG_TRY(hg_sink_new(&so, &c->slabs[c->n_slabs], err));
    c->n_slabs++;
    return HG_OK;
}

/* Live memory is used up by all sinks together: all of them go to disk, and the texts that they had in common are forgotten. There is as much room then as there will ever be. */
static enum hg_rc make_room(struct lane *l, struct hg_err *err)
{
    const struct hg_index_run *r = l->run;
    for (struct lane_chunk *c = l->chunks; c; c = c->next)
        for (uint32_t i = 0; i < c->n_slabs; i++) /* those that take no more rows, too */
            HG_TRY(hg_sink_persist(c->slabs[i], err));
    if (r->texts[l->nth]) (void)hg_live_texts_forget(r->texts[l->nth]); /* no row has them any more */
    return HG_OK;
}

/* The sink that takes the chunk's next rows, and how many of them. One that seems full of rows that are not rolled up yet is written to disk, which tells how many there are. */
static enum hg_rc sink_with_room(struct lane *l, struct lane_chunk *c, struct hg_sink **out, int64_t *room, struct hg_err *err)
{
    struct hg_sink *s = c->n_slabs ? c->slabs[c->n_slabs - 1] : NULL;
    *room = s ? l->slab_rows - hg_sink_rows(s) : 0;
    if (s && *room <= 0 && l->as_they_come && l->run->spec->data.schema->rollup) {
        HG_TRY(hg_sink_persist(s, err));
        *room = l->slab_rows - hg_sink_rows(s);
        if (*room < l->slab_rows / 16) *room = 0; /* ever smaller parts for the last few rows */
    }
    if (*room <= 0) {
        HG_TRY(add_slab(l, c, err));
        s = c->slabs[c->n_slabs - 1];
        *room = l->slab_rows;
    }
    *out = s;
    return HG_OK;
}

static enum hg_rc give(struct lane *l, struct lane_chunk *c, const struct hg_row *rows, uint32_t n, struct hg_err *err)
{
    bool emptied = false; /* and no row was taken since: one that does not fit now never will */
    for (uint32_t done = 0; done < n;) {
        struct hg_sink *s;
        int64_t room, left = n - done;
        size_t took = 0;
        enum hg_rc rc = sink_with_room(l, c, &s, &room, err);
        if (!rc) rc = hg_sink_add(s, rows + done, (size_t)(left < room ? left : room), &took, err);
        done += (uint32_t)took;
        if (took) emptied = false;
        if (rc == HG_E_LIMIT && !emptied) {
            rc = make_room(l, err);
            emptied = true;
        }
        if (rc) return rc;
    }
    return HG_OK;
}

static enum hg_rc flush(struct lane *l, struct hg_err *err)
{
    for (uint32_t i = 0; i < l->n_touched; i++) {
        struct lane_chunk *c = l->touched[i];
        uint32_t n = 0;
        for (uint32_t k = c->first;; k = l->link[k]) {
            l->gathered[n++] = l->rows[k];
            if (k == c->last) break;
        }
        c->touched = false;
        HG_TRY(give(l, c, l->gathered, n, err));
    }
    l->n_rows = l->n_touched = 0;
    hg_event_parser_reset(l->parser);
    return hg_index_check(l->run, err);
}

static void keep_row(struct lane *l, struct lane_chunk *c, const struct hg_row *row)
{
    uint32_t at = l->n_rows++;
    l->rows[at] = *row;
    if (c->touched) {
        l->link[c->last] = at;
    } else {
        c->touched = true;
        c->first = at;
        l->touched[l->n_touched++] = c;
    }
    c->last = at;
}

static enum hg_rc bad_row(struct lane *l, const char *file, int64_t number, enum hg_bad_event bad, const char *why, struct hg_err *err)
{
    struct hg_index_run *r = l->run;
    const struct hg_index_env *e = r->env;
    int64_t n = ++e->progress->bad;
    pthread_mutex_lock(&r->mu);
    if (e->bad_sample && !*e->bad_sample) snprintf(e->bad_sample, e->bad_sample_cap, "%s, record %" PRId64 ": %s", file, number, why);
    if (e->on_bad) e->on_bad(e->on_bad_arg, file, number, why);
    pthread_mutex_unlock(&r->mu);
    if (r->spec->log_exceptions)
        hg_log(HG_LOG_WARN, "index", "bad row", "task", HG_LS(e->task), "file", HG_LS(file), "record", HG_LI(number), "reason", HG_LS(hg_bad_event_name(bad)), "error", HG_LS(why), NULL);
    if (n > r->spec->max_parse_exceptions)
        return hg_fail(err, HG_E_INVALID, "more than %" PRId64 " bad rows (tuningConfig.maxParseExceptions); the last: %s, record %" PRId64 ": %s (%s)", r->spec->max_parse_exceptions, file,
                       number, why, hg_bad_event_name(bad));
    return HG_OK;
}

static enum hg_rc take_record(struct lane *l, const char *file, int64_t number, struct hg_span rec, struct hg_err *err)
{
    struct hg_index_progress *p = l->run->env->progress;
    struct hg_row row;
    char why[256];
    enum hg_bad_event bad = hg_event_parse(l->parser, rec, &row, why, sizeof why);
    if (bad == HG_EV_EMPTY) return HG_OK;
    if (bad && bad != HG_EV_FILTERED) return bad_row(l, file, number, bad, why, err);
    if (bad || !wanted(&l->run->spec->data, row.time)) {
        p->thrown++;
        return HG_OK;
    }
    struct lane_chunk *c;
    HG_TRY(chunk_of(l, row.time, &c, err));
    keep_row(l, c, &row);
    return HG_OK;
}

static enum hg_rc take_batch(struct lane *l, const struct batch *b, struct hg_err *err)
{
    struct hg_index_progress *p = l->run->env->progress;
    int64_t bytes = 0;
    if (l->file != b->file && b->file->header.p) HG_TRY(hg_event_parser_header(l->parser, b->file->header, err));
    l->file = b->file;
    for (uint32_t i = 0; i < b->n; i++) {
        HG_TRY(take_record(l, b->file->path, b->rec[i].number, (struct hg_span){b->bytes.p + b->rec[i].at, b->rec[i].len}, err));
        bytes += (int64_t)b->rec[i].len + 1;
    }
    p->rows += l->n_rows;
    p->bytes += bytes;
    return flush(l, err);
}

static void *lane_main(void *arg)
{
    struct lane *l = arg;
    struct batch *b;
    while ((b = belt_take(l->belt))) {
        struct hg_err err;
        enum hg_rc rc = take_batch(l, b, &err);
        belt_return(l->belt, b);
        if (!rc) continue;
        hg_index_fail(l->run, rc, &err);
        belt_stop(l->belt, true);
        return NULL;
    }
    if (l->run->texts[l->nth]) hg_live_texts_sort(l->run->texts[l->nth]);
    return NULL;
}

/* ---- the reader ---- */

struct reader {
    struct hg_index_run *run;
    struct belt *belt;
    struct batch *at; /* being filled */
};

static enum hg_rc hand_on(struct reader *rd, struct hg_err *err)
{
    if (rd->at && rd->at->n) {
        belt_put(rd->belt, rd->at);
        rd->at = NULL;
    }
    return hg_index_check(rd->run, err);
}

static enum hg_rc take(void *arg, const struct hg_input_file *file, int64_t number, struct hg_span rec, struct hg_err *err)
{
    struct reader *rd = arg;
    struct batch *b = rd->at;
    if (b && b->n && (b->file != file || b->n == BATCH_ROWS || b->bytes.len + rec.len > BATCH_BYTES)) {
        HG_TRY(hand_on(rd, err));
        b = NULL;
    }
    if (!b && !(b = rd->at = belt_empty(rd->belt))) {
        HG_TRY(hg_index_check(rd->run, err));
        return hg_fail(err, HG_E_CANCELLED, "index task: reading was stopped");
    }
    b->file = file;
    b->rec[b->n].at = b->bytes.len;
    b->rec[b->n].len = rec.len;
    b->rec[b->n++].number = number;
    hg_buf_put(&b->bytes, rec.p, rec.len);
    (void)hg_buf_reserve(&b->bytes, HG_EVENT_SLACK);
    return hg_buf_check(&b->bytes, "a batch of records", err);
}

/* ---- all of it ---- */

static enum hg_rc lane_open(struct hg_index_run *r, struct belt *belt, unsigned nth, struct lane **out, struct hg_err *err)
{
    struct lane *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "index task");
    *out = l;
    l->run = r;
    l->belt = belt;
    l->nth = nth;
    int64_t bytes = r->spec->max_bytes_in_memory && r->spec->max_bytes_in_memory < r->env->memory_bytes ? r->spec->max_bytes_in_memory : r->env->memory_bytes;
    l->budget = &r->budgets[nth];
    hg_budget_init(l->budget, NULL, "live rows of the task", bytes / r->n_lanes);
    l->slab_rows = INT64_MAX;
    if (r->spec->partitioning == HG_PART_DYNAMIC) l->slab_rows = 1 + (r->spec->max_rows_per_segment - 1) / r->n_lanes;
    l->as_they_come = l->slab_rows >= MANY_ROWS;
    if (l->as_they_come) HG_TRY(hg_live_texts_new(r->spec->data.schema, l->budget, 1 + bytes / r->n_lanes / 2, &r->texts[nth], err));
    l->arena = hg_arena_new(NULL);
    l->by_start = hg_map_new();
    if (!l->arena || !l->by_start) return hg_fail(err, HG_E_NOMEM, "index task");
    HG_TRY(hg_event_parser_new(&r->spec->data, &r->spec->format, &l->parser, err));
    hg_event_parser_borrow(l->parser); /* a batch is done with when its rows are taken */
    return HG_OK;
}

static void lane_close(struct lane *l)
{
    if (!l) return;
    for (struct lane_chunk *c = l->chunks; c; c = c->next)
        for (uint32_t i = 0; i < c->n_slabs; i++) hg_sink_free(c->slabs[i]);
    hg_event_parser_free(l->parser);
    if (l->by_start) hg_map_free(l->by_start, NULL);
    hg_arena_free(l->arena);
    free(l);
}

static int by_start(const void *pa, const void *pb)
{
    const struct hg_index_chunk *a = pa, *b = pb;
    return a->iv.start < b->iv.start ? -1 : a->iv.start > b->iv.start;
}

/* Where the chunks of all lanes go: one for each interval. */
static enum hg_rc unite_chunks(struct hg_index_run *r, struct lane **lanes, struct hg_map *known, struct hg_err *err)
{
    for (unsigned i = 0; i < r->n_lanes; i++)
        for (struct lane_chunk *c = lanes[i]->chunks; c; c = c->next) {
            char key[HG_NUM_TEXT];
            hg_fmt_i64(c->iv.start, key);
            struct hg_index_chunk *to = hg_map_get(known, key);
            if (!to) {
                to = &r->chunks[r->n_chunks++];
                to->iv = c->iv;
                if (!hg_map_put(known, key, to, NULL)) return hg_fail(err, HG_E_NOMEM, "index task");
            }
            to->n_sinks += c->n_slabs;
        }
    for (size_t k = 0; k < r->n_chunks; k++) {
        struct hg_index_chunk *c = &r->chunks[k];
        c->sinks = hg_arena_array(r->arena, (size_t)c->n_sinks + 1, sizeof(struct hg_sink *));
        c->slabs = hg_arena_array(r->arena, (size_t)c->n_sinks + 1, sizeof *c->slabs);
        if (!c->sinks || !c->slabs) return hg_arena_fail(r->arena, "index task", err);
        c->n_sinks = 0;
    }
    return HG_OK;
}

/* Sinks one after the other into slabs, as long as a segment may have their rows. */
static void fill_slabs(const struct hg_index_spec *s, struct hg_index_chunk *c)
{
    int64_t most = s->partitioning == HG_PART_DYNAMIC ? s->max_rows_per_segment : INT64_MAX, rows = 0;
    for (uint32_t i = 0; i < c->n_sinks; i++) {
        int64_t more = hg_sink_rows(c->sinks[i]);
        if (i == 0 || rows + more > most) {
            c->slabs[c->n_slabs++].sinks = &c->sinks[i];
            rows = 0;
        }
        c->slabs[c->n_slabs - 1].n_sinks++;
        rows += more;
    }
}

/* Sinks change hands; what is left in a lane is freed with it. */
static enum hg_rc unite(struct hg_index_run *r, struct lane **lanes, struct hg_err *err)
{
    size_t n = 0;
    for (unsigned i = 0; i < r->n_lanes; i++) n += lanes[i]->n_chunks;
    r->chunks = hg_arena_array(r->arena, n + 1, sizeof *r->chunks);
    struct hg_map *known = hg_map_new();
    enum hg_rc rc = r->chunks && known ? unite_chunks(r, lanes, known, err) : hg_fail(err, HG_E_NOMEM, "index task");
    for (unsigned i = 0; i < r->n_lanes && !rc; i++)
        for (struct lane_chunk *c = lanes[i]->chunks; c; c = c->next) {
            char key[HG_NUM_TEXT];
            hg_fmt_i64(c->iv.start, key);
            struct hg_index_chunk *to = hg_map_get(known, key);
            for (uint32_t s = 0; s < c->n_slabs; s++) to->sinks[to->n_sinks++] = c->slabs[s];
            c->n_slabs = 0;
        }
    if (known) hg_map_free(known, NULL);
    if (rc) return rc;
    if (r->n_chunks) qsort(r->chunks, r->n_chunks, sizeof *r->chunks, by_start);
    for (size_t k = 0; k < r->n_chunks; k++) fill_slabs(r->spec, &r->chunks[k]);
    return HG_OK;
}

static enum hg_rc run_lanes(struct hg_index_run *r, struct belt *belt, struct lane **lanes, struct hg_err *err)
{
    unsigned started = 0;
    enum hg_rc rc = HG_OK;
    for (; started < r->n_lanes && !rc; started++) {
        rc = lane_open(r, belt, started, &lanes[started], err);
        if (!rc && pthread_create(&lanes[started]->thread, NULL, lane_main, lanes[started])) rc = hg_fail(err, HG_E_NOMEM, "index task: no thread");
        if (rc) break;
    }
    struct reader rd = {.run = r, .belt = belt};
    if (!rc) rc = hg_input_read(r->spec, r->arena, take, &rd, err);
    if (!rc) rc = hand_on(&rd, err);
    if (rd.at) belt_return(belt, rd.at);
    belt_stop(belt, rc != HG_OK);
    for (unsigned i = 0; i < started; i++) pthread_join(lanes[i]->thread, NULL);
    return rc ? rc : hg_index_check(r, err);
}

enum hg_rc hg_index_read(struct hg_index_run *r, struct hg_err *err)
{
    struct belt belt = {.last = &belt.first};
    pthread_mutex_init(&belt.mu, NULL);
    pthread_cond_init(&belt.more, NULL);
    pthread_cond_init(&belt.less, NULL);
    size_t n_batches = 3 * (size_t)r->n_lanes + 1;
    belt.n_free = n_batches;
    belt.enough = n_batches / 2;
    struct batch *batches = calloc(n_batches, sizeof *batches);
    struct lane **lanes = calloc(r->n_lanes, sizeof(struct lane *));
    r->budgets = hg_arena_array(r->arena, r->n_lanes, sizeof *r->budgets);
    r->texts = hg_arena_array(r->arena, r->n_lanes, sizeof *r->texts);
    for (size_t i = 0; batches && i < n_batches; i++) {
        hg_buf_init(&batches[i].bytes, (size_t)64 << 20);
        batches[i].next = belt.free;
        belt.free = &batches[i];
    }
    enum hg_rc rc = batches && lanes && r->budgets && r->texts ? run_lanes(r, &belt, lanes, err) : hg_fail(err, HG_E_NOMEM, "index task");
    if (!rc) rc = unite(r, lanes, err);
    for (unsigned i = 0; lanes && i < r->n_lanes; i++) lane_close(lanes[i]);
    for (size_t i = 0; batches && i < n_batches; i++) hg_buf_free(&batches[i].bytes);
    free(lanes);
    free(batches);
    pthread_cond_destroy(&belt.more);
    pthread_cond_destroy(&belt.less);
    pthread_mutex_destroy(&belt.mu);
    return rc;
}
