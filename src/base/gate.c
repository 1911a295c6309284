/* Posting happens under the gate's lock, which is what makes "shut" a point in time: no post is under way once hg_gate_shut returns. */
#include "base/gate.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct hg_gate {
    atomic_uint refs;
    pthread_mutex_t lock; /* guards loop; taken before the loop's own lock */
    struct hg_loop *loop; /* NULL once shut */
};

struct hg_gate *hg_gate_new(struct hg_loop *l)
{
    struct hg_gate *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    atomic_init(&g->refs, 1);
    pthread_mutex_init(&g->lock, NULL);
    g->loop = l;
    return g;
}

struct hg_gate *hg_gate_ref(struct hg_gate *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void hg_gate_unref(struct hg_gate *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool hg_gate_post(struct hg_gate *g, void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&g->lock);
    bool open = g->loop != NULL;
    if (open) hg_loop_post(g->loop, fn, arg);
    pthread_mutex_unlock(&g->lock);
    return open;
}

bool hg_gate_shut(struct hg_gate *g)
{
    pthread_mutex_lock(&g->lock);
    bool was = g->loop != NULL;
    g->loop = NULL;
    pthread_mutex_unlock(&g->lock);
    return was;
}
