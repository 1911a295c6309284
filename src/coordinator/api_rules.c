/* Druid's paths for load and drop rules. They live in the metadata store, so any coordinator answers and takes them; the leader is woken by the store. */
#include "base/clock.h"
#include "coordinator/api_private.h"
#include "coordinator/rulebook.h"

#define WEEK_MS ((int64_t)7 * 86400000)
#define MAX_WARNING 1000

HG_API_ROUTE(all_rules)
{
    struct hg_rulebook *b;
    const char *const *names;
    size_t n;
    HG_TRY(hg_rulebook_load(k->c->meta, k->a, &b, err));
    hg_rulebook_names(b, &names, &n);
    struct hg_rules defaults = hg_rulebook_defaults(b);
    json_t *out = json_pack("{s:o?}", HG_DEFAULT_RULES, hg_rules_json(&defaults));
    for (size_t i = 0; i < n; i++) {
        struct hg_rules own = hg_rulebook_own(b, names[i]);
        json_object_set_new(out, names[i], hg_rules_json(&own));
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(ds_rules)
{
    struct hg_rulebook *b;
    const char *ds = hg_http_param(k->rq, "ds");
    HG_TRY(hg_rulebook_load(k->c->meta, k->a, &b, err));
    struct hg_rules defaults = hg_rulebook_defaults(b), own = hg_rulebook_own(b, ds);
    bool is_default = strcmp(ds, HG_DEFAULT_RULES) == 0;
    json_t *out = hg_rules_json(is_default ? &defaults : &own), *more = !is_default && hg_api_asked(k, "full") ? hg_rules_json(&defaults) : NULL;
    if (out && more) json_array_extend(out, more);
    json_decref(more);
    return hg_api_reply(k, out);
}

/* ---- setting them ---- */

static bool has_tier(const struct hg_server *const *s, size_t n, const char *tier)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(s[i]->roles, "historical") && strcmp(s[i]->tier[0] ? s[i]->tier : HG_DEFAULT_TIER, tier) == 0) return true;
    return false;
}

/* A tier that no server has now may get one later, so it is taken, as in Druid; but more often its name is misspelt. */
static enum hg_rc warn_of_tiers(struct hg_api_ask *k, const json_t *rules, struct hg_err *err)
{
    struct hg_rules r;
    const struct hg_server **s;
    size_t n, at = 0;
    char text[MAX_WARNING] = "";
    HG_TRY(hg_rules_parse(k->a, rules, &hg_jroot, &r, err));
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &s, &n, err));
    for (uint32_t i = 0; i < r.n; i++)
        for (uint32_t t = 0; t < r.v[i].n_tiers; t++)
            if (r.v[i].tiers[t].n && !has_tier(s, n, r.v[i].tiers[t].tier) && at < sizeof text)
                at += (size_t)snprintf(text + at, sizeof text - at, "%s$[%u].tieredReplicants: no historical is of tier \"%s\" now", at ? "; " : "", i, r.v[i].tiers[t].tier);
    if (at) hg_http_set_header(k->rq, "X-Henge-Warning", text);
    return HG_OK;
}

HG_API_ROUTE(set_rules)
{
    json_t *body;
    const char *comment = hg_http_header(k->rq, "X-Druid-Comment");
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = hg_rulebook_put(k->c->meta, hg_http_param(k->rq, "ds"), body, hg_api_who(k), comment ? comment : "", NULL, err);
    if (!rc) rc = warn_of_tiers(k, body, err);
    json_decref(body);
    if (rc) return rc;
    hg_http_reply(k->rq, 200, NULL, NULL);
    return HG_OK;
}

/* ---- what they were ---- */

static json_t *entry(const struct hg_doc_row *d)
{
    char at[HG_TIME_TEXT];
    hg_time_format(d->changed_ms, NULL, at);
    return json_pack("{s:s,s:s,s:{s:s,s:n,s:s,s:s},s:n,s:s,s:s}", "key", d->id, "type", "rules", "auditInfo", "author", d->author, "identity", "comment", d->comment, "ip", "", "request", "payload",
                     d->text ? d->text : "[]", "auditTime", at);
}

/* Without count and interval: the last week, as Druid. By count the newest come first, by interval the oldest. */
static enum hg_rc history(struct hg_api_ask *k, const char *ds, struct hg_err *err)
{
    const char *interval = hg_http_query(k->rq, "interval"), *count = hg_http_query(k->rq, "count");
    struct hg_interval iv = {hg_clock_now_ms() - WEEK_MS, HG_TIME_MAX};
    struct hg_doc_row *d;
    size_t n;
    int64_t limit = 0;
    bool by_count = count && !interval;
    if (by_count) {
        char *end;
        limit = strtoll(count, &end, 10);
        if (end == count || *end) return hg_fail(err, HG_E_INVALID, "count: expected an integer, got \"%.40s\"", count);
        if (limit <= 0) return hg_fail(err, HG_E_INVALID, "Limit must be greater than zero!");
    }
    if (interval) HG_TRY(hg_api_interval(interval, &iv, err));
    HG_TRY(hg_meta_doc_history(k->c->meta, k->a, HG_DOC_RULES, ds, limit, &d, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct hg_doc_row *one = &d[by_count ? i : n - 1 - i];
        if (by_count || (one->changed_ms >= iv.start && one->changed_ms < iv.end)) json_array_append_new(out, entry(one));
    }
    return hg_api_reply(k, out);
}

HG_API_ROUTE(all_history) { return history(k, NULL, err); }
HG_API_ROUTE(ds_history) { return history(k, hg_http_param(k->rq, "ds"), err); }

void hg_api_rules_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/rules", all_rules, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/rules/history", all_history, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/rules/:ds", ds_rules, c);
    hg_http_route(http, HG_POST, HG_API_BASE "/rules/:ds", set_rules, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/rules/:ds/history", ds_history, c);
}
