/* A merged result that is large, or on disk: sent in pieces, of which each is a partial result of its own. While the broker does not take them the run leaves the pool, and comes back when there
 * is room, as in run_rows.c. */
#include <stdlib.h>

#include "base/clock.h"
#include "server/run_private.h"

#define FULL ((size_t)1 << 20)   /* queued: no more for now */
#define ROOM ((size_t)256 << 10) /* and go on from here */
#define TURN 8                   /* pieces before others have the thread */
#define MAX_REPLY ((size_t)256 << 20)

static void step(void *arg);

static void end(struct hg_run *r, enum hg_rc rc, const struct hg_err *err)
{
    if (rc) {
        r->err = *err;
        r->err.rc = rc;
    }
    hg_run_end(r);
}

static void on_room(void *arg) /* on the loop */
{
    struct hg_run *r = arg;
    struct hg_err err;
    enum hg_rc rc = hg_pool_go_on(r->d->pool, r->priority, step, r, &err);
    if (rc) end(r, rc, &err);
}

static enum hg_rc send_piece(struct hg_run *r, bool *over, struct hg_err *err)
{
    struct hg_partial *piece;
    struct hg_buf b;
    HG_TRY(hg_partial_next(r->q, r->result, &r->merge_exec, &piece, err));
    *over = !piece;
    if (!piece) return HG_OK;
    hg_buf_init(&b, MAX_REPLY);
    hg_buf_u8(&b, HG_SUB_PARTIAL);
    enum hg_rc rc = hg_partial_encode(piece, &b, err);
    if (!rc) rc = hg_wire_send(r->st, &b, err);
    hg_buf_free(&b);
    hg_partial_free(piece);
    return rc;
}

static void step(void *arg)
{
    struct hg_run *r = arg;
    struct hg_err err = {HG_OK, ""};
    bool over = false;
    int64_t cpu = hg_run_cpu_us(), from = r->fates ? hg_clock_mono_ns() : 0;
    enum hg_rc rc = hg_run_look(r, &err);
    for (int n = 0; n < TURN && !rc && !over && hg_wire_queued(r->st) < FULL; n++) rc = send_piece(r, &over, &err);
    r->cpu_us += hg_run_cpu_us() - cpu;
    if (r->fates) r->unite_us += (hg_clock_mono_ns() - from) / 1000;
    if (rc || over) {
        end(r, rc, &err);
        return;
    }
    if (hg_wire_queued(r->st) >= FULL) {
        hg_wire_on_room(r->st, ROOM, on_room, r);
        return;
    }
    rc = hg_pool_go_on(r->d->pool, r->priority, step, r, &err);
    if (rc) end(r, rc, &err);
}

void hg_run_groups(struct hg_run *r) { step(r); }
