/* Time zones: the cache and the lookups. A zone is a sorted table of every change of its offset until 2502, made once from the system's
 * zone files, else from ICU, and read without a lock afterwards. The files come first because a system updates them when a country
 * changes its mind; ICU's data are as old as the library (Debian 12's still lets Mexico change its clocks). Past 2500 the table
 * repeats. Zones live as long as the process. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include "base/time_private.h"

#define REACH (26 * MS_HOUR) /* more than any zone was ever away from UTC */
enum { ZONE_NAME = 64, CHAINS = 256 };

struct hg_tz {
    struct hg_tz *next;
    char name[ZONE_NAME];
    bool repeats;      /* the table goes on beyond FOLD_TO */
    size_t n;          /* changes; 0: a fixed offset */
    int64_t first;     /* offset before at[0] */
    int64_t *at;       /* ascending instants */
    int32_t *offset;   /* offset[i] from at[i] on */
};

static const struct hg_tz utc = {.name = "UTC"};

static pthread_mutex_t zones_lock = PTHREAD_MUTEX_INITIALIZER; /* guards zones[] and the making of one */
static struct hg_tz *zones[CHAINS];

const struct hg_tz *hg_tz_utc(void) { return &utc; }
const char *hg_tz_name(const struct hg_tz *tz) { return tz ? tz->name : utc.name; }
bool hg_tz_is_fixed(const struct hg_tz *tz) { return !tz || tz->n == 0; }

/* ---- lookup ---- */

void hg_tz_span_at(const struct hg_tz *tz, int64_t t, struct hg_tz_span *out)
{
    if (hg_tz_is_fixed(tz)) {
        *out = (struct hg_tz_span){INT64_MIN, INT64_MAX, tz ? tz->first : 0};
        return;
    }
    int64_t shift = 0;
    if (tz->repeats && t >= HG_TZ_FOLD_TO) {
        shift = (t - HG_TZ_FOLD_FROM) / HG_TZ_CYCLE * HG_TZ_CYCLE;
        t -= shift;
    }
    size_t lo = 0, hi = tz->n; /* lo becomes the number of changes at or before t */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (tz->at[mid] <= t) lo = mid + 1;
        else hi = mid;
    }
    out->offset = lo ? tz->offset[lo - 1] : tz->first;
    out->from = lo ? tz->at[lo - 1] + shift : INT64_MIN;
    out->to = lo < tz->n ? tz->at[lo] + shift : INT64_MAX;
}

int64_t hg_tz_offset_ms(const struct hg_tz *tz, int64_t t)
{
    if (hg_tz_is_fixed(tz)) return tz ? tz->first : 0;
    struct hg_tz_span s;
    hg_tz_span_at(tz, t, &s);
    return s.offset;
}

int64_t hg_tz_to_utc(const struct hg_tz *tz, int64_t local)
{
    if (hg_tz_is_fixed(tz)) return local - (tz ? tz->first : 0);
    struct hg_tz_span s, prev;
    hg_tz_span_at(tz, local - REACH, &s);
    /* Spans are tried in their order, so the first whose clock shows `local` gives the earlier instant of an overlap; when the
     * clock has jumped past it, the offset before the jump puts the instant as far behind the jump. */
    for (prev = s; local - s.offset >= s.to;) {
        prev = s;
        hg_tz_span_at(tz, s.to, &s);
    }
    return local - s.offset < s.from ? local - prev.offset : local - s.offset;
}

/* ---- making ---- */

/* "+05:30", "-0800", "+05", and with a GMT or UTC prefix also "+5". Whole minutes only, so that not more than 2,880 zones exist. */
static bool parse_fixed(const char *z, int64_t *ms)
{
    bool prefixed = !strncmp(z, "GMT", 3) || !strncmp(z, "UTC", 3);
    if (prefixed) z += 3;
    if (*z != '+' && *z != '-') return false;
    int64_t sign = *z++ == '-' ? -1 : 1;
    int part[3] = {0, 0, 0}, n = 0;
    bool colons = false;
    for (; n < 3; n++) {
        if (n > 0 && *z == ':' && (n == 1 || colons)) {
            colons = true;
            z++;
        } else if (n > 0 && (*z == 0 || colons)) {
            break;
        }
        if (*z < '0' || *z > '9') return false;
        part[n] = *z++ - '0';
        if (*z >= '0' && *z <= '9') part[n] = part[n] * 10 + (*z++ - '0');
        else if (n > 0 || !prefixed) return false;
    }
    if (*z || part[0] > 23 || part[1] > 59 || part[2] != 0) return false;
    *ms = sign * (part[0] * MS_HOUR + part[1] * MS_MINUTE);
    return true;
}

static bool plausible_name(const char *z)
{
    size_t n = strlen(z);
    if (n == 0 || n >= ZONE_NAME) return false;
    for (size_t i = 0; i < n; i++) {
        char c = z[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c && strchr("/_-+", c));
        if (!ok) return false;
    }
    return true;
}

