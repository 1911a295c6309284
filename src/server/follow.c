#include "server/follow.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/u32set.h"
#include "segment/entity.h"
#include "segment/live.h"
#include "server/lease.h"

#define CHUNK 65536u      /* hashes of one message to a new follower */
#define MAX_RANGES 1000u  /* times that are told exactly */

struct follower {
    struct follower *next;
    uint64_t id;
    struct hg_wire_stream *st;
};

struct name {
    struct name *next;
    char id[];
};

struct dim {
    const char *name;
    uint32_t index;     /* in the schema */
    bool integers, has_null, lost;
    struct hg_u32set set;
    /* of the offer at hand; the writer's */
    struct hg_u32set fresh;
    bool fresh_null, fresh_lost;
};

struct hg_live_set {
    struct hg_live_set *next, **link;
    struct hg_follow *f;
    const struct hg_schema *schema;
    int64_t min_time;
    uint32_t most, n_dims;
    struct dim *dims;
    struct name *names;
    struct hg_interval *times;
    uint32_t n_times;
    bool exact;
};

struct hg_follow {
    pthread_mutex_t mu; /* guards all, the sets as well: their writers read what they alone change without it */
    pthread_cond_t confirmed;
    struct hg_leases *leases;
    struct follower *followers;
    struct hg_live_set *sets;
    uint64_t number; /* of what was told last */
    bool shut;
};

/* ---- life ---- */

enum hg_rc hg_follow_new(int64_t lease_ms, struct hg_follow **out, struct hg_err *err)
{
    struct hg_follow *f = calloc(1, sizeof *f);
    if (!f || !(f->leases = hg_leases_new(lease_ms, hg_clock_mono_ms()))) {
        free(f);
        return hg_fail(err, HG_E_NOMEM, "followers of entities");
    }
    pthread_mutex_init(&f->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&f->confirmed, &mono);
    pthread_condattr_destroy(&mono);
    *out = f;
    return HG_OK;
}

/* Takes the follower out; its lease stays. Under mu. */
static void drop(struct hg_follow *f, struct follower **p, enum hg_rc rc, const char *why)
{
    struct follower *w = *p;
    *p = w->next;
    hg_leases_close(f->leases, w->id);
    hg_wire_fail(w->st, rc, why);
    free(w);
}

void hg_follow_free(struct hg_follow *f)
{
    if (!f) return;
    while (f->followers) drop(f, &f->followers, HG_E_UNAVAILABLE, "the server is stopping");
    hg_leases_free(f->leases);
    pthread_cond_destroy(&f->confirmed);
    pthread_mutex_destroy(&f->mu);
    free(f);
}

/* ---- telling; under mu ---- */

static enum hg_rc send(struct follower *w, struct hg_buf *b, struct hg_err *err)
{
    HG_TRY(hg_buf_check(b, "live entities", err));
    return hg_wire_send(w->st, b, err);
}

/* To everybody. Who cannot take it is dropped, and may begin anew. */
static void tell(struct hg_follow *f, const struct hg_buf *items, uint32_t count, unsigned flags)
{
    f->number++;
    for (struct follower **p = &f->followers; *p;) {
        struct hg_err err = {HG_OK, ""};
        struct hg_buf b;
        hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
        hg_live_message_begin(&b, f->number, flags, count);
        hg_buf_put(&b, items->p, items->len);
        enum hg_rc rc = items->failed ? hg_fail(&err, HG_E_NOMEM, "no memory for live entities") : send(*p, &b, &err);
        hg_buf_free(&b);
        if (rc) drop(f, p, rc, err.msg);
        else p = &(*p)->next;
    }
}

static uint32_t put_begin(struct hg_buf *b, const struct hg_live_set *s, const char *id)
{
    struct hg_live_dim *dims = calloc(s->n_dims, sizeof *dims);
    if (!dims) {
        b->failed = true;
        return 0;
    }
    for (uint32_t i = 0; i < s->n_dims; i++) dims[i] = (struct hg_live_dim){hg_str_of(s->dims[i].name), s->dims[i].integers};
    hg_live_message_put(b, &(struct hg_live_item){.op = HG_LIVE_BEGIN, .id = hg_str_of(id), .dims = dims, .n_dims = s->n_dims});
    free(dims);
    return 1;
}

