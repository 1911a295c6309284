/* Registered lookups: which there are, what they hold, who has them, setting and deleting. A file is read here by the servers' own reader, so that its faults are told without a server. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/time.h"
#include "cluster/lookups.h"
#include "role/ctl_private.h"

#define BASE "/druid/coordinator/v1/lookups"

static const char *tier_of(const struct hg_ctl *c) { return c->opt[HG_CTL_TIER] ? c->opt[HG_CTL_TIER] : HG_LOOKUP_TIER; }
static const json_t *map_of(const json_t *spec) { return json_object_get(json_object_get(spec, "lookupExtractorFactory"), "map"); }
static const char *entries(struct hg_ctl *c, const json_t *spec)
{
    size_t n = json_object_size(map_of(spec));
    return hg_arena_printf(c->a, "%zu entr%s", n, n == 1 ? "y" : "ies");
}

/* {tier: {name: spec}}. Without any lookup a coordinator answers as if it did not have the path, so it is made sure first that it is one. */
static enum hg_rc all_of(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *known;
    const char *base;
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/config?discover=true", &known, err));
    HG_TRY(hg_ctl_base(c, HG_CTL_COORDINATOR, &base, err));
    HG_TRY(hg_ctl_ask_at(c, HG_CTL_COORDINATOR, base, "GET", BASE "/config/all", (struct hg_span){0}, &a, err));
    if (a.status == 404) return (*out = hg_ctl_keep(c, json_object())) ? HG_OK : hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_parse(c, &a, out, err));
    return json_is_object(*out) ? HG_OK : hg_fail(err, HG_E_CORRUPT, "%s answered with what are no lookups", a.url);
}

enum hg_rc hg_ctl_names_of_lookups(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *all, *of, *spec, *set = hg_ctl_keep(c, json_object()), *names = hg_ctl_keep(c, json_array());
    const char *tier, *name;
    if (!set || !names) return hg_ctl_no_memory(err);
    HG_TRY(all_of(c, &all, err));
    json_object_foreach(all, tier, of)
        json_object_foreach(of, name, spec) json_object_set_new(set, name, json_true()); /* one of several tiers is one name */
    json_object_foreach(set, name, spec) json_array_append_new(names, json_string(name));
    *out = names;
    return HG_OK;
}

/* NULL: there is none of this name in the tier. */
static enum hg_rc find(struct hg_ctl *c, const char *name, json_t **out, struct hg_err *err)
{
    json_t *all;
    HG_TRY(all_of(c, &all, err));
    *out = json_object_get(json_object_get(all, tier_of(c)), name);
    return HG_OK;
}

static enum hg_rc need(struct hg_ctl *c, const char *name, json_t **out, struct hg_err *err)
{
    HG_TRY(find(c, name, out, err));
    if (*out) return HG_OK;
    if (c->opt[HG_CTL_TIER]) return hg_fail(err, HG_E_NOTFOUND, "there is no lookup \"%s\" in tier \"%s\"; henge ctl lookups list shows those there are", name, tier_of(c));
    return hg_ctl_no_such(c, "lookup", name, hg_ctl_names_of_lookups, err);
}

static const char *path_of(struct hg_ctl *c, const char *what, const char *name, const char *more)
{
    return hg_arena_printf(c->a, BASE "/%s/%s/%s%s", what, hg_ctl_escape(c, tier_of(c)), hg_ctl_escape(c, name), more);
}

/* ---- list, show ---- */

/* Which servers have it not yet, by "lookups/status?detailed". */
static json_t *pending(const json_t *status, const char *tier, const char *name)
{
    return json_object_get(json_object_get(json_object_get(status, tier), name), "pendingNodes");
}

enum hg_rc hg_ctl_lookups_list(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"tier", "TIER", HG_CTL_TEXT}, {"lookup", "LOOKUP", HG_CTL_TEXT}, {"version", "VERSION", HG_CTL_TEXT}, {"entries", "ENTRIES", HG_CTL_TEXT}, {"loaded", "LOADED", HG_CTL_TEXT},
    };
    json_t *all, *of, *spec, *status = NULL, *rows = hg_ctl_keep(c, json_array());
    const char *tier, *name;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(all_of(c, &all, err));
    if (json_object_size(all)) HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/status?detailed=true", &status, err));
    json_object_foreach(all, tier, of)
    {
        if (c->opt[HG_CTL_TIER] && strcmp(tier, c->opt[HG_CTL_TIER]) != 0) continue;
        json_object_foreach(of, name, spec)
        {
            json_t *wait = pending(status, tier, name);
            json_t *row = json_pack("{s:s,s:s,s:s,s:I,s:b}", "tier", tier, "lookup", name, "version", hg_ctl_str(spec, "version"), "entries", (json_int_t)json_object_size(map_of(spec)), "loaded",
                                    json_array_size(wait) == 0);
            if (row) json_object_set_new(row, "pendingServers", wait ? json_incref(wait) : json_array());
            if (json_array_append_new(rows, row)) return hg_ctl_no_memory(err);
        }
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no lookups; henge ctl lookups set NAME FILE registers one", err);
}

