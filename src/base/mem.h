/* Memory with lifetimes. A budget is a counted limit, in a tree (process > query); an arena is memory freed all at once (a query,
 * a plan, a batch). Arena memory is zeroed never, aligned to 16 bytes always. */
#ifndef HG_BASE_MEM_H
#define HG_BASE_MEM_H

#ifdef __cplusplus
#include <atomic>
#define HG_ATOMIC(type) std::atomic<type> /* the same layout; C++ (the simdjson door) only passes it by */
#else
#include <stdatomic.h>
#define HG_ATOMIC(type) _Atomic(type)
#endif
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct hg_budget {
    struct hg_budget *parent; /* NULL at the root; outlives this */
    const char *name;         /* in messages: "query memory" */
    int64_t limit;            /* bytes; 0: none */
    HG_ATOMIC(int64_t) used;
    HG_ATOMIC(int64_t) peak;
};

void hg_budget_init(struct hg_budget *b, struct hg_budget *parent, const char *name, int64_t limit);
/* Counts n bytes here and in every ancestor, or nowhere: HG_E_LIMIT names the budget that is full, its limit and the request. */
HG_MUST_USE enum hg_rc hg_budget_take(struct hg_budget *b, size_t n, struct hg_err *err);
void hg_budget_give(struct hg_budget *b, size_t n);

struct hg_arena; /* one thread at a time */

/* Returns owned: hg_arena_free. budget may be NULL (uncounted). NULL when out of memory. */
struct hg_arena *hg_arena_new(struct hg_budget *budget);
/* Runs the cleanups, last first, then frees everything. NULL allowed. */
void hg_arena_free(struct hg_arena *a);
/* Frees all but keeps the first chunk for reuse; runs the cleanups. */
void hg_arena_reset(struct hg_arena *a);
/* Never NULL for n = 0. NULL: no memory or over budget; hg_arena_fail then gives the reason as an error. */
void *hg_arena_alloc(struct hg_arena *a, size_t n) __attribute__((malloc, alloc_size(2)));
void *hg_arena_zalloc(struct hg_arena *a, size_t n);                  /* zeroed */
void *hg_arena_array(struct hg_arena *a, size_t n, size_t size);      /* n * size checked for overflow; zeroed */
void *hg_arena_scratch(struct hg_arena *a, size_t n, size_t size);    /* the same, not zeroed: what is read of it was written before (tests see bytes 0xa5) */
char *hg_arena_strdup(struct hg_arena *a, const char *s);
char *hg_arena_strndup(struct hg_arena *a, const char *s, size_t n);  /* NUL added */
char *hg_arena_printf(struct hg_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Calls fn(arg) when the arena is freed or reset. */
HG_MUST_USE enum hg_rc hg_arena_on_free(struct hg_arena *a, void (*fn)(void *), void *arg, struct hg_err *err);
/* After an allocation gave NULL: HG_E_LIMIT (over budget) or HG_E_NOMEM, with a sentence naming `what`. */
enum hg_rc hg_arena_fail(const struct hg_arena *a, const char *what, struct hg_err *err);
size_t hg_arena_bytes(const struct hg_arena *a); /* taken from the system */

/* n * size and a + b on outside numbers: false on overflow. */
static inline bool hg_mul_size(size_t n, size_t size, size_t *out) { return !__builtin_mul_overflow(n, size, out); }
static inline bool hg_add_size(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

#ifdef __cplusplus
}
#endif

#endif
