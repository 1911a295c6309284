/* A resident segment is an image of its file, in one locked mapping, in which every block has codec none:
 *
 *   head │ column: dictionary, block, block, …, directory, bitmap table, bitmap sets │ column … │ footer │ tail
 *
 * It is a valid segment file, so that what reads files reads it, and nothing else has to know. The footer has the same length as the file's: only places and checksums in it
 * change. The image is read-only once it is made. */
#include "segment/resident.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "segment/bitpack.h"
#include "segment/segment_private.h"

/* ---- the pool ---- */

struct hg_resident_pool {
    struct hg_budget budget;
};

static const char advice[] = "raise it (systemd: LimitMEMLOCK=infinity; shell: ulimit -l unlimited; docker: --ulimit memlock=-1) or give the process CAP_IPC_LOCK";

static uint64_t whole_pages(uint64_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (n + page - 1) / page * page;
}

static void limit_text(char *buf, size_t cap)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_MEMLOCK, &l) != 0) snprintf(buf, cap, "unknown");
    else if (l.rlim_cur == RLIM_INFINITY) snprintf(buf, cap, "unlimited");
    else snprintf(buf, cap, "%" PRIu64 " bytes", (uint64_t)l.rlim_cur);
}

/* Locks n bytes of addresses that no memory stands behind: the kernel counts them against the limit all the same. */
static bool may_lock(size_t n)
{
    void *p = mmap(NULL, n, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return false;
    bool ok = mlock2(p, n, MLOCK_ONFAULT) == 0;
    munmap(p, n);
    return ok;
}

enum hg_rc hg_resident_pool_new(int64_t capacity_bytes, struct hg_resident_pool **out, struct hg_err *err)
{
    int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    if (capacity_bytes < 1 || capacity_bytes > machine)
        return hg_fail(err, HG_E_INVALID, "capacity of %" PRId64 " bytes for segments in locked memory: the machine has %" PRId64 " bytes of memory, some of which others need", capacity_bytes, machine);
    struct rlimit l;
    if (!may_lock((size_t)capacity_bytes) && getrlimit(RLIMIT_MEMLOCK, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        if (setrlimit(RLIMIT_MEMLOCK, &l) != 0 || !may_lock((size_t)capacity_bytes)) {
            char have[32];
            limit_text(have, sizeof have);
            return hg_fail(err, HG_E_LIMIT, "capacity of %" PRId64 " bytes for segments in locked memory: this process may lock less, its limit RLIMIT_MEMLOCK is %s; %s", capacity_bytes, have, advice);
        }
    }
    struct hg_resident_pool *p = malloc(sizeof *p);
    if (!p) return hg_fail(err, HG_E_NOMEM, "pool of resident segments");
    hg_budget_init(&p->budget, NULL, "segments in locked memory", capacity_bytes);
    hg_metric_add(HG_M_resident_capacity, NULL, capacity_bytes);
    *out = p;
    return HG_OK;
}

void hg_resident_pool_free(struct hg_resident_pool *pool)
{
    if (!pool) return;
    assert(hg_resident_pool_used(pool) == 0);
    hg_metric_add(HG_M_resident_capacity, NULL, -pool->budget.limit);
    free(pool);
}

int64_t hg_resident_pool_capacity(const struct hg_resident_pool *pool) { return pool->budget.limit; }
int64_t hg_resident_pool_used(const struct hg_resident_pool *pool) { return atomic_load_explicit(&pool->budget.used, memory_order_relaxed); }

static enum hg_rc lock_memory(struct hg_resident_pool *pool, size_t n, uint8_t **out, struct hg_err *err)
{
    HG_TRY(hg_budget_take(&pool->budget, n, err));
    enum hg_rc rc = HG_OK;
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        rc = hg_fail_errno(err, HG_E_NOMEM, "mapping %zu bytes", n);
    } else {
        madvise(p, n, MADV_HUGEPAGE); /* advice: what cannot be followed is no fault */
        madvise(p, n, MADV_DONTDUMP); /* a core of a hot node would be as large as the node */
        if (mlock2(p, n, 0) != 0) { /* as mlock, which the sanitizers make do nothing */
            int e = errno;
            char have[32];
            limit_text(have, sizeof have);
            errno = e;
            rc = hg_fail(err, HG_E_LIMIT, "cannot lock %zu bytes in memory (%m): RLIMIT_MEMLOCK is %s; %s", n, have, advice);
            munmap(p, n);
        }
    }
    if (rc != HG_OK) {
        hg_budget_give(&pool->budget, n);
        return rc;
    }
    hg_metric_add(HG_M_resident_bytes, NULL, (int64_t)n);
    *out = p;
    return HG_OK;
}

static void unlock_memory(struct hg_resident_pool *pool, const uint8_t *p, size_t n)
{
    munmap((void *)(uintptr_t)p, n);
    hg_budget_give(&pool->budget, n);
    hg_metric_add(HG_M_resident_bytes, NULL, -(int64_t)n);
}

void hg_segment_unlock(struct hg_segment *seg)
{
    unlock_memory(seg->pool, seg->file.p, (size_t)whole_pages(seg->file.len));
    seg->pool = NULL;
}

/* ---- the image ---- */

static uint64_t aligned(uint64_t at) { return (at + HG_SEG_ALIGN - 1) / HG_SEG_ALIGN * HG_SEG_ALIGN; }

/* Lays out the columns as copy_column does. */
static uint64_t image_bytes(const struct hg_segment *seg)
{
    uint64_t at = HG_SEG_HEAD;
    for (uint32_t k = 0; k < seg->source.n_cols; k++) {
        const struct hg_segcol *sc = &seg->cols[k];
        at = aligned(at) + sc->dict_at.len;
        for (uint32_t b = 0; b < hg_source_blocks(&seg->source); b++) at = aligned(at) + hg_le32(sc->dir + (size_t)b * HG_SEG_BLOCK + 12);
        at = aligned(at) + sc->dir_at.len;
        at = aligned(at) + sc->bmi_dir_at.len;
        at = aligned(at) + sc->bmi_data_at.len;
        at = aligned(at) + sc->entities_at.len;
    }
    for (uint32_t k = 0; k < seg->source.n_projections; k++) at = aligned(at) + image_bytes(seg->projections[k].seg);
    return aligned(at) + seg->footer_bytes + HG_SEG_TAIL;
}

uint64_t hg_segment_resident_bytes(const struct hg_segment *seg) { return whole_pages(seg->pool ? seg->file.len : image_bytes(seg)); }
bool hg_segment_resident(const struct hg_segment *seg) { return seg->pool != NULL; }

struct image {
    const struct hg_segment *seg;
    uint8_t *p;
    uint64_t at;
    uint8_t *footer; /* the file's, changed in place */
};

static void put_u64(uint8_t *p, uint64_t v) { memcpy(p, &v, 8); }

/* Copies a section and lists it in the footer at *ref. */
static void copy_section(struct image *im, const struct hg_seg_section *s, size_t *ref)
{
    im->at = aligned(im->at);
    if (s->len) memcpy(im->p + im->at, im->seg->file.p + s->off, (size_t)s->len);
    put_u64(im->footer + *ref, im->at);
    *ref += 24;
    im->at += s->len;
}

static enum hg_rc copy_blocks(struct image *im, const struct hg_segcol *sc, struct hg_arena *a, struct hg_buf *dir, struct hg_err *err)
{
    struct hg_colread *r;
    HG_TRY(sc->col->ops->open(sc->col, a, &r, err));
    for (uint32_t b = 0, n = hg_source_blocks(&im->seg->source); b < n; b++) {
        struct hg_seg_block e;
        hg_seg_block_get(sc->dir + (size_t)b * HG_SEG_BLOCK, &e);
        im->at = aligned(im->at);
        HG_TRY(hg_segcol_unpack(r, b, im->p + im->at, err)); /* the slack after it is written before what comes there */
        e.off = im->at;
        e.stored = e.raw;
        e.codec = HG_CODEC_NONE;
        e.hash = hg_xxh3(im->p + im->at, e.raw);
        hg_seg_block_put(dir, &e);
        im->at += e.raw;
    }
    return hg_buf_check(dir, "block directory", err);
}

static enum hg_rc copy_column(struct image *im, const struct hg_segcol *sc, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "segment in memory");
    struct hg_buf dir;
    hg_buf_init(&dir, (size_t)sc->dir_at.len + HG_SEG_BLOCK);
    size_t ref = sc->refs_at, rest = ref + 24;
    bool string = sc->col->type == HG_T_STRING;
    im->at = aligned(im->at);
    if (string) copy_section(im, &sc->dict_at, &rest);
    enum hg_rc rc = copy_blocks(im, sc, a, &dir, err);
    if (rc == HG_OK) {
        im->at = aligned(im->at);
        if (dir.len) memcpy(im->p + im->at, dir.p, dir.len);
        put_u64(im->footer + ref, im->at);
        put_u64(im->footer + ref + 16, hg_xxh3(dir.p, dir.len));
        im->at += dir.len;
        if (sc->flags & HG_SEGCOL_BITMAP) {
            copy_section(im, &sc->bmi_dir_at, &rest);
            copy_section(im, &sc->bmi_data_at, &rest);
        }
        if (sc->flags & HG_SEGCOL_ENTITY) copy_section(im, &sc->entities_at, &rest);
    }
    hg_buf_free(&dir);
    hg_arena_free(a);
    return rc;
}

