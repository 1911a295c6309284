/* Shared by the files of src/http. */
#ifndef HG_HTTP_HTTP_PRIVATE_H
#define HG_HTTP_HTTP_PRIVATE_H

#include <pthread.h>
#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/gate.h"
#include "http/http.h"

struct evhttp_request;
struct evbuffer;

#define HG_HTTP_PARAMS 8

/* ---- routes (route.c) ---- */

struct hg_route {
    unsigned methods;
    char *pattern;
    char **segs; /* of the pattern; ":name", "*" */
    unsigned n_segs;
    bool rest;   /* ends in "*" */
    hg_http_fn *fn;
    void *arg;
};
struct hg_routes {
    struct hg_route **at; /* the more literal first */
    size_t n, cap;
};
HG_MUST_USE bool hg_routes_add(struct hg_routes *rs, unsigned methods, const char *pattern, hg_http_fn *fn, void *arg); /* false: no memory */
void hg_routes_free(struct hg_routes *rs);

struct hg_kv { const char *k, *v; };
struct hg_match {
    const struct hg_route *route;
    struct hg_kv params[HG_HTTP_PARAMS];
    unsigned n_params;
    unsigned allowed; /* methods of the routes that match but for the method */
};
/* segs: the path's segments, decoded; rest: text[i] is the decoded path from segment i on. */
void hg_routes_find(const struct hg_routes *rs, enum hg_http_method m, char *const *segs, unsigned n_segs, const char *const *rest, struct hg_match *out);

/* ---- texts (uri.c) ---- */
size_t hg_http_unescape(char *z, size_t n, bool plus); /* in place; %xx; a bad escape stays as it is; returns the length. The text may then hold NUL. */

/* ---- bodies (body.c) ---- */
HG_MUST_USE bool hg_http_gzip(struct hg_span in, struct hg_buf *out);
bool hg_http_accepts_gzip(const char *accept_encoding);

#endif
