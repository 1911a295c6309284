/* The loop: messages in order from any thread, calls, timers, an end that loses nothing. */
#include "unit/support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/loop.h"

static struct hg_loop *loop;

static int order[10000], n_order;
static void note(void *arg)
{
    if (!hg_loop_here(loop)) abort(); /* cmocka's assertions belong to its own thread */
    order[n_order++] = (int)(intptr_t)arg;
}
static void nothing(void *arg) { (void)arg; }

static void start(void)
{
    struct hg_err err;
    assert_ok(hg_loop_new("test", &loop, &err), err);
    n_order = 0;
}

static void posts_run_in_order(void **state)
{
    (void)state;
    start();
    assert_non_null(hg_loop_base(loop));
    assert_false(hg_loop_here(loop));
    for (intptr_t i = 0; i < 5000; i++) hg_loop_post(loop, note, (void *)i);
    hg_loop_call(loop, nothing, NULL); /* comes after them */
    assert_int_equal(n_order, 5000);
    for (int i = 0; i < n_order; i++) assert_int_equal(order[i], i);
    hg_loop_close(loop);
}

static void chain(void *arg)
{
    intptr_t left = (intptr_t)arg;
    note(arg);
    if (left) hg_loop_post(loop, chain, (void *)(left - 1));
}
static void close_runs_what_was_posted(void **state)
{
    (void)state;
    start();
    hg_loop_post(loop, chain, (void *)(intptr_t)100); /* and what that posts in turn */
    hg_loop_close(loop);
    assert_int_equal(n_order, 101);
    hg_loop_close(NULL);
}

static void call_here(void *arg) { hg_loop_call(loop, note, arg); }
static void calls_wait(void **state)
{
    (void)state;
    start();
    hg_loop_call(loop, note, (void *)1);
    assert_int_equal(n_order, 1);
    hg_loop_call(loop, call_here, (void *)2); /* at once when on the loop */
    assert_int_equal(n_order, 2);
    assert_int_equal(order[1], 2);
    hg_loop_close(loop);
}

enum { POSTERS = 4, EACH = 3000 };
static int last[POSTERS], total;
static void in_order_per_thread(void *arg)
{
    int v = (int)(intptr_t)arg, who = v / EACH, n = v % EACH;
    if (n != last[who]++) abort();
    total++;
}
static void *post_many(void *arg)
{
    intptr_t who = (intptr_t)arg;
    for (intptr_t i = 0; i < EACH; i++) {
        hg_loop_post(loop, in_order_per_thread, (void *)(who * EACH + i));
        if (i % 100 == 0) hg_loop_call(loop, nothing, NULL);
    }
    return NULL;
}
static void many_threads_post(void **state)
{
    (void)state;
    start();
    pthread_t t[POSTERS];
    for (intptr_t i = 0; i < POSTERS; i++) assert_int_equal(pthread_create(&t[i], NULL, post_many, (void *)i), 0);
    for (int i = 0; i < POSTERS; i++) pthread_join(t[i], NULL);
    hg_loop_close(loop);
    assert_int_equal(total, POSTERS * EACH);
}

struct ticks {
    struct hg_timer *timer;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    int n;
    bool done;
};
static void tick(void *arg)
{
    struct ticks *t = arg;
    if (++t->n < 3) return;
    hg_timer_stop(t->timer); /* from its own tick */
    pthread_mutex_lock(&t->lock);
    t->done = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->lock);
}
static void until_done(struct ticks *t)
{
    pthread_mutex_lock(&t->lock);
    while (!t->done) pthread_cond_wait(&t->cond, &t->lock);
    pthread_mutex_unlock(&t->lock);
}
static void start_ticks(void *arg)
{
    struct ticks *t = arg;
    struct hg_err err;
    assert_ok(hg_timer_start(loop, 1, tick, t, &t->timer, &err), err);
}
static void timers(void **state)
{
    (void)state;
    struct hg_err err;
    start();
    /* Started on the loop, and from outside. */
    struct ticks a = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER}, b = a;
    hg_loop_call(loop, start_ticks, &a);
    until_done(&a);
    start_ticks(&b);
    until_done(&b);
    assert_int_equal(a.n, 3);
    assert_int_equal(b.n, 3);
    /* Stopped before its first tick; and one left to the loop's end. */
    struct hg_timer *never, *left;
    assert_ok(hg_timer_start(loop, 3600000, note, NULL, &never, &err), err);
    assert_ok(hg_timer_start(loop, 3600000, note, NULL, &left, &err), err);
    hg_timer_stop(never);
    hg_timer_stop(NULL);
    assert_fails(hg_timer_start(loop, 0, note, NULL, &never, &err), HG_E_INVALID, err, "loop test: a timer of 0 ms");
    hg_loop_close(loop);
    assert_int_equal(n_order, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order), cmocka_unit_test(close_runs_what_was_posted), cmocka_unit_test(calls_wait),
        cmocka_unit_test(many_threads_post),  cmocka_unit_test(timers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
