/* Load and drop rules: what they are, were, and would do. Rules are read here by the coordinator's own reader, so that a file is checked without a server, and its effect is counted on the list of
 * segments before anything is sent. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "coordinator/rules.h"
#include "role/ctl_private.h"

#define BASE "/druid/coordinator/v1"
#define DROPPED "(dropped)"
#define NOWHERE "(kept, served nowhere)"
#define NO_RULE "(no rule: left as it is)"

/* ---- rules as words ---- */

static const char *when(struct hg_ctl *c, const json_t *r)
{
    const char *type = hg_ctl_str(r, "type"), *period = hg_ctl_str(r, "period"), *out = "all";
    bool future = !json_is_false(json_object_get(r, "includeFuture"));
    if (strstr(type, "Interval")) out = hg_ctl_str(r, "interval");
    else if (strcmp(type, "dropBeforeByPeriod") == 0) out = hg_arena_printf(c->a, "older than %s", period);
    else if (strstr(type, "Period")) out = hg_arena_printf(c->a, "the last %s%s", period, future ? " and the future" : "");
    return out ? out : "?";
}

static const char *does(struct hg_ctl *c, const json_t *r)
{
    const char *tier, *out = "";
    json_t *n;
    if (strncmp(hg_ctl_str(r, "type"), "drop", 4) == 0) return "drop";
    json_object_foreach(json_object_get(r, "tieredReplicants"), tier, n) if (json_integer_value(n) > 0)
    {
        out = hg_arena_printf(c->a, "%s%s%s x%" PRId64, out, *out ? ", " : "", tier, (int64_t)json_integer_value(n));
        if (!out) return "?";
    }
    return *out ? out : "keep, serve nowhere";
}

static enum hg_rc add_rows(struct hg_ctl *c, const char *ds, const json_t *rules, json_t *rows, struct hg_err *err)
{
    size_t i;
    json_t *r;
    json_array_foreach((json_t *)(uintptr_t)rules, i, r)
    {
        json_t *ns = json_object_get(r, "namespace");
        json_t *row = json_pack("{s:s,s:I,s:s,s:s,s:s,s:s}", "datasource", ds, "rule", (json_int_t)i, "type", hg_ctl_str(r, "type"), "when", when(c, r), "namespace",
                                !ns || json_is_null(ns) ? "(all)" : *json_string_value(ns) ? json_string_value(ns) : "(default)", "does", does(c, r));
        if (json_array_append_new(rows, row)) return hg_ctl_no_memory(err);
    }
    return HG_OK;
}

static const struct hg_ctl_column rule_cols[] = {
    {"datasource", "RULES OF", HG_CTL_TEXT}, {"rule", "NO", HG_CTL_TEXT}, {"type", "TYPE", HG_CTL_TEXT}, {"when", "SEGMENTS OF", HG_CTL_TEXT}, {"namespace", "NAMESPACE", HG_CTL_TEXT},
    {"does", "DO", HG_CTL_TEXT},
};

static enum hg_rc get_rules(struct hg_ctl *c, const char *ds, json_t **out, struct hg_err *err)
{
    const char *path = hg_arena_printf(c->a, BASE "/rules/%s", hg_ctl_escape(c, ds));
    if (!path) return hg_ctl_no_memory(err);
    return hg_ctl_get(c, HG_CTL_COORDINATOR, path, out, err);
}

enum hg_rc hg_ctl_rules_show(struct hg_ctl *c, struct hg_err *err)
{
    json_t *all, *own, *list, *rows = hg_ctl_keep(c, json_array());
    const char *name;
    if (!rows) return hg_ctl_no_memory(err);
    if (c->n_words) {
        HG_TRY(get_rules(c, c->words[0], &own, err));
        if (c->json) return hg_ctl_json(c, own), HG_OK;
        HG_TRY(get_rules(c, HG_DEFAULT_RULES, &list, err));
        if (strcmp(c->words[0], HG_DEFAULT_RULES) != 0) HG_TRY(add_rows(c, c->words[0], own, rows, err));
        if (!json_array_size(own)) fprintf(stderr, "henge ctl rules show: %s has no rules of its own; the defaults hold\n", c->words[0]);
        HG_TRY(add_rows(c, HG_DEFAULT_RULES, list, rows, err));
    } else {
        HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/rules", &all, err));
        if (c->json) return hg_ctl_json(c, all), HG_OK;
        json_object_foreach(all, name, list) HG_TRY(add_rows(c, name, list, rows, err));
    }
    return hg_ctl_rows(c, rows, rule_cols, HG_CTL_N(rule_cols), "no rules", err);
}

