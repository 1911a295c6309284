/* A request as handlers see it: copied out of evhttp's, so that it can be read from any thread and outlive the connection. */
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "http/http_private.h"

struct hg_http_req *hg_http_req_ref(struct hg_http_req *rq)
{
    atomic_fetch_add_explicit(&rq->refs, 1, memory_order_relaxed);
    return rq;
}

void hg_http_req_unref(struct hg_http_req *rq)
{
    if (atomic_fetch_sub_explicit(&rq->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < rq->n_set; i++) {
        free(rq->set[i].name);
        free(rq->set[i].value);
    }
    if (rq->out) evbuffer_free(rq->out);
    hg_http_stream_free(rq->stream);
    if (rq->body_bytes) evbuffer_free(rq->body_bytes);
    hg_gate_unref(rq->gate);
    pthread_mutex_destroy(&rq->lock);
    pthread_cond_destroy(&rq->idle);
    free(rq);
}

size_t hg_http_unescape(char *z, size_t n, bool plus)
{
    size_t w = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned v;
        char hex[3] = {0};
        if (z[i] == '%' && i + 2 < n && memchr("0123456789abcdefABCDEF", z[i + 1], 22) && memchr("0123456789abcdefABCDEF", z[i + 2], 22)) {
            hex[0] = z[i + 1];
            hex[1] = z[i + 2];
            sscanf(hex, "%x", &v);
            z[w++] = (char)v;
            i += 2;
        } else z[w++] = plus && z[i] == '+' ? ' ' : z[i];
    }
    return w;
}

/* Text copied behind the struct, cut up in place. */
struct text { char *at; };
static char *copy(struct text *t, const char *z, size_t n)
{
    char *p = t->at;
    memcpy(p, z, n);
    p[n] = 0;
    t->at += n + 1;
    return p;
}

static size_t count(const char *z, char c)
{
    size_t n = 0;
    for (; *z; z++) n += *z == c;
    return n;
}

const struct hg_http_method_name hg_http_methods[HG_HTTP_METHODS] = {
    {EVHTTP_REQ_GET, HG_GET, "GET"}, {EVHTTP_REQ_HEAD, HG_HEAD, "HEAD"}, {EVHTTP_REQ_POST, HG_POST, "POST"}, {EVHTTP_REQ_PUT, HG_PUT, "PUT"},
    {EVHTTP_REQ_DELETE, HG_DELETE, "DELETE"}, {EVHTTP_REQ_OPTIONS, HG_OPTIONS, "OPTIONS"},
};

/* Everything of ev that a handler can ask for is copied, in one allocation. */
struct hg_http_req *hg_http_req_new(struct hg_http *h, struct hg_loop *loop, struct hg_gate *gate, const struct hg_routes *routes, struct evhttp_request *ev, bool *bad)
{
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(ev);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL, *query = uri ? evhttp_uri_get_query(uri) : NULL;
    if (!path || !*path) path = "/";
    if (!query) query = "";
    struct evkeyvalq *in = evhttp_request_get_input_headers(ev);
    struct evkeyval *kv;
    size_t path_len = strlen(path), query_len = strlen(query), n_headers = 0, n_query = count(query, '&') + 1, n_segs = count(path, '/') + 1;
    /* the path twice (whole, and cut into segments), query, headers */
    size_t bytes = 2 * (path_len + 1) + query_len + 1 + n_query;
    TAILQ_FOREACH (kv, in, next) {
        n_headers++;
        bytes += strlen(kv->key) + strlen(kv->value) + 2;
    }
    size_t kvs = (n_query + n_headers) * sizeof(struct hg_kv), ptrs = 2 * n_segs * sizeof(char *);
    struct hg_http_req *rq = malloc(sizeof *rq + kvs + ptrs + bytes);
    if (!rq) return NULL;
    *rq = (struct hg_http_req){.h = h, .ev = ev, .loop = loop, .start_ns = hg_clock_mono_ns(), .n_headers = n_headers};
    atomic_init(&rq->refs, 1);
    pthread_mutex_init(&rq->lock, NULL);
    pthread_cond_init(&rq->idle, NULL);
    rq->gate = hg_gate_ref(gate);
    struct hg_kv *kvp = (struct hg_kv *)(rq + 1);
    char **segs = (char **)(kvp + n_query + n_headers);
    const char **tails = (const char **)(segs + n_segs);
    struct text t = {(char *)(tails + n_segs)};

