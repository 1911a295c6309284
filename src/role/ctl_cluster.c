/* What the coordinator knows: servers, tiers, datasources, segments; and how every server is. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/time.h"
#include "role/ctl_private.h"

#define BASE "/druid/coordinator/v1"

/* ---- servers ---- */

/* {"roles": {host: [role, ...]}} turned round from the coordinator's {role: [host, ...]}. */
static enum hg_rc roles_by_host(struct hg_ctl *c, const json_t *cluster, json_t **out, struct hg_err *err)
{
    const char *role;
    json_t *list, *h, *hosts = hg_ctl_keep(c, json_object());
    size_t i;
    if (!hosts) return hg_ctl_no_memory(err);
    json_object_foreach((json_t *)(uintptr_t)cluster, role, list) json_array_foreach(list, i, h)
    {
        if (strcmp(role, "overlord") == 0 || strcmp(role, "indexer") == 0) continue; /* Druid's words for ingest, which is listed too */
        char host[512];
        json_int_t port = json_integer_value(json_object_get(h, "plaintextPort"));
        snprintf(host, sizeof host, "%s:%" PRId64, hg_ctl_str(h, "host"), (int64_t)port);
        json_t *roles = json_object_get(hosts, host);
        if (!roles) json_object_set_new(hosts, host, roles = json_array());
        json_array_append_new(roles, json_string(role));
    }
    *out = hosts;
    return HG_OK;
}

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* The keys of an object, sorted. */
static enum hg_rc sorted_keys(struct hg_ctl *c, const json_t *o, const char ***out, size_t *n, struct hg_err *err)
{
    const char *key;
    json_t *unused;
    const char **v = hg_arena_array(c->a, json_object_size(o) + 1, sizeof *v);
    if (!v) return hg_arena_fail(c->a, "names", err);
    *n = 0;
    json_object_foreach((json_t *)(uintptr_t)o, key, unused) v[(*n)++] = key;
    qsort(v, *n, sizeof *v, by_text);
    *out = v;
    return HG_OK;
}

/* To a tenth. */
static json_t *percent(json_int_t used, json_int_t of) { return of > 0 ? json_real((double)(int64_t)(1000.0 * (double)used / (double)of + 0.5) / 10) : json_null(); }

