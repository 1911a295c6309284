/* Clean-up by the leader, beside the cycles: where the policy is switched on, rows of segments that have been unused for long enough are deleted; files whose segments' rows were deleted (by
 * this, or through the API) are removed from deep storage; history that is older than it is kept is forgotten. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "coordinator/cycle.h"

#define TRASH_AT_ONCE 200
#define TRASH_ROUNDS 50

static bool go_on(const struct hg_coordinator *c) { return c->leading && !c->cleaning_stop; }

/* ---- files ---- */

/* A file that cannot be removed stays in the list, and does not keep the others. */
static enum hg_rc remove_some(struct hg_coordinator *c, struct hg_arena *a, size_t *found, size_t *removed, struct hg_err *err)
{
    const char **paths;
    size_t k = 0;
    struct hg_err why = {0};
    HG_TRY(hg_meta_trash(c->meta, a, TRASH_AT_ONCE, &paths, found, err));
    for (size_t i = 0; i < *found && go_on(c); i++) {
        struct hg_err one;
        if (hg_store_delete(c->opt.store, paths[i], &one)) why = one;
        else paths[k++] = paths[i];
    }
    if (why.rc) hg_log(HG_LOG_WARN, "clean-up", "files cannot be removed from deep storage now", "files", HG_LI(*found - k), "error", HG_LS(why.msg), NULL);
    if (k) HG_TRY(hg_meta_trash_done(c->meta, paths, k, err));
    *removed = k;
    hg_metric_add(HG_M_files_removed, NULL, (int64_t)k);
    return HG_OK;
}

static enum hg_rc remove_files(struct hg_coordinator *c, struct hg_err *err)
{
    size_t found = TRASH_AT_ONCE, removed = 1;
    enum hg_rc rc = HG_OK;
    for (int i = 0; i < TRASH_ROUNDS && !rc && found == TRASH_AT_ONCE && removed && go_on(c); i++) {
        struct hg_arena *a = hg_arena_new(NULL);
        rc = a ? remove_some(c, a, &found, &removed, err) : hg_fail(err, HG_E_NOMEM, "clean-up");
        hg_arena_free(a);
    }
    return rc;
}

/* ---- rows ---- */

static enum hg_rc delete_rows(struct hg_coordinator *c, struct hg_arena *a, struct hg_err *err)
{
    int64_t age = c->opt.kill_older_ms - c->clock_offset_ms, deleted = 0, bytes = 0;
    struct hg_clean want = {.older_than_ms = age > 0 ? age : 0, .keep_versions = c->opt.kill_keep_versions, .limit = c->opt.kill_max};
    struct hg_segment_row *v;
    size_t n;
    HG_TRY(hg_meta_unused_candidates(c->meta, a, &want, &v, &n, err));
    if (!n || !go_on(c)) return HG_OK;
    const char **ids = hg_arena_array(a, n, sizeof *ids);
    if (!ids) return hg_arena_fail(a, "clean-up", err);
    for (size_t i = 0; i < n; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&v[i].meta.id, id);
        bytes += v[i].meta.size_bytes;
        if (!(ids[i] = hg_arena_strdup(a, id))) return hg_arena_fail(a, "clean-up", err);
    }
    HG_TRY(hg_meta_delete_unused(c->meta, ids, n, &deleted, err));
    hg_metric_add(HG_M_segments_deleted, NULL, deleted);
    hg_log(HG_LOG_INFO, "clean-up", "unused segments deleted", "segments", HG_LI(deleted), "bytes", HG_LI(bytes), "example", HG_LS(ids[0]), NULL);
    const char *detail = hg_arena_printf(a, "{\"segments\":%lld,\"bytes\":%lld,\"example\":\"%s\"}", (long long)deleted, (long long)bytes, ids[0]);
    return detail ? hg_meta_audit(c->meta, "coordinator", "cleanup", detail, err) : hg_arena_fail(a, "clean-up", err);
}

/* ---- history ---- */

#define VISIBLE_KEEP_MS 86400000 /* changes of the visible list: who is further behind reads it whole */

static enum hg_rc forget(struct hg_coordinator *c, struct hg_err *err)
{
    int64_t keep = c->opt.history_keep_ms;
    struct hg_prune w = {.doc_history_ms = keep, .audit_ms = keep, .publishes_ms = keep, .gone_ms = keep, .visible_ms = VISIBLE_KEEP_MS};
    struct hg_pruned out = {0};
    HG_TRY(hg_meta_prune(c->meta, &w, &out, err));
    if (out.doc_history + out.audit + out.publishes + out.gone + out.visible)
        hg_log(HG_LOG_INFO, "clean-up", "old history forgotten", "documents", HG_LI(out.doc_history), "audit", HG_LI(out.audit), "publishes", HG_LI(out.publishes), "deletions", HG_LI(out.gone),
               "changes", HG_LI(out.visible), NULL);
    return HG_OK;
}

static void clean(void *arg)
{
    struct hg_coordinator *c = arg;
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    enum hg_rc rc = HG_OK;
    if (a && c->opt.kill && go_on(c)) rc = delete_rows(c, a, &err);
    if (!rc && c->opt.store && go_on(c)) rc = remove_files(c, &err);
    if (!rc && go_on(c)) rc = forget(c, &err);
    if (rc) hg_log(HG_LOG_WARN, "clean-up", "clean-up not done, will try on", "error", HG_LS(err.msg), NULL);
    hg_arena_free(a);
    c->cleaning = false;
}

void hg_coordinator_clean(struct hg_coordinator *c)
{
    int64_t now = hg_clock_mono_ms();
    struct hg_err err;
    if (c->cleaning || (c->cleaned_ms && now - c->cleaned_ms < c->opt.kill_period_ms)) return;
    c->cleaned_ms = now;
    c->cleaning = true;
    if (hg_pool_submit(c->cleaner, 0, clean, c, &err)) c->cleaning = false;
}
