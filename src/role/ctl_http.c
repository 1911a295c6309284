/* Asking servers. One URL is enough for a cluster: where a server does not know a path, it is of another kind, and the coordinator among them knows who is what. */
#include <inttypes.h>
#include <stdlib.h>

#include "http/client.h"
#include "role/ctl_private.h"

#define MAX_ANSWER ((size_t)1 << 30)

static const struct {
    const char *name, *a_name, *key, *flag, *env;
} kinds[HG_CTL_N_KINDS] = {
    [HG_CTL_BROKER] = {"broker", "a broker", "ctl.broker", "--broker", "HENGE_CTL_BROKER"},
    [HG_CTL_COORDINATOR] = {"coordinator", "a coordinator", "ctl.coordinator", "--coordinator", "HENGE_CTL_COORDINATOR"},
    [HG_CTL_INGEST] = {"ingest server", "an ingest server", "ctl.ingest", "--ingest", "HENGE_CTL_INGEST"},
};

const char *hg_ctl_kind_name(enum hg_ctl_kind k) { return kinds[k].name; }

/* "http://" in front where there is no scheme, no slash at the end. */
static const char *clean_url(struct hg_ctl *c, const char *url)
{
    char *text = hg_arena_printf(c->a, "%s%s", strstr(url, "://") ? "" : "http://", url);
    for (size_t n = text ? strlen(text) : 0; n && text[n - 1] == '/'; n--) text[n - 1] = 0;
    return text;
}

static bool has_own_url(struct hg_ctl *c, enum hg_ctl_kind kind) { return *hg_cfg_str(c->cfg, kinds[kind].key) != 0; }

enum hg_rc hg_ctl_base(struct hg_ctl *c, enum hg_ctl_kind kind, const char **out, struct hg_err *err)
{
    const char *own = hg_cfg_str(c->cfg, kinds[kind].key), *all = hg_cfg_str(c->cfg, "ctl.url");
    if (c->found[kind]) return *out = c->found[kind], HG_OK;
    const char *url = clean_url(c, *own ? own : all);
    if (!url) return hg_arena_fail(c->a, "url", err);
    if (strncmp(url, "http://", 7) != 0) return hg_ctl_wrong(err, "%s \"%s\": want http://HOST:PORT", *own ? kinds[kind].flag : "--url", url);
    *out = url;
    return HG_OK;
}

const char *hg_ctl_escape(struct hg_ctl *c, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *out = hg_arena_alloc(c->a, 3 * strlen(text) + 1), *p = out;
    if (!out) return "";
    for (; *text; text++) {
        if (strchr(plain, *text)) *p++ = *text;
        else p += snprintf(p, 4, "%%%02X", (unsigned)(unsigned char)*text);
    }
    *p = 0;
    return out;
}

/* ---- one request ---- */

static const char *how_to_name(struct hg_ctl *c, enum hg_ctl_kind kind, const char *base)
{
    const char *text = hg_arena_printf(c->a, "Is it running, and is %s its address? %s URL (%s) or --url URL (HENGE_CTL_URL) names another.", base, kinds[kind].flag, kinds[kind].env);
    return text ? text : "";
}

static enum hg_rc unreached(struct hg_ctl *c, enum hg_ctl_kind kind, const char *base, enum hg_rc rc, struct hg_err *err)
{
    char why[HG_ERR_MSG];
    snprintf(why, sizeof why, "%s", err->msg);
    if (rc == HG_E_TIMEOUT)
        return hg_fail(err, rc, "the %s gave no answer within %g s: %s\n--timeout TIME (HENGE_CTL_TIMEOUT) waits longer.", kinds[kind].name, (double)c->timeout_ms / 1000, why);
    if (rc == HG_E_CORRUPT) return hg_fail(err, rc, "the %s was not understood: %s\nIs it another program, or a port between servers? Henge's HTTP port is the setting http.port.",
                                           kinds[kind].name, why);
    if (rc == HG_E_UNAVAILABLE || rc == HG_E_IO) return hg_fail(err, rc, "the %s was not reached: %s\n%s", kinds[kind].name, why, how_to_name(c, kind, base));
    return rc;
}