/* ---- a file ---- */

struct file {
    const char *name;
    struct hg_str text;
    json_t *json;
    struct hg_rules rules;
};

static enum hg_rc read_rules(struct hg_ctl *c, const char *name, struct file *out, struct hg_err *err)
{
    struct hg_err bad = {0};
    *out = (struct file){.name = strcmp(name, "-") == 0 ? "standard input" : name};
    HG_TRY(hg_ctl_read_json(c, name, &out->text, &out->json, err));
    enum hg_rc rc = hg_rules_parse(c->a, out->json, &hg_jroot, &out->rules, &bad);
    return rc ? hg_ctl_wrong(err, "%s: %s\ndocs/tiers.md lists the rules there are; henge ctl rules show --format json prints those in force.", out->name, bad.msg) : HG_OK;
}

/* Sentences about what is allowed and probably not meant. */
static enum hg_rc find_doubts(struct hg_ctl *c, const struct file *f, json_t *out, struct hg_err *err)
{
    json_t *tiers, *t;
    size_t k;
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/tiers", &tiers, err));
    const char *known = "";
    json_array_foreach(tiers, k, t) if (!(known = hg_arena_printf(c->a, "%s%s%s", known, k ? ", " : "", json_string_value(t)))) return hg_ctl_no_memory(err);
    for (uint32_t i = 0; i < f->rules.n; i++) {
        const struct hg_rule *r = &f->rules.v[i];
        for (uint32_t j = 0; j < r->n_tiers; j++) {
            bool there = false;
            json_array_foreach(tiers, k, t) there |= strcmp(json_string_value(t), r->tiers[j].tier) == 0;
            if (there || !r->tiers[j].n) continue;
            json_array_append_new(out, json_sprintf("$[%u].tieredReplicants: no historical is of tier \"%s\" now, so nothing can be loaded there; tiers there are: %s", i, r->tiers[j].tier,
                                                    *known ? known : "none"));
        }
        if ((r->kind == HG_LOAD_FOREVER || r->kind == HG_DROP_FOREVER) && !r->ns && i + 1 < f->rules.n)
            return json_array_append_new(out, json_sprintf("$[%u] is about every segment, so the rules behind it are never asked", i)), HG_OK;
    }
    return HG_OK;
}

static void tell_doubts(const struct hg_ctl *c, const json_t *doubts)
{
    size_t i;
    json_t *d;
    json_array_foreach((json_t *)(uintptr_t)doubts, i, d) fprintf(stderr, "henge ctl %s: warning: %s\n", c->cmd->name, json_string_value(d));
}

/* ---- what they would do ---- */

static json_t *effect_row(json_t *rows, const char *tier)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (strcmp(hg_ctl_str(row, "tier"), tier) == 0) return row;
    row = json_pack("{s:s,s:i,s:i,s:i,s:i}", "tier", tier, "segmentsNow", 0, "bytesNow", 0, "segmentsThen", 0, "bytesThen", 0);
    json_array_append_new(rows, row);
    return row;
}

static void add(json_t *rows, const char *tier, bool then, json_int_t bytes)
{
    json_t *row = effect_row(rows, tier), *n = json_object_get(row, then ? "segmentsThen" : "segmentsNow"), *b = json_object_get(row, then ? "bytesThen" : "bytesNow");
    json_integer_set(n, json_integer_value(n) + 1);
    json_integer_set(b, json_integer_value(b) + bytes);
}

static void count(json_t *rows, const struct hg_rule *r, bool then, json_int_t bytes)
{
    bool any = false;
    for (uint32_t t = 0; r && t < r->n_tiers; t++) {
        if (!r->tiers[t].n) continue;
        add(rows, r->tiers[t].tier, then, bytes * r->tiers[t].n);
        any = true;
    }
    if (!any) add(rows, !r ? NO_RULE : hg_rule_drops(r) ? DROPPED : NOWHERE, then, bytes);
}

