#include "role/index.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/file.h"
#include "base/log.h"
#include "ingest/index.h"

enum { FINE = 0, FAILED = 1, WRONG = 2 };

struct work {
    const struct hg_index_spec *spec;
    struct hg_index_env env;
    int64_t publish_id;
    enum hg_rc rc;
    struct hg_err err;
    pthread_mutex_t mu;
    pthread_cond_t ended;
    bool done;
};

static _Atomic bool cancelled;

static void on_signal(int sig)
{
    (void)sig;
    cancelled = true;
}

static void *run(void *arg)
{
    struct work *w = arg;
    w->rc = hg_index_run(w->spec, &w->env, &w->publish_id, &w->err);
    pthread_mutex_lock(&w->mu);
    w->done = true;
    pthread_cond_signal(&w->ended);
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

/* "\r" on a terminal, a line now and then elsewhere. */
static void show(const struct work *w, int64_t begin, bool last)
{
    static const char *const stages[] = {"reading", "building", "publishing", "done"};
    struct hg_index_progress *p = w->env.progress;
    double s = (double)(hg_clock_mono_ms() - begin) / 1000;
    bool tty = isatty(2);
    fprintf(stderr, "%s%-10s %lld rows, %lld bad, %lld segments, %.1f s%s", tty ? "\r" : "", stages[p->stage], (long long)p->rows, (long long)p->bad, (long long)p->segments, s,
            tty && !last ? "" : "\n");
}

static void watch(struct work *w, int64_t begin)
{
    int64_t every = isatty(2) ? 200 : 5000;
    pthread_mutex_lock(&w->mu);
    while (!w->done) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += every / 1000;
        until.tv_nsec += every % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        if (pthread_cond_timedwait(&w->ended, &w->mu, &until)) show(w, begin, false);
    }
    pthread_mutex_unlock(&w->mu);
    show(w, begin, true);
}

static enum hg_rc read_spec(struct hg_arena *a, const char *path, struct hg_index_spec **out, struct hg_err *err)
{
    struct hg_buf text;
    hg_buf_init(&text, (size_t)64 << 20);
    json_t *j = NULL;
    enum hg_rc rc = hg_file_read(path, text.max, &text, err);
    if (!rc) rc = hg_json_parse((struct hg_str){(const char *)text.p, text.len}, &j, err);
    if (!rc) rc = hg_index_spec_parse(a, j, out, err);
    if (rc && rc != HG_E_NOTFOUND) rc = hg_err_context(err, rc, "%s", path);
    json_decref(j);
    hg_buf_free(&text);
    return rc;
}

static enum hg_rc run_all(const struct hg_cfg *cfg, const char *spec_path, struct hg_index_progress *progress, struct hg_err *err)
{
    char data[4096], url[4200], deep[4200], dir[4200], task[512], now[HG_TIME_TEXT], sample[HG_ERR_MSG] = "";
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "index");
    struct work w = {.mu = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};
    struct hg_index_spec *spec;
    struct hg_meta *meta = NULL;
    struct hg_store *store = NULL;
    pthread_t thread;
    enum hg_rc rc = read_spec(a, spec_path, &spec, err);
    if (!rc) rc = hg_dir_make(hg_cfg_str(cfg, "data.dir"), err);
    if (!rc && !realpath(hg_cfg_str(cfg, "data.dir"), data)) rc = hg_fail_errno(err, HG_E_IO, "data.dir %s", hg_cfg_str(cfg, "data.dir"));
    if (!rc) {
        snprintf(url, sizeof url, "sqlite://%s/metadata.db", data);
        snprintf(deep, sizeof deep, "file://%s/deep", data);
    }
    if (!rc) rc = hg_meta_open(*hg_cfg_str(cfg, "meta.url") ? hg_cfg_str(cfg, "meta.url") : url, &meta, err);
    if (!rc) rc = hg_store_open(*hg_cfg_str(cfg, "deep.storage") ? hg_cfg_str(cfg, "deep.storage") : deep, &store, err);
    if (!rc) {
        hg_time_format(hg_clock_now_ms(), NULL, now);
        snprintf(task, sizeof task, "index_%s_%s_%d", spec->data.datasource, now, (int)getpid());
        snprintf(dir, sizeof dir, "%s/index-%d", data, (int)getpid());
        w.spec = spec;
        w.env = (struct hg_index_env){.meta = meta, .store = store, .dir = dir, .task = task, .threads = (unsigned)hg_cfg_int(cfg, "ingest.threads"), .memory_bytes = (int64_t)1 << 30,
                                      .cancelled = &cancelled, .progress = progress, .bad_sample = sample, .bad_sample_cap = sizeof sample};
        int64_t begin = hg_clock_mono_ms();
        if (pthread_create(&thread, NULL, run, &w)) {
            rc = hg_fail(err, HG_E_NOMEM, "index: no thread");
        } else {
            watch(&w, begin);
            pthread_join(thread, NULL);
            rc = w.rc;
            if (rc) *err = w.err;
            if (sample[0]) fprintf(stderr, "first bad row: %s\n", sample);
            if (!rc && w.publish_id) printf("published %lld segments of %s as publish %lld\n", (long long)progress->segments, spec->data.datasource, (long long)w.publish_id);
            if (!rc && !w.publish_id) printf("no rows in the spec's intervals; nothing published\n");
        }
    }
    if (store) hg_store_close(store);
    if (meta) hg_meta_close(meta);
    hg_arena_free(a);
    return rc;
}

/* What one column gives back is what the next one takes: handing it to the system in between would cost page faults, a tenth of the whole. */
static void keep_freed_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

int hg_index_main(int argc, char **argv)
{
    keep_freed_memory();
    struct hg_err err;
    struct hg_cfg *cfg;
    char *rest[64];
    int n_rest = 0, status = FINE;
    if (argc > 64 || hg_cfg_load(HG_ROLE_INDEX, argc, argv, &cfg, rest, &n_rest, &err)) {
        fprintf(stderr, "henge index: %s\n", argc > 64 ? "too many arguments" : err.msg);
        return WRONG;
    }
    if (hg_cfg_asked(rest, &n_rest, "--help")) {
        printf("usage: henge index SPEC.json [--KEY VALUE ...] [--config FILE]\n\nBuilds segments from files as the spec (Druid's index_parallel) says, and publishes them in the metadata\n"
               "store of the cluster; its coordinator then has them loaded.\n\n");
        hg_cfg_usage(HG_ROLE_INDEX, stdout);
    } else if (hg_cfg_asked(rest, &n_rest, "--check-config")) {
        hg_cfg_print(cfg, stdout);
    } else if (n_rest != 1) {
        fprintf(stderr, "henge index: %s\nusage: henge index SPEC.json [--KEY VALUE ...]\n", n_rest ? "one spec at a time" : "which spec?");
        status = WRONG;
    } else {
        hg_log_set_level(HG_LOG_WARN);
        signal(SIGINT, on_signal);
        signal(SIGTERM, on_signal);
        struct hg_index_progress progress = {0};
        enum hg_rc rc = run_all(cfg, rest[0], &progress, &err);
        if (rc) {
            fprintf(stderr, "henge index: %s\n", err.msg);
            status = rc == HG_E_INVALID ? WRONG : FAILED;
        }
    }
    hg_cfg_free(cfg);
    return status;
}
