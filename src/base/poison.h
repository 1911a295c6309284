/* Tells the address sanitizer which bytes of memory of our own nobody may touch. Nothing in other builds. */
#ifndef HG_BASE_POISON_H
#define HG_BASE_POISON_H

#if defined(__SANITIZE_ADDRESS__)
#define HG_POISON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HG_POISON_ASAN 1
#endif
#endif
#ifdef HG_POISON_ASAN
#include <sanitizer/asan_interface.h>
#define HG_POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define HG_UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define HG_POISON(p, n) ((void)(p), (void)(n))
#define HG_UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#endif
