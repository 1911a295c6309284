#include "http/auth.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "http/http_private.h"

#define MAX_FILE ((size_t)1 << 20)
#define MAX_ENTRIES 1000u
#define POLL_MS 2000
#define HASH SHA256_DIGEST_LENGTH
#define PREFIX "hgt_" /* so that a token that was put somewhere by mistake can be found */

struct entry {
    char name[HG_AUTH_NAME];
    enum hg_auth_role role;
    uint8_t hash[HASH];
};
struct hg_auth_list {
    unsigned n;
    struct entry v[];
};

struct hg_auth {
    char *path;
    int64_t poll_ms;
    pthread_t thread;
    pthread_mutex_t mu; /* guards what follows; never held over a reading of the file */
    pthread_cond_t wake;
    bool stop;
    struct hg_auth_list *list;
};

/* ---- the file ---- */

static const char *const roles[] = {[HG_AUTH_READ] = "read", [HG_AUTH_ADMIN] = "admin"};

bool hg_auth_role_parse(const char *text, enum hg_auth_role *out)
{
    for (enum hg_auth_role r = HG_AUTH_READ; r <= HG_AUTH_ADMIN; r++)
        if (strcmp(text, roles[r]) == 0) return *out = r, true;
    return false;
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n < HG_AUTH_NAME && strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_@") == n;
}

static bool unhex(const char *text, uint8_t out[HASH])
{
    static const char digits[] = "0123456789abcdef";
    if (strlen(text) != 2 * (size_t)HASH) return false;
    for (size_t i = 0; i < 2 * (size_t)HASH; i++) {
        const char *d = memchr(digits, text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i], 16);
        if (!d) return false;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | (d - digits) : (d - digits) << 4);
    }
    return true;
}

static void hash_of(const char *token, size_t n, uint8_t out[HASH]) { SHA256((const unsigned char *)token, n, out); }

/* One line without its comment. Messages quote no hash: a token that was put in its place would end up in a log. */
static enum hg_rc read_line(const char *line, unsigned number, struct hg_auth_list *l, struct hg_err *err)
{
    char name[HG_AUTH_NAME + 1], role[16], hash[160], rest[2];
    struct entry *e = &l->v[l->n];
    int n = sscanf(line, " %64s %15s %159s %1s", name, role, hash, rest);
    if (n <= 0) return HG_OK;
    if (n != 3) return hg_fail(err, HG_E_INVALID, "line %u: expected NAME ROLE sha256:HASH, as henge ctl token prints it", number);
    if (!is_name(name)) return hg_fail(err, HG_E_INVALID, "line %u: a name has 1 to %d letters, digits, '.', '-', '_' and '@'", number, HG_AUTH_NAME - 1);
    if (!hg_auth_role_parse(role, &e->role)) return hg_fail(err, HG_E_INVALID, "line %u: the role of %s is read or admin, not \"%s\"", number, name, role);
    if (strncmp(hash, "sha256:", 7) != 0 || !unhex(hash + 7, e->hash))
        return hg_fail(err, HG_E_INVALID, "line %u: what stands behind the role of %s is not sha256: and 64 hexadecimal digits", number, name);
    for (unsigned i = 0; i < l->n; i++)
        if (memcmp(l->v[i].hash, e->hash, HASH) == 0) return hg_fail(err, HG_E_INVALID, "line %u: %s and %s have the same token", number, l->v[i].name, name);
    memcpy(e->name, name, strlen(name) + 1);
    l->n++;
    return HG_OK;
}

enum hg_rc hg_auth_parse(struct hg_str text, struct hg_auth_list **out, struct hg_err *err)
{
    struct hg_auth_list *l = calloc(1, sizeof *l + (MAX_ENTRIES + 1) * sizeof l->v[0]);
    enum hg_rc rc = l ? HG_OK : hg_fail(err, HG_E_NOMEM, "tokens");
    unsigned number = 0;
    for (size_t at = 0; !rc && at < text.len;) {
        const char *p = text.p + at, *end = memchr(p, '\n', text.len - at), *mark;
        size_t n = end ? (size_t)(end - p) : text.len - at;
        char line[512];
        at += n + 1;
        number++;
        if ((mark = memchr(p, '#', n))) n = (size_t)(mark - p);
        if (n >= sizeof line) rc = hg_fail(err, HG_E_INVALID, "line %u is too long", number);
        else if (memchr(p, 0, n)) rc = hg_fail(err, HG_E_INVALID, "line %u holds a NUL", number);
        else {
            memcpy(line, p, n);
            line[n] = 0;
            rc = read_line(line, number, l, err);
        }
        if (!rc && l->n > MAX_ENTRIES) rc = hg_fail(err, HG_E_LIMIT, "more than %u tokens", MAX_ENTRIES);
    }
    if (!rc && l->n == 0) rc = hg_fail(err, HG_E_INVALID, "there is no token in it, so nobody would be let in; henge ctl token NAME makes one");
    if (rc) {
        free(l);
        return rc;
    }
    *out = l;
    return HG_OK;
}