static uint32_t put_times(struct hg_buf *b, const struct hg_live_set *s, const char *id)
{
    hg_live_message_put(b, &(struct hg_live_item){.op = HG_LIVE_TIMES, .id = hg_str_of(id), .times = s->times, .n_times = s->n_times, .exact = s->exact});
    return 1;
}

static uint32_t put_hashes(struct hg_buf *b, const char *id, uint32_t dim, bool null, const struct hg_u32set *set, uint32_t *from)
{
    uint32_t n = 0, i = *from;
    struct hg_buf hashes;
    hg_buf_init(&hashes, (size_t)CHUNK * 4);
    for (; i < set->n_slots && n < CHUNK; i++)
        if (set->slots[i]) hg_buf_u32(&hashes, set->slots[i]), n++;
    *from = i;
    if (hashes.failed) b->failed = true;
    else if (n || null) hg_live_message_put(b, &(struct hg_live_item){.op = HG_LIVE_ADD, .id = hg_str_of(id), .dim = dim, .has_null = null, .hashes = hashes.p, .n_hashes = n});
    hg_buf_free(&hashes);
    return n || null;
}

/* All of a set under one id, in messages of bounded size: fn gets the items of each. */
static enum hg_rc each_message(const struct hg_live_set *s, const char *id, enum hg_rc (*fn)(void *arg, const struct hg_buf *items, uint32_t count, struct hg_err *err), void *arg,
                               struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
    uint32_t count = put_begin(&b, s, id) + put_times(&b, s, id);
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 0; k < s->n_dims && !rc; k++) {
        const struct dim *d = &s->dims[k];
        bool null = d->has_null && !d->lost;
        if (d->lost) {
            hg_live_message_put(&b, &(struct hg_live_item){.op = HG_LIVE_LOSE, .id = hg_str_of(id), .dim = k});
            count++;
        }
        for (uint32_t at = 0; !rc && (at < d->set.n_slots || null); null = false) {
            count += put_hashes(&b, id, k, null, &d->set, &at);
            if (b.len < CHUNK * 4) continue;
            rc = fn(arg, &b, count, err);
            hg_buf_clear(&b);
            count = 0;
        }
    }
    if (!rc && (count || b.failed)) rc = fn(arg, &b, count, err);
    hg_buf_free(&b);
    return rc;
}

struct one { struct hg_follow *f; struct follower *w; };

/* Part of the whole: it has no number of its own, for nothing is confirmed before the whole is there. */
static enum hg_rc to_one(void *arg, const struct hg_buf *items, uint32_t count, struct hg_err *err)
{
    struct one *o = arg;
    struct hg_buf b;
    hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
    hg_live_message_begin(&b, o->f->number, 0, count);
    hg_buf_put(&b, items->p, items->len);
    enum hg_rc rc = items->failed ? hg_fail(err, HG_E_NOMEM, "no memory for live entities") : send(o->w, &b, err);
    hg_buf_free(&b);
    return rc;
}

static enum hg_rc to_all(void *arg, const struct hg_buf *items, uint32_t count, struct hg_err *err)
{
    (void)err;
    tell(arg, items, count, 0);
    return HG_OK;
}

static enum hg_rc send_mark(struct hg_follow *f, struct follower *w, unsigned flags, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 1024);
    hg_live_message_begin(&b, f->number, flags, 0);
    enum hg_rc rc = send(w, &b, err);
    hg_buf_free(&b);
    return rc;
}

static enum hg_rc send_whole(struct hg_follow *f, struct follower *w, struct hg_err *err)
{
    HG_TRY(send_mark(f, w, HG_LIVE_FIRST, err));
    for (const struct hg_live_set *s = f->sets; s; s = s->next)
        for (const struct name *n = s->names; n; n = n->next) HG_TRY(each_message(s, n->id, to_one, &(struct one){f, w}, err));
    return send_mark(f, w, HG_LIVE_LAST, err);
}

/* ---- followers ---- */

static void forget_gone(struct hg_follow *f)
{
    for (struct follower **p = &f->followers; *p;) {
        if (hg_wire_cancelled((*p)->st)) drop(f, p, HG_E_CANCELLED, "the follower has gone");
        else p = &(*p)->next;
    }
}