static enum hg_rc make_image(const struct hg_segment *seg, uint8_t *p, size_t n, struct hg_span *out, struct hg_err *err);

/* A projection is an image within the image. */
static enum hg_rc copy_projection(struct image *im, const struct hg_segproj *sp, size_t n, struct hg_err *err)
{
    struct hg_span made;
    im->at = aligned(im->at);
    HG_TRY(make_image(sp->seg, im->p + im->at, n - im->at, &made, err));
    put_u64(im->footer + sp->ref_at, im->at);
    put_u64(im->footer + sp->ref_at + 8, made.len);
    im->at += made.len;
    return HG_OK;
}

static enum hg_rc fill_image(struct image *im, size_t n, struct hg_err *err)
{
    const struct hg_segment *seg = im->seg;
    memcpy(im->p, seg->file.p, HG_SEG_HEAD);
    im->at = HG_SEG_HEAD;
    for (uint32_t k = 0; k < seg->source.n_cols; k++) HG_TRY(copy_column(im, &seg->cols[k], err));
    for (uint32_t k = 0; k < seg->source.n_projections; k++) HG_TRY(copy_projection(im, &seg->projections[k], n, err));
    uint64_t footer = aligned(im->at), len = seg->footer_bytes;
    assert(footer + len + HG_SEG_TAIL <= n);
    memcpy(im->p + footer, im->footer, (size_t)len);
    uint8_t *tail = im->p + footer + len;
    put_u64(tail, footer);
    put_u64(tail + 8, len);
    put_u64(tail + 16, hg_xxh3(im->footer, (size_t)len));
    memcpy(tail + 24, HG_SEG_END_MAGIC, 8);
    im->at = footer + len + HG_SEG_TAIL;
    return HG_OK;
}