void hg_auth_list_free(struct hg_auth_list *l) { free(l); }

static enum hg_rc read_list(const char *path, struct hg_auth_list **out, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_FILE);
    enum hg_rc rc = hg_file_read(path, b.max, &b, err);
    if (!rc) {
        rc = hg_auth_parse((struct hg_str){(const char *)b.p, b.len}, out, err);
        if (rc) (void)hg_err_context(err, rc, "http.auth.file %s", path);
    }
    hg_buf_free(&b);
    return rc;
}

/* ---- reading it again ---- */

struct stamp {
    int64_t s, ns, size, inode;
};

static bool stamp_of(const char *path, struct stamp *out)
{
    struct stat st;
    memset(out, 0, sizeof *out);
    if (stat(path, &st)) return false;
    *out = (struct stamp){st.st_mtim.tv_sec, st.st_mtim.tv_nsec, st.st_size, (int64_t)st.st_ino};
    return true;
}

static bool stopped_within(struct hg_auth *x)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += x->poll_ms / 1000;
    t.tv_nsec += x->poll_ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    pthread_mutex_lock(&x->mu);
    while (!x->stop && pthread_cond_timedwait(&x->wake, &x->mu, &t) != ETIMEDOUT) {}
    bool stop = x->stop;
    pthread_mutex_unlock(&x->mu);
    return stop;
}

static void *watch(void *arg)
{
    struct hg_auth *x = arg;
    struct stamp last = {.s = -1}, now; /* what was read before this thread began is read once more */
    while (!stopped_within(x)) {
        struct hg_auth_list *l = NULL, *old;
        struct hg_err err;
        (void)stamp_of(x->path, &now);
        if (memcmp(&now, &last, sizeof now) == 0) continue;
        bool first = last.s < 0;
        last = now;
        if (read_list(x->path, &l, &err)) {
            hg_log(HG_LOG_ERROR, "http", "tokens not read, those known stay in force", "error", HG_LS(err.msg), NULL);
            continue;
        }
        if (!first) hg_log(HG_LOG_INFO, "http", "tokens read again", "tokens", HG_LI(l->n), NULL);
        pthread_mutex_lock(&x->mu);
        old = x->list;
        x->list = l;
        pthread_mutex_unlock(&x->mu);
        hg_auth_list_free(old);
    }
    return NULL;
}

static void destroy(struct hg_auth *x)
{
    pthread_cond_destroy(&x->wake);
    pthread_mutex_destroy(&x->mu);
    hg_auth_list_free(x->list);
    free(x->path);
    free(x);
}

enum hg_rc hg_auth_open(const char *path, int64_t poll_ms, struct hg_auth **out, struct hg_err *err)
{
    struct hg_auth *x = calloc(1, sizeof *x);
    if (!x) return hg_fail(err, HG_E_NOMEM, "tokens");
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&x->wake, &mono);
    pthread_condattr_destroy(&mono);
    pthread_mutex_init(&x->mu, NULL);
    x->poll_ms = poll_ms ? poll_ms : POLL_MS;
    x->path = strdup(path);
    enum hg_rc rc = x->path ? read_list(path, &x->list, err) : hg_fail(err, HG_E_NOMEM, "tokens");
    if (!rc && pthread_create(&x->thread, NULL, watch, x)) rc = hg_fail(err, HG_E_NOMEM, "tokens: no thread");
    if (rc) {
        destroy(x);
        return rc;
    }
    *out = x;
    return HG_OK;
}

void hg_auth_close(struct hg_auth *x)
{
    if (!x) return;
    pthread_mutex_lock(&x->mu);
    x->stop = true;
    pthread_cond_broadcast(&x->wake);
    pthread_mutex_unlock(&x->mu);
    pthread_join(x->thread, NULL);
    destroy(x);
}

/* ---- a request ---- */

/* Decodes base64; -1: it is none. */
static int unbase64(const char *text, char *out, size_t cap)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, n_bits = 0;
    size_t n = 0;
    for (; *text && *text != '='; text++) {
        const char *d = memchr(digits, *text, 64);
        if (!d || n + 1 >= cap) return -1;
        bits = bits << 6 | (unsigned)(d - digits);
        if ((n_bits += 6) >= 8) out[n++] = (char)(bits >> (n_bits -= 8));
    }
    out[n] = 0;
    return (int)n;
}

/* Every entry is compared, whichever is the right one: the time tells nothing. */
static const struct entry *entry_of(const struct hg_auth_list *l, const char *token, size_t n)
{
    uint8_t hash[HASH];
    const struct entry *found = NULL;
    hash_of(token, n, hash);
    for (unsigned i = 0; i < l->n; i++)
        if (CRYPTO_memcmp(l->v[i].hash, hash, HASH) == 0) found = &l->v[i];
    return found;
}

