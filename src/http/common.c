/* What every role answers: probes, metrics, and the paths that Druid's clients ask first. */
#include <sys/resource.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/metrics.h"
#include "http/http_private.h"

struct common {
    char *service, *version;
    bool (*ready)(void *arg, char *why, size_t cap);
    void *arg;
    json_t *properties;
};

static void no_cache(struct hg_http_req *rq) { hg_http_set_header(rq, "Cache-Control", "no-cache, no-store, max-age=0"); }

static bool is_ready(struct common *c, char *why, size_t cap)
{
    why[0] = 0;
    return !c->ready || c->ready(c->arg, why, cap);
}

/* Druid's clients read these as integers. Resident and virtual memory stand for the JVM's heap. */
static json_t *memory(void)
{
    long long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%lld %lld", &pages, &resident) != 2) resident = 0;
        fclose(f);
    }
    long long page = sysconf(_SC_PAGESIZE), all = (long long)sysconf(_SC_PHYS_PAGES) * page, used = resident * page;
    return json_pack("{s:I,s:I,s:I,s:I,s:I}", "maxMemory", (json_int_t)all, "totalMemory", (json_int_t)all, "freeMemory", (json_int_t)(all - used), "usedMemory", (json_int_t)used,
                     "directMemory", (json_int_t)0);
}

static void status(void *arg, struct hg_http_req *rq)
{
    struct common *c = arg;
    no_cache(rq);
    hg_http_reply_json(rq, 200, json_pack("{s:s,s:s,s:[{s:s,s:s,s:s}],s:o?}", "version", c->version, "cpu", hg_cpu_name(hg_cpu()), "modules", "name", c->service, "artifact", "henge", "version", HENGE_VERSION, "memory", memory()));
}

static void health(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    no_cache(rq);
    hg_http_reply_text(rq, 200, "application/json", "true");
}

static void ready(void *arg, struct hg_http_req *rq)
{
    char why[512];
    bool yes = is_ready(arg, why, sizeof why);
    no_cache(rq);
    if (yes) hg_http_reply_json(rq, 200, json_pack("{s:b}", "ready", 1));
    else hg_http_reply_json(rq, 503, json_pack("{s:b,s:s}", "ready", 0, "reason", why[0] ? why : "starting"));
}

static void properties(void *arg, struct hg_http_req *rq)
{
    struct common *c = arg;
    no_cache(rq);
    hg_http_reply_json(rq, 200, json_deep_copy(c->properties));
}

static void discovered(void *arg, struct hg_http_req *rq)
{
    char why[512];
    bool yes = is_ready(arg, why, sizeof why);
    no_cache(rq);
    hg_http_reply(rq, yes ? 200 : 503, "application/json", NULL);
}

static void discovered_status(void *arg, struct hg_http_req *rq)
{
    char why[512];
    bool yes = is_ready(arg, why, sizeof why);
    no_cache(rq);
    hg_http_reply_json(rq, 200, json_pack("{s:b}", "selfDiscovered", yes));
}

static void metrics(void *arg, struct hg_http_req *rq)
{
    (void)arg;
    struct hg_buf b;
    hg_buf_init(&b, 64u << 20);
    hg_metrics_render(&b);
    hg_http_reply(rq, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}

static void common_free(void *arg)
{
    struct common *c = arg;
    free(c->service);
    free(c->version);
    json_decref(c->properties);
    free(c);
}

void hg_http_add_common(struct hg_http *h, const struct hg_http_common *o)
{
    struct common *c = calloc(1, sizeof *c);
    if (c) *c = (struct common){strdup(o->service ? o->service : "henge"), strdup(o->version ? o->version : HENGE_VERSION), o->ready, o->arg, json_object()};
    if (!c || !c->service || !c->version || !c->properties) {
        fprintf(stderr, "henge: out of memory at start\n");
        abort();
    }
    for (const char *const *p = o->properties; p && p[0] && p[1]; p += 2) json_object_set_new(c->properties, p[0], json_string(p[1]));
    json_object_set_new(c->properties, "druid.service", json_string(c->service));
    hg_http_on_close(h, common_free, c);
    hg_http_route(h, HG_GET, "/status", status, c);
    hg_http_route(h, HG_GET, "/status/health", health, c);
    hg_http_route(h, HG_GET, "/status/ready", ready, c);
    hg_http_route(h, HG_GET, "/status/properties", properties, c);
    hg_http_route(h, HG_GET, "/status/selfDiscovered", discovered, c);
    hg_http_route(h, HG_GET, "/status/selfDiscovered/status", discovered_status, c);
    hg_http_route(h, HG_GET, "/metrics", metrics, c);
}