/* The value of a header in "Name: value\n" lines. */
static const char *header(struct hg_ctl *c, const struct hg_buf *head, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = (const char *)head->p, *end = p + head->len, *nl; p && p < end && (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1)
        if ((size_t)(nl - p) > n + 1 && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            for (p += n + 1; *p == ' ';) p++;
            return hg_arena_strndup(c->a, p, (size_t)(nl - p));
        }
    return NULL;
}

static void free_bytes(void *p) { free(p); }

/* What a user says may hold anything; a header is one line. */
static const char *header_line(struct hg_ctl *c, const char *name, const char *value)
{
    char *line = hg_arena_printf(c->a, "%s: %s", name, value);
    for (char *p = line; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
    return line;
}

static enum hg_rc make_headers(struct hg_ctl *c, const char *headers[7], struct hg_err *err)
{
    const char *token = hg_cfg_str(c->cfg, "token"), *user = getenv("USER");
    size_t n = 0;
    headers[n++] = "Content-Type: application/json";
    headers[n++] = "Accept: application/json";
    headers[n++] = header_line(c, "X-Druid-Author", user && *user ? user : "henge ctl");
    headers[n++] = c->opt[HG_CTL_COMMENT] ? header_line(c, "X-Druid-Comment", c->opt[HG_CTL_COMMENT]) : "X-Henge-Client: ctl";
    headers[n++] = *token ? hg_arena_printf(c->a, "Authorization: Bearer %s", token) : "X-Henge-Client: ctl";
    headers[n] = NULL;
    for (size_t i = 0; i < n; i++)
        if (!headers[i]) return hg_arena_fail(c->a, "request", err);
    return strpbrk(token, "\r\n") ? hg_ctl_wrong(err, "the token (--token, HENGE_TOKEN) has a line break in it") : HG_OK;
}

enum hg_rc hg_ctl_ask_at(struct hg_ctl *c, enum hg_ctl_kind kind, const char *base, const char *method, const char *path, struct hg_span body, struct hg_ctl_answer *out, struct hg_err *err)
{
    const char *headers[7];
    HG_TRY(make_headers(c, headers, err));
    struct hg_buf head, answer;
    hg_buf_init(&head, 1 << 20);
    hg_buf_init(&answer, MAX_ANSWER);
    *out = (struct hg_ctl_answer){.base = base, .kind = kind, .url = hg_arena_printf(c->a, "%s%s", base, path)};
    if (!out->url) return hg_arena_fail(c->a, "url", err);
    enum hg_rc rc = hg_http_fetch_head(method, out->url, headers, body, c->timeout_ms, &out->status, &head, &answer, err);
    if (!rc) out->context = header(c, &head, "X-Druid-Response-Context");
    hg_buf_free(&head);
    if (rc) {
        hg_buf_free(&answer);
        return unreached(c, kind, base, rc, err);
    }
    out->body = (struct hg_str){(const char *)answer.p, answer.len};
    rc = hg_arena_on_free(c->a, free_bytes, answer.p, err);
    if (rc) hg_buf_free(&answer);
    return rc;
}

/* ---- which server ---- */

/* Druid's servers answer a path that they do not have with 404 and nothing. */
static bool unknown_path(const struct hg_ctl_answer *a) { return a->status == 404 && a->body.len == 0; }

static json_t *hosts_of(json_t *cluster, enum hg_ctl_kind kind)
{
    static const char *const role[HG_CTL_N_KINDS] = {"broker", "coordinator", "ingest"};
    return json_object_get(cluster, role[kind]);
}

static const char *url_of(struct hg_ctl *c, json_t *host)
{
    const char *name = json_string_value(json_object_get(host, "host"));
    json_int_t port = json_integer_value(json_object_get(host, "plaintextPort"));
    if (!name || port <= 0) return NULL;
    return strchr(name, ':') && *name != '[' ? hg_arena_printf(c->a, "http://[%s]:%" PRId64, name, (int64_t)port) : hg_arena_printf(c->a, "http://%s:%" PRId64, name, (int64_t)port);
}

/* The coordinator's list of servers by role, or NULL: it is no coordinator, or does not answer. */
static json_t *cluster_of(struct hg_ctl *c, const char *base)
{
    struct hg_ctl_answer a;
    struct hg_err err;
    json_t *j = NULL;
    if (hg_ctl_ask_at(c, HG_CTL_COORDINATOR, base, "GET", "/druid/coordinator/v1/cluster", (struct hg_span){0}, &a, &err) || a.status != 200 || hg_ctl_parse(c, &a, &j, &err)) return NULL;
    return json_is_object(j) ? j : NULL;
}

enum hg_rc hg_ctl_ask(struct hg_ctl *c, enum hg_ctl_kind kind, const char *method, const char *path, struct hg_span body, struct hg_ctl_answer *out, struct hg_err *err)
{
    const char *base;
    HG_TRY(hg_ctl_base(c, kind, &base, err));
    HG_TRY(hg_ctl_ask_at(c, kind, base, method, path, body, out, err));
    if (!unknown_path(out)) return HG_OK;
    if (!has_own_url(c, kind) && !c->found[kind]) {
        json_t *cluster = cluster_of(c, base);
        const char *there = url_of(c, json_array_get(hosts_of(cluster, kind), 0));
        if (there) {
            c->found[kind] = there;
            return hg_ctl_ask_at(c, kind, there, method, path, body, out, err);
        }
        if (cluster) return hg_fail(err, HG_E_UNAVAILABLE, "the coordinator at %s knows no %s that is up", base, kinds[kind].name);
    }
    return hg_fail(err, HG_E_NOTFOUND, "%s is not %s: it has no %s\n%s URL (%s) names one; --url URL may also name a coordinator, which knows the others.", base, kinds[kind].a_name, path,
                   kinds[kind].flag, kinds[kind].env);
}

enum hg_rc hg_ctl_ingests(struct hg_ctl *c, const char ***out, size_t *n, struct hg_err *err)
{
    const char *base, *coordinator;
    HG_TRY(hg_ctl_base(c, HG_CTL_INGEST, &base, err));
    HG_TRY(hg_ctl_base(c, HG_CTL_COORDINATOR, &coordinator, err));
    json_t *hosts = hosts_of(cluster_of(c, coordinator), HG_CTL_INGEST);
    const char **v = hg_arena_array(c->a, json_array_size(hosts) + 1, sizeof *v);
    if (!v) return hg_arena_fail(c->a, "servers", err);
    v[0] = base;
    *n = 1;
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const char *url = url_of(c, json_array_get(hosts, i));
        if (url && strcmp(url, base) != 0) v[(*n)++] = url;
    }
    *out = v;
    return HG_OK;
}

