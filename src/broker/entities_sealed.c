/* Summaries of published segments, by segment id. A thread of its own looks what the view has, fetches what is not here (newest first, until the memory is used up; then only what
 * queries asked for, in place of what was asked for longest ago), and forgets what is published no more. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "broker/entities_private.h"
#include "cluster/entities.h"

#define LOOK_MS 1000       /* between two looks when nothing wakes us */
#define LEAST_MS 50        /* and at least, so that a storm of changes is one look */
#define RETRY_MS 1000      /* a segment that its holder did not have */
#define EVICTED_MS 60000   /* a summary that had to go is not fetched again at once */
#define FETCH_MS 10000
#define MOST_FETCHED 4096u /* segments between two looks */
#define MOST_ASKED 256u    /* of one server at a time */
#define MAX_COLUMNS 10000u /* distinct sets of columns that are kept */

struct slot {
    struct hg_sealed_held *held;     /* NULL: not here */
    int64_t wanted_ms, not_before_ms;
    uint64_t seen;                   /* the look that saw it published */
};

struct columns { uint32_t n; const char **names; };

struct hg_sealed_store {
    struct hg_view *view;
    struct hg_wire_client *wire;
    const struct hg_local *local; /* entities NULL: there is none */
    struct hg_budget *budget;
    pthread_t thread;
    bool running;
    pthread_mutex_t mu; /* guards all below, and the replies of fetches */
    pthread_cond_t wake;
    struct hg_map *slots, *columns;
    bool stop, wanted;
    uint64_t look;
    bool changed, evicted;    /* the thread's own: what is held is not what the index has; some of that had to go, whose memory the index keeps */
    struct hg_sealed_held *retired; /* the thread's own: of lent memory, which this thread is to give back, for that may remove a file */
    pthread_mutex_t index_mu; /* guards which index is the newest; held for a few instructions */
    struct hg_sealed_index *index;
};

/* ---- what is held ---- */

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static struct columns *columns_new(const struct hg_sealed_entities *m)
{
    size_t bytes = sizeof(struct columns) + m->n_columns * sizeof(char *);
    for (uint32_t i = 0; i < m->n_columns; i++) bytes += m->columns[i].len + 1;
    struct columns *c = malloc(bytes);
    if (!c) return NULL;
    c->n = m->n_columns;
    c->names = (const char **)(void *)(c + 1);
    char *p = (char *)(c->names + c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        c->names[i] = p;
        memcpy(p, m->columns[i].p, m->columns[i].len);
        p[m->columns[i].len] = 0;
        p += m->columns[i].len + 1;
    }
    qsort(c->names, c->n, sizeof *c->names, by_name);
    return c;
}

/* One copy of equal lists: a hundred thousand segments have few schemas. Under mu. NULL: no memory, or too many. */
static const struct columns *intern(struct hg_sealed_store *s, const struct hg_sealed_entities *m)
{
    struct hg_buf key;
    hg_buf_init(&key, 1 << 24);
    for (uint32_t i = 0; i < m->n_columns; i++) {
        if (memchr(m->columns[i].p, 0, m->columns[i].len)) key.failed = true;
        hg_buf_printf(&key, "%zu:%.*s", m->columns[i].len, (int)m->columns[i].len, m->columns[i].p);
    }
    hg_buf_u8(&key, 0);
    struct columns *c = key.failed ? NULL : hg_map_get(s->columns, (const char *)key.p);
    if (!key.failed && !c && hg_map_size(s->columns) < MAX_COLUMNS && (c = columns_new(m)) && !hg_map_put(s->columns, (const char *)key.p, c, NULL)) {
        free(c);
        c = NULL;
    }
    hg_buf_free(&key);
    return c;
}

