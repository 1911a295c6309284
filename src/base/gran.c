/* Granularities: time cut into buckets, as Druid's PeriodGranularity cuts it.
 *
 * What Druid does per kind of period is reduced to four grids:
 *
 *   FIXED   edges every `len` ms from a phase. Times of day with more than one unit, durations, and days in a zone without changes.
 *   ZONED   the same with a phase for each stretch of constant offset: PT1H, PT1M, PT1S follow the zone's own clock. Only a change that
 *           is no multiple of `len` (Lord Howe's half hour) makes an edge of its own.
 *   WALL    edges at wall-clock times origin + k * n days or months: days, weeks, months, years.
 *   CHAIN   calendar and clock fields mixed (P1DT6H in a zone with summer time, P1M1D): each edge is the one before plus the period,
 *           starting from the origin, so it must be walked.
 *
 * Without an origin a count of one starts at the calendar's own bounds (weeks on Monday); any other counts from 1970-01-01 00:00 on the
 * zone's clock, weeks too, so that P2W and P7D begin on a Thursday. That is Druid's rule.
 *
 * Druid steps from the floor of each segment's first instant and lets two buckets overlap, or the floor lie after its instant, in odd
 * places: instants before 1970 with multi-hour periods, days that begin in a gap, origins on a 31st. Here edges belong to the
 * granularity alone, so every segment and every server cuts alike: floor(t) <= t < next(floor(t)) always. */
#include <strings.h>
#include "base/time_private.h"

#define MONDAY (-3 * MS_DAY) /* 1969-12-29, the Monday of the epoch's week */
#define CHAIN_REACH (INT64_C(1100) * 366 * MS_DAY) /* how far from its origin a chain is walked; beyond lies one last bucket */

enum grid_kind { GRID_FIXED, GRID_ZONED, GRID_WALL, GRID_CHAIN };
struct grid {
    enum grid_kind kind;
    const struct hg_tz *tz;
    int64_t len;     /* FIXED, ZONED */
    int64_t phase;   /* FIXED: an edge. ZONED: an edge on the clock of an offset that is a multiple of `within` */
    int64_t within;  /* ZONED: the phase moves with offset modulo this */
    int64_t days, months; /* WALL: one of them */
    int64_t origin_local; /* WALL */
    int64_t origin;  /* CHAIN */
    const struct hg_period *period; /* CHAIN */
};

static int64_t held(int64_t v) { return v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : v; }

static void grid_of_period(const struct hg_gran *g, struct grid *out)
{
    const struct hg_period *p = &g->period;
    int64_t months = held(p->years) * 12 + held(p->months);
    int64_t days = held(p->weeks) * 7 + held(p->days);
    int64_t clock = held(p->hours) * MS_HOUR + held(p->minutes) * MS_MINUTE + held(p->seconds) * MS_SECOND + held(p->ms);
    const struct hg_tz *tz = g->tz ? g->tz : hg_tz_utc();
    bool fixed = hg_tz_is_fixed(tz), has = g->has_origin;
    int64_t origin = has ? hg_time_clamp(g->origin) : hg_tz_to_utc(tz, 0);
    *out = (struct grid){.kind = GRID_FIXED, .tz = tz, .len = 1, .phase = origin};

    if (!months && !days) {
        bool unit = !has && (clock == MS_HOUR ? p->hours == 1 : clock == MS_MINUTE ? p->minutes == 1 : clock == MS_SECOND && p->seconds == 1);
        bool hours = clock > 0 && clock == held(p->hours) * MS_HOUR;
        out->len = clock > 0 ? clock : 1;
        if (unit) { /* on the clock of the moment */
            out->kind = GRID_ZONED;
            out->phase = 0;
            out->within = clock;
        } else if (hours && !has && origin < 0 && !fixed) { /* east of Greenwich Druid keeps hours whole on the clock */
            out->kind = GRID_ZONED;
            out->phase = origin + hg_floor_mod(hg_tz_offset_ms(tz, origin), MS_HOUR);
            out->within = MS_HOUR;
        }
        if (fixed && out->kind == GRID_ZONED) {
            out->kind = GRID_FIXED;
            out->phase -= hg_floor_mod(hg_tz_offset_ms(tz, 0), out->within);
        }
        return;
    }
    int64_t origin_local = origin + hg_tz_offset_ms(tz, origin);
    if (!has && days == 7 && p->weeks == 1 && !months && !clock) origin_local = MONDAY;
    if (!months && (fixed || !clock)) {
        if (fixed) {
            out->len = days * MS_DAY + clock;
            out->phase = origin_local - hg_tz_offset_ms(tz, 0);
            return;
        }
        *out = (struct grid){.kind = GRID_WALL, .tz = tz, .days = days, .origin_local = origin_local};
        return;
    }
    struct hg_civil c;
    hg_civil_of(origin_local, &c);
    bool path = held(p->years) && held(p->months) && c.day > 28; /* the day of the month gets lost on the way */
    if (!days && !clock && !path) *out = (struct grid){.kind = GRID_WALL, .tz = tz, .months = months, .origin_local = origin_local};
    else *out = (struct grid){.kind = GRID_CHAIN, .tz = tz, .origin = origin, .period = p};
}

