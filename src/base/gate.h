/* The way from any thread to an object that lives on a loop and may be closed at any moment. Whoever can outlive the object (a stream, a
 * request, a call) holds the gate, not the object: posts pass while the gate is open and are refused afterwards, so that nobody touches a
 * loop that is gone. Shut the gate, then hg_loop_call the closing: what was posted before runs before it. */
#ifndef HG_BASE_GATE_H
#define HG_BASE_GATE_H

#include "base/loop.h"

struct hg_gate; /* reference-counted; any thread */

struct hg_gate *hg_gate_new(struct hg_loop *l); /* one reference; NULL: no memory */
struct hg_gate *hg_gate_ref(struct hg_gate *g); /* returns g */
void hg_gate_unref(struct hg_gate *g);          /* NULL allowed */
/* hg_loop_post, or false when the gate is shut. */
HG_MUST_USE bool hg_gate_post(struct hg_gate *g, void (*fn)(void *), void *arg);
/* False when it was shut already. */
bool hg_gate_shut(struct hg_gate *g);

#endif
