#include "segment/segment.h"

#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/gran_json.h"
#include "segment/dict.h"
#include "segment/entity.h"
#include "segment/segment_private.h"

#define MAX_COLUMNS 16384u

/* Numbers that no other segment of the process has. */
static uint64_t next_uid(void)
{
    static _Atomic uint64_t uids;
    return atomic_fetch_add_explicit(&uids, 1, memory_order_relaxed);
}

struct opening { /* what the checks share */
    struct hg_segment *seg;
    uint64_t body_end; /* sections lie in [HG_SEG_HEAD, body_end) */
    const uint8_t *footer;
    struct hg_err *err;
};

static bool section_ok(const struct opening *o, const struct hg_seg_section *s)
{
    return s->off >= HG_SEG_HEAD && s->off % HG_SEG_ALIGN == 0 && s->off <= o->body_end && s->len <= o->body_end - s->off;
}
static struct hg_span section_bytes(const struct opening *o, const struct hg_seg_section *s) { return (struct hg_span){o->seg->file.p + s->off, (size_t)s->len}; }

static enum hg_rc read_section(struct opening *o, struct hg_rd *r, const char *col, const char *what, bool summed, struct hg_seg_section *s)
{
    s->off = hg_rd_u64(r);
    s->len = hg_rd_u64(r);
    s->sum = hg_rd_u64(r);
    if (r->bad || !section_ok(o, s)) return hg_fail(o->err, HG_E_CORRUPT, "column %s: %s, %llu bytes at %llu, is outside of the file", col, what, (unsigned long long)s->len, (unsigned long long)s->off);
    if (!summed) return HG_OK;
    struct hg_span b = section_bytes(o, s);
    uint64_t got;
    if (!hg_seg_sum_ok(b, s->sum, &got))
        return hg_fail(o->err, HG_E_CORRUPT, "column %s: %s at %llu: checksum %016llx, want %016llx", col, what, (unsigned long long)s->off, (unsigned long long)got, (unsigned long long)s->sum);
    return HG_OK;
}

/* One directory entry against what its column can be. */
static const char *block_fault(const struct opening *o, const struct hg_column *c, const struct hg_seg_block *e, uint32_t rows)
{
    const struct hg_seg_section at = {e->off, e->stored, 0};
    if (!section_ok(o, &at)) return "lies outside of the file";
    if (e->rows != rows) return "has another number of rows";
    if (e->nulls > e->rows) return "has more nulls than rows";
    if (e->codec > HG_CODEC_ZSTD || (e->codec == HG_CODEC_NONE && e->raw != e->stored)) return "has a broken codec or length";
    if (e->flags & ~(HG_SEGBLK_RANGE | HG_SEGBLK_SUM)) return "has unknown flags";
    if (e->raw > (hg_type_is_number(c->type) || (c->type == HG_T_STRING && !c->multi) ? HG_BLOCK_ROWS * 24u : HG_SEG_MAX_BLOCK)) return "claims too many bytes";
    if (c->type == HG_T_STRING && (e->flags & HG_SEGBLK_RANGE) && (e->min < 0 || e->max < e->min || e->max >= c->dict->card)) return "has ids that its dictionary lacks";
    if (hg_type_is_integer(c->type) && (e->flags & HG_SEGBLK_RANGE) && e->min > e->max) return "has a least value above its greatest";
    if (hg_type_is_integer(c->type) && !(e->flags & HG_SEGBLK_RANGE) && e->nulls < e->rows) return "lacks its range";
    if ((c->multi || hg_type_is_complex(c->type)) && (!(e->flags & HG_SEGBLK_SUM) || e->sum < 0 || e->sum > (c->multi ? HG_SEG_MAX_ITEMS : HG_SEG_MAX_BLOCK))) return "claims too many items";
    return NULL;
}

