#include "query/profile.h"

#include <string.h>

#include "segment/segment.h"

/* The figures in the order in which they are written. New ones come last: a reader that does not know them skips them, and those that did not come are 0. */
#define FIGURES 15u
static void figures(struct hg_profile *p, int64_t *v[FIGURES])
{
    struct hg_exec_stats *s = &p->stats;
    int64_t *all[FIGURES] = {&s->rows_scanned, &s->rows_selected, &s->blocks, &s->blocks_read, &s->blocks_from_stats, &s->bytes_read, &s->bytes_decoded, &s->projections, &s->projection_rows,
                             &s->projection_blocks, &p->in_time, &p->wait_us, &p->scan_us, &p->merge_us, &p->elapsed_us};
    memcpy(v, all, sizeof all);
}

static int64_t sum(int64_t a, int64_t b) /* what others send may be anything */
{
    int64_t s;
    return __builtin_add_overflow(a, b, &s) ? INT64_MAX : s;
}

void hg_profile_tell(struct hg_profile *p, enum hg_told what, const char *name, int64_t n)
{
    char cut[HG_TOLD_NAME];
    if (!p || !name) return;
    size_t len = strlen(name);
    if (len >= sizeof cut)
        for (len = sizeof cut - 1; len && ((unsigned char)name[len] & 0xc0) == 0x80;) len--; /* not within a character */
    memcpy(cut, name, len);
    cut[len] = 0;
    for (uint32_t k = 0; k < p->n_names; k++) {
        if (p->names[k].what != what || strcmp(p->names[k].name, cut) != 0) continue;
        p->names[k].n = sum(p->names[k].n, n);
        return;
    }
    if (p->n_names == HG_TOLD_MOST) return;
    struct hg_told_name *t = &p->names[p->n_names++];
    t->what = what;
    t->n = n;
    memcpy(t->name, cut, len + 1);
}

void hg_exec_stats_add(struct hg_exec_stats *to, const struct hg_exec_stats *s)
{
    struct hg_profile a = {.stats = *to}, b = {.stats = *s};
    hg_profile_add(&a, &b);
    *to = a.stats;
}

void hg_profile_add(struct hg_profile *to, const struct hg_profile *p)
{
    struct hg_profile from = *p;
    int64_t *a[FIGURES], *b[FIGURES];
    figures(to, a);
    figures(&from, b);
    for (uint32_t k = 0; k < FIGURES; k++) *a[k] = sum(*a[k], *b[k]);
    for (uint32_t k = 0; k < p->n_names; k++) hg_profile_tell(to, p->names[k].what, p->names[k].name, p->names[k].n);
}

/* ---- scans ---- */

struct hg_reading hg_profile_begin(const struct hg_exec *x)
{
    struct hg_reading r = {0, 0};
    if (x->profile) hg_segment_bytes_read(&r.stored, &r.raw);
    return r;
}

void hg_profile_end(struct hg_exec *x, struct hg_reading began)
{
    struct hg_reading now = hg_profile_begin(x);
    x->stats.bytes_read += now.stored - began.stored;
    x->stats.bytes_decoded += now.raw - began.raw;
}

void hg_profile_source(struct hg_exec *x, const struct hg_source *src, const struct hg_interval *ivs, uint32_t n_ivs)
{
    bool meets = false;
    for (uint32_t k = 0; k < n_ivs && x->profile && src->n_rows && !meets; k++) meets = !hg_interval_empty(hg_interval_cut(ivs[k], src->times));
    if (meets) x->profile->in_time++;
}

struct hg_mark hg_profile_mark(const struct hg_exec *x)
{
    if (!x->profile) return (struct hg_mark){0, 0};
    return (struct hg_mark){x->stats.blocks_read + x->stats.blocks_from_stats, x->profile->in_time};
}

enum hg_fate hg_profile_fate(const struct hg_query *q, const struct hg_exec *x, struct hg_mark before)
{
    struct hg_mark now = hg_profile_mark(x);
    if (q->type == HG_Q_SEGMENT_METADATA || now.blocks > before.blocks) return HG_FATE_READ; /* of every segment something is told */
    return now.in_time > before.in_time ? HG_FATE_BY_FILTER : HG_FATE_BY_TIME;
}

/* ---- between servers ---- */

void hg_profile_encode(const struct hg_profile *p, const uint8_t *fates, uint32_t n, struct hg_buf *out)
{
    struct hg_profile copy = *p;
    int64_t *v[FIGURES];
    figures(&copy, v);
    hg_buf_varint(out, FIGURES);
    for (uint32_t k = 0; k < FIGURES; k++) hg_buf_varint(out, *v[k] > 0 ? (uint64_t)*v[k] : 0);
    hg_buf_varint(out, p->n_names);
    for (uint32_t k = 0; k < p->n_names; k++) {
        hg_buf_u8(out, (uint8_t)p->names[k].what);
        hg_buf_str(out, hg_str_of(p->names[k].name));
        hg_buf_varint(out, p->names[k].n > 0 ? (uint64_t)p->names[k].n : 0);
    }
    hg_buf_varint(out, n);
    if (n) hg_buf_put(out, fates, n);
}

static bool figure(struct hg_rd *r, int64_t *out)
{
    uint64_t v = hg_rd_varint(r);
    *out = (int64_t)v;
    return !r->bad && v <= INT64_MAX;
}

static bool get_figures(struct hg_rd *r, struct hg_profile *p)
{
    int64_t *v[FIGURES], unknown;
    uint32_t n = hg_rd_count(r, 1);
    figures(p, v);
    for (uint32_t k = 0; k < n && !r->bad; k++)
        if (!figure(r, k < FIGURES ? v[k] : &unknown)) return false;
    return !r->bad;
}

static bool get_name(struct hg_rd *r, struct hg_profile *p)
{
    char z[HG_TOLD_NAME];
    uint8_t what = hg_rd_u8(r);
    struct hg_str name = hg_rd_str(r);
    int64_t n;
    if (!figure(r, &n) || !name.p || name.len >= sizeof z || memchr(name.p, 0, name.len) || what < 1) return false;
    memcpy(z, name.p, name.len);
    z[name.len] = 0;
    if (what <= HG_TOLD_KINDS) hg_profile_tell(p, (enum hg_told)what, z, n);
    return true;
}

enum hg_rc hg_profile_decode(struct hg_span bytes, uint32_t n, struct hg_profile *out, const uint8_t **fates, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(bytes);
    *out = (struct hg_profile){0};
    bool ok = get_figures(&r, out);
    uint32_t names = ok ? hg_rd_count(&r, 3) : 0;
    for (uint32_t k = 0; k < names && ok; k++) ok = get_name(&r, out);
    uint32_t found = ok ? hg_rd_count(&r, 1) : 0;
    ok = ok && !r.bad && found == n && hg_rd_left(&r) == n;
    *fates = r.p;
    for (uint32_t k = 0; k < n && ok; k++) ok = r.p[k] <= HG_FATE_READ;
    return ok ? HG_OK : hg_fail(err, HG_E_CORRUPT, "profile of %u segments: malformed, %zu bytes", n, bytes.len);
}
