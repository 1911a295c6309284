/* Data servers, what each serves, tiers, and all servers by role. */
#include <stdlib.h>

#include "coordinator/api_private.h"

/* Data servers only, by name. */
static enum hg_rc data_servers(struct hg_api_ask *k, const struct hg_server ***out, size_t *n, struct hg_err *err)
{
    size_t kept = 0;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, out, n, err));
    for (size_t i = 0; i < *n; i++)
        if (hg_api_has_data((*out)[i])) (*out)[kept++] = (*out)[i];
    *n = kept;
    return HG_OK;
}

static bool holds(const struct hg_target *t, const struct hg_server *s)
{
    for (uint32_t h = 0; h < t->n_holders; h++)
        if (strcmp(t->holders[h].server->name, s->name) == 0) return true;
    return false;
}

/* What one server serves, live rows included. */
static enum hg_rc served(struct hg_api_ask *k, const struct hg_server *s, struct hg_target **out, size_t *n, struct hg_err *err)
{
    size_t kept = 0;
    HG_TRY(hg_snapshot_segments(k->snap, k->a, NULL, out, n, err));
    for (size_t i = 0; i < *n; i++)
        if (holds(&(*out)[i], s)) (*out)[kept++] = (*out)[i];
    *n = kept;
    return HG_OK;
}

static enum hg_rc full_json(struct hg_api_ask *k, const struct hg_server *s, json_t **out, struct hg_err *err)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(served(k, s, &seg, &n, err));
    json_t *segments = json_object();
    for (size_t i = 0; i < n; i++) json_object_set_new(segments, seg[i].text, hg_api_target_json(&seg[i]));
    *out = hg_api_server_json(s);
    json_object_set_new(*out, "segments", segments);
    return HG_OK;
}

HG_API_ROUTE(servers)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(data_servers(k, &s, &n, err));
    bool simple = hg_api_asked(k, "simple"), full = hg_api_asked(k, "full");
    json_t *out = json_array(), *one = NULL;
    for (size_t i = 0; i < n; i++) {
        enum hg_rc rc = full && !simple ? full_json(k, s[i], &one, err) : HG_OK;
        if (rc) {
            json_decref(out);
            return rc;
        }
        json_array_append_new(out, simple ? hg_api_server_json(s[i]) : full ? one : json_string(s[i]->http_address));
    }
    return hg_api_reply(k, out);
}

/* The data server of the path, by address or by name; NULL: there is none. */
static enum hg_rc named(struct hg_api_ask *k, const struct hg_server **out, struct hg_err *err)
{
    const char *name = hg_http_param(k->rq, "name");
    const struct hg_server **s;
    size_t n;
    *out = NULL;
    HG_TRY(data_servers(k, &s, &n, err));
    for (size_t i = 0; i < n && !*out; i++)
        if (strcmp(s[i]->http_address, name) == 0) *out = s[i];
    for (size_t i = 0; i < n && !*out; i++)
        if (strcmp(s[i]->name, name) == 0) *out = s[i];
    return HG_OK;
}

HG_API_ROUTE(server)
{
    const struct hg_server *s;
    json_t *out;
    HG_TRY(named(k, &s, err));
    if (!s) return hg_api_text(k, 404, NULL);
    if (hg_api_asked(k, "simple")) return hg_api_reply(k, hg_api_server_json(s));
    HG_TRY(full_json(k, s, &out, err));
    return hg_api_reply(k, out);
}

HG_API_ROUTE(server_segments)
{
    const struct hg_server *s;
    struct hg_target *seg;
    size_t n;
    HG_TRY(named(k, &s, err));
    if (!s) return hg_api_text(k, 404, NULL);
    HG_TRY(served(k, s, &seg, &n, err));
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, hg_api_asked(k, "full") ? hg_api_target_json(&seg[i]) : json_string(seg[i].text));
    return hg_api_reply(k, out);
}

HG_API_ROUTE(server_segment)
{
    const struct hg_server *s;
    struct hg_target seg;
    struct hg_err bad; /* an id that is none is not there */
    bool found = false;
    HG_TRY(named(k, &s, err));
    if (s && hg_snapshot_find(k->snap, k->a, hg_http_param(k->rq, "id"), &seg, &found, &bad)) found = false;
    return found && holds(&seg, s) ? hg_api_reply(k, hg_api_target_json(&seg)) : hg_api_text(k, 404, NULL);
}

/* ---- tiers ---- */

