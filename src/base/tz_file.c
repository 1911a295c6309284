/* A zone's rules from a compiled zone file (TZif version 2 or later, RFC 8536): a list of changes, and a POSIX TZ string such as
 * "PST8PDT,M3.2.0,M11.1.0" for what comes after them, which is unrolled here year by year. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/time_private.h"

enum { FILE_MAX = 256 * 1024, HEADER = 44, LAST_YEAR = 2502 };
_Static_assert((2502 - 1970) * 2 < HG_TZ_CHANGES_MAX, "two changes a year fit");

/* ---- the POSIX TZ string ---- */

struct posix_date { /* when in a year the clock changes */
    char form;      /* 'M': week-th weekday of month. 'J': day 1..365, 29 February never counted. 'N': day 0..365 */
    int month, week, day;
    int64_t seconds; /* local time of that day; may be negative or past 24 h */
};
struct posix_tz {
    int64_t std, dst; /* seconds east of UTC */
    bool changes;
    struct posix_date start, end; /* of dst */
};

static bool skip_name(const char **p)
{
    const char *s = *p;
    if (*s == '<') {
        while (*s && *s != '>') s++;
        if (*s++ != '>') return false;
    } else {
        while ((*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z')) s++;
        if (s - *p < 3) return false;
    }
    *p = s;
    return true;
}

static bool take_int(const char **p, int max, int *out)
{
    int v = 0;
    const char *s = *p;
    while (*s >= '0' && *s <= '9' && v <= max) v = v * 10 + (*s++ - '0');
    if (s == *p || v > max) return false;
    *p = s;
    *out = v;
    return true;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool take_clock(const char **p, int64_t *seconds)
{
    int h, m = 0, s = 0;
    int sign = **p == '-' ? -1 : 1;
    if (**p == '-' || **p == '+') (*p)++;
    if (!take_int(p, 167, &h)) return false;
    if (**p == ':' && ((*p)++, !take_int(p, 59, &m))) return false;
    if (**p == ':' && ((*p)++, !take_int(p, 59, &s))) return false;
    *seconds = sign * (h * INT64_C(3600) + m * 60 + s);
    return true;
}

static bool take_date(const char **p, struct posix_date *d)
{
    *d = (struct posix_date){.form = 'N', .seconds = 2 * 3600};
    if (*(*p)++ != ',') return false;
    if (**p == 'M') {
        d->form = *(*p)++;
        if (!take_int(p, 12, &d->month) || d->month < 1 || *(*p)++ != '.') return false;
        if (!take_int(p, 5, &d->week) || d->week < 1 || *(*p)++ != '.' || !take_int(p, 6, &d->day)) return false;
    } else {
        if (**p == 'J') d->form = *(*p)++;
        if (!take_int(p, 365, &d->day) || (d->form == 'J' && d->day < 1)) return false;
    }
    return **p != '/' || ((*p)++, take_clock(p, &d->seconds));
}

static bool parse_posix(const char *z, struct posix_tz *tz)
{
    *tz = (struct posix_tz){0};
    if (!skip_name(&z) || !take_clock(&z, &tz->std)) return false;
    tz->std = -tz->std; /* POSIX counts westward */
    if (!*z) return true;
    tz->changes = true;
    tz->dst = tz->std + 3600;
    if (!skip_name(&z)) return false;
    if (*z != ',') {
        if (!take_clock(&z, &tz->dst)) return false;
        tz->dst = -tz->dst;
    }
    return take_date(&z, &tz->start) && take_date(&z, &tz->end) && !*z;
}

static int64_t date_seconds(const struct posix_date *d, int64_t year)
{
    int64_t days = hg_days_of_civil(year, 1, 1);
    if (d->form == 'M') {
        int64_t first = hg_days_of_civil(year, d->month, 1);
        days = first + hg_floor_mod(d->day - (first + 4), 7) + (d->week - 1) * 7; /* day 0 was a Thursday */
        if (days >= first + hg_days_in_month(year, d->month)) days -= 7;          /* week 5 is the last one */
    } else if (d->form == 'J') {
        days += d->day - 1 + (d->day >= 60 && hg_days_in_month(year, 2) == 29);
    } else {
        days += d->day;
    }
    return days * 86400 + d->seconds;
}

/* Every change after `after` (seconds). */
static bool unroll(const struct posix_tz *tz, int64_t after, struct hg_tz_rules *r)
{
    if (!tz->changes) return true;
    int64_t year = 1970 + hg_floor_div(after, 31556952) - 1;
    for (year = year < 1970 ? 1970 : year; year <= LAST_YEAR; year++) {
        int64_t start = date_seconds(&tz->start, year) - tz->std, end = date_seconds(&tz->end, year) - tz->dst;
        bool start_first = start < end;
        int64_t t[2] = {start_first ? start : end, start_first ? end : start}, off[2] = {start_first ? tz->dst : tz->std, start_first ? tz->std : tz->dst};
        for (int i = 0; i < 2; i++) {
            if (t[i] <= after) continue;
            /* Summer time that ends at the instant it begins again has not ended: that is how a rule says "all year". */
            if (r->n && r->at[r->n - 1] == t[i] * 1000) r->n--;
            if (!hg_tz_rules_add(r, t[i] * 1000, off[i] * 1000)) return false;
        }
    }
    return true;
}

/* ---- the file ---- */

static uint32_t be32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }
static int64_t be64(const uint8_t *p) { return (int64_t)((uint64_t)be32(p) << 32 | be32(p + 4)); }

struct counts {
    uint64_t isut, isstd, leap, time, type, chars;
};

static bool header(struct hg_span *s, uint8_t *version, struct counts *c)
{
    if (s->len < HEADER || memcmp(s->p, "TZif", 4) != 0) return false;
    *version = s->p[4];
    *c = (struct counts){be32(s->p + 20), be32(s->p + 24), be32(s->p + 28), be32(s->p + 32), be32(s->p + 36), be32(s->p + 40)};
    *s = (struct hg_span){s->p + HEADER, s->len - HEADER};
    return true;
}

static uint64_t body_size(const struct counts *c, uint64_t width) { return c->time * (width + 1) + c->type * 6 + c->chars + c->leap * (width + 4) + c->isstd + c->isut; }

static bool add_changes(const uint8_t *body, const struct counts *c, struct hg_tz_rules *out, int64_t *last)
{
    const uint8_t *index = body + c->time * 8, *types = index + c->time;
    out->n = 0;
    out->first = (int64_t)(int32_t)be32(types) * 1000;
    if (out->first < -MS_DAY || out->first > MS_DAY) return false;
    for (uint64_t i = 0; i < c->time; i++) {
        int64_t at = be64(body + i * 8);
        if (index[i] >= c->type || (i && at <= *last)) return false;
        *last = at;
        int64_t ms = at < HG_TZ_TABLE_FROM / 1000 ? INT64_MIN : at > HG_TZ_TABLE_TO / 1000 ? INT64_MAX : at * 1000; /* no overflow */
        if (!hg_tz_rules_add(out, ms, (int64_t)(int32_t)be32(types + index[i] * 6) * 1000)) return false;
    }
    return true;
}

enum hg_rc hg_tz_decode(struct hg_span raw, const char *name, struct hg_tz_rules *out, struct hg_err *err)
{
    struct hg_span s = raw;
    struct counts c;
    uint8_t version;
    if (!header(&s, &version, &c)) return hg_fail(err, HG_E_CORRUPT, "time zone %s: not a zone file", name);
    if (version < '2') return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file has the old 32-bit form", name);
    uint64_t old = body_size(&c, 4); /* counts are 32-bit: no overflow */
    if (old > s.len) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file is cut off in its first part", name);
    s = (struct hg_span){s.p + old, s.len - (size_t)old};
    if (!header(&s, &version, &c)) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file has no second header", name);
    if (c.leap) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file counts leap seconds, which instants here do not", name);
    uint64_t size = body_size(&c, 8);
    if (size > s.len || c.type == 0) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file is cut off in its second part", name);

    int64_t last = INT64_MIN;
    if (!add_changes(s.p, &c, out, &last)) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file's changes are out of order or out of range", name);

    char footer[128] = "";
    const char *f = (const char *)s.p + size;
    size_t left = s.len - (size_t)size;
    const char *end = left ? memchr(f + 1, '\n', left - 1) : NULL;
    if (!end || *f != '\n' || (size_t)(end - f) > sizeof footer) return hg_fail(err, HG_E_CORRUPT, "time zone %s: the zone file has no rule at its end", name);
    memcpy(footer, f + 1, (size_t)(end - f - 1));
    struct posix_tz tz;
    if (!*footer) return HG_OK; /* nothing is known after the last change */
    if (!parse_posix(footer, &tz) || !unroll(&tz, last, out)) {
        char q[HG_QUOTE];
        return hg_fail(err, HG_E_CORRUPT, "time zone %s: cannot use the zone file's last rule \"%s\"", name, hg_time_quote(hg_str_of(footer), q));
    }
    return HG_OK;
}

enum hg_rc hg_tz_read_file(const char *path, struct hg_tz_rules *out, struct hg_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hg_fail_errno(err, errno == ENOENT || errno == ENOTDIR ? HG_E_NOTFOUND : HG_E_IO, "time zone file %s", path);
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        close(fd);
        return hg_fail(err, HG_E_NOTFOUND, "time zone file %s: not a zone file", path);
    }
    enum hg_rc rc = HG_OK;
    size_t cap = (size_t)st.st_size, len = 0;
    uint8_t *raw = malloc(cap + 1);
    if (!raw) rc = hg_fail(err, HG_E_NOMEM, "time zone file %s: no memory", path);
    while (rc == HG_OK && len < cap) {
        ssize_t n = read(fd, raw + len, cap - len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) rc = hg_fail_errno(err, HG_E_IO, "time zone file %s", path);
        if (n <= 0) break;
        len += (size_t)n;
    }
    close(fd);
    if (rc == HG_OK && (len < 4 || memcmp(raw, "TZif", 4) != 0)) rc = hg_fail(err, HG_E_NOTFOUND, "time zone file %s: not a zone file", path);
    if (rc == HG_OK) rc = hg_tz_decode((struct hg_span){raw, len}, path, out, err);
    free(raw);
    return rc;
}