enum hg_rc hg_ctl_servers(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"server", "SERVER", HG_CTL_TEXT}, {"roles", "ROLES", HG_CTL_TEXT}, {"tier", "TIER", HG_CTL_TEXT}, {"usedBytes", "SIZE", HG_CTL_BYTES},
        {"capacityBytes", "CAPACITY", HG_CTL_BYTES}, {"usedPercent", "FULL", HG_CTL_PERCENT}, {"state", "STATE", HG_CTL_TEXT},
    };
    json_t *cluster, *data, *drains, *hosts, *rows = hg_ctl_keep(c, json_array()), *s;
    const char **names;
    size_t n, k, d;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/cluster", &cluster, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/servers?simple", &data, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/drains", &drains, err));
    HG_TRY(roles_by_host(c, cluster, &hosts, err));
    HG_TRY(sorted_keys(c, hosts, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        json_t *row = json_pack("{s:s,s:O,s:n,s:n,s:n,s:n,s:n}", "server", names[i], "roles", json_object_get(hosts, names[i]), "tier", "usedBytes", "capacityBytes", "usedPercent", "state"), *drain;
        json_array_foreach(data, k, s)
        {
            if (strcmp(hg_ctl_str(s, "host"), names[i]) != 0) continue;
            json_int_t used = json_integer_value(json_object_get(s, "currSize")), max = json_integer_value(json_object_get(s, "maxSize"));
            if (strcmp(hg_ctl_str(s, "type"), "historical") == 0) {
                json_object_set(row, "tier", json_object_get(s, "tier"));
                json_object_set_new(row, "state", json_string("in service"));
            }
            json_object_set_new(row, "usedBytes", json_integer(used));
            if (max > 0) json_object_set_new(row, "capacityBytes", json_integer(max));
            json_object_set_new(row, "usedPercent", percent(used, max));
        }
        json_array_foreach(drains, d, drain) if (strcmp(hg_ctl_str(drain, "host"), names[i]) == 0) json_object_set_new(row, "state", json_string(json_integer_value(json_object_get(row, "usedBytes")) ? "draining" : "drained"));
        json_array_append_new(rows, row);
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no server is up", err);
}

enum hg_rc hg_ctl_tiers(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"tier", "TIER", HG_CTL_TEXT}, {"servers", "SERVERS", HG_CTL_TEXT}, {"usedBytes", "SIZE", HG_CTL_BYTES},
        {"capacityBytes", "CAPACITY", HG_CTL_BYTES}, {"usedPercent", "FULL", HG_CTL_PERCENT}, {"missing", "MISSING", HG_CTL_TEXT},
    };
    json_t *tiers, *wanted, *missing, *servers, *s, *rows = hg_ctl_keep(c, json_array());
    const char *wanted_tier;
    const char **names;
    size_t n, k;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/tiers?simple", &tiers, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/servers?simple", &servers, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/loadstatus?full", &wanted, err));
    json_object_foreach(wanted, wanted_tier, missing) if (!json_object_get(tiers, wanted_tier)) json_object_set_new(tiers, wanted_tier, json_object()); /* rules name it, and no server is of it */
    HG_TRY(sorted_keys(c, tiers, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        const json_t *t = json_object_get(tiers, names[i]);
        json_int_t used = json_integer_value(json_object_get(t, "currSize")), max = json_integer_value(json_object_get(t, "maxSize")), count = 0;
        json_array_foreach(servers, k, s) count += strcmp(hg_ctl_str(s, "type"), "historical") == 0 && strcmp(hg_ctl_str(s, "tier"), names[i]) == 0;
        json_int_t absent = 0;
        const char *ds;
        json_object_foreach(json_object_get(wanted, names[i]), ds, missing) absent += json_integer_value(missing);
        json_array_append_new(rows, json_pack("{s:s,s:I,s:I,s:I,s:o,s:I}", "tier", names[i], "servers", count, "usedBytes", used, "capacityBytes", max, "usedPercent", percent(used, max), "missing",
                                              absent));
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no historical is up, so there is no tier", err);
}

/* ---- health ---- */

/* Asks one server and adds what it says to its row; false: something is wrong with it. */
static bool probe(struct hg_ctl *c, const char *base, json_t *row)
{
    struct hg_ctl_answer a;
    struct hg_err err;
    json_t *j = NULL;
    bool healthy = false, ready = false;
    const char *reason = "", *colon;
    if (hg_ctl_ask_at(c, HG_CTL_COORDINATOR, base, "GET", "/status/health", (struct hg_span){0}, &a, &err)) {
        err.msg[strcspn(err.msg, "\n")] = 0;
        reason = hg_arena_strdup(c->a, (colon = strstr(err.msg, "/status/health: ")) ? colon + strlen("/status/health: ") : err.msg);
    } else {
        healthy = a.status == 200;
        if (!hg_ctl_ask_at(c, HG_CTL_COORDINATOR, base, "GET", "/status/ready", (struct hg_span){0}, &a, &err) && !hg_ctl_parse(c, &a, &j, &err)) {
            ready = a.status == 200;
            if (!ready) reason = hg_ctl_str(j, "reason");
        }
        if (!hg_ctl_ask_at(c, HG_CTL_COORDINATOR, base, "GET", "/status", (struct hg_span){0}, &a, &err) && a.status == 200 && !hg_ctl_parse(c, &a, &j, &err)) {
            const json_t *module = json_array_get(json_object_get(j, "modules"), 0); /* the whole's is Druid's */
            json_object_set_new(row, "version", json_string(hg_ctl_str(module ? module : j, "version")));
            json_object_set(row, "memoryBytes", json_object_get(json_object_get(j, "memory"), "usedMemory"));
        }
    }
    json_object_set_new(row, "healthy", json_boolean(healthy));
    json_object_set_new(row, "ready", json_boolean(ready));
    json_object_set_new(row, "reason", json_string(reason ? reason : ""));
    return healthy && ready;
}

/* Without a coordinator: what the settings name. */
static enum hg_rc configured(struct hg_ctl *c, json_t *hosts, struct hg_err *err)
{
    static const char *const roles[HG_CTL_N_KINDS] = {"broker", "coordinator", "ingest"};
    for (int k = 0; k < HG_CTL_N_KINDS; k++) {
        const char *base;
        HG_TRY(hg_ctl_base(c, (enum hg_ctl_kind)k, &base, err));
        const char *host = base + strlen("http://");
        json_t *list = json_object_get(hosts, host);
        if (!list) json_object_set_new(hosts, host, list = json_array());
        json_array_append_new(list, json_string(roles[k]));
    }
    return HG_OK;
}

enum hg_rc hg_ctl_status(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"server", "SERVER", HG_CTL_TEXT}, {"roles", "ROLES", HG_CTL_TEXT}, {"healthy", "HEALTHY", HG_CTL_TEXT}, {"ready", "READY", HG_CTL_TEXT},
        {"version", "VERSION", HG_CTL_TEXT}, {"memoryBytes", "MEMORY", HG_CTL_BYTES}, {"reason", "REASON", HG_CTL_TEXT},
    };
    json_t *cluster, *hosts, *rows = hg_ctl_keep(c, json_array());
    const char **names;
    size_t n;
    if (!rows) return hg_ctl_no_memory(err);
    enum hg_rc rc = hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/cluster", &cluster, err);
    if (rc == HG_E_INVALID) return rc;
    if (rc) {
        fprintf(stderr, "henge ctl status: %s\n", err->msg);
        c->status = HG_CTL_FAILED;
        if (!(hosts = hg_ctl_keep(c, json_object()))) return hg_ctl_no_memory(err);
        HG_TRY(configured(c, hosts, err));
    } else {
        HG_TRY(roles_by_host(c, cluster, &hosts, err));
    }
    HG_TRY(sorted_keys(c, hosts, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        char base[600];
        json_t *row = json_pack("{s:s,s:O,s:b,s:b,s:n,s:n,s:s}", "server", names[i], "roles", json_object_get(hosts, names[i]), "healthy", 0, "ready", 0, "version", "memoryBytes",
                                "reason", "");
        snprintf(base, sizeof base, "http://%s", names[i]);
        const char *url = hg_arena_strdup(c->a, base);
        if (json_array_append_new(rows, row) || !url) return hg_ctl_no_memory(err);
        if (!probe(c, url, row)) c->status = HG_CTL_FAILED;
    }
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no server is up", err);
}