HG_API_ROUTE(tiers)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(data_servers(k, &s, &n, err));
    json_t *sums = json_object(), *v;
    for (size_t i = 0; i < n; i++) {
        if (!hg_api_is_historical(s[i])) continue;
        json_t *t = hg_api_member(sums, hg_api_tier_of(s[i]));
        json_object_set_new(t, "currSize", json_integer(json_integer_value(json_object_get(t, "currSize")) + s[i]->used_bytes));
        json_object_set_new(t, "maxSize", json_integer(json_integer_value(json_object_get(t, "maxSize")) + s[i]->capacity_bytes));
    }
    if (hg_api_asked(k, "simple")) return hg_api_reply(k, sums);
    json_t *names = json_array();
    const char *name;
    json_object_foreach(sums, name, v) json_array_append_new(names, json_string(name));
    json_decref(sums);
    return hg_api_reply(k, names);
}

static bool in_tier(const struct hg_target *t, const char *tier)
{
    for (uint32_t h = 0; h < t->n_holders; h++)
        if (hg_api_is_historical(t->holders[h].server) && strcmp(hg_api_tier_of(t->holders[h].server), tier) == 0) return true;
    return false;
}

HG_API_ROUTE(tier)
{
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, NULL, &seg, &n, err));
    json_t *by_ds = json_object(), *v;
    for (size_t i = 0; i < n; i++)
        if (in_tier(&seg[i], hg_http_param(k->rq, "tier"))) hg_api_count_interval(hg_api_member(by_ds, seg[i].id.datasource), &seg[i]);
    if (hg_api_asked(k, "simple")) return hg_api_reply(k, by_ds);
    json_t *names = json_array();
    const char *name;
    json_object_foreach(by_ds, name, v) json_array_append_new(names, json_string(name));
    json_decref(by_ds);
    return hg_api_reply(k, names);
}

/* ---- all servers ---- */

/* Druid's names for the roles, and ours: ingest servers do what its overlord and its indexers do. */
static const struct { const char *name, *role; } node_roles[] = {
    {"coordinator", "coordinator"}, {"overlord", "ingest"}, {"broker", "broker"}, {"historical", "historical"}, {"indexer", "ingest"}, {"ingest", "ingest"},
};

static json_t *nodes(const struct hg_server_row *rows, size_t n, const char *role)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        if (!strstr(rows[i].roles, role)) continue;
        const char *port = strrchr(rows[i].http_address, ':');
        size_t host = port ? (size_t)(port - rows[i].http_address) : strlen(rows[i].http_address);
        char service[64];
        snprintf(service, sizeof service, "henge/%s", role);
        json_array_append_new(list, json_pack("{s:s%,s:s,s:i}", "host", rows[i].http_address, host, "service", service, "plaintextPort", port ? atoi(port + 1) : 0));
    }
    return list;
}

HG_API_ROUTE(cluster)
{
    struct hg_server_row *rows;
    size_t n;
    HG_TRY(hg_meta_servers(k->c->meta, k->a, &rows, &n, err));
    json_t *out = json_object();
    for (size_t r = 0; r < sizeof node_roles / sizeof *node_roles; r++) json_object_set_new(out, node_roles[r].name, nodes(rows, n, node_roles[r].role));
    return hg_api_reply(k, out);
}

HG_API_ROUTE(cluster_role)
{
    struct hg_server_row *rows;
    size_t n;
    HG_TRY(hg_meta_servers(k->c->meta, k->a, &rows, &n, err));
    for (size_t r = 0; r < sizeof node_roles / sizeof *node_roles; r++)
        if (strcasecmp(node_roles[r].name, hg_http_param(k->rq, "role")) == 0) return hg_api_reply(k, nodes(rows, n, node_roles[r].role));
    return hg_api_reply(k, json_array());
}

/* ---- loads to come ---- */

/* Which server is to load what is the cycle's own knowledge; what is asked for here is the shape, for tools that sum over it. Segments that nobody serves yet are in loadstatus. */
HG_API_ROUTE(loadqueue)
{
    const struct hg_server **s;
    size_t n;
    HG_TRY(data_servers(k, &s, &n, err));
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(out, s[i]->http_address,
                            hg_api_asked(k, "simple") ? json_pack("{s:i,s:i,s:i,s:i,s:i}", "segmentsToLoad", 0, "segmentsToDrop", 0, "segmentsToLoadSize", 0, "segmentsToDropSize", 0,
                                                                  "expectedLoadTimeMillis", 0)
                                                      : json_pack("{s:[],s:[]}", "segmentsToLoad", "segmentsToDrop"));
    return hg_api_reply(k, out);
}

void hg_api_servers_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/servers", servers, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/servers/:name", server, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/servers/:name/segments", server_segments, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/servers/:name/segments/:id", server_segment, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/tiers", tiers, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/tiers/:tier", tier, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/cluster", cluster, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/cluster/:role", cluster_role, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/loadqueue", loadqueue, c);
}
