/* Messages to a loop are a list under a lock; one libevent event, made active from any thread, says that the list has something.
 * The loop takes the list whole and runs it, so what is posted meanwhile waits for the next turn and sockets are not starved. */
#include "base/loop.h"

#include <event2/event.h>
#include <event2/thread.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

struct message {
    void (*fn)(void *);
    void *arg;
};

struct list {
    struct message *at;
    size_t n, cap;
};

struct hg_timer {
    struct hg_timer *next, *prev; /* of the loop's list */
    struct hg_loop *loop;
    struct event *ev;
    void (*fn)(void *);
    void *arg;
};

struct hg_loop {
    struct event_base *base;
    struct event *wake;
    pthread_t thread;
    char name[16];
    pthread_mutex_t lock; /* guards all below; nothing is called while it is held */
    pthread_cond_t room;  /* the waiting list was taken */
    struct list waiting;
    bool told; /* wake is active, or the loop is about to look */
    bool closing;
    struct hg_timer *timers;
    struct list running; /* the loop's thread only */
};

static _Thread_local const struct hg_loop *current;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int threads_rc;
static void use_threads(void) { threads_rc = evthread_use_pthreads(); }

static bool take_list(struct hg_loop *l)
{
    pthread_mutex_lock(&l->lock);
    struct list t = l->waiting;
    l->waiting = l->running;
    l->waiting.n = 0;
    l->running = t;
    l->told = false;
    bool closing = l->closing;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    return closing;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_loop *l = arg;
    bool closing;
    do {
        closing = take_list(l);
        for (size_t i = 0; i < l->running.n; i++) l->running.at[i].fn(l->running.at[i].arg);
        /* While closing, what messages post in turn runs too; then the loop ends. */
    } while (closing && l->running.n);
    if (closing) event_base_loopbreak(l->base);
}

static void *run(void *arg)
{
    struct hg_loop *l = arg;
    current = l;
    pthread_setname_np(pthread_self(), l->name);
    event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static void destroy(struct hg_loop *l)
{
    while (l->timers) {
        struct hg_timer *t = l->timers;
        l->timers = t->next;
        event_free(t->ev);
        free(t);
    }
    if (l->wake) event_free(l->wake);
    if (l->base) event_base_free(l->base);
    pthread_cond_destroy(&l->room);
    pthread_mutex_destroy(&l->lock);
    free(l->waiting.at);
    free(l->running.at);
    free(l);
}

static bool list_grow(struct list *t)
{
    size_t cap = t->cap ? t->cap * 2 : 64;
    struct message *at = realloc(t->at, cap * sizeof *at);
    if (!at) return false;
    t->at = at;
    t->cap = cap;
    return true;
}

enum hg_rc hg_loop_new(const char *name, struct hg_loop **out, struct hg_err *err)
{
    pthread_once(&once, use_threads);
    if (threads_rc) return hg_fail(err, HG_E_UNSUPPORTED, "loop %s: libevent has no thread support", name);
    struct hg_loop *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "loop %s", name);
    snprintf(l->name, sizeof l->name, "%.15s", name);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->room, NULL);
    l->base = event_base_new();
    if (l->base) l->wake = event_new(l->base, -1, EV_PERSIST, on_wake, l);
    if (!l->wake || !list_grow(&l->waiting) || !list_grow(&l->running)) {
        destroy(l);
        return hg_fail(err, HG_E_NOMEM, "loop %s: no event base", name);
    }
    sigset_t all, keep;
    sigfillset(&all); /* signals are for the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &keep);
    int e = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &keep, NULL);
    if (e) {
        destroy(l);
        return hg_fail(err, HG_E_LIMIT, "loop %s: its thread could not be started: %s", name, strerrordesc_np(e));
    }
    *out = l;
    return HG_OK;
}

void hg_loop_close(struct hg_loop *l)
{
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_mutex_unlock(&l->lock);
    event_active(l->wake, EV_TIMEOUT, 1);
    pthread_join(l->thread, NULL);
    destroy(l);
}

struct event_base *hg_loop_base(struct hg_loop *l) { return l->base; }
bool hg_loop_here(const struct hg_loop *l) { return current == l; }

void hg_loop_post(struct hg_loop *l, void (*fn)(void *), void *arg)
{
    pthread_mutex_lock(&l->lock);
    while (l->waiting.n == l->waiting.cap && !list_grow(&l->waiting)) {
        /* No memory. Another thread can wait until the loop has taken the list; the loop itself has no way on: a lost message
         * would be a query that never ends. */
        if (current == l) {
            fprintf(stderr, "henge: loop %s: out of memory for a message\n", l->name);
            abort();
        }
        pthread_cond_wait(&l->room, &l->lock);
    }
    l->waiting.at[l->waiting.n++] = (struct message){fn, arg};
    bool tell = !l->told;
    l->told = true;
    pthread_mutex_unlock(&l->lock);
    if (tell) event_active(l->wake, EV_TIMEOUT, 1);
}

