/* ISO 8601 text to instants and intervals, with Joda's grammar (ISODateTimeFormat.dateTimeParser), which Druid's clients rely on:
 *
 *   [date] ['T' [hour [':' minute [':' second]] [fraction]] [zone]]
 *   date     = year ['-' month ['-' day]]  |  year '-' ddd  |  year '-W' week ['-' weekday]
 *   fraction = ('.' | ',') 1..9 digits, of the last unit given
 *   zone     = 'Z' | ('+' | '-') hh [[':'] mm [[':'] ss ['.' digits]]]
 *
 * A year takes up to nine digits, so "20240308" is the year 20240308. */
#include "base/time_private.h"

struct scan {
    const char *p, *end;
};

static bool is_digit(const struct scan *s, size_t ahead) { return (size_t)(s->end - s->p) > ahead && s->p[ahead] >= '0' && s->p[ahead] <= '9'; }

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || (*s->p | 0x20) != (c | 0x20)) return false;
    s->p++;
    return true;
}

/* 1..max digits; false and nothing taken when there is none. */
static bool number(struct scan *s, int max, int *out)
{
    int v = 0, n = 0;
    for (; n < max && is_digit(s, 0); n++) v = v * 10 + (*s->p++ - '0');
    if (n) *out = v;
    return n > 0;
}

/* Separator and number together, or nothing: what follows is then judged by the caller as left over. */
static bool part(struct scan *s, char sep, int max, int *out)
{
    if (s->p == s->end || *s->p != sep || !is_digit(s, 1)) return false;
    s->p++;
    return number(s, max, out);
}

static enum hg_rc range(struct hg_str whole, const char *what, int64_t v, int64_t lo, int64_t hi, struct hg_err *err)
{
    char q[HG_QUOTE];
    if (v >= lo && v <= hi) return HG_OK;
    return hg_fail(err, HG_E_INVALID, "time \"%s\": %s %lld is not in %lld..%lld", hg_time_quote(whole, q), what, (long long)v, (long long)lo, (long long)hi);
}

static enum hg_rc malformed(struct hg_str whole, const struct scan *s, struct hg_err *err)
{
    char q[HG_QUOTE], r[HG_QUOTE];
    if (s->p == s->end) return hg_fail(err, HG_E_INVALID, "time \"%s\": it ends too early; want ISO 8601, such as 2024-03-08T00:00:00.000Z", hg_time_quote(whole, q));
    return hg_fail(err, HG_E_INVALID, "time \"%s\": cannot read it from \"%s\" on; want ISO 8601, such as 2024-03-08T00:00:00.000Z", hg_time_quote(whole, q),
                   hg_time_quote((struct hg_str){s->p, (size_t)(s->end - s->p)}, r));
}

/* Monday of ISO week 1 is the Monday of the week that holds 4 January. */
static int64_t week_one(int64_t year)
{
    int64_t jan4 = hg_days_of_civil(year, 1, 4);
    return jan4 - hg_floor_mod(jan4 + 3, 7); /* day 0 was a Thursday */
}

static enum hg_rc parse_date(struct hg_str whole, struct scan *s, int64_t *days, struct hg_err *err)
{
    bool neg = false;
    if (s->p < s->end && (*s->p == '-' || *s->p == '+') && is_digit(s, 1)) neg = *s->p++ == '-';
    int y, a = 1, b = 1;
    if (!number(s, 9, &y)) return malformed(whole, s, err);
    int64_t year = neg ? -(int64_t)y : y;
    if (year < -147000000 || year > 147000000) { /* HG_TIME_MIN and MAX are 146 million years away */
        char q[HG_QUOTE];
        return hg_fail(err, HG_E_INVALID, "time \"%s\": year %lld is outside of what can be held", hg_time_quote(whole, q), (long long)year);
    }

