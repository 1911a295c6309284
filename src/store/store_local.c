/* Deep storage in a folder, often a network mount shared by all servers.
 *
 * An object comes to be by one rename that never replaces (two tasks may push one path at once: the second finds the first's content and compares),
 * from ROOT/.part, where an unfinished push leaves its bytes. Those are removed on open when they are a day old; younger ones may be
 * another process's. */
#include "store/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define PART_DIR ".part"
#define PART_KEPT_MS (24 * 3600 * INT64_C(1000))

struct local {
    char root[PATH_MAX];
};

static enum hg_rc full_path(const struct local *s, const char *path, char buf[PATH_MAX], struct hg_err *err)
{
    int n = snprintf(buf, PATH_MAX, "%s/%s", s->root, path);
    if (n < 0 || n >= PATH_MAX) return hg_fail(err, HG_E_INVALID, "deep storage path %s/%s is too long", s->root, path);
    return HG_OK;
}

static enum hg_rc drop_old_part(void *arg, const char *name, struct hg_err *err)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof path, "%s/" PART_DIR "/%s", ((struct local *)arg)->root, name);
    (void)err;
    if (n < 0 || n >= PATH_MAX || stat(path, &st) != 0) return HG_OK;
    if (hg_clock_now_ms() - (int64_t)st.st_ctime * 1000 > PART_KEPT_MS) unlink(path);
    return HG_OK;
}

static enum hg_rc local_open(const char *rest, void **impl, struct hg_err *err)
{
    if (rest[0] != '/') return hg_fail(err, HG_E_INVALID, "deep storage file://%s: expected an absolute path, file:///…", rest);
    struct local *s = malloc(sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "deep storage file://%s", rest);
    int n = snprintf(s->root, sizeof s->root, "%s", rest);
    enum hg_rc rc = HG_OK;
    if (n < 0 || (size_t)n >= sizeof s->root) rc = hg_fail(err, HG_E_INVALID, "deep storage path of %zu bytes is too long", strlen(rest));
    while (n > 1 && s->root[n - 1] == '/') s->root[--n] = 0;
    char part[PATH_MAX];
    if (!rc) rc = full_path(s, PART_DIR, part, err);
    if (!rc) rc = hg_dir_make(part, err);
    if (!rc) rc = hg_dir_list(part, drop_old_part, s, err);
    if (rc) {
        free(s);
        return rc;
    }
    *impl = s;
    return HG_OK;
}

static void local_close(void *impl) { free(impl); }