void hg_follow_open(struct hg_follow *f, uint64_t follower, struct hg_wire_stream *st)
{
    struct hg_err err = {HG_E_NOMEM, "no memory for a follower of entities"};
    struct follower *w = calloc(1, sizeof *w);
    pthread_mutex_lock(&f->mu);
    forget_gone(f);
    enum hg_rc rc = !w ? HG_E_NOMEM : f->shut ? hg_fail(&err, HG_E_UNAVAILABLE, "the server is stopping") : hg_leases_open(f->leases, follower, &err);
    if (!rc) {
        *w = (struct follower){.id = follower, .st = st};
        rc = send_whole(f, w, &err);
        if (rc) hg_leases_close(f->leases, follower);
    }
    if (!rc) {
        w->next = f->followers;
        f->followers = w;
    } else {
        hg_wire_fail(st, rc, err.msg);
        free(w);
    }
    pthread_mutex_unlock(&f->mu);
}

void hg_follow_confirm(struct hg_follow *f, uint64_t follower, uint64_t sequence, struct hg_wire_stream *st)
{
    struct hg_err err;
    struct hg_buf b;
    pthread_mutex_lock(&f->mu);
    bool granted = sequence <= f->number && hg_leases_confirm(f->leases, follower, sequence, hg_clock_mono_ms());
    pthread_cond_broadcast(&f->confirmed);
    pthread_mutex_unlock(&f->mu);
    hg_buf_init(&b, 16);
    hg_buf_u8(&b, granted);
    enum hg_rc rc = hg_wire_send(st, &b, &err);
    hg_buf_free(&b);
    if (rc) hg_wire_fail(st, rc, err.msg);
    else hg_wire_end(st);
}

/* Under mu, which is given up while waiting. */
static void wait_shown(struct hg_follow *f, uint64_t number)
{
    int64_t at, begin = hg_clock_mono_ms();
    if (hg_leases_show(f->leases, number, begin, &at)) return;
    while (!hg_leases_show(f->leases, number, hg_clock_mono_ms(), &at)) {
        struct timespec until = {at / 1000, at % 1000 * 1000000};
        pthread_cond_timedwait(&f->confirmed, &f->mu, &until);
    }
    hg_metric_observe_ms(HG_M_ingest_entity_wait_ms, NULL, (double)(hg_clock_mono_ms() - begin));
}

void hg_follow_wait(struct hg_follow *f, uint64_t number)
{
    if (!f || !number) return;
    pthread_mutex_lock(&f->mu);
    if (!f->shut) wait_shown(f, number);
    pthread_mutex_unlock(&f->mu);
}

void hg_follow_shut(struct hg_follow *f)
{
    static const struct hg_buf nothing;
    if (!f) return;
    pthread_mutex_lock(&f->mu);
    if (!f->shut) {
        tell(f, &nothing, 0, HG_LIVE_FIRST | HG_LIVE_LAST);
        f->shut = true; /* no new followers; those there are know nothing that could be wrong */
        if (hg_leases_held(f->leases, hg_clock_mono_ms())) wait_shown(f, f->number);
    }
    pthread_mutex_unlock(&f->mu);
}

/* ---- sets ---- */

enum hg_rc hg_live_set_new(struct hg_follow *f, const struct hg_schema *schema, int64_t min_time, uint32_t most, struct hg_live_set **out, struct hg_err *err)
{
    *out = NULL;
    if (!f || !hg_schema_has_entities(schema)) return HG_OK;
    struct hg_live_set *s = calloc(1, sizeof *s);
    struct dim *dims = calloc(schema->n_dims, sizeof *dims);
    if (!s || !dims) {
        free(s);
        free(dims);
        return hg_fail(err, HG_E_NOMEM, "live entities");
    }
    *s = (struct hg_live_set){.f = f, .schema = schema, .min_time = min_time, .most = most, .dims = dims, .exact = true};
    for (uint32_t i = 0; i < schema->n_dims; i++)
        if (hg_schema_is_entity(schema, i)) dims[s->n_dims++] = (struct dim){.name = schema->dims[i].name, .index = i, .integers = schema->dims[i].type == HG_T_LONG};
    pthread_mutex_lock(&f->mu);
    s->next = f->sets;
    s->link = &f->sets;
    if (s->next) s->next->link = &s->next;
    f->sets = s;
    pthread_mutex_unlock(&f->mu);
    *out = s;
    return HG_OK;
}

