/* A request as handlers see it: copied out of the connection's, so that it can be read from any thread and outlive the connection. */
#include <stdlib.h>

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
    for (size_t i = 0; i < rq->n_set; i++) free((void *)(uintptr_t)rq->set[i].k);
    hg_buf_free(&rq->out);
    hg_http_stream_free(rq->stream);
    hg_buf_free(&rq->body);
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

static size_t count(struct hg_str s, char c)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += s.p[i] == c;
    return n;
}

static const char *memchr_or(const char *p, char c, const char *end)
{
    const char *at = memchr(p, c, (size_t)(end - p));
    return at ? at : end;
}

const struct hg_http_method_name hg_http_methods[HG_HTTP_METHODS] = {
    {HTTP_GET, HG_GET, "GET"}, {HTTP_HEAD, HG_HEAD, "HEAD"}, {HTTP_POST, HG_POST, "POST"}, {HTTP_PUT, HG_PUT, "PUT"},
    {HTTP_DELETE, HG_DELETE, "DELETE"}, {HTTP_OPTIONS, HG_OPTIONS, "OPTIONS"},
};

/* Path and query of a request's URL, undecoded. The URL is a path, as clients send it, or whole, as they send it to a proxy. */
static void cut_url(const char *url, struct hg_str *path, struct hg_str *query)
{
    struct http_parser_url u;
    size_t n = strcspn(url, "#");
    *query = HG_STR("");
    *path = (struct hg_str){url, strcspn(url, "?#")};
    if (url[0] == '/') {
        if (path->len < n) *query = (struct hg_str){url + path->len + 1, n - path->len - 1};
        return;
    }
    http_parser_url_init(&u);
    if (strlen(url) > UINT16_MAX || http_parser_parse_url(url, n, 0, &u)) return; /* then its path does not begin with a slash */
    *path = u.field_set & 1 << UF_PATH ? (struct hg_str){url + u.field_data[UF_PATH].off, u.field_data[UF_PATH].len} : HG_STR("/");
    if (u.field_set & 1 << UF_QUERY) *query = (struct hg_str){url + u.field_data[UF_QUERY].off, u.field_data[UF_QUERY].len};
}

/* Everything that a handler can ask for is copied, in one allocation, but for the body, which is taken. */
struct hg_http_req *hg_http_req_new(struct hg_http *h, struct hg_http_conn *c, bool *bad)
{
    const struct hg_http_in *in = &c->in;
    struct hg_str path, query;
    cut_url((const char *)in->text.p, &path, &query);
    const char *fields = (const char *)in->text.p + strlen((const char *)in->text.p) + 1;
    size_t field_bytes = in->text.len - (size_t)(fields - (const char *)in->text.p), n_query = count(query, '&') + 1, n_segs = count(path, '/') + 1;
    /* the path twice (whole, and cut into segments), query, headers */
    size_t bytes = 2 * (path.len + 1) + query.len + 1 + n_query + field_bytes;
    size_t kvs = (n_query + in->n_headers) * sizeof(struct hg_kv), ptrs = 2 * n_segs * sizeof(char *);
    struct hg_http_req *rq = malloc(sizeof *rq + kvs + ptrs + bytes);
    if (!rq) return NULL;
    *rq = (struct hg_http_req){.h = h, .conn = c, .loop = hg_http_loop(h), .start_ns = hg_clock_mono_ns(), .n_headers = in->n_headers, .body = in->body};
    hg_buf_init(&c->in.body, in->body.max);
    atomic_init(&rq->refs, 1);
    pthread_mutex_init(&rq->lock, NULL);
    pthread_cond_init(&rq->idle, NULL);
    rq->gate = hg_gate_ref(hg_http_gate(h));
    struct hg_kv *kvp = (struct hg_kv *)(rq + 1);
    char **segs = (char **)(kvp + n_query + in->n_headers);
    const char **tails = (const char **)(segs + n_segs);
    struct text t = {(char *)(tails + n_segs)};

    rq->headers = kvp;
    memcpy(t.at, fields, field_bytes);
    for (size_t i = 0; i < in->n_headers; i++, kvp++) {
        kvp->k = t.at;
        kvp->v = t.at += strlen(t.at) + 1;
        t.at += strlen(t.at) + 1;
    }
    rq->query = kvp;
    for (const char *p = query.p, *end = p + query.len; p < end; p += p < end) {
        size_t n = (size_t)(memchr_or(p, '&', end) - p), k = (size_t)(memchr_or(p, '=', p + n) - p);
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
    char *whole = copy(&t, path.p, path.len), *cut = copy(&t, path.p, path.len);
    size_t len = hg_http_unescape(whole, path.len, false);
    whole[len] = 0;
    *bad = path.len == 0 || path.p[0] != '/' || memchr(whole, 0, len);
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
        if (hg_http_methods[i].parsed == (enum http_method)in->parser.method) rq->method = hg_http_methods[i].m;
    hg_routes_find(hg_http_routes(h), rq->method, segs, n, tails, &rq->match);
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
