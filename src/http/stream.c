/* Answers in pieces. A piece goes from the answering thread to the loop, and from there to the connection's buffer; the answering thread waits while more than MAX_UNSENT bytes are on that
 * way, so that what a slow client has not read yet stays where it comes from.
 *
 *   any thread: begin ── put ── put (waits) ── end
 *   loop:       headers, chunks as they come, and each time the connection's buffer has run empty: whoever waits goes on */
#include <stdlib.h>
#include <time.h>
#include <zlib.h>

#include "base/clock.h"
#include "http/http_private.h"

#define MAX_UNSENT ((size_t)1 << 20)
#define LOOK_MS 100 /* how often a waiting writer looks whether it was cancelled */
#define MAX_PIECE ((size_t)1 << 30)

struct hg_http_stream {
    struct hg_http_req *rq;
    size_t unsent;  /* under the request's lock */
    size_t handed;  /* the loop's: of them with the connection */
    bool zipped, complete;
    z_stream z;
};
struct piece {
    struct hg_http_req *rq;
    struct hg_buf bytes;
};

void hg_http_stream_free(struct hg_http_stream *s)
{
    if (!s) return;
    if (s->zipped) deflateEnd(&s->z);
    free(s);
}

/* ---- on the loop ---- */

static void sent(struct hg_http_stream *s, size_t n)
{
    pthread_mutex_lock(&s->rq->lock);
    s->unsent -= n;
    pthread_cond_broadcast(&s->rq->idle);
    pthread_mutex_unlock(&s->rq->lock);
}

void hg_http_stream_drained(struct hg_http_stream *s)
{
    size_t n = s->handed;
    s->handed = 0;
    sent(s, n);
}

static void begin_on_loop(void *arg)
{
    struct hg_http_req *rq = arg;
    if (rq->h) {
        hg_http_count_answer(rq);
        if (rq->conn) hg_http_conn_begin(rq->conn, rq->status, rq->set, rq->n_set, hg_http_is_stopping(rq->h));
    }
    hg_http_req_unref(rq);
}

static void put_on_loop(void *arg)
{
    struct piece *p = arg;
    struct hg_http_stream *s = p->rq->stream;
    size_t n = p->bytes.len;
    if (p->rq->h && p->rq->conn) {
        s->handed += n;
        hg_http_conn_put(p->rq->conn, &p->bytes);
    } else {
        sent(s, n); /* nobody reads it */
        hg_buf_free(&p->bytes);
    }
    hg_http_req_unref(p->rq);
    free(p);
}

static void end_on_loop(void *arg)
{
    struct hg_http_req *rq = arg;
    struct hg_http_conn *c = rq->h ? hg_http_finish(rq) : NULL;
    if (c && rq->stream->complete) hg_http_conn_end(c);
    else if (c) hg_http_conn_close(c);
    hg_http_req_unref(rq);
}

/* ---- the answering thread ---- */

enum hg_rc hg_http_stream_begin(struct hg_http_req *rq, int status, const char *content_type, struct hg_err *err)
{
    struct hg_http_stream *s = calloc(1, sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "answer");
    s->rq = rq;
    if (content_type) hg_http_set_header(rq, "Content-Type", content_type);
    if (!hg_http_has_header(rq, "Content-Encoding")) {
        hg_http_set_header(rq, "Vary", "Accept-Encoding");
        if (hg_http_accepts_gzip(hg_http_header(rq, "Accept-Encoding"))) s->zipped = deflateInit2(&s->z, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
        if (s->zipped) hg_http_set_header(rq, "Content-Encoding", "gzip");
    }
    rq->status = status;
    rq->stream = s;
    if (!hg_gate_post(rq->gate, begin_on_loop, hg_http_req_ref(rq))) hg_http_req_unref(rq);
    return HG_OK;
}

static enum hg_rc wait_for_room(struct hg_http_stream *s, int64_t deadline_mono_ms, const _Atomic bool *cancelled, struct hg_err *err)
{
    struct hg_http_req *rq = s->rq;
    enum hg_rc rc = HG_OK;
    pthread_mutex_lock(&rq->lock);
    while (rc == HG_OK) {
        int64_t now = hg_clock_mono_ms();
        if (rq->is_gone) rc = hg_fail(err, HG_E_CANCELLED, "the client is gone");
        else if (cancelled && atomic_load(cancelled)) rc = hg_fail(err, HG_E_CANCELLED, "Query cancelled");
        else if (deadline_mono_ms && now >= deadline_mono_ms) rc = hg_fail(err, HG_E_TIMEOUT, "the client did not read the whole answer in time");
        if (rc != HG_OK || s->unsent <= MAX_UNSENT) break;
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000l;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&rq->idle, &rq->lock, &until);
    }
    pthread_mutex_unlock(&rq->lock);
    return rc;
}

