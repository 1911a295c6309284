/* Budgets are a path of atomic counters; taking is add-then-check with undo, so two threads never both pass a limit that only one
 * of them fits in, at the price that a request can fail while another that fails is being undone.
 *
 * An arena is a list of chunks, newest first. Small requests are cut from the newest; a request too large for a fresh chunk of the
 * usual size gets a chunk of its own, put behind the newest, whose free room stays in use. Under ASan the free room is poisoned and
 * a gap kept after each piece, so that an overrun inside an arena is seen as on the heap. */
#include "base/mem.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define GAP ((size_t)16)
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define GAP ((size_t)0)
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN ((size_t)16)
#define CHUNK_FIRST ((size_t)4096)
#define CHUNK_MOST ((size_t)262144)

/* ---- budgets ---- */

void hg_budget_init(struct hg_budget *b, struct hg_budget *parent, const char *name, int64_t limit)
{
    b->parent = parent;
    b->name = name;
    b->limit = limit;
    atomic_init(&b->used, 0);
    atomic_init(&b->peak, 0);
}

static void give_up_to(struct hg_budget *b, const struct hg_budget *stop, int64_t n)
{
    for (; b != stop; b = b->parent) {
        int64_t before = atomic_fetch_sub_explicit(&b->used, n, memory_order_relaxed);
        assert(before >= n); /* gave back more than was taken */
        (void)before;
    }
}

/* NULL: taken everywhere. Otherwise the budget that is full, and nothing is taken. */
static const struct hg_budget *take(struct hg_budget *b, int64_t n)
{
    for (struct hg_budget *at = b; at; at = at->parent) {
        int64_t now = atomic_fetch_add_explicit(&at->used, n, memory_order_relaxed) + n;
        if (at->limit > 0 && now > at->limit) {
            atomic_fetch_sub_explicit(&at->used, n, memory_order_relaxed);
            give_up_to(b, at, n);
            return at;
        }
    }
    /* Peaks only now that it is taken. What others are trying may show in `used`; no more than the limit was ever held. */
    for (struct hg_budget *at = b; at; at = at->parent) {
        int64_t now = atomic_load_explicit(&at->used, memory_order_relaxed);
        if (at->limit > 0 && now > at->limit) now = at->limit;
        int64_t peak = atomic_load_explicit(&at->peak, memory_order_relaxed);
        while (now > peak && !atomic_compare_exchange_weak_explicit(&at->peak, &peak, now, memory_order_relaxed, memory_order_relaxed)) {}
    }
    return NULL;
}

static enum hg_rc full(const struct hg_budget *b, size_t n, const char *what, struct hg_err *err)
{
    int64_t used = atomic_load_explicit(&b->used, memory_order_relaxed);
    return hg_fail(err, HG_E_LIMIT, "%s: limit of %" PRId64 " bytes reached: %" PRId64 " in use, %zu more wanted%s%s", b->name ? b->name : "memory",
                   b->limit, used, n, what ? " for " : "", what ? what : "");
}

/* Beyond any machine's memory; keeps the sums of a few requests in flight inside int64. */
static bool absurd(size_t n) { return n > (size_t)(INT64_MAX / 64); }

enum hg_rc hg_budget_take(struct hg_budget *b, size_t n, struct hg_err *err)
{
    if (absurd(n)) return full(b, n, NULL, err);
    const struct hg_budget *which = take(b, (int64_t)n);
    return which ? full(which, n, NULL, err) : HG_OK;
}

void hg_budget_give(struct hg_budget *b, size_t n) { give_up_to(b, NULL, (int64_t)n); }

/* ---- arenas ---- */

struct chunk {
    struct chunk *next; /* older */
    size_t size;        /* of the whole allocation, counted in the budget */
};
#define HEAD ((sizeof(struct chunk) + ALIGN - 1) & ~(ALIGN - 1))

struct cleanup {
    struct cleanup *next; /* registered earlier */
    void (*fn)(void *);
    void *arg;
};

