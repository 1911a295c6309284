/* Time: instants are int64_t ms since 1970-01-01T00:00Z, UTC, proleptic Gregorian (as Joda's ISO chronology). Intervals are
 * half-open. Text forms are those that Druid accepts and prints. */
#ifndef HG_BASE_TIME_H
#define HG_BASE_TIME_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

/* Druid's eternity: -146136543-09-08T08:23:32.096Z / 146140482-04-24T15:36:27.903Z */
#define HG_TIME_MIN (INT64_MIN / 2)
#define HG_TIME_MAX (INT64_MAX / 2)

struct hg_interval {
    int64_t start, end; /* [start, end), ms */
};
static inline bool hg_interval_empty(struct hg_interval i) { return i.start >= i.end; }
static inline bool hg_interval_overlaps(struct hg_interval a, struct hg_interval b) { return a.start < b.end && b.start < a.end; }
static inline bool hg_interval_contains(struct hg_interval outer, struct hg_interval in) { return outer.start <= in.start && in.end <= outer.end; }
static inline struct hg_interval hg_interval_cut(struct hg_interval a, struct hg_interval b)
{
    return (struct hg_interval){a.start > b.start ? a.start : b.start, a.end < b.end ? a.end : b.end};
}

struct hg_tz; /* a time zone's transitions; immutable, process lifetime; any thread */
/* NULL name or "UTC"/"Z"/"Etc/UTC": UTC. IANA names as written (America/Los_Angeles), and fixed offsets of whole minutes ("+05:30",
 * "-0800", "GMT+5"), whose name becomes "+05:30". HG_E_INVALID: unknown zone, named. Rules come from the system's zone files ($TZDIR,
 * else /usr/share/zoneinfo), which its updates keep current, and from ICU where those lack the zone. */
HG_MUST_USE enum hg_rc hg_tz_find(const char *name, const struct hg_tz **out, struct hg_err *err);
const struct hg_tz *hg_tz_utc(void);
const char *hg_tz_name(const struct hg_tz *tz);
int64_t hg_tz_offset_ms(const struct hg_tz *tz, int64_t t); /* local = t + offset */
/* Local wall-clock ms to an instant, as Joda: in a gap the instant after it (shifted by the gap), in an overlap the earlier. */
int64_t hg_tz_to_utc(const struct hg_tz *tz, int64_t local);

struct hg_civil { /* a date and time of day without zone */
    int64_t year;
    int month, day, hour, minute, second, ms; /* month 1..12, day 1..31 */
};
void hg_civil_of(int64_t local_ms, struct hg_civil *c);
int64_t hg_civil_ms(const struct hg_civil *c); /* fields out of range carry over */
int hg_days_in_month(int64_t year, int month);

/* Parses an ISO date-time, as Joda's dateTimeParser does: "2024", "2024-03", "2024-03-08", with T and hour[:minute[:second[.fraction]]], and Z or offset; without
 * offset it is local to tz (NULL: UTC). Week dates (2024-W10-5) and ordinal dates (2024-068) too. Years may have a sign and up to
 * 9 digits ("20240308" is a year). HG_E_INVALID quotes the text: malformed, a field out of range, or outside HG_TIME_MIN..MAX. */
HG_MUST_USE enum hg_rc hg_time_parse(struct hg_str s, const struct hg_tz *tz, int64_t *out, struct hg_err *err);
/* "2024-03-08T00:00:00.000Z"; with a zone, its offset ("-08:00"). buf holds at least 48 bytes. Returns the length. */
int hg_time_format(int64_t t, const struct hg_tz *tz, char *buf);
#define HG_TIME_TEXT 48

/* A Joda period: calendar fields, each may be negative, each within 32 bits. */
struct hg_period {
    int64_t years, months, weeks, days, hours, minutes, seconds, ms;
};
HG_MUST_USE enum hg_rc hg_period_parse(struct hg_str s, struct hg_period *out, struct hg_err *err); /* "P1M", "PT15M", "P1DT2H" */
int hg_period_format(const struct hg_period *p, char *buf);                                        /* HG_TIME_TEXT bytes */
/* t moved by `times` periods, field by field from years down: days and longer move the clock of tz (NULL: UTC), hours and shorter the
 * instant. Held at HG_TIME_MIN and HG_TIME_MAX. */
int64_t hg_period_add(const struct hg_period *p, int64_t t, int64_t times, const struct hg_tz *tz);

/* "start/end", "start/period", "period/end", in UTC where no offset is given. HG_E_INVALID: malformed, outside of time, or end before start;
 * start = end is accepted. */
HG_MUST_USE enum hg_rc hg_interval_parse(struct hg_str s, struct hg_interval *out, struct hg_err *err);
int hg_interval_format(struct hg_interval i, char *buf); /* "start/end", 2 * HG_TIME_TEXT bytes */

/* ---- granularity: how time is cut into buckets ---- */
enum hg_gran_kind { HG_GRAN_ALL, HG_GRAN_NONE, HG_GRAN_DURATION, HG_GRAN_PERIOD };
struct hg_gran {
    enum hg_gran_kind kind;
    int64_t duration_ms;      /* DURATION */
    int64_t origin;           /* DURATION, PERIOD: 0 when not given */
    bool has_origin;
    struct hg_period period;  /* PERIOD */
    const struct hg_tz *tz;   /* PERIOD; result stamps are printed in it */
};
/* A simple name in any case: all, none, second, minute, five_minute, ten_minute, fifteen_minute, thirty_minute, hour, six_hour,
 * eight_hour, day, week, month, quarter, year. HG_E_INVALID otherwise. */
HG_MUST_USE enum hg_rc hg_gran_of_name(struct hg_str name, struct hg_gran *out, struct hg_err *err);
/* The start of the bucket that holds t, and of the next one, given a bucket's start. ALL: HG_TIME_MIN and HG_TIME_MAX. NONE: t and t + 1.
 * Druid's PeriodGranularity, made consistent where Druid contradicts itself (base/gran.c tells where): floor(t) <= t < next(floor(t)), and
 * walking next() from any bucket meets every other. Results are held at HG_TIME_MIN and HG_TIME_MAX. Cheap enough once a bucket, and
 * once a row for UTC and clock periods; a period that mixes days and hours in a zone with summer time is walked from its origin. */
int64_t hg_gran_floor(const struct hg_gran *g, int64_t t);
int64_t hg_gran_next(const struct hg_gran *g, int64_t bucket_start);
static inline struct hg_interval hg_gran_bucket(const struct hg_gran *g, int64_t t)
{
    int64_t s = hg_gran_floor(g, t);
    return (struct hg_interval){s, hg_gran_next(g, s)};
}

#endif
