/* The lookups of this process by name. One set for all roles in it, as the files in the data directory are. */
#include <pthread.h>
#include <stdlib.h>
#include "base/hash.h"
#include "lookup/lookup.h"

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER; /* guards `all` */
static struct hg_map *all;

struct hg_lookup *hg_lookup_find(const char *name)
{
    pthread_mutex_lock(&mu);
    struct hg_lookup *l = all ? hg_map_get(all, name) : NULL;
    if (l) hg_lookup_hold(l);
    pthread_mutex_unlock(&mu);
    return l;
}

static void drop(void *l) { hg_lookup_drop(l); }

enum hg_rc hg_lookup_need(const char *name, struct hg_arena *a, struct hg_lookup **out, struct hg_err *err)
{
    struct hg_lookup *l = hg_lookup_find(name);
    if (!l) return hg_fail(err, HG_E_INVALID, "there is no lookup called \"%.200s\"", name);
    enum hg_rc rc = hg_arena_on_free(a, drop, l, err);
    if (rc != HG_OK) return hg_lookup_drop(l), rc;
    *out = l;
    return HG_OK;
}

enum hg_rc hg_lookup_register(struct hg_lookup *l, struct hg_err *err)
{
    void *old = NULL;
    pthread_mutex_lock(&mu);
    if (!all) all = hg_map_new();
    bool ok = all && hg_map_put(all, hg_lookup_name(l), l, &old);
    pthread_mutex_unlock(&mu);
    if (!ok) {
        enum hg_rc rc = hg_fail(err, HG_E_NOMEM, "lookup %s", hg_lookup_name(l));
        hg_lookup_drop(l);
        return rc;
    }
    hg_lookup_drop(old);
    return HG_OK;
}

void hg_lookup_forget(const char *name)
{
    pthread_mutex_lock(&mu);
    struct hg_lookup *old = all ? hg_map_take(all, name) : NULL;
    if (all && !hg_map_size(all)) { /* nothing is left behind when the last one goes */
        hg_map_free(all, NULL);
        all = NULL;
    }
    pthread_mutex_unlock(&mu);
    hg_lookup_drop(old);
}

static int by_name(const void *a, const void *b) { return strcmp(hg_lookup_name(*(struct hg_lookup *const *)a), hg_lookup_name(*(struct hg_lookup *const *)b)); }

enum hg_rc hg_lookup_all(struct hg_arena *a, struct hg_lookup ***out, size_t *n, struct hg_err *err)
{
    const char *name;
    void *l;
    size_t pos = 0, k = 0;
    pthread_mutex_lock(&mu);
    size_t size = all ? hg_map_size(all) : 0;
    struct hg_lookup **v = hg_arena_array(a, size, sizeof *v);
    while (v && k < size && hg_map_each(all, &pos, &name, &l)) v[k++] = hg_lookup_hold(l);
    pthread_mutex_unlock(&mu);
    if (!v) return hg_arena_fail(a, "lookups", err);
    qsort(v, k, sizeof *v, by_name);
    *out = v;
    *n = k;
    return HG_OK;
}
