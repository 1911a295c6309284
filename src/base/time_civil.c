/* Calendar arithmetic and printing. The calendar is proleptic Gregorian; a 400-year era of 146,097 days is the unit that makes the
 * conversions exact for every year without tables (years run from March, so that the leap day comes last). */
#include "base/time_private.h"

enum { ERA_DAYS = 146097, EPOCH_SHIFT = 719468 /* 0000-03-01 to 1970-01-01 */ };
#define YEAR_10000 INT64_C(253402300800000)
#define YEAR_LIMIT INT64_C(200000000) /* past HG_TIME_MAX; keeps products within int64 */

static bool is_leap(int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); }

int hg_days_in_month(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

int64_t hg_days_of_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = hg_floor_div(year, 400);
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * ERA_DAYS + doe - EPOCH_SHIFT;
}

static void civil_of_days(int64_t days, int64_t *year, int *month, int *day)
{
    days += EPOCH_SHIFT;
    int64_t era = hg_floor_div(days, ERA_DAYS);
    int64_t doe = days - era * ERA_DAYS;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

void hg_civil_of(int64_t local_ms, struct hg_civil *c)
{
    int64_t days = hg_floor_div(local_ms, MS_DAY);
    int rest = (int)(local_ms - days * MS_DAY);
    civil_of_days(days, &c->year, &c->month, &c->day);
    c->hour = rest / 3600000;
    c->minute = rest / 60000 % 60;
    c->second = rest / 1000 % 60;
    c->ms = rest % 1000;
}

int64_t hg_civil_ms(const struct hg_civil *c)
{
    int64_t m0 = (int64_t)c->month - 1;
    int64_t carry = hg_floor_div(m0, 12);
    int64_t year = c->year > YEAR_LIMIT ? YEAR_LIMIT : c->year < -YEAR_LIMIT ? -YEAR_LIMIT : c->year;
    int64_t days = hg_days_of_civil(year + carry, (int)(m0 - carry * 12) + 1, 1) + c->day - 1;
    hg_i128 ms = (hg_i128)days * MS_DAY + c->hour * MS_HOUR + c->minute * MS_MINUTE + c->second * MS_SECOND + c->ms;
    return ms > INT64_MAX ? INT64_MAX : ms < INT64_MIN ? INT64_MIN : (int64_t)ms;
}

bool hg_local_add_months(int64_t local, hg_i128 n, int64_t *out)
{
    int64_t day0 = hg_floor_div(local, MS_DAY), year;
    int month, day;
    civil_of_days(day0, &year, &month, &day);
    hg_i128 m = (hg_i128)year * 12 + (month - 1) + n;
    if (m < -YEAR_LIMIT * 12 || m > YEAR_LIMIT * 12) {
        *out = m < 0 ? HG_TIME_MIN : HG_TIME_MAX;
        return false;
    }
    int64_t y = hg_floor_div((int64_t)m, 12);
    month = (int)((int64_t)m - y * 12) + 1;
    int last = hg_days_in_month(y, month);
    *out = hg_days_of_civil(y, month, day < last ? day : last) * MS_DAY + (local - day0 * MS_DAY);
    return hg_time_in_range(*out);
}

static char *put_digits(char *p, int64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10) p[i] = (char)('0' + v % 10);
    return p + width;
}

static char *put_two(char *p, uint32_t v)
{
    p[0] = (char)('0' + v / 10);
    p[1] = (char)('0' + v % 10);
    return p + 2;
}

/* "2024-03-08T10:00:00.000Z": four digits of the year, from 1970 on, in UTC. As nearly all times are; numbers of 32 bits do. */
static char *put_usual(char *p, int64_t t)
{
    uint32_t days = (uint32_t)(t / MS_DAY), rest = (uint32_t)(t - days * MS_DAY), shifted = days + EPOCH_SHIFT;
    uint32_t era = shifted / ERA_DAYS, doe = shifted % ERA_DAYS;
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    uint32_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2), seconds = rest / 1000, ms = rest % 1000;
    p = put_two(put_two(p, year / 100), year % 100);
    *p++ = '-';
    p = put_two(p, month);
    *p++ = '-';
    p = put_two(p, doy - (153 * mp + 2) / 5 + 1);
    *p++ = 'T';
    p = put_two(p, seconds / 3600);
    *p++ = ':';
    p = put_two(p, seconds / 60 % 60);
    *p++ = ':';
    p = put_two(p, seconds % 60);
    *p++ = '.';
    *p++ = (char)('0' + ms / 100);
    p = put_two(p, ms % 100);
    *p++ = 'Z';
    *p = 0;
    return p;
}

static char *put_offset(char *p, int64_t off)
{
    if (off == 0) {
        *p++ = 'Z';
        return p;
    }
    *p++ = off < 0 ? '-' : '+';
    int64_t s = (off < 0 ? -off : off) / 1000;
    p = put_digits(p, s / 3600, 2);
    *p++ = ':';
    p = put_digits(p, s / 60 % 60, 2);
    if (s % 60) { /* local mean time of the 19th century */
        *p++ = ':';
        p = put_digits(p, s % 60, 2);
    }
    return p;
}

int hg_time_format(int64_t t, const struct hg_tz *tz, char *buf)
{
    if (t > HG_TIME_MAX) t = HG_TIME_MAX;
    if (t < HG_TIME_MIN) t = HG_TIME_MIN;
    int64_t off = tz ? hg_tz_offset_ms(tz, t) : 0;
    if (!off && t >= 0 && t < YEAR_10000) return (int)(put_usual(buf, t) - buf);
    struct hg_civil c;
    hg_civil_of(t + off, &c);
    char *p = buf;
    int64_t y = c.year;
    if (y < 0) {
        *p++ = '-';
        y = -y;
    }
    int width = 4;
    for (int64_t lim = 10000; y >= lim; lim *= 10) width++;
    p = put_digits(p, y, width);
    *p++ = '-';
    p = put_digits(p, c.month, 2);
    *p++ = '-';
    p = put_digits(p, c.day, 2);
    *p++ = 'T';
    p = put_digits(p, c.hour, 2);
    *p++ = ':';
    p = put_digits(p, c.minute, 2);
    *p++ = ':';
    p = put_digits(p, c.second, 2);
    *p++ = '.';
    p = put_digits(p, c.ms, 3);
    p = put_offset(p, off);
    *p = 0;
    return (int)(p - buf);
}

const char *hg_time_quote(struct hg_str s, char buf[HG_QUOTE])
{
    size_t max = HG_QUOTE - 4, n = s.len < max ? s.len : max;
    for (size_t i = 0; i < n; i++) buf[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
    memcpy(buf + n, s.len > max ? "..." : "", s.len > max ? 4 : 1);
    return buf;
}
