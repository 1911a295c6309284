/* A binary heap of jobs under one lock. Jobs are coarse (a segment, a file), so the lock is not what limits. Of the threads that have nothing to do the one that came to rest last is woken:
 * under a light load a few threads do all the work, whose memory and caches are warm, and the others sleep on. */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

struct job {
    int priority;
    uint64_t seq; /* order of arrival */
    void (*fn)(void *);
    void *arg;
};

struct worker {
    struct hg_pool *pool;
    pthread_t thread;
    pthread_cond_t wake;
    struct worker *below; /* it came to rest before */
    bool rests;
};

struct hg_pool {
    pthread_mutex_t lock; /* guards all below it */
    struct worker *resting;
    struct job *heap;     /* heap[0] runs next */
    size_t n, cap, max;
    uint64_t next_seq;
    size_t busy;
    bool closing;
    unsigned n_threads; /* fixed once made */
    struct worker *workers;
    char name[16];
};

static bool before(const struct job *a, const struct job *b) { return a->priority != b->priority ? a->priority > b->priority : a->seq < b->seq; }

static void push(struct hg_pool *p, struct job j)
{
    size_t i = p->n++;
    for (size_t up; i > 0 && before(&j, &p->heap[up = (i - 1) / 2]); i = up) p->heap[i] = p->heap[up];
    p->heap[i] = j;
}

static struct job pop(struct hg_pool *p)
{
    struct job top = p->heap[0], last = p->heap[--p->n];
    size_t i = 0;
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= p->n) break;
        if (kid + 1 < p->n && before(&p->heap[kid + 1], &p->heap[kid])) kid++;
        if (!before(&p->heap[kid], &last)) break;
        p->heap[i] = p->heap[kid];
        i = kid;
    }
    if (p->n) p->heap[i] = last;
    return top;
}

static void rest(struct worker *w)
{
    w->below = w->pool->resting;
    w->pool->resting = w;
    w->rests = true;
    while (w->rests) pthread_cond_wait(&w->wake, &w->pool->lock);
}

static void wake_one(struct hg_pool *p)
{
    struct worker *w = p->resting;
    if (!w) return;
    p->resting = w->below;
    w->rests = false;
    pthread_cond_signal(&w->wake);
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct hg_pool *p = w->pool;
    pthread_setname_np(pthread_self(), p->name);
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->n == 0 && !p->closing) rest(w);
        if (p->n == 0) break; /* closing, and nothing left */
        struct job j = pop(p);
        p->busy++;
        pthread_mutex_unlock(&p->lock);
        j.fn(j.arg);
        pthread_mutex_lock(&p->lock);
        p->busy--;
    }
    /* A job that runs elsewhere cannot add one now (submit refuses), so leaving is safe. */
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void destroy(struct hg_pool *p)
{
    for (unsigned i = 0; i < p->n_threads; i++) pthread_cond_destroy(&p->workers[i].wake);
    pthread_mutex_destroy(&p->lock);
    free(p->heap);
    free(p->workers);
    free(p);
}

enum hg_rc hg_pool_new(const char *name, unsigned threads, size_t max_queued, struct hg_pool **out, struct hg_err *err)
{
    if (threads == 0 || max_queued == 0) return hg_fail(err, HG_E_INVALID, "pool %s: %u threads and a queue of %zu; both must be at least 1", name, threads, max_queued);
    struct hg_pool *p = calloc(1, sizeof *p);
    if (!p) return hg_fail(err, HG_E_NOMEM, "pool %s", name);
    snprintf(p->name, sizeof p->name, "%.15s", name);
    p->max = max_queued;
    pthread_mutex_init(&p->lock, NULL);
    p->workers = calloc(threads, sizeof *p->workers);
    if (!p->workers) {
        destroy(p);
        return hg_fail(err, HG_E_NOMEM, "pool %s: %u threads", name, threads);
    }
    /* Signals are for the main thread. */
    sigset_t all, keep;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &keep);
    int e = 0;
    while (p->n_threads < threads && !e) {
        struct worker *w = &p->workers[p->n_threads];
        w->pool = p;
        pthread_cond_init(&w->wake, NULL);
        e = pthread_create(&w->thread, NULL, work, w);
        if (!e) p->n_threads++;
        else pthread_cond_destroy(&w->wake);
    }
    pthread_sigmask(SIG_SETMASK, &keep, NULL);
    if (e) {
        unsigned made = p->n_threads;
        hg_pool_close(p);
        return hg_fail(err, HG_E_LIMIT, "pool %s: thread %u of %u could not be started: %s", name, made + 1, threads, strerrordesc_np(e));
    }
    *out = p;
    return HG_OK;
}

static enum hg_rc submit(struct hg_pool *p, int priority, bool past_max, void (*fn)(void *), void *arg, struct hg_err *err)
{
    enum hg_rc rc = HG_OK;
    pthread_mutex_lock(&p->lock);
    if (p->closing) {
        rc = hg_fail(err, HG_E_CANCELLED, "pool %s is closing", p->name);
    } else if (p->n >= p->max && !past_max) {
        rc = hg_fail(err, HG_E_LIMIT, "pool %s: the queue of %zu jobs is full", p->name, p->max);
    } else {
        if (p->n == p->cap) {
            size_t cap = p->cap ? p->cap * 2 : 64;
            struct job *heap = realloc(p->heap, cap * sizeof *heap);
            if (heap) {
                p->heap = heap;
                p->cap = cap;
            } else {
                rc = hg_fail(err, HG_E_NOMEM, "pool %s: out of memory for %zu jobs", p->name, cap);
            }
        }
        if (rc == HG_OK) {
            push(p, (struct job){priority, p->next_seq++, fn, arg});
            wake_one(p);
        }
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

enum hg_rc hg_pool_submit(struct hg_pool *p, int priority, void (*fn)(void *), void *arg, struct hg_err *err) { return submit(p, priority, false, fn, arg, err); }
enum hg_rc hg_pool_go_on(struct hg_pool *p, int priority, void (*fn)(void *), void *arg, struct hg_err *err) { return submit(p, priority, true, fn, arg, err); }

void hg_pool_close(struct hg_pool *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->lock);
    p->closing = true;
    while (p->resting) wake_one(p);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++) {
        assert(!pthread_equal(p->workers[i].thread, pthread_self())); /* a job cannot close its own pool */
        pthread_join(p->workers[i].thread, NULL);
    }
    destroy(p);
}

unsigned hg_pool_threads(const struct hg_pool *p) { return p->n_threads; }

size_t hg_pool_queued(struct hg_pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->n;
    pthread_mutex_unlock(&p->lock);
    return n;
}

size_t hg_pool_busy(struct hg_pool *p)
{
    pthread_mutex_lock(&p->lock);
    size_t n = p->busy;
    pthread_mutex_unlock(&p->lock);
    return n;
}
