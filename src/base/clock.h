/* The time of day and the monotonic clock, behind a seam so that tests can turn them. */
#ifndef HG_BASE_CLOCK_H
#define HG_BASE_CLOCK_H

#include <stdint.h>

int64_t hg_clock_now_ms(void);  /* wall clock, ms since the epoch */
int64_t hg_clock_mono_ms(void); /* never goes back; deadlines are kept in it */
int64_t hg_clock_mono_ns(void);
/* Shifts the wall clock by an offset (HENGE_CLOCK_OFFSET_MS at start, or a test). Monotonic time is not touched. */
void hg_clock_shift_ms(int64_t offset_ms);

#endif
