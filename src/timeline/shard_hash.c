/* Which bucket a row of hashed partitions is in: Druid's function "murmur3_32_abs" over the key as Druid writes it in JSON, so that partitions
 * made by either can be pruned by the other. */
#include "timeline/segid.h"

#include "base/hash.h"

enum hg_rc hg_shard_bucket(const struct hg_shard_values *dims, uint32_t n_dims, uint32_t n_buckets, struct hg_buf *scratch, uint32_t *out, struct hg_err *err)
{
    hg_buf_clear(scratch);
    hg_buf_putc(scratch, '[');
    for (uint32_t i = 0; i < n_dims; i++) {
        if (i) hg_buf_putc(scratch, ',');
        hg_buf_putc(scratch, '[');
        for (uint32_t k = 0; k < dims[i].n; k++) {
            if (k) hg_buf_putc(scratch, ',');
            hg_buf_json_str(scratch, dims[i].v[k]);
        }
        hg_buf_putc(scratch, ']');
    }
    hg_buf_putc(scratch, ']');
    HG_TRY(hg_buf_check(scratch, "partition key", err));
    *out = hg_shard_bucket_of(scratch->p, scratch->len, n_buckets);
    return HG_OK;
}

uint32_t hg_shard_bucket_of(const void *key, size_t len, uint32_t n_buckets)
{
    /* The remainder has the hash's sign, as Java's; then it is made positive. */
    int64_t rest = (int64_t)(int32_t)hg_murmur3_32(key, len, 0) % (int64_t)n_buckets;
    return (uint32_t)(rest < 0 ? -rest : rest);
}