/* The summaries are looked into here; one that is bad makes the whole unknown. lent: they stay where they are; NULL: they are copied. */
static struct hg_sealed_held *held_new(const struct hg_sealed_entities *m, const struct hg_local *local, void *lent, struct hg_err *err)
{
    size_t bytes = sizeof(struct hg_sealed_held) + m->n_dims * sizeof(struct hg_sealed_dim_held) + m->id.len + 1;
    for (uint32_t i = 0; i < m->n_dims; i++) bytes += m->dims[i].name.len + 1 + (lent ? 0 : m->dims[i].summary.len);
    struct hg_sealed_held *h = malloc(bytes);
    if (!h) return hg_fail(err, HG_E_NOMEM, "entities of a segment"), NULL;
    *h = (struct hg_sealed_held){.refs = 1, .bytes = bytes, .times = m->times, .n_dims = m->n_dims, .dims = (struct hg_sealed_dim_held *)(void *)(h + 1), .hash = hg_xxh3(m->id.p, m->id.len)};
    uint8_t *p = (uint8_t *)(h->dims + m->n_dims);
    h->id = (const char *)p;
    memcpy(p, m->id.p, m->id.len);
    p[m->id.len] = 0;
    p += m->id.len + 1;
    for (uint32_t i = 0; i < m->n_dims; i++) {
        struct hg_span b = m->dims[i].summary;
        struct hg_sealed_dim_held *d = &h->dims[i];
        d->name = (const char *)p;
        d->bytes = b.len;
        memcpy(p, m->dims[i].name.p, m->dims[i].name.len);
        p[m->dims[i].name.len] = 0;
        p += m->dims[i].name.len + 1;
        if (b.len && !lent) memcpy(p, b.p, b.len);
        if (hg_entity_open(lent ? b : (struct hg_span){p, b.len}, &d->sum, err)) {
            free(h);
            return NULL;
        }
        if (!lent) p += b.len;
    }
    h->local = local;
    h->lent = lent;
    return h;
}

/* The dimensions' names are those in the list of columns, so that who has found one there need not compare again. */
static void share_names(struct hg_sealed_held *h)
{
    for (uint32_t i = 0; i < h->n_dims; i++) {
        const char *const *own = bsearch(&h->dims[i].name, h->columns, h->n_columns, sizeof *h->columns, by_name);
        if (own) h->dims[i].name = *own;
    }
}

static void slot_free(void *v)
{
    struct slot *k = v;
    hg_sealed_held_release(k->held);
    free(k);
}

/* Under mu. */
static void let_go(struct hg_sealed_store *s, struct slot *k)
{
    if (!k->held) return;
    hg_budget_give(s->budget, k->held->bytes);
    hg_metric_add(HG_M_entity_summaries, NULL, -1);
    hg_metric_add(HG_M_entity_summary_bytes, NULL, -(int64_t)k->held->bytes);
    if (k->held->lent) {
        k->held->next = s->retired;
        s->retired = k->held;
    } else {
        hg_sealed_held_release(k->held);
    }
    k->held = NULL;
    s->changed = true;
}

/* What nobody looks at any more. */
static void give_back(struct hg_sealed_store *s)
{
    for (struct hg_sealed_held **at = &s->retired, *h; (h = *at);) {
        if (h->refs > 1) {
            at = &h->next;
            continue;
        }
        *at = h->next;
        hg_sealed_held_release(h);
    }
}

struct hg_sealed_index *hg_sealed_store_pin(struct hg_sealed_store *s)
{
    pthread_mutex_lock(&s->index_mu);
    struct hg_sealed_index *x = hg_sealed_index_hold(s->index);
    pthread_mutex_unlock(&s->index_mu);
    return x;
}

void hg_sealed_store_want(struct hg_sealed_store *s, const char *segid)
{
    if (pthread_mutex_trylock(&s->mu)) return; /* the store is at work; the next query wants it, too, and nobody waits for this one */
    struct slot *k = hg_map_get(s->slots, segid);
    if (k && !k->held) {
        k->wanted_ms = hg_clock_mono_ms();
        if (!s->wanted) pthread_cond_broadcast(&s->wake);
        s->wanted = true;
    }
    pthread_mutex_unlock(&s->mu);
}

/* Queries see from now on what is held now. Without memory they see what was held before, and it is tried again. On the store's thread, which alone changes the slots: it reads without the lock. */
static void show(struct hg_sealed_store *s)
{
    const char *id;
    void *v;
    struct hg_sealed_index *x = s->changed ? hg_sealed_index_new(hg_map_size(s->slots)) : NULL;
    if (!x) return;
    for (size_t pos = 0; hg_map_each(s->slots, &pos, &id, &v);)
        if (((struct slot *)v)->held) hg_sealed_index_put(x, ((struct slot *)v)->held);
    s->changed = s->evicted = false;
    pthread_mutex_lock(&s->index_mu);
    struct hg_sealed_index *before = s->index;
    s->index = x;
    pthread_mutex_unlock(&s->index_mu);
    hg_sealed_index_release(before);
}

/* ---- memory ---- */