static enum hg_rc read_directory(struct opening *o, struct hg_column *c, struct hg_segcol *sc)
{
    uint32_t n = hg_source_blocks(&o->seg->source);
    if (sc->dir_at.len != (uint64_t)n * HG_SEG_BLOCK) return hg_fail(o->err, HG_E_CORRUPT, "column %s: block directory of %llu bytes for %u blocks", c->name, (unsigned long long)sc->dir_at.len, n);
    sc->dir = o->seg->file.p + sc->dir_at.off;
    sc->state = hg_arena_zalloc(o->seg->arena, n ? n : 1);
    if (!sc->state) return hg_arena_fail(o->seg->arena, "segment", o->err);
    bool nulls = false;
    for (uint32_t b = 0; b < n; b++) {
        struct hg_seg_block e;
        bool clean = hg_seg_block_get(sc->dir + (size_t)b * HG_SEG_BLOCK, &e);
        const char *fault = clean ? block_fault(o, c, &e, hg_block_rows(&o->seg->source, b)) : "has reserved bytes that are not zero";
        if (fault) return hg_fail(o->err, HG_E_CORRUPT, "column %s: block %u at %llu %s", c->name, b, (unsigned long long)e.off, fault);
        if (e.codec != HG_CODEC_NONE && e.raw > sc->max_raw) sc->max_raw = e.raw;
        if (c->multi && e.sum > sc->max_items) sc->max_items = (uint32_t)e.sum;
        nulls = nulls || e.nulls;
    }
    if (nulls != c->has_nulls) return hg_fail(o->err, HG_E_CORRUPT, "column %s: its null flag does not agree with its blocks", c->name);
    return HG_OK;
}

static void forget_common(void *slot) { hg_common_forget(slot); }

