/* Shard specs as Druid writes them in JSON: a range of one dimension as "single". Read are also the forms "none" and "linear", which older Druid
 * versions wrote; they are kept as the numbered spec that means the same. */
#include "timeline/segid.h"

#include <inttypes.h>

#define DIMS_MAX 64
#define PARTITIONS_MAX 1000000000
#define HASH_FUNCTION "murmur3_32_abs"

static json_t *tuple_json(const struct hg_str *t, uint32_t n)
{
    if (!t) return json_null();
    json_t *arr = json_array();
    for (uint32_t i = 0; arr && i < n; i++) {
        if (json_array_append_new(arr, t[i].p ? json_stringn(t[i].p, t[i].len) : json_null()) == 0) continue;
        json_decref(arr);
        return NULL;
    }
    return arr;
}

static json_t *dims_json(const struct hg_shard *s)
{
    json_t *arr = json_array();
    for (uint32_t i = 0; arr && i < s->n_dims; i++) {
        if (json_array_append_new(arr, json_string(s->dims[i])) == 0) continue;
        json_decref(arr);
        return NULL;
    }
    return arr;
}

/* Of one dimension Druid writes the older form. A bound that is null is no bound: null comes first anyway. */
static json_t *single_json(const struct hg_shard *s)
{
    const struct hg_str *lo = s->start && s->start->p ? s->start : NULL, *hi = s->end && s->end->p ? s->end : NULL;
    return json_pack("{s:s, s:s, s:o, s:o, s:I, s:I}", "type", "single", "dimension", s->dims[0], "start", lo ? json_stringn(lo->p, lo->len) : json_null(), "end",
                     hi ? json_stringn(hi->p, hi->len) : json_null(), "partitionNum", (json_int_t)s->partition, "numCorePartitions", (json_int_t)s->core_partitions);
}

static json_t *spec_json(const struct hg_shard *s)
{
    json_int_t part = s->partition, core = s->core_partitions;
    switch (s->kind) {
    case HG_SHARD_NUMBERED:
        return json_pack("{s:s, s:I, s:I}", "type", "numbered", "partitionNum", part, "partitions", core);
    case HG_SHARD_HASHED:
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:s}", "type", "hashed", "partitionNum", part, "partitions", core, "bucketId", (json_int_t)s->bucket,
                         "numBuckets", (json_int_t)s->n_buckets, "partitionDimensions", dims_json(s), "partitionFunction", HASH_FUNCTION);
    case HG_SHARD_RANGE:
        if (s->n_dims == 1) return single_json(s);
        return json_pack("{s:s, s:o, s:o, s:o, s:I, s:I}", "type", "range", "dimensions", dims_json(s), "start", tuple_json(s->start, s->n_dims), "end",
                         tuple_json(s->end, s->n_dims), "partitionNum", part, "numCorePartitions", core);
    }
    return NULL;
}

json_t *hg_shard_json(const struct hg_shard *s)
{
    json_t *j = spec_json(s);
    if (!j || !s->single || s->kind == HG_SHARD_NUMBERED) return j;
    if (json_object_set_new(j, "singleValues", json_true()) == 0) return j;
    json_decref(j);
    return NULL;
}

/* A count or number; *out keeps its default when the member is absent. */
static enum hg_rc get_u32(const json_t *j, const char *key, const struct hg_jpath *p, bool required, uint32_t *out, struct hg_err *err)
{
    int64_t v = *out;
    HG_TRY(hg_jget_i64(j, key, p, required, &v, err));
    if (v < 0 || v > PARTITIONS_MAX) return hg_jfail(err, HG_JKEY(p, key), "%" PRId64 " is not between 0 and %d", v, PARTITIONS_MAX);
    *out = (uint32_t)v;
    return HG_OK;
}

static enum hg_rc get_dims(struct hg_arena *a, const json_t *j, const char *key, const struct hg_jpath *p, bool required, struct hg_shard *s, struct hg_err *err)
{
    json_t *arr = NULL;
    HG_TRY(hg_jget_arr(j, key, p, required, &arr, err));
    if (!arr) return HG_OK;
    size_t n = json_array_size(arr);
    if (n > DIMS_MAX) return hg_jfail(err, HG_JKEY(p, key), "%zu dimensions, at most %d are allowed", n, DIMS_MAX);
    const char **dims = hg_arena_array(a, n, sizeof *dims);
    if (!dims) return hg_arena_fail(a, "shard dimensions", err);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(arr, i);
        if (!json_is_string(v)) return hg_jfail(err, HG_JAT(HG_JKEY(p, key), i), "expected a dimension's name");
        dims[i] = hg_arena_strdup(a, json_string_value(v));
        if (!dims[i]) return hg_arena_fail(a, "shard dimension", err);
    }
    s->dims = dims;
    s->n_dims = (uint32_t)n;
    return HG_OK;
}

static enum hg_rc tuple_item(struct hg_arena *a, const json_t *v, const struct hg_jpath *p, struct hg_str *out, struct hg_err *err)
{
    if (json_is_null(v)) {
        *out = (struct hg_str){0};
        return HG_OK;
    }
    if (!json_is_string(v)) return hg_jfail(err, p, "expected a string or null");
    const char *copy = hg_arena_strndup(a, json_string_value(v), json_string_length(v));
    if (!copy) return hg_arena_fail(a, "shard boundary", err);
    *out = (struct hg_str){copy, json_string_length(v)};
    return HG_OK;
}

