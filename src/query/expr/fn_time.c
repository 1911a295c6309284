/* Time. Periods, zones, formats and units that are written out are resolved when the expression is parsed; others row by row. */
#include <math.h>
#include <string.h>
#include <strings.h>
#include "query/expr/node.h"
#include "query/expr/timefmt.h"

#define FN(name) enum hg_rc name(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct hg_xval *out, struct hg_err *err)

enum unit { U_EPOCH, U_MILLISECOND, U_SECOND, U_MINUTE, U_HOUR, U_DAY, U_DOW, U_ISODOW, U_DOY, U_WEEK, U_MONTH, U_QUARTER, U_YEAR, U_ISOYEAR, U_DECADE, U_CENTURY, U_MILLENNIUM, UNITS };
static const char *const unit_names[UNITS] = {"EPOCH", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "DOW", "ISODOW", "DOY", "WEEK", "MONTH", "QUARTER", "YEAR", "ISOYEAR", "DECADE", "CENTURY", "MILLENNIUM"};

struct how {
    struct hg_gran gran;         /* floor, ceil; shift: its period */
    const struct hg_tz *tz;
    const struct hg_timefmt *fmt; /* NULL: ISO */
    enum unit unit;
};

/* ---- what the arguments after the first say ---- */

static bool floors(const struct hg_xnode *n) { return n->fn->eval == hg_xf_timestamp_floor || n->fn->eval == hg_xf_timestamp_ceil; }
static bool shifts(const struct hg_xnode *n) { return n->fn->eval == hg_xf_timestamp_shift; }
static bool extracts(const struct hg_xnode *n) { return n->fn->eval == hg_xf_timestamp_extract; }

/* A text argument as a NUL-terminated name; null is NULL. */
static enum hg_rc name_of(struct hg_arena *a, const struct hg_xval *v, const char **out, struct hg_err *err)
{
    struct hg_str s;
    *out = NULL;
    HG_TRY(hg_x_text(v, a, &s, err));
    if (!s.p) return HG_OK;
    *out = hg_arena_strndup(a, s.p, s.len);
    return *out ? HG_OK : hg_arena_fail(a, "name", err);
}

static enum hg_rc zone_of(struct hg_arena *a, const struct hg_xnode *n, uint32_t k, const struct hg_xval *args, const struct hg_tz **out, struct hg_err *err)
{
    const char *name = NULL;
    if (n->n_args > k) HG_TRY(name_of(a, &args[k], &name, err));
    return hg_tz_find(name && *name ? name : NULL, out, err);
}

static enum hg_rc origin_of(struct hg_arena *a, const struct hg_xval *v, const struct hg_tz *tz, struct hg_gran *g, struct hg_err *err)
{
    const char *text;
    if (v->null) return HG_OK;
    if (hg_xtype_is_number(v->type)) {
        g->origin = hg_x_as_long(v);
    } else {
        HG_TRY(name_of(a, v, &text, err));
        if (!text || !*text) return HG_OK;
        HG_TRY(hg_time_parse(hg_str_of(text), tz, &g->origin, err));
    }
    g->has_origin = true;
    return HG_OK;
}

static enum hg_rc period_of(struct hg_arena *a, const struct hg_xval *v, struct hg_period *out, struct hg_err *err)
{
    const char *text;
    HG_TRY(name_of(a, v, &text, err));
    if (!text) return hg_fail(err, HG_E_INVALID, "the period must not be null");
    return hg_period_parse(hg_str_of(text), out, err);
}

static bool positive(const struct hg_period *p)
{
    const int64_t f[] = {p->years, p->months, p->weeks, p->days, p->hours, p->minutes, p->seconds, p->ms};
    bool some = false;
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        if (f[i] < 0) return false;
        some |= f[i] > 0;
    }
    return some;
}

static enum hg_rc unit_of(struct hg_arena *a, const struct hg_xval *v, enum unit *out, struct hg_err *err)
{
    const char *text;
    HG_TRY(name_of(a, v, &text, err));
    for (int k = 0; text && k < UNITS; k++)
        if (strcasecmp(text, unit_names[k]) == 0) return *out = (enum unit)k, HG_OK;
    return hg_fail(err, HG_E_INVALID, "unknown unit '%.40s'; known: EPOCH, MILLISECOND, SECOND, MINUTE, HOUR, DAY, DOW, ISODOW, DOY, WEEK, MONTH, QUARTER, YEAR, ISOYEAR, DECADE, CENTURY, MILLENNIUM",
                   text ? text : "null");
}

