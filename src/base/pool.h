/* A fixed pool of threads running jobs by priority (higher first), then in order of arrival. */
#ifndef HG_BASE_POOL_H
#define HG_BASE_POOL_H

#include <stddef.h>
#include "base/err.h"

struct hg_pool;
HG_MUST_USE enum hg_rc hg_pool_new(const char *name, unsigned threads, size_t max_queued, struct hg_pool **out, struct hg_err *err);
/* fn(arg) runs once on some thread. HG_E_LIMIT: the queue is full; HG_E_CANCELLED: the pool is closing. */
HG_MUST_USE enum hg_rc hg_pool_submit(struct hg_pool *p, int priority, void (*fn)(void *), void *arg, struct hg_err *err);
/* The same for a job that was let in before and goes on: it has a place even when the queue is full. */
HG_MUST_USE enum hg_rc hg_pool_go_on(struct hg_pool *p, int priority, void (*fn)(void *), void *arg, struct hg_err *err);
/* Lets queued jobs finish, then joins the threads and frees. NULL allowed. */
void hg_pool_close(struct hg_pool *p);
unsigned hg_pool_threads(const struct hg_pool *p);
size_t hg_pool_queued(struct hg_pool *p);
size_t hg_pool_busy(struct hg_pool *p);

#endif
