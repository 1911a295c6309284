/* Druid's paths for registered lookups. They are documents of the metadata store ("TIER/NAME"), so any coordinator answers and takes them, and every server follows them by itself
 * (cluster/lookups.h); what each server has is asked of it. */
#include "base/hash.h"
#include "cluster/lookups.h"
#include "coordinator/api_private.h"
#include "http/client.h"

#define ASK_MS 2000        /* how long one server is waited for */
#define MAX_ANSWER (1u << 30)

/* ---- what is configured ---- */

/* {tier: {name: spec}} */
static enum hg_rc configured(struct hg_api_ask *k, json_t **out, struct hg_err *err)
{
    struct hg_doc_row *d;
    size_t n;
    HG_TRY(hg_meta_doc_list(k->c->meta, k->a, HG_DOC_LOOKUP, &d, &n, err));
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++) {
        const char *slash = strchr(d[i].id, '/');
        json_t *spec = json_loads(d[i].text, 0, NULL);
        char *tier = slash ? hg_arena_strndup(k->a, d[i].id, (size_t)(slash - d[i].id)) : NULL;
        if (tier && spec) json_object_set(hg_api_member(all, tier), slash + 1, spec);
        json_decref(spec);
    }
    *out = all;
    return HG_OK;
}

static enum hg_rc not_found(struct hg_api_ask *k, const char *fmt, const char *name)
{
    char text[600];
    snprintf(text, sizeof text, fmt, name);
    return hg_http_reply_json(k->rq, 404, json_pack("{s:s}", "error", text)), HG_OK;
}

static json_t *names(const json_t *o)
{
    json_t *out = json_array();
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)o, key, v) json_array_append_new(out, json_string(key));
    return out;
}

HG_API_ROUTE(tiers)
{
    json_t *all = NULL;
    if (hg_api_asked(k, "discover")) return hg_api_reply(k, json_pack("[s]", HG_LOOKUP_TIER));
    HG_TRY(configured(k, &all, err));
    if (!json_object_size(all)) return json_decref(all), hg_http_reply(k->rq, 404, "application/json", NULL), HG_OK; /* as Druid without any */
    json_t *out = names(all);
    json_decref(all);
    return hg_api_reply(k, out);
}

HG_API_ROUTE(everything)
{
    json_t *all = NULL;
    HG_TRY(configured(k, &all, err));
    if (json_object_size(all)) return hg_api_reply(k, all);
    json_decref(all);
    hg_http_reply(k->rq, 404, "application/json", NULL);
    return HG_OK;
}

HG_API_ROUTE(of_tier)
{
    json_t *all = NULL;
    const char *tier = hg_http_param(k->rq, "tier");
    HG_TRY(configured(k, &all, err));
    json_t *one = json_object_get(all, tier), *out = one ? (hg_api_asked(k, "detailed") ? json_incref(one) : names(one)) : NULL;
    json_decref(all);
    return out ? hg_api_reply(k, out) : not_found(k, "Tier [%.500s] not found", tier);
}

HG_API_ROUTE(spec)
{
    json_t *all = NULL;
    const char *id = hg_http_param(k->rq, "id");
    HG_TRY(configured(k, &all, err));
    json_t *out = json_incref(json_object_get(json_object_get(all, hg_http_param(k->rq, "tier")), id));
    json_decref(all);
    return out ? hg_api_reply(k, out) : not_found(k, "lookup [%.500s] not found", id);
}

/* ---- changing it ---- */

static enum hg_rc check_name(const char *tier, const char *name, struct hg_err *err)
{
    if (!*tier || !*name || strchr(tier, '/') || strlen(tier) > 200 || strlen(name) > 200) return hg_fail(err, HG_E_INVALID, "lookup \"%.200s\" of tier \"%.200s\": names have 1 to 200 bytes, and a tier's no /", name, tier);
    return HG_OK;
}

