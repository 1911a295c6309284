/* Life of a live index: making, locking, publishing a batch, freezing, freeing. */
#include "segment/live.h"

#include <stdlib.h>
#include "segment/live_private.h"

#define DEFAULT_ROWS 1000000u
#define MOST_ROWS (1u << 30)

static enum hg_rc zeroed(struct live_mem *m, void *p, size_t n, size_t size, struct hg_err *err)
{
    size_t bytes;
    if (!hg_mul_size(n ? n : 1, size, &bytes)) return hg_fail(err, HG_E_LIMIT, "live index: %zu items of %zu bytes", n, size);
    return hg_live_resize(m, p, 0, bytes, err);
}

static void init_col(struct hg_live *l, uint32_t i, const char *name, enum hg_type t, const struct hg_schema_metric *metric)
{
    struct live_col *c = &l->cols[i];
    struct hg_column *pub = &l->columns[i];
    c->name = name;
    c->type = t;
    c->width = t == HG_T_STRING ? sizeof(uint32_t) : 8;
    *pub = (struct hg_column){.name = name, .type = t, .is_metric = metric != NULL, .ops = &hg_live_column_ops, .src = &l->src, .impl = c};
    if (metric) {
        c->sketch = metric->sketch;
        pub->agg = metric->agg;
        pub->lg_k = metric->sketch.lg_k;
    }
    if (t == HG_T_STRING) {
        hg_live_dict_init(&c->own, &l->mem);
        c->dict = l->common ? &l->common->dict[i - 1] : &c->own;
        c->lists.mem = &l->mem;
        pub->dict = &c->dict->base;
    }
}

static enum hg_rc init_cols(struct hg_live *l, struct hg_err *err)
{
    const struct hg_schema *s = l->schema;
    struct live_mem *m = &l->mem;
    HG_TRY(zeroed(m, &l->cols, l->n_cols, sizeof *l->cols, err));
    HG_TRY(zeroed(m, &l->columns, l->n_cols, sizeof *l->columns, err));
    init_col(l, 0, "__time", HG_T_LONG, NULL);
    for (uint32_t i = 0; i < s->n_dims; i++) {
        init_col(l, 1 + i, s->dims[i].name, s->dims[i].type, NULL);
        l->cols[1 + i].bitmap = s->dims[i].type == HG_T_STRING && s->dims[i].bitmap && !l->only_merged;
    }
    for (uint32_t i = 0; i < s->n_metrics; i++) init_col(l, 1 + s->n_dims + i, s->metrics[i].name, s->metrics[i].type, &s->metrics[i]);
    for (uint32_t i = 0; i < l->n_cols; i++) {
        HG_TRY(zeroed(m, &l->cols[i].chunk, l->n_chunks, sizeof(uint8_t *), err));
        HG_TRY(zeroed(m, &l->cols[i].nulls, l->n_chunks, sizeof(uint8_t *), err));
        if (l->as_they_come) HG_TRY(zeroed(m, &l->cols[i].packed, l->n_chunks, sizeof(struct live_packed *), err));
    }
    HG_TRY(zeroed(m, &l->key, s->n_dims, sizeof *l->key, err));
    HG_TRY(zeroed(m, &l->key_null, s->n_dims, sizeof *l->key_null, err));
    HG_TRY(zeroed(m, &l->value, s->n_metrics, sizeof *l->value, err));
    HG_TRY(zeroed(m, &l->fresh, s->n_metrics, sizeof *l->fresh, err));
    return zeroed(m, &l->bad, l->n_cols, sizeof *l->bad, err);
}

static enum hg_rc check_schema(const struct hg_schema *s, struct hg_err *err)
{
    for (uint32_t i = 0; i < s->n_dims; i++)
        if (s->dims[i].type != HG_T_STRING && s->dims[i].type != HG_T_LONG && s->dims[i].type != HG_T_DOUBLE && s->dims[i].type != HG_T_FLOAT)
            return hg_fail(err, HG_E_INVALID, "live index: dimension %s is of type %s", s->dims[i].name, hg_type_name(s->dims[i].type));
    for (uint32_t i = 0; i < s->n_metrics; i++)
        if (!hg_type_is_number(s->metrics[i].type) && !hg_type_is_complex(s->metrics[i].type))
            return hg_fail(err, HG_E_INVALID, "live index: metric %s is of type %s", s->metrics[i].name, hg_type_name(s->metrics[i].type));
    return HG_OK;
}

static enum hg_rc tell_made_by(struct hg_live *l, struct hg_err *err)
{
    struct hg_buf gran;
    hg_buf_init(&gran, 4096);
    hg_schema_put_gran(&gran, &l->schema->query_gran);
    hg_buf_u8(&gran, 0);
    l->query_gran = gran.failed ? NULL : strdup((const char *)gran.p);
    hg_buf_free(&gran);
    if (!l->query_gran) return hg_fail(err, HG_E_NOMEM, "live index");
    l->made_by = (struct hg_made_by){l->schema->rollup, l->query_gran, l->schema->timestamp_spec};
    return HG_OK;
}