/* ---- segments ---- */

static json_t *words_of(const char *list) /* "a,b" */
{
    json_t *out = json_array();
    while (*list) {
        size_t n = strcspn(list, ",");
        if (n) json_array_append_new(out, json_stringn(list, n));
        list += n + (list[n] == ',');
    }
    return out;
}

static json_t *segment_row(const json_t *s, bool full)
{
    const json_t *shard = json_object_get(s, "shardSpec");
    json_t *part = json_object_get(shard, "partitionNum");
    json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:O,s:O,s:O}", "id", hg_ctl_str(s, "identifier"), "datasource", hg_ctl_str(s, "dataSource"), "namespace", hg_ctl_str(s, "namespace"),
                            "interval",
                            hg_ctl_str(s, "interval"), "version", hg_ctl_str(s, "version"), "partition", part ? part : json_null(), "rows",
                            json_object_get(s, "numRows") ? json_object_get(s, "numRows") : json_null(), "bytes", json_object_get(s, "size") ? json_object_get(s, "size") : json_null());
    if (!full || !row) return row;
    json_object_set(row, "shard", (json_t *)(uintptr_t)shard);
    json_object_set_new(row, "dimensions", words_of(hg_ctl_str(s, "dimensions")));
    json_object_set_new(row, "metrics", words_of(hg_ctl_str(s, "metrics")));
    json_object_set_new(row, "path", json_string(hg_ctl_str(json_object_get(s, "loadSpec"), "path")));
    return row;
}

