/* Druid's rules decide by four tests: does the segment overlap an interval, lie within it, or is one of its ends on the right side of an instant. Periods become such a test when the
 * instant is known. */
#include "coordinator/rules.h"

#include <inttypes.h>
#include <stdlib.h>

#include "timeline/segid.h"

#define RULES_MAX 10000
#define TIERS_MAX 100

static const struct {
    const char *name;
    bool interval, period, future, load;
} kinds[] = {
    [HG_LOAD_FOREVER] = {"loadForever", false, false, false, true},
    [HG_LOAD_BY_INTERVAL] = {"loadByInterval", true, false, false, true},
    [HG_LOAD_BY_PERIOD] = {"loadByPeriod", false, true, true, true},
    [HG_DROP_FOREVER] = {"dropForever", false, false, false, false},
    [HG_DROP_BY_INTERVAL] = {"dropByInterval", true, false, false, false},
    [HG_DROP_BY_PERIOD] = {"dropByPeriod", false, true, true, false},
    [HG_DROP_BEFORE_BY_PERIOD] = {"dropBeforeByPeriod", false, true, false, false},
};
#define N_KINDS (sizeof kinds / sizeof *kinds)

/* ---- reading ---- */

static enum hg_rc read_kind(const char *type, const struct hg_jpath *p, enum hg_rule_kind *out, struct hg_err *err)
{
    for (size_t i = 0; i < N_KINDS; i++)
        if (strcmp(kinds[i].name, type) == 0) return *out = (enum hg_rule_kind)i, HG_OK;
    if (strncmp(type, "broadcast", strlen("broadcast")) == 0)
        return hg_jfail(err, p, "rules of type \"%s\" are not supported: segments are not broadcast to every server", type);
    return hg_jfail(err, p, "there is no rule type \"%s\"; there are loadForever, loadByInterval, loadByPeriod, dropForever, dropByInterval, dropByPeriod, dropBeforeByPeriod", type);
}

static int by_tier(const void *a, const void *b) { return strcmp(((const struct hg_tier_replicas *)a)->tier, ((const struct hg_tier_replicas *)b)->tier); }

static enum hg_rc read_tiers(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_rule *r, struct hg_err *err)
{
    static const struct hg_tier_replicas fallback = {HG_DEFAULT_TIER, 2};
    json_t *map = NULL, *v;
    const char *tier;
    HG_TRY(hg_jget_bool(j, "useDefaultTierForNull", p, false, &r->default_tier_for_null, err));
    HG_TRY(hg_jget_obj(j, "tieredReplicants", p, false, &map, err));
    if (!map) {
        r->tiers = &fallback;
        r->n_tiers = r->default_tier_for_null ? 1 : 0;
        return HG_OK;
    }
    const struct hg_jpath *at = HG_JKEY(p, "tieredReplicants");
    size_t n = json_object_size(map);
    if (n > TIERS_MAX) return hg_jfail(err, at, "%zu tiers are more than %d", n, TIERS_MAX);
    struct hg_tier_replicas *t = hg_arena_array(a, n, sizeof *t);
    if (!t) return hg_arena_fail(a, "rules", err);
    json_object_foreach(map, tier, v) {
        int64_t count = 0;
        struct hg_err why;
        if (hg_name_check("tier", tier, &why)) return hg_jfail(err, at, "%s", why.msg);
        HG_TRY(hg_jget_i64(map, tier, at, true, &count, err));
        if (count < 0 || count > HG_REPLICAS_MAX) return hg_jfail(err, HG_JKEY(at, tier), "%" PRId64 " replicas: expected 0 to %d", count, HG_REPLICAS_MAX);
        t[r->n_tiers] = (struct hg_tier_replicas){hg_arena_strdup(a, tier), (uint32_t)count};
        if (!t[r->n_tiers++].tier) return hg_arena_fail(a, "rules", err);
    }
    if (n) qsort(t, n, sizeof *t, by_tier);
    r->tiers = t;
    return HG_OK;
}

static bool negative(const struct hg_period *d)
{
    return d->years < 0 || d->months < 0 || d->weeks < 0 || d->days < 0 || d->hours < 0 || d->minutes < 0 || d->seconds < 0 || d->ms < 0;
}

