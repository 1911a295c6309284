/* The versions that a datasource's intervals have had: hg_segments by chunk (namespace, interval, version), with what clean-up took away. */
#include "meta/meta_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "timeline/timeline.h"

struct total { /* of one metric over a chunk's segments */
    const char *name;
    __int128 longs, micros;
    double doubles;
    bool any_double, any_decimal, none; /* none: a segment's total was not a number */
};
struct chunk {
    struct hg_version_row row;
    uint32_t core, next; /* next: partitions 0..next-1 are there */
    int64_t *publishes; /* distinct */
    size_t n_publishes, cap_publishes;
    struct total *totals;
    size_t n_totals, cap_totals;
};
struct listing {
    struct hg_arena *a;
    const char *datasource, *ns;
    struct hg_interval iv;
    struct chunk *v;
    size_t n, cap, n_there; /* n_there: of which there are segments; sorted */
    struct hg_tl_entry *visible; /* tags: index of the chunk, plus 1 */
    size_t n_visible, cap_visible;
    struct hg_version_row *out;
};

/* ---- totals ---- */

static enum hg_rc total_named(struct listing *w, struct chunk *c, const char *name, struct total **out, struct hg_err *err)
{
    for (size_t i = 0; i < c->n_totals; i++)
        if (strcmp(c->totals[i].name, name) == 0) return *out = &c->totals[i], HG_OK;
    HG_GROW(w->a, c->totals, c->n_totals, c->cap_totals, "versions", err);
    struct total *t = &c->totals[c->n_totals++];
    *t = (struct total){.name = hg_arena_strdup(w->a, name)};
    *out = t;
    return t->name ? HG_OK : hg_arena_fail(w->a, "versions", err);
}

/* Integers are longs, strings decimals, the rest doubles: so writes them hg_segment_sums. */
static enum hg_rc add_sums(struct listing *w, struct chunk *c, const char *text, struct hg_err *err)
{
    json_t *j = NULL, *v;
    const char *name;
    enum hg_rc rc = HG_OK;
    if (hg_json_parse(hg_str_of(text), &j, NULL) != HG_OK || !json_is_object(j)) { /* counts as not known */
        json_decref(j);
        return HG_OK;
    }
    json_object_foreach(j, name, v) {
        struct total *t = NULL;
        int64_t micros;
        if ((rc = total_named(w, c, name, &t, err))) break;
        if (json_is_integer(v)) t->longs += json_integer_value(v);
        else if (json_is_real(v)) t->doubles += json_real_value(v), t->any_double = true;
        else if (json_is_string(v) && hg_parse_decimal(hg_str_of(json_string_value(v)), &micros)) t->micros += micros, t->any_decimal = true;
        else t->none = true;
    }
    json_decref(j);
    c->row.sums_segments++;
    return rc;
}

static bool fits(__int128 v) { return v >= INT64_MIN && v <= INT64_MAX; }

static void put_total(struct hg_buf *b, const struct total *t)
{
    char text[HG_NUM_TEXT];
    __int128 micros = t->micros;
    bool exact = !t->any_double && (!t->any_decimal || !__builtin_add_overflow(micros, t->longs * HG_DECIMAL_SCALE, &micros));
    double d = t->doubles + (double)t->longs + (double)t->micros / HG_DECIMAL_SCALE;
    if (t->none || !isfinite(d)) hg_buf_puts(b, "null");
    else if (exact && !t->any_decimal && fits(t->longs)) hg_buf_printf(b, "%" PRId64, (int64_t)t->longs);
    else if (exact && t->any_decimal && fits(micros)) hg_fmt_decimal((int64_t)micros, text), hg_buf_printf(b, "\"%s\"", text);
    else if (t->any_double) hg_buf_json_f64(b, d);
    else hg_buf_printf(b, "%.17e", d);
}

static enum hg_rc put_totals(struct listing *w, struct chunk *c, struct hg_err *err)
{
    struct hg_buf b;
    if (!c->row.sums_segments) return HG_OK;
    hg_buf_init(&b, (size_t)1 << 24);
    hg_buf_putc(&b, '{');
    for (size_t i = 0; i < c->n_totals; i++) {
        if (i) hg_buf_putc(&b, ',');
        hg_buf_json_str(&b, hg_str_of(c->totals[i].name));
        hg_buf_putc(&b, ':');
        put_total(&b, &c->totals[i]);
    }
    hg_buf_putc(&b, '}');
    enum hg_rc rc = hg_buf_check(&b, "totals of a version", err);
    if (!rc && !(c->row.sums = hg_arena_strndup(w->a, (const char *)b.p, b.len))) rc = hg_arena_fail(w->a, "versions", err);
    hg_buf_free(&b);
    return rc;
}