/* ---- FIXED, ZONED ---- */

static hg_i128 mod128(hg_i128 a, int64_t d)
{
    hg_i128 r = a % d;
    return r < 0 ? r + d : r;
}

static hg_i128 fixed_floor(int64_t len, int64_t phase, int64_t t) { return t - mod128((hg_i128)t - phase, len); }

static int64_t zoned_phase(const struct grid *g, int64_t offset) { return hg_floor_mod(g->phase - hg_floor_mod(offset, g->within), g->len); }

static int64_t zoned_floor(const struct grid *g, int64_t t)
{
    struct hg_tz_span s, before;
    hg_tz_span_at(g->tz, t, &s);
    int64_t phase = zoned_phase(g, s.offset);
    hg_i128 e = fixed_floor(g->len, phase, t);
    while (e < s.from && s.from != INT64_MIN) {
        hg_tz_span_at(g->tz, s.from - 1, &before);
        if (zoned_phase(g, before.offset) != phase) return s.from;
        s = before;
    }
    return hg_time_clamp(e);
}

static int64_t zoned_next(const struct grid *g, int64_t t)
{
    struct hg_tz_span s;
    hg_tz_span_at(g->tz, t, &s);
    int64_t phase = zoned_phase(g, s.offset);
    hg_i128 e = fixed_floor(g->len, phase, t) + g->len;
    while (e > s.to && s.to != INT64_MAX) {
        int64_t change = s.to;
        hg_tz_span_at(g->tz, change, &s);
        if (zoned_phase(g, s.offset) != phase) return change;
    }
    return hg_time_clamp(e);
}

/* ---- WALL ---- */

static int64_t wall_edge(const struct grid *g, int64_t k)
{
    int64_t local;
    if (g->months) {
        if (!hg_local_add_months(g->origin_local, (hg_i128)k * g->months, &local)) return local > 0 ? HG_TIME_MAX : HG_TIME_MIN;
    } else {
        hg_i128 l = g->origin_local + (hg_i128)k * g->days * MS_DAY;
        local = hg_time_clamp(l);
        if (local != l) return local;
    }
    return hg_time_clamp(hg_tz_to_utc(g->tz, local));
}

/* The greatest k with edge(k) <= t, from the clock's reading, which a change of offset can put off by one. */
static int64_t wall_index(const struct grid *g, int64_t t)
{
    int64_t local = t + hg_tz_offset_ms(g->tz, t), k;
    if (g->months) {
        struct hg_civil a, o;
        hg_civil_of(local, &a);
        hg_civil_of(g->origin_local, &o);
        k = hg_floor_div((a.year - o.year) * 12 + (a.month - o.month), g->months);
    } else {
        hg_i128 diff = (hg_i128)local - g->origin_local, len = (hg_i128)g->days * MS_DAY;
        hg_i128 q = diff / len;
        k = (int64_t)(q - (diff % len < 0));
    }
    while (wall_edge(g, k) > t) k--;
    for (int64_t e; (e = wall_edge(g, k + 1)) <= t && e < HG_TIME_MAX; k++) {}
    return k;
}

static int64_t wall_next(const struct grid *g, int64_t t)
{
    int64_t e, k = wall_index(g, t);
    while ((e = wall_edge(g, ++k)) <= t && e < HG_TIME_MAX) {} /* a day the zone skipped has no bucket */
    return e;
}

/* ---- CHAIN ---- */

/* The bucket around t: walks from the origin. */
static struct hg_interval chain_bucket(const struct grid *g, int64_t t)
{
    int64_t at = g->origin, other;
    int64_t lo = hg_time_clamp((hg_i128)g->origin - CHAIN_REACH), hi = hg_time_clamp((hg_i128)g->origin + CHAIN_REACH);
    if (t >= at) {
        for (;; at = other) {
            bool ok = hg_period_add_checked(g->period, at, 1, g->tz, &other);
            if (!ok || other > hi || other <= at) return (struct hg_interval){at, HG_TIME_MAX};
            if (t < other) return (struct hg_interval){at, other};
        }
    }
    for (;; at = other) {
        bool ok = hg_period_add_checked(g->period, at, -1, g->tz, &other);
        if (!ok || other < lo || other >= at) return (struct hg_interval){HG_TIME_MIN, at};
        if (t >= other) return (struct hg_interval){other, at};
    }
}

static int64_t chain_next(const struct grid *g, int64_t t)
{
    /* After the origin an edge is the last plus the period. Whether t is an edge only a walk can tell before it, where the way back
     * may have cut a day of the month that the way forth does not restore. */
    int64_t n, hi = hg_time_clamp((hg_i128)g->origin + CHAIN_REACH);
    if (t >= g->origin && hg_period_add_checked(g->period, t, 1, g->tz, &n) && n > t && n <= hi) return n;
    return chain_bucket(g, t).end;
}

/* ---- interface ---- */