/* Takes b's bytes to the loop. */
static enum hg_rc hand_over(struct hg_http_stream *s, struct hg_buf *b, struct hg_err *err)
{
    struct hg_http_req *rq = s->rq;
    size_t n = b->len;
    if (!n || rq->method == HG_HEAD) {
        hg_buf_free(b);
        return HG_OK;
    }
    struct piece *p = malloc(sizeof *p);
    if (!p) {
        hg_buf_free(b);
        return hg_fail(err, HG_E_NOMEM, "answer");
    }
    *p = (struct piece){hg_http_req_ref(rq), *b};
    hg_buf_init(b, b->max);
    pthread_mutex_lock(&rq->lock);
    s->unsent += n;
    pthread_mutex_unlock(&rq->lock);
    if (hg_gate_post(rq->gate, put_on_loop, p)) return HG_OK;
    hg_buf_free(&p->bytes);
    hg_http_req_unref(rq);
    free(p);
    return hg_fail(err, HG_E_CANCELLED, "the server is closed");
}

static enum hg_rc deflate_into(struct hg_http_stream *s, struct hg_span in, bool last, struct hg_buf *out, struct hg_err *err)
{
    int rc;
    s->z.next_in = (Bytef *)(uintptr_t)in.p; /* zlib does not write there */
    s->z.avail_in = (uInt)in.len;
    do {
        uint8_t *p = hg_buf_reserve(out, 32768);
        if (!p) return hg_fail(err, HG_E_NOMEM, "answer");
        s->z.next_out = p;
        s->z.avail_out = 32768;
        rc = deflate(&s->z, last ? Z_FINISH : Z_NO_FLUSH);
        if (rc == Z_STREAM_ERROR) return hg_fail(err, HG_E_IO, "answer: compression failed");
        out->len += 32768 - s->z.avail_out;
    } while (s->z.avail_out == 0);
    return HG_OK;
}

enum hg_rc hg_http_stream_put(struct hg_http_req *rq, struct hg_buf *piece, int64_t deadline_mono_ms, const _Atomic bool *cancelled, struct hg_err *err)
{
    struct hg_http_stream *s = rq->stream;
    struct hg_buf b = *piece, zipped;
    hg_buf_init(piece, b.max);
    enum hg_rc rc = hg_buf_check(&b, "answer", err);
    if (rc == HG_OK && b.len > MAX_PIECE) rc = hg_fail(err, HG_E_LIMIT, "answer: a piece of %zu bytes", b.len);
    if (rc == HG_OK && s->zipped) {
        hg_buf_init(&zipped, MAX_PIECE);
        rc = deflate_into(s, hg_buf_span(&b), false, &zipped, err);
        hg_buf_free(&b);
        b = zipped;
    }
    if (rc == HG_OK) rc = hand_over(s, &b, err);
    else hg_buf_free(&b);
    return rc == HG_OK ? wait_for_room(s, deadline_mono_ms, cancelled, err) : rc;
}

void hg_http_stream_end(struct hg_http_req *rq, bool complete)
{
    struct hg_http_stream *s = rq->stream;
    if (complete && s->zipped) {
        struct hg_buf b;
        struct hg_err ignored;
        hg_buf_init(&b, MAX_PIECE);
        complete = deflate_into(s, (struct hg_span){0}, true, &b, &ignored) == HG_OK;
        if (complete) complete = hand_over(s, &b, &ignored) == HG_OK;
        hg_buf_free(&b);
    }
    s->complete = complete;
    hg_http_answered(rq, end_on_loop);
}
