/* "host:port", "[v6]:port", "unix:/path". */
#include <arpa/inet.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/num.h"
#include "wire/wire_private.h"

_Static_assert(sizeof(struct sockaddr_un) <= sizeof((struct hg_wsock){0}.bytes), "room for every family");

enum hg_rc hg_waddr_parse(const char *text, struct hg_waddr *out, struct hg_err *err)
{
    struct hg_waddr a = {0};
    if (strncmp(text, "unix:", 5) == 0) {
        const char *path = text + 5;
        size_t n = strlen(path);
        if (n == 0 || n >= sizeof((struct sockaddr_un){0}.sun_path))
            return hg_fail(err, HG_E_INVALID, "wire address %s: a socket's path has 1 to %zu bytes", text, sizeof((struct sockaddr_un){0}.sun_path) - 1);
        a.is_unix = true;
        memcpy(a.host, path, n + 1);
        *out = a;
        return HG_OK;
    }
    const char *colon = strrchr(text, ':'), *host = text;
    int64_t port = -1;
    if (!colon || !hg_parse_i64(hg_str_of(colon + 1), &port) || port < 0 || port > 65535)
        return hg_fail(err, HG_E_INVALID, "wire address %s: want host:port or unix:/path", text);
    size_t n = (size_t)(colon - text);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') host++, n -= 2;
    if (n == 0 || n >= sizeof a.host) return hg_fail(err, HG_E_INVALID, "wire address %s: no host before the port", text);
    memcpy(a.host, host, n);
    a.port = (uint16_t)port;
    *out = a;
    return HG_OK;
}

bool hg_waddr_numeric(const struct hg_waddr *a, struct hg_wsock *out)
{
    *out = (struct hg_wsock){0};
    if (a->is_unix) {
        struct sockaddr_un *u = (void *)out->bytes;
        u->sun_family = AF_UNIX;
        memcpy(u->sun_path, a->host, strlen(a->host));
        out->len = (unsigned)sizeof *u;
        return true;
    }
    struct sockaddr_in *v4 = (void *)out->bytes;
    if (inet_pton(AF_INET, a->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(a->port);
        out->len = (unsigned)sizeof *v4;
        return true;
    }
    struct sockaddr_in6 *v6 = (void *)out->bytes;
    if (inet_pton(AF_INET6, a->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(a->port);
        out->len = (unsigned)sizeof *v6;
        return true;
    }
    return false;
}
