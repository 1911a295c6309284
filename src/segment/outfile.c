#include "segment/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/file.h"

#define WINDOW ((size_t)1 << 20)

struct hg_outfile {
    int fd;
    char *path, *tmp;
    uint64_t at;   /* bytes put */
    size_t fill;   /* of which not yet written */
    XXH3_state_t *hash;
    uint8_t window[WINDOW];
};

static void outfile_free(struct hg_outfile *f)
{
    if (f->fd >= 0) close(f->fd);
    XXH3_freeState(f->hash);
    free(f->path);
    free(f->tmp);
    free(f);
}

enum hg_rc hg_outfile_open(const char *path, struct hg_outfile **out, struct hg_err *err)
{
    struct hg_outfile *f = malloc(sizeof *f);
    if (!f) return hg_fail(err, HG_E_NOMEM, "writing %s", path);
    f->fd = -1;
    f->at = f->fill = 0;
    f->hash = XXH3_createState();
    size_t len = strlen(path) + 32;
    f->path = strdup(path);
    f->tmp = malloc(len);
    enum hg_rc rc = HG_OK;
    if (!f->hash || !f->path || !f->tmp) {
        rc = hg_fail(err, HG_E_NOMEM, "writing %s", path);
    } else {
        XXH3_64bits_reset(f->hash);
        snprintf(f->tmp, len, "%s.tmp.%ld", path, (long)getpid());
        f->fd = open(f->tmp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        if (f->fd < 0 && errno == EEXIST && unlink(f->tmp) == 0) /* left by an earlier process of this number */
            f->fd = open(f->tmp, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
        if (f->fd < 0) rc = hg_fail_errno(err, HG_E_IO, "creating %s", f->tmp);
    }
    if (rc != HG_OK) {
        outfile_free(f);
        return rc;
    }
    *out = f;
    return HG_OK;
}

static enum hg_rc flush(struct hg_outfile *f, struct hg_err *err)
{
    if (!hg_file_put(f->fd, f->window, f->fill)) return hg_fail_errno(err, HG_E_IO, "writing %s at %llu", f->tmp, (unsigned long long)(f->at - f->fill));
    f->fill = 0;
    return HG_OK;
}

enum hg_rc hg_outfile_put(struct hg_outfile *f, const void *p, size_t n, struct hg_err *err)
{
    const uint8_t *b = p;
    if (n == 0) return HG_OK;
    if (XXH3_64bits_update(f->hash, p, n) != XXH_OK) return hg_fail(err, HG_E_NOMEM, "hashing %s", f->tmp);
    while (n) {
        if (f->fill == 0 && n >= WINDOW) { /* a bitmap index, say: not by way of the window */
            size_t whole = n - n % WINDOW;
            if (!hg_file_put(f->fd, b, whole)) return hg_fail_errno(err, HG_E_IO, "writing %s at %llu", f->tmp, (unsigned long long)f->at);
            f->at += whole;
            b += whole;
            n -= whole;
            continue;
        }
        size_t m = WINDOW - f->fill < n ? WINDOW - f->fill : n;
        memcpy(f->window + f->fill, b, m);
        f->fill += m;
        f->at += m;
        b += m;
        n -= m;
        if (f->fill == WINDOW) HG_TRY(flush(f, err));
    }
    return HG_OK;
}

enum hg_rc hg_outfile_align(struct hg_outfile *f, unsigned align, struct hg_err *err)
{
    static const uint8_t zeros[64];
    return hg_outfile_put(f, zeros, (size_t)((align - f->at % align) % align), err);
}

uint64_t hg_outfile_at(const struct hg_outfile *f) { return f->at; }

enum hg_rc hg_outfile_map(struct hg_outfile *f, struct hg_span *out, struct hg_err *err)
{
    HG_TRY(flush(f, err));
    return hg_file_map(f->tmp, out, err);
}

enum hg_rc hg_outfile_commit(struct hg_outfile *f, uint64_t *bytes, uint64_t *hash, struct hg_err *err)
{
    enum hg_rc rc = flush(f, err);
    if (rc == HG_OK && fsync(f->fd) != 0) rc = hg_fail_errno(err, HG_E_IO, "fsync of %s", f->tmp);
    if (rc == HG_OK && rename(f->tmp, f->path) != 0) rc = hg_fail_errno(err, HG_E_IO, "renaming %s to %s", f->tmp, f->path);
    if (rc != HG_OK) {
        hg_outfile_abort(f);
        return rc;
    }
    *bytes = f->at;
    *hash = XXH3_64bits_digest(f->hash);
    char *dir = strdup(f->path);
    rc = dir ? hg_dir_sync(dirname(dir), err) : hg_fail(err, HG_E_NOMEM, "writing %s", f->path);
    free(dir);
    if (rc != HG_OK) unlink(f->path);
    outfile_free(f);
    return rc;
}

void hg_outfile_abort(struct hg_outfile *f)
{
    if (!f) return;
    unlink(f->tmp);
    outfile_free(f);
}
