/* What brokers ask of entities: the summaries of sealed segments, which are sent as they lie in the files; and, where there are live rows, to follow them (follow.c). */
#include <stdlib.h>

#include "base/log.h"
#include "cluster/entities.h"
#include "server/server_private.h"

#define MAX_REPLY ((size_t)16 << 20) /* after so much a reply ends, and the broker asks for the rest */

struct job {
    struct hg_dataserver *d;
    struct hg_wire_stream *st;
    size_t len;
    uint8_t bytes[];
};

/* ---- sealed segments ---- */

enum hg_rc hg_run_describe_entities(struct hg_arena *a, const struct hg_source *src, struct hg_sealed_entities *out, struct hg_err *err)
{
    struct hg_str *columns = hg_arena_array(a, src->n_cols, sizeof *columns);
    struct hg_sealed_dim *dims = hg_arena_array(a, src->n_cols, sizeof *dims);
    if (!columns || !dims) return hg_arena_fail(a, "entities of a segment", err);
    for (uint32_t i = 0; i < src->n_cols; i++) {
        const struct hg_column *c = &src->cols[i];
        columns[i] = hg_str_of(c->name);
        if (c->entities.p) dims[out->n_dims++] = (struct hg_sealed_dim){columns[i], c->entities};
    }
    out->served = true;
    out->times = src->times;
    out->columns = columns;
    out->n_columns = src->n_cols;
    out->dims = dims;
    return HG_OK;
}

/* Puts the message of one segment into b. */
static enum hg_rc put_segment(struct hg_dataserver *d, struct hg_arena *a, struct hg_str id, struct hg_buf *b, struct hg_err *err)
{
    struct hg_sealed_entities s = {.id = id};
    struct hg_entry *e = hg_registry_get(d->reg, id);
    enum hg_rc rc = HG_OK;
    if (e && hg_registry_sealed(d->reg, e)) {
        const struct hg_source *const *srcs;
        size_t n;
        void *handle;
        rc = e->served.acquire(e->served.self, a, &srcs, &n, &handle, err);
        if (!rc) {
            if (n == 1) rc = hg_run_describe_entities(a, srcs[0], &s, err);
            if (!rc) hg_sealed_entities_put(b, &s);
            e->served.release(e->served.self, handle);
        }
    } else {
        hg_sealed_entities_put(b, &s);
    }
    if (e) hg_entry_release(e);
    return rc ? rc : hg_buf_check(b, "entities of a segment", err);
}

static enum hg_rc answer_fetch(struct job *j, const struct hg_entity_request *q, struct hg_err *err)
{
    struct hg_arena *scratch = hg_arena_new(NULL);
    struct hg_buf b;
    hg_buf_init(&b, HG_ENTITY_MAX_MESSAGE);
    enum hg_rc rc = scratch ? HG_OK : hg_fail(err, HG_E_NOMEM, "entities");
    size_t sent = 0;
    for (uint32_t i = 0; i < q->n_ids && !rc && sent < MAX_REPLY; i++) {
        hg_arena_reset(scratch);
        rc = put_segment(j->d, scratch, q->ids[i], &b, err);
        sent += b.len;
        if (!rc) rc = hg_wire_send(j->st, &b, err);
        hg_buf_clear(&b);
    }
    hg_buf_free(&b);
    hg_arena_free(scratch);
    return rc;
}

/* ---- requests ---- */

static void fetch(void *arg)
{
    struct job *j = arg;
    struct hg_err err = {HG_E_NOMEM, "no memory for a request for entities"};
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_entity_request q;
    enum hg_rc rc = a ? hg_entity_request_read(a, (struct hg_span){j->bytes, j->len}, &q, &err) : HG_E_NOMEM;
    if (!rc) rc = answer_fetch(j, &q, &err);
    if (rc) hg_wire_fail(j->st, rc, err.msg);
    else hg_wire_end(j->st);
    hg_arena_free(a);
    free(j);
}

/* The stream goes to the follow, which ends or fails it. */
static void follow(void *arg)
{
    struct job *j = arg;
    struct hg_err err;
    struct hg_entity_request q;
    enum hg_rc rc = hg_entity_request_read(NULL, (struct hg_span){j->bytes, j->len}, &q, &err); /* it has no list */
    if (rc) hg_wire_fail(j->st, rc, err.msg);
    else if (q.what == HG_ENTITY_FOLLOW) hg_follow_open(j->d->follow, q.follower, j->st);
    else hg_follow_confirm(j->d->follow, q.follower, q.sequence, j->st);
    free(j);
}

void hg_run_entities(struct hg_dataserver *d, struct hg_wire_stream *st, const struct hg_wire_request *rq)
{
    struct hg_err err = {HG_E_NOMEM, "no memory for a request for entities"};
    uint8_t what = rq->body.len ? rq->body.p[0] : 0;
    if (what != HG_ENTITY_FETCH && !d->follow) {
        hg_wire_fail(st, HG_E_UNSUPPORTED, "there are no live entities here to follow");
        return;
    }
    struct job *j = malloc(sizeof *j + rq->body.len);
    if (j) {
        *j = (struct job){.d = d, .st = st, .len = rq->body.len};
        if (rq->body.len) memcpy(j->bytes, rq->body.p, rq->body.len);
        struct hg_pool *pool = what == HG_ENTITY_CONFIRM ? d->confirm : d->inventory;
        if (!hg_pool_submit(pool, 0, what == HG_ENTITY_FETCH ? fetch : follow, j, &err)) return;
        free(j);
    }
    hg_wire_fail(st, err.rc == HG_E_NOMEM ? HG_E_NOMEM : HG_E_UNAVAILABLE, err.msg);
}
