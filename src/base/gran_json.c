/* See gran_json.h. */
#include "base/gran_json.h"
#include <strings.h>

/* Gives the message its path; what the text parsers say stands behind it. */
static enum hg_rc at_path(struct hg_err *err, enum hg_rc rc, const struct hg_jpath *at)
{
    char path[256];
    hg_jpath_text(at, path, sizeof path);
    return hg_err_context(err, rc, "%s", path);
}

static struct hg_str str_of(const json_t *v) { return (struct hg_str){json_string_value(v), json_string_length(v)}; }

static bool has_value(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return v && !json_is_null(v);
}

static enum hg_rc parse_origin(const json_t *o, const struct hg_jpath *at, struct hg_gran *g, struct hg_err *err)
{
    const json_t *v = json_object_get(o, "origin");
    const struct hg_jpath *here = HG_JKEY(at, "origin");
    if (!has_value(o, "origin")) return HG_OK;
    if (json_is_string(v)) {
        if (json_string_length(v) == 0) return HG_OK; /* as Druid: no origin */
        enum hg_rc rc = hg_time_parse(str_of(v), NULL, &g->origin, err);
        if (rc != HG_OK) return at_path(err, rc, here);
    } else if (json_is_integer(v)) {
        g->origin = json_integer_value(v);
        if (g->origin < HG_TIME_MIN || g->origin > HG_TIME_MAX) return hg_jfail(err, here, "%lld ms is outside of what can be held", (long long)g->origin);
    } else {
        return hg_jfail(err, here, "expected a time, as ISO 8601 text or ms since 1970");
    }
    g->has_origin = true;
    return HG_OK;
}

static enum hg_rc parse_period(struct hg_str text, const struct hg_jpath *at, struct hg_gran *g, struct hg_err *err)
{
    enum hg_rc rc = hg_period_parse(text, &g->period, err);
    if (rc != HG_OK) return at_path(err, rc, at);
    const struct hg_period *p = &g->period;
    if (p->years < 0 || p->months < 0 || p->weeks < 0 || p->days < 0 || p->hours < 0 || p->minutes < 0 || p->seconds < 0 || p->ms < 0)
        return hg_jfail(err, at, "the period of a granularity must not go back in time");
    if (!(p->years | p->months | p->weeks | p->days | p->hours | p->minutes | p->seconds | p->ms)) return hg_jfail(err, at, "the period of a granularity must not be zero");
    return HG_OK;
}

static enum hg_rc parse_object(const json_t *o, const struct hg_jpath *at, struct hg_gran *g, struct hg_err *err)
{
    const char *type = NULL, *text = NULL;
    HG_TRY(hg_jget_str(o, "type", at, true, &type, err));
    if (!strcasecmp(type, "all") || !strcasecmp(type, "none")) {
        g->kind = strcasecmp(type, "all") ? HG_GRAN_NONE : HG_GRAN_ALL;
        return HG_OK;
    }
    if (!strcasecmp(type, "duration")) {
        g->kind = HG_GRAN_DURATION;
        HG_TRY(hg_jget_i64(o, "duration", at, true, &g->duration_ms, err));
        if (g->duration_ms <= 0) return hg_jfail(err, HG_JKEY(at, "duration"), "%lld ms: it must be above zero", (long long)g->duration_ms);
        return parse_origin(o, at, g, err);
    }
    if (!strcasecmp(type, "period")) {
        g->kind = HG_GRAN_PERIOD;
        HG_TRY(hg_jget_str(o, "period", at, true, &text, err));
        HG_TRY(parse_period(hg_str_of(text), HG_JKEY(at, "period"), g, err));
        text = NULL;
        HG_TRY(hg_jget_str(o, "timeZone", at, false, &text, err));
        enum hg_rc rc = hg_tz_find(text, &g->tz, err);
        if (rc != HG_OK) return at_path(err, rc, HG_JKEY(at, "timeZone"));
        return parse_origin(o, at, g, err);
    }
    return hg_jfail(err, HG_JKEY(at, "type"), "granularity type \"%.60s\" is not known: want all, none, duration or period", type);
}

enum hg_rc hg_gran_parse_json(struct hg_arena *arena, const json_t *json, const struct hg_jpath *at, struct hg_gran *out, struct hg_err *err)
{
    (void)arena;
    struct hg_gran g = {.tz = hg_tz_utc()};
    if (json_is_string(json)) {
        struct hg_str s = str_of(json);
        if (s.len > 1 && (s.p[0] == 'P' || s.p[0] == 'p')) {
            g.kind = HG_GRAN_PERIOD;
            HG_TRY(parse_period(s, at, &g, err));
        } else {
            enum hg_rc rc = hg_gran_of_name(s, &g, err);
            if (rc != HG_OK) return at_path(err, rc, at);
        }
    } else if (json_is_object(json)) {
        HG_TRY(parse_object(json, at, &g, err));
    } else {
        return hg_jfail(err, at, "expected a granularity: a name such as \"hour\", or an object with a type");
    }
    *out = g;
    return HG_OK;
}