struct hg_arena {
    struct hg_budget *budget;
    struct chunk *chunks; /* newest first, but for chunks of one large piece */
    char *at, *end;       /* free room of chunks */
    size_t next_size;
    size_t bytes;
    struct cleanup *cleanups;
    const struct hg_budget *fail_full; /* the last failed request: the budget that was full, or NULL for no memory */
    size_t fail_want;
};

struct hg_arena *hg_arena_new(struct hg_budget *budget)
{
    struct hg_arena *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->budget = budget;
    a->next_size = CHUNK_FIRST;
    return a;
}

/* A request that succeeds leaves what is known of the last failure: of several in a row the caller may ask only afterwards whether all did. */
static void *failed(struct hg_arena *a, const struct hg_budget *full, size_t want)
{
    a->fail_full = full;
    a->fail_want = want;
    return NULL;
}

/* Chunks that a thread gives back are its next ones: a query takes and gives a few, and malloc is slow with pieces of that size. They are not counted in any budget; a thread keeps 80 KiB at most,
 * until it ends. Sanitizers want to see each chunk go. */
#if defined(ARENA_ASAN) || defined(__SANITIZE_THREAD__)
static void *chunk_take(size_t size) { return malloc(size); }
static void chunk_give(void *c, size_t size) { (void)size, free(c); }
#else
#define SIZES 4u /* CHUNK_FIRST and its next doubles */
static const uint8_t spare_most[SIZES] = {4, 2, 1, 1};
struct spare { struct chunk *first[SIZES]; uint8_t n[SIZES]; bool known; };
static _Thread_local struct spare spare;
static pthread_once_t spare_once = PTHREAD_ONCE_INIT;
static pthread_key_t spare_key;

static void spare_drop(void *arg)
{
    struct spare *s = arg;
    for (unsigned i = 0; i < SIZES; i++)
        for (struct chunk *c = s->first[i], *next; c; c = next) {
            next = c->next;
            free(c);
        }
    *s = (struct spare){0};
}
static void spare_key_make(void)
{
    if (pthread_key_create(&spare_key, spare_drop)) spare_key = (pthread_key_t)-1;
}
/* The thread's end lets its chunks go. False: it would not. */
static bool spare_known(void)
{
    pthread_once(&spare_once, spare_key_make);
    return spare.known = spare_key != (pthread_key_t)-1 && pthread_setspecific(spare_key, &spare) == 0;
}
static unsigned size_class(size_t size)
{
    unsigned i = 0;
    while (i < SIZES && size != CHUNK_FIRST << i) i++;
    return i;
}
static void *chunk_take(size_t size)
{
    unsigned i = size_class(size);
    struct chunk *c = i < SIZES ? spare.first[i] : NULL;
    if (!c) return malloc(size);
    spare.first[i] = c->next;
    spare.n[i]--;
    return c;
}
static void chunk_give(void *p, size_t size)
{
    unsigned i = size_class(size);
    if (i == SIZES || spare.n[i] == spare_most[i] || (!spare.known && !spare_known())) {
        free(p);
        return;
    }
    struct chunk *c = p;
    c->next = spare.first[i];
    spare.first[i] = c;
    spare.n[i]++;
}
#endif

static struct chunk *chunk_new(struct hg_arena *a, size_t size)
{
    const struct hg_budget *which = !a->budget ? NULL : absurd(size) ? a->budget : take(a->budget, (int64_t)size);
    if (which) return failed(a, which, size);
    struct chunk *c = chunk_take(size);
    if (!c) {
        if (a->budget) hg_budget_give(a->budget, size);
        return failed(a, NULL, size);
    }
    c->size = size;
    a->bytes += size;
    POISON((char *)c + HEAD, size - HEAD);
    return c;
}

static void chunk_free(struct hg_arena *a, struct chunk *c)
{
    size_t size = c->size;
    UNPOISON((char *)c + HEAD, size - HEAD);
    a->bytes -= size;
    chunk_give(c, size);
    if (a->budget) hg_budget_give(a->budget, size);
}

/* A cleanup may still use arena memory, and may even register another; so they run before any chunk goes. */
static void run_cleanups(struct hg_arena *a)
{
    while (a->cleanups) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->arg);
    }
}

void hg_arena_free(struct hg_arena *a)
{
    if (!a) return;
    run_cleanups(a);
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        chunk_free(a, c);
    }
    free(a);
}

