#include "cluster/member.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

struct hg_member {
    struct hg_meta *meta;
    struct hg_server_row row; /* strings in arena; state guarded by mu */
    struct hg_arena *arena;
    int64_t ttl_ms;
    pthread_t thread;
    pthread_mutex_t mu; /* guards state, stop, dirty */
    pthread_cond_t wake;
    const char *state;
    bool stop, dirty;
};

static void beat(struct hg_member *m, const char *state, bool *down)
{
    struct hg_server_row row = m->row;
    struct hg_err err;
    row.state = state;
    row.seen_ms = hg_clock_now_ms();
    enum hg_rc rc = hg_meta_server_beat(m->meta, &row, m->ttl_ms, &err);
    if (rc && !*down) hg_log(HG_LOG_WARN, "member", "lease not renewed, will try on", "server", HG_LS(row.name), "error", HG_LS(err.msg), NULL);
    if (!rc && *down) hg_log(HG_LOG_INFO, "member", "lease renewed again", "server", HG_LS(row.name), NULL);
    *down = rc != HG_OK;
}

static void *run(void *arg)
{
    struct hg_member *m = arg;
    bool down = false;
    pthread_mutex_lock(&m->mu);
    while (!m->stop) {
        const char *state = m->state;
        m->dirty = false;
        pthread_mutex_unlock(&m->mu);
        beat(m, state, &down);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t wait_ms = down ? 500 : m->ttl_ms / 3; /* a store that came back should know us soon */
        until.tv_sec += wait_ms / 1000;
        until.tv_nsec += wait_ms % 1000 * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_mutex_lock(&m->mu);
        while (!m->stop && !m->dirty && pthread_cond_timedwait(&m->wake, &m->mu, &until) == 0) {}
    }
    pthread_mutex_unlock(&m->mu);
    return NULL;
}

static bool copy_row(struct hg_member *m, const struct hg_server_row *row)
{
    m->row = *row;
    const char **fields[] = {&m->row.name, &m->row.roles, &m->row.tier, &m->row.wire_address, &m->row.http_address, &m->row.state};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        *fields[i] = hg_arena_strdup(m->arena, *fields[i] ? *fields[i] : "");
        if (!*fields[i]) return false;
    }
    m->state = m->row.state;
    return true;
}

enum hg_rc hg_member_start(struct hg_meta *meta, const struct hg_server_row *row, int64_t ttl_ms, struct hg_member **out, struct hg_err *err)
{
    struct hg_member *m = calloc(1, sizeof *m);
    if (!m || !(m->arena = hg_arena_new(NULL)) || !copy_row(m, row)) {
        if (m) hg_arena_free(m->arena);
        free(m);
        return hg_fail(err, HG_E_NOMEM, "membership of %s", row->name);
    }
    m->meta = meta;
    m->ttl_ms = ttl_ms;
    pthread_mutex_init(&m->mu, NULL);
    pthread_condattr_t mono;
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &mono);
    pthread_condattr_destroy(&mono);
    if (pthread_create(&m->thread, NULL, run, m)) {
        hg_arena_free(m->arena);
        free(m);
        return hg_fail(err, HG_E_NOMEM, "membership of %s: no thread", row->name);
    }
    *out = m;
    return HG_OK;
}

void hg_member_set_state(struct hg_member *m, const char *state)
{
    pthread_mutex_lock(&m->mu);
    char *copy = hg_arena_strdup(m->arena, state); /* a handful in a process's life */
    if (copy) m->state = copy;
    m->dirty = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->mu);
}

void hg_member_stop(struct hg_member *m)
{
    if (!m) return;
    pthread_mutex_lock(&m->mu);
    m->stop = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->mu);
    pthread_join(m->thread, NULL);
    struct hg_err err;
    if (hg_meta_server_gone(m->meta, m->row.name, &err)) hg_log(HG_LOG_WARN, "member", "lease not taken back; it will run out", "server", HG_LS(m->row.name), "error", HG_LS(err.msg), NULL);
    pthread_cond_destroy(&m->wake);
    pthread_mutex_destroy(&m->mu);
    hg_arena_free(m->arena);
    free(m);
}
