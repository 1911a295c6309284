/* A block on disk, little endian:
 *
 *   u64 XXH3 of what follows | u32 packed bytes | u32 unpacked bytes | zstd frame */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "query/agg/states.h"
#include "query/query.h"
#include "query/spill/spill.h"

#define HEAD 16u
#define LEVEL 1                        /* runs are read once: speed counts */
#define MAX_BLOCK ((size_t)1 << 30)    /* one group's states are never so large */

struct hg_spill_file {
    struct hg_spill *s;
    struct hg_budget *budget;
    int fd;
    int64_t len, at;         /* bytes written; read */
    uint32_t largest;        /* unpacked, of the blocks written */
    uint8_t *packed, *raw;
    size_t cap_packed, cap_raw, counted;
};

void hg_spill_init(struct hg_spill *s, const char *dir, int64_t max_bytes, const struct hg_query *q)
{
    const struct hg_query_context *c = &q->ctx;
    if (c->max_on_disk >= 0 && c->max_on_disk < max_bytes) max_bytes = c->max_on_disk;
    s->dir = dir && *dir && max_bytes > 0 ? dir : NULL;
    s->max_bytes = max_bytes;
    s->max_groups = c->max_groups;
    atomic_init(&s->held, 0);
    atomic_init(&s->counted, false);
}

/* ---- files ---- */

static int open_unnamed(const char *dir, struct hg_err *err)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0) return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) {
        (void)hg_fail(err, HG_E_IO, "spilling to %s: %s", dir, strerror(errno));
        return -1;
    }
    char path[4096]; /* a file system without unnamed files */
    int n = snprintf(path, sizeof path, "%s/henge-spill-XXXXXX", dir);
    fd = n > 0 && (size_t)n < sizeof path ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd < 0) (void)hg_fail(err, HG_E_IO, "spilling to %s: %s", dir, strerror(errno));
    else unlink(path);
    return fd;
}

enum hg_rc hg_spill_adopt(struct hg_spill *s, struct hg_budget *b, int fd, int64_t len, uint32_t largest, struct hg_spill_file **out, struct hg_err *err)
{
    struct hg_spill_file *f = calloc(1, sizeof *f);
    if (!f) {
        close(fd);
        return hg_fail(err, HG_E_NOMEM, "spilling");
    }
    *f = (struct hg_spill_file){.s = s, .budget = b, .fd = fd, .len = len, .largest = largest};
    atomic_fetch_add(&s->held, len);
    hg_metric_add(HG_M_query_spill_held, NULL, len);
    *out = f;
    return HG_OK;
}

enum hg_rc hg_spill_open(struct hg_spill *s, struct hg_budget *b, struct hg_spill_file **out, struct hg_err *err)
{
    int fd = open_unnamed(s->dir, err);
    if (fd < 0) return HG_E_IO;
    HG_TRY(hg_spill_adopt(s, b, fd, 0, 0, out, err));
    hg_metric_add(HG_M_query_spill_runs, NULL, 1);
    if (!atomic_exchange(&s->counted, true)) hg_metric_add(HG_M_query_spilled, NULL, 1);
    return HG_OK;
}

void hg_spill_close(struct hg_spill_file *f)
{
    if (!f) return;
    close(f->fd);
    atomic_fetch_sub(&f->s->held, f->len);
    hg_metric_add(HG_M_query_spill_held, NULL, -f->len);
    free(f->packed);
    free(f->raw);
    hg_budget_give(f->budget, f->counted);
    free(f);
}

int64_t hg_spill_bytes(const struct hg_spill_file *f) { return f->len; }
void hg_spill_rewind(struct hg_spill_file *f) { f->at = 0; }

static enum hg_rc room(struct hg_spill_file *f, uint8_t **p, size_t *cap, size_t want, struct hg_err *err)
{
    if (want <= *cap) return HG_OK;
    HG_TRY(hg_counted_grow(f->budget, &f->counted, (void **)p, *cap, want, 1, "a block of spilled groups", err));
    *cap = want;
    return HG_OK;
}

/* ---- writing ---- */