/* Puts one, if its version is greater (as text, as Druid compares them) than that of what is there. */
static enum hg_rc put(struct hg_api_ask *k, const char *tier, const char *name, const json_t *doc, const struct hg_jpath *p, bool write, struct hg_err *err)
{
    const char *version = NULL, *old_version = "", *comment = hg_http_header(k->rq, "X-Druid-Comment");
    json_t *map = NULL, *old = NULL;
    struct hg_doc_row row;
    HG_TRY(check_name(tier, name, err));
    HG_TRY(hg_lookup_doc_read(doc, p, &version, &map, err));
    char *id = hg_arena_printf(k->a, "%s/%s", tier, name), *text = json_dumps(doc, JSON_COMPACT);
    enum hg_rc rc = id && text ? hg_meta_doc_get(k->c->meta, k->a, HG_DOC_LOOKUP, id, &row, err) : hg_fail(err, HG_E_NOMEM, "lookup");
    int64_t expect = 0;
    if (rc == HG_OK) {
        expect = row.version;
        old = json_loads(row.text, 0, NULL);
        if (old) old_version = json_string_value(json_object_get(old, "version"));
        if (old_version && strcmp(version, old_version) <= 0)
            rc = hg_fail(err, HG_E_INVALID, "given update for lookup [%.200s]:[%.200s] can't replace existing spec of version \"%.200s\": the version must be greater, as text, and is \"%.200s\"", tier, name,
                         old_version, version);
    } else if (rc == HG_E_NOTFOUND) {
        rc = HG_OK;
    }
    if (rc == HG_OK && write) rc = hg_meta_doc_put(k->c->meta, HG_DOC_LOOKUP, id, text, expect, hg_api_who(k), comment ? comment : "", NULL, err);
    json_decref(old);
    free(text);
    return rc;
}

HG_API_ROUTE(set_one)
{
    json_t *body = NULL;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = put(k, hg_http_param(k->rq, "tier"), hg_http_param(k->rq, "id"), body, &hg_jroot, true, err);
    json_decref(body);
    if (rc != HG_OK) return rc;
    hg_http_reply(k->rq, 202, "application/json", NULL);
    return HG_OK;
}

static enum hg_rc set_all(struct hg_api_ask *k, const json_t *body, bool write, struct hg_err *err)
{
    const char *tier, *name;
    json_t *of, *doc;
    HG_TRY(hg_jneed_obj(body, &hg_jroot, err));
    json_object_foreach((json_t *)body, tier, of)
    {
        HG_TRY(hg_jneed_obj(of, HG_JKEY(&hg_jroot, tier), err));
        json_object_foreach(of, name, doc) HG_TRY(put(k, tier, name, doc, HG_JKEY(HG_JKEY(&hg_jroot, tier), name), write, err));
    }
    return HG_OK;
}

/* All are checked before the first is put. */
HG_API_ROUTE(set_many)
{
    json_t *body = NULL;
    HG_TRY(hg_json_parse(hg_http_body(k->rq), &body, err));
    enum hg_rc rc = set_all(k, body, false, err);
    if (rc == HG_OK) rc = set_all(k, body, true, err);
    if (rc != HG_OK) return json_decref(body), rc;
    return hg_http_reply_json(k->rq, 202, body), HG_OK;
}

HG_API_ROUTE(delete_one)
{
    struct hg_doc_row row;
    const char *comment = hg_http_header(k->rq, "X-Druid-Comment");
    char *id = hg_arena_printf(k->a, "%s/%s", hg_http_param(k->rq, "tier"), hg_http_param(k->rq, "id"));
    if (!id) return hg_arena_fail(k->a, "lookup", err);
    enum hg_rc rc = hg_meta_doc_get(k->c->meta, k->a, HG_DOC_LOOKUP, id, &row, err);
    if (rc == HG_E_NOTFOUND) return hg_http_reply(k->rq, 404, "application/json", NULL), HG_OK;
    if (rc != HG_OK) return rc;
    HG_TRY(hg_meta_doc_put(k->c->meta, HG_DOC_LOOKUP, id, NULL, row.version, hg_api_who(k), comment ? comment : "", NULL, err));
    hg_http_reply(k->rq, 202, "application/json", NULL);
    return HG_OK;
}

