#include "query/expr/timefmt.h"

#include <string.h>
#include <strings.h>
#include <unicode/ucal.h>
#include <unicode/udat.h>
#include <unicode/ustring.h>
#include "base/clock.h"

struct part {
    char letter; /* 0: text */
    uint32_t n;  /* how often */
    struct hg_str text;
    bool packed; /* reading: a number follows at once, so this one has exactly n digits */
};
/* Names of a locale, in the form that stands in a date. */
struct names {
    const char *months[12], *short_months[12], *days[7], *short_days[7], *halves[2];
};
struct hg_timefmt {
    struct part *parts;
    uint32_t n;
    const struct names *names; /* NULL: English */
};

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
static const char *const days[] = {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

/* ---- the pattern ---- */

static bool is_numeric(const struct part *p)
{
    if (p->letter == 'M') return p->n < 3;
    return p->letter && strchr("CYxweyDdKhHkmsS", p->letter);
}

static size_t quoted(struct hg_str s, size_t at, char *out, size_t *len)
{
    if (at + 1 < s.len && s.p[at + 1] == '\'') return out[(*len)++] = '\'', at + 2;
    for (at++; at < s.len; at++) {
        if (s.p[at] == '\'') {
            if (at + 1 >= s.len || s.p[at + 1] != '\'') return at + 1;
            at++;
        }
        out[(*len)++] = s.p[at];
    }
    return at;
}

enum hg_rc hg_timefmt_new(struct hg_arena *a, struct hg_str pattern, const struct hg_timefmt **out, struct hg_err *err)
{
    struct hg_timefmt *f = hg_arena_zalloc(a, sizeof *f);
    if (!f || !(f->parts = hg_arena_array(a, pattern.len + 1, sizeof *f->parts))) return hg_arena_fail(a, "time format", err);
    char *text = hg_arena_alloc(a, pattern.len + 1);
    if (!text) return hg_arena_fail(a, "time format", err);
    if (!pattern.len) return hg_fail(err, HG_E_INVALID, "the time format is empty");
    for (size_t k = 0; k < pattern.len;) {
        struct part *p = &f->parts[f->n++];
        char x = pattern.p[k];
        if ((x >= 'a' && x <= 'z') || (x >= 'A' && x <= 'Z')) {
            if (!strchr("GCYxweEyDMdaKhHkmsSzZ", x)) return hg_fail(err, HG_E_INVALID, "the time format '%.*s' has the letter %c, which means nothing", (int)(pattern.len > 100 ? 100 : pattern.len), pattern.p, x);
            p->letter = x;
            while (k < pattern.len && pattern.p[k] == x) k++, p->n++;
            if (p->n > 100) return hg_fail(err, HG_E_INVALID, "the time format repeats the letter %c %u times", x, p->n);
            continue;
        }
        size_t len = 0;
        while (k < pattern.len && !((pattern.p[k] >= 'a' && pattern.p[k] <= 'z') || (pattern.p[k] >= 'A' && pattern.p[k] <= 'Z'))) {
            if (pattern.p[k] == '\'') k = quoted(pattern, k, text, &len);
            else text[len++] = pattern.p[k++];
        }
        p->text = (struct hg_str){text, len};
        text += len;
    }
    for (uint32_t k = 0; k + 1 < f->n; k++) f->parts[k].packed = is_numeric(&f->parts[k]) && is_numeric(&f->parts[k + 1]);
    *out = f;
    return HG_OK;
}

/* ---- names of other languages ---- */

/* first: of the symbols; days of the week begin at 1 with Sunday there, and with Monday here. */
static enum hg_rc symbols(const UDateFormat *d, UDateFormatSymbolType type, int first, int n, const char **to, struct hg_arena *a, struct hg_err *err)
{
    for (int k = 0; k < n; k++) {
        UErrorCode e = U_ZERO_ERROR;
        UChar text[128];
        char utf8[400];
        int32_t len = 0, at = type == UDAT_WEEKDAYS || type == UDAT_SHORT_WEEKDAYS ? (k + 1) % 7 + 1 : first + k;
        int32_t wide = udat_getSymbols(d, type, at, text, 128, &e);
        u_strToUTF8(utf8, sizeof utf8, &len, text, wide, &e);
        if (U_FAILURE(e)) return hg_fail(err, HG_E_INVALID, "the names of days and months cannot be told: %s", u_errorName(e));
        if (!(to[k] = hg_arena_strndup(a, utf8, (size_t)len))) return hg_arena_fail(a, "time format", err);
    }
    return HG_OK;
}

enum hg_rc hg_timefmt_new_in(struct hg_arena *a, struct hg_str pattern, const char *locale, const struct hg_timefmt **out, struct hg_err *err)
{
    const struct hg_timefmt *made = NULL;
    HG_TRY(hg_timefmt_new(a, pattern, &made, err));
    *out = made;
    if (!locale) return HG_OK;
    struct hg_timefmt *f = hg_arena_alloc(a, sizeof *f);
    struct names *l = hg_arena_zalloc(a, sizeof *l);
    char id[160];
    UErrorCode e = U_ZERO_ERROR;
    int32_t parsed = 0;
    if (!f || !l) return hg_arena_fail(a, "time format", err);
    uloc_forLanguageTag(locale, id, sizeof id, &parsed, &e);
    if (U_FAILURE(e) || !id[0]) return HG_OK; /* as Java: what is no language tag is the language of none */
    UDateFormat *d = udat_open(UDAT_DEFAULT, UDAT_DEFAULT, id, NULL, 0, NULL, 0, &e);
    if (U_FAILURE(e)) return HG_OK;
    enum hg_rc rc = symbols(d, UDAT_MONTHS, 0, 12, l->months, a, err);
    if (rc == HG_OK) rc = symbols(d, UDAT_SHORT_MONTHS, 0, 12, l->short_months, a, err);
    if (rc == HG_OK) rc = symbols(d, UDAT_WEEKDAYS, 0, 7, l->days, a, err);
    if (rc == HG_OK) rc = symbols(d, UDAT_SHORT_WEEKDAYS, 0, 7, l->short_days, a, err);
    if (rc == HG_OK) rc = symbols(d, UDAT_AM_PMS, 0, 2, l->halves, a, err);
    udat_close(d);
    *f = *made;
    f->names = l;
    *out = f;
    return rc;
}

/* ---- printing ---- */

#define DAY_MS 86400000ll

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int day_of_week(int64_t local) { return (int)((floor_div(local, DAY_MS) % 7 + 10) % 7) + 1; } /* 1970-01-01 was a Thursday: 4 */
static int64_t days_of(int64_t y, int m, int d)
{
    struct hg_civil c = {.year = y, .month = m, .day = d};
    return floor_div(hg_civil_ms(&c), DAY_MS);
}
static int day_of_year(const struct hg_civil *c) { return (int)(days_of(c->year, c->month, c->day) - days_of(c->year, 1, 1)) + 1; }
/* The Monday that begins week 1 of a week year: the week with January 4th. */
static int64_t first_monday(int64_t year)
{
    int64_t jan4 = days_of(year, 1, 4);
    return jan4 - (day_of_week(jan4 * DAY_MS) - 1);
}
static void week_of(int64_t local, int64_t year, int64_t *week_year, int *week)
{
    int64_t d = floor_div(local, DAY_MS);
    *week_year = d >= first_monday(year + 1) ? year + 1 : d < first_monday(year) ? year - 1 : year;
    *week = (int)((d - first_monday(*week_year)) / 7) + 1;
}

static void put_int(struct hg_buf *out, int64_t v, uint32_t least) { hg_buf_printf(out, "%s%0*lld", v < 0 ? "-" : "", (int)least, (long long)(v < 0 ? -v : v)); }
static void put_year(struct hg_buf *out, int64_t v, uint32_t n) { put_int(out, n == 2 ? (v % 100 + 100) % 100 : v, n); }
static void put_name(struct hg_buf *out, const char *name, uint32_t n) { hg_buf_put(out, name, n >= 4 ? strlen(name) : 3); }
static void put_day(const struct names *l, struct hg_buf *out, int k, uint32_t n)
{
    if (l) hg_buf_puts(out, n >= 4 ? l->days[k] : l->short_days[k]);
    else put_name(out, days[k], n);
}
static void put_month(const struct names *l, struct hg_buf *out, int k, uint32_t n)
{
    if (l) hg_buf_puts(out, n >= 4 ? l->months[k] : l->short_months[k]);
    else put_name(out, months[k], n);
}

static void put_offset(struct hg_buf *out, int64_t t, const struct hg_tz *tz, uint32_t n)
{
    int64_t min = hg_tz_offset_ms(tz, t) / 60000, abs = min < 0 ? -min : min;
    if (n >= 3) hg_buf_puts(out, hg_tz_name(tz));
    else hg_buf_printf(out, "%c%02d%s%02d", min < 0 ? '-' : '+', (int)(abs / 60), n == 2 ? ":" : "", (int)(abs % 60));
}

static void put_zone(struct hg_buf *out, int64_t t, const struct hg_tz *tz, uint32_t n)
{
    const char *name = hg_tz_name(tz);
    UChar id[64], text[64];
    char utf8[192];
    UErrorCode e = U_ZERO_ERROR;
    if (strcmp(name, "UTC") == 0) {
        hg_buf_puts(out, n >= 4 ? "Coordinated Universal Time" : "UTC");
        return;
    }
    u_uastrncpy(id, name, 63);
    id[63] = 0;
    UCalendar *cal = ucal_open(id, -1, "en_US", UCAL_GREGORIAN, &e);
    ucal_setMillis(cal, (double)t, &e);
    bool summer = U_SUCCESS(e) && ucal_inDaylightTime(cal, &e);
    ucal_getTimeZoneDisplayName(cal, summer ? (n >= 4 ? UCAL_DST : UCAL_SHORT_DST) : n >= 4 ? UCAL_STANDARD : UCAL_SHORT_STANDARD, "en_US", text, 64, &e);
    ucal_close(cal);
    if (U_FAILURE(e)) {
        hg_buf_puts(out, name);
        return;
    }
    u_austrncpy(utf8, text, sizeof utf8 - 1);
    utf8[sizeof utf8 - 1] = 0;
    hg_buf_puts(out, utf8);
}

static void print_part(const struct part *p, const struct names *l, int64_t t, int64_t local, const struct hg_civil *c, const struct hg_tz *tz, struct hg_buf *out)
{
    int64_t wy;
    int week;
    switch (p->letter) {
    case 'G': hg_buf_puts(out, c->year > 0 ? "AD" : "BC"); break;
    case 'C': put_int(out, (c->year > 0 ? c->year : 1 - c->year) / 100, p->n); break;
    case 'Y': put_year(out, c->year > 0 ? c->year : 1 - c->year, p->n); break;
    case 'y': put_year(out, c->year, p->n); break;
    case 'x': week_of(local, c->year, &wy, &week), put_year(out, wy, p->n); break;
    case 'w': week_of(local, c->year, &wy, &week), put_int(out, week, p->n); break;
    case 'e': put_int(out, day_of_week(local), p->n); break;
    case 'E': put_day(l, out, day_of_week(local) - 1, p->n); break;
    case 'D': put_int(out, day_of_year(c), p->n); break;
    case 'M':
        if (p->n >= 3) put_month(l, out, c->month - 1, p->n);
        else put_int(out, c->month, p->n);
        break;
    case 'd': put_int(out, c->day, p->n); break;
    case 'a': hg_buf_puts(out, l ? l->halves[c->hour >= 12] : c->hour < 12 ? "AM" : "PM"); break;
    case 'K': put_int(out, c->hour % 12, p->n); break;
    case 'h': put_int(out, c->hour % 12 ? c->hour % 12 : 12, p->n); break;
    case 'H': put_int(out, c->hour, p->n); break;
    case 'k': put_int(out, c->hour ? c->hour : 24, p->n); break;
    case 'm': put_int(out, c->minute, p->n); break;
    case 's': put_int(out, c->second, p->n); break;
    case 'S': {
        char ms[8];
        snprintf(ms, sizeof ms, "%03d", c->ms);
        for (uint32_t k = 0; k < p->n; k++) hg_buf_putc(out, k < 3 ? ms[k] : '0');
        break;
    }
    case 'z': put_zone(out, t, tz, p->n); break;
    case 'Z': put_offset(out, t, tz, p->n); break;
    default: hg_buf_put(out, p->text.p, p->text.len);
    }
}

void hg_timefmt_print(const struct hg_timefmt *f, int64_t t, const struct hg_tz *tz, struct hg_buf *out)
{
    struct hg_civil c;
    int64_t local = t + hg_tz_offset_ms(tz, t);
    hg_civil_of(local, &c);
    for (uint32_t k = 0; k < f->n; k++) print_part(&f->parts[k], f->names, t, local, &c, tz, out);
}

/* ---- reading ---- */

struct fields {
    int64_t year, week_year;
    int month, day, doy, week, dow, hour, half, hour12, minute, second, ms;
    bool has_year, has_week_year, has_month, has_day, has_doy, has_week, has_dow, has_offset, bc;
    int64_t offset_ms;
    const struct hg_tz *tz;
};

static bool digits(struct hg_str *s, uint32_t most, bool sign, int64_t *out, uint32_t *count)
{
    bool neg = false;
    int64_t v = 0;
    uint32_t n = 0;
    if (sign && s->len > 1 && (s->p[0] == '-' || s->p[0] == '+')) neg = s->p[0] == '-', s->p++, s->len--;
    for (; n < most && s->len && s->p[0] >= '0' && s->p[0] <= '9'; n++, s->p++, s->len--) v = v * 10 + (s->p[0] - '0');
    *out = neg ? -v : v;
    *count = n;
    return n > 0;
}

static bool name_of(struct hg_str *s, const char *const *names, int n, int *out)
{
    for (int k = 0; k < n; k++) {
        size_t len = strlen(names[k]);
        if (s->len >= len && strncasecmp(s->p, names[k], len) == 0) return s->p += len, s->len -= len, *out = k + 1, true;
    }
    for (int k = 0; k < n; k++)
        if (s->len >= 3 && strncasecmp(s->p, names[k], 3) == 0) return s->p += 3, s->len -= 3, *out = k + 1, true;
    return false;
}

static bool offset(struct hg_str *s, struct fields *f)
{
    int64_t h, m = 0;
    uint32_t n;
    f->has_offset = true;
    if (s->len && (s->p[0] == 'Z' || s->p[0] == 'z')) return s->p++, s->len--, f->offset_ms = 0, true;
    if (!s->len || (s->p[0] != '+' && s->p[0] != '-')) return false;
    bool neg = s->p[0] == '-';
    s->p++, s->len--;
    if (!digits(s, 2, false, &h, &n) || n != 2) return false;
    if (s->len && s->p[0] == ':') s->p++, s->len--;
    if (s->len && s->p[0] >= '0' && s->p[0] <= '9' && (!digits(s, 2, false, &m, &n) || n != 2)) return false;
    f->offset_ms = (neg ? -1 : 1) * (h * 60 + m) * 60000;
    return h < 24 && m < 60;
}

static bool zone(struct hg_str *s, struct fields *f)
{
    char name[64];
    size_t n = 0;
    while (n < s->len && n < sizeof name - 1 && (s->p[n] == '/' || s->p[n] == '_' || s->p[n] == '-' || s->p[n] == '+' || (s->p[n] >= '0' && s->p[n] <= '9') || (s->p[n] | 32) >= 'a')) n++;
    for (; n; n--) { /* the longest that is a zone */
        memcpy(name, s->p, n);
        name[n] = 0;
        if (hg_tz_find(name, &f->tz, NULL) == HG_OK) return s->p += n, s->len -= n, true;
    }
    return false;
}

/* Two digits are those of the years from 80 before to 19 after this one. */
static int64_t full_year(int64_t yy)
{
    struct hg_civil now;
    hg_civil_of(hg_clock_now_ms(), &now);
    int64_t low = now.year - 80, y = low - low % 100 + yy;
    return y < low ? y + 100 : y;
}

static bool read_part(const struct part *p, struct hg_str *s, struct fields *f)
{
    int64_t v = 0;
    uint32_t n = 0, most = p->packed ? p->n : 9;
    if (!p->letter) {
        if (s->len < p->text.len || strncasecmp(s->p, p->text.p, p->text.len) != 0) return false;
        return s->p += p->text.len, s->len -= p->text.len, true;
    }
    if (p->letter == 'E') return name_of(s, days, 7, &f->dow) && (f->has_dow = true);
    if (p->letter == 'M' && p->n >= 3) return name_of(s, months, 12, &f->month) && (f->has_month = true);
    if (p->letter == 'a') {
        if (s->len < 2 || (s->p[1] | 32) != 'm' || ((s->p[0] | 32) != 'a' && (s->p[0] | 32) != 'p')) return false;
        f->half = (s->p[0] | 32) == 'p' ? 2 : 1;
        return s->p += 2, s->len -= 2, true;
    }
    if (p->letter == 'G') {
        if (s->len < 2 || (strncasecmp(s->p, "AD", 2) != 0 && strncasecmp(s->p, "BC", 2) != 0)) return false;
        f->bc = (s->p[0] | 32) == 'b';
        return s->p += 2, s->len -= 2, true;
    }
    if (p->letter == 'Z' && p->n < 3) return offset(s, f);
    if (p->letter == 'Z' || p->letter == 'z') return zone(s, f);
    if (p->letter == 'S') {
        int scale = 100;
        if (!s->len || s->p[0] < '0' || s->p[0] > '9') return false;
        for (; n < (p->packed ? p->n : p->n > 9 ? p->n : 9) && s->len && s->p[0] >= '0' && s->p[0] <= '9'; n++, scale /= 10, s->p++, s->len--) f->ms += (s->p[0] - '0') * scale;
        return true;
    }
    if (!p->packed && p->letter != 'y' && p->letter != 'Y' && p->letter != 'x') most = p->letter == 'D' ? 3 : 2;
    if (most < p->n) most = p->n;
    if (!digits(s, most, p->letter == 'y' || p->letter == 'x', &v, &n)) return false;
    switch (p->letter) {
    case 'y':
    case 'Y': f->year = p->n == 2 && n == 2 ? full_year(v) : v, f->has_year = true; return true;
    case 'x': f->week_year = p->n == 2 && n == 2 ? full_year(v) : v, f->has_week_year = true; return true;
    case 'w': f->week = (int)v, f->has_week = true; return v >= 1 && v <= 53;
    case 'e': f->dow = (int)v, f->has_dow = true; return v >= 1 && v <= 7;
    case 'D': f->doy = (int)v, f->has_doy = true; return v >= 1 && v <= 366;
    case 'M': f->month = (int)v, f->has_month = true; return v >= 1 && v <= 12;
    case 'd': f->day = (int)v, f->has_day = true; return v >= 1 && v <= 31;
    case 'K': f->hour12 = (int)v; return v <= 11;
    case 'h': f->hour12 = (int)(v % 12); return v >= 1 && v <= 12;
    case 'H': f->hour = (int)v; return v <= 23;
    case 'k': f->hour = (int)(v % 24); return v >= 1 && v <= 24;
    case 'm': f->minute = (int)v; return v <= 59;
    case 's': f->second = (int)v; return v <= 59;
    default: return false; /* a century says too little */
    }
}

static bool instant(const struct fields *f, const struct hg_tz *tz, int64_t *out)
{
    int64_t year = f->has_year ? (f->bc ? 1 - f->year : f->year) : f->has_month || f->has_day || f->has_doy ? 2000 : 1970, day;
    if (f->has_week_year || f->has_week) {
        day = first_monday(f->has_week_year ? f->week_year : year) + ((int64_t)(f->has_week ? f->week : 1) - 1) * 7 + (f->has_dow ? f->dow - 1 : 0);
    } else if (f->has_doy) {
        day = days_of(year, 1, 1) + f->doy - 1;
        if (day >= days_of(year + 1, 1, 1)) return false;
    } else {
        int month = f->has_month ? f->month : 1, dom = f->has_day ? f->day : 1;
        if (dom > hg_days_in_month(year, month)) return false;
        day = days_of(year, month, dom);
    }
    int hour = f->half ? f->hour12 + (f->half == 2 ? 12 : 0) : f->hour ? f->hour : f->hour12;
    int64_t local = day * DAY_MS + ((hour * 60ll + f->minute) * 60 + f->second) * 1000 + f->ms;
    *out = f->has_offset ? local - f->offset_ms : hg_tz_to_utc(f->tz ? f->tz : tz, local);
    return *out >= HG_TIME_MIN && *out <= HG_TIME_MAX;
}

bool hg_timefmt_parse(const struct hg_timefmt *f, struct hg_str s, const struct hg_tz *tz, int64_t *out)
{
    struct fields v = {0};
    for (uint32_t k = 0; k < f->n; k++)
        if (!read_part(&f->parts[k], &s, &v)) return false;
    return s.len == 0 && instant(&v, tz, out);
}