/* args[0] is not looked at; of shift neither is args[2]. */
static enum hg_rc resolve(struct hg_arena *a, const struct hg_xnode *n, const struct hg_xval *args, struct how *h, struct hg_err *err)
{
    memset(h, 0, sizeof *h);
    if (floors(n) || shifts(n)) {
        h->gran.kind = HG_GRAN_PERIOD;
        HG_TRY(zone_of(a, n, 3, args, &h->tz, err));
        h->gran.tz = h->tz;
        HG_TRY(period_of(a, &args[1], &h->gran.period, err));
        if (floors(n) && !positive(&h->gran.period)) return hg_fail(err, HG_E_INVALID, "the period must be longer than nothing");
        if (floors(n) && n->n_args > 2) HG_TRY(origin_of(a, &args[2], h->tz, &h->gran, err));
        return HG_OK;
    }
    HG_TRY(zone_of(a, n, 2, args, &h->tz, err));
    if (extracts(n)) return unit_of(a, &args[1], &h->unit, err);
    if (n->n_args > 1 && !args[1].null) {
        struct hg_str s;
        HG_TRY(hg_x_text(&args[1], a, &s, err));
        HG_TRY(hg_timefmt_new(a, s, &h->fmt, err));
    }
    return HG_OK;
}

enum hg_rc hg_xprep_time(struct hg_xparse *ps, struct hg_xnode *n, struct hg_err *err)
{
    struct hg_xval args[4];
    for (uint32_t k = 1; k < n->n_args; k++) {
        if (shifts(n) && k == 2) continue;
        if (n->args[k]->op != X_CONST) {
            if (extracts(n)) return hg_fail(err, HG_E_INVALID, "argument %u must be a text in quotes", k + 1);
            return HG_OK;
        }
        args[k] = n->args[k]->val;
    }
    struct how *h = hg_arena_alloc(ps->a, sizeof *h);
    if (!h) return hg_arena_fail(ps->a, "time function", err);
    HG_TRY(resolve(ps->a, n, args, h, err));
    n->bound = h;
    return HG_OK;
}

static enum hg_rc how_of(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, struct how *room, const struct how **out, struct hg_err *err)
{
    if (n->bound) return *out = n->bound, HG_OK;
    *out = room;
    enum hg_rc rc = resolve(c->a, n, args, room, err);
    return rc == HG_OK ? rc : hg_err_context(err, rc, "%s", n->fn->name);
}

bool hg_x_extracts_double(const struct hg_xnode *n)
{
    const struct how *h = n->bound;
    return h && h->unit >= U_CENTURY;
}

/* ---- cutting and moving ---- */

static bool ms_of(const struct hg_xval *v, int64_t *out)
{
    struct hg_xnum x;
    if (!hg_x_number(v, &x)) return false;
    int64_t t = x.is_int ? x.i : hg_x_double_to_long(x.d);
    *out = t < HG_TIME_MIN ? HG_TIME_MIN : t > HG_TIME_MAX ? HG_TIME_MAX : t;
    return true;
}

FN(hg_xf_timestamp_floor)
{
    struct how room;
    const struct how *h;
    int64_t t;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (ms_of(&args[0], &t)) *out = hg_x_long(hg_gran_floor(&h->gran, t));
    return HG_OK;
}

FN(hg_xf_timestamp_ceil)
{
    struct how room;
    const struct how *h;
    int64_t t;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (!ms_of(&args[0], &t)) return HG_OK;
    int64_t floor = hg_gran_floor(&h->gran, t);
    *out = hg_x_long(floor == t ? t : hg_gran_next(&h->gran, floor));
    return HG_OK;
}

FN(hg_xf_timestamp_shift)
{
    struct how room;
    const struct how *h;
    int64_t t;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (ms_of(&args[0], &t)) *out = hg_x_long(hg_period_add(&h->gran.period, t, hg_x_as_int(&args[2]), h->tz));
    return HG_OK;
}

/* ---- parts ---- */

#define DAY_MS 86400000ll
static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t iso_dow(int64_t day) { return (day % 7 + 10) % 7 + 1; }
static int64_t day_number(int64_t y, int m, int d)
{
    struct hg_civil c = {.year = y, .month = m, .day = d};
    return floor_div(hg_civil_ms(&c), DAY_MS);
}
static int64_t week_start(int64_t year) { return day_number(year, 1, 4) - iso_dow(day_number(year, 1, 4)) + 1; }

static struct hg_xval extract(enum unit u, int64_t t, const struct hg_tz *tz)
{
    int64_t local = t + hg_tz_offset_ms(tz, t), day = floor_div(local, DAY_MS);
    struct hg_civil c;
    hg_civil_of(local, &c);
    int64_t wy = day >= week_start(c.year + 1) ? c.year + 1 : day < week_start(c.year) ? c.year - 1 : c.year;
    switch (u) {
    case U_EPOCH: return hg_x_long(t / 1000);
    case U_MILLISECOND: return hg_x_long(c.ms);
    case U_SECOND: return hg_x_long(c.second);
    case U_MINUTE: return hg_x_long(c.minute);
    case U_HOUR: return hg_x_long(c.hour);
    case U_DAY: return hg_x_long(c.day);
    case U_DOW:
    case U_ISODOW: return hg_x_long(iso_dow(day));
    case U_DOY: return hg_x_long(day - day_number(c.year, 1, 1) + 1);
    case U_WEEK: return hg_x_long((day - week_start(wy)) / 7 + 1);
    case U_MONTH: return hg_x_long(c.month);
    case U_QUARTER: return hg_x_long((c.month - 1) / 3 + 1);
    case U_YEAR: return hg_x_long(c.year);
    case U_ISOYEAR: return hg_x_long(wy);
    case U_DECADE: return hg_x_long(c.year / 10);
    case U_CENTURY: return hg_x_double(ceil((double)c.year / 100));
    default: return hg_x_double(ceil((double)c.year / 1000));
    }
}

