/* Segments and servers as Druid's API shows them. */
#include <stdlib.h>

#include "coordinator/api_private.h"

json_t *hg_api_druid_error_json(const char *code, const char *category, const char *msg)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:{}}", "error", "druidException", "errorCode", code, "persona", "USER", "category", category, "errorMessage", msg, "context");
}

json_t *hg_api_interval_json(struct hg_interval iv)
{
    char text[2 * HG_TIME_TEXT];
    hg_interval_format(iv, text);
    return json_string(text);
}

json_t *hg_api_segment_json(const struct hg_segment_meta *m)
{
    char id[HG_SEGID_TEXT];
    hg_segid_text(&m->id, id);
    json_t *load = json_pack("{s:s,s:s}", "type", "henge", "path", m->path ? m->path : "");
    json_t *j = json_pack("{s:s,s:o,s:s,s:o,s:s,s:s,s:o,s:i,s:I,s:s}", "dataSource", m->id.datasource, "interval", hg_api_interval_json(m->id.interval), "version", m->id.version, "loadSpec",
                          load, "dimensions", m->dimensions ? m->dimensions : "", "metrics", m->metrics ? m->metrics : "", "shardSpec", hg_shard_json(&m->shard), "binaryVersion", 9, "size",
                          (json_int_t)m->size_bytes, "identifier", id);
    if (*m->id.ns) json_object_set_new(j, "namespace", json_string(m->id.ns));
    json_object_set_new(j, "numRows", json_integer(m->n_rows));
    return j;
}

json_t *hg_api_target_json(const struct hg_target *t)
{
    struct hg_segment_meta m = {.id = t->id, .shard = t->shard, .size_bytes = t->size_bytes, .n_rows = t->n_rows, .dimensions = t->dimensions, .metrics = t->metrics};
    return hg_api_segment_json(&m);
}

json_t *hg_api_target_with_servers(const struct hg_target *t)
{
    json_t *servers = json_array();
    for (uint32_t h = 0; h < t->n_holders; h++) json_array_append_new(servers, json_string(t->holders[h].server->http_address));
    return json_pack("{s:o,s:o}", "metadata", hg_api_target_json(t), "servers", servers);
}

bool hg_api_is_historical(const struct hg_server *s) { return strstr(s->roles, "historical") != NULL; }
bool hg_api_has_data(const struct hg_server *s) { return hg_api_is_historical(s) || strstr(s->roles, "ingest") != NULL; }
const char *hg_api_server_type(const struct hg_server *s) { return hg_api_is_historical(s) ? "historical" : "indexer-executor"; }
const char *hg_api_tier_of(const struct hg_server *s) { return s->tier[0] ? s->tier : HG_DEFAULT_TIER; }

json_t *hg_api_server_json(const struct hg_server *s)
{
    return json_pack("{s:s,s:s,s:s,s:i,s:I,s:I}", "host", s->http_address, "tier", hg_api_tier_of(s), "type", hg_api_server_type(s), "priority", 0, "currSize", (json_int_t)s->used_bytes,
                     "maxSize", (json_int_t)s->capacity_bytes);
}

json_t *hg_api_location_json(const struct hg_server *s)
{
    return json_pack("{s:s,s:s,s:n,s:I,s:s,s:s,s:i}", "name", s->http_address, "host", s->http_address, "hostAndTlsPort", "maxSize", (json_int_t)s->capacity_bytes, "type",
                     hg_api_server_type(s), "tier", hg_api_tier_of(s), "priority", 0);
}

static int by_id(const void *a, const void *b) { return hg_segid_cmp(&((const struct hg_target *)a)->id, &((const struct hg_target *)b)->id); }

enum hg_rc hg_api_published(struct hg_api_ask *k, const char *ds, struct hg_target **out, size_t *n, struct hg_err *err)
{
    HG_TRY(hg_snapshot_segments(k->snap, k->a, ds, out, n, err));
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if ((*out)[i].published) (*out)[kept++] = (*out)[i];
    *n = kept;
    if (kept) qsort(*out, kept, sizeof **out, by_id);
    return HG_OK;
}

bool hg_api_served_by_historical(const struct hg_target *t)
{
    for (uint32_t i = 0; i < t->n_holders; i++)
        if (hg_api_is_historical(t->holders[i].server)) return true;
    return false;
}

static int newest_first(const void *a, const void *b)
{
    const struct hg_target *x = a, *y = b;
    int d = (y->id.interval.start > x->id.interval.start) - (y->id.interval.start < x->id.interval.start);
    if (!d) d = (y->id.interval.end > x->id.interval.end) - (y->id.interval.end < x->id.interval.end);
    return d ? d : hg_segid_cmp(&x->id, &y->id);
}
void hg_api_newest_first(struct hg_target *t, size_t n)
{
    if (n) qsort(t, n, sizeof *t, newest_first);
}

static void add(json_t *o, const char *key, int64_t v) { json_object_set_new(o, key, json_integer(json_integer_value(json_object_get(o, key)) + v)); }

json_t *hg_api_member(json_t *o, const char *key)
{
    json_t *m = json_object_get(o, key);
    if (!m && (m = json_object())) json_object_set_new(o, key, m);
    return m;
}

void hg_api_count(json_t *o, const struct hg_target *t)
{
    add(o, "size", t->size_bytes);
    add(o, "count", 1);
}

void hg_api_count_interval(json_t *by_interval, const struct hg_target *t)
{
    char iv[2 * HG_TIME_TEXT];
    hg_interval_format(t->id.interval, iv);
    hg_api_count(hg_api_member(by_interval, iv), t);
}
