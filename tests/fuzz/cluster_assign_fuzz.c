/* An assignment as a historical reads it, and a report as a coordinator does; what was read and written again reads the same. */
#include <stdlib.h>

#include "cluster/assign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_assign as, again;
    if (hg_assign_decode(a, (struct hg_span){data, size}, &as, &err) == HG_OK) {
        struct hg_buf b;
        hg_buf_init(&b, 1 << 26);
        MUST(hg_assign_encode(&as, &b, &err) == HG_OK);
        MUST(hg_assign_decode(a, hg_buf_span(&b), &again, &err) == HG_OK);
        MUST(as.epoch == again.epoch && as.n_load == again.n_load && as.n_drop == again.n_drop);
        for (uint32_t i = 0; i < as.n_load; i++) {
            const struct hg_segment_meta *x = &as.load[i], *y = &again.load[i];
            MUST(hg_segid_cmp(&x->id, &y->id) == 0 && strcmp(x->path, y->path) == 0 && x->size_bytes == y->size_bytes && x->n_rows == y->n_rows && x->size_bytes >= 0 && x->n_rows >= 0);
            MUST(x->file_hash == y->file_hash && strcmp(x->dimensions, y->dimensions) == 0 && strcmp(x->metrics, y->metrics) == 0);
            MUST(x->shard.kind == y->shard.kind && x->shard.partition == y->shard.partition && x->shard.core_partitions == y->shard.core_partitions);
        }
        for (uint32_t i = 0; i < as.n_drop; i++) MUST(strcmp(as.drop[i], again.drop[i]) == 0);
        hg_buf_free(&b);
    }
    struct hg_assign_report r, same;
    if (hg_assign_report_decode(a, (struct hg_span){data, size}, &r, &err) == HG_OK) {
        struct hg_buf b;
        hg_buf_init(&b, 1 << 26);
        MUST(hg_assign_report_encode(&r, &b, &err) == HG_OK);
        MUST(hg_assign_report_decode(a, hg_buf_span(&b), &same, &err) == HG_OK);
        MUST(r.n_loading == same.n_loading && r.n_failed == same.n_failed);
        for (uint32_t i = 0; i < r.n_loading; i++) MUST(strcmp(r.loading[i], same.loading[i]) == 0);
        for (uint32_t i = 0; i < r.n_failed; i++) MUST(strcmp(r.failed[i].id, same.failed[i].id) == 0 && r.failed[i].rc == same.failed[i].rc && strcmp(r.failed[i].why, same.failed[i].why) == 0);
        hg_buf_free(&b);
    }
    hg_arena_free(a);
    return 0;
}
