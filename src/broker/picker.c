#include "broker/picker.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define FADE_US 5e6           /* a server that is not asked: its time falls to 1/e in so long */
#define GAIN 0.3              /* weight of a time below the average */
#define BACKOFF_FIRST_US 250000
#define BACKOFF_MOST_US 10000000

#define CLASSES 256u
#define STEPS 96u             /* quarter octaves from 1 µs on: up to 16 s and more */
#define ENOUGH 20u            /* times without which a class is not judged */
#define FADE_AT 1000u         /* times in a class: from there on old ones lose weight */
#define UNKNOWN_FLOORS 20     /* a class not judged is late after so many floors */
#define BURST 10              /* hedges that may come at once */

struct server {
    double cost_us;
    int64_t asked_us;      /* when cost_us was valid */
    uint32_t items;
    uint32_t failures;     /* in a row */
    int64_t rest_until_us;
};
struct class { uint32_t n, step[STEPS]; };

struct hg_picker {
    struct hg_picker_options opt;
    pthread_mutex_t mu; /* guards all below */
    struct hg_map *servers;
    struct class classes[CLASSES];
    int64_t saved;      /* hedges that may be sent, in thousandths */
};

struct hg_picker *hg_picker_new(const struct hg_picker_options *o)
{
    struct hg_picker *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->opt = *o;
    p->servers = hg_map_new();
    p->saved = BURST * 1000;
    pthread_mutex_init(&p->mu, NULL);
    if (p->servers) return p;
    hg_picker_free(p);
    return NULL;
}

void hg_picker_free(struct hg_picker *p)
{
    if (!p) return;
    hg_map_free(p->servers, free);
    pthread_mutex_destroy(&p->mu);
    free(p);
}

/* ---- servers ---- */

static struct server *find(struct hg_picker *p, const char *name) /* NULL: no memory */
{
    struct server *s = hg_map_get(p->servers, name);
    if (s) return s;
    s = calloc(1, sizeof *s);
    if (!s || hg_map_put(p->servers, name, s, NULL)) return s;
    free(s);
    return NULL;
}

static double faded(const struct server *s, int64_t now_us)
{
    return now_us > s->asked_us ? s->cost_us * exp(-(double)(now_us - s->asked_us) / FADE_US) : s->cost_us;
}

struct hg_load hg_picker_load(struct hg_picker *p, const char *server, int64_t now_us)
{
    struct hg_load l = {0};
    pthread_mutex_lock(&p->mu);
    const struct server *s = hg_map_get(p->servers, server);
    if (s) l = (struct hg_load){faded(s, now_us), s->items, s->rest_until_us > now_us};
    pthread_mutex_unlock(&p->mu);
    return l;
}

bool hg_load_first(const struct hg_load *a, uint32_t extra_a, const struct hg_load *b, uint32_t extra_b)
{
    if (a->backed_off != b->backed_off) return b->backed_off;
    /* A server of which nothing is known costs as if it were fast, but not nothing: it is counted, too. */
    double x = (a->cost_us + 50) * ((double)a->items + extra_a + 1), y = (b->cost_us + 50) * ((double)b->items + extra_b + 1);
    return x <= y;
}

void hg_picker_began(struct hg_picker *p, const char *server, uint32_t items)
{
    pthread_mutex_lock(&p->mu);
    struct server *s = find(p, server);
    if (s) s->items += items;
    pthread_mutex_unlock(&p->mu);
}

static void note_time(struct server *s, double us, int64_t now_us)
{
    double was = faded(s, now_us);
    s->cost_us = us > was ? us : was + GAIN * (us - was);
    s->asked_us = now_us;
}

static void note_failure(struct server *s, int64_t now_us)
{
    int64_t rest = BACKOFF_FIRST_US;
    for (uint32_t i = 0; i < s->failures && rest < BACKOFF_MOST_US; i++) rest *= 2;
    s->rest_until_us = now_us + (rest < BACKOFF_MOST_US ? rest : BACKOFF_MOST_US);
    s->failures++;
}

void hg_picker_ended(struct hg_picker *p, const char *server, uint32_t items, int64_t took_us, enum hg_outcome how, int64_t now_us)
{
    pthread_mutex_lock(&p->mu);
    struct server *s = find(p, server);
    if (s) {
        s->items -= items < s->items ? items : s->items;
        if (how == HG_FAILED) note_failure(s, now_us);
        if (how == HG_DONE) s->failures = 0, s->rest_until_us = 0;
        /* What was given up would have taken longer still. */
        double each = (double)took_us / (items ? items : 1);
        if (how == HG_DONE || (how == HG_ABANDONED && each > faded(s, now_us))) note_time(s, each, now_us);
    }
    pthread_mutex_unlock(&p->mu);
}

/* ---- hedging ---- */

uint32_t hg_picker_class(int query_type, const char *datasource, uint32_t items)
{
    uint64_t size = items ? 64 - (uint64_t)__builtin_clzll(items) : 0;
    return (uint32_t)(hg_mix64(hg_xxh3(datasource, strlen(datasource)) ^ ((uint64_t)query_type << 8 | size)) % CLASSES);
}

static uint32_t step_of(int64_t us)
{
    if (us < 1) us = 1;
    uint32_t octave = 63 - (uint32_t)__builtin_clzll((uint64_t)us), quarter = octave >= 2 ? (uint32_t)((uint64_t)us >> (octave - 2) & 3) : 0;
    uint32_t k = octave * 4 + quarter;
    return k < STEPS ? k : STEPS - 1;
}
static int64_t step_end(uint32_t k) /* the first time past the step */
{
    uint32_t octave = k / 4, quarter = k % 4;
    return octave >= 2 ? (int64_t)(5 + quarter) << (octave - 2) : (int64_t)2 << octave;
}

void hg_picker_took(struct hg_picker *p, uint32_t class, int64_t took_us)
{
    pthread_mutex_lock(&p->mu);
    struct class *c = &p->classes[class % CLASSES];
    if (c->n >= FADE_AT) {
        c->n = 0;
        for (uint32_t k = 0; k < STEPS; k++) c->n += c->step[k] /= 2;
    }
    c->step[step_of(took_us)]++;
    c->n++;
    pthread_mutex_unlock(&p->mu);
}

int64_t hg_picker_late_us(struct hg_picker *p, uint32_t class)
{
    if (!p->opt.hedge) return INT64_MAX;
    int64_t floor_us = p->opt.floor_ms * 1000, late = floor_us * UNKNOWN_FLOORS;
    pthread_mutex_lock(&p->mu);
    const struct class *c = &p->classes[class % CLASSES];
    if (c->n >= ENOUGH) {
        uint64_t want = ((uint64_t)c->n * (uint64_t)p->opt.percentile + 99) / 100, sum = 0;
        uint32_t k = 0;
        while (k < STEPS - 1 && (sum += c->step[k]) < want) k++;
        late = step_end(k);
    }
    pthread_mutex_unlock(&p->mu);
    return late > floor_us ? late : floor_us;
}

void hg_picker_earn(struct hg_picker *p)
{
    pthread_mutex_lock(&p->mu);
    p->saved += p->opt.share;
    if (p->saved > BURST * 1000) p->saved = BURST * 1000;
    pthread_mutex_unlock(&p->mu);
}

bool hg_picker_spend(struct hg_picker *p)
{
    pthread_mutex_lock(&p->mu);
    bool may = p->saved >= 1000;
    if (may) p->saved -= 1000;
    pthread_mutex_unlock(&p->mu);
    return may;
}
