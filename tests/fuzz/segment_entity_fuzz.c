/* An entity summary, as it comes from a file or another server: whatever opens can be asked without leaving its bytes. */
#include "segment/entity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_err err;
    struct hg_entity_summary s;
    if (hg_entity_open((struct hg_span){data, size}, &s, &err)) return 0;
    for (uint64_t h = 1, k = 0; k < 64; k++, h = h * 6364136223846793005u + 1442695040888963407u) (void)hg_entity_may_have(&s, &(struct hg_entity_key){.hash = h});
    (void)hg_entity_may_have(&s, &(struct hg_entity_key){.null = true});
    return 0;
}