struct call {
    void (*fn)(void *);
    void *arg;
    pthread_mutex_t lock; /* guards done */
    pthread_cond_t cond;
    bool done;
};

static void do_call(void *arg)
{
    struct call *c = arg;
    c->fn(c->arg);
    pthread_mutex_lock(&c->lock);
    c->done = true;
    pthread_cond_signal(&c->cond); /* under the lock: c is on the waiter's stack, gone once it sees done */
    pthread_mutex_unlock(&c->lock);
}

void hg_loop_call(struct hg_loop *l, void (*fn)(void *), void *arg)
{
    if (hg_loop_here(l)) {
        fn(arg);
        return;
    }
    struct call c = {.fn = fn, .arg = arg};
    pthread_mutex_init(&c.lock, NULL);
    pthread_cond_init(&c.cond, NULL);
    hg_loop_post(l, do_call, &c);
    pthread_mutex_lock(&c.lock);
    while (!c.done) pthread_cond_wait(&c.cond, &c.lock);
    pthread_mutex_unlock(&c.lock);
    pthread_cond_destroy(&c.cond);
    pthread_mutex_destroy(&c.lock);
}

/* ---- timers ---- */

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct hg_timer *t = arg;
    t->fn(t->arg); /* may stop t: not touched after */
}

enum hg_rc hg_timer_start(struct hg_loop *l, int64_t period_ms, void (*fn)(void *), void *arg, struct hg_timer **out, struct hg_err *err)
{
    if (period_ms <= 0) return hg_fail(err, HG_E_INVALID, "loop %s: a timer of %" PRId64 " ms", l->name, period_ms);
    struct hg_timer *t = calloc(1, sizeof *t);
    if (t) t->ev = event_new(l->base, -1, EV_PERSIST, on_timer, t);
    if (!t || !t->ev) {
        free(t);
        return hg_fail(err, HG_E_NOMEM, "loop %s: a timer", l->name);
    }
    t->loop = l;
    t->fn = fn;
    t->arg = arg;
    struct timeval tv = {(time_t)(period_ms / 1000), (suseconds_t)(period_ms % 1000 * 1000)};
    /* Listed and handed out first: the first tick, on another thread, may already stop it. */
    *out = t;
    pthread_mutex_lock(&l->lock);
    t->next = l->timers;
    if (t->next) t->next->prev = t;
    l->timers = t;
    pthread_mutex_unlock(&l->lock);
    if (event_add(t->ev, &tv)) {
        *out = NULL;
        hg_timer_stop(t);
        return hg_fail(err, HG_E_NOMEM, "loop %s: a timer could not be added", l->name);
    }
    return HG_OK;
}

void hg_timer_stop(struct hg_timer *t)
{
    if (!t) return;
    struct hg_loop *l = t->loop;
    event_free(t->ev); /* from another thread this waits for a tick that is running */
    pthread_mutex_lock(&l->lock);
    if (t->prev) t->prev->next = t->next;
    else l->timers = t->next;
    if (t->next) t->next->prev = t->prev;
    pthread_mutex_unlock(&l->lock);
    free(t);
}