/* False: it was not named so. Under mu. */
static bool take_name(struct hg_live_set *s, const char *id)
{
    struct name **p = &s->names;
    while (*p && strcmp((*p)->id, id) != 0) p = &(*p)->next;
    struct name *n = *p;
    if (!n) return false;
    *p = n->next;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    hg_live_message_put(&b, &(struct hg_live_item){.op = HG_LIVE_END, .id = hg_str_of(id)});
    if (!s->f->shut) tell(s->f, &b, 1, 0);
    hg_buf_free(&b);
    free(n);
    return true;
}

void hg_live_set_free(struct hg_live_set *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->f->mu);
    while (s->names) take_name(s, s->names->id);
    if (s->next) s->next->link = s->link;
    *s->link = s->next;
    pthread_mutex_unlock(&s->f->mu);
    for (uint32_t i = 0; i < s->n_dims; i++) {
        hg_u32set_free(&s->dims[i].set);
        hg_u32set_free(&s->dims[i].fresh);
    }
    free(s->dims);
    free(s->times);
    free(s);
}

static bool is_empty(const struct hg_live_set *s)
{
    for (uint32_t k = 0; k < s->n_dims; k++)
        if (s->dims[k].set.n || s->dims[k].has_null || s->dims[k].lost) return false;
    return true;
}

enum hg_rc hg_live_set_name(struct hg_live_set *s, const char *id, struct hg_err *err)
{
    if (!s) return HG_OK;
    size_t len = strlen(id) + 1;
    struct name *n = malloc(sizeof *n + len);
    if (!n) return hg_fail(err, HG_E_NOMEM, "live entities of %s", id);
    memcpy(n->id, id, len);
    pthread_mutex_lock(&s->f->mu);
    n->next = s->names;
    s->names = n;
    enum hg_rc rc = s->f->shut ? HG_OK : each_message(s, id, to_all, s->f, err);
    /* A sink that has rows already: they are shown under the new id as soon as it is announced, so what is in it must have been taken in. */
    if (!rc && !s->f->shut && !is_empty(s)) wait_shown(s->f, s->f->number);
    pthread_mutex_unlock(&s->f->mu);
    return rc;
}

void hg_live_set_unname(struct hg_live_set *s, const char *id, bool wait)
{
    if (!s) return;
    pthread_mutex_lock(&s->f->mu);
    if (take_name(s, id) && wait && !s->f->shut && hg_leases_held(s->f->leases, hg_clock_mono_ms())) wait_shown(s->f, s->f->number);
    pthread_mutex_unlock(&s->f->mu);
}

/* ---- rows ---- */

static void note(void *arg, const struct hg_entity_key *k)
{
    struct dim *d = arg;
    struct hg_err err;
    bool fresh;
    if (k->null) {
        d->fresh_null = d->fresh_null || !d->has_null;
        return;
    }
    uint32_t h = hg_live_hash_of(k->hash);
    if (!hg_u32set_has(&d->set, h) && hg_u32set_add(&d->fresh, h, &fresh, &err)) d->fresh_lost = true;
}

static void note_rows(struct hg_live_set *s, struct dim *d, const struct hg_row *rows, size_t n)
{
    hg_u32set_free(&d->fresh);
    d->fresh_null = d->fresh_lost = false;
    for (size_t i = 0; i < n && !d->lost && !d->fresh_lost; i++) hg_live_entities(s->schema, d->index, &rows[i], note, d);
    if (d->set.n + (uint64_t)d->fresh.n > s->most) d->fresh_lost = true;
}

/* What is new in d goes into its set; under mu. */
static void take_fresh(struct dim *d)
{
    struct hg_err err;
    bool fresh;
    d->has_null = d->has_null || d->fresh_null;
    for (uint32_t i = 0; i < d->fresh.n_slots && !d->fresh_lost; i++)
        if (d->fresh.slots[i] && hg_u32set_add(&d->set, d->fresh.slots[i], &fresh, &err)) d->fresh_lost = true;
    if (!d->fresh_lost) return;
    d->lost = true;
    hg_u32set_free(&d->set);
}