enum hg_rc hg_live_new(const struct hg_schema *schema, const struct hg_live_opts *opts, struct hg_live **out, struct hg_err *err)
{
    HG_TRY(check_schema(schema, err));
    struct hg_live *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "live index");
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    /* Queries come all the time; the writer must not wait for a moment without one. */
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&l->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    l->mem.budget = opts->budget;
    l->schema = schema;
    l->max_rows = opts->max_rows ? opts->max_rows : DEFAULT_ROWS;
    if (l->max_rows > MOST_ROWS) l->max_rows = MOST_ROWS;
    l->n_chunks = l->max_rows / HG_BLOCK_ROWS + 1;
    l->min_time = opts->min_time;
    l->only_merged = opts->only_merged;
    l->as_they_come = opts->only_merged && opts->as_they_come;
    for (uint32_t i = 0; i < schema->n_metrics; i++)
        if (hg_type_is_complex(schema->metrics[i].type)) l->as_they_come = false; /* a sketch a row would be too much */
    l->common = l->as_they_come ? opts->texts : NULL;
    l->on_bad = opts->on_bad;
    l->on_bad_arg = opts->on_bad_arg;
    l->n_cols = 1 + schema->n_dims + schema->n_metrics;
    l->time_sorted = true;
    hg_buf_init(&l->packing, (size_t)1 << 20);
    l->id = strdup(opts->id ? opts->id : "live");
    enum hg_rc rc = l->id ? init_cols(l, err) : hg_fail(err, HG_E_NOMEM, "live index");
    if (rc == HG_OK) rc = tell_made_by(l, err);
    if (rc != HG_OK) return hg_live_free(l), rc;
    l->src = (struct hg_source){.time_sorted = true, .unsealed = true, .n_cols = l->n_cols, .cols = l->columns, .id = l->id, .made_by = &l->made_by};
    *out = l;
    return HG_OK;
}

static void free_col(struct hg_live *l, struct live_col *c)
{
    struct live_mem *m = &l->mem;
    for (uint32_t k = 0; c->chunk && k < l->n_chunks; k++) {
        if (c->chunk[k] && hg_type_is_complex(c->type))
            for (uint32_t i = 0; i < HG_BLOCK_ROWS; i++) {
                struct hg_sketch *s = *live_sketch(c, k * HG_BLOCK_ROWS + i);
                if (!s) continue;
                hg_live_give(m, hg_live_sketch_bytes(&c->sketch, s));
                hg_sketch_free(&c->sketch, s);
            }
        hg_live_drop(m, c->chunk[k], HG_BLOCK_ROWS * c->width);
    }
    for (uint32_t k = 0; c->nulls && k < l->n_chunks; k++) hg_live_drop(m, c->nulls[k], HG_BLOCK_ROWS);
    for (uint32_t k = 0; c->packed && k < l->n_chunks; k++) hg_live_packed_drop(m, c->packed[k]);
    hg_live_drop(m, c->packed, l->n_chunks * sizeof(struct live_packed *));
    for (uint32_t id = 0; id < c->cap_post; id++) hg_live_post_free(m, &c->post[id]);
    hg_live_drop(m, c->post, c->cap_post * sizeof *c->post);
    hg_live_drop(m, c->stats, c->n_stats * sizeof *c->stats);
    hg_live_drop(m, c->chunk, l->n_chunks * sizeof(uint8_t *));
    hg_live_drop(m, c->nulls, l->n_chunks * sizeof(uint8_t *));
    if (c->type == HG_T_STRING) {
        hg_live_dict_free(&c->own);
        hg_live_lists_free(&c->lists);
    }
}

void hg_live_free(struct hg_live *l)
{
    if (!l) return;
    struct live_mem *m = &l->mem;
    const struct hg_schema *s = l->schema;
    for (uint32_t i = 0; l->columns && i < l->n_cols; i++) free_col(l, &l->cols[i]);
    hg_live_drop(m, l->cols, l->n_cols * sizeof *l->cols);
    hg_live_drop(m, l->columns, l->n_cols * sizeof *l->columns);
    hg_live_drop(m, l->slots, l->n_slots * sizeof *l->slots);
    hg_live_drop(m, l->key, (s->n_dims ? s->n_dims : 1) * sizeof *l->key);
    hg_live_drop(m, l->key_null, (s->n_dims ? s->n_dims : 1) * sizeof *l->key_null);
    hg_live_drop(m, l->value, (s->n_metrics ? s->n_metrics : 1) * sizeof *l->value);
    hg_live_drop(m, l->fresh, (s->n_metrics ? s->n_metrics : 1) * sizeof(struct hg_sketch *));
    hg_live_drop(m, l->bad, l->n_cols * sizeof *l->bad);
    hg_live_drop(m, l->ids, l->cap_ids * sizeof *l->ids);
    hg_live_drop(m, l->texts, l->cap_ids * sizeof *l->texts);
    if (l->uses_common) atomic_fetch_sub(&l->common->users, 1);
    pthread_rwlock_destroy(&l->lock);
    free(l->id);
    free(l->query_gran);
    hg_buf_free(&l->packing);
    free(l);
}

