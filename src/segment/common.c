#include "segment/common.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/metrics.h"

#define FIRST 1024u   /* texts of the first chunk; each holds twice as many as the one before, and none ever moves */
#define CHUNKS 22u
#define SPARE 65536u  /* texts that may be of no segment any more */
#define TEXT 48u      /* bytes that a new text is taken to cost */

struct place {
    uint32_t hash, number; /* number 0: free */
};

struct hg_common {
    char *name;
    uint32_t refs;       /* of ids and keepers */
    bool retired;        /* too many of its texts are of no segment: ids are made on a new one */
    uint64_t live;       /* dictionary entries mapped to it */
    uint32_t end;        /* numbers given out are less */
    struct hg_str *chunk[CHUNKS];
    struct place *places; /* open addressing */
    uint32_t mask;
    struct hg_arena *bytes;
    size_t counted;
};

struct ids {
    struct hg_common_ids base;
    uint32_t refs;
    uint32_t number[];
};

/* Guards everything below and in it, except texts and numbers: those do not change once they are handed out. */
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static struct hg_map *current; /* by name; those that are not retired */
static size_t limit = (size_t)256 << 20, total;

static void add_total(int64_t bytes)
{
    total += (size_t)bytes;
    hg_metric_add(HG_M_query_texts, NULL, bytes);
}

/* ---- texts ---- */

static void chunk_of(uint32_t number, uint32_t *chunk, uint32_t *at)
{
    uint32_t v = number / FIRST + 1;
    *chunk = 31u - (uint32_t)__builtin_clz(v);
    *at = number - ((1u << *chunk) - 1) * FIRST;
}

struct hg_str hg_common_text(const struct hg_common *c, uint32_t number)
{
    uint32_t chunk, at;
    if (number == 0) return (struct hg_str){0, 0};
    chunk_of(number, &chunk, &at);
    return c->chunk[chunk][at];
}

uint32_t hg_common_end(const struct hg_common *c)
{
    pthread_mutex_lock(&mu);
    uint32_t n = c->end;
    pthread_mutex_unlock(&mu);
    return n;
}

static void count(struct hg_common *c, size_t bytes)
{
    c->counted += bytes;
    add_total((int64_t)bytes);
}

static bool grow_places(struct hg_common *c)
{
    uint32_t n = c->places ? (c->mask + 1) * 2 : 4 * FIRST;
    struct place *p = calloc(n, sizeof *p);
    if (!p) return false;
    for (uint32_t k = 0; c->places && k <= c->mask; k++) {
        if (!c->places[k].number) continue;
        uint32_t at = c->places[k].hash & (n - 1);
        while (p[at].number) at = (at + 1) & (n - 1);
        p[at] = c->places[k];
    }
    count(c, (c->places ? n / 2 : n) * sizeof *p);
    free(c->places);
    c->places = p;
    c->mask = n - 1;
    return true;
}

static bool put_text(struct hg_common *c, uint32_t number, struct hg_str s)
{
    uint32_t chunk, at;
    chunk_of(number, &chunk, &at);
    if (chunk >= CHUNKS) return false;
    if (!c->chunk[chunk]) {
        size_t bytes = ((size_t)FIRST << chunk) * sizeof **c->chunk;
        if (!(c->chunk[chunk] = malloc(bytes))) return false;
        count(c, bytes);
    }
    const char *z = hg_arena_strndup(c->bytes, s.p, s.len);
    if (!z) return false;
    count(c, s.len + 1);
    c->chunk[chunk][at] = (struct hg_str){z, s.len};
    return true;
}

/* The number of s, a new one if need be; 0: no memory. */
static uint32_t number_of(struct hg_common *c, struct hg_str s)
{
    if (!c->places || c->end > c->mask / 2) {
        if (!grow_places(c)) return 0;
    }
    uint32_t hash = (uint32_t)hg_xxh3(s.p, s.len), at = hash & c->mask;
    for (; c->places[at].number; at = (at + 1) & c->mask)
        if (c->places[at].hash == hash && hg_str_eq(hg_common_text(c, c->places[at].number), s)) return c->places[at].number;
    if (!put_text(c, c->end, s)) return 0;
    c->places[at] = (struct place){hash, c->end};
    return c->end++;
}

/* ---- lives ---- */

