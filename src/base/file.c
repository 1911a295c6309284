/* Whole files, durable writes, maps, folders. Every byte written here passes write_all, where tests make the disk full. */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 18)

static _Atomic int64_t fail_after = -1;

void hg_file_fail_after(int64_t bytes) { atomic_store(&fail_after, bytes); }

/* How many of n bytes may still be written. */
static size_t allowed(size_t n)
{
    int64_t left = atomic_load(&fail_after);
    for (;;) {
        if (left < 0) return n;
        size_t give = n < (uint64_t)left ? n : (size_t)left;
        if (atomic_compare_exchange_weak(&fail_after, &left, left - (int64_t)give)) return give;
    }
}

static enum hg_rc os_fail(struct hg_err *err, const char *doing, const char *path)
{
    return hg_fail_errno(err, errno == ENOENT ? HG_E_NOTFOUND : HG_E_IO, "%s: cannot %s", path, doing);
}

static int open_retry(const char *path, int flags, mode_t mode)
{
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

bool hg_file_put(int fd, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t may = allowed(n);
    bool full = may < n;
    while (may) {
        ssize_t w = write(fd, p, may);
        if (w < 0) {
            if (errno == EINTR) continue;
            return false;
        }
        p += w;
        may -= (size_t)w;
    }
    if (full) errno = ENOSPC;
    return !full;
}

/* ---- reading ---- */

enum hg_rc hg_file_read(const char *path, size_t max, struct hg_buf *out, struct hg_err *err)
{
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return os_fail(err, "open", path);
    enum hg_rc rc = HG_OK;
    struct stat st;
    if (fstat(fd, &st)) {
        rc = os_fail(err, "stat", path);
        goto out;
    }
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max) {
        rc = hg_fail(err, HG_E_LIMIT, "%s: %" PRId64 " bytes, more than %zu", path, (int64_t)st.st_size, max);
        goto out;
    }
    size_t start = out->len, expect = S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
    for (;;) {
        /* Where the end should be, one byte is tried first: a file that ends there must not need more room than its size. */
        size_t got = out->len - start, step = expect > got ? expect - got : 0;
        uint8_t last, *to = step ? hg_buf_reserve(out, step) : &last;
        if (!to) {
            rc = hg_buf_check(out, path, err);
            break;
        }
        ssize_t r = read(fd, to, step ? step : 1);
        if (r == 0) break;
        if (r < 0) {
            if (errno == EINTR) continue;
            rc = os_fail(err, "read", path);
            break;
        }
        if (step) {
            out->len += (size_t)r;
            continue;
        }
        if (got == max) {
            rc = hg_fail(err, HG_E_LIMIT, "%s: more than %zu bytes", path, max);
            break;
        }
        hg_buf_u8(out, last); /* a pipe, a file of /proc, or one that grows */
        rc = hg_buf_check(out, path, err);
        if (rc != HG_OK) break;
        expect = max - got - 1 > 65536 ? got + 65536 : max;
    }
    if (rc != HG_OK) out->len = start;
out:
    close(fd);
    return rc;
}

enum hg_rc hg_file_size(const char *path, int64_t *out, struct hg_err *err)
{
    struct stat st;
    if (stat(path, &st)) return os_fail(err, "stat", path);
    *out = st.st_size;
    return HG_OK;
}

