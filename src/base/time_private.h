/* Shared by the sources behind base/time.h only. */
#ifndef HG_BASE_TIME_PRIVATE_H
#define HG_BASE_TIME_PRIVATE_H

#include "base/time.h"

#define MS_SECOND INT64_C(1000)
#define MS_MINUTE INT64_C(60000)
#define MS_HOUR INT64_C(3600000)
#define MS_DAY INT64_C(86400000)

/* Instants fill a quarter of what an int64 holds, products of periods do not: they are made in 128 bits and cut back. */
__extension__ typedef __int128 hg_i128;
static inline int64_t hg_time_clamp(hg_i128 v)
{
    return v < HG_TIME_MIN ? HG_TIME_MIN : v > HG_TIME_MAX ? HG_TIME_MAX : (int64_t)v;
}
static inline bool hg_time_in_range(hg_i128 v) { return v >= HG_TIME_MIN && v <= HG_TIME_MAX; }

/* Rounds down, also below zero; d > 0. */
static inline int64_t hg_floor_div(int64_t a, int64_t d)
{
    int64_t q = a / d;
    return q - (a % d < 0);
}
static inline int64_t hg_floor_mod(int64_t a, int64_t d)
{
    int64_t r = a % d;
    return r < 0 ? r + d : r;
}

int64_t hg_days_of_civil(int64_t year, int month, int day); /* days since 1970-01-01; month 1..12 */
/* The local time n months on, the day of the month cut to what the month has; false when it leaves the range of time. */
bool hg_local_add_months(int64_t local, hg_i128 n, int64_t *out);

/* The stretch around t in which a zone keeps one offset. */
struct hg_tz_span {
    int64_t from, to; /* INT64_MIN, INT64_MAX where there is no transition */
    int64_t offset;
};
void hg_tz_span_at(const struct hg_tz *tz, int64_t t, struct hg_tz_span *out);
bool hg_tz_is_fixed(const struct hg_tz *tz); /* NULL counts as UTC */

/* False when the result leaves [HG_TIME_MIN, HG_TIME_MAX]; *out is then cut to that range. */
bool hg_period_add_checked(const struct hg_period *p, int64_t t, int64_t times, const struct hg_tz *tz, int64_t *out);

/* Outside text in a message: printable ASCII, cut when long. Returns buf. */
#define HG_QUOTE 72
const char *hg_time_quote(struct hg_str s, char buf[HG_QUOTE]);

#endif
