#include "cluster/lookups_http.h"

#include "lookup/lookup.h"

#define MAX_ANSWER ((size_t)1 << 30)

static void put_entries(const struct hg_lookup *l, struct hg_buf *out)
{
    struct hg_str k, v;
    hg_buf_putc(out, '{');
    for (uint64_t i = 0; i < hg_lookup_count(l); i++) {
        hg_lookup_at(l, i, &k, &v);
        if (i) hg_buf_putc(out, ',');
        hg_buf_json_str(out, k);
        hg_buf_putc(out, ':');
        hg_buf_json_str(out, v);
    }
    hg_buf_putc(out, '}');
}

static void put_container(const struct hg_lookup *l, struct hg_buf *out)
{
    hg_buf_puts(out, "{\"version\":");
    hg_buf_json_str(out, hg_str_of(hg_lookup_version(l)));
    hg_buf_puts(out, ",\"lookupExtractorFactory\":{\"type\":\"map\",\"map\":");
    put_entries(l, out);
    hg_buf_puts(out, ",\"isOneToOne\":false}}");
}

static void answer(struct hg_http_req *rq, struct hg_buf *b)
{
    struct hg_err err;
    if (hg_buf_check(b, "lookups", &err) != HG_OK) hg_http_reply_ops_error(rq, &err);
    else hg_http_reply(rq, 200, "application/json", b);
    hg_buf_free(b);
}

static void all(void *arg, struct hg_http_req *rq)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_lookup **v;
    struct hg_buf b;
    struct hg_err err;
    size_t n = 0;
    (void)arg;
    if (!a || hg_lookup_all(a, &v, &n, &err) != HG_OK) {
        if (!a) (void)hg_fail(&err, HG_E_NOMEM, "lookups");
        hg_arena_free(a);
        hg_http_reply_ops_error(rq, &err);
        return;
    }
    hg_buf_init(&b, MAX_ANSWER);
    hg_buf_puts(&b, "{\"current\":{");
    for (size_t i = 0; i < n; i++) {
        if (i) hg_buf_putc(&b, ',');
        hg_buf_json_str(&b, hg_str_of(hg_lookup_name(v[i])));
        hg_buf_putc(&b, ':');
        put_container(v[i], &b);
        hg_lookup_drop(v[i]);
    }
    hg_buf_puts(&b, "},\"toLoad\":{},\"toDrop\":[]}");
    hg_arena_free(a);
    answer(rq, &b);
}

typedef void put_fn(const struct hg_lookup *l, struct hg_buf *out);

static void one(struct hg_http_req *rq, put_fn *put)
{
    struct hg_lookup *l = hg_lookup_find(hg_http_param(rq, "id"));
    struct hg_buf b;
    if (!l) {
        hg_http_reply(rq, 404, "application/json", NULL);
        return;
    }
    hg_buf_init(&b, MAX_ANSWER);
    put(l, &b);
    hg_lookup_drop(l);
    answer(rq, &b);
}

static void put_side(const struct hg_lookup *l, bool keys, struct hg_buf *out)
{
    struct hg_str k, v;
    hg_buf_putc(out, '[');
    for (uint64_t i = 0; i < hg_lookup_count(l); i++) {
        hg_lookup_at(l, i, &k, &v);
        if (i) hg_buf_putc(out, ',');
        hg_buf_json_str(out, keys ? k : v);
    }
    hg_buf_putc(out, ']');
}
static void put_keys(const struct hg_lookup *l, struct hg_buf *out) { put_side(l, true, out); }
static void put_values(const struct hg_lookup *l, struct hg_buf *out) { put_side(l, false, out); }
static void put_version(const struct hg_lookup *l, struct hg_buf *out)
{
    hg_buf_puts(out, "{\"version\":");
    hg_buf_json_str(out, hg_str_of(hg_lookup_version(l)));
    hg_buf_putc(out, '}');
}

static void container(void *arg, struct hg_http_req *rq) { (void)arg, one(rq, put_container); }
static void entries(void *arg, struct hg_http_req *rq) { (void)arg, one(rq, put_entries); }
static void keys(void *arg, struct hg_http_req *rq) { (void)arg, one(rq, put_keys); }
static void values(void *arg, struct hg_http_req *rq) { (void)arg, one(rq, put_values); }
static void version(void *arg, struct hg_http_req *rq) { (void)arg, one(rq, put_version); }

void hg_lookups_routes(struct hg_http *http)
{
    hg_http_route(http, HG_GET, "/druid/listen/v1/lookups", all, NULL);
    hg_http_route(http, HG_GET, "/druid/listen/v1/lookups/:id", container, NULL);
    hg_http_route(http, HG_GET, "/druid/v1/lookups/introspect/:id", entries, NULL);
    hg_http_route(http, HG_GET, "/druid/v1/lookups/introspect/:id/keys", keys, NULL);
    hg_http_route(http, HG_GET, "/druid/v1/lookups/introspect/:id/values", values, NULL);
    hg_http_route(http, HG_GET, "/druid/v1/lookups/introspect/:id/version", version, NULL);
}