void hg_arena_reset(struct hg_arena *a)
{
    run_cleanups(a);
    struct chunk *keep = NULL;
    while (a->chunks) {
        struct chunk *c = a->chunks;
        a->chunks = c->next;
        /* The oldest is last; a first chunk made for one huge piece is not worth keeping. */
        if (!a->chunks && c->size <= CHUNK_MOST) keep = c;
        else chunk_free(a, c);
    }
    a->chunks = keep;
    a->next_size = CHUNK_FIRST;
    a->at = a->end = NULL;
    if (keep) {
        keep->next = NULL;
        a->at = (char *)keep + HEAD;
        a->end = (char *)keep + keep->size;
        POISON(a->at, (size_t)(a->end - a->at));
    }
}

static void *cut(struct hg_arena *a, size_t n, size_t room)
{
    void *p = a->at;
    a->at += room;
    UNPOISON(p, n);
    return p;
}

void *hg_arena_alloc(struct hg_arena *a, size_t n)
{
    size_t room;
    if (n > SIZE_MAX / 2) return failed(a, NULL, n);
    room = ((n ? n : 1) + GAP + ALIGN - 1) & ~(ALIGN - 1);
    if ((size_t)(a->end - a->at) >= room) return cut(a, n, room);
    bool own = room > a->next_size / 2;
    struct chunk *c = own ? NULL : chunk_new(a, a->next_size);
    /* Near the budget's end a piece of exactly the right size may still fit. */
    if (!c && !own && a->fail_full) own = true;
    if (own) c = chunk_new(a, HEAD + room);
    if (!c) return NULL;
    if (own && a->chunks) {
        c->next = a->chunks->next;
        a->chunks->next = c;
        void *p = (char *)c + HEAD;
        UNPOISON(p, n);
        return p;
    }
    c->next = a->chunks;
    a->chunks = c;
    a->at = (char *)c + HEAD;
    a->end = (char *)c + c->size;
    if (!own && a->next_size < CHUNK_MOST) a->next_size *= 2;
    return cut(a, n, room);
}

void *hg_arena_zalloc(struct hg_arena *a, size_t n)
{
    void *p = hg_arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

void *hg_arena_array(struct hg_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!hg_mul_size(n, size, &bytes)) bytes = SIZE_MAX; /* fails, and is reported as any other request */
    return hg_arena_zalloc(a, bytes);
}

void *hg_arena_scratch(struct hg_arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (!hg_mul_size(n, size, &bytes)) bytes = SIZE_MAX;
    void *p = hg_arena_alloc(a, bytes);
#ifdef ARENA_ASAN
    if (p) memset(p, 0xa5, bytes);
#endif
    return p;
}

char *hg_arena_strndup(struct hg_arena *a, const char *s, size_t n)
{
    size_t bytes = n + (n != SIZE_MAX);
    char *p = hg_arena_alloc(a, bytes);
    if (!p) return NULL;
    if (n) memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *hg_arena_strdup(struct hg_arena *a, const char *s) { return hg_arena_strndup(a, s, strlen(s)); }

char *hg_arena_printf(struct hg_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) return failed(a, NULL, strlen(fmt));
    char *p = hg_arena_alloc(a, (size_t)n + 1);
    if (!p) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}

enum hg_rc hg_arena_on_free(struct hg_arena *a, void (*fn)(void *), void *arg, struct hg_err *err)
{
    struct cleanup *c = hg_arena_alloc(a, sizeof *c);
    if (!c) return hg_arena_fail(a, "a cleanup", err);
    c->fn = fn;
    c->arg = arg;
    c->next = a->cleanups;
    a->cleanups = c;
    return HG_OK;
}

enum hg_rc hg_arena_fail(const struct hg_arena *a, const char *what, struct hg_err *err)
{
    if (a->fail_full) return full(a->fail_full, a->fail_want, what, err);
    return hg_fail(err, HG_E_NOMEM, "out of memory: %zu bytes for %s", a->fail_want, what);
}

size_t hg_arena_bytes(const struct hg_arena *a) { return a->bytes; }
