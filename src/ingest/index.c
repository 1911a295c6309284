#include "ingest/index_private.h"

#include "base/file.h"
#include "base/log.h"

void hg_index_fail(struct hg_index_run *r, enum hg_rc rc, const struct hg_err *err)
{
    pthread_mutex_lock(&r->mu);
    if (!r->err.rc) {
        r->err = *err;
        r->err.rc = rc;
    }
    pthread_mutex_unlock(&r->mu);
}

enum hg_rc hg_index_check(struct hg_index_run *r, struct hg_err *err)
{
    if (r->env->cancelled && *r->env->cancelled) return hg_fail(err, HG_E_CANCELLED, "the task was shut down");
    pthread_mutex_lock(&r->mu);
    enum hg_rc rc = r->err.rc;
    if (rc && err) *err = r->err;
    pthread_mutex_unlock(&r->mu);
    return rc;
}

static void take_back(struct hg_index_run *r)
{
    struct hg_err err;
    for (size_t i = 0; i < r->n_out; i++)
        if (hg_store_delete(r->env->store, r->out[i].path, &err)) hg_log(HG_LOG_WARN, "index", "pushed file stays", "error", HG_LS(err.msg), NULL);
}

static enum hg_rc run_stages(struct hg_index_run *r, int64_t *publish_id, struct hg_err *err)
{
    HG_TRY(hg_index_begin(r, err));
    HG_TRY(hg_index_read(r, err));
    r->env->progress->stage = HG_INDEX_BUILDING;
    HG_TRY(hg_index_build(r, err));
    r->env->progress->stage = HG_INDEX_PUBLISHING;
    return hg_index_publish(r, publish_id, err);
}

static unsigned lanes(const struct hg_index_spec *spec, const struct hg_index_env *env)
{
    unsigned n = env->threads ? env->threads : 1;
    return spec->max_threads && spec->max_threads < n ? spec->max_threads : n;
}

enum hg_rc hg_index_run(const struct hg_index_spec *spec, const struct hg_index_env *env, int64_t *publish_id, struct hg_err *err)
{
    struct hg_index_run r = {.spec = spec, .env = env, .n_lanes = lanes(spec, env)};
    HG_TRY(hg_dir_make(env->dir, err));
    r.arena = hg_arena_new(NULL);
    pthread_mutex_init(&r.mu, NULL);
    enum hg_rc rc = r.arena ? run_stages(&r, publish_id, err) : hg_fail(err, HG_E_NOMEM, "index task");
    if (rc && !r.files_stay) take_back(&r);
    hg_index_drop_sinks(&r);
    for (unsigned i = 0; r.texts && i < r.n_lanes; i++) hg_live_texts_free(r.texts[i]);
    pthread_mutex_destroy(&r.mu);
    hg_arena_free(r.arena);
    struct hg_err ignore;
    if (hg_dir_remove_all(env->dir, &ignore)) hg_log(HG_LOG_WARN, "index", "task folder stays", "error", HG_LS(ignore.msg), NULL);
    if (!rc) env->progress->stage = HG_INDEX_DONE;
    return rc;
}