/* The folder that holds path, without its trailing slash; path is absolute. */
static void parent_of(const char *path, char buf[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    snprintf(buf, PATH_MAX, "%.*s", (int)(slash - path), path);
}

/* Makes the folders of an object; a new folder's name must be as durable as the object. */
static enum hg_rc make_parents(const struct local *s, const char *full, struct hg_err *err)
{
    char dir[PATH_MAX];
    struct stat st;
    parent_of(full, dir);
    if (stat(dir, &st) == 0) return HG_OK;
    HG_TRY(hg_dir_make(dir, err));
    size_t root = strlen(s->root);
    for (char *cut; strlen(dir) > root; *cut = 0) {
        cut = strrchr(dir, '/');
        HG_TRY(hg_dir_sync(dir, err));
    }
    return hg_dir_sync(s->root, err);
}

/* Renames without replacing. HG_E_CONFLICT: something is there. */
static enum hg_rc place(const char *part, const char *full, struct hg_err *err)
{
    if (renameat2(AT_FDCWD, part, AT_FDCWD, full, RENAME_NOREPLACE) == 0) return HG_OK;
    if (errno == EEXIST) return HG_E_CONFLICT;
    if (errno != EINVAL && errno != ENOSYS) return hg_fail_errno(err, errno == ENOENT ? HG_E_NOTFOUND : HG_E_IO, "rename %s to %s", part, full);
    /* Network file systems without that flag have links. */
    if (link(part, full) != 0) {
        if (errno == EEXIST) return HG_E_CONFLICT;
        return hg_fail_errno(err, errno == ENOENT ? HG_E_NOTFOUND : HG_E_IO, "link %s to %s", part, full);
    }
    unlink(part);
    return HG_OK;
}

static enum hg_rc same_content(const char *local, const char *full, const char *path, struct hg_err *err)
{
    int64_t size[2];
    uint64_t hash[2];
    HG_TRY(hg_store_sum(local, &size[0], &hash[0], err));
    HG_TRY(hg_store_sum(full, &size[1], &hash[1], err));
    if (size[0] == size[1] && hash[0] == hash[1]) return HG_OK;
    return hg_fail(err, HG_E_CONFLICT, "deep storage %s: there is an object of %" PRId64 " bytes with hash %016" PRIx64 " already, %s has %" PRId64 " with %016" PRIx64, path,
                   size[1], hash[1], local, size[0], hash[0]);
}

/* A second name for a file of this file system, its bytes on the disk. False: it has to be copied. A part's age counts from then on, and not from when the file was written. */
static bool link_part(const char *local, const char *part)
{
    struct stat st;
    if (lstat(local, &st) != 0 || !S_ISREG(st.st_mode) || link(local, part) != 0) return false;
    int fd = open(part, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    if (!synced) unlink(part);
    return synced;
}

static enum hg_rc local_push(void *impl, const char *local, const char *path, bool sealed, struct hg_err *err)
{
    const struct local *s = impl;
    char full[PATH_MAX], base[PATH_MAX], part[PATH_MAX], dir[PATH_MAX];
    struct stat st;
    HG_TRY(full_path(s, path, full, err));
    if (stat(full, &st) == 0) return same_content(local, full, path, err);
    HG_TRY(full_path(s, PART_DIR "/push", base, err));
    HG_TRY(hg_store_part_name(base, part, sizeof part, err));
    if (!sealed || !link_part(local, part)) HG_TRY(hg_file_copy_atomic(local, part, err));
    enum hg_rc rc = HG_OK;
    /* A delete may take an emptied folder away between making it and the rename. */
    for (int i = 0; i < 8; i++) {
        rc = make_parents(s, full, err);
        if (!rc) rc = place(part, full, err);
        if (rc != HG_E_NOTFOUND) break;
    }
    if (rc) unlink(part);
    if (rc == HG_E_CONFLICT) return same_content(local, full, path, err);
    if (rc == HG_E_NOTFOUND) return hg_fail(err, HG_E_IO, "deep storage %s: its folder is taken away again and again", full);
    if (rc) return rc;
    parent_of(full, dir);
    return hg_dir_sync(dir, err);
}

static enum hg_rc local_fetch(void *impl, const char *path, const char *local, struct hg_err *err)
{
    char full[PATH_MAX];
    struct stat st;
    HG_TRY(full_path(impl, path, full, err));
    if (stat(full, &st) != 0 && (errno == ENOENT || errno == ENOTDIR)) return hg_fail(err, HG_E_NOTFOUND, "deep storage %s: no such object", full);
    return hg_file_copy_atomic(full, local, err);
}

static enum hg_rc local_remove(void *impl, const char *path, struct hg_err *err)
{
    const struct local *s = impl;
    char full[PATH_MAX];
    HG_TRY(full_path(s, path, full, err));
    HG_TRY(hg_file_remove(full, err));
    /* Folders that are empty now go too, or a million deleted segments would leave a million. */
    size_t root = strlen(s->root);
    for (;;) {
        *strrchr(full, '/') = 0;
        if (strlen(full) <= root || rmdir(full) != 0) return HG_OK;
    }
}

/* ---- list ---- */

struct walk {
    const struct local *s;
    const char *prefix;
    char rel[PATH_MAX]; /* folder being listed, relative, "" or with a trailing slash */
    hg_store_list_fn *fn;
    void *arg;
};

static enum hg_rc walk_name(void *arg, const char *name, struct hg_err *err);

static enum hg_rc walk_dir(struct walk *w, struct hg_err *err)
{
    char full[PATH_MAX];
    HG_TRY(full_path(w->s, w->rel, full, err));
    return hg_dir_list(full, walk_name, w, err);
}

static enum hg_rc walk_name(void *arg, const char *name, struct hg_err *err)
{
    struct walk *w = arg;
    if (name[0] == '.') return HG_OK;
    size_t at = strlen(w->rel);
    char full[PATH_MAX];
    struct stat st;
    int n = snprintf(w->rel + at, sizeof w->rel - at, "%s", name);
    if (n < 0 || (size_t)n >= sizeof w->rel - at - 1) return hg_fail(err, HG_E_IO, "deep storage: a path in %s is too long", w->s->root);
    enum hg_rc rc = full_path(w->s, w->rel, full, err);
    if (!rc && stat(full, &st) == 0) { /* else: deleted since */
        size_t len = at + (size_t)n, plen = strlen(w->prefix), least = len < plen ? len : plen;
        bool fits = strncmp(w->rel, w->prefix, least) == 0;
        if (fits && S_ISDIR(st.st_mode)) {
            w->rel[len] = '/';
            w->rel[len + 1] = 0;
            if (strncmp(w->rel, w->prefix, len + 1 < plen ? len + 1 : plen) == 0) rc = walk_dir(w, err);
            if (rc == HG_E_NOTFOUND) rc = HG_OK;
            w->rel[len] = 0;
        } else if (fits && len >= plen && S_ISREG(st.st_mode)) {
            rc = w->fn(w->arg, w->rel, (int64_t)st.st_size, err);
        }
    }
    w->rel[at] = 0;
    return rc;
}

static enum hg_rc local_list(void *impl, const char *prefix, hg_store_list_fn *fn, void *arg, struct hg_err *err)
{
    struct walk *w = calloc(1, sizeof *w);
    if (!w) return hg_fail(err, HG_E_NOMEM, "deep storage list");
    w->s = impl;
    w->prefix = prefix;
    w->fn = fn;
    w->arg = arg;
    enum hg_rc rc = walk_dir(w, err);
    free(w);
    return rc;
}

const struct hg_store_ops hg_store_local = {
    .scheme = "file", .open = local_open, .close = local_close, .push = local_push, .fetch = local_fetch, .remove = local_remove, .list = local_list,
};