/* What readers see changes here, once a batch. */
static void publish(struct hg_live *l)
{
    l->src.n_rows = l->n_rows;
    l->src.time_sorted = l->time_sorted;
    l->src.times = l->n_rows ? (struct hg_interval){l->time_min, l->time_max + 1} : (struct hg_interval){0, 0};
    for (uint32_t i = 0; i < l->n_cols; i++) {
        l->columns[i].has_nulls = l->cols[i].has_nulls;
        l->columns[i].multi = l->cols[i].has_multi;
    }
    atomic_store_explicit(&l->rows_kept, l->n_rows, memory_order_relaxed);
}

static enum hg_rc add_rows(struct hg_live *l, const struct hg_row *rows, uint32_t n, uint32_t *n_taken, bool *full, struct hg_err *err)
{
    for (uint32_t i = 0; i < n; *n_taken = ++i) {
        HG_TRY(hg_live_add_row(l, &rows[i], full, err));
        if (*full) return HG_OK;
        atomic_fetch_add_explicit(&l->bad_values, l->n_bad, memory_order_relaxed);
        for (uint32_t k = 0; l->on_bad && k < l->n_bad; k++) l->on_bad(l->on_bad_arg, i, l->bad[k].column, l->bad[k].why);
    }
    return HG_OK;
}

enum hg_rc hg_live_add(struct hg_live *l, const struct hg_row *rows, uint32_t n, uint32_t *n_taken, struct hg_err *err)
{
    *n_taken = 0;
    if (l->frozen) return hg_fail(err, HG_E_INVALID, "%s: the live index is sealed and takes no more rows", l->id);
    enum hg_rc rc = HG_OK;
    bool full = false;
    uint32_t i = 0;
    pthread_rwlock_wrlock(&l->lock);
    rc = l->as_they_come ? hg_live_append(l, rows, n, &i, &full, err) : add_rows(l, rows, n, &i, &full, err);
    publish(l);
    pthread_rwlock_unlock(&l->lock);
    atomic_fetch_add_explicit(&l->rows_in, i, memory_order_relaxed);
    *n_taken = i;
    if (rc == HG_E_LIMIT && l->n_rows > 0) { /* memory is as good a reason to be full as rows */
        full = true;
        rc = HG_OK;
    }
    if (full) atomic_store_explicit(&l->full, true, memory_order_relaxed);
    if (rc != HG_OK) return hg_err_context(err, rc, "%s", l->id);
    return HG_OK;
}

void hg_live_freeze(struct hg_live *l)
{
    if (l->frozen) return;
    pthread_rwlock_wrlock(&l->lock);
    hg_live_drop(&l->mem, l->slots, l->n_slots * sizeof *l->slots);
    l->slots = NULL;
    l->n_slots = 0;
    hg_buf_free(&l->packing);
    uint32_t blocks = hg_source_blocks(&l->src);
    for (uint32_t i = 0; blocks && !l->only_merged && i < l->n_cols; i++) {
        struct live_col *c = &l->cols[i];
        if (!hg_type_is_number(c->type)) continue;
        /* Without memory for them they are found each time. */
        if (hg_live_resize(&l->mem, &c->stats, 0, blocks * sizeof *c->stats, NULL) != HG_OK) break;
        while (c->n_stats < blocks && hg_live_block_stats(c, &l->src, c->n_stats, &c->stats[c->n_stats], NULL) == HG_OK) c->n_stats++;
    }
    atomic_store_explicit(&l->frozen, true, memory_order_release);
    pthread_rwlock_unlock(&l->lock);
}

/* Who holds the read lock keeps freeze waiting, so `frozen` is at release what it was when acquire returned: release unlocks exactly when acquire
 * kept the lock. */
void hg_live_acquire(struct hg_live *l, const struct hg_source **out)
{
    if (!atomic_load_explicit(&l->frozen, memory_order_acquire)) {
        pthread_rwlock_rdlock(&l->lock);
        if (atomic_load_explicit(&l->frozen, memory_order_relaxed)) pthread_rwlock_unlock(&l->lock);
    }
    *out = &l->src;
}

void hg_live_release(struct hg_live *l)
{
    if (!atomic_load_explicit(&l->frozen, memory_order_acquire)) pthread_rwlock_unlock(&l->lock);
}

void hg_live_stats(const struct hg_live *l, struct hg_live_stats *out)
{
    *out = (struct hg_live_stats){
        .rows_in = atomic_load_explicit(&l->rows_in, memory_order_relaxed),
        .rows = atomic_load_explicit(&l->rows_kept, memory_order_relaxed),
        .bytes = atomic_load_explicit(&l->mem.bytes, memory_order_relaxed),
        .bad_values = atomic_load_explicit(&l->bad_values, memory_order_relaxed),
        .frozen = atomic_load_explicit(&l->frozen, memory_order_relaxed),
        .full = atomic_load_explicit(&l->full, memory_order_relaxed),
    };
}
