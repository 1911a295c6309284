#include "coordinator/copies.h"

#include <stdlib.h>

struct hg_copy *hg_copy_find(const struct hg_known *k, const struct hg_seat *seat)
{
    struct hg_copy *c = k->copies;
    while (c && c->seat != seat) c = c->next;
    return c;
}

static struct hg_copy *copy_of(struct hg_known *k, struct hg_seat *seat)
{
    struct hg_copy *c = hg_copy_find(k, seat);
    if (c || !(c = calloc(1, sizeof *c))) return c;
    c->seat = seat;
    c->next = k->copies;
    k->copies = c;
    return c;
}

static void forget(struct hg_known *k, struct hg_copy *c)
{
    struct hg_copy **at = &k->copies;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    free(c);
}

bool hg_copy_served(struct hg_known *k, struct hg_seat *seat, int64_t bytes, uint64_t cycle)
{
    struct hg_copy *c = copy_of(k, seat);
    if (!c) return false;
    if (c->state != HG_COPY_DROPPING) c->state = HG_COPY_SERVED;
    c->bytes = bytes;
    c->seen = cycle;
    c->fails = 0;
    return true;
}

struct hg_copy *hg_copy_ordered(struct hg_known *k, struct hg_seat *seat, int64_t now)
{
    struct hg_copy *c = copy_of(k, seat);
    if (!c) return NULL;
    c->state = HG_COPY_LOADING;
    c->at_ms = c->ordered_ms = now;
    c->absent = 0;
    c->extra_ms = 0;
    return c;
}

/* It waits twice as long after each failure, so that what cannot be loaded is not tried in a tight loop. */
static void fail(struct hg_copy *c, int64_t now)
{
    int64_t wait = HG_COPY_RETRY_MS;
    for (uint32_t i = 0; i < c->fails && wait < HG_COPY_RETRY_MAX_MS; i++) wait *= 2;
    c->state = HG_COPY_FAILED;
    c->fails++;
    c->at_ms = now + (wait < HG_COPY_RETRY_MAX_MS ? wait : HG_COPY_RETRY_MAX_MS);
}

void hg_copy_heard(struct hg_copy *c, enum hg_copy_news news, int64_t asked_ms, int64_t now)
{
    if (c->state != HG_COPY_LOADING || c->ordered_ms > asked_ms) return;
    switch (news) {
    case HG_COPY_AT_IT:
        c->at_ms = now;
        c->absent = 0;
        break;
    case HG_COPY_FAILED_THERE: fail(c, now); break;
    case HG_COPY_UNKNOWN_THERE: c->absent++; break; /* just loaded, perhaps, and the inventory on its way */
    }
}

void hg_copy_refused(struct hg_known *k, struct hg_copy *c)
{
    if (c->state == HG_COPY_LOADING) forget(k, c);
    else if (c->state == HG_COPY_DROPPING) c->state = HG_COPY_SERVED;
}

/* Is there nothing to remember of it any more? */
static bool over(struct hg_copy *c, uint64_t cycle, int64_t now)
{
    bool here = !c->seat->away_ms;
    if (c->seat->gone) return true;
    switch (c->state) {
    case HG_COPY_SERVED: return here && c->seen != cycle;
    case HG_COPY_DROPPING:
        if (here && c->seen != cycle) return true;
        if (now - c->at_ms >= HG_COPY_RESEND_MS) c->state = HG_COPY_SERVED;
        return false;
    case HG_COPY_LOADING:
        if (!here || c->absent >= 2) return true;
        if (now - c->at_ms >= HG_COPY_RESEND_MS) fail(c, now);
        return false;
    case HG_COPY_FAILED: return now >= c->at_ms + HG_COPY_RETRY_MAX_MS; /* how often it failed is remembered for a while after it may be tried again */
    }
    return true;
}

void hg_copies_settle(struct hg_known *k, uint64_t cycle, int64_t now)
{
    for (struct hg_copy **at = &k->copies, *c; (c = *at);) {
        if (!over(c, cycle, now)) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c);
    }
}

bool hg_copy_extra(struct hg_copy *c, uint64_t cycle, int64_t now, int64_t linger_ms)
{
    if (c->state != HG_COPY_SERVED) return false;
    if (!c->extra_ms || c->extra + 1 < cycle) c->extra_ms = now;
    c->extra = cycle;
    if (now - c->extra_ms < linger_ms) return false;
    c->state = HG_COPY_DROPPING;
    c->at_ms = now;
    c->extra_ms = 0;
    return true;
}

void hg_copies_free(struct hg_known *k)
{
    for (struct hg_copy *c = k->copies, *next; c; c = next) {
        next = c->next;
        free(c);
    }
    k->copies = NULL;
}
