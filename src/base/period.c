/* Calendar periods, "P1Y2M3W4DT5H6M7.008S". Adding goes field by field, largest first. Days and longer move the wall clock and then look
 * up the offset anew; hours and shorter move the instant: as Joda does, so that P1D keeps the time of day and PT24H need not. */
#include <stdio.h>
#include "base/time_private.h"

/* ---- text ---- */

struct num { /* one number before its letter */
    int64_t v;
    bool fraction;
    int64_t ms;
};

/* [+-] digits [(.|,) digits]; p moves past it. */
static bool scan_num(const char **p, const char *end, struct num *n)
{
    const char *s = *p;
    bool neg = false, any = false;
    *n = (struct num){0, false, 0};
    if (s < end && (*s == '-' || *s == '+')) neg = *s++ == '-';
    for (; s < end && *s >= '0' && *s <= '9'; s++, any = true) {
        n->v = n->v * 10 + (*s - '0');
        if (n->v > INT64_C(2147483648)) return false;
    }
    if (s < end && (*s == '.' || *s == ',')) {
        n->fraction = true;
        int64_t unit = 100;
        for (s++; s < end && *s >= '0' && *s <= '9'; s++, unit /= 10, any = true) n->ms += (*s - '0') * unit;
    }
    if (neg) {
        n->v = -n->v;
        n->ms = -n->ms;
    }
    *p = s;
    return any && n->v <= INT32_MAX;
}

/* The fields of one part (before or after T) in their order. Returns how many were there, or -1. */
static int scan_fields(const char **p, const char *end, const char *letters, int64_t **fields, int64_t *ms)
{
    int count = 0;
    size_t at = 0, n_letters = strlen(letters);
    while (*p < end && (**p | 0x20) != 't') {
        struct num n;
        if (!scan_num(p, end, &n) || *p == end) return -1;
        while (at < n_letters && (letters[at] | 0x20) != (**p | 0x20)) at++;
        if (at == n_letters || (n.fraction && letters[at] != 'S')) return -1;
        *fields[at++] = n.v;
        *ms += n.ms;
        (*p)++;
        count++;
    }
    return count;
}

enum hg_rc hg_period_parse(struct hg_str s, struct hg_period *out, struct hg_err *err)
{
    const char *p = s.p, *end = s.p ? s.p + s.len : s.p;
    struct hg_period v = {0};
    int64_t *big[] = {&v.years, &v.months, &v.weeks, &v.days}, *small[] = {&v.hours, &v.minutes, &v.seconds}, none = 0;
    if (p < end && (*p | 0x20) == 'p') {
        p++;
        bool good = scan_fields(&p, end, "YMWD", big, &none) >= 0;
        if (good && p < end) {
            p++; /* T, which wants something after it */
            good = scan_fields(&p, end, "HMS", small, &v.ms) > 0 && p == end;
        }
        if (good) {
            *out = v;
            return HG_OK;
        }
    }
    char q[HG_QUOTE];
    return hg_fail(err, HG_E_INVALID, "period \"%s\" is not an ISO 8601 period such as P1D, PT15M or P1DT6H", hg_time_quote(s, q));
}

int hg_period_format(const struct hg_period *p, char *buf)
{
    /* Eight numbers of a Joda period would fit; wilder ones are cut at the buffer's end rather than overrun it. */
    char text[256];
    int n = snprintf(text, sizeof text, "P");
    size_t cap = sizeof text;
    const struct { int64_t v; char c; } big[] = {{p->years, 'Y'}, {p->months, 'M'}, {p->weeks, 'W'}, {p->days, 'D'}}, small[] = {{p->hours, 'H'}, {p->minutes, 'M'}};
    for (size_t i = 0; i < 4; i++)
        if (big[i].v) n += snprintf(text + n, cap - (size_t)n, "%lld%c", (long long)big[i].v, big[i].c);
    if (p->hours || p->minutes || p->seconds || p->ms || n == 1) text[n++] = 'T';
    for (size_t i = 0; i < 2; i++)
        if (small[i].v) n += snprintf(text + n, cap - (size_t)n, "%lld%c", (long long)small[i].v, small[i].c);
    if (p->seconds || p->ms) {
        hg_i128 ms = (hg_i128)p->seconds * 1000 + p->ms, abs = ms < 0 ? -ms : ms;
        n += snprintf(text + n, cap - (size_t)n, "%s%lld", ms < 0 ? "-" : "", (long long)(abs / 1000));
        if (p->ms) n += snprintf(text + n, cap - (size_t)n, ".%03d", (int)(abs % 1000));
        text[n++] = 'S';
    } else if (n == 2 && text[1] == 'T') {
        n += snprintf(text + n, cap - (size_t)n, "0S");
    }
    if (n > HG_TIME_TEXT - 1) n = HG_TIME_TEXT - 1;
    memcpy(buf, text, (size_t)n);
    buf[n] = 0;
    return n;
}

/* ---- arithmetic ---- */

static bool settle(hg_i128 t, int64_t *out)
{
    *out = hg_time_clamp(t);
    return hg_time_in_range(t);
}

/* The clock shows `local` after the move; past the end of time it stays at the end. */
static bool settle_local(hg_i128 local, const struct hg_tz *tz, int64_t *out)
{
    return hg_time_in_range(local) ? settle(hg_tz_to_utc(tz, (int64_t)local), out) : settle(local, out);
}

static bool add_months(int64_t *t, hg_i128 n, const struct hg_tz *tz)
{
    if (n == 0) return true;
    int64_t local;
    if (hg_local_add_months(*t + hg_tz_offset_ms(tz, *t), n, &local)) return settle_local(local, tz, t);
    return settle(local < 0 ? HG_TIME_MIN - (hg_i128)1 : HG_TIME_MAX + (hg_i128)1, t);
}

static bool add_days(int64_t *t, hg_i128 n, const struct hg_tz *tz)
{
    return n == 0 || settle_local(*t + hg_tz_offset_ms(tz, *t) + n * MS_DAY, tz, t);
}

/* Joda's fields are 32-bit; wilder ones can only come from a caller's mistake and are held there, so that no product overflows. */
static hg_i128 field(int64_t v) { return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : v; }

bool hg_period_add_checked(const struct hg_period *p, int64_t t, int64_t times, const struct hg_tz *tz, int64_t *out)
{
    /* Years and months one after the other: 29 February goes back to the 28th with the year, before months are added. */
    bool ok = hg_time_in_range(t);
    *out = hg_time_clamp(t);
    ok = ok && add_months(out, field(p->years) * 12 * times, tz) && add_months(out, field(p->months) * times, tz);
    ok = ok && add_days(out, field(p->weeks) * 7 * times, tz) && add_days(out, field(p->days) * times, tz);
    if (!ok) return false;
    hg_i128 ms = field(p->hours) * MS_HOUR + field(p->minutes) * MS_MINUTE + field(p->seconds) * MS_SECOND + field(p->ms);
    return settle(*out + ms * times, out);
}

int64_t hg_period_add(const struct hg_period *p, int64_t t, int64_t times, const struct hg_tz *tz)
{
    int64_t out;
    (void)hg_period_add_checked(p, t, times, tz, &out);
    return out;
}