/* ---- reading ---- */

static bool same_chunk(const struct hg_version_row *x, const char *ns, struct hg_interval iv, const char *version)
{
    return x->interval.start == iv.start && x->interval.end == iv.end && strcmp(x->version, version) == 0 && strcmp(x->ns, ns) == 0;
}

static enum hg_rc new_chunk(struct listing *w, const char *ns, struct hg_interval iv, const char *version, struct hg_err *err)
{
    HG_GROW(w->a, w->v, w->n, w->cap, "versions", err);
    struct chunk *c = &w->v[w->n++];
    *c = (struct chunk){.row = {.ns = hg_arena_strdup(w->a, ns), .interval = iv, .version = hg_arena_strdup(w->a, version), .task = ""}};
    return c->row.ns && c->row.version ? HG_OK : hg_arena_fail(w->a, "versions", err);
}

/* 0 ns, 1 start, 2 end, 3 version, 4 part, 5 core, 6 size, 7 rows, 8 created, 9 used, 10 visible, 11 publish, 12 its time, 13 its task, 14 sums */
static enum hg_rc segment_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct listing *w = arg;
    const char *ns = hg_dbrow_text(r, 0), *version = hg_dbrow_text(r, 3), *task = hg_dbrow_text(r, 13), *sums = hg_dbrow_text(r, 14);
    struct hg_interval iv = {hg_dbrow_i64(r, 1), hg_dbrow_i64(r, 2)};
    uint32_t part = (uint32_t)hg_dbrow_i64(r, 4), core = (uint32_t)hg_dbrow_i64(r, 5);
    if (w->n == 0 || !same_chunk(&w->v[w->n - 1].row, ns, iv, version)) HG_TRY(new_chunk(w, ns, iv, version, err));
    struct chunk *c = &w->v[w->n - 1];
    struct hg_version_row *o = &c->row;
    int64_t publish = hg_dbrow_i64(r, 11), published = hg_dbrow_i64(r, 12), created = hg_dbrow_i64(r, 8);
    bool first = o->segments++ == 0;
    if (core > c->core) c->core = core;
    if (part == c->next) c->next++;
    o->bytes += hg_dbrow_i64(r, 6);
    o->rows += hg_dbrow_i64(r, 7);
    o->used += hg_dbrow_i64(r, 9) != 0;
    if (first || created < o->created_ms) o->created_ms = created;
    if (first || publish < o->publish_id) {
        o->publish_id = publish;
        o->published_ms = published;
        o->task = hg_arena_strdup(w->a, task ? task : "");
        if (!o->task) return hg_arena_fail(w->a, "versions", err);
    }
    size_t k = c->n_publishes;
    while (k > 0 && c->publishes[k - 1] != publish) k--;
    if (k == 0) {
        HG_GROW(w->a, c->publishes, c->n_publishes, c->cap_publishes, "versions", err);
        c->publishes[c->n_publishes++] = publish;
        o->publishes++;
    }
    if (published > o->last_published_ms) o->last_published_ms = published;
    if (sums) HG_TRY(add_sums(w, c, sums, err));
    if (!hg_dbrow_i64(r, 10)) return HG_OK;
    o->visible++;
    HG_GROW(w->a, w->visible, w->n_visible, w->cap_visible, "versions", err);
    w->visible[w->n_visible++] = (struct hg_tl_entry){
        .id = {w->datasource, o->ns, iv, o->version, part}, .shard = {.partition = part, .core_partitions = core}, .tag = (void *)(uintptr_t)w->n};
    return HG_OK;
}

static int by_place(const void *pa, const void *pb)
{
    const struct hg_version_row *a = pa, *b = pb;
    int c = strcmp(a->ns, b->ns);
    if (c) return c;
    if (a->interval.start != b->interval.start) return a->interval.start < b->interval.start ? -1 : 1;
    if (a->interval.end != b->interval.end) return a->interval.end < b->interval.end ? -1 : 1;
    return strcmp(a->version, b->version);
}

