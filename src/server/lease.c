#include "server/lease.h"

#include <stdlib.h>

#define MARGIN_MS 50 /* clocks that do not run quite alike, and are read in whole milliseconds */

struct lease {
    struct lease *next;
    uint64_t follower, confirmed;
    int64_t until_ms;
    bool open;
};
struct hg_leases {
    struct lease *first;
    int64_t ms, quiet_until_ms;
    uint64_t shown;
};

struct hg_leases *hg_leases_new(int64_t lease_ms, int64_t now_ms)
{
    struct hg_leases *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    l->ms = lease_ms + MARGIN_MS;
    l->quiet_until_ms = now_ms + l->ms;
    return l;
}

void hg_leases_free(struct hg_leases *l)
{
    if (!l) return;
    for (struct lease *k = l->first, *next; k; k = next) {
        next = k->next;
        free(k);
    }
    free(l);
}

static struct lease *find(const struct hg_leases *l, uint64_t follower)
{
    struct lease *k = l->first;
    while (k && k->follower != follower) k = k->next;
    return k;
}

enum hg_rc hg_leases_open(struct hg_leases *l, uint64_t follower, struct hg_err *err)
{
    if (find(l, follower)) return hg_fail(err, HG_E_CONFLICT, "follower %016llx is there already", (unsigned long long)follower);
    struct lease *k = calloc(1, sizeof *k);
    if (!k) return hg_fail(err, HG_E_NOMEM, "a follower of entities");
    k->next = l->first;
    k->follower = follower;
    k->until_ms = INT64_MIN;
    k->open = true;
    l->first = k;
    return HG_OK;
}

void hg_leases_close(struct hg_leases *l, uint64_t follower)
{
    struct lease *k = find(l, follower);
    if (k) k->open = false;
}

bool hg_leases_confirm(struct hg_leases *l, uint64_t follower, uint64_t number, int64_t now_ms)
{
    struct lease *k = find(l, follower);
    if (!k || !k->open) return false;
    if (number > k->confirmed) k->confirmed = number;
    if (k->confirmed < l->shown) return false;
    k->until_ms = now_ms + l->ms;
    return true;
}

/* Closed ones go when their leases are over. */
static void sweep(struct hg_leases *l, int64_t now_ms)
{
    for (struct lease **p = &l->first; *p;) {
        struct lease *k = *p;
        if (k->open || k->until_ms > now_ms) {
            p = &k->next;
            continue;
        }
        *p = k->next;
        free(k);
    }
}

bool hg_leases_show(struct hg_leases *l, uint64_t number, int64_t now_ms, int64_t *at_ms)
{
    if (number <= l->shown) return true;
    int64_t at = l->quiet_until_ms;
    sweep(l, now_ms);
    for (const struct lease *k = l->first; k; k = k->next)
        if (k->confirmed < number && k->until_ms > at) at = k->until_ms;
    if (at > now_ms) return *at_ms = at, false;
    l->shown = number;
    return true;
}

size_t hg_leases_held(const struct hg_leases *l, int64_t now_ms)
{
    size_t n = 0;
    for (const struct lease *k = l->first; k; k = k->next) n += k->until_ms > now_ms;
    return n;
}
