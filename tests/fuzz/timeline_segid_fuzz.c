/* Segment ids and shard specs come from other servers and from the metadata store. What parses must print and parse again to the same. */
#include <stdint.h>
#include <stdlib.h>

#include "timeline/segid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_str text = {(const char *)data, size};
    struct hg_segid id, again;
    struct hg_err err;
    char buf[HG_SEGID_TEXT];
    if (!a) return 0;
    if (hg_segid_parse(a, text, &id, &err) == HG_OK) {
        int n = hg_segid_text(&id, buf);
        if (n < 0 || hg_segid_parse(a, (struct hg_str){buf, (size_t)n}, &again, &err) || hg_segid_cmp(&id, &again)) abort();
    }
    json_t *j = NULL, *k = NULL;
    struct hg_shard s, t;
    if (hg_json_parse(text, &j, &err) == HG_OK && hg_shard_parse(a, j, &hg_jroot, &s, &err) == HG_OK) {
        if (!(k = hg_shard_json(&s)) || hg_shard_parse(a, k, &hg_jroot, &t, &err) || s.kind != t.kind || s.partition != t.partition) abort();
        json_decref(k);
    }
    json_decref(j);
    hg_arena_free(a);
    return 0;
}