static enum hg_rc gone_row(void *arg, const struct hg_dbrow *r, struct hg_err *err)
{
    struct listing *w = arg;
    const char *ns = hg_dbrow_text(r, 0), *version = hg_dbrow_text(r, 3);
    struct hg_interval iv = {hg_dbrow_i64(r, 1), hg_dbrow_i64(r, 2)};
    struct hg_version_row key = {.ns = ns, .interval = iv, .version = version};
    size_t lo = 0, hi = w->n_there;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (by_place(&w->v[mid].row, &key) < 0) lo = mid + 1;
        else hi = mid;
    }
    size_t i = lo < w->n_there && by_place(&w->v[lo].row, &key) == 0 ? lo : w->n;
    if (i == w->n) HG_TRY(new_chunk(w, ns, iv, version, err));
    w->v[i].row.gone = hg_dbrow_i64(r, 4);
    w->v[i].row.gone_rows = hg_dbrow_i64(r, 5);
    return HG_OK;
}

static enum hg_rc mark_shown(struct listing *w, struct hg_err *err)
{
    struct hg_timeline *t;
    struct hg_tl_hit *hits;
    size_t n;
    HG_TRY(hg_timeline_build(w->visible, w->n_visible, &t, err));
    enum hg_rc rc = hg_timeline_lookup(t, w->a, NULL, 0, &w->iv, 1, &hits, &n, err);
    for (size_t i = 0; !rc && i < n; i++) w->v[(uintptr_t)hits[i].entry->tag - 1].row.shown = true;
    hg_timeline_free(t);
    return rc;
}

static enum hg_rc versions_tx(struct hg_tx *tx, void *arg, struct hg_err *err)
{
    struct listing *w = arg;
    const char *only = w->ns ? " AND s.ns = $5" : "";
    int64_t longest = 0, from;
    char sql[1200];
    w->n = w->n_visible = 0;
    HG_TRY(hg_db_i64(tx, "SELECT coalesce(max(max_ms), 0) FROM hg_namespaces WHERE datasource = $1", DB_V(DB_T(w->datasource)), &longest, NULL, err));
    if (__builtin_sub_overflow(w->iv.start, longest, &from)) from = INT64_MIN;
    const struct hg_dbv v[] = {DB_T(w->datasource), DB_I(from), DB_I(w->iv.end), DB_I(w->iv.start), DB_T(w->ns)};
    size_t n_v = w->ns ? 5 : 4;
    snprintf(sql, sizeof sql,
             "SELECT s.ns, s.start_ms, s.end_ms, s.version, s.part_num, s.core_parts, s.size_bytes, s.n_rows, s.created_ms, s.used, s.visible, s.publish_id, p.created_ms, p.task, s.sums"
             " FROM hg_segments s LEFT JOIN hg_publishes p ON p.id = s.publish_id WHERE s.datasource = $1 AND s.start_ms >= $2 AND s.start_ms < $3 AND s.end_ms > $4%s"
             " ORDER BY s.ns, s.start_ms, s.end_ms, s.version, s.part_num",
             only);
    HG_TRY(hg_db_exec(tx, sql, v, n_v, segment_row, w, NULL, err));
    HG_TRY(mark_shown(w, err));
    w->n_there = w->n;
    snprintf(sql, sizeof sql,
             "SELECT s.ns, s.start_ms, s.end_ms, s.version, s.n_segments, s.n_rows FROM hg_gone s WHERE s.datasource = $1 AND s.start_ms >= $2 AND s.start_ms < $3 AND s.end_ms > $4%s", only);
    HG_TRY(hg_db_exec(tx, sql, v, n_v, gone_row, w, NULL, err));
    w->out = hg_arena_array(w->a, w->n, sizeof *w->out);
    if (!w->out) return hg_arena_fail(w->a, "versions", err);
    for (size_t i = 0; i < w->n; i++) {
        struct chunk *c = &w->v[i];
        HG_TRY(put_totals(w, c, err));
        c->row.complete = c->row.segments > 0 && c->next >= c->core && !c->row.gone;
        w->out[i] = c->row;
    }
    if (w->n) qsort(w->out, w->n, sizeof *w->out, by_place);
    return HG_OK;
}

enum hg_rc hg_meta_versions(struct hg_meta *m, struct hg_arena *a, const char *datasource, const char *ns, struct hg_interval iv, struct hg_version_row **out, size_t *n, struct hg_err *err)
{
    struct listing w = {.a = a, .datasource = datasource, .ns = ns, .iv = iv};
    HG_TRY(hg_db_run(m->db, HG_TX_READ, versions_tx, &w, err));
    *out = w.out;
    *n = w.n;
    return HG_OK;
}