static enum hg_rc make_image(const struct hg_segment *seg, uint8_t *p, size_t n, struct hg_span *out, struct hg_err *err)
{
    struct image im = {.seg = seg, .p = p, .footer = malloc((size_t)seg->footer_bytes)};
    if (!im.footer) return hg_fail(err, HG_E_NOMEM, "footer");
    memcpy(im.footer, seg->file.p + seg->file.len - HG_SEG_TAIL - seg->footer_bytes, (size_t)seg->footer_bytes);
    enum hg_rc rc = fill_image(&im, n, err);
    free(im.footer);
    *out = (struct hg_span){p, (size_t)im.at};
    return rc;
}

/* Blocks were checked as they were copied; the sets of rows are now. */
static enum hg_rc check_image(struct hg_segment *seg, const struct hg_segment *file, struct hg_err *err)
{
    for (uint32_t k = 0; k < seg->source.n_cols; k++) {
        struct hg_segcol *sc = &seg->cols[k];
        for (uint32_t b = 0, n = hg_source_blocks(&seg->source); b < n; b++) atomic_store_explicit(&sc->state[b], HG_SEGBLK_SUMMED | HG_SEGBLK_CHECKED, memory_order_relaxed);
        struct hg_bmi_stat st;
        enum hg_rc rc = sc->bmi ? hg_bmi_stat(sc->bmi, &st, err) : HG_OK;
        if (rc != HG_OK) return hg_err_context(err, rc, "segment %s: column %s at %llu", seg->name, sc->col->name, (unsigned long long)file->cols[k].bmi_data_at.off);
    }
    for (uint32_t k = 0; k < seg->source.n_projections; k++) HG_TRY(check_image(seg->projections[k].seg, file->projections[k].seg, err));
    return HG_OK;
}

enum hg_rc hg_segment_make_resident(struct hg_segment *seg, struct hg_resident_pool *pool, struct hg_err *err)
{
    if (seg->pool) return HG_OK;
    size_t n = (size_t)whole_pages(image_bytes(seg));
    uint8_t *p;
    enum hg_rc rc = lock_memory(pool, n, &p, err);
    if (rc != HG_OK) return hg_err_context(err, rc, "segment %s", seg->name);
    if (seg->mapped) madvise((void *)(uintptr_t)seg->file.p, seg->file.len, MADV_WILLNEED);
    const struct hg_segment file = *seg;
    struct hg_span image;
    rc = make_image(&file, p, n, &image, err);
    if (rc == HG_OK) {
        /* In place: whoever holds the segment or its source keeps the pointer. */
        *seg = (struct hg_segment){.uid = file.uid, .file_bytes = file.file_bytes, .pool = pool};
        rc = hg_segment_read(seg, image, file.name, err);
        if (rc == HG_OK && (rc = check_image(seg, &file, err)) != HG_OK) hg_segment_unread(seg);
        if (rc != HG_OK) *seg = file;
    }
    if (rc != HG_OK) {
        unlock_memory(pool, p, n);
        return rc;
    }
    if (mprotect(p, n, PROT_READ) != 0) { /* then a stray write is not caught, that is all */ }
    struct hg_segment old = file;
    hg_segment_unread(&old);
    if (file.mapped) hg_file_unmap(file.file);
    return HG_OK;
}