/* ---- what the servers have ---- */

/* What a server answers at /druid/listen/v1/lookups; NULL: it does not. */
static json_t *ask(struct hg_api_ask *k, const struct hg_server_row *s)
{
    const char *auth = hg_http_header(k->rq, "Authorization"), *headers[] = {auth ? hg_arena_printf(k->a, "Authorization: %s", auth) : NULL, NULL};
    struct hg_buf b;
    struct hg_err err;
    int status = 0;
    json_t *out = NULL;
    char *url = hg_arena_printf(k->a, "http://%s/druid/listen/v1/lookups", s->http_address);
    hg_buf_init(&b, MAX_ANSWER);
    if (url && hg_http_fetch("GET", url, headers, (struct hg_span){0}, ASK_MS, &status, &b, &err) == HG_OK && status == 200) out = json_loadb((const char *)b.p, b.len, 0, NULL);
    hg_buf_free(&b);
    return out;
}

static bool wants_lookups(const struct hg_server_row *s) { return strstr(s->roles, "broker") || strstr(s->roles, "historical") || strstr(s->roles, "ingest"); }

/* {address: answer}, null where there is none. */
static enum hg_rc nodes(struct hg_api_ask *k, json_t **out, struct hg_err *err)
{
    struct hg_server_row *s; /* of the store, for the view follows data servers only */
    size_t n;
    HG_TRY(hg_meta_servers(k->c->meta, k->a, &s, &n, err));
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++) {
        if (!wants_lookups(&s[i])) continue;
        json_t *have = ask(k, &s[i]);
        json_object_set_new(all, s[i].http_address, have ? have : json_null());
    }
    *out = all;
    return HG_OK;
}

static bool has_version(const json_t *node, const char *name, const json_t *want)
{
    const char *have = json_string_value(json_object_get(json_object_get(json_object_get(node, "current"), name), "version"));
    const char *version = json_string_value(json_object_get(want, "version"));
    return have && version && strcmp(have, version) == 0;
}

static json_t *status_of(const json_t *all, const char *name, const json_t *want, bool detailed)
{
    json_t *pending = json_array(), *node;
    const char *address;
    json_object_foreach((json_t *)all, address, node)
        if (!has_version(node, name, want)) json_array_append_new(pending, json_string(address));
    bool loaded = json_array_size(pending) == 0;
    if (detailed && !loaded) return json_pack("{s:b,s:o}", "loaded", 0, "pendingNodes", pending);
    json_decref(pending);
    return json_pack("{s:b}", "loaded", loaded);
}

static json_t *status_of_tier(const json_t *all, const json_t *specs, bool detailed)
{
    json_t *out = json_object(), *want;
    const char *name;
    json_object_foreach((json_t *)specs, name, want) json_object_set_new(out, name, status_of(all, name, want, detailed));
    return out;
}

/* tier and name may be NULL: all of them. */
static enum hg_rc status(struct hg_api_ask *k, const char *tier, const char *name, struct hg_err *err)
{
    json_t *conf = NULL, *all = NULL, *out = NULL, *specs;
    const char *t;
    bool detailed = hg_api_asked(k, "detailed");
    HG_TRY(configured(k, &conf, err));
    if (!json_object_size(conf)) return json_decref(conf), not_found(k, "No lookups found%s", "");
    enum hg_rc rc = nodes(k, &all, err);
    if (rc != HG_OK) return json_decref(conf), rc;
    if (!tier) {
        out = json_object();
        json_object_foreach(conf, t, specs) json_object_set_new(out, t, status_of_tier(all, specs, detailed));
    } else if ((specs = json_object_get(conf, tier)) && !name) {
        out = status_of_tier(all, specs, detailed);
    } else if (specs && json_object_get(specs, name)) {
        out = status_of(all, name, json_object_get(specs, name), detailed);
    }
    json_decref(conf);
    json_decref(all);
    if (out) return hg_api_reply(k, out);
    return name ? not_found(k, "lookup [%.500s] not found", name) : not_found(k, "Tier [%.500s] not found", tier);
}