/* Segments and bytes (of all replicas) by tier, under the rules in force and under f. *lost: served now and dropped then. */
static enum hg_rc effect(struct hg_ctl *c, const char *ds, const struct file *f, json_t *rows, int64_t *lost, struct hg_err *err)
{
    bool defaults = strcmp(ds, HG_DEFAULT_RULES) == 0;
    json_t *own_json, *def_json, *all, *s;
    struct hg_rules def, def_then;
    size_t i;
    int64_t now = hg_clock_now_ms();
    *lost = 0;
    HG_TRY(get_rules(c, HG_DEFAULT_RULES, &def_json, err));
    HG_TRY(hg_rules_parse(c->a, def_json, &hg_jroot, &def, err));
    def_then = defaults ? f->rules : def;
    json_t *book;
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/rules", &book, err));
    const char *path = defaults ? BASE "/metadata/segments" : hg_arena_printf(c->a, BASE "/metadata/segments?datasources=%s", hg_ctl_escape(c, ds));
    if (!path) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, path, &all, err));
    const char *last = "";
    struct hg_rules own = {0};
    json_array_foreach(all, i, s)
    {
        const char *of = hg_ctl_str(s, "dataSource"), *ns = hg_ctl_str(s, "namespace");
        struct hg_interval iv;
        if (strcmp(of, last) != 0) {
            own = (struct hg_rules){0};
            if ((own_json = json_object_get(book, of))) HG_TRY(hg_rules_parse(c->a, own_json, &hg_jroot, &own, err));
            last = of;
        }
        HG_TRY(hg_interval_parse(hg_str_of(hg_ctl_str(s, "interval")), &iv, err));
        json_int_t bytes = json_integer_value(json_object_get(s, "size"));
        const struct hg_rule *before = hg_rules_find(&own, &def, iv, ns, now), *after = hg_rules_find(defaults ? &own : &f->rules, &def_then, iv, ns, now);
        count(rows, before, false, bytes);
        count(rows, after, true, bytes);
        *lost += after && hg_rule_drops(after) && !(before && hg_rule_drops(before));
    }
    return HG_OK;
}

static const struct hg_ctl_column effect_cols[] = {
    {"tier", "TIER", HG_CTL_TEXT}, {"segmentsNow", "SEGMENTS NOW", HG_CTL_TEXT}, {"bytesNow", "SIZE NOW", HG_CTL_BYTES}, {"segmentsThen", "SEGMENTS THEN", HG_CTL_TEXT},
    {"bytesThen", "SIZE THEN", HG_CTL_BYTES},
};

enum hg_rc hg_ctl_rules_check(struct hg_ctl *c, struct hg_err *err)
{
    struct file f;
    const char *ds = c->opt[HG_CTL_DATASOURCE];
    json_t *rows = hg_ctl_keep(c, json_array()), *doubts = hg_ctl_keep(c, json_array()), *what = hg_ctl_keep(c, json_array());
    int64_t lost;
    struct hg_err away;
    if (!rows || !doubts || !what) return hg_ctl_no_memory(err);
    HG_TRY(read_rules(c, c->words[0], &f, err));
    if (ds) HG_TRY(effect(c, ds, &f, what, &lost, err));
    enum hg_rc rc = find_doubts(c, &f, doubts, &away);
    if (rc == HG_E_INVALID) return *err = away, rc;
    if (rc) fprintf(stderr, "henge ctl rules check: the rules are sound, but their tiers were not looked up: %s\n", away.msg);
    tell_doubts(c, doubts);
    if (c->json) {
        json_t *j = hg_ctl_keep(c, json_pack("{s:b,s:i,s:O,s:O}", "sound", 1, "rules", (int)f.rules.n, "warnings", doubts, "effect", what));
        if (!j) return hg_ctl_no_memory(err);
        return hg_ctl_json(c, j), HG_OK;
    }
    json_t *plain = hg_ctl_keep(c, hg_rules_json(&f.rules));
    if (!plain) return hg_ctl_no_memory(err);
    HG_TRY(add_rows(c, ds ? ds : f.name, plain, rows, err));
    HG_TRY(hg_ctl_rows(c, rows, rule_cols, HG_CTL_N(rule_cols), "an empty list: the defaults hold", err));
    if (!ds) return HG_OK;
    hg_buf_putc(&c->out, '\n');
    return hg_ctl_rows(c, what, effect_cols, HG_CTL_N(effect_cols), "there is no segment that they would be about now", err);
}

/* ---- setting ---- */

