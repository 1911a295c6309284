/* One table: what went wrong -> HTTP status and Druid's words for it. Druid's clients look at `error` and `errorClass`, and retry what they do not
 * know, so `error` is always one of Druid's own strings. */
#include <pthread.h>
#include <unistd.h>

#include "http/http_private.h"

struct row {
    enum hg_rc rc;
    int status;
    const char *error, *error_class;
    const char *category; /* NULL: Druid answers with the four fields alone */
};
#define Q "org.apache.druid.query."
static const struct row rows[] = {
    {HG_E_INVALID, 400, "Json parse failed", Q "BadJsonQueryException", NULL},
    {HG_E_LIMIT, 400, "Resource limit exceeded", Q "ResourceLimitExceededException", "INVALID_INPUT"},
    {HG_E_TIMEOUT, 504, "Query timeout", Q "QueryTimeoutException", "TIMEOUT"},
    {HG_E_CANCELLED, 500, "Query cancelled", "java.util.concurrent.CancellationException", "CANCELED"},
    {HG_E_UNSUPPORTED, 400, "Unsupported operation", Q "QueryUnsupportedException", "UNSUPPORTED"},
    {HG_E_UNAVAILABLE, 503, "Unknown exception", Q "QueryInterruptedException", "RUNTIME_FAILURE"},
    {HG_E_NOTFOUND, 404, "Unknown exception", Q "QueryException", "NOT_FOUND"},
    {HG_E_CONFLICT, 409, "Unknown exception", Q "QueryException", "CONFLICT"},
    {HG_E_NOMEM, 500, "Unknown exception", "java.lang.OutOfMemoryError", "RUNTIME_FAILURE"},
    {HG_E_IO, 500, "Unknown exception", "java.io.IOException", "RUNTIME_FAILURE"},
    {HG_E_CORRUPT, 500, "Unknown exception", "java.io.IOException", "RUNTIME_FAILURE"},
};
/* Told apart from the others of their rc. */
static const struct row bad_context = {HG_E_INVALID, 400, "Query context parse failed", Q "BadQueryContextException", "INVALID_INPUT"};
static const struct row no_capacity = {HG_E_LIMIT, 429, "Query capacity exceeded", Q "QueryCapacityExceededException", "CAPACITY_EXCEEDED"};
static const struct row other = {HG_OK, 500, "Unknown exception", Q "QueryException", "RUNTIME_FAILURE"};

static const struct row *row_of(enum hg_rc rc)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].rc == rc) return &rows[i];
    return &other;
}

static const struct row *row_of_err(const struct hg_err *err)
{
    if (err->rc == HG_E_INVALID && strncmp(err->msg, "$.context", 9) == 0) return &bad_context;
    return row_of(err->rc);
}

int hg_http_status_of(enum hg_rc rc) { return rc == HG_OK ? 200 : row_of(rc)->status; }
const char *hg_http_error_of(enum hg_rc rc) { return row_of(rc)->error; }

static char host[256];
static void find_host(void)
{
    if (gethostname(host, sizeof host - 1) || !*host) snprintf(host, sizeof host, "localhost");
}

static void put(struct hg_buf *b, const struct row *r, const char *msg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_host);
    hg_buf_puts(b, "{\"error\":");
    hg_buf_json_str(b, hg_str_of(r->error));
    hg_buf_puts(b, ",\"errorMessage\":");
    hg_buf_json_str(b, hg_str_of(msg));
    hg_buf_puts(b, ",\"errorClass\":");
    hg_buf_json_str(b, hg_str_of(r->error_class));
    hg_buf_puts(b, ",\"host\":");
    hg_buf_json_str(b, hg_str_of(host));
    if (r->category) { /* a failure at work; the older clients look at the four fields, the newer ones at these */
        hg_buf_printf(b, ",\"errorCode\":\"legacyQueryException\",\"persona\":\"OPERATOR\",\"category\":\"%s\",\"context\":{\"host\":", r->category);
        hg_buf_json_str(b, hg_str_of(host));
        hg_buf_printf(b, ",\"errorClass\":\"%s\",\"legacyErrorCode\":\"%s\"}", r->error_class, r->error);
    }
    hg_buf_puts(b, "}");
}

void hg_http_query_error_json(struct hg_buf *out, const struct hg_err *err) { put(out, row_of_err(err), err->msg); }

static void reply(struct hg_http_req *rq, const struct row *r, const char *msg)
{
    struct hg_buf b;
    hg_buf_init(&b, 64 * 1024);
    put(&b, r, msg);
    hg_http_reply(rq, r->status, "application/json", &b);
}

void hg_http_reply_query_error(struct hg_http_req *rq, const struct hg_err *err) { reply(rq, row_of_err(err), err->msg); }

void hg_http_reply_capacity_error(struct hg_http_req *rq, const struct hg_err *err)
{
    hg_http_set_header(rq, "Retry-After", "1");
    reply(rq, &no_capacity, err->msg);
}

void hg_http_reply_ops_error(struct hg_http_req *rq, const struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 64 * 1024);
    hg_buf_puts(&b, "{\"error\":");
    hg_buf_json_str(&b, hg_str_of(err->msg));
    hg_buf_puts(&b, "}");
    hg_http_reply(rq, hg_http_status_of(err->rc), "application/json", &b);
}
