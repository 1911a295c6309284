/* Races. A sub-query that takes longer than nearly all of its kind is sent a second time, to other holders of the same segments; whichever side is complete first counts, whole, and the
 * other is cancelled, so that no row is merged twice:
 *
 *   late ───────────────► answers first: its answer is taken, the hedges are dropped (lost)
 *     └─ hedge, hedge ──► all have answered, every segment covered: theirs are taken, the late one is dropped (won)
 *   late fails: the hedges are ordinary requests from then on, those that have answered are taken
 *   a hedge fails, or does not cover all: it is out; the late one must answer, or fail, after all
 *
 * Only a request all of whose segments have another holder is worth it: its one answer is for all of them. */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/gather_private.h"

static enum hg_rc choose(struct hg_gather *g, const struct hg_request *slow, struct hg_snapshot *now, struct hg_request **fresh, bool *all, struct hg_err *err)
{
    *all = true;
    for (uint32_t i = 0; i < slow->n_items && *all; i++) {
        struct hg_item *it = &g->items[slow->items[i]];
        const struct hg_holder *h;
        uint32_t n;
        bool expected, all_bad;
        hg_snapshot_holders(now, it->t, &h, &n, &expected);
        const struct hg_server *s = hg_candidate_pick(g, it, h, n, slow->server, &all_bad);
        if (!s || !s->inventory_known) {
            *all = false;
            break;
        }
        struct hg_request *r = hg_request_for(g, fresh, s);
        if (!r || !hg_request_put(g, r, slow->items[i])) return hg_arena_fail(g->arena, "sub-query", err);
    }
    return HG_OK;
}

enum hg_rc hg_hedge(struct hg_gather *g, struct hg_request *slow, struct hg_err *err)
{
    struct hg_request *fresh = NULL;
    bool all;
    slow->late_us = INT64_MAX; /* once, whatever comes of it */
    struct hg_snapshot *now = hg_view_pin(g->run->b->view);
    hg_candidates_reset(g);
    enum hg_rc rc = choose(g, slow, now, &fresh, &all, err);
    hg_candidates_reset(g); /* they borrow from the snapshot */
    hg_snapshot_release(now);
    if (rc || !all) return rc;
    if (!hg_picker_spend(g->run->b->picker)) {
        hg_metric_add(HG_M_hedges, "capped", 1);
        return HG_OK;
    }
    hg_log(HG_LOG_INFO, "broker", "sub-query is late, asking others as well", "server", HG_LS(slow->server), "queryId", HG_LS(g->run->id), NULL);
    hg_metric_add(HG_M_hedges, "sent", 1);
    g->out->hedged++;
    slow->raced = true;
    while (fresh && !rc) {
        struct hg_request *r = fresh;
        fresh = r->next;
        r->slow = slow;
        rc = hg_request_send(g, r, err);
    }
    return rc;
}

void hg_race_won(struct hg_gather *g, struct hg_request *slow)
{
    hg_metric_add(HG_M_hedges, "lost", 1);
    for (struct hg_request *r = g->requests; r; r = r->next)
        if (r->slow == slow && (r->held || !r->handled)) hg_request_abandon(r);
    slow->raced = false;
}

/* The items of slow are pending again; what hedges are asked, or have answered, is theirs. */
enum hg_rc hg_race_lost(struct hg_gather *g, struct hg_request *slow, struct hg_err *err)
{
    slow->raced = false;
    for (struct hg_request *r = g->requests; r; r = r->next) {
        if (r->slow != slow || (r->handled && !r->held)) continue;
        for (uint32_t i = 0; i < r->n_items; i++) g->items[r->items[i]].state = HG_ASKED;
        r->slow = NULL;
        if (!r->held) continue;
        r->held = false;
        HG_TRY(hg_request_take(g, r, err));
    }
    return HG_OK;
}

static bool complete(const struct hg_gather *g, const struct hg_request *slow)
{
    uint32_t covered = 0;
    for (const struct hg_request *r = g->requests; r; r = r->next)
        if (r->slow == slow && r->held) covered += r->coverage.n_covered + r->coverage.n_whole;
    return covered == slow->n_items;
}

enum hg_rc hg_hedge_ended(struct hg_gather *g, struct hg_request *r, bool ok, struct hg_err *err)
{
    struct hg_request *slow = r->slow;
    if (!ok) hg_metric_add(HG_M_hedges, "failed", 1);
    if (!ok || !complete(g, slow)) return HG_OK;
    hg_metric_add(HG_M_hedges, "won", 1);
    hg_request_abandon(slow);
    slow->raced = false;
    for (struct hg_request *h = g->requests; h; h = h->next) {
        if (h->slow != slow || !h->held) continue;
        h->held = false;
        HG_TRY(hg_request_take(g, h, err));
    }
    return HG_OK;
}
