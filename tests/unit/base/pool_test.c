/* The pool: priorities, its limit, and an orderly end. */
#include "unit/support.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/pool.h"

/* A door that a job waits at, so that a test decides what is queued when. */
struct door {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool reached, open;
};
#define DOOR {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false}
static void wait_at(void *arg)
{
    struct door *d = arg;
    pthread_mutex_lock(&d->lock);
    d->reached = true;
    pthread_cond_broadcast(&d->cond);
    while (!d->open) pthread_cond_wait(&d->cond, &d->lock);
    pthread_mutex_unlock(&d->lock);
}
static void until_reached(struct door *d)
{
    pthread_mutex_lock(&d->lock);
    while (!d->reached) pthread_cond_wait(&d->cond, &d->lock);
    pthread_mutex_unlock(&d->lock);
}
static void open_door(struct door *d)
{
    pthread_mutex_lock(&d->lock);
    d->open = true;
    pthread_cond_broadcast(&d->cond);
    pthread_mutex_unlock(&d->lock);
}

static int order[2000];
static _Atomic int n_order;
static void note(void *arg) { order[atomic_fetch_add(&n_order, 1)] = (int)(intptr_t)arg; }
static void count(void *arg) { atomic_fetch_add((_Atomic int *)arg, 1); }

static void by_priority_then_arrival(void **state)
{
    (void)state;
    struct hg_err err;
    struct door d = DOOR;
    struct hg_pool *p;
    assert_ok(hg_pool_new("test", 1, 2000, &p, &err), err);
    assert_int_equal(hg_pool_threads(p), 1);
    assert_ok(hg_pool_submit(p, 0, wait_at, &d, &err), err);
    until_reached(&d);
    assert_int_equal(hg_pool_busy(p), 1);
    /* The wanted order is by (priority descending, number ascending); priority is number % 7 - 3, in random order of numbers. */
    uint64_t seed = hg_test_seed();
    enum { N = 1000 };
    for (int i = 0; i < N; i++) {
        int priority = (int)(hg_test_random(&seed) % 7) - 3;
        assert_ok(hg_pool_submit(p, priority, note, (void *)(intptr_t)((priority + 3) * N + i), &err), err);
    }
    assert_int_equal(hg_pool_queued(p), N);
    n_order = 0;
    open_door(&d);
    hg_pool_close(p);
    assert_int_equal(n_order, N);
    for (int i = 1; i < N; i++) {
        int a = order[i - 1] / N, b = order[i] / N;
        assert_true(a > b || (a == b && order[i - 1] < order[i]));
    }
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct hg_err err;
    struct door d = DOOR;
    struct hg_pool *p;
    _Atomic int n = 0;
    assert_ok(hg_pool_new("scan", 1, 3, &p, &err), err);
    assert_ok(hg_pool_submit(p, 0, wait_at, &d, &err), err);
    until_reached(&d);
    for (int i = 0; i < 3; i++) assert_ok(hg_pool_submit(p, 0, count, &n, &err), err);
    assert_fails(hg_pool_submit(p, 9, count, &n, &err), HG_E_LIMIT, err, "pool scan: the queue of 3 jobs is full");
    open_door(&d);
    hg_pool_close(p); /* what was queued runs */
    assert_int_equal(n, 3);
}

struct late { struct hg_pool *p; struct hg_err err; _Atomic int ran; };
static void submit_until_refused(void *arg)
{
    struct late *l = arg;
    enum hg_rc rc;
    do { /* the main thread is on its way into close */
        rc = hg_pool_submit(l->p, 0, count, &l->ran, &l->err);
        sched_yield();
    } while (rc != HG_E_CANCELLED);
}
static void a_closing_pool_refuses(void **state)
{
    (void)state;
    struct hg_err err;
    struct late l = {0};
    assert_ok(hg_pool_new("late", 2, 10, &l.p, &err), err);
    assert_ok(hg_pool_submit(l.p, 0, submit_until_refused, &l, &err), err);
    hg_pool_close(l.p);
    assert_string_equal(l.err.msg, "pool late is closing");
}

static void many_jobs_on_many_threads(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_pool *p;
    _Atomic int n = 0;
    assert_ok(hg_pool_new("many", 4, 100000, &p, &err), err);
    for (int i = 0; i < 20000; i++) assert_ok(hg_pool_submit(p, i % 5, count, &n, &err), err);
    hg_pool_close(p);
    assert_int_equal(n, 20000);
    hg_pool_close(NULL);
}

static void bad_arguments(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_pool *p;
    assert_fails(hg_pool_new("none", 0, 1, &p, &err), HG_E_INVALID, err, "pool none: 0 threads and a queue of 1; both must be at least 1");
    assert_fails(hg_pool_new("none", 1, 0, &p, &err), HG_E_INVALID, err, "pool none: 1 threads and a queue of 0; both must be at least 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_priority_then_arrival), cmocka_unit_test(a_full_queue_refuses), cmocka_unit_test(a_closing_pool_refuses),
        cmocka_unit_test(many_jobs_on_many_threads), cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