    if (s->end - s->p >= 3 && s->p[0] == '-' && (s->p[1] | 0x20) == 'w' && is_digit(s, 2)) {
        s->p += 2;
        (void)number(s, 2, &a);
        (void)part(s, '-', 1, &b);
        int64_t first = week_one(year);
        HG_TRY(range(whole, "week", a, 1, (week_one(year + 1) - first) / 7, err));
        HG_TRY(range(whole, "day of week", b, 1, 7, err));
        *days = first + (a - 1) * 7 + (b - 1);
        return HG_OK;
    }
    if (s->p < s->end && *s->p == '-' && is_digit(s, 1) && is_digit(s, 2) && is_digit(s, 3)) {
        s->p++;
        (void)number(s, 3, &a);
        int64_t first = hg_days_of_civil(year, 1, 1);
        HG_TRY(range(whole, "day of year", a, 1, hg_days_of_civil(year + 1, 1, 1) - first, err));
        *days = first + (a - 1);
        return HG_OK;
    }
    if (part(s, '-', 2, &a)) (void)part(s, '-', 2, &b);
    HG_TRY(range(whole, "month", a, 1, 12, err));
    HG_TRY(range(whole, "day of month", b, 1, hg_days_in_month(year, a), err));
    *days = hg_days_of_civil(year, a, b);
    return HG_OK;
}

/* The fraction of a unit, cut to ms as Joda cuts it. */
static int64_t fraction(struct scan *s, int64_t unit_ms)
{
    if (s->end - s->p < 2 || (*s->p != '.' && *s->p != ',') || !is_digit(s, 1)) return 0;
    s->p++;
    int64_t tenths = 0;
    for (int n = 0; n < 9 && is_digit(s, 0); n++, unit_ms /= 10) tenths += (*s->p++ - '0') * unit_ms;
    return tenths / 10;
}

static enum hg_rc parse_clock(struct hg_str whole, struct scan *s, int64_t *ms, struct hg_err *err)
{
    int h = 0, m = 0, sec = 0;
    int64_t frac, unit = MS_HOUR;
    *ms = 0;
    if (!number(s, 2, &h)) return HG_OK;
    if (part(s, ':', 2, &m)) {
        unit = MS_MINUTE;
        if (part(s, ':', 2, &sec)) unit = MS_SECOND;
    }
    frac = fraction(s, unit);
    HG_TRY(range(whole, "hour", h, 0, 23, err));
    HG_TRY(range(whole, "minute", m, 0, 59, err));
    HG_TRY(range(whole, "second", sec, 0, 59, err));
    *ms = h * MS_HOUR + m * MS_MINUTE + sec * MS_SECOND + frac;
    return HG_OK;
}

static bool two(struct scan *s, int max, int64_t *v)
{
    if (!is_digit(s, 0) || !is_digit(s, 1)) return false;
    *v = (s->p[0] - '0') * 10 + (s->p[1] - '0');
    s->p += 2;
    return *v <= max;
}

/* *has stays false when no zone is given. False: malformed. */
static bool parse_zone(struct scan *s, bool *has, int64_t *off)
{
    *has = true;
    *off = 0;
    if (take(s, 'Z')) return true;
    if (s->p == s->end || (*s->p != '+' && *s->p != '-')) {
        *has = false;
        return true;
    }
    int64_t sign = *s->p++ == '-' ? -1 : 1, h = 0, m = 0, sec = 0, frac = 0;
    if (!two(s, 23, &h)) return false;
    bool colon = s->p < s->end && *s->p == ':';
    if (colon || is_digit(s, 0)) {
        if (colon) s->p++;
        if (!two(s, 59, &m)) return false;
        if (s->p < s->end && (colon ? *s->p == ':' : is_digit(s, 0))) {
            if (colon) s->p++;
            if (!two(s, 59, &sec)) return false;
            frac = fraction(s, MS_SECOND);
        }
    }
    *off = sign * (h * MS_HOUR + m * MS_MINUTE + sec * MS_SECOND + frac);
    return true;
}

