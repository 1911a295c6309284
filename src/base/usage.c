#include "base/usage.h"

#include <sys/resource.h>

int64_t hg_thread_major_faults(void)
{
    struct rusage u;
    return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_majflt : 0;
}