enum hg_rc hg_ctl_ask_ingest(struct hg_ctl *c, const char *method, const char *path, struct hg_span body, bool (*pick)(struct hg_ctl *c, const struct hg_ctl_answer *a),
                             struct hg_ctl_answer *out,
                          struct hg_err *err)
{
    HG_TRY(hg_ctl_ask(c, HG_CTL_INGEST, method, path, body, out, err));
    if (out->status != 404 && (!pick || pick(c, out))) return HG_OK;
    const char **urls;
    size_t n;
    HG_TRY(hg_ctl_ingests(c, &urls, &n, err));
    for (size_t i = 1; i < n; i++) {
        struct hg_ctl_answer a;
        struct hg_err away; /* others may know; the first answer stands */
        if (hg_ctl_ask_at(c, HG_CTL_INGEST, urls[i], method, path, body, &a, &away) || a.status == 404 || (pick && !pick(c, &a))) continue;
        *out = a;
        return HG_OK;
    }
    return HG_OK;
}

/* ---- answers ---- */

enum hg_rc hg_ctl_parse(struct hg_ctl *c, const struct hg_ctl_answer *a, json_t **out, struct hg_err *err)
{
    struct hg_err bad;
    json_t *j;
    *out = NULL;
    if (!a->body.len) return HG_OK;
    if (hg_json_parse(a->body, &j, &bad)) return hg_fail(err, HG_E_CORRUPT, "%s answered with what is no JSON: %s\nIs it another program?", a->url, bad.msg);
    *out = hg_ctl_keep(c, j);
    return *out ? HG_OK : hg_fail(err, HG_E_NOMEM, "answer of %s", a->url);
}