static int by_place(const void *pa, const void *pb)
{
    const json_t *a = *(json_t *const *)pa, *b = *(json_t *const *)pb;
    static const char *const keys[] = {"datasource", "namespace", "interval", "version"};
    for (size_t k = 0; k < HG_CTL_N(keys); k++) {
        int d = strcmp(hg_ctl_str(a, keys[k]), hg_ctl_str(b, keys[k]));
        if (d) return d;
    }
    json_int_t x = json_integer_value(json_object_get(a, "partition")), y = json_integer_value(json_object_get(b, "partition"));
    return (x > y) - (x < y);
}

static enum hg_rc all_segments(struct hg_ctl *c, const char *ds, bool full, json_t **out, struct hg_err *err)
{
    json_t *list, *rows = hg_ctl_keep(c, json_array()), *s;
    size_t i, n;
    const char *path = ds ? hg_arena_printf(c->a, BASE "/metadata/segments?datasources=%s", hg_ctl_escape(c, ds)) : BASE "/metadata/segments";
    if (!rows || !path) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, path, &list, err));
    n = json_array_size(list);
    json_t **v = hg_arena_array(c->a, n + 1, sizeof *v);
    if (!v) return hg_arena_fail(c->a, "segments", err);
    json_array_foreach(list, i, s) if (!(v[i] = hg_ctl_keep(c, segment_row(s, full)))) return hg_ctl_no_memory(err);
    qsort(v, n, sizeof *v, by_place);
    for (i = 0; i < n; i++) json_array_append(rows, v[i]);
    *out = rows;
    return HG_OK;
}

enum hg_rc hg_ctl_names_of_datasources(struct hg_ctl *c, json_t **out, struct hg_err *err) { return hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/datasources", out, err); }

enum hg_rc hg_ctl_segments(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"datasource", "DATASOURCE", HG_CTL_TEXT}, {"namespace", "NAMESPACE", HG_CTL_TEXT}, {"interval", "INTERVAL", HG_CTL_TEXT},
        {"version", "VERSION", HG_CTL_TEXT}, {"partition", "PART", HG_CTL_TEXT}, {"rows", "ROWS", HG_CTL_TEXT}, {"bytes", "SIZE", HG_CTL_BYTES},
    };
    static const struct hg_ctl_column full_cols[] = {
        {"id", "SEGMENT", HG_CTL_TEXT}, {"rows", "ROWS", HG_CTL_TEXT}, {"bytes", "SIZE", HG_CTL_BYTES}, {"shard", "SHARD", HG_CTL_TEXT},
        {"dimensions", "DIMENSIONS", HG_CTL_TEXT}, {"metrics", "METRICS", HG_CTL_TEXT}, {"path", "PATH", HG_CTL_TEXT},
    };
    const char *ds = c->n_words ? c->words[0] : NULL, *text = c->opt[HG_CTL_INTERVAL];
    bool full = c->opt[HG_CTL_FULL] != NULL;
    struct hg_interval want, iv;
    struct hg_err bad;
    json_t *all, *rows = hg_ctl_keep(c, json_array()), *row;
    size_t i;
    if (!rows) return hg_ctl_no_memory(err);
    if (text && hg_interval_parse(hg_str_of(text), &want, &bad)) return hg_ctl_wrong(err, "--interval: %s", bad.msg);
    HG_TRY(all_segments(c, ds, full, &all, err));
    if (ds && json_array_size(all) == 0) return hg_ctl_no_such(c, "datasource", ds, hg_ctl_names_of_datasources, err);
    json_array_foreach(all, i, row)
    {
        if (text) {
            HG_TRY(hg_interval_parse(hg_str_of(hg_ctl_str(row, "interval")), &iv, err));
            if (!hg_interval_overlaps(iv, want)) continue;
        }
        json_array_append(rows, row);
    }
    return full ? hg_ctl_rows(c, rows, full_cols, HG_CTL_N(full_cols), "no segments", err) : hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no segments", err);
}

