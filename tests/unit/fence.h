/* Memory that ends at a page nobody may touch: a loop that reads or writes one byte too many dies there, sanitizer or not. */
#ifndef HG_TESTS_FENCE_H
#define HG_TESTS_FENCE_H
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct fence { uint8_t *at; size_t len, page; };
static inline struct fence fence_new(size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    len = (len + page - 1) / page * page;
    uint8_t *p = mmap(NULL, len + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + len, page, PROT_NONE)) abort();
    return (struct fence){p, len, page};
}
/* The last n bytes before the fence. */
static inline void *fence_last(const struct fence *f, size_t n)
{
    if (n > f->len) abort();
    return f->at + (f->len - n);
}
static inline void fence_free(struct fence *f) { munmap(f->at, f->len + f->page); }
#endif
