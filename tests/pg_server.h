/* A PostgreSQL of the test's own: a fresh cluster in a temporary folder, on a Unix socket only. Run by root it runs as user postgres, for the server refuses root. */
#ifndef HG_TESTS_PG_SERVER_H
#define HG_TESTS_PG_SERVER_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PG_BIN "/usr/lib/postgresql/15/bin"

struct pg_server {
    char dir[64];
    char as[80]; /* command prefix to become postgres, or "" */
    bool running;
};

static inline bool pg_server_installed(void) { return access(PG_BIN "/initdb", X_OK) == 0; }

static inline int pg_server_sh(const char *fmt, const char *a, const char *b, const char *c)
{
    char cmd[600];
    int n = snprintf(cmd, sizeof cmd, fmt, a, b, c);
    if (n < 0 || (size_t)n >= sizeof cmd) return -1;
    int st = system(cmd);
    return WIFEXITED(st) ? WEXITSTATUS(st) : -1;
}

static inline bool pg_server_start(struct pg_server *s)
{
    if (pg_server_sh("cd / && %s " PG_BIN "/pg_ctl -D %s/data -l %s/log -s -w -t 60 start >/dev/null 2>&1", s->as, s->dir, s->dir) != 0) {
        pg_server_sh("tail -n 20 %s/log >&2%s%s", s->dir, "", "");
        return false;
    }
    return s->running = true;
}

/* how: "fast" or "immediate" (as a crash). */
static inline void pg_server_stop(struct pg_server *s, const char *how)
{
    if (s->running) pg_server_sh("cd / && %s " PG_BIN "/pg_ctl -D %s/data -s -w -m %s stop >/dev/null 2>&1", s->as, s->dir, how);
    s->running = false;
}

/* A process that outlives this one only to clean up: it sees the end of a pipe when the test is gone, however it went. */
static inline bool pg_server_watch(struct pg_server *s)
{
    int fd[2];
    char byte;
    if (pipe2(fd, O_CLOEXEC) != 0) return false; /* the write end stays open while the test lives */
    pid_t pid = fork();
    if (pid != 0) return close(fd[0]), pid > 0;
    close(fd[1]);
    while (read(fd[0], &byte, 1) > 0) {}
    if (access(s->dir, F_OK) == 0) {
        pg_server_sh("cd / && %s " PG_BIN "/pg_ctl -D %s/data -s -w -m immediate stop >/dev/null 2>&1%s", s->as, s->dir, "");
        pg_server_sh("rm -rf %s%s%s", s->dir, "", "");
    }
    _exit(0);
}

static inline bool pg_server_make(struct pg_server *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/henge-pg-XXXXXX");
    snprintf(s->as, sizeof s->as, "%s", geteuid() == 0 ? "setpriv --reuid=postgres --regid=postgres --clear-groups" : "");
    if (!mkdtemp(s->dir) || !pg_server_watch(s)) return false;
    if (geteuid() == 0) {
        if (pg_server_sh("chown postgres %s%s%s", s->dir, "", "") != 0) return false;
    }
    if (pg_server_sh("cd / && %s " PG_BIN "/initdb -D %s/data -U henge -A trust -E UTF8 --locale=C.UTF-8 -N >/dev/null%s", s->as, s->dir, "") != 0) return false;
    char path[100];
    snprintf(path, sizeof path, "%s/data/postgresql.conf", s->dir);
    FILE *f = fopen(path, "a");
    if (!f) return false;
    fprintf(f, "listen_addresses = ''\nunix_socket_directories = '%s'\nfsync = off\nshared_buffers = 16MB\nmax_connections = 60\n", s->dir);
    fclose(f);
    return pg_server_start(s);
}

static inline void pg_server_url(const struct pg_server *s, const char *database, char *buf, size_t cap)
{
    snprintf(buf, cap, "postgresql://henge@/%s?host=%s", database, s->dir);
}

static inline void pg_server_remove(struct pg_server *s)
{
    pg_server_stop(s, "immediate");
    if (strncmp(s->dir, "/tmp/henge-pg-", 14) == 0) pg_server_sh("rm -rf %s%s%s", s->dir, "", "");
}

#endif
