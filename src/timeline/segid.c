/* Segment ids and their text form: DATASOURCE[@NAMESPACE]_START_END_VERSION[_PARTITION], Druid's form with the namespace added. Partition 0 is
 * left out, as Druid does.
 *
 * The text is a key (in the metadata store, in inventories, in file names), so an id has exactly one text: parsing takes only what formatting
 * writes. Names may hold underscores; times and versions may not, so the text is read from its end, and since a name cannot hold ':'
 * only one reading is ever possible. */
#include "timeline/segid.h"

#include <inttypes.h>

#define NAME_MAX_LEN 128
#define VERSION_MAX_LEN 64

static bool alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

enum hg_rc hg_name_check(const char *what, const char *name, struct hg_err *err)
{
    size_t n = name ? strlen(name) : 0;
    if (n == 0) {
        if (name && strcmp(what, "namespace") == 0) return HG_OK; /* the default namespace */
        return hg_fail(err, HG_E_INVALID, "%s is empty", what);
    }
    if (n > NAME_MAX_LEN) return hg_fail(err, HG_E_INVALID, "%s \"%.40s…\" has %zu characters, at most %d are allowed", what, name, n, NAME_MAX_LEN);
    /* Names become folders in deep storage and on servers' disks. */
    if (name[0] == '.') return hg_fail(err, HG_E_INVALID, "%s \"%s\" starts with a dot", what, name);
    for (size_t i = 0; i < n; i++) {
        if (alnum(name[i]) || name[i] == '.' || name[i] == '-' || name[i] == '_') continue;
        return hg_fail(err, HG_E_INVALID, "%s \"%s\": byte 0x%02x at %zu is not a letter, digit, '.', '-' or '_'", what, name, (unsigned char)name[i], i);
    }
    return HG_OK;
}

static enum hg_rc version_check(const char *v, struct hg_err *err)
{
    size_t n = v ? strlen(v) : 0;
    if (n == 0) return hg_fail(err, HG_E_INVALID, "segment version is empty");
    if (n > VERSION_MAX_LEN) return hg_fail(err, HG_E_INVALID, "segment version \"%.40s…\" has %zu characters, at most %d are allowed", v, n, VERSION_MAX_LEN);
    if (!alnum(v[0])) return hg_fail(err, HG_E_INVALID, "segment version \"%s\" does not start with a letter or digit", v);
    for (size_t i = 0; i < n; i++) {
        if (alnum(v[i]) || v[i] == ':' || v[i] == '.' || v[i] == '-' || v[i] == '+') continue;
        return hg_fail(err, HG_E_INVALID, "segment version \"%s\": byte 0x%02x at %zu is not a letter, digit, ':', '.', '-' or '+'", v, (unsigned char)v[i], i);
    }
    return HG_OK;
}

enum hg_rc hg_segid_check(const struct hg_segid *id, struct hg_err *err)
{
    HG_TRY(hg_name_check("datasource", id->datasource, err));
    HG_TRY(hg_name_check("namespace", id->ns ? id->ns : "", err));
    HG_TRY(version_check(id->version, err));
    if (id->interval.start < HG_TIME_MIN || id->interval.end > HG_TIME_MAX || hg_interval_empty(id->interval))
        return hg_fail(err, HG_E_INVALID, "segment interval %" PRId64 " to %" PRId64 " ms is empty or out of range", id->interval.start, id->interval.end);
    return HG_OK;
}

int hg_segid_text(const struct hg_segid *id, char buf[HG_SEGID_TEXT])
{
    char s[HG_TIME_TEXT], e[HG_TIME_TEXT], part[16] = "";
    hg_time_format(id->interval.start, hg_tz_utc(), s);
    hg_time_format(id->interval.end, hg_tz_utc(), e);
    if (id->partition) snprintf(part, sizeof part, "_%" PRIu32, id->partition);
    bool ns = id->ns && id->ns[0];
    int n = snprintf(buf, HG_SEGID_TEXT, "%s%s%s_%s_%s_%s%s", id->datasource, ns ? "@" : "", ns ? id->ns : "", s, e, id->version, part);
    if (n >= 0 && n < HG_SEGID_TEXT) return n;
    buf[0] = 0;
    return -1;
}

