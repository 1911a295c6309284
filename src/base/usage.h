/* What the operating system says a thread has used so far; take the difference of two calls on the same thread. */
#ifndef HG_BASE_USAGE_H
#define HG_BASE_USAGE_H

#include <stdint.h>

/* Major page faults of this thread: each one waited for a disk. */
int64_t hg_thread_major_faults(void);

#endif