static enum hg_rc read_rule(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_rule *r, struct hg_err *err)
{
    const char *type = NULL, *interval = NULL, *period = NULL, *ns = NULL;
    struct hg_err why;
    *r = (struct hg_rule){.include_future = true, .default_tier_for_null = true};
    HG_TRY(hg_jneed_obj(j, p, err));
    HG_TRY(hg_jget_str(j, "type", p, true, &type, err));
    HG_TRY(read_kind(type, HG_JKEY(p, "type"), &r->kind, err));
    HG_TRY(hg_jget_str(j, "namespace", p, false, &ns, err));
    if (ns && hg_name_check("namespace", ns, &why)) return hg_jfail(err, HG_JKEY(p, "namespace"), "%s", why.msg);
    if (ns && !(r->ns = hg_arena_strdup(a, ns))) return hg_arena_fail(a, "rules", err);
    if (kinds[r->kind].interval) {
        HG_TRY(hg_jget_str(j, "interval", p, true, &interval, err));
        if (hg_interval_parse(hg_str_of(interval), &r->interval, &why)) return hg_jfail(err, HG_JKEY(p, "interval"), "%s", why.msg);
    }
    if (kinds[r->kind].period) {
        HG_TRY(hg_jget_str(j, "period", p, true, &period, err));
        if (hg_period_parse(hg_str_of(period), &r->period, &why)) return hg_jfail(err, HG_JKEY(p, "period"), "%s", why.msg);
        if (negative(&r->period)) return hg_jfail(err, HG_JKEY(p, "period"), "the period %s is negative", period);
    }
    if (kinds[r->kind].future) HG_TRY(hg_jget_bool(j, "includeFuture", p, false, &r->include_future, err));
    return kinds[r->kind].load ? read_tiers(a, j, p, r, err) : HG_OK;
}

enum hg_rc hg_rules_parse(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_rules *out, struct hg_err *err)
{
    if (!json_is_array(j)) return hg_jfail(err, p, "expected an array of rules");
    size_t n = json_array_size(j);
    if (n > RULES_MAX) return hg_jfail(err, p, "%zu rules are more than %d", n, RULES_MAX);
    struct hg_rule *v = hg_arena_array(a, n, sizeof *v);
    if (!v) return hg_arena_fail(a, "rules", err);
    for (size_t i = 0; i < n; i++) HG_TRY(read_rule(a, json_array_get(j, i), HG_JAT(p, i), &v[i], err));
    *out = (struct hg_rules){v, (uint32_t)n};
    return HG_OK;
}

/* ---- writing ---- */

static bool put(json_t *o, const char *key, json_t *v) { return json_object_set_new(o, key, v) == 0; }

static json_t *rule_json(const struct hg_rule *r)
{
    char text[2 * HG_TIME_TEXT];
    json_t *o = json_object(), *tiers;
    if (!o) return NULL;
    bool ok = true;
    if (kinds[r->kind].interval) {
        hg_interval_format(r->interval, text);
        ok = put(o, "interval", json_string(text));
    }
    if (kinds[r->kind].period) {
        hg_period_format(&r->period, text);
        ok = put(o, "period", json_string(text));
    }
    if (kinds[r->kind].future) ok = ok && put(o, "includeFuture", json_boolean(r->include_future));
    if (kinds[r->kind].load) {
        tiers = json_object();
        for (uint32_t i = 0; tiers && i < r->n_tiers; i++) ok = ok && put(tiers, r->tiers[i].tier, json_integer(r->tiers[i].n));
        ok = put(o, "tieredReplicants", tiers) && ok;
        ok = ok && put(o, "useDefaultTierForNull", json_boolean(r->default_tier_for_null));
    }
    if (r->ns) ok = ok && put(o, "namespace", json_string(r->ns));
    ok = ok && put(o, "type", json_string(kinds[r->kind].name));
    if (ok) return o;
    json_decref(o);
    return NULL;
}

json_t *hg_rules_json(const struct hg_rules *r)
{
    json_t *arr = json_array();
    for (uint32_t i = 0; arr && i < r->n; i++) {
        if (json_array_append_new(arr, rule_json(&r->v[i])) == 0) continue;
        json_decref(arr);
        return NULL;
    }
    return arr;
}