static uint32_t put_fresh(const struct hg_live_set *s, const char *id, struct hg_buf *b)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < s->n_dims; k++) {
        const struct dim *d = &s->dims[k];
        if (d->fresh_lost) {
            hg_live_message_put(b, &(struct hg_live_item){.op = HG_LIVE_LOSE, .id = hg_str_of(id), .dim = k});
            count++;
            continue;
        }
        bool null = d->fresh_null;
        for (uint32_t at = 0; at < d->fresh.n_slots || null; null = false) count += put_hashes(b, id, k, null, &d->fresh, &at);
    }
    return count;
}

/* The whole list of times, told to all under each name. Under mu. */
static void tell_times(struct hg_live_set *s)
{
    struct hg_buf b;
    uint32_t count = 0;
    hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
    for (const struct name *n = s->names; n; n = n->next) count += put_times(&b, s, n->id);
    if (!s->f->shut) tell(s->f, &b, count, 0);
    hg_buf_free(&b);
}

static int by_start(const void *a, const void *b)
{
    const struct hg_interval *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

/* Sorted, and those that meet made one. */
static uint32_t join(struct hg_interval *v, size_t n)
{
    uint32_t m = 0;
    qsort(v, n, sizeof *v, by_start);
    for (size_t i = 0; i < n; i++) {
        if (hg_interval_empty(v[i])) continue;
        if (!m || v[i].start > v[m - 1].end) v[m++] = v[i];
        else if (v[i].end > v[m - 1].end) v[m - 1].end = v[i].end;
    }
    return m;
}

/* Takes v. True: it is other than what was told. Under mu. */
static bool set_times(struct hg_live_set *s, struct hg_interval *v, size_t n)
{
    uint32_t m = v ? join(v, n) : 0;
    bool exact = v && m <= MAX_RANGES;
    if (!exact) m = 0;
    if (exact == s->exact && m == s->n_times && (m == 0 || memcmp(v, s->times, m * sizeof *v) == 0)) return free(v), false;
    free(s->times);
    s->times = v;
    s->n_times = m;
    s->exact = exact;
    return true;
}

void hg_live_set_times(struct hg_live_set *s, const struct hg_interval *times, size_t n)
{
    if (!s) return;
    struct hg_interval *v = malloc((n + 1) * sizeof *v);
    if (v && n) memcpy(v, times, n * sizeof *v);
    pthread_mutex_lock(&s->f->mu);
    if (set_times(s, v, n)) tell_times(s);
    pthread_mutex_unlock(&s->f->mu);
}

/* Times that the rows will have, before they have them; corrected afterwards. Under mu. */
static bool widen(struct hg_live_set *s, struct hg_interval rows)
{
    if (!s->exact) return false;
    struct hg_interval *v = malloc((s->n_times + (size_t)1) * sizeof *v);
    if (v && s->n_times) memcpy(v, s->times, s->n_times * sizeof *v);
    if (v) v[s->n_times] = rows;
    return set_times(s, v, s->n_times + (size_t)1);
}

void hg_live_set_offer(struct hg_live_set *s, const struct hg_row *rows, size_t n, uint64_t *number)
{
    if (!s || !n) return;
    struct hg_interval times = {INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < n; i++) {
        if (rows[i].time < times.start) times.start = rows[i].time;
        if (rows[i].time > times.end) times.end = rows[i].time;
    }
    times.start = hg_live_time(s->schema, s->min_time, times.start);
    times.end = hg_live_time(s->schema, s->min_time, times.end) + 1;
    bool any = false;
    for (uint32_t k = 0; k < s->n_dims; k++) {
        struct dim *d = &s->dims[k];
        note_rows(s, d, rows, n);
        any = any || d->fresh.n || d->fresh_null || d->fresh_lost;
    }
    struct hg_buf b;
    uint32_t count = 0;
    hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
    pthread_mutex_lock(&s->f->mu);
    if (widen(s, times)) tell_times(s);
    for (uint32_t k = 0; any && k < s->n_dims; k++) take_fresh(&s->dims[k]);
    for (const struct name *id = any ? s->names : NULL; id; id = id->next) count += put_fresh(s, id->id, &b);
    if (count && !s->f->shut) {
        tell(s->f, &b, count, 0);
        if (s->f->number > *number) *number = s->f->number;
    }
    pthread_mutex_unlock(&s->f->mu);
    hg_buf_free(&b);
    for (uint32_t k = 0; k < s->n_dims; k++) hg_u32set_free(&s->dims[k].fresh);
}
