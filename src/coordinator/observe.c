/* Who is there and has what: the view's servers and inventories become seats and records of copies. */
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "coordinator/cycle.h"

void hg_seat_free(void *seat)
{
    struct hg_seat *s = seat;
    if (!s) return;
    free(s->name);
    free(s->tier);
    free(s->address);
    free(s);
}

static bool keep_text(char **slot, const char *text)
{
    if (*slot && strcmp(*slot, text) == 0) return true;
    char *copy = strdup(text);
    if (!copy) return false;
    free(*slot);
    *slot = copy;
    return true;
}

static struct hg_seat *seat_of(struct hg_coordinator *c, const struct hg_server *s)
{
    struct hg_seat *seat = hg_map_get(c->seats, s->name);
    if (!seat) {
        seat = calloc(1, sizeof *seat);
        if (!seat || !keep_text(&seat->name, s->name) || !hg_map_put(c->seats, s->name, seat, NULL)) {
            hg_seat_free(seat);
            return NULL;
        }
        seat->hash = hg_xxh3(s->name, strlen(s->name));
    }
    return keep_text(&seat->tier, s->tier[0] ? s->tier : HG_DEFAULT_TIER) && keep_text(&seat->address, s->wire_address) ? seat : NULL;
}

/* An id served live by an ingest server in the same process (standalone) is not a historical's: it is live until handed off. */
static enum hg_rc take_inventory(struct hg_cycle *y, struct hg_seat *seat, const struct hg_holding *v, size_t n, struct hg_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t at = (size_t)hg_map_get(y->u->by_id, v[i].id);
        if (v[i].state == HG_SEG_LIVE) continue;
        struct hg_known *k = at ? y->u->known[at - 1] : hg_known_of(y->c->unused, v[i].id, y->c->cycle);
        if (!k || !hg_copy_served(k, seat, v[i].bytes, y->c->cycle)) return hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    }
    return HG_OK;
}

/* Rows that only an ingest server has are not missed by queries. */
static enum hg_rc note_live(struct hg_cycle *y, const struct hg_server *s, struct hg_err *err)
{
    struct hg_holding *v;
    size_t n;
    bool known;
    HG_TRY(hg_view_served(y->c->view, y->a, s->name, &v, &n, &known, err));
    for (size_t i = 0; i < n && known; i++) {
        size_t at = v[i].state == HG_SEG_LIVE ? (size_t)hg_map_get(y->u->by_id, v[i].id) : 0;
        if (at) y->u->known[at - 1]->live = y->c->cycle;
    }
    return HG_OK;
}

static bool is_drained(const struct hg_drain_row *d, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(d[i].name, name) == 0) return true;
    return false;
}

static enum hg_rc see(struct hg_cycle *y, const struct hg_server *s, bool drained, struct hg_err *err)
{
    struct hg_holding *v;
    size_t n;
    bool known;
    /* The list may be newer than the snapshot: a server that is gone by now must not be taken for one that serves nothing. */
    HG_TRY(hg_view_served(y->c->view, y->a, s->name, &v, &n, &known, err));
    if (!known) return HG_OK;
    struct hg_seat *seat = seat_of(y->c, s);
    if (!seat) return hg_fail(err, HG_E_NOMEM, "coordinator cycle");
    if (seat->away_ms) hg_log(HG_LOG_INFO, "coordinator", "historical is back", "server", HG_LS(seat->name), "away_ms", HG_LI(y->now - seat->away_ms), NULL);
    seat->cycle = y->c->cycle;
    seat->away_ms = 0;
    seat->gone = false;
    seat->drains = drained;
    seat->takes = !drained && strcmp(s->state, "up") == 0;
    seat->capacity = s->capacity_bytes;
    return take_inventory(y, seat, v, n, err);
}

/* Those that are not here: expected back until their grace is over. What is to be emptied is not waited for. */
static void miss(struct hg_cycle *y)
{
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(y->c->seats, &pos, &name, &v);) {
        struct hg_seat *seat = v;
        seat->in_flight = 0;
        if (seat->cycle == y->c->cycle) continue;
        seat->takes = false;
        if (!seat->away_ms) {
            seat->away_ms = y->now;
            hg_log(HG_LOG_WARN, "coordinator", "historical is away", "server", HG_LS(name), "grace_ms", HG_LI(y->c->opt.grace_ms), NULL);
        }
        seat->gone = seat->drains || y->now - seat->away_ms >= y->c->opt.grace_ms;
    }
}

static void settle_all(struct hg_map *m, uint64_t cycle, int64_t now)
{
    const char *id;
    void *v;
    for (size_t pos = 0; hg_map_each(m, &pos, &id, &v);) {
        struct hg_known *k = v;
        hg_copies_settle(k, cycle, now);
        for (struct hg_copy *c = k->copies; c; c = c->next) c->seat->in_flight += c->state == HG_COPY_LOADING;
    }
}

static enum hg_rc forget_seats(struct hg_cycle *y, struct hg_err *err)
{
    size_t n = hg_map_size(y->c->seats), k = 0;
    struct hg_seat **gone = hg_arena_array(y->a, n + 1, sizeof *gone);
    y->nodes = hg_arena_array(y->a, n + 1, sizeof *y->nodes);
    if (!gone || !y->nodes) return hg_arena_fail(y->a, "coordinator cycle", err);
    const char *name;
    void *v;
    for (size_t pos = 0; hg_map_each(y->c->seats, &pos, &name, &v);) {
        struct hg_seat *seat = v;
        if (seat->gone) {
            gone[k++] = seat;
            continue;
        }
        seat->at = y->n_nodes;
        y->nodes[y->n_nodes++].seat = seat;
    }
    for (size_t i = 0; i < k; i++) {
        hg_log(HG_LOG_WARN, "coordinator", "historical is gone, others take its segments", "server", HG_LS(gone[i]->name), NULL);
        hg_seat_free(hg_map_take(y->c->seats, gone[i]->name));
    }
    return HG_OK;
}

enum hg_rc hg_cycle_observe(struct hg_cycle *y, struct hg_snapshot *snap, struct hg_err *err)
{
    const struct hg_server **all;
    struct hg_drain_row *drains;
    size_t n, n_drains;
    HG_TRY(hg_meta_drains(y->c->meta, y->a, &drains, &n_drains, err));
    HG_TRY(hg_snapshot_servers(snap, y->a, &all, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (strstr(all[i]->roles, "ingest")) HG_TRY(note_live(y, all[i], err));
        if (strstr(all[i]->roles, "historical") && all[i]->inventory_known) HG_TRY(see(y, all[i], is_drained(drains, n_drains, all[i]->name), err));
    }
    miss(y);
    settle_all(y->c->known, y->c->cycle, y->now);
    settle_all(y->c->unused, y->c->cycle, y->now);
    hg_known_forget(y->c->unused, y->c->cycle, y->a);
    return forget_seats(y, err);
}

bool hg_row_served(const struct hg_cycle *y, size_t row)
{
    for (const struct hg_copy *c = y->u->known[row]->copies; c; c = c->next)
        if (!c->seat->away_ms && (c->state == HG_COPY_SERVED || c->state == HG_COPY_DROPPING)) return true;
    return false;
}