enum hg_rc hg_file_map(const char *path, struct hg_span *out, struct hg_err *err)
{
    int fd = open_retry(path, O_RDONLY, 0);
    if (fd < 0) return os_fail(err, "open", path);
    enum hg_rc rc = HG_OK;
    struct stat st;
    if (fstat(fd, &st)) rc = os_fail(err, "stat", path);
    else if (!S_ISREG(st.st_mode)) rc = hg_fail(err, HG_E_IO, "%s: not a file that can be mapped", path);
    else if (st.st_size == 0) *out = (struct hg_span){NULL, 0};
    else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) rc = hg_fail_errno(err, errno == ENOMEM ? HG_E_NOMEM : HG_E_IO, "%s: cannot map %" PRId64 " bytes", path, (int64_t)st.st_size);
        else *out = (struct hg_span){p, (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

void hg_file_unmap(struct hg_span map)
{
    if (map.len) munmap((void *)(uintptr_t)map.p, map.len);
}

/* ---- durable writes ---- */

struct draft { /* a file being written under a temporary name */
    int fd;
    char tmp[PATH_MAX];
};

static enum hg_rc draft_open(struct draft *d, const char *path, struct hg_err *err)
{
    static _Atomic uint64_t serial;
    int n = snprintf(d->tmp, sizeof d->tmp, "%s.tmp-%ld-%" PRIu64, path, (long)getpid(), atomic_fetch_add(&serial, 1));
    if (n < 0 || (size_t)n >= sizeof d->tmp) return hg_fail(err, HG_E_INVALID, "path of %zu bytes is too long: %.80s...", strlen(path), path);
    d->fd = open_retry(d->tmp, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (d->fd < 0 && errno == EEXIST) { /* left by a process that had our id and died */
        unlink(d->tmp);
        d->fd = open_retry(d->tmp, O_WRONLY | O_CREAT | O_EXCL, 0644);
    }
    return d->fd < 0 ? hg_fail_errno(err, HG_E_IO, "%s: cannot create", path) : HG_OK;
}

static void draft_drop(struct draft *d)
{
    if (d->fd >= 0) close(d->fd);
    unlink(d->tmp);
}

static enum hg_rc sync_parent(const char *path, struct hg_err *err)
{
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof dir) return hg_fail(err, HG_E_INVALID, "path of %zu bytes is too long: %.80s...", strlen(path), path);
    if (!slash) memcpy(dir, ".", 2);
    else if (n == 0) memcpy(dir, "/", 2);
    else {
        memcpy(dir, path, n);
        dir[n] = '\0';
    }
    return hg_dir_sync(dir, err);
}

/* rc is what the writing gave; the draft is gone or in place after this. */
static enum hg_rc draft_finish(struct draft *d, const char *path, enum hg_rc rc, struct hg_err *err)
{
    if (rc == HG_OK && fsync(d->fd)) rc = os_fail(err, "sync", path);
    if (rc == HG_OK) {
        int fd = d->fd;
        d->fd = -1;
        if (close(fd)) rc = os_fail(err, "close", path); /* some file systems find a full disk only here */
    }
    if (rc == HG_OK && rename(d->tmp, path)) rc = hg_fail_errno(err, HG_E_IO, "%s: cannot rename onto", path);
    if (rc != HG_OK) {
        draft_drop(d);
        return rc;
    }
    return sync_parent(path, err);
}

enum hg_rc hg_file_write_atomic(const char *path, struct hg_span bytes, struct hg_err *err)
{
    struct draft d;
    HG_TRY(draft_open(&d, path, err));
    enum hg_rc rc = hg_file_put(d.fd, bytes.p, bytes.len) ? HG_OK : os_fail(err, "write", path);
    return draft_finish(&d, path, rc, err);
}

enum hg_rc hg_file_copy_atomic(const char *from, const char *to, struct hg_err *err)
{
    struct draft d = {.fd = -1};
    uint8_t *piece = NULL;
    int fd = open_retry(from, O_RDONLY, 0);
    if (fd < 0) return os_fail(err, "open", from);
    enum hg_rc rc = HG_OK;
    piece = malloc(COPY_BYTES);
    if (!piece) rc = hg_fail(err, HG_E_NOMEM, "%s: a buffer to copy with", from);
    if (rc == HG_OK) rc = draft_open(&d, to, err);
    if (rc != HG_OK) goto out;
    for (;;) {
        ssize_t r = read(fd, piece, COPY_BYTES);
        if (r == 0) break;
        if (r < 0) {
            if (errno == EINTR) continue;
            rc = os_fail(err, "read", from);
            break;
        }
        if (!hg_file_put(d.fd, piece, (size_t)r)) {
            rc = os_fail(err, "write", to);
            break;
        }
    }
    rc = draft_finish(&d, to, rc, err);
out:
    free(piece);
    close(fd);
    return rc;
}

enum hg_rc hg_file_remove(const char *path, struct hg_err *err)
{
    if (unlink(path) && errno != ENOENT) return os_fail(err, "remove", path);
    return HG_OK;
}

/* ---- folders ---- */

enum hg_rc hg_dir_sync(const char *path, struct hg_err *err)
{
    int fd = open_retry(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return os_fail(err, "open the folder", path);
    enum hg_rc rc = HG_OK;
    if (fsync(fd) && errno != EINVAL && errno != ENOTSUP) rc = os_fail(err, "sync the folder", path); /* not every file system can */
    close(fd);
    return rc;
}

static bool is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

enum hg_rc hg_dir_make(const char *path, struct hg_err *err)
{
    char at[PATH_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof at) return hg_fail(err, HG_E_INVALID, "a folder's path of %zu bytes", n);
    memcpy(at, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (at[i] != '/' && at[i] != '\0') continue;
        char keep = at[i];
        at[i] = '\0';
        /* Asking first would race with another who makes it; and a parent that cannot be written is fine if it is there. */
        if (mkdir(at, 0755) && !is_dir(at)) {
            if (errno == EEXIST) return hg_fail(err, HG_E_IO, "%s: cannot make the folder: %s is a file", path, at);
            return os_fail(err, "make the folder", at);
        }
        at[i] = keep;
    }
    return HG_OK;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

struct names {
    char **at;
    size_t n, cap;
};

static void names_free(struct names *v)
{
    for (size_t i = 0; i < v->n; i++) free(v->at[i]);
    free(v->at);
}

static bool names_add(struct names *v, const char *name)
{
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 32;
        char **at = realloc(v->at, cap * sizeof *at);
        if (!at) return false;
        v->at = at;
        v->cap = cap;
    }
    v->at[v->n] = strdup(name);
    return v->at[v->n] && ++v->n;
}

static enum hg_rc names_read(DIR *d, const char *path, struct names *v, struct hg_err *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) break;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        if (!names_add(v, e->d_name)) return hg_fail(err, HG_E_NOMEM, "%s: listing %zu names", path, v->n);
    }
    if (errno) return os_fail(err, "list", path);
    if (v->n) qsort(v->at, v->n, sizeof *v->at, by_name);
    return HG_OK;
}

enum hg_rc hg_dir_list(const char *path, enum hg_rc (*fn)(void *arg, const char *name, struct hg_err *err), void *arg, struct hg_err *err)
{
    DIR *d = opendir(path);
    if (!d) return os_fail(err, "list", path);
    struct names v = {0};
    enum hg_rc rc = names_read(d, path, &v, err);
    closedir(d); /* before fn, which may go into it or remove it */
    for (size_t i = 0; rc == HG_OK && i < v.n; i++) rc = fn(arg, v.at[i], err);
    names_free(&v);
    return rc;
}

/* Removes what folder `name` of folder `at` holds, then itself. Links are removed, never followed. `path` is for messages. */
static enum hg_rc remove_in(int at, const char *name, const char *path, struct hg_err *err)
{
    int fd;
    do fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return errno == ENOENT ? HG_OK : os_fail(err, "open the folder", path);
    DIR *d = fdopendir(fd);
    if (!d) {
        enum hg_rc rc = os_fail(err, "list", path);
        close(fd);
        return rc;
    }
    struct names v = {0};
    enum hg_rc rc = names_read(d, path, &v, err);
    for (size_t i = 0; rc == HG_OK && i < v.n; i++) {
        if (unlinkat(fd, v.at[i], 0) == 0 || errno == ENOENT) continue;
        char *sub = NULL;
        if (asprintf(&sub, "%s/%s", path, v.at[i]) < 0) {
            rc = hg_fail(err, HG_E_NOMEM, "%s: removing", path);
            break;
        }
        struct stat st;
        int why = errno;
        bool folder = fstatat(fd, v.at[i], &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        errno = why;
        rc = folder ? remove_in(fd, v.at[i], sub, err) : os_fail(err, "remove", sub);
        free(sub);
    }
    names_free(&v);
    closedir(d);
    if (rc == HG_OK && unlinkat(at, name, AT_REMOVEDIR) && errno != ENOENT) rc = os_fail(err, "remove the folder", path);
    return rc;
}

enum hg_rc hg_dir_remove_all(const char *path, struct hg_err *err)
{
    struct stat st;
    if (lstat(path, &st)) return errno == ENOENT ? HG_OK : os_fail(err, "stat", path);
    if (!S_ISDIR(st.st_mode)) return hg_file_remove(path, err);
    return remove_in(AT_FDCWD, path, path, err);
}
