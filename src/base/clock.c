#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

static _Atomic int64_t offset;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void from_environment(void)
{
    const char *z = getenv("HENGE_CLOCK_OFFSET_MS");
    if (!z || !*z) return;
    char *end;
    errno = 0;
    long long v = strtoll(z, &end, 10);
    if (errno == 0 && *end == '\0') atomic_store(&offset, v);
}

static int64_t ns_of(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts); /* cannot fail for these clocks */
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t hg_clock_now_ms(void)
{
    pthread_once(&once, from_environment);
    return ns_of(CLOCK_REALTIME) / 1000000 + atomic_load_explicit(&offset, memory_order_relaxed);
}

int64_t hg_clock_mono_ns(void) { return ns_of(CLOCK_MONOTONIC); }

int64_t hg_clock_mono_ms(void) { return hg_clock_mono_ns() / 1000000; }

void hg_clock_shift_ms(int64_t offset_ms)
{
    pthread_once(&once, from_environment); /* so that the environment cannot undo this later */
    atomic_store(&offset, offset_ms);
}