static struct hg_tz *zone_new(const char *name, size_t n)
{
    struct hg_tz *tz = calloc(1, sizeof *tz + n * (sizeof *tz->at + sizeof *tz->offset));
    if (!tz) return NULL;
    snprintf(tz->name, sizeof tz->name, "%s", name);
    tz->n = n;
    tz->at = (int64_t *)(tz + 1);
    tz->offset = (int32_t *)(tz->at + n);
    return tz;
}
_Static_assert(sizeof(struct hg_tz) % sizeof(int64_t) == 0, "the table follows the struct");

bool hg_tz_rules_add(struct hg_tz_rules *r, int64_t at, int64_t offset)
{
    if (offset <= -REACH || offset >= REACH) return false;
    if (at < HG_TZ_TABLE_FROM && r->n == 0) {
        r->first = offset;
        return true;
    }
    if (at >= HG_TZ_TABLE_TO) return true;
    if (r->n ? at <= r->at[r->n - 1] : at < HG_TZ_TABLE_FROM) return false;
    if (offset == (r->n ? r->offset[r->n - 1] : r->first)) return true; /* only the name or the share of summer time changed */
    if (r->n == HG_TZ_CHANGES_MAX) return false;
    r->at[r->n] = at;
    r->offset[r->n++] = (int32_t)offset;
    return true;
}

static enum hg_rc unknown(const char *name, struct hg_err *err)
{
    char q[HG_QUOTE];
    return hg_fail(err, HG_E_INVALID, "time zone \"%s\" is not known: want an IANA name such as America/Los_Angeles, or an offset such as +05:30",
                   hg_time_quote(hg_str_of(name), q));
}

/* Names that zone directories hold and that are no zones: another time scale, copies, the machine's own setting. */
static bool no_zone(const char *name)
{
    return name[0] == '/' || !strncmp(name, "right/", 6) || !strncmp(name, "posix/", 6) || !strcmp(name, "posixrules") || !strcmp(name, "localtime") ||
           !strcmp(name, "Factory") || !strcmp(name, "Etc/Unknown");
}

static enum hg_rc load(const char *name, struct hg_tz **out, struct hg_err *err)
{
    if (!plausible_name(name) || no_zone(name)) return unknown(name, err);
    struct hg_tz_rules *r = malloc(sizeof *r);
    if (!r) return hg_fail(err, HG_E_NOMEM, "time zone %s: no memory", name);
    const char *dir = getenv("TZDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", name);
    enum hg_rc rc = hg_tz_read_file(path, r, err);
    if (rc == HG_E_NOTFOUND) rc = hg_tz_ask_icu(name, r, err);
    if (rc == HG_E_NOTFOUND) rc = unknown(name, err);
    if (rc == HG_OK) {
        struct hg_tz *tz = zone_new(name, r->n);
        if (tz) {
            memcpy(tz->at, r->at, r->n * sizeof r->at[0]);
            memcpy(tz->offset, r->offset, r->n * sizeof r->offset[0]);
            tz->first = r->first;
            tz->repeats = r->n > 0 && r->at[r->n - 1] >= HG_TZ_FOLD_TO;
            *out = tz;
        } else {
            rc = hg_fail(err, HG_E_NOMEM, "time zone %s: no memory", name);
        }
    }
    free(r);
    return rc;
}

static size_t chain_of(const char *z)
{
    uint32_t h = 2166136261u;
    for (; *z; z++) h = (h ^ (uint8_t)*z) * 16777619u;
    return (h ^ (h >> 16)) % CHAINS;
}

static enum hg_rc find_locked(const char *name, const int64_t *fixed, const struct hg_tz **out, struct hg_err *err)
{
    struct hg_tz **chain = &zones[chain_of(name)], *tz;
    for (tz = *chain; tz; tz = tz->next)
        if (!strcmp(tz->name, name)) {
            *out = tz;
            return HG_OK;
        }
    if (fixed) {
        tz = zone_new(name, 0);
        if (!tz) return hg_fail(err, HG_E_NOMEM, "time zone %s: no memory", name);
        tz->first = *fixed;
    } else {
        HG_TRY(load(name, &tz, err));
    }
    tz->next = *chain;
    *chain = tz;
    *out = tz;
    return HG_OK;
}

enum hg_rc hg_tz_find(const char *name, const struct hg_tz **out, struct hg_err *err)
{
    if (!name || !strcasecmp(name, "UTC") || !strcmp(name, "UT") || !strcmp(name, "Z") || !strcmp(name, "Etc/UTC")) {
        *out = &utc;
        return HG_OK;
    }
    int64_t ms;
    char canon[16];
    bool fixed = parse_fixed(name, &ms);
    if (fixed) {
        if (ms == 0) {
            *out = &utc;
            return HG_OK;
        }
        int64_t m = (ms < 0 ? -ms : ms) / MS_MINUTE;
        snprintf(canon, sizeof canon, "%c%02d:%02d", ms < 0 ? '-' : '+', (int)(m / 60 % 100), (int)(m % 60));
        name = canon;
    }
    pthread_mutex_lock(&zones_lock);
    enum hg_rc rc = find_locked(name, fixed ? &ms : NULL, out, err);
    pthread_mutex_unlock(&zones_lock);
    return rc;
}