FN(hg_xf_timestamp_extract)
{
    const struct how *h = n->bound;
    int64_t t;
    (void)c, (void)err;
    *out = hg_x_null(h->unit >= U_CENTURY ? HG_X_DOUBLE : HG_X_LONG);
    if (args[0].null) return HG_OK;
    if (ms_of(&args[0], &t) || (args[0].type == HG_X_STRING && hg_time_parse(args[0].s, NULL, &t, NULL) == HG_OK)) *out = extract(h->unit, t, h->tz);
    return HG_OK;
}

/* ---- text ---- */

static bool read_time(const struct how *h, struct hg_str s, bool blank_for_t, int64_t *out)
{
    char copy[80];
    if (h->fmt) return hg_timefmt_parse(h->fmt, s, h->tz, out);
    if (blank_for_t && s.len > 10 && s.len < sizeof copy && s.p[10] == ' ') { /* as SQL writes it */
        memcpy(copy, s.p, s.len);
        copy[10] = 'T';
        s.p = copy;
    }
    return hg_time_parse(s, h->tz, out, NULL) == HG_OK;
}

static enum hg_rc timestamp(struct hg_xctx *c, const struct hg_xnode *n, const struct hg_xval *args, int64_t divide, struct hg_xval *out, struct hg_err *err)
{
    struct how room;
    const struct how *h;
    int64_t t;
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (args[0].null) return *out = hg_x_null(HG_X_LONG), HG_OK;
    if (args[0].type != HG_X_STRING) return hg_x_bad_arg(n, err, "the first argument must be a text, not %s", hg_xtype_name(args[0].type));
    if (!read_time(h, args[0].s, false, &t)) return hg_x_bad_arg(n, err, "'%.*s' is no time of the format", (int)(args[0].s.len > 60 ? 60 : args[0].s.len), args[0].s.p);
    *out = hg_x_long(t / divide);
    return HG_OK;
}
FN(hg_xf_timestamp) { return timestamp(c, n, args, 1, out, err); }
FN(hg_xf_unix_timestamp) { return timestamp(c, n, args, 1000, out, err); }

FN(hg_xf_timestamp_parse)
{
    struct how room;
    const struct how *h;
    int64_t t;
    *out = hg_x_null(HG_X_LONG);
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (!args[0].null && args[0].type == HG_X_STRING && read_time(h, args[0].s, true, &t)) *out = hg_x_long(t);
    return HG_OK;
}

FN(hg_xf_timestamp_format)
{
    struct how room;
    const struct how *h;
    int64_t t;
    char text[HG_TIME_TEXT], *z = NULL;
    struct hg_buf b;
    *out = hg_x_null(HG_X_STRING);
    HG_TRY(how_of(c, n, args, &room, &h, err));
    if (!ms_of(&args[0], &t)) return HG_OK;
    hg_buf_init(&b, 1u << 20);
    if (h->fmt) hg_timefmt_print(h->fmt, t, h->tz, &b);
    else hg_buf_put(&b, text, (size_t)hg_time_format(t, h->tz, text));
    enum hg_rc rc = hg_buf_check(&b, "timestamp_format", err);
    if (rc == HG_OK) rc = hg_x_room(c, b.len, &z, err);
    if (rc == HG_OK) {
        if (b.len) memcpy(z, b.p, b.len);
        *out = hg_x_str((struct hg_str){z, b.len});
    }
    hg_buf_free(&b);
    return rc;
}

/* Whole months from the second to the first. */
FN(hg_xf_subtract_months)
{
    const struct hg_tz *tz;
    struct hg_civil a, b;
    const struct hg_period month = {.months = 1};
    int64_t to, from;
    HG_TRY(zone_of(c->a, n, 2, args, &tz, err));
    if (!ms_of(&args[0], &to)) to = 0; /* as Druid has it, no time is 1970 */
    if (!ms_of(&args[1], &from)) from = 0;
    hg_civil_of(from + hg_tz_offset_ms(tz, from), &a);
    hg_civil_of(to + hg_tz_offset_ms(tz, to), &b);
    int64_t m = (b.year - a.year) * 12 + (b.month - a.month);
    if (m > 0 && hg_period_add(&month, from, m, tz) > to) m--;
    if (m < 0 && hg_period_add(&month, from, m, tz) < to) m++;
    *out = hg_x_long(m);
    return HG_OK;
}