enum hg_rc hg_ctl_lookups_show(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {{"key", "KEY", HG_CTL_TEXT}, {"value", "VALUE", HG_CTL_TEXT}};
    json_t *spec, *v, *rows = hg_ctl_keep(c, json_array());
    const char *key;
    int64_t limit = INT64_MAX;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_count(c, HG_CTL_LIMIT, 0, &limit, err));
    HG_TRY(need(c, c->words[0], &spec, err));
    if (c->json) return hg_ctl_json(c, spec), HG_OK;
    json_object_foreach((json_t *)(uintptr_t)map_of(spec), key, v)
        if ((int64_t)json_array_size(rows) < limit && json_array_append_new(rows, json_pack("{s:s,s:O}", "key", key, "value", v))) return hg_ctl_no_memory(err);
    fprintf(stderr, "henge ctl lookups show: version \"%s\", %s\n", hg_ctl_str(spec, "version"), entries(c, spec));
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no entries", err);
}

/* ---- who has what ---- */

static enum hg_rc add_row(struct hg_ctl *c, json_t *rows, const char *server, const char *name, const json_t *want, const json_t *has, struct hg_err *err)
{
    const char *wanted = json_string_value(json_object_get(want, "version")), *have = json_string_value(json_object_get(has, "version"));
    bool loaded = wanted && have && strcmp(wanted, have) == 0;
    if (!loaded) c->status = HG_CTL_FAILED;
    json_t *row = json_pack("{s:s,s:s,s:s?,s:s?,s:s}", "server", server, "lookup", name, "version", wanted, "has", have, "state", loaded ? "loaded" : want ? "loading" : "dropping");
    return json_array_append_new(rows, row) ? hg_ctl_no_memory(err) : HG_OK;
}

enum hg_rc hg_ctl_lookups_status(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"server", "SERVER", HG_CTL_TEXT}, {"lookup", "LOOKUP", HG_CTL_TEXT}, {"version", "VERSION", HG_CTL_TEXT}, {"has", "HAS", HG_CTL_TEXT}, {"state", "STATE", HG_CTL_TEXT},
    };
    const char *only = c->n_words ? c->words[0] : NULL, *server, *name;
    json_t *all, *wanted, *nodes = NULL, *node, *spec, *v, *rows = hg_ctl_keep(c, json_array());
    size_t i;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(all_of(c, &all, err));
    wanted = json_object_get(all, HG_LOOKUP_TIER);
    if (only && !json_object_get(wanted, only)) return hg_ctl_no_such(c, "lookup", only, hg_ctl_names_of_lookups, err);
    if (json_object_size(wanted)) HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/nodeStatus/" HG_LOOKUP_TIER, &nodes, err));
    json_object_foreach(nodes, server, node)
    {
        json_t *current = json_object_get(node, "current");
        json_object_foreach(wanted, name, spec)
            if (!only || strcmp(only, name) == 0) HG_TRY(add_row(c, rows, server, name, spec, json_object_get(current, name), err));
        if (!only) json_array_foreach(json_object_get(node, "toDrop"), i, v) HG_TRY(add_row(c, rows, server, json_string_value(v), NULL, json_object_get(current, json_string_value(v)), err));
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no lookups; henge ctl lookups set NAME FILE registers one", err);
}

/* ---- setting ---- */

struct file {
    const char *name;
    const json_t *spec;
    struct hg_str text; /* of the spec */
};

/* A map alone is one of the version of now: later ones are greater as text, too. */
static enum hg_rc wrap(struct hg_ctl *c, json_t *map, struct file *f, struct hg_err *err)
{
    char now[HG_TIME_TEXT];
    hg_time_format(hg_clock_now_ms(), NULL, now);
    json_t *spec = hg_ctl_keep(c, json_pack("{s:s,s:{s:s,s:O}}", "version", now, "lookupExtractorFactory", "type", "map", "map", map));
    char *text = spec ? hg_json_text(spec) : NULL;
    enum hg_rc rc = text ? hg_arena_on_free(c->a, free, text, err) : hg_ctl_no_memory(err);
    if (rc) return free(text), rc;
    f->spec = spec;
    f->text = hg_str_of(text);
    return HG_OK;
}

static enum hg_rc read_spec(struct hg_ctl *c, const char *name, struct file *f, struct hg_err *err)
{
    json_t *j, *map;
    const char *version;
    struct hg_err bad = {0};
    *f = (struct file){.name = strcmp(name, "-") == 0 ? "standard input" : name};
    HG_TRY(hg_ctl_read_json(c, name, &f->text, &j, err));
    f->spec = j;
    if (json_is_object(j) && !json_object_get(j, "lookupExtractorFactory") && !json_object_get(j, "version")) HG_TRY(wrap(c, j, f, err));
    if (hg_lookup_doc_read(f->spec, &hg_jroot, &version, &map, &bad)) return hg_ctl_wrong(err, "%s: %s\ndocs/lookups.md shows what a lookup looks like; a map alone does, too.", f->name, bad.msg);
    return HG_OK;
}