/* What a server says in an error: Druid's errorMessage or error, or plain text. */
static const char *said(struct hg_ctl *c, const struct hg_ctl_answer *a)
{
    struct hg_err none;
    json_t *j = NULL;
    const char *text = NULL;
    if (!a->body.len) return "";
    if (hg_json_parse(a->body, &j, &none) == HG_OK && (j = hg_ctl_keep(c, j))) {
        text = json_string_value(json_object_get(j, "errorMessage"));
        if (!text) text = json_string_value(json_object_get(j, "error"));
    }
    if (!text && !j && a->body.p[0] != '<') text = hg_arena_strndup(c->a, a->body.p, a->body.len < 500 ? a->body.len : 500);
    return text ? text : "";
}

enum hg_rc hg_ctl_success(struct hg_ctl *c, const struct hg_ctl_answer *a, struct hg_err *err)
{
    if (a->status >= 200 && a->status < 300) return HG_OK;
    const char *text = said(c, a), *colon = *text ? ": " : "";
    switch (a->status) {
    case 400: return hg_fail(err, HG_E_CONFLICT, "the %s refused this%s%s", kinds[a->kind].name, colon, text);
    case 401: return hg_fail(err, HG_E_UNAVAILABLE, "the %s at %s does not know who you are (status 401)%s%s\nName a token of yours with HENGE_TOKEN or --token; who runs the servers makes "
                             "one with henge ctl token.", kinds[a->kind].name, a->base, colon, text);
    case 403: return hg_fail(err, HG_E_UNAVAILABLE, "the %s does not let you do this (status 403)%s%s\nAsk who runs %s for the right to %s.", kinds[a->kind].name, colon, text, a->base,
                             c->cmd->name);
    case 404: return *text ? hg_fail(err, HG_E_NOTFOUND, "%s", text) : hg_fail(err, HG_E_NOTFOUND, "the %s at %s has no such thing", kinds[a->kind].name, a->base);
    case 409: return hg_fail(err, HG_E_CONFLICT, "the %s refused this as things are now%s%s", kinds[a->kind].name, colon, text);
    case 429:
    case 503: return hg_fail(err, HG_E_UNAVAILABLE, "the %s cannot answer now (status %d)%s%s\nTry again; henge ctl status tells how the servers are.", kinds[a->kind].name, a->status,
                             colon, text);
    case 504: return hg_fail(err, HG_E_TIMEOUT, "the %s gave up (status 504)%s%s", kinds[a->kind].name, colon, text);
    default: return hg_fail(err, HG_E_IO, "the %s at %s failed (status %d)%s%s", kinds[a->kind].name, a->base, a->status, colon, text);
    }
}

enum hg_rc hg_ctl_get(struct hg_ctl *c, enum hg_ctl_kind kind, const char *path, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_ask(c, kind, "GET", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

enum hg_rc hg_ctl_no_such(struct hg_ctl *c, const char *what, const char *name, enum hg_rc (*names)(struct hg_ctl *c, json_t **out, struct hg_err *err), struct hg_err *err)
{
    enum { MOST = 10 };
    json_t *list = NULL;
    char known[HG_ERR_MSG / 2] = "";
    size_t at = 0, i;
    if (names(c, &list, err) || json_array_size(list) == 0) return hg_fail(err, HG_E_NOTFOUND, "there is no %s \"%s\"%s", what, name, list ? "; there is none at all" : "");
    json_t *v;
    json_array_foreach(list, i, v)
    {
        int n = i < MOST && at < sizeof known - 1 ? snprintf(known + at, sizeof known - at, "%s%s", i ? ", " : "", json_string_value(v)) : 0;
        at += n > 0 ? (size_t)n : 0;
    }
    if (json_array_size(list) > MOST && at < sizeof known) snprintf(known + at, sizeof known - at, " and %zu more", json_array_size(list) - MOST);
    return hg_fail(err, HG_E_NOTFOUND, "there is no %s \"%s\"; there %s %s", what, name, json_array_size(list) > 1 ? "are" : "is", known);
}