    rq->headers = kvp;
    TAILQ_FOREACH (kv, in, next) {
        kvp->k = copy(&t, kv->key, strlen(kv->key));
        kvp->v = copy(&t, kv->value, strlen(kv->value));
        kvp++;
    }
    rq->query = kvp;
    for (const char *p = query; *p; p += *p == '&') {
        size_t n = strcspn(p, "&"), k = strcspn(p, "&=");
        if (n) {
            char *key = copy(&t, p, k), *value = copy(&t, p + k + (k < n), n - k - (k < n));
            key[hg_http_unescape(key, k, true)] = 0;
            value[hg_http_unescape(value, strlen(value), true)] = 0;
            kvp->k = key;
            kvp->v = value;
            kvp++;
            rq->n_query++;
        }
        p += n;
    }
    /* Segments are cut before they are decoded: %2F is part of one. */
    char *whole = copy(&t, path, path_len), *cut = copy(&t, path, path_len);
    size_t len = hg_http_unescape(whole, path_len, false);
    whole[len] = 0;
    *bad = path[0] != '/' || memchr(whole, 0, len);
    rq->path = whole;
    unsigned n = 0;
    const char *tail = whole + 1; /* the decoded path from segment n on */
    for (char *p = cut + 1; !*bad;) {
        char *end = strchrnul(p, '/');
        bool last = !*end;
        if (last && end == p) break; /* a slash at the end, or "/" */
        *end = 0;
        size_t dec = hg_http_unescape(p, (size_t)(end - p), false);
        p[dec] = 0;
        tails[n] = tail;
        segs[n++] = p;
        tail += dec + !last;
        if (last) break;
        p = end + 1;
    }
    tails[n] = "";
    for (size_t i = 0; i < HG_HTTP_METHODS; i++)
        if (hg_http_methods[i].ev == (int)evhttp_request_get_command(ev)) rq->method = hg_http_methods[i].m;
    hg_routes_find(routes, rq->method, segs, n, tails, &rq->match);

    struct evbuffer *body = evhttp_request_get_input_buffer(ev);
    size_t body_len = evbuffer_get_length(body);
    if (body_len) {
        rq->body_bytes = evbuffer_new();
        uint8_t *p = rq->body_bytes && !evbuffer_add_buffer(rq->body_bytes, body) ? evbuffer_pullup(rq->body_bytes, -1) : NULL;
        if (!p) {
            hg_http_req_unref(rq);
            return NULL;
        }
        rq->body = (struct hg_span){p, body_len};
    }
    return rq;
}

/* ---- what handlers ask ---- */

enum hg_http_method hg_http_method(const struct hg_http_req *rq) { return rq->method; }
const char *hg_http_path(const struct hg_http_req *rq) { return rq->path; }
struct hg_str hg_http_body(const struct hg_http_req *rq) { return (struct hg_str){rq->body.p ? (const char *)rq->body.p : "", rq->body.len}; }

const char *hg_http_param(const struct hg_http_req *rq, const char *name)
{
    for (unsigned i = 0; i < rq->match.n_params; i++)
        if (strcmp(rq->match.params[i].k, name) == 0) return rq->match.params[i].v;
    return NULL;
}
const char *hg_http_query_at(const struct hg_http_req *rq, const char *name, size_t at)
{
    for (size_t i = 0; i < rq->n_query; i++)
        if (strcmp(rq->query[i].k, name) == 0 && at-- == 0) return rq->query[i].v;
    return NULL;
}
const char *hg_http_query(const struct hg_http_req *rq, const char *name) { return hg_http_query_at(rq, name, 0); }
const char *hg_http_user(const struct hg_http_req *rq) { return rq->user[0] ? rq->user : NULL; }

const char *hg_http_header(const struct hg_http_req *rq, const char *name)
{
    for (size_t i = 0; i < rq->n_headers; i++)
        if (strcasecmp(rq->headers[i].k, name) == 0) return rq->headers[i].v;
    return NULL;
}
