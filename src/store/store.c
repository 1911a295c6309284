/* What all kinds of deep storage share: choosing one by URL, checking paths, and checking what was pulled. */
#include "store/store_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"

#define PATH_LEN_MAX 1024

static const struct hg_store_ops *const kinds[] = {&hg_store_local};
#define N_KINDS (sizeof kinds / sizeof *kinds)

struct hg_store {
    const struct hg_store_ops *ops;
    void *impl;
};

enum hg_rc hg_store_open(const char *url, struct hg_store **out, struct hg_err *err)
{
    const char *sep = strstr(url, "://");
    if (!sep) return hg_fail(err, HG_E_INVALID, "deep storage \"%s\": expected a URL such as file:///var/lib/henge/deep", url);
    const struct hg_store_ops *ops = NULL;
    for (size_t i = 0; i < N_KINDS; i++)
        if (strlen(kinds[i]->scheme) == (size_t)(sep - url) && strncmp(kinds[i]->scheme, url, (size_t)(sep - url)) == 0) ops = kinds[i];
    if (!ops) return hg_fail(err, HG_E_UNSUPPORTED, "deep storage \"%s\": no scheme \"%.*s\"; there is file", url, (int)(sep - url), url);
    struct hg_store *s = malloc(sizeof *s);
    if (!s) return hg_fail(err, HG_E_NOMEM, "deep storage %s", url);
    s->ops = ops;
    enum hg_rc rc = ops->open(sep + 3, &s->impl, err);
    if (rc) {
        free(s);
        return rc;
    }
    *out = s;
    return HG_OK;
}

void hg_store_close(struct hg_store *s)
{
    if (!s) return;
    s->ops->close(s->impl);
    free(s);
}

/* Paths come from the metadata store and from other servers; none may lead out of the root. Parts led by a dot are the store's own. */
static enum hg_rc check_path(const char *path, bool prefix, struct hg_err *err)
{
    size_t n = strlen(path);
    if (n > PATH_LEN_MAX) return hg_fail(err, HG_E_INVALID, "deep storage path of %zu bytes, at most %d", n, PATH_LEN_MAX);
    if (n == 0 && prefix) return HG_OK;
    const char *part = path;
    for (size_t i = 0; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        size_t len = (size_t)(path + i - part);
        bool last = path[i] == 0;
        if ((len == 0 && !(last && prefix)) || (len && part[0] == '.'))
            return hg_fail(err, HG_E_INVALID, "deep storage path \"%s\": parts must not be empty or start with a dot", path);
        part = path + i + 1;
    }
    return HG_OK;
}

enum hg_rc hg_store_push(struct hg_store *s, const char *local, const char *path, struct hg_err *err)
{
    HG_TRY(check_path(path, false, err));
    return s->ops->push(s->impl, local, path, false, err);
}

enum hg_rc hg_store_push_sealed(struct hg_store *s, const char *local, const char *path, struct hg_err *err)
{
    HG_TRY(check_path(path, false, err));
    return s->ops->push(s->impl, local, path, true, err);
}

enum hg_rc hg_store_sum(const char *path, int64_t *size, uint64_t *hash, struct hg_err *err)
{
    struct hg_span map;
    HG_TRY(hg_file_map(path, &map, err));
    *size = (int64_t)map.len;
    *hash = hg_xxh3(map.p, map.len);
    hg_file_unmap(map);
    return HG_OK;
}

enum hg_rc hg_store_part_name(const char *path, char *buf, size_t cap, struct hg_err *err)
{
    static _Atomic uint64_t next;
    int n = snprintf(buf, cap, "%s.part-%ld-%" PRIu64, path, (long)getpid(), atomic_fetch_add(&next, 1));
    if (n < 0 || (size_t)n >= cap) return hg_fail(err, HG_E_INVALID, "%s: the path is too long", path);
    return HG_OK;
}

enum hg_rc hg_store_pull(struct hg_store *s, const char *path, const char *local, int64_t size, uint64_t hash, struct hg_err *err)
{
    char part[4096], dir[4096];
    HG_TRY(check_path(path, false, err));
    HG_TRY(hg_store_part_name(local, part, sizeof part, err));
    /* What is checked is the copy that will be used, so that a fault of the way is found as well as one of the store. */
    enum hg_rc rc = s->ops->fetch(s->impl, path, part, err);
    int64_t got_size = size;
    uint64_t got_hash = hash;
    if (!rc && hash) rc = hg_store_sum(part, &got_size, &got_hash, err);
    if (!rc && (got_size != size || got_hash != hash))
        rc = hg_fail(err, HG_E_CORRUPT, "deep storage %s: %" PRId64 " bytes with hash %016" PRIx64 ", want %" PRId64 " with %016" PRIx64, path, got_size, got_hash, size, hash);
    if (!rc && rename(part, local) != 0) rc = hg_fail_errno(err, HG_E_IO, "rename %s to %s", part, local);
    if (rc) {
        unlink(part);
        return rc;
    }
    const char *slash = strrchr(local, '/');
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - local) : 1, slash ? local : ".");
    return hg_dir_sync(dir[0] ? dir : "/", err);
}

enum hg_rc hg_store_delete(struct hg_store *s, const char *path, struct hg_err *err)
{
    HG_TRY(check_path(path, false, err));
    return s->ops->remove(s->impl, path, err);
}

enum hg_rc hg_store_list(struct hg_store *s, const char *prefix, hg_store_list_fn *fn, void *arg, struct hg_err *err)
{
    HG_TRY(check_path(prefix ? prefix : "", true, err));
    return s->ops->list(s->impl, prefix ? prefix : "", fn, arg, err);
}
