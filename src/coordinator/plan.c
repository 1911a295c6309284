#include "coordinator/plan.h"

#include <string.h>

#include "base/hash.h"

static uint64_t weight(uint64_t segment_hash, uint64_t server_hash) { return hg_mix64(segment_hash ^ server_hash); }

uint64_t hg_plan_weight(const char *id, const char *server) { return weight(hg_xxh3(id, strlen(id)), hg_xxh3(server, strlen(server))); }

static uint32_t best(const struct hg_plan_segment *s, const struct hg_plan_server *srv, const uint64_t *server_hash, const int64_t *used, uint32_t n_srv)
{
    uint64_t h = hg_xxh3(s->id, strlen(s->id)), top = 0;
    uint32_t found = HG_PLAN_NONE;
    for (uint32_t i = 0; i < n_srv; i++) {
        if (!srv[i].takes || (srv[i].capacity_bytes && s->bytes > srv[i].capacity_bytes - used[i])) continue;
        uint64_t w = weight(h, server_hash[i]);
        bool better = found == HG_PLAN_NONE || found == s->avoid || w > top;
        if (!better || (i == s->avoid && found != HG_PLAN_NONE)) continue;
        top = w;
        found = i;
    }
    return found;
}

enum hg_rc hg_plan_loads(struct hg_arena *a, const struct hg_plan_segment *seg, uint32_t n_seg, const struct hg_plan_server *srv, uint32_t n_srv, struct hg_plan_move **out,
                         uint32_t *n_out, uint32_t **unplaced, uint32_t *n_unplaced, struct hg_err *err)
{
    struct hg_plan_move *moves = hg_arena_array(a, (size_t)n_seg + 1, sizeof *moves);
    uint32_t *left = hg_arena_array(a, (size_t)n_seg + 1, sizeof *left), n_moves = 0, n_left = 0;
    uint64_t *server_hash = hg_arena_array(a, (size_t)n_srv + 1, sizeof *server_hash);
    int64_t *used = hg_arena_array(a, (size_t)n_srv + 1, sizeof *used);
    if (!moves || !left || !server_hash || !used) return hg_arena_fail(a, "assignment plan", err);
    for (uint32_t i = 0; i < n_srv; i++) {
        server_hash[i] = hg_xxh3(srv[i].name, strlen(srv[i].name));
        used[i] = srv[i].used_bytes;
    }
    for (uint32_t k = 0; k < n_seg; k++) {
        if (seg[k].n_holders) continue;
        uint32_t i = best(&seg[k], srv, server_hash, used, n_srv);
        if (i == HG_PLAN_NONE) {
            left[n_left++] = k;
            continue;
        }
        used[i] += seg[k].bytes;
        moves[n_moves++] = (struct hg_plan_move){k, i};
    }
    *out = moves;
    *n_out = n_moves;
    *unplaced = left;
    *n_unplaced = n_left;
    return HG_OK;
}