static bool grid_of(const struct hg_gran *g, struct grid *out)
{
    switch (g->kind) {
    case HG_GRAN_DURATION:
        *out = (struct grid){.kind = GRID_FIXED, .len = g->duration_ms > 0 ? g->duration_ms : 1, .phase = g->origin};
        return true;
    case HG_GRAN_PERIOD: grid_of_period(g, out); return true;
    case HG_GRAN_ALL:
    case HG_GRAN_NONE: break;
    }
    return false;
}

/* Hours and days in UTC, whose edges are multiples of their length: what nearly all queries have, found without making a grid. 0: something else. */
static int64_t plain_len(const struct hg_gran *g)
{
    const struct hg_period *p = &g->period;
    if (g->kind != HG_GRAN_PERIOD || g->has_origin || (g->tz && g->tz != hg_tz_utc()) || p->years || p->months || p->weeks || p->ms) return 0;
    if (p->days == 1 && !p->hours && !p->minutes && !p->seconds) return MS_DAY;
    if (p->hours == 1 && !p->days && !p->minutes && !p->seconds) return MS_HOUR;
    return 0;
}

/* The edge at or before t; divided by constants, which is several times quicker. */
static int64_t plain_floor(int64_t len, int64_t t) { return t - (len == MS_DAY ? hg_floor_mod(t, MS_DAY) : hg_floor_mod(t, MS_HOUR)); }

int64_t hg_gran_floor(const struct hg_gran *g, int64_t t)
{
    struct grid grid;
    t = hg_time_clamp(t);
    int64_t plain = plain_len(g);
    if (plain) return hg_time_clamp(plain_floor(plain, t));
    if (!grid_of(g, &grid)) return g->kind == HG_GRAN_ALL ? HG_TIME_MIN : t;
    switch (grid.kind) {
    case GRID_FIXED: return hg_time_clamp(fixed_floor(grid.len, grid.phase, t));
    case GRID_ZONED: return zoned_floor(&grid, t);
    case GRID_WALL: return wall_edge(&grid, wall_index(&grid, t));
    case GRID_CHAIN: return chain_bucket(&grid, t).start;
    }
    return t;
}

int64_t hg_gran_next(const struct hg_gran *g, int64_t bucket_start)
{
    struct grid grid;
    int64_t t = hg_time_clamp(bucket_start), plain = plain_len(g);
    if (plain) return hg_time_clamp(plain_floor(plain, t) + plain);
    if (!grid_of(g, &grid)) return g->kind == HG_GRAN_ALL ? HG_TIME_MAX : hg_time_clamp((hg_i128)t + 1);
    switch (grid.kind) {
    case GRID_FIXED: return hg_time_clamp(fixed_floor(grid.len, grid.phase, t) + grid.len);
    case GRID_ZONED: return zoned_next(&grid, t);
    case GRID_WALL: return wall_next(&grid, t);
    case GRID_CHAIN: return chain_next(&grid, t);
    }
    return HG_TIME_MAX;
}

static const struct {
    const char *name;
    enum hg_gran_kind kind;
    struct hg_period p;
} names[] = {
    {"all", HG_GRAN_ALL, {0}},
    {"none", HG_GRAN_NONE, {0}},
    {"second", HG_GRAN_PERIOD, {.seconds = 1}},
    {"minute", HG_GRAN_PERIOD, {.minutes = 1}},
    {"five_minute", HG_GRAN_PERIOD, {.minutes = 5}},
    {"ten_minute", HG_GRAN_PERIOD, {.minutes = 10}},
    {"fifteen_minute", HG_GRAN_PERIOD, {.minutes = 15}},
    {"thirty_minute", HG_GRAN_PERIOD, {.minutes = 30}},
    {"hour", HG_GRAN_PERIOD, {.hours = 1}},
    {"six_hour", HG_GRAN_PERIOD, {.hours = 6}},
    {"eight_hour", HG_GRAN_PERIOD, {.hours = 8}},
    {"day", HG_GRAN_PERIOD, {.days = 1}},
    {"week", HG_GRAN_PERIOD, {.weeks = 1}},
    {"month", HG_GRAN_PERIOD, {.months = 1}},
    {"quarter", HG_GRAN_PERIOD, {.months = 3}},
    {"year", HG_GRAN_PERIOD, {.years = 1}},
};

enum hg_rc hg_gran_of_name(struct hg_str name, struct hg_gran *out, struct hg_err *err)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (name.p && strlen(names[i].name) == name.len && !strncasecmp(names[i].name, name.p, name.len)) {
            *out = (struct hg_gran){.kind = names[i].kind, .period = names[i].p, .tz = hg_tz_utc()};
            return HG_OK;
        }
    char q[HG_QUOTE];
    return hg_fail(err, HG_E_INVALID,
                   "granularity \"%s\" is not known: want all, none, second, minute, five_minute, ten_minute, fifteen_minute, thirty_minute, "
                   "hour, six_hour, eight_hour, day, week, month, quarter or year",
                   hg_time_quote(name, q));
}
