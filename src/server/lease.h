/* Who may rely on what was told, and until when. Everything that is told has a number; a follower confirms numbers, and a confirmation gives it a lease: for HG_ENTITY_LEASE_MS it may
 * conclude from what it knows that something is not there. What would make that wrong is shown only when every follower with a lease has confirmed it.
 *
 *   a number is *shown* when nobody with a lease is behind it; and a lease is given only to who has confirmed all that is shown
 *
 * so whoever holds a lease knows all that is shown. The follower counts its lease from when it sent the confirmation, we from when that came, and a little longer: clocks need not agree,
 * only run alike. Whoever goes away, or stops, holds back what is new until its lease is over, once.
 *
 * Time is given by the caller. Not thread-safe. */
#ifndef HG_SERVER_LEASE_H
#define HG_SERVER_LEASE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct hg_leases;
/* now_ms: leases that a process of this name gave before may still hold; until they are over nothing is shown. */
struct hg_leases *hg_leases_new(int64_t lease_ms, int64_t now_ms);
void hg_leases_free(struct hg_leases *l);

HG_MUST_USE enum hg_rc hg_leases_open(struct hg_leases *l, uint64_t follower, struct hg_err *err); /* HG_E_CONFLICT: it is there */
void hg_leases_close(struct hg_leases *l, uint64_t follower); /* it follows no more; its lease runs out */
/* It has taken in everything up to number. True: it has a lease from now on. */
bool hg_leases_confirm(struct hg_leases *l, uint64_t follower, uint64_t number, int64_t now_ms);
/* Everything up to number is to be shown. False: not before another confirmation, or *at_ms. */
bool hg_leases_show(struct hg_leases *l, uint64_t number, int64_t now_ms, int64_t *at_ms);
size_t hg_leases_held(const struct hg_leases *l, int64_t now_ms);

#endif
