/* One HTTP request and its answer, waited for: for command lines and tests. Not for loops. */
#ifndef HG_HTTP_CLIENT_H
#define HG_HTTP_CLIENT_H

#include "base/buf.h"

/* url: "http://host:port/path?query". headers: "Name: value", ..., NULL (NULL allowed). The body of the answer is appended to response (its max holds; NULL: thrown away);
 * a body that the server compressed at our own request stays so. timeout_ms holds for all of it.
 * HG_E_UNAVAILABLE: nobody answers there; HG_E_TIMEOUT; HG_E_CORRUPT: it is not HTTP; HG_E_INVALID: the url. Any status is HG_OK. */
HG_MUST_USE enum hg_rc hg_http_fetch(const char *method, const char *url, const char *const *headers, struct hg_span body, int64_t timeout_ms, int *status, struct hg_buf *response, struct hg_err *err);
/* The same; the lines of the answer's head, "Name: value\n" each, are appended to head (NULL: thrown away). */
HG_MUST_USE enum hg_rc hg_http_fetch_head(const char *method, const char *url, const char *const *headers, struct hg_span body, int64_t timeout_ms, int *status, struct hg_buf *head,
                                          struct hg_buf *response, struct hg_err *err);

#endif