/* ---- datasources ---- */

static json_t *find_row(json_t *rows, const char *key, const char *value)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) if (strcmp(hg_ctl_str(row, key), value) == 0) return row;
    return NULL;
}

static bool holds(const json_t *list, const char *text)
{
    size_t i;
    json_t *v;
    json_array_foreach((json_t *)(uintptr_t)list, i, v) if (strcmp(json_string_value(v), text) == 0) return true;
    return false;
}

/* Rows and namespaces, from every segment. */
static enum hg_rc add_counts(struct hg_ctl *c, json_t *rows, struct hg_err *err)
{
    json_t *all, *s, *row = NULL;
    size_t i;
    HG_TRY(all_segments(c, NULL, false, &all, err));
    json_array_foreach(rows, i, row)
    {
        json_object_set_new(row, "rows", json_integer(0));
        json_object_set_new(row, "namespaces", json_array());
    }
    json_array_foreach(all, i, s)
    {
        if (!row || strcmp(hg_ctl_str(row, "datasource"), hg_ctl_str(s, "datasource")) != 0) row = find_row(rows, "datasource", hg_ctl_str(s, "datasource"));
        if (!row) continue;
        json_t *count = json_object_get(row, "rows"), *spaces = json_object_get(row, "namespaces");
        json_integer_set(count, json_integer_value(count) + json_integer_value(json_object_get(s, "rows")));
        if (!holds(spaces, hg_ctl_str(s, "namespace"))) json_array_append(spaces, json_object_get(s, "namespace"));
    }
    return HG_OK;
}

enum hg_rc hg_ctl_datasources(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"datasource", "DATASOURCE", HG_CTL_TEXT}, {"segments", "SEGMENTS", HG_CTL_TEXT}, {"bytes", "SIZE", HG_CTL_BYTES},
        {"from", "FROM", HG_CTL_TEXT}, {"to", "TO", HG_CTL_TEXT}, {"loadedPercent", "LOADED", HG_CTL_PERCENT}, {"rows", "ROWS", HG_CTL_TEXT},
        {"namespaces", "NAMESPACES", HG_CTL_TEXT},
    };
    json_t *list, *loaded, *d, *rows = hg_ctl_keep(c, json_array());
    size_t i;
    bool full = c->opt[HG_CTL_FULL] != NULL;
    if (!rows) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/datasources?simple", &list, err));
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/loadstatus", &loaded, err));
    json_array_foreach(list, i, d)
    {
        const char *name = hg_ctl_str(d, "name");
        const json_t *s = json_object_get(json_object_get(d, "properties"), "segments");
        json_t *share = json_object_get(loaded, name);
        json_array_append_new(rows, json_pack("{s:s,s:I,s:I,s:s,s:s,s:O}", "datasource", name, "segments", json_integer_value(json_object_get(s, "count")), "bytes",
                                              json_integer_value(json_object_get(s, "size")), "from", hg_ctl_str(s, "minTime"), "to", hg_ctl_str(s, "maxTime"), "loadedPercent",
                                              share ? share : json_null()));
    }
    if (full) HG_TRY(add_counts(c, rows, err));
    return hg_ctl_rows(c, rows, cols, full ? HG_CTL_N(cols) : HG_CTL_N(cols) - 2, "no datasource has a visible segment", err);
}
