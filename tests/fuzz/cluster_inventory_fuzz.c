/* What a broker reads of a server's inventory, as far as into its picture of the cluster: any bytes leave it in order. */
#include <stdlib.h>

#include "cluster/view_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

static struct hg_vserver *server(struct hg_vstate *s, const char *name)
{
    struct hg_server_row row = {.name = name, .roles = "ingest", .tier = "", .wire_address = "w", .http_address = "h", .state = "up"};
    struct hg_vserver *sv;
    (void)hg_vstate_server_update(s, &row, &sv);
    MUST(sv);
    return sv;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_err err;
    struct hg_vstate *s = hg_vstate_new();
    struct hg_vserver *sv[2] = {server(s, "a"), server(s, "b")};
    /* Several messages: each has a byte before it that says whose, and how far it goes (in 64ths of what is left). */
    while (size > 1) {
        size_t n = (size - 1) * (size_t)(data[0] >> 1 & 63) / 63;
        bool whole;
        (void)!hg_vstate_inventory(s, sv[data[0] & 1], (struct hg_span){data + 1, n}, &whole, &err);
        if (data[0] & 128) MUST(hg_vstate_visible(s, hg_vstate_visible_seq(s) + 1, false, NULL, 0, &err) == HG_OK);
        data += n + 1;
        size -= n + 1;
        struct hg_snapshot *snap = hg_vstate_pin(s);
        MUST(snap && hg_snapshot_generation(snap) == hg_vstate_generation(s));
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_target *t;
        size_t n_t;
        MUST(hg_snapshot_segments(snap, a, NULL, &t, &n_t, &err) == HG_OK);
        for (size_t i = 0; i < n_t; i++) {
            struct hg_target again;
            bool found;
            MUST(hg_snapshot_find(snap, a, t[i].text, &again, &found, &err) == HG_OK && found);
        }
        hg_arena_free(a);
        hg_snapshot_release(snap);
    }
    hg_vstate_free(s);
    return 0;
}
