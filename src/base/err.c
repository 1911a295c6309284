/* Fault messages. Everything is formatted into a local buffer first, so a message may quote the error that it replaces. */
#include "base/err.h"

#include <errno.h>

/* Cuts z at len so that no UTF-8 sequence is left half: messages end up in JSON replies. */
static void cut_utf8(char *z, size_t len)
{
    size_t i = len;
    while (i > 0 && len - i < 3 && ((unsigned char)z[i - 1] & 0xC0) == 0x80) i--;
    if (i > 0) {
        unsigned char lead = (unsigned char)z[i - 1];
        size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
        if (need > 1 && len - (i - 1) < need) len = i - 1;
    }
    z[len] = '\0';
}

static void store(struct hg_err *err, enum hg_rc rc, const char *msg, size_t len)
{
    err->rc = rc;
    size_t n = len < HG_ERR_MSG ? len : HG_ERR_MSG - 1;
    memcpy(err->msg, msg, n);
    if (n < len) cut_utf8(err->msg, n);
    else err->msg[n] = '\0';
}

/* Formats into buf (HG_ERR_MSG bytes); a text that does not fit is cut. Returns the length kept. */
static size_t format(char *buf, size_t cap, const char *fmt, va_list ap)
{
    int n = vsnprintf(buf, cap, fmt, ap);
    if (n < 0) {
        n = snprintf(buf, cap, "%s", fmt);
        if (n < 0) return 0;
    }
    if ((size_t)n < cap) return (size_t)n;
    cut_utf8(buf, cap - 1);
    return strlen(buf);
}

enum hg_rc hg_fail(struct hg_err *err, enum hg_rc rc, const char *fmt, ...)
{
    if (!err) return rc;
    char msg[HG_ERR_MSG];
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(msg, sizeof msg, fmt, ap);
    va_end(ap);
    store(err, rc, msg, n);
    return rc;
}

enum hg_rc hg_fail_errno(struct hg_err *err, enum hg_rc rc, const char *fmt, ...)
{
    int e = errno; /* before anything here can change it */
    if (!err) return rc;
    char msg[HG_ERR_MSG + 128], why[96];
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(msg, HG_ERR_MSG, fmt, ap);
    va_end(ap);
    const char *text = strerror_r(e, why, sizeof why); /* the GNU form, which is why _GNU_SOURCE is set */
    int more = snprintf(msg + n, sizeof msg - n, ": %s", text);
    store(err, rc, msg, n + (more > 0 ? (size_t)more : 0));
    errno = e;
    return rc;
}

enum hg_rc hg_err_context(struct hg_err *err, enum hg_rc rc, const char *fmt, ...)
{
    if (!err) return rc;
    char msg[2 * HG_ERR_MSG + 4];
    va_list ap;
    va_start(ap, fmt);
    size_t n = format(msg, HG_ERR_MSG, fmt, ap);
    va_end(ap);
    /* A callee that was given no err, or forgot it, leaves rc OK here; rc is what the caller saw. */
    enum hg_rc code = err->rc == HG_OK ? rc : err->rc;
    int more = snprintf(msg + n, sizeof msg - n, ": %s", err->rc == HG_OK ? hg_rc_name(rc) : err->msg);
    store(err, code, msg, n + (more > 0 ? (size_t)more : 0));
    return code;
}

const char *hg_rc_name(enum hg_rc rc)
{
    switch (rc) {
    case HG_OK: return "OK";
    case HG_E_NOMEM: return "NOMEM";
    case HG_E_IO: return "IO";
    case HG_E_CORRUPT: return "CORRUPT";
    case HG_E_INVALID: return "INVALID";
    case HG_E_LIMIT: return "LIMIT";
    case HG_E_TIMEOUT: return "TIMEOUT";
    case HG_E_CANCELLED: return "CANCELLED";
    case HG_E_UNAVAILABLE: return "UNAVAILABLE";
    case HG_E_NOTFOUND: return "NOTFOUND";
    case HG_E_CONFLICT: return "CONFLICT";
    case HG_E_UNSUPPORTED: return "UNSUPPORTED";
    }
    return "?";
}