static struct hg_common *common_new(const char *name)
{
    struct hg_common *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->end = 1;
    c->name = strdup(name);
    c->bytes = hg_arena_new(NULL);
    if (!current) current = hg_map_new();
    if (c->name && c->bytes && current && hg_map_put(current, name, c, NULL)) return c;
    hg_arena_free(c->bytes);
    free(c->name);
    free(c);
    return NULL;
}

static void retire(struct hg_common *c)
{
    if (!c->retired) hg_map_take(current, c->name);
    c->retired = true;
    if (c->refs) return;
    add_total(-(int64_t)c->counted);
    for (uint32_t k = 0; k < CHUNKS; k++) free(c->chunk[k]);
    free(c->places);
    hg_arena_free(c->bytes);
    free(c->name);
    free(c);
    if (hg_map_size(current)) return;
    hg_map_free(current, NULL);
    current = NULL;
}

static struct hg_common *common_for(const char *name)
{
    struct hg_common *c = current ? hg_map_get(current, name) : NULL;
    if (c && c->end > 2 * c->live + SPARE) {
        retire(c);
        c = NULL;
    }
    return c ? c : common_new(name);
}

static void ids_drop(struct ids *m)
{
    if (--m->refs) return;
    struct hg_common *c = m->base.of;
    c->live -= m->base.card;
    c->refs--;
    add_total(-(int64_t)(sizeof *m + m->base.card * sizeof *m->number));
    free(m);
    if (!c->refs) retire(c);
}

static struct ids *ids_new(struct hg_common_slot *slot, const char *name, const struct hg_dict *dict)
{
    size_t bytes = sizeof(struct ids) + dict->card * sizeof(uint32_t);
    if (total + bytes + (size_t)dict->card * TEXT > limit) return NULL;
    struct hg_common *c = common_for(name);
    struct ids *m = c ? malloc(bytes) : NULL;
    if (!m) {
        if (c && !c->refs) retire(c);
        return NULL;
    }
    m->base = (struct hg_common_ids){c, dict->card, m->number};
    m->refs = 1;
    c->refs++;
    c->live += dict->card;
    add_total((int64_t)bytes);
    struct hg_buf scratch;
    hg_buf_init(&scratch, SIZE_MAX);
    bool ok = true;
    m->number[0] = 0;
    for (uint32_t id = 1; ok && id < dict->card; id++) {
        m->number[id] = number_of(c, hg_dict_get(dict, id, &scratch));
        ok = m->number[id] && !scratch.failed && total <= limit;
    }
    hg_buf_free(&scratch);
    if (ok) return m;
    slot->refused = true;
    ids_drop(m);
    return NULL;
}

const struct hg_common_ids *hg_common_acquire(struct hg_common_slot *slot, const char *name, const struct hg_dict *dict, bool make)
{
    pthread_mutex_lock(&mu);
    struct ids *m = (struct ids *)slot->ids;
    if (make && !slot->refused && (!m || m->base.of->retired)) {
        struct ids *fresh = ids_new(slot, name, dict);
        if (fresh && m) ids_drop(m);
        if (fresh) m = fresh;
        slot->ids = (struct hg_common_ids *)m;
    }
    if (m) m->refs++;
    pthread_mutex_unlock(&mu);
    return m ? &m->base : NULL;
}

void hg_common_release(const struct hg_common_ids *ids)
{
    if (!ids) return;
    pthread_mutex_lock(&mu);
    ids_drop((struct ids *)(uintptr_t)ids);
    pthread_mutex_unlock(&mu);
}

void hg_common_keep(const struct hg_common *c)
{
    pthread_mutex_lock(&mu);
    ((struct hg_common *)(uintptr_t)c)->refs++;
    pthread_mutex_unlock(&mu);
}

void hg_common_drop(const struct hg_common *c)
{
    struct hg_common *mine = (struct hg_common *)(uintptr_t)c;
    if (!c) return;
    pthread_mutex_lock(&mu);
    if (--mine->refs == 0) retire(mine);
    pthread_mutex_unlock(&mu);
}

void hg_common_forget(struct hg_common_slot *slot)
{
    pthread_mutex_lock(&mu);
    if (slot->ids) ids_drop((struct ids *)slot->ids);
    slot->ids = NULL;
    pthread_mutex_unlock(&mu);
}

void hg_common_limit(size_t bytes)
{
    pthread_mutex_lock(&mu);
    limit = bytes;
    pthread_mutex_unlock(&mu);
}

size_t hg_common_bytes(void)
{
    pthread_mutex_lock(&mu);
    size_t n = total;
    pthread_mutex_unlock(&mu);
    return n;
}