struct use { int64_t ms; struct slot *slot; };
static int by_use(const void *a, const void *b)
{
    const struct use *x = a, *y = b;
    return (x->ms > y->ms) - (x->ms < y->ms);
}

/* Lets go what was asked for longest ago, and before `before_ms`: a sixteenth of all, so that it is not done for each. Under mu. */
static void evict(struct hg_sealed_store *s, int64_t before_ms)
{
    size_t n = 0, size = hg_map_size(s->slots);
    struct use *all = malloc((size + 1) * sizeof *all);
    const char *id;
    void *v;
    for (size_t pos = 0; all && hg_map_each(s->slots, &pos, &id, &v);) {
        struct slot *k = v;
        int64_t used = k->held ? k->held->used_ms : before_ms; /* queries change it meanwhile */
        if (used < before_ms) all[n++] = (struct use){used, k};
    }
    if (n) qsort(all, n, sizeof *all, by_use);
    for (size_t i = 0; i < n / 16 + 1 && i < n; i++) {
        let_go(s, all[i].slot);
        all[i].slot->not_before_ms = hg_clock_mono_ms() + EVICTED_MS;
        s->evicted = true;
    }
    free(all);
}

/* Takes h, or (false) leaves it to the caller. Under mu. */
static bool keep(struct hg_sealed_store *s, struct slot *k, struct hg_sealed_held *h)
{
    struct hg_err err;
    if (k->held) return false;
    enum hg_rc rc = hg_budget_take(s->budget, h->bytes, &err);
    if (rc && k->wanted_ms) {
        evict(s, k->wanted_ms);
        rc = hg_budget_take(s->budget, h->bytes, &err);
    }
    if (rc) {
        k->not_before_ms = hg_clock_mono_ms() + EVICTED_MS;
        return false;
    }
    k->held = h;
    s->changed = true;
    hg_metric_add(HG_M_entity_summaries, NULL, 1);
    hg_metric_add(HG_M_entity_summary_bytes, NULL, (int64_t)h->bytes);
    return true;
}

/* ---- fetching ---- */

struct message { struct message *next; size_t len; uint8_t bytes[]; };
struct fetch { /* one request; freed when it is done */
    struct fetch *next;
    struct hg_sealed_store *s;
    const struct hg_server *server;
    const struct hg_target **t;
    uint32_t n, cap;
    struct hg_wire_call *call;
    struct message *first; /* guarded by the store's mutex */
    bool done;
    enum hg_rc rc;
    char why[200];
};

static void on_data(void *arg, struct hg_span body)
{
    struct fetch *f = arg;
    struct message *m = malloc(sizeof *m + body.len);
    if (!m) return; /* not known, then */
    m->len = body.len;
    if (body.len) memcpy(m->bytes, body.p, body.len);
    pthread_mutex_lock(&f->s->mu);
    m->next = f->first;
    f->first = m;
    pthread_mutex_unlock(&f->s->mu);
}

static void on_done(void *arg, enum hg_rc rc, const char *msg)
{
    struct fetch *f = arg;
    pthread_mutex_lock(&f->s->mu);
    f->done = true;
    f->rc = rc;
    snprintf(f->why, sizeof f->why, "%s", msg ? msg : "");
    pthread_cond_broadcast(&f->s->wake);
    pthread_mutex_unlock(&f->s->mu);
}

static const struct hg_server *holder_of(const struct hg_target *t, uint64_t turn)
{
    for (uint32_t i = 0; i < t->n_holders; i++) {
        const struct hg_holder *h = &t->holders[(turn + i) % t->n_holders];
        if (h->state == HG_SEG_SEALED && h->server->inventory_known) return h->server;
    }
    return NULL;
}

static bool put_target(struct hg_arena *a, struct fetch **list, struct hg_sealed_store *s, const struct hg_server *server, const struct hg_target *t)
{
    struct fetch *f = *list;
    while (f && strcmp(f->server->name, server->name) != 0) f = f->next;
    if (!f) {
        if (!(f = hg_arena_zalloc(a, sizeof *f)) || !(f->t = hg_arena_array(a, MOST_ASKED, sizeof *f->t))) return false;
        f->s = s;
        f->server = server;
        f->cap = MOST_ASKED;
        f->next = *list;
        *list = f;
    }
    if (f->n == f->cap) return false;
    f->t[f->n++] = t;
    return true;
}