bool hg_auth_find(const struct hg_auth_list *l, const char *authorization, char name[HG_AUTH_NAME], enum hg_auth_role *role, const char **why)
{
    const struct entry *e = NULL;
    const char *blank = authorization ? strchr(authorization, ' ') : NULL;
    *why = "this server wants a token: Authorization: Bearer TOKEN (henge ctl --token TOKEN, or HENGE_TOKEN)";
    if (!blank) return false;
    size_t n = (size_t)(blank - authorization);
    while (*blank == ' ') blank++;
    if (n == 6 && strncasecmp(authorization, "Bearer", n) == 0) {
        e = entry_of(l, blank, strlen(blank));
    } else if (n == 5 && strncasecmp(authorization, "Basic", n) == 0) {
        char pair[512];
        int len = unbase64(blank, pair, sizeof pair);
        char *colon = len > 0 ? memchr(pair, ':', (size_t)len) : NULL;
        if (!colon) return *why = "what stands behind Basic is not NAME:TOKEN in base64", false;
        e = entry_of(l, colon + 1, (size_t)len - (size_t)(colon + 1 - pair));
        *colon = 0;
        if (e && strcmp(e->name, pair) != 0) e = NULL;
    } else {
        return false;
    }
    if (!e) return *why = "the token is not one that this server knows", false;
    memcpy(name, e->name, HG_AUTH_NAME);
    *role = e->role;
    return true;
}

static bool under(const char *pattern, const char *path)
{
    size_t n = strlen(path);
    return strncmp(pattern, path, n) == 0 && (pattern[n] == 0 || pattern[n] == '/');
}

/* By the pattern that was matched and not by the path: no spelling of a path can make one of the two what the other is not. */
static bool is_open(const char *pattern) { return strcmp(pattern, "/status/health") == 0 || strcmp(pattern, "/status/ready") == 0 || under(pattern, "/status/selfDiscovered"); }

static bool only_reads(const struct hg_http_req *rq, const char *pattern)
{
    static const char *const asking[] = {"/druid/v2", "/druid/indexer/v1/taskStatus", "/druid/coordinator/v1/metadata"}; /* queries, cancelling them, and lists that are asked for by POST */
    if (rq->method & (HG_GET | HG_HEAD | HG_OPTIONS)) return true;
    for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
        if (under(pattern, asking[i])) return true;
    return false;
}

/* Ops paths' clients look at `error`, queries' clients at errorMessage too. */
static void refuse(struct hg_http_req *rq, int status, const char *why)
{
    if (status == 401) hg_http_set_header(rq, "WWW-Authenticate", "Basic realm=\"henge\"");
    hg_http_reply_json(rq, status, json_pack("{s:s,s:s,s:s,s:n}", "error", status == 401 ? "Unauthorized" : "Forbidden", "errorMessage", why, "errorClass",
                                             status == 401 ? "org.apache.druid.server.security.AuthenticationException" : "org.apache.druid.server.security.ForbiddenException", "host"));
}

bool hg_auth_guard(void *arg, struct hg_http_req *rq)
{
    struct hg_auth *x = arg;
    const char *pattern = rq->match.route ? rq->match.route->pattern : "", *why;
    enum hg_auth_role role = HG_AUTH_READ;
    char text[256];
    if (is_open(pattern)) return true;
    pthread_mutex_lock(&x->mu);
    bool known = hg_auth_find(x->list, hg_http_header(rq, "Authorization"), rq->user, &role, &why);
    pthread_mutex_unlock(&x->mu);
    if (!known) return refuse(rq, 401, why), false;
    if (role == HG_AUTH_ADMIN || only_reads(rq, pattern)) return true;
    snprintf(text, sizeof text, "%s may look and query, and this would change something: it takes a token of the role admin", rq->user);
    refuse(rq, 403, text);
    return false;
}

/* ---- making tokens ---- */

enum hg_rc hg_auth_new_token(const char *name, enum hg_auth_role role, char token[HG_AUTH_TOKEN], char line[HG_AUTH_LINE], struct hg_err *err)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[32], hash[HASH];
    char hex[2 * HASH + 1];
    if (!is_name(name)) return hg_fail(err, HG_E_INVALID, "\"%s\": a name has 1 to %d letters, digits, '.', '-', '_' and '@'", name, HG_AUTH_NAME - 1);
    if (RAND_bytes(random, sizeof random) != 1) return hg_fail(err, HG_E_IO, "no random bytes to be had");
    size_t at = strlen(PREFIX);
    memcpy(token, PREFIX, at);
    for (size_t bit = 0; bit < 8 * sizeof random; bit += 6) {
        unsigned two = (unsigned)random[bit / 8] << 8 | (bit / 8 + 1 < sizeof random ? random[bit / 8 + 1] : 0u);
        token[at++] = digits[two >> (10 - bit % 8) & 63];
    }
    token[at] = 0;
    hash_of(token, at, hash);
    for (size_t i = 0; i < HASH; i++) snprintf(hex + 2 * i, 3, "%02x", hash[i]);
    snprintf(line, HG_AUTH_LINE, "%s %s sha256:%s", name, roles[role], hex);
    OPENSSL_cleanse(random, sizeof random);
    return HG_OK;
}
