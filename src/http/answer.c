/* Whole answers: built and compressed on the thread that has them, sent on the loop. */
#include <assert.h>
#include <stdlib.h>

#include "base/metrics.h"
#include "http/http_private.h"

#define GZIP_FROM 1024u
#define MAX_BODY_OUT ((size_t)1 << 32)

/* Name and value in one allocation, which is the name's. */
static struct hg_kv copy_field(const char *name, const char *value)
{
    size_t n = strlen(name) + 1, v = strlen(value) + 1;
    char *p = malloc(n + v);
    if (!p) return (struct hg_kv){0};
    memcpy(p, name, n);
    memcpy(p + n, value, v);
    for (char *z = p + n; *z; z++)
        if (*z == '\r' || *z == '\n') *z = ' '; /* values may echo what a client sent */
    return (struct hg_kv){p, p + n};
}

void hg_http_set_header(struct hg_http_req *rq, const char *name, const char *value)
{
    size_t i = 0;
    while (i < rq->n_set && strcasecmp(rq->set[i].k, name) != 0) i++;
    assert(i < HG_HTTP_SET);
    struct hg_kv f = copy_field(name, value);
    if (!f.k) return; /* an answer without that header is better than none */
    if (i < rq->n_set) free((void *)(uintptr_t)rq->set[i].k);
    else rq->n_set++;
    rq->set[i] = f;
}

bool hg_http_has_header(const struct hg_http_req *rq, const char *name)
{
    for (size_t i = 0; i < rq->n_set; i++)
        if (strcasecmp(rq->set[i].k, name) == 0) return true;
    return false;
}

void hg_http_count_answer(const struct hg_http_req *rq)
{
    char status[16];
    snprintf(status, sizeof status, "%d", rq->status);
    hg_metric_add(HG_M_http_responses, status, 1);
}

/* On the loop; drops the handler's reference. */
static void send_answer(void *arg)
{
    struct hg_http_req *rq = arg;
    if (rq->h) { /* not closed meanwhile */
        bool stopping = hg_http_is_stopping(rq->h);
        hg_http_count_answer(rq);
        struct hg_http_conn *c = hg_http_finish(rq);
        if (c) hg_http_conn_answer(c, rq->status, rq->set, rq->n_set, &rq->out, rq->out.len, stopping);
    }
    hg_http_req_unref(rq);
}

void hg_http_answered(struct hg_http_req *rq, void (*send)(void *))
{
    pthread_mutex_lock(&rq->lock);
    assert(!rq->answered);
    rq->answered = true;
    while (rq->on_gone_running && !pthread_equal(rq->goner, pthread_self())) pthread_cond_wait(&rq->idle, &rq->lock);
    pthread_mutex_unlock(&rq->lock);
    if (hg_loop_here(rq->loop)) send(rq);
    else if (!hg_gate_post(rq->gate, send, rq)) hg_http_req_unref(rq);
}

void hg_http_reply(struct hg_http_req *rq, int status, const char *content_type, struct hg_buf *body)
{
    struct hg_buf b = {0}, other;
    if (body) {
        b = *body;
        hg_buf_init(body, b.max);
    }
    if (b.failed) { /* whoever wrote it did not look */
        hg_buf_free(&b);
        status = 500;
        content_type = NULL;
    }
    if (content_type) hg_http_set_header(rq, "Content-Type", content_type);
    hg_buf_init(&other, MAX_BODY_OUT);
    if (content_type && b.len && strncmp(content_type, "application/json", 16) == 0 && hg_http_query(rq, "pretty")) {
        hg_http_json_pretty(&other, (struct hg_str){(const char *)b.p, b.len});
        if (!other.failed) {
            hg_buf_free(&b);
            b = other;
            hg_buf_init(&other, MAX_BODY_OUT);
        } else hg_buf_free(&other);
    }
    if (b.len >= GZIP_FROM && !hg_http_has_header(rq, "Content-Encoding")) {
        hg_http_set_header(rq, "Vary", "Accept-Encoding");
        if (hg_http_accepts_gzip(hg_http_header(rq, "Accept-Encoding")) && hg_http_gzip(hg_buf_span(&b), &other) && other.len < b.len) {
            hg_http_set_header(rq, "Content-Encoding", "gzip");
            hg_buf_free(&b);
            b = other;
        } else hg_buf_free(&other);
    }
    rq->status = status;
    rq->out = b;
    hg_http_answered(rq, send_answer);
}

void hg_http_reply_text(struct hg_http_req *rq, int status, const char *content_type, const char *text)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_BODY_OUT);
    hg_buf_puts(&b, text);
    hg_http_reply(rq, status, content_type, &b);
}

void hg_http_reply_json(struct hg_http_req *rq, int status, json_t *j)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_BODY_OUT);
    if (j) hg_http_json_put(&b, j);
    else b.failed = true;
    json_decref(j);
    hg_http_reply(rq, status, "application/json", &b);
}