static void send(struct fetch *f, struct hg_arena *a)
{
    struct hg_buf b;
    struct hg_str *ids = hg_arena_array(a, f->n, sizeof *ids);
    hg_buf_init(&b, 1 << 20);
    for (uint32_t i = 0; ids && i < f->n; i++) ids[i] = hg_str_of(f->t[i]->text);
    if (ids) hg_entity_request_put(&b, &(struct hg_entity_request){.what = HG_ENTITY_FETCH, .ids = ids, .n_ids = f->n});
    if (!ids || b.failed) on_done(f, HG_E_NOMEM, "no memory for a request");
    else f->call = hg_wire_request_send(f->s->wire, f->server->wire_address, HG_WIRE_ENTITIES, &b, FETCH_MS, (struct hg_wire_reply){on_data, on_done, f});
    hg_buf_free(&b);
}

static void put_off(struct hg_sealed_store *s, const char *id, int64_t ms)
{
    pthread_mutex_lock(&s->mu);
    struct slot *k = hg_map_get(s->slots, id);
    if (k && !k->held) k->not_before_ms = hg_clock_mono_ms() + ms;
    pthread_mutex_unlock(&s->mu);
}

/* Takes h. */
static void take_in(struct hg_sealed_store *s, struct hg_sealed_held *h, const struct hg_sealed_entities *e)
{
    pthread_mutex_lock(&s->mu);
    struct slot *k = hg_map_get(s->slots, h->id);
    const struct columns *c = k ? intern(s, e) : NULL;
    bool kept = false;
    if (c) {
        h->columns = c->names;
        h->n_columns = c->n;
        share_names(h);
        kept = keep(s, k, h);
    }
    pthread_mutex_unlock(&s->mu);
    if (!kept) hg_sealed_held_release(h);
}

static void take_message(struct hg_sealed_store *s, struct hg_arena *a, const struct fetch *f, const struct message *m)
{
    struct hg_sealed_entities e;
    struct hg_err err;
    char id[HG_SEGID_TEXT];
    if (hg_sealed_entities_read(a, (struct hg_span){m->bytes, m->len}, &e, &err)) {
        hg_log(HG_LOG_WARN, "entities", "message not understood", "server", HG_LS(f->server->name), "error", HG_LS(err.msg), NULL);
        return;
    }
    if (e.id.len >= sizeof id) return;
    memcpy(id, e.id.p, e.id.len);
    id[e.id.len] = 0;
    put_off(s, id, RETRY_MS); /* should nothing come of it */
    if (!e.served) return;
    struct hg_sealed_held *h = held_new(&e, NULL, NULL, &err);
    if (!h) {
        hg_log(HG_LOG_WARN, "entities", "summary not usable", "segment", HG_LS(id), "server", HG_LS(f->server->name), "error", HG_LS(err.msg), NULL);
        return;
    }
    take_in(s, h, &e);
}

/* After the reply. One that brought something may have been full: the rest is asked for at once. */
static void take_reply(struct hg_sealed_store *s, struct hg_arena *a, struct fetch *f)
{
    bool any = f->first != NULL;
    for (struct message *m = f->first, *next; m; m = next) {
        next = m->next;
        take_message(s, a, f, m);
        free(m);
    }
    f->first = NULL;
    if (f->rc && f->rc != HG_E_CANCELLED) hg_log(HG_LOG_DEBUG, "entities", "not fetched", "server", HG_LS(f->server->name), "error", HG_LS(f->why), NULL);
    for (uint32_t i = 0; i < f->n && (f->rc || !any); i++) put_off(s, f->t[i]->text, f->rc == HG_E_UNSUPPORTED ? EVICTED_MS : RETRY_MS);
    hg_wire_call_release(f->call);
}

static void fetch_all(struct hg_sealed_store *s, struct hg_arena *a, struct fetch *list)
{
    for (struct fetch *f = list; f; f = f->next) send(f, a);
    for (struct fetch *f = list; f; f = f->next) {
        pthread_mutex_lock(&s->mu);
        while (!f->done && !s->stop) pthread_cond_wait(&s->wake, &s->mu);
        bool stop = s->stop;
        pthread_mutex_unlock(&s->mu);
        if (stop) hg_wire_call_cancel(f->call);
        pthread_mutex_lock(&s->mu);
        while (!f->done) pthread_cond_wait(&s->wake, &s->mu);
        pthread_mutex_unlock(&s->mu);
        take_reply(s, a, f);
        if (s->evicted) show(s);
    }
}