static enum hg_rc read_column(struct opening *o, struct hg_rd *r, uint32_t k, struct hg_column *c, struct hg_segcol *sc)
{
    struct hg_segment *seg = o->seg;
    struct hg_str name = hg_rd_str(r);
    uint8_t type = hg_rd_u8(r);
    sc->flags = hg_rd_u8(r);
    struct hg_str agg = hg_rd_str(r);
    c->lg_k = hg_rd_u8(r);
    sc->hll_bits = hg_rd_u8(r);
    bool metric = sc->flags & HG_SEGCOL_METRIC, string = type == HG_T_STRING;
    if (r->bad || !name.p || memchr(name.p, 0, name.len) || type < HG_T_STRING || type > HG_T_HYPERUNIQUE || (hg_type_is_complex((enum hg_type)type) && c->lg_k > HG_THETA_MAX_LG_K) || sc->flags > (seg->version >= HG_SEG_VERSION_ENTITIES ? 31 : 15) || metric != (agg.p != NULL) ||
        (!string && (sc->flags & (HG_SEGCOL_MULTI | HG_SEGCOL_BITMAP))) || ((sc->flags & HG_SEGCOL_ENTITY) && (metric || (!string && type != HG_T_LONG))))
        return hg_fail(o->err, HG_E_CORRUPT, "footer: entry of column %u is malformed", k);
    c->name = hg_arena_strndup(seg->arena, name.p, name.len);
    c->agg = agg.p ? hg_arena_strndup(seg->arena, agg.p, agg.len) : NULL;
    if (!c->name || (agg.p && !c->agg)) return hg_arena_fail(seg->arena, "segment", o->err);
    c->type = (enum hg_type)type;
    c->is_metric = metric;
    c->multi = sc->flags & HG_SEGCOL_MULTI;
    c->has_nulls = sc->flags & HG_SEGCOL_NULLS;
    c->ops = &hg_segcol_ops;
    c->src = &seg->source;
    c->impl = sc;
    sc->seg = seg;
    sc->col = c;
    if (k > 0 && seg->source.cols[k - 1].is_metric && !metric) return hg_fail(o->err, HG_E_CORRUPT, "footer: dimension %s stands after a metric", c->name);
    seg->n_dims += k > 0 && !metric;
    sc->refs_at = (size_t)(r->p - o->footer);
    if (k == 0 && (strcmp(c->name, "__time") != 0 || c->type != HG_T_LONG || metric || c->has_nulls)) return hg_fail(o->err, HG_E_CORRUPT, "footer: the first column is %s, not __time", c->name);
    HG_TRY(read_section(o, r, c->name, "block directory", true, &sc->dir_at));
    if (string) {
        HG_TRY(read_section(o, r, c->name, "dictionary", true, &sc->dict_at));
        enum hg_rc rc = hg_dict_open(seg->arena, section_bytes(o, &sc->dict_at), &c->dict, o->err);
        if (rc != HG_OK) return hg_err_context(o->err, rc, "column %s", c->name);
        sc->common = hg_arena_zalloc(seg->arena, sizeof *sc->common);
        if (!sc->common) return hg_arena_fail(seg->arena, "segment", o->err);
        HG_TRY(hg_arena_on_free(seg->arena, forget_common, sc->common, o->err));
    }
    if (sc->flags & HG_SEGCOL_BITMAP) {
        HG_TRY(read_section(o, r, c->name, "bitmap index table", true, &sc->bmi_dir_at));
        HG_TRY(read_section(o, r, c->name, "bitmap index", false, &sc->bmi_data_at));
        enum hg_rc rc = hg_bmi_open(seg->arena, section_bytes(o, &sc->bmi_dir_at), section_bytes(o, &sc->bmi_data_at), c->dict->card, seg->source.n_rows, seg->version >= HG_SEG_VERSION_ORDER, &sc->bmi, o->err);
        if (rc != HG_OK) return hg_err_context(o->err, rc, "column %s", c->name);
    }
    if (sc->flags & HG_SEGCOL_ENTITY) {
        struct hg_entity_summary sum;
        HG_TRY(read_section(o, r, c->name, "entity summary", true, &sc->entities_at));
        c->entities = section_bytes(o, &sc->entities_at);
        enum hg_rc rc = hg_entity_open(c->entities, &sum, o->err);
        if (rc == HG_OK && sum.integers != !string) rc = hg_fail(o->err, HG_E_CORRUPT, "entity summary of another type");
        if (rc != HG_OK) return hg_err_context(o->err, rc, "column %s", c->name);
    }
    return read_directory(o, c, sc);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static enum hg_rc check_names(struct opening *o)
{
    const struct hg_source *s = &o->seg->source;
    const char **names = malloc(s->n_cols * sizeof *names);
    if (!names) return hg_fail(o->err, HG_E_NOMEM, "column names");
    for (uint32_t k = 0; k < s->n_cols; k++) names[k] = s->cols[k].name;
    qsort(names, s->n_cols, sizeof *names, by_name);
    enum hg_rc rc = HG_OK;
    for (uint32_t k = 1; k < s->n_cols && rc == HG_OK; k++)
        if (strcmp(names[k - 1], names[k]) == 0) rc = hg_fail(o->err, HG_E_CORRUPT, "footer: column %s stands there twice", names[k]);
    free(names);
    return rc;
}

/* The blocks of __time follow each other, where rows ascend by it, and the footer's interval is theirs. */
static enum hg_rc check_times(struct opening *o)
{
    struct hg_source *s = &o->seg->source;
    struct hg_interval got = {0, 0};
    for (uint32_t b = 0, n = hg_source_blocks(s); b < n; b++) {
        struct hg_seg_block e;
        hg_seg_block_get(o->seg->cols[0].dir + (size_t)b * HG_SEG_BLOCK, &e);
        if (b && o->seg->time_at == 0 && e.min < got.end - 1) return hg_fail(o->err, HG_E_CORRUPT, "column __time: block %u at %llu starts before the one before it ends", b, (unsigned long long)e.off);
        if (e.min < HG_TIME_MIN || e.max > HG_TIME_MAX) return hg_fail(o->err, HG_E_CORRUPT, "column __time: block %u at %llu holds times past all calendars", b, (unsigned long long)e.off);
        if (b == 0 || e.min < got.start) got.start = e.min;
        if (b == 0 || e.max >= got.end) got.end = e.max + 1;
    }
    if (got.start != s->times.start || got.end != s->times.end) return hg_fail(o->err, HG_E_CORRUPT, "footer: its interval is not that of column __time");
    return HG_OK;
}

/* ---- projections ---- */

static enum hg_rc projection_fault(const struct opening *o, const char *name, const char *what)
{
    return hg_fail(o->err, HG_E_CORRUPT, "footer: projection %s %s", name, what);
}

/* Its columns against the base's. */
static enum hg_rc check_projection(struct opening *o, const struct hg_projection *p, const char *const *fields, uint32_t n_fields)
{
    const struct hg_source *base = &o->seg->source, *s = p->src;
    uint32_t first = 1;
    if (s->n_rows == 0 || s->n_rows > base->n_rows) return projection_fault(o, p->name, "has another number of rows than it can have");
    if (s->times.start != base->times.start || s->times.end > base->times.end) return projection_fault(o, p->name, "has times that the segment lacks");
    while (first < s->n_cols && !s->cols[first].is_metric) {
        const struct hg_column *c = &s->cols[first++], *b = hg_source_column(base, c->name);
        if (!b || b->is_metric || b->type != c->type) return projection_fault(o, p->name, "is grouped by what is no dimension of the segment");
    }
    if (s->n_cols - first != n_fields) return projection_fault(o, p->name, "has another number of metrics than it says");
    for (uint32_t k = 0; k < n_fields; k++) {
        bool count = strcmp(s->cols[first + k].agg, "count") == 0;
        if (count != !fields[k] || (count && s->cols[first + k].type != HG_T_LONG)) return projection_fault(o, p->name, "has a metric that is made of nothing, or a count that is made of something");
    }
    return HG_OK;
}

static enum hg_rc open_projection(struct opening *o, struct hg_projection *p, struct hg_segproj *sp)
{
    struct hg_segment *seg = o->seg;
    char name[512];
    snprintf(name, sizeof name, "%s (projection %s)", seg->name, p->name);
    sp->seg = calloc(1, sizeof *sp->seg);
    if (!sp->seg) return hg_fail(o->err, HG_E_NOMEM, "projection %s", p->name);
    sp->seg->uid = next_uid();
    sp->seg->within = true;
    sp->seg->file_bytes = sp->at.len;
    enum hg_rc rc = hg_segment_read(sp->seg, section_bytes(o, &sp->at), name, o->err);
    if (rc == HG_OK) {
        p->src = &sp->seg->source;
        return HG_OK;
    }
    free(sp->seg);
    sp->seg = NULL;
    return rc;
}

static enum hg_rc parse_gran(const struct opening *o, struct hg_projection *p, const char *text)
{
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
    struct hg_err ignored;
    bool ok = j && hg_gran_parse_json(NULL, j, &hg_jroot, &p->gran, &ignored) == HG_OK;
    json_decref(j);
    return ok ? HG_OK : projection_fault(o, p->name, "has no granularity");
}

static enum hg_rc read_projection(struct opening *o, struct hg_rd *r, struct hg_projection *p, struct hg_segproj *sp)
{
    struct hg_segment *seg = o->seg;
    struct hg_str name = hg_rd_str(r), time = hg_rd_str(r);
    if (r->bad || !name.p || memchr(name.p, 0, name.len)) return hg_fail(o->err, HG_E_CORRUPT, "footer: entry of a projection is malformed");
    p->name = hg_arena_strndup(seg->arena, name.p, name.len);
    p->time_column = time.p ? hg_arena_strndup(seg->arena, time.p, time.len) : NULL;
    if (!p->name || (time.p && !p->time_column)) return hg_arena_fail(seg->arena, "segment", o->err);
    sp->ref_at = (size_t)(r->p - o->footer);
    HG_TRY(read_section(o, r, p->name, "projection", false, &sp->at));
    uint32_t n = hg_rd_count(r, 1);
    if (r->bad || n > MAX_COLUMNS) return hg_fail(o->err, HG_E_CORRUPT, "footer: entry of projection %s is malformed", p->name);
    HG_TRY(open_projection(o, p, sp));
    const char **fields = hg_arena_array(seg->arena, (size_t)n + 1, sizeof *fields);
    const char **by_column = hg_arena_array(seg->arena, p->src->n_cols, sizeof *by_column);
    if (!fields || !by_column) return hg_arena_fail(seg->arena, "segment", o->err);
    for (uint32_t k = 0; k < n; k++) {
        struct hg_str f = hg_rd_str(r);
        if (r->bad) return hg_fail(o->err, HG_E_CORRUPT, "footer: entry of projection %s is malformed", p->name);
        if (f.p && !(fields[k] = hg_arena_strndup(seg->arena, f.p, f.len))) return hg_arena_fail(seg->arena, "segment", o->err);
    }
    HG_TRY(check_projection(o, p, fields, n));
    for (uint32_t k = 0; k < n; k++) by_column[p->src->n_cols - n + k] = fields[k];
    p->fields = by_column;
    sp->seg->source.times = seg->source.times; /* as queries shall see it */
    return parse_gran(o, p, sp->seg->query_gran);
}

static enum hg_rc read_projections(struct opening *o, struct hg_rd *r)
{
    struct hg_segment *seg = o->seg;
    if (seg->version != HG_SEG_VERSION_PROJECTIONS) return HG_OK;
    uint32_t n = hg_rd_count(r, 27);
    if (r->bad || n > HG_MAX_PROJECTIONS || (n && seg->within)) return hg_fail(o->err, HG_E_CORRUPT, "footer: its list of projections is malformed");
    struct hg_projection *v = hg_arena_array(seg->arena, (size_t)n + 1, sizeof *v);
    seg->projections = hg_arena_array(seg->arena, (size_t)n + 1, sizeof *seg->projections);
    if (!v || !seg->projections) return hg_arena_fail(seg->arena, "segment", o->err);
    seg->source.projections = v;
    for (uint32_t k = 0; k < n; k++) {
        seg->source.n_projections = k + 1; /* so that a failure frees what is open */
        HG_TRY(read_projection(o, r, &v[k], &seg->projections[k]));
        for (uint32_t i = 0; i < k; i++)
            if (strcmp(v[i].name, v[k].name) == 0) return projection_fault(o, v[k].name, "stands there twice");
    }
    return HG_OK;
}

/* ---- the whole ---- */

static enum hg_rc read_footer(struct opening *o, struct hg_span footer)
{
    struct hg_segment *seg = o->seg;
    struct hg_source *s = &seg->source;
    struct hg_rd r = hg_rd_of(footer);
    uint64_t rows = hg_rd_u64(&r);
    s->times.start = hg_rd_i64(&r);
    s->times.end = hg_rd_i64(&r);
    uint32_t block_rows = hg_rd_u32(&r);
    seg->flags = hg_rd_u32(&r);
    struct hg_str gran = hg_rd_str(&r), spec = {0, 0};
    if (seg->flags & HG_SEG_TIMESTAMP_SPEC) spec = hg_rd_str(&r);
    uint64_t time_at = seg->version >= HG_SEG_VERSION_ORDER ? hg_rd_varint(&r) : 0;
    s->n_cols = hg_rd_count(&r, 30);
    if (r.bad || rows > UINT32_MAX - HG_BLOCK_ROWS || block_rows != HG_BLOCK_ROWS || seg->flags > (HG_SEG_ROLLUP | HG_SEG_SORTED | HG_SEG_TIMESTAMP_SPEC) || !gran.p || s->n_cols == 0 || s->n_cols > MAX_COLUMNS)
        return hg_fail(o->err, HG_E_CORRUPT, "footer is malformed");
    if ((seg->version == HG_SEG_VERSION_ORDER && time_at == 0) || time_at >= s->n_cols || (time_at && !(seg->flags & HG_SEG_SORTED))) return hg_fail(o->err, HG_E_CORRUPT, "footer: __time cannot be key number %llu of this file", (unsigned long long)time_at);
    s->n_rows = (uint32_t)rows;
    seg->time_at = (uint32_t)time_at;
    s->time_sorted = time_at == 0;
    seg->query_gran = hg_arena_strndup(seg->arena, gran.p, gran.len);
    struct hg_column *cols = hg_arena_array(seg->arena, s->n_cols, sizeof *cols);
    seg->cols = hg_arena_array(seg->arena, s->n_cols, sizeof *seg->cols);
    const char *made_by = spec.p ? hg_arena_strndup(seg->arena, spec.p, spec.len) : NULL;
    if (!seg->query_gran || !cols || !seg->cols || (spec.p && !made_by)) return hg_arena_fail(seg->arena, "segment", o->err);
    seg->made_by = (struct hg_made_by){seg->flags & HG_SEG_ROLLUP, seg->query_gran, made_by};
    s->made_by = &seg->made_by;
    s->cols = cols;
    for (uint32_t k = 0; k < s->n_cols; k++) HG_TRY(read_column(o, &r, k, &cols[k], &seg->cols[k]));
    if (seg->time_at > seg->n_dims) return hg_fail(o->err, HG_E_CORRUPT, "footer: rows are sorted by %u dimensions before __time, of %u", seg->time_at, seg->n_dims);
    HG_TRY(check_names(o));
    HG_TRY(check_times(o));
    HG_TRY(read_projections(o, &r));
    return hg_rd_left(&r) ? hg_fail(o->err, HG_E_CORRUPT, "footer has %zu bytes after its last entry", hg_rd_left(&r)) : HG_OK;
}

static enum hg_rc open_unfinished(struct hg_segment *seg, struct hg_span footer, struct hg_err *err)
{
    seg->version = hg_le32(seg->file.p + 8);
    seg->footer_bytes = footer.len;
    struct opening o = {seg, seg->file.len, footer.p, err};
    return read_footer(&o, footer);
}

static enum hg_rc open_checked(struct hg_segment *seg, struct hg_err *err)
{
    static const uint8_t zeros[HG_SEG_HEAD];
    struct hg_span f = seg->file;
    if (f.len < HG_SEG_HEAD + HG_SEG_TAIL || memcmp(f.p, HG_SEG_MAGIC, 8) != 0) return hg_fail(err, HG_E_CORRUPT, "not a segment file (%zu bytes)", f.len);
    uint32_t version = hg_le32(f.p + 8);
    if (version < HG_SEG_VERSION || version > HG_SEG_VERSION_PROJECTIONS)
        return hg_fail(err, HG_E_CORRUPT, "segment format version %u; this program reads versions %u to %u", version, HG_SEG_VERSION, HG_SEG_VERSION_PROJECTIONS);
    seg->version = version;
    if (hg_le32(f.p + 12) != HG_SEG_HEAD || memcmp(f.p + 16, zeros, HG_SEG_HEAD - 16) != 0) return hg_fail(err, HG_E_CORRUPT, "file head is malformed");
    const uint8_t *t = f.p + f.len - HG_SEG_TAIL;
    uint64_t off = hg_le64(t), len = hg_le64(t + 8), sum = hg_le64(t + 16), end = f.len - HG_SEG_TAIL;
    if (memcmp(t + 24, HG_SEG_END_MAGIC, 8) != 0) return hg_fail(err, HG_E_CORRUPT, "file of %zu bytes has no end mark: it was cut or not finished", f.len);
    if (off < HG_SEG_HEAD || off % HG_SEG_ALIGN || off > end || len != end - off) return hg_fail(err, HG_E_CORRUPT, "footer of %llu bytes at %llu is not at the file's end", (unsigned long long)len, (unsigned long long)off);
    uint64_t got;
    if (!hg_seg_sum_ok((struct hg_span){f.p + off, (size_t)len}, sum, &got)) return hg_fail(err, HG_E_CORRUPT, "footer at %llu: checksum %016llx, want %016llx", (unsigned long long)off, (unsigned long long)got, (unsigned long long)sum);
    seg->footer_bytes = len;
    struct opening o = {seg, off, f.p + off, err};
    return read_footer(&o, (struct hg_span){f.p + off, (size_t)len});
}

void hg_segment_unread(struct hg_segment *seg)
{
    for (uint32_t k = 0; k < seg->source.n_projections; k++) {
        struct hg_segment *p = seg->projections[k].seg;
        if (p) hg_segment_unread(p);
        free(p);
    }
    hg_arena_free(seg->arena);
}

/* Body and footer stand apart while the file is being written. */
static enum hg_rc read_as(struct hg_segment *seg, struct hg_span bytes, const struct hg_span *footer, const char *name, struct hg_err *err)
{
    seg->arena = hg_arena_new(NULL);
    seg->name = seg->arena ? hg_arena_strdup(seg->arena, name) : NULL;
    seg->file = bytes;
    seg->source.id = seg->name;
    enum hg_rc rc = HG_OK;
    if (!seg->name) rc = hg_fail(err, HG_E_NOMEM, "out of memory");
    else rc = footer ? open_unfinished(seg, *footer, err) : open_checked(seg, err);
    if (rc == HG_OK) return rc;
    rc = hg_err_context(err, rc, "segment %s", name);
    hg_segment_unread(seg);
    return rc;
}

enum hg_rc hg_segment_read(struct hg_segment *seg, struct hg_span bytes, const char *name, struct hg_err *err) { return read_as(seg, bytes, NULL, name, err); }

static enum hg_rc open_as(struct hg_span bytes, const struct hg_span *footer, const char *name, struct hg_segment **out, struct hg_err *err)
{
    struct hg_segment *seg = calloc(1, sizeof *seg);
    if (!seg) return hg_fail(err, HG_E_NOMEM, "segment %s", name);
    seg->uid = next_uid();
    seg->file_bytes = bytes.len;
    enum hg_rc rc = read_as(seg, bytes, footer, name, err);
    if (rc != HG_OK) {
        free(seg);
        return rc;
    }
    *out = seg;
    return HG_OK;
}

enum hg_rc hg_segment_open_bytes(struct hg_span bytes, const char *name, struct hg_segment **out, struct hg_err *err) { return open_as(bytes, NULL, name, out, err); }

enum hg_rc hg_segment_open_unfinished(struct hg_span body, struct hg_span footer, const char *name, struct hg_segment **out, struct hg_err *err)
{
    HG_TRY(open_as(body, &footer, name, out, err));
    (*out)->mapped = true;
    return HG_OK;
}

enum hg_rc hg_segment_open(const char *path, struct hg_segment **out, struct hg_err *err)
{
    struct hg_span map;
    HG_TRY(hg_file_map(path, &map, err));
    enum hg_rc rc = hg_segment_open_bytes(map, path, out, err);
    if (rc != HG_OK) hg_file_unmap(map);
    else (*out)->mapped = true;
    return rc;
}

void hg_segment_use_cache(struct hg_segment *seg, struct hg_block_cache *cache)
{
    seg->cache = cache;
    for (uint32_t k = 0; k < seg->source.n_projections; k++) hg_segment_use_cache(seg->projections[k].seg, cache);
}

void hg_segment_set_unsealed(struct hg_segment *seg) { seg->source.unsealed = true; }

/* What readers of this segment left in the cache. Without it the blocks would only go when others need the room. */
static void forget_blocks(struct hg_segment *seg)
{
    for (uint32_t k = 0; k < seg->source.n_cols; k++)
        for (uint32_t b = 0, n = hg_source_blocks(&seg->source); b < n; b++)
            if (atomic_load_explicit(&seg->cols[k].state[b], memory_order_relaxed) & HG_SEGBLK_SUMMED) hg_block_cache_forget(seg->cache, (struct hg_block_key){seg->uid, k, b});
    for (uint32_t k = 0; k < seg->source.n_projections; k++) forget_blocks(seg->projections[k].seg);
}

void hg_segment_close(struct hg_segment *seg)
{
    if (!seg) return;
    if (seg->cache) forget_blocks(seg);
    if (seg->pool) hg_segment_unlock(seg);
    struct hg_span map = seg->mapped ? seg->file : (struct hg_span){0, 0};
    hg_segment_unread(seg);
    if (map.p) hg_file_unmap(map);
    free(seg);
}

const struct hg_source *hg_segment_source(const struct hg_segment *seg) { return &seg->source; }
const char *hg_segment_query_gran(const struct hg_segment *seg) { return seg->query_gran; }
bool hg_segment_rollup(const struct hg_segment *seg) { return seg->flags & HG_SEG_ROLLUP; }
bool hg_segment_sorted(const struct hg_segment *seg) { return seg->flags & HG_SEG_SORTED; }
uint32_t hg_segment_time_at(const struct hg_segment *seg) { return seg->time_at; }
const struct hg_column *hg_segment_key(const struct hg_segment *seg, uint32_t k)
{
    const struct hg_column *cols = seg->source.cols; /* __time, dimensions, metrics */
    if (k > (hg_segment_sorted(seg) ? seg->n_dims : 0)) return NULL;
    return k < seg->time_at ? &cols[1 + k] : k == seg->time_at ? &cols[0] : &cols[k];
}
uint64_t hg_segment_bytes(const struct hg_segment *seg) { return seg->file_bytes; }