static enum hg_rc bad(struct hg_str text, const char *why, struct hg_err *err)
{
    return hg_fail(err, HG_E_INVALID, "segment id \"%.*s\": %s", (int)(text.len > 300 ? 300 : text.len), text.p, why);
}

/* Cuts the part behind the last underscore off *rest. */
static bool cut_last(struct hg_str *rest, struct hg_str *part)
{
    for (size_t i = rest->len; i-- > 0;) {
        if (rest->p[i] != '_') continue;
        *part = (struct hg_str){rest->p + i + 1, rest->len - i - 1};
        rest->len = i;
        return true;
    }
    return false;
}

static bool parse_partition(struct hg_str s, uint32_t *out)
{
    if (s.len == 0 || s.len > 10 || s.p[0] == '0') return false; /* 0 is written by leaving it out */
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    if (v > UINT32_MAX) return false;
    *out = (uint32_t)v;
    return true;
}

/* Only the spelling that hg_segid_text writes: "9" is a year to hg_time_parse, but here it is the end of a name. */
static bool parse_time(struct hg_str s, int64_t *out)
{
    char again[HG_TIME_TEXT];
    if (s.len >= HG_TIME_TEXT || hg_time_parse(s, NULL, out, NULL) != HG_OK || *out < HG_TIME_MIN || *out > HG_TIME_MAX) return false;
    int n = hg_time_format(*out, hg_tz_utc(), again);
    return n >= 0 && (size_t)n == s.len && memcmp(again, s.p, s.len) == 0;
}

/* Reads rest_start_end_version; false when it does not have that form. */
static bool parse_body(struct hg_str rest, struct hg_str *name, struct hg_interval *iv, struct hg_str *version)
{
    struct hg_str s, e;
    if (!cut_last(&rest, version) || !cut_last(&rest, &e) || !cut_last(&rest, &s)) return false;
    *name = rest;
    return parse_time(s, &iv->start) && parse_time(e, &iv->end);
}

enum hg_rc hg_segid_parse(struct hg_arena *a, struct hg_str text, struct hg_segid *out, struct hg_err *err)
{
    if (!text.p || text.len >= HG_SEGID_TEXT) return hg_fail(err, HG_E_INVALID, "segment id of %zu bytes: expected 1 to %d", text.p ? text.len : 0, HG_SEGID_TEXT - 1);
    if (memchr(text.p, 0, text.len)) return bad(text, "holds a NUL byte", err);
    struct hg_segid id = {0};
    struct hg_str rest = text, last, name, version;
    bool ok = cut_last(&rest, &last) && parse_partition(last, &id.partition) && parse_body(rest, &name, &id.interval, &version);
    if (!ok) {
        id.partition = 0;
        ok = parse_body(text, &name, &id.interval, &version);
    }
    if (!ok) return bad(text, "expected datasource_start_end_version[_partition], times as 2024-03-08T00:00:00.000Z", err);
    const char *at = memchr(name.p, '@', name.len);
    size_t ds_len = at ? (size_t)(at - name.p) : name.len;
    if (at && ds_len + 1 == name.len) return bad(text, "empty namespace after '@'", err);
    id.datasource = hg_arena_strndup(a, name.p, ds_len);
    id.ns = at ? hg_arena_strndup(a, at + 1, name.len - ds_len - 1) : "";
    id.version = hg_arena_strndup(a, version.p, version.len);
    if (!id.datasource || !id.ns || !id.version) return hg_arena_fail(a, "segment id", err);
    enum hg_rc rc = hg_segid_check(&id, err);
    if (rc) return hg_err_context(err, rc, "segment id \"%.*s\"", (int)(text.len > 300 ? 300 : text.len), text.p);
    *out = id;
    return HG_OK;
}

int hg_segid_cmp(const struct hg_segid *a, const struct hg_segid *b)
{
    int c = strcmp(a->datasource, b->datasource);
    if (c) return c;
    c = strcmp(a->ns ? a->ns : "", b->ns ? b->ns : "");
    if (c) return c;
    if (a->interval.start != b->interval.start) return a->interval.start < b->interval.start ? -1 : 1;
    if (a->interval.end != b->interval.end) return a->interval.end < b->interval.end ? -1 : 1;
    c = strcmp(a->version, b->version);
    if (c) return c;
    return a->partition < b->partition ? -1 : a->partition > b->partition;
}