/* ---- looking ---- */

static int newest_first(const void *a, const void *b)
{
    const struct hg_target *x = *(const struct hg_target *const *)a, *y = *(const struct hg_target *const *)b;
    return (x->id.interval.end < y->id.interval.end) - (x->id.interval.end > y->id.interval.end);
}

/* This process's own data server has it. */
static bool is_here(const struct hg_sealed_store *s, const struct hg_target *t)
{
    for (uint32_t i = 0; i < t->n_holders && s->local->entities; i++)
        if (t->holders[i].state == HG_SEG_SEALED && strcmp(t->holders[i].server->wire_address, s->local->address) == 0) return true;
    return false;
}

/* The summaries are used where they lie. False: they have to be fetched. */
static bool borrow(struct hg_sealed_store *s, const struct hg_target *t)
{
    struct hg_sealed_entities e;
    struct hg_err err;
    void *lent;
    if (!is_here(s, t)) return false;
    struct hg_arena *a = hg_arena_new(NULL);
    bool there = a && s->local->entities(s->local->arg, a, t->text, &e, &lent);
    struct hg_sealed_held *h = there ? held_new(&e, s->local, lent, &err) : NULL;
    if (h) take_in(s, h, &e);
    else if (there) s->local->let_go(s->local->arg, lent);
    hg_arena_free(a);
    return h != NULL;
}

static struct slot *slot_of(struct hg_sealed_store *s, const char *id)
{
    struct slot *k = hg_map_get(s->slots, id);
    if (k) return k;
    k = calloc(1, sizeof *k);
    if (k && hg_map_put(s->slots, id, k, NULL)) return k;
    free(k);
    return NULL;
}

/* What is not here and should be. Under mu. */
static bool missing(struct hg_sealed_store *s, const struct slot *k, int64_t now)
{
    if (k->held || now < k->not_before_ms) return false;
    int64_t used = atomic_load(&s->budget->used), limit = s->budget->limit;
    return k->wanted_ms || !limit || used < limit - limit / 16;
}

static void forget_unseen(struct hg_sealed_store *s)
{
    const char *id;
    void *v;
    struct hg_arena *a = hg_arena_new(NULL);
    const char **gone = a ? hg_arena_array(a, hg_map_size(s->slots) + 1, sizeof *gone) : NULL;
    size_t n = 0;
    for (size_t pos = 0; gone && hg_map_each(s->slots, &pos, &id, &v);)
        if (((struct slot *)v)->seen != s->look) gone[n++] = id;
    for (size_t i = 0; i < n; i++) {
        struct slot *k = hg_map_get(s->slots, gone[i]);
        let_go(s, k);
        char *key = hg_arena_strdup(a, gone[i]); /* the map's own goes with the entry */
        if (key) slot_free(hg_map_take(s->slots, key));
    }
    hg_arena_free(a);
}

/* Which of the published segments to fetch, each from whom. */
static enum hg_rc choose(struct hg_sealed_store *s, struct hg_arena *a, const struct hg_target *t, size_t n, struct fetch **out, bool *more, struct hg_err *err)
{
    const struct hg_target **want = hg_arena_array(a, n + 1, sizeof *want);
    if (!want) return hg_arena_fail(a, "entities", err);
    size_t k = 0, covered = 0, published = 0;
    int64_t now = hg_clock_mono_ms();
    pthread_mutex_lock(&s->mu);
    s->look++;
    s->wanted = false;
    for (size_t i = 0; i < n; i++) {
        if (i % 4096 == 4095) { /* queries ask meanwhile */
            pthread_mutex_unlock(&s->mu);
            pthread_mutex_lock(&s->mu);
        }
        struct slot *slot = t[i].published ? slot_of(s, t[i].text) : NULL;
        if (!slot) continue;
        slot->seen = s->look;
        published++;
        if (slot->held && slot->held->lent && !is_here(s, &t[i])) let_go(s, slot); /* it is to be dropped here, and its memory with it */
        covered += slot->held != NULL;
        if (missing(s, slot, now)) want[k++] = &t[i];
    }
    if (hg_map_size(s->slots) > published) forget_unseen(s);
    pthread_mutex_unlock(&s->mu);
    hg_metric_set(HG_M_entity_segments_missing, NULL, (int64_t)(published - covered));
    qsort(want, k, sizeof *want, newest_first);
    *more = k > MOST_FETCHED;
    uint64_t turn;
    if (getrandom(&turn, sizeof turn, 0) != sizeof turn) turn = 0;
    for (size_t i = 0; i < k && i < MOST_FETCHED; i++) {
        if (borrow(s, want[i])) continue;
        const struct hg_server *server = holder_of(want[i], turn % 1000 + i);
        if (server && !put_target(a, out, s, server, want[i])) *more = true;
    }
    return HG_OK;
}

