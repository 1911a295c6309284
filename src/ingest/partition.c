#include "ingest/partition.h"

#include <inttypes.h>

#include "base/num.h"
#include "ingest/partition_private.h"

/* ---- by hash ---- */

struct keycol { /* a column of the key, and a block of it */
    const struct hg_column *c;
    struct hg_colread *r;
    const uint32_t *ends, *list; /* multi-value */
    uint32_t *ids;
    int64_t *i;                  /* also as double */
    uint8_t *nulls;
};

static enum hg_rc keycol_open(struct hg_dividing *d, const char *name, struct keycol *k, struct hg_err *err)
{
    k->c = hg_source_column(d->src, name);
    if (!k->c) return hg_fail(err, HG_E_INVALID, "partitioning of %s: there is no dimension %s", d->src->id, name);
    HG_TRY(k->c->ops->open(k->c, d->tmp, &k->r, err));
    k->ids = hg_arena_alloc(d->tmp, HG_BLOCK_ROWS * sizeof *k->ids);
    k->i = hg_arena_alloc(d->tmp, HG_BLOCK_ROWS * sizeof *k->i);
    k->nulls = hg_arena_alloc(d->tmp, HG_BLOCK_ROWS);
    return k->ids && k->i && k->nulls ? HG_OK : hg_arena_fail(d->tmp, "partition keys", err);
}

static enum hg_rc keycol_load(struct keycol *k, uint32_t row, uint32_t n, struct hg_err *err)
{
    const struct hg_column_ops *ops = k->c->ops;
    if (hg_type_is_integer(k->c->type)) return ops->i64(k->r, row, n, k->i, k->nulls, err);
    if (k->c->type != HG_T_STRING) return ops->f64(k->r, row, n, (double *)(void *)k->i, k->nulls, err);
    if (k->c->multi) return ops->multi(k->r, row, n, &k->ends, &k->list, err);
    return ops->ids(k->r, row, n, k->ids, err);
}

/* The values of row i of the block as a JSON list of texts; a row without a value gives []. */
static void put_values(const struct keycol *k, uint32_t i, struct hg_buf *scratch, struct hg_buf *key)
{
    char num[HG_NUM_TEXT];
    hg_buf_putc(key, '[');
    if (k->c->type == HG_T_STRING) {
        uint32_t from = k->c->multi && i ? k->ends[i - 1] : 0, n = k->c->multi ? k->ends[i] - from : 1;
        const uint32_t *ids = k->c->multi ? k->list + from : k->ids + i;
        for (uint32_t j = 0; j < n && !(n == 1 && ids[0] == 0); j++) {
            if (j) hg_buf_putc(key, ',');
            hg_buf_json_str(key, hg_dict_get(k->c->dict, ids[j], scratch));
        }
    } else if (!k->nulls[i]) {
        if (hg_type_is_integer(k->c->type)) hg_fmt_i64(k->i[i], num);
        else hg_fmt_f64(((const double *)(const void *)k->i)[i], num);
        hg_buf_printf(key, "\"%s\"", num);
    }
    hg_buf_putc(key, ']');
}

struct hasher {
    struct keycol *cols;
    uint32_t n_cols, n_buckets;
    bool timed;            /* the key has the row's time too: no dimensions were named */
    struct keycol time;
    struct hg_buf scratch, key;
    uint32_t *of_id;       /* one dimension of single texts: the bucket + 1 of each id met, for few values make many rows */
};

static enum hg_rc bucket(struct hasher *h, uint32_t i, uint32_t *out, struct hg_err *err)
{
    uint32_t *known = h->of_id ? &h->of_id[h->cols[0].ids[i]] : NULL;
    if (known && *known) return *out = *known - 1, HG_OK;
    hg_buf_clear(&h->key);
    hg_buf_putc(&h->key, '[');
    if (h->timed) hg_buf_printf(&h->key, "%" PRId64, h->time.i[i]);
    for (uint32_t c = 0; c < h->n_cols; c++) {
        if (c || h->timed) hg_buf_putc(&h->key, ',');
        put_values(&h->cols[c], i, &h->scratch, &h->key);
    }
    hg_buf_putc(&h->key, ']');
    HG_TRY(hg_buf_check(&h->scratch, "partition key", err));
    HG_TRY(hg_buf_check(&h->key, "partition key", err));
    *out = hg_shard_bucket_of(h->key.p, h->key.len, h->n_buckets);
    if (known) *known = *out + 1;
    return HG_OK;
}