enum hg_rc hg_time_parse(struct hg_str str, const struct hg_tz *tz, int64_t *out, struct hg_err *err)
{
    struct scan s = {str.p, str.p ? str.p + str.len : str.p};
    int64_t days = 0, clock = 0, off = 0;
    bool has_zone = false;
    if (s.p == s.end) return hg_fail(err, HG_E_INVALID, "time \"\" is empty; want ISO 8601, such as 2024-03-08T00:00:00.000Z");
    if ((*s.p | 0x20) != 't') HG_TRY(parse_date(str, &s, &days, err));
    if (take(&s, 'T')) {
        HG_TRY(parse_clock(str, &s, &clock, err));
        struct scan at = s;
        if (!parse_zone(&s, &has_zone, &off)) return malformed(str, &at, err);
    }
    if (s.p != s.end) return malformed(str, &s, err);
    hg_i128 local = (hg_i128)days * MS_DAY + clock;
    if (hg_time_in_range(local - off)) {
        int64_t t = has_zone ? (int64_t)(local - off) : hg_tz_to_utc(tz, (int64_t)local);
        if (hg_time_in_range(t)) {
            *out = t;
            return HG_OK;
        }
    }
    char q[HG_QUOTE];
    return hg_fail(err, HG_E_INVALID, "time \"%s\" is outside of what can be held, -146136543-09-08 to 146140482-04-24", hg_time_quote(str, q));
}

/* ---- intervals ---- */

static bool is_period(struct hg_str s) { return s.len && (s.p[0] == 'P' || s.p[0] == 'p'); }

static enum hg_rc shifted(struct hg_str whole, int64_t t, struct hg_str period, int64_t times, int64_t *out, struct hg_err *err)
{
    struct hg_period p;
    HG_TRY(hg_period_parse(period, &p, err));
    if (hg_period_add_checked(&p, t, times, NULL, out)) return HG_OK;
    char q[HG_QUOTE];
    return hg_fail(err, HG_E_INVALID, "interval \"%s\" is outside of what can be held", hg_time_quote(whole, q));
}

static enum hg_rc parse_halves(struct hg_str whole, struct hg_str a, struct hg_str b, struct hg_interval *iv, struct hg_err *err)
{
    if (is_period(a)) {
        HG_TRY(hg_time_parse(b, NULL, &iv->end, err));
        return shifted(whole, iv->end, a, -1, &iv->start, err);
    }
    HG_TRY(hg_time_parse(a, NULL, &iv->start, err));
    if (is_period(b)) return shifted(whole, iv->start, b, 1, &iv->end, err);
    return hg_time_parse(b, NULL, &iv->end, err);
}

enum hg_rc hg_interval_parse(struct hg_str s, struct hg_interval *out, struct hg_err *err)
{
    char q[HG_QUOTE];
    const char *slash = s.len ? memchr(s.p, '/', s.len) : NULL;
    if (!slash || slash == s.p || slash + 1 == s.p + s.len)
        return hg_fail(err, HG_E_INVALID, "interval \"%s\" is not of the form start/end, start/period or period/end", hg_time_quote(s, q));
    struct hg_str a = {s.p, (size_t)(slash - s.p)}, b = {slash + 1, s.len - a.len - 1};
    if (is_period(a) && is_period(b)) return hg_fail(err, HG_E_INVALID, "interval \"%s\" has two periods; one side must be a time", hg_time_quote(s, q));
    struct hg_interval iv;
    enum hg_rc rc = parse_halves(s, a, b, &iv, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "interval \"%s\"", hg_time_quote(s, q));
    if (iv.end < iv.start) return hg_fail(err, HG_E_INVALID, "interval \"%s\": it ends before it starts", hg_time_quote(s, q));
    *out = iv;
    return HG_OK;
}

int hg_interval_format(struct hg_interval i, char *buf)
{
    int n = hg_time_format(i.start, NULL, buf);
    buf[n++] = '/';
    return n + hg_time_format(i.end, NULL, buf + n);
}