struct hg_rules hg_rules_default(void)
{
    static const struct hg_tier_replicas one = {HG_DEFAULT_TIER, 1};
    static const struct hg_rule forever = {.kind = HG_LOAD_FOREVER, .default_tier_for_null = true, .tiers = &one, .n_tiers = 1};
    return (struct hg_rules){&forever, 1};
}

/* ---- deciding ---- */

struct test {
    enum { ALL, OVERLAPS, WITHIN, ENDS_AFTER, STARTS_FROM, ENDS_BY } how;
    struct hg_interval iv; /* ENDS_AFTER, STARTS_FROM, ENDS_BY: its start */
    const struct hg_rule *rule;
};

static struct test test_of(const struct hg_rule *r, int64_t now)
{
    struct test t = {ALL, r->interval, r};
    if (kinds[r->kind].period) t.iv = (struct hg_interval){hg_period_add(&r->period, now, -1, NULL), now};
    switch (r->kind) {
    case HG_LOAD_FOREVER:
    case HG_DROP_FOREVER: t.how = ALL; break;
    case HG_LOAD_BY_INTERVAL: t.how = OVERLAPS; break;
    case HG_DROP_BY_INTERVAL: t.how = WITHIN; break;
    case HG_LOAD_BY_PERIOD: t.how = r->include_future ? ENDS_AFTER : OVERLAPS; break;
    case HG_DROP_BY_PERIOD: t.how = r->include_future ? STARTS_FROM : WITHIN; break;
    case HG_DROP_BEFORE_BY_PERIOD: t.how = ENDS_BY; break;
    }
    return t;
}

static bool applies(const struct test *t, struct hg_interval s, const char *ns)
{
    if (t->rule->ns && strcmp(t->rule->ns, ns ? ns : "") != 0) return false;
    switch (t->how) {
    case ALL: return true;
    case OVERLAPS: return hg_interval_overlaps(t->iv, s);
    case WITHIN: return hg_interval_contains(t->iv, s);
    case ENDS_AFTER: return t->iv.start < s.end;
    case STARTS_FROM: return t->iv.start <= s.start;
    case ENDS_BY: return s.end <= t->iv.start;
    }
    return false;
}

static const struct hg_rule *first(const struct hg_rules *r, struct hg_interval s, const char *ns, int64_t now)
{
    for (uint32_t i = 0; r && i < r->n; i++) {
        struct test t = test_of(&r->v[i], now);
        if (applies(&t, s, ns)) return &r->v[i];
    }
    return NULL;
}

const struct hg_rule *hg_rules_find(const struct hg_rules *own, const struct hg_rules *defaults, struct hg_interval segment, const char *ns, int64_t now)
{
    const struct hg_rule *r = first(own, segment, ns, now);
    return r ? r : first(defaults, segment, ns, now);
}

struct hg_rules_at {
    struct test *v;
    size_t n;
};

enum hg_rc hg_rules_at(struct hg_arena *a, const struct hg_rules *own, const struct hg_rules *defaults, int64_t now, struct hg_rules_at **out, struct hg_err *err)
{
    size_t n_own = own ? own->n : 0, n_defaults = defaults ? defaults->n : 0;
    struct hg_rules_at *r = hg_arena_alloc(a, sizeof *r);
    if (!r || !(r->v = hg_arena_array(a, n_own + n_defaults, sizeof *r->v))) return hg_arena_fail(a, "rules", err);
    r->n = n_own + n_defaults;
    for (size_t i = 0; i < n_own; i++) r->v[i] = test_of(&own->v[i], now);
    for (size_t i = 0; i < n_defaults; i++) r->v[n_own + i] = test_of(&defaults->v[i], now);
    *out = r;
    return HG_OK;
}

const struct hg_rule *hg_rules_at_find(const struct hg_rules_at *r, struct hg_interval segment, const char *ns)
{
    for (size_t i = 0; i < r->n; i++)
        if (applies(&r->v[i], segment, ns)) return r->v[i].rule;
    return NULL;
}