static enum hg_rc hash_rows(struct hg_dividing *d, struct hasher *h, struct hg_err *err)
{
    const struct hg_index_spec *s = d->spec;
    const struct hg_schema *schema = s->data.schema;
    h->n_buckets = d->n;
    h->timed = !s->n_partition_dims;
    h->n_cols = h->timed ? schema->n_dims : s->n_partition_dims;
    h->cols = hg_arena_array(d->tmp, (size_t)h->n_cols + 1, sizeof *h->cols);
    if (!h->cols) return hg_arena_fail(d->tmp, "partition keys", err);
    for (uint32_t c = 0; c < h->n_cols; c++) HG_TRY(keycol_open(d, h->timed ? schema->dims[c].name : s->partition_dims[c], &h->cols[c], err));
    if (h->timed) HG_TRY(keycol_open(d, "__time", &h->time, err));
    const struct hg_column *one = h->n_cols == 1 && !h->timed ? h->cols[0].c : NULL;
    if (one && one->type == HG_T_STRING && !one->multi && !(h->of_id = hg_arena_array(d->tmp, one->dict->card, sizeof *h->of_id))) return hg_arena_fail(d->tmp, "partition keys", err);
    for (uint32_t b = 0; b < hg_source_blocks(d->src); b++) {
        uint32_t row = b * HG_BLOCK_ROWS, rows = hg_block_rows(d->src, b);
        for (uint32_t c = 0; c < h->n_cols; c++) HG_TRY(keycol_load(&h->cols[c], row, rows, err));
        if (h->timed) HG_TRY(keycol_load(&h->time, row, rows, err));
        for (uint32_t i = 0; i < rows; i++) HG_TRY(bucket(h, i, &d->of[row + i], err));
    }
    return HG_OK;
}

static enum hg_rc divide_by_hash(struct hg_dividing *d, struct hg_err *err)
{
    const struct hg_index_spec *s = d->spec;
    uint64_t want = s->num_shards ? s->num_shards : d->src->n_rows ? 1 + (d->src->n_rows - 1) / (uint64_t)s->max_rows_per_segment : 1;
    if (want > HG_MAX_PARTITIONS)
        return hg_fail(err, HG_E_LIMIT, "%" PRIu32 " rows in hash partitions of %" PRId64 " are more than %u partitions", d->src->n_rows, s->max_rows_per_segment, HG_MAX_PARTITIONS);
    d->n = (uint32_t)want;
    d->shards = hg_arena_array(d->keep, d->n, sizeof *d->shards);
    if (!d->shards) return hg_arena_fail(d->keep, "partitions", err);
    for (uint32_t i = 0; i < d->n; i++)
        d->shards[i] = (struct hg_shard){.kind = HG_SHARD_HASHED, .bucket = i, .n_buckets = d->n, .dims = s->partition_dims, .n_dims = s->n_partition_dims};
    struct hasher h = {0};
    hg_buf_init(&h.scratch, (size_t)64 << 20);
    hg_buf_init(&h.key, (size_t)256 << 20);
    enum hg_rc rc = hash_rows(d, &h, err);
    hg_buf_free(&h.scratch);
    hg_buf_free(&h.key);
    return rc;
}

/* ---- both ---- */

/* Whether a value tells the partition of the rows that have it (hg_shard.single). */
static bool single_texts(const struct hg_dividing *d)
{
    for (uint32_t i = 0; i < d->spec->n_partition_dims; i++) {
        const struct hg_column *c = hg_source_column(d->src, d->spec->partition_dims[i]);
        if (!c || c->type != HG_T_STRING || c->multi) return false;
    }
    return d->spec->n_partition_dims > 0;
}

/* The rows of each partition, by counting. */
static enum hg_rc collect(struct hg_dividing *d, struct hg_partition **out, struct hg_err *err)
{
    uint32_t n_rows = d->src->n_rows;
    struct hg_partition *p = hg_arena_array(d->keep, d->n, sizeof *p);
    uint32_t *rows = hg_arena_array(d->keep, (size_t)n_rows + 1, sizeof *rows), *at = hg_arena_array(d->tmp, (size_t)d->n + 1, sizeof *at);
    if (!p || !rows || !at) return hg_arena_fail(d->keep, "partitions", err);
    bool single = single_texts(d);
    for (uint32_t r = 0; r < n_rows; r++) p[d->of[r]].n_rows++;
    for (uint32_t i = 0, from = 0; i < d->n; from += p[i++].n_rows) {
        at[i] = from;
        p[i].rows = rows + from;
        p[i].shard = d->shards[i];
        p[i].shard.partition = i;
        p[i].shard.core_partitions = d->n;
        p[i].shard.single = single;
    }
    for (uint32_t r = 0; r < n_rows; r++) rows[at[d->of[r]]++] = r;
    *out = p;
    return HG_OK;
}

enum hg_rc hg_partition_rows(struct hg_arena *a, const struct hg_index_spec *spec, const struct hg_segment *whole, struct hg_partition **out, uint32_t *n, struct hg_err *err)
{
    struct hg_dividing d = {.spec = spec, .src = hg_segment_source(whole), .keep = a, .tmp = hg_arena_new(NULL)};
    if (!d.tmp) return hg_fail(err, HG_E_NOMEM, "partitions");
    d.of = hg_arena_array(d.tmp, (size_t)d.src->n_rows + 1, sizeof *d.of);
    enum hg_rc rc = d.of ? HG_OK : hg_arena_fail(d.tmp, "partitions", err);
    if (!rc) rc = spec->partitioning == HG_PART_RANGE ? hg_divide_by_range(&d, err) : divide_by_hash(&d, err);
    if (!rc) rc = collect(&d, out, err);
    hg_arena_free(d.tmp);
    if (!rc) *n = d.n;
    return rc;
}