HG_API_ROUTE(status_all) { return status(k, NULL, NULL, err); }
HG_API_ROUTE(status_tier) { return status(k, hg_http_param(k->rq, "tier"), NULL, err); }
HG_API_ROUTE(status_one) { return status(k, hg_http_param(k->rq, "tier"), hg_http_param(k->rq, "id"), err); }

static json_t *node_json(const json_t *node, const json_t *specs)
{
    json_t *out = json_pack("{s:{},s:{},s:[]}", "current", "toLoad", "toDrop"), *want, *have;
    json_t *current = json_object_get(node, "current");
    const char *name;
    if (current) json_object_set(out, "current", current);
    json_object_foreach((json_t *)specs, name, want)
        if (!has_version(node, name, want)) json_object_set(json_object_get(out, "toLoad"), name, want);
    json_object_foreach(current, name, have)
        if (!json_object_get(specs, name)) json_array_append_new(json_object_get(out, "toDrop"), json_string(name));
    return out;
}

/* Servers are all of the one tier that a server without a name for its own has. */
static enum hg_rc node_status(struct hg_api_ask *k, bool of_tiers, struct hg_err *err)
{
    json_t *conf = NULL, *all = NULL, *node;
    const char *address;
    HG_TRY(configured(k, &conf, err));
    if (!json_object_size(conf)) return json_decref(conf), not_found(k, "No lookups configured.%s", "");
    json_t *out = json_object();
    enum hg_rc rc = nodes(k, &all, err);
    if (rc == HG_OK)
        json_object_foreach(all, address, node) json_object_set_new(out, address, node_json(node, json_object_get(conf, HG_LOOKUP_TIER)));
    json_decref(conf);
    json_decref(all);
    if (rc != HG_OK) return json_decref(out), rc;
    return hg_api_reply(k, of_tiers ? json_pack("{s:o}", HG_LOOKUP_TIER, out) : out);
}
HG_API_ROUTE(nodes_all) { return node_status(k, true, err); }
HG_API_ROUTE(nodes_tier)
{
    const char *tier = hg_http_param(k->rq, "tier");
    return strcmp(tier, HG_LOOKUP_TIER) == 0 ? node_status(k, false, err) : not_found(k, "Tier [%.500s] not found", tier);
}

void hg_api_lookups_routes(struct hg_coordinator *c, struct hg_http *http)
{
    static const struct {
        unsigned methods;
        const char *pattern;
        hg_http_fn *fn;
    } table[] = {
        {HG_GET, HG_API_BASE "/lookups/config", tiers},
        {HG_POST, HG_API_BASE "/lookups/config", set_many},
        {HG_GET, HG_API_BASE "/lookups/config/all", everything},
        {HG_GET, HG_API_BASE "/lookups/config/:tier", of_tier},
        {HG_GET, HG_API_BASE "/lookups/config/:tier/:id", spec},
        {HG_POST, HG_API_BASE "/lookups/config/:tier/:id", set_one},
        {HG_DELETE, HG_API_BASE "/lookups/config/:tier/:id", delete_one},
        {HG_GET, HG_API_BASE "/lookups/status", status_all},
        {HG_GET, HG_API_BASE "/lookups/status/:tier", status_tier},
        {HG_GET, HG_API_BASE "/lookups/status/:tier/:id", status_one},
        {HG_GET, HG_API_BASE "/lookups/nodeStatus", nodes_all},
        {HG_GET, HG_API_BASE "/lookups/nodeStatus/:tier", nodes_tier},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) hg_http_route(http, table[i].methods, table[i].pattern, table[i].fn, c);
}
