/* Two generations of a map: when the younger is full it becomes the older one, and the older one is forgotten. What is asked for again moves to the younger. */
#include "broker/spans.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/hash.h"

struct hg_spans {
    pthread_mutex_t mu; /* guards both maps */
    struct hg_map *young, *old;
    size_t most; /* in each */
};

struct hg_spans *hg_spans_new(size_t most)
{
    struct hg_spans *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->young = hg_map_new();
    s->old = hg_map_new();
    s->most = most / 2 + 1;
    pthread_mutex_init(&s->mu, NULL);
    if (s->young && s->old) return s;
    hg_spans_free(s);
    return NULL;
}

void hg_spans_free(struct hg_spans *s)
{
    if (!s) return;
    hg_map_free(s->young, free);
    hg_map_free(s->old, free);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

static void turn(struct hg_spans *s)
{
    if (hg_map_size(s->young) < s->most) return;
    struct hg_map *fresh = hg_map_new();
    if (!fresh) return;
    hg_map_free(s->old, free);
    s->old = s->young;
    s->young = fresh;
}

static void put(struct hg_spans *s, const char *segid, struct hg_interval *iv) /* takes iv */
{
    void *before = NULL;
    turn(s);
    if (hg_map_size(s->young) >= s->most || !hg_map_put(s->young, segid, iv, &before)) before = iv;
    free(before);
}

void hg_spans_put(struct hg_spans *s, const char *segid, struct hg_interval times)
{
    struct hg_interval *iv = malloc(sizeof *iv);
    if (!iv) return;
    *iv = times;
    pthread_mutex_lock(&s->mu);
    put(s, segid, iv);
    pthread_mutex_unlock(&s->mu);
}

bool hg_spans_get(struct hg_spans *s, const char *segid, struct hg_interval *times)
{
    pthread_mutex_lock(&s->mu);
    struct hg_interval *iv = hg_map_get(s->young, segid);
    bool known = iv != NULL;
    if (known) {
        *times = *iv;
    } else if ((iv = hg_map_take(s->old, segid))) {
        known = true;
        *times = *iv;
        put(s, segid, iv);
    }
    pthread_mutex_unlock(&s->mu);
    return known;
}