/* One look. *more: there is more to do at once. */
static void look(struct hg_sealed_store *s, struct hg_snapshot *snap, bool *more)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_target *t;
    size_t n;
    struct fetch *list = NULL;
    struct hg_err err = {HG_E_NOMEM, "no memory"};
    *more = false;
    enum hg_rc rc = a ? hg_snapshot_segments(snap, a, NULL, &t, &n, &err) : HG_E_NOMEM;
    if (!rc) rc = choose(s, a, t, n, &list, more, &err);
    if (rc) hg_log(HG_LOG_WARN, "entities", "cannot look for summaries", "error", HG_LS(err.msg), NULL);
    else fetch_all(s, a, list);
    if (!list) *more = false;
    show(s);
    give_back(s);
    hg_arena_free(a);
}

/* Until it is time for another look; true: stop. */
static bool rest(struct hg_sealed_store *s, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&s->mu);
    while (!s->stop && pthread_cond_timedwait(&s->wake, &s->mu, &until) == 0) {}
    bool stop = s->stop;
    pthread_mutex_unlock(&s->mu);
    return stop;
}

static bool is_wanted(struct hg_sealed_store *s)
{
    pthread_mutex_lock(&s->mu);
    bool wanted = s->wanted || s->stop;
    pthread_mutex_unlock(&s->mu);
    return wanted;
}

static void *run(void *arg)
{
    struct hg_sealed_store *s = arg;
    for (;;) {
        int64_t begin = hg_clock_mono_ms();
        bool more;
        struct hg_snapshot *snap = hg_view_pin(s->view);
        uint64_t gen = hg_snapshot_generation(snap);
        look(s, snap, &more);
        hg_snapshot_release(snap);
        int64_t took = hg_clock_mono_ms() - begin;
        if (rest(s, more ? 0 : LEAST_MS + took)) return NULL; /* a look over many segments is not free */
        struct hg_err err;
        for (int64_t waited = 0; !more && waited < LOOK_MS && !is_wanted(s); waited += LEAST_MS * 2)
            if (hg_view_wait(s->view, gen, LEAST_MS * 2, &gen, &err) != HG_E_TIMEOUT) break;
    }
}

/* ---- life ---- */

enum hg_rc hg_sealed_store_start(struct hg_view *view, struct hg_wire_client *wire, const struct hg_local *local, struct hg_budget *budget, struct hg_sealed_store **out, struct hg_err *err)
{
    struct hg_sealed_store *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "entity store");
    s->view = view;
    s->wire = wire;
    s->local = local;
    s->budget = budget;
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_init(&s->index_mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &mono);
    pthread_condattr_destroy(&mono);
    s->slots = hg_map_new();
    s->columns = hg_map_new();
    s->index = hg_sealed_index_new(0);
    if (!s->slots || !s->columns || !s->index || pthread_create(&s->thread, NULL, run, s)) {
        hg_sealed_store_free(s);
        return hg_fail(err, HG_E_NOMEM, "entity store: no thread");
    }
    s->running = true;
    *out = s;
    return HG_OK;
}

void hg_sealed_store_stop(struct hg_sealed_store *s)
{
    if (!s || !s->running) return;
    pthread_mutex_lock(&s->mu);
    s->stop = true;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->mu);
    pthread_join(s->thread, NULL);
    s->running = false;
}

void hg_sealed_store_free(struct hg_sealed_store *s)
{
    if (!s) return;
    hg_sealed_store_stop(s);
    const char *id;
    void *v;
    for (size_t pos = 0; s->slots && hg_map_each(s->slots, &pos, &id, &v);) let_go(s, v);
    if (s->slots) hg_map_free(s->slots, slot_free);
    hg_sealed_index_release(s->index);
    give_back(s);
    if (s->columns) hg_map_free(s->columns, free);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->index_mu);
    pthread_mutex_destroy(&s->mu);
    free(s);
}