static enum hg_rc take_disk(struct hg_spill_file *f, int64_t n, struct hg_err *err)
{
    struct hg_spill *s = f->s;
    if (atomic_fetch_add(&s->held, n) + n <= s->max_bytes) return HG_OK;
    atomic_fetch_sub(&s->held, n);
    return hg_fail(err, HG_E_LIMIT,
                   "Resource limit exceeded: the query's groups take more than %" PRId64 " bytes on disk (query.spill.max.bytes, context maxOnDiskStorage); ask for fewer groups", s->max_bytes);
}

enum hg_rc hg_spill_put(struct hg_spill_file *f, struct hg_span block, struct hg_err *err)
{
    if (block.len > MAX_BLOCK) return hg_fail(err, HG_E_LIMIT, "Resource limit exceeded: the states of a group take %zu bytes", block.len);
    size_t most = ZSTD_compressBound(block.len);
    HG_TRY(room(f, &f->packed, &f->cap_packed, HEAD + most, err));
    size_t n = ZSTD_compress(f->packed + HEAD, most, block.p, block.len, LEVEL);
    if (ZSTD_isError(n)) return hg_fail(err, HG_E_NOMEM, "spilling: %s", ZSTD_getErrorName(n));
    uint32_t sizes[2] = {(uint32_t)n, (uint32_t)block.len};
    memcpy(f->packed + 8, sizes, sizeof sizes);
    uint64_t sum = hg_xxh3(f->packed + 8, HEAD - 8 + n);
    memcpy(f->packed, &sum, sizeof sum);
    HG_TRY(take_disk(f, (int64_t)(HEAD + n), err));
    if (!hg_file_put(f->fd, f->packed, HEAD + n)) {
        atomic_fetch_sub(&f->s->held, (int64_t)(HEAD + n));
        return hg_fail(err, HG_E_IO, "spilling to %s: writing: %s", f->s->dir ? f->s->dir : "a file", strerror(errno));
    }
    f->len += (int64_t)(HEAD + n);
    if (block.len > f->largest) f->largest = (uint32_t)block.len;
    hg_metric_add(HG_M_query_spill_held, NULL, (int64_t)(HEAD + n));
    hg_metric_add(HG_M_query_spilled_bytes, NULL, (int64_t)(HEAD + n));
    return HG_OK;
}

/* ---- reading ---- */

static enum hg_rc bad(const struct hg_spill_file *f, const char *what, struct hg_err *err)
{
    return hg_fail(err, HG_E_CORRUPT, "spilled groups: block at %" PRId64 " of %" PRId64 " bytes: %s", f->at, f->len, what);
}

static enum hg_rc read_at(const struct hg_spill_file *f, uint8_t *to, size_t n, int64_t at, struct hg_err *err)
{
    while (n) {
        ssize_t k = pread(f->fd, to, n, at);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return hg_fail(err, HG_E_IO, "spilled groups: reading: %s", strerror(errno));
        if (k == 0) return bad(f, "the file is cut off", err);
        to += k;
        at += k;
        n -= (size_t)k;
    }
    return HG_OK;
}

enum hg_rc hg_spill_get(struct hg_spill_file *f, struct hg_span *block, bool *more, struct hg_err *err)
{
    *more = f->at < f->len;
    if (!*more) return HG_OK;
    if (f->len - f->at < HEAD) return bad(f, "cut off", err);
    uint8_t head[HEAD];
    HG_TRY(read_at(f, head, HEAD, f->at, err));
    uint32_t n = hg_le32(head + 8), size = hg_le32(head + 12);
    if (n > f->len - f->at - HEAD || size > f->largest) return bad(f, "larger than what was written", err);
    HG_TRY(room(f, &f->packed, &f->cap_packed, HEAD + (size_t)n, err));
    HG_TRY(room(f, &f->raw, &f->cap_raw, size, err));
    memcpy(f->packed, head, HEAD);
    HG_TRY(read_at(f, f->packed + HEAD, n, f->at + HEAD, err));
    if (hg_xxh3(f->packed + 8, HEAD - 8 + n) != hg_le64(head)) return bad(f, "its checksum is another", err);
    size_t got = ZSTD_decompress(f->raw, size, f->packed + HEAD, n);
    if (ZSTD_isError(got) || got != size) return bad(f, "it does not unpack", err);
    f->at += HEAD + (int64_t)n;
    *block = (struct hg_span){f->raw, size};
    return HG_OK;
}