enum hg_rc hg_ctl_rules_set(struct hg_ctl *c, struct hg_err *err)
{
    struct file f;
    struct hg_ctl_answer a;
    const char *ds = c->words[0];
    json_t *doubts = hg_ctl_keep(c, json_array()), *what = hg_ctl_keep(c, json_array()), *old;
    int64_t lost;
    bool go, defaults = strcmp(ds, HG_DEFAULT_RULES) == 0;
    if (!doubts || !what) return hg_ctl_no_memory(err);
    HG_TRY(read_rules(c, c->words[1], &f, err));
    if (defaults && !f.rules.n) return hg_ctl_wrong(err, "%s: the default rules cannot be empty: segments that no other rule is about would be loaded nowhere", f.name);
    HG_TRY(get_rules(c, ds, &old, err));
    HG_TRY(effect(c, ds, &f, what, &lost, err));
    HG_TRY(find_doubts(c, &f, doubts, err));
    if (!json_array_size(what) && !defaults) json_array_append_new(doubts, json_sprintf("datasource \"%s\" has no segments now; is its name right?", ds));
    tell_doubts(c, doubts);
    const char *plan = hg_arena_printf(c->a, "replace the rules of %s (%s now) by %s; segments that are kept now and would be dropped: %" PRId64, defaults ? "all datasources (the defaults)" : ds,
                                       hg_ctl_some(c, (int64_t)json_array_size(old), "rule"), hg_ctl_some(c, f.rules.n, "rule"), lost);
    if (!plan) return hg_ctl_no_memory(err);
    if (!c->json) {
        if (json_array_size(what)) HG_TRY(hg_ctl_table(c, what, effect_cols, HG_CTL_N(effect_cols), err));
        HG_TRY(hg_ctl_flush(c, err)); /* before the question */
    }
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    const char *path = hg_arena_printf(c->a, BASE "/rules/%s", hg_ctl_escape(c, ds));
    if (!path) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "POST", path, (struct hg_span){(const uint8_t *)f.text.p, f.text.len}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    json_t *said = hg_ctl_keep(c, json_pack("{s:s,s:s,s:i,s:O,s:O}", "datasource", ds, "done", "rules set", "rules", (int)f.rules.n, "warnings", doubts, "effect", what));
    if (!said) return hg_ctl_no_memory(err);
    if (f.rules.n) hg_ctl_said(c, said, "%s: %s set; segments move over the next minutes, henge ctl tiers shows where they are", ds, hg_ctl_some(c, f.rules.n, "rule"));
    else hg_ctl_said(c, said, "%s: it has no rules of its own any more, the defaults hold", ds);
    return HG_OK;
}

/* ---- what they were ---- */

enum hg_rc hg_ctl_rules_history(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"auditTime", "WHEN", HG_CTL_TEXT}, {"key", "RULES OF", HG_CTL_TEXT}, {"author", "BY", HG_CTL_TEXT}, {"comment", "COMMENT", HG_CTL_TEXT}, {"rules", "RULES", HG_CTL_TEXT},
    };
    int64_t limit = 25;
    HG_TRY(hg_ctl_count(c, HG_CTL_LIMIT, 1, &limit, err));
    json_t *list, *e, *r, *rows = hg_ctl_keep(c, json_array());
    size_t i, k;
    const char *path = hg_arena_printf(c->a, BASE "/rules/%s%shistory?count=%" PRId64, c->n_words ? hg_ctl_escape(c, c->words[0]) : "", c->n_words ? "/" : "", limit);
    if (!path || !rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, path, &list, err));
    json_array_foreach(list, i, e)
    {
        json_t *rules = NULL;
        const json_t *who = json_object_get(e, "auditInfo");
        const char *words = "";
        struct hg_err bad;
        if (hg_json_parse(hg_str_of(hg_ctl_str(e, "payload")), &rules, &bad)) rules = NULL;
        json_array_foreach(rules, k, r) words = hg_arena_printf(c->a, "%s%s%s: %s", words ? words : "", k ? "; " : "", when(c, r), does(c, r));
        json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "auditTime", hg_ctl_str(e, "auditTime"), "key", hg_ctl_str(e, "key"), "author", hg_ctl_str(who, "author"), "comment",
                                hg_ctl_str(who, "comment"), "rules", words && *words ? words : "none", "payload", rules ? rules : json_array());
        if (json_array_append_new(rows, row)) return hg_ctl_no_memory(err);
    }
    if (c->json)
        json_array_foreach(rows, i, e) {
            json_object_set(e, "rules", json_object_get(e, "payload"));
            json_object_del(e, "payload");
        }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "rules were never set", err);
}
