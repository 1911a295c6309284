/* Memory for trees that are soon let go of. A tree of a query is a hundred small allocations, or thousands for a list; here they are cut one after the other from a slot, and the slot is free again
 * with the last of them. A tree that lives longer than meant only keeps its slot; when no slot is left, or one is used up, memory comes from malloc as ever.
 *
 * jansson's memory functions are ours for this, from before the first call of it. Which memory is of a slot is told by its address: all slots lie in one reserved range, of which only what
 * is touched is memory. Only the reading of a tree takes from a slot; what jansson makes otherwise (texts that are written, which callers free()) is malloc's. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/json_private.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h> /* who looks at a tree that is gone is told so, as with malloc's memory */
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum { SMALL = 16 << 10, LARGE = 256 << 10, N_SMALL = 64, N_LARGE = 32, SMALL_TEXT = 1200, LARGE_TEXT = 40 << 10 };
#define ALL ((size_t)N_SMALL * SMALL + (size_t)N_LARGE * LARGE)
#define OPEN ((int64_t)1 << 40) /* in `live` while it is taken from: more than all pieces */

struct slot {
    _Atomic int64_t live; /* pieces that are not given back */
    struct slot *next;    /* free ones */
    char *end;
};
static struct {
    char *base;         /* NULL: there is no range */
    pthread_mutex_t mu; /* guards the lists */
    struct slot *free[2];
} pool = {.mu = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct { struct slot *slot; char *at; int64_t made; } open_slot;

static bool is_large(const struct slot *s) { return (size_t)((const char *)s - pool.base) >= (size_t)N_SMALL * SMALL; }
static char *room_of(struct slot *s) { return (char *)s + ((sizeof *s + 63) & ~(size_t)63); }

static void put_back(struct slot *s)
{
    struct slot **list = &pool.free[is_large(s)];
    POISON(room_of(s), (size_t)(s->end - room_of(s)));
    pthread_mutex_lock(&pool.mu);
    s->next = *list;
    *list = s;
    pthread_mutex_unlock(&pool.mu);
}

static void *take(size_t n)
{
    size_t room = (n + 15) & ~(size_t)15;
    struct slot *s = open_slot.slot;
    if (!s || room < n || room > (size_t)(s->end - open_slot.at)) return malloc(n);
    void *p = open_slot.at;
    open_slot.at += room;
    open_slot.made++;
    return p;
}

static void give(void *p)
{
    uintptr_t at = (uintptr_t)p - (uintptr_t)pool.base; /* beyond ALL for what lies before the range, too */
    if (!pool.base || at >= ALL) {
        free(p);
        return;
    }
    size_t smalls = (size_t)N_SMALL * SMALL, from = at < smalls ? at / SMALL * SMALL : smalls + (at - smalls) / LARGE * LARGE;
    struct slot *s = (struct slot *)(void *)(pool.base + from);
    if (atomic_fetch_sub(&s->live, 1) == 1) put_back(s);
}

/* Before main: nothing has been made by jansson yet. */
__attribute__((constructor)) static void set_up(void)
{
    void *base = mmap(NULL, ALL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;
    pool.base = base;
    json_set_alloc_funcs(take, give);
}

/* Slots are listed as they are needed, so that the range is not touched at start. */
static struct slot *free_slot(bool large)
{
    static size_t begun[2];
    static const size_t most[2] = {N_SMALL, N_LARGE}, size[2] = {SMALL, LARGE};
    pthread_mutex_lock(&pool.mu);
    struct slot *s = pool.free[large];
    if (s) pool.free[large] = s->next;
    else if (pool.base && begun[large] < most[large]) {
        s = (struct slot *)(void *)(pool.base + (large ? (size_t)N_SMALL * SMALL : 0) + begun[large]++ * size[large]);
        s->end = (char *)s + size[large];
    }
    pthread_mutex_unlock(&pool.mu);
    return s;
}

void hg_json_pool_open(size_t text_len)
{
    open_slot.slot = text_len > LARGE_TEXT ? NULL : free_slot(text_len > SMALL_TEXT);
    if (!open_slot.slot) return;
    atomic_store(&open_slot.slot->live, OPEN);
    open_slot.at = room_of(open_slot.slot);
    UNPOISON(open_slot.at, (size_t)(open_slot.slot->end - open_slot.at));
    open_slot.made = 0;
}

void hg_json_pool_close(void)
{
    struct slot *s = open_slot.slot;
    open_slot.slot = NULL;
    int64_t rest = open_slot.made - OPEN;
    if (s && atomic_fetch_add(&s->live, rest) == -rest) put_back(s);
}