/* ", 1 added, 2 changed, 0 removed" */
static const char *difference(struct hg_ctl *c, const json_t *old, const json_t *now)
{
    const char *key;
    json_t *v;
    size_t added = 0, changed = 0, removed = 0;
    json_object_foreach((json_t *)(uintptr_t)now, key, v)
    {
        json_t *was = json_object_get(old, key);
        added += !was;
        changed += was && !json_equal(was, v);
    }
    json_object_foreach((json_t *)(uintptr_t)old, key, v) removed += !json_object_get(now, key);
    return hg_arena_printf(c->a, "%zu added, %zu changed, %zu removed", added, changed, removed);
}

static enum hg_rc follow(struct hg_ctl *c, const char *name, struct hg_err *err)
{
    struct hg_ctl_wait w = {0};
    for (;;) {
        json_t *s;
        const char *path = path_of(c, "status", name, "?detailed=true");
        if (!path) return hg_ctl_no_memory(err);
        HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, path, &s, err));
        size_t left = json_array_size(json_object_get(s, "pendingNodes"));
        if (json_is_true(json_object_get(s, "loaded"))) return HG_OK;
        if (hg_ctl_wait_moved(&w, (int64_t)left)) fprintf(stderr, "lookup %s: %s without it\n", name, hg_ctl_some(c, (int64_t)left, "server"));
        HG_TRY(hg_ctl_wait_on(c, &w, "henge ctl lookups status names the servers that do not have it, and their logs tell why", err));
    }
}

static enum hg_rc plan_set(struct hg_ctl *c, const char *name, const struct file *f, const json_t *old, const char **plan, struct hg_err *err)
{
    const char *version = hg_ctl_str(f->spec, "version"), *was = hg_ctl_str(old, "version");
    if (old && strcmp(version, was) <= 0)
        return hg_ctl_wrong(err, "%s: $.version: \"%s\" is not greater, compared as text, than \"%s\", the version that is set", f->name, version, was);
    *plan = old ? hg_arena_printf(c->a, "replace lookup %s of tier %s: %s of version \"%s\" by %s of version \"%s\" (%s)", name, tier_of(c), entries(c, old), was, entries(c, f->spec), version,
                                  difference(c, map_of(old), map_of(f->spec)))
                : hg_arena_printf(c->a, "set lookup %s of tier %s, which is new: %s of version \"%s\"", name, tier_of(c), entries(c, f->spec), version);
    return *plan ? HG_OK : hg_ctl_no_memory(err);
}

enum hg_rc hg_ctl_lookups_set(struct hg_ctl *c, struct hg_err *err)
{
    struct file f;
    struct hg_ctl_answer a;
    json_t *old;
    bool go, others = strcmp(tier_of(c), HG_LOOKUP_TIER) != 0;
    const char *name = c->words[0], *plan, *path = path_of(c, "config", name, "");
    if (!path) return hg_ctl_no_memory(err);
    if (others && c->opt[HG_CTL_WAIT]) return hg_ctl_wrong(err, "servers take the lookups of tier %s only, so there is nothing to --wait for", HG_LOOKUP_TIER);
    HG_TRY(read_spec(c, c->words[1], &f, err));
    HG_TRY(find(c, name, &old, err));
    HG_TRY(plan_set(c, name, &f, old, &plan, err));
    if (others) fprintf(stderr, "henge ctl lookups set: warning: servers take the lookups of tier %s only; those of other tiers are kept and used by none\n", HG_LOOKUP_TIER);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "POST", path, (struct hg_span){(const uint8_t *)f.text.p, f.text.len}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    json_t *said = hg_ctl_keep(c, json_pack("{s:s,s:s,s:s,s:s,s:I}", "tier", tier_of(c), "lookup", name, "done", "lookup set", "version", hg_ctl_str(f.spec, "version"), "entries",
                                            (json_int_t)json_object_size(map_of(f.spec))));
    if (!said) return hg_ctl_no_memory(err);
    hg_ctl_said(c, said, "lookup %s set: %s of version \"%s\"%s", name, entries(c, f.spec), hg_ctl_str(f.spec, "version"),
                c->opt[HG_CTL_WAIT] ? "" : "; henge ctl lookups status tells which servers have it");
    return c->opt[HG_CTL_WAIT] ? follow(c, name, err) : HG_OK;
}

enum hg_rc hg_ctl_lookups_delete(struct hg_ctl *c, struct hg_err *err)
{
    struct hg_ctl_answer a;
    json_t *old;
    bool go;
    const char *name = c->words[0], *path = path_of(c, "config", name, "");
    HG_TRY(need(c, name, &old, err));
    const char *plan = hg_arena_printf(c->a, "delete lookup %s of tier %s (%s of version \"%s\"): queries that name it are refused from then on", name, tier_of(c), entries(c, old), hg_ctl_str(old, "version"));
    if (!path || !plan) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "DELETE", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    json_t *said = hg_ctl_keep(c, json_pack("{s:s,s:s,s:s}", "tier", tier_of(c), "lookup", name, "done", "lookup deleted"));
    if (!said) return hg_ctl_no_memory(err);
    hg_ctl_said(c, said, "lookup %s deleted", name);
    return HG_OK;
}