static enum hg_rc get_tuple(struct hg_arena *a, const json_t *j, const char *key, const struct hg_jpath *p, uint32_t n, const struct hg_str **out, struct hg_err *err)
{
    json_t *arr = NULL;
    HG_TRY(hg_jget_arr(j, key, p, false, &arr, err));
    if (!arr) return HG_OK;
    if (json_array_size(arr) != n) return hg_jfail(err, HG_JKEY(p, key), "%zu values for %" PRIu32 " dimensions", json_array_size(arr), n);
    struct hg_str *t = hg_arena_array(a, n, sizeof *t);
    if (!t) return hg_arena_fail(a, "shard boundary", err);
    for (uint32_t i = 0; i < n; i++) HG_TRY(tuple_item(a, json_array_get(arr, i), HG_JAT(HG_JKEY(p, key), i), &t[i], err));
    *out = t;
    return HG_OK;
}

static enum hg_rc parse_hashed(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_shard *s, struct hg_err *err)
{
    s->kind = HG_SHARD_HASHED;
    HG_TRY(get_u32(j, "partitionNum", p, true, &s->partition, err));
    HG_TRY(get_u32(j, "partitions", p, true, &s->core_partitions, err));
    /* Druid before 0.19 wrote no buckets: the partition is the bucket. */
    s->bucket = s->partition;
    s->n_buckets = s->core_partitions;
    HG_TRY(get_u32(j, "bucketId", p, false, &s->bucket, err));
    HG_TRY(get_u32(j, "numBuckets", p, false, &s->n_buckets, err));
    if (s->n_buckets && s->bucket >= s->n_buckets) return hg_jfail(err, HG_JKEY(p, "bucketId"), "bucket %" PRIu32 " of %" PRIu32, s->bucket, s->n_buckets);
    HG_TRY(get_dims(a, j, "partitionDimensions", p, false, s, err));
    const char *fn = HASH_FUNCTION;
    HG_TRY(hg_jget_str(j, "partitionFunction", p, false, &fn, err));
    if (strcmp(fn, HASH_FUNCTION) != 0) return hg_jfail(err, HG_JKEY(p, "partitionFunction"), "\"%s\" is not known; there is %s", fn, HASH_FUNCTION);
    return HG_OK;
}

static enum hg_rc parse_range(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_shard *s, struct hg_err *err)
{
    s->kind = HG_SHARD_RANGE;
    HG_TRY(get_u32(j, "partitionNum", p, true, &s->partition, err));
    HG_TRY(get_u32(j, "numCorePartitions", p, false, &s->core_partitions, err));
    HG_TRY(get_dims(a, j, "dimensions", p, true, s, err));
    if (s->n_dims == 0) return hg_jfail(err, HG_JKEY(p, "dimensions"), "a range needs a dimension");
    HG_TRY(get_tuple(a, j, "start", p, s->n_dims, &s->start, err));
    return get_tuple(a, j, "end", p, s->n_dims, &s->end, err);
}

/* The range spec of one dimension, its bounds as plain strings. */
static enum hg_rc parse_single(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_shard *s, struct hg_err *err)
{
    const char *dim = NULL, *lo = NULL, *hi = NULL;
    s->kind = HG_SHARD_RANGE;
    HG_TRY(get_u32(j, "partitionNum", p, true, &s->partition, err));
    HG_TRY(get_u32(j, "numCorePartitions", p, false, &s->core_partitions, err));
    HG_TRY(hg_jget_str(j, "dimension", p, true, &dim, err));
    HG_TRY(hg_jget_str(j, "start", p, false, &lo, err));
    HG_TRY(hg_jget_str(j, "end", p, false, &hi, err));
    const char **dims = hg_arena_array(a, 1, sizeof *dims);
    struct hg_str *t = hg_arena_array(a, 2, sizeof *t);
    if (!dims || !t) return hg_arena_fail(a, "shard spec", err);
    dims[0] = hg_arena_strdup(a, dim);
    if (lo) lo = hg_arena_strdup(a, lo);
    if (hi) hi = hg_arena_strdup(a, hi);
    if (!dims[0]) return hg_arena_fail(a, "shard spec", err);
    t[0] = hg_str_of(lo);
    t[1] = hg_str_of(hi);
    s->dims = dims;
    s->n_dims = 1;
    s->start = lo ? &t[0] : NULL;
    s->end = hi ? &t[1] : NULL;
    return HG_OK;
}

enum hg_rc hg_shard_parse(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_shard *out, struct hg_err *err)
{
    HG_TRY(hg_jneed_obj(j, p, err));
    const char *type = NULL;
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    struct hg_shard s = {0};
    if (strcmp(type, "numbered") == 0) {
        HG_TRY(get_u32(j, "partitionNum", p, true, &s.partition, err));
        HG_TRY(get_u32(j, "partitions", p, true, &s.core_partitions, err));
    } else if (strcmp(type, "hashed") == 0) {
        HG_TRY(parse_hashed(a, j, p, &s, err));
    } else if (strcmp(type, "range") == 0) {
        HG_TRY(parse_range(a, j, p, &s, err));
    } else if (strcmp(type, "single") == 0) {
        HG_TRY(parse_single(a, j, p, &s, err));
    } else if (strcmp(type, "linear") == 0) {
        HG_TRY(get_u32(j, "partitionNum", p, true, &s.partition, err));
    } else if (strcmp(type, "none") == 0) {
        s.core_partitions = 1;
    } else {
        return hg_jfail(err, HG_JKEY(p, "type"), "shard spec \"%s\" is not known; there are numbered, hashed, range, single, linear and none", type);
    }
    if (s.kind != HG_SHARD_NUMBERED) HG_TRY(hg_jget_bool(j, "singleValues", p, false, &s.single, err));
    *out = s;
    return HG_OK;
}
