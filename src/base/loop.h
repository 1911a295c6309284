/* A libevent loop on a thread of its own, and the way into it. Callbacks run on that thread and never block. */
#ifndef HG_BASE_LOOP_H
#define HG_BASE_LOOP_H

#include <stdint.h>
#include "base/err.h"

struct event_base;
struct hg_loop;

HG_MUST_USE enum hg_rc hg_loop_new(const char *name, struct hg_loop **out, struct hg_err *err); /* starts the thread */
void hg_loop_close(struct hg_loop *l); /* runs what was posted, stops, joins, frees; NULL allowed */
struct event_base *hg_loop_base(struct hg_loop *l);
/* fn(arg) runs on the loop's thread, in the order posted; from any thread, the loop's own included. Never fails: the list is
 * bounded by what callers have in flight. */
void hg_loop_post(struct hg_loop *l, void (*fn)(void *), void *arg);
bool hg_loop_here(const struct hg_loop *l); /* is this the loop's thread? */
/* fn(arg) on the loop's thread, and waits for it. Runs at once when called there. */
void hg_loop_call(struct hg_loop *l, void (*fn)(void *), void *arg);

/* A timer on the loop; fn runs every period_ms until stopped, and may stop it. From the loop's thread, or before the loop has work.
 * Timers left when the loop closes are freed with it. NULL may be stopped. */
struct hg_timer;
HG_MUST_USE enum hg_rc hg_timer_start(struct hg_loop *l, int64_t period_ms, void (*fn)(void *), void *arg, struct hg_timer **out, struct hg_err *err);
void hg_timer_stop(struct hg_timer *t);

#endif
