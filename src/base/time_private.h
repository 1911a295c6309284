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

/* ---- making zones (tz.c keeps them, tz_file.c and tz_icu.c find the rules) ---- */

#define HG_TZ_CYCLE (INT64_C(146097) * MS_DAY) /* 400 years: whole weeks, so every yearly rule repeats */
#define HG_TZ_FOLD_FROM INT64_C(4102444800000) /* 2100-01-01, when no zone announces single changes any more */
#define HG_TZ_FOLD_TO (HG_TZ_FOLD_FROM + HG_TZ_CYCLE)
#define HG_TZ_TABLE_FROM INT64_C(-10000000000000)       /* 1653, before the first zone left local mean time */
#define HG_TZ_TABLE_TO (HG_TZ_FOLD_TO + 800 * MS_DAY)   /* so that the last span before FOLD_TO has its end */

enum { HG_TZ_CHANGES_MAX = 8192 };
struct hg_tz_rules {
    int64_t first; /* offset before at[0] */
    size_t n;
    int64_t at[HG_TZ_CHANGES_MAX];     /* ascending instants within TABLE_FROM .. TABLE_TO */
    int32_t offset[HG_TZ_CHANGES_MAX]; /* offset[i] from at[i] on, never equal to the one before */
};
/* Appends a change, or moves `first` for one before TABLE_FROM. False: out of order, full or no sane offset. */
bool hg_tz_rules_add(struct hg_tz_rules *r, int64_t at, int64_t offset);

/* Reads the rules of a compiled zone file. HG_E_NOTFOUND: no such zone there. HG_E_CORRUPT: says what is wrong with the file. */
HG_MUST_USE enum hg_rc hg_tz_read_file(const char *path, struct hg_tz_rules *out, struct hg_err *err);
/* The bytes of such a file (TZif, RFC 8536). name is for messages. */
HG_MUST_USE enum hg_rc hg_tz_decode(struct hg_span raw, const char *name, struct hg_tz_rules *out, struct hg_err *err);
/* HG_E_NOTFOUND: ICU does not know the name. Not for several threads at once. */
HG_MUST_USE enum hg_rc hg_tz_ask_icu(const char *name, struct hg_tz_rules *out, struct hg_err *err);

/* False when the result leaves [HG_TIME_MIN, HG_TIME_MAX]; *out is then cut to that range. */
bool hg_period_add_checked(const struct hg_period *p, int64_t t, int64_t times, const struct hg_tz *tz, int64_t *out);

/* Outside text in a message: printable ASCII, cut when long. Returns buf. */
#define HG_QUOTE 72
const char *hg_time_quote(struct hg_str s, char buf[HG_QUOTE]);

#endif
