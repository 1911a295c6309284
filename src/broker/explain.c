#include "broker/explain.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"

#define MOST_HEADER 6000u /* bytes, as for missing segments: headers are short. Servers and names past it are left out */

struct hg_explain *hg_explain_new(struct hg_arena *a, int64_t arrived_ns)
{
    struct hg_explain *e = hg_arena_zalloc(a, sizeof *e);
    if (!e) return NULL;
    e->arena = a;
    e->arrived_ns = arrived_ns;
    return e;
}

int64_t hg_explain_begin(const struct hg_explain *e) { return e ? hg_clock_mono_ns() : 0; }

void hg_explain_end(struct hg_explain *e, enum hg_stage stage, int64_t began_ns)
{
    if (e) e->stage_us[stage] += (hg_clock_mono_ns() - began_ns) / 1000;
}

struct hg_explain_server *hg_explain_server(struct hg_explain *e, const char *name)
{
    struct hg_explain_server **at = &e->servers;
    for (; *at; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0) return *at;
    struct hg_explain_server *s = hg_arena_zalloc(e->arena, sizeof *s);
    if (!s || !(s->name = hg_arena_strdup(e->arena, name))) return NULL;
    return *at = s;
}

void hg_segment_counts_add(struct hg_segment_counts *to, const struct hg_segment_counts *n)
{
    to->asked += n->asked;
    to->by_interval += n->by_interval;
    to->by_namespace += n->by_namespace;
    to->by_shard += n->by_shard;
    to->by_entity += n->by_entity;
    to->by_time += n->by_time;
    to->by_filter += n->by_filter;
    to->read += n->read;
    to->missing += n->missing;
    to->not_needed += n->not_needed;
}

void hg_segment_counts_fate(struct hg_segment_counts *n, enum hg_fate fate)
{
    switch (fate) {
    case HG_FATE_NONE: n->not_needed++; break;
    case HG_FATE_BY_TIME: n->by_time++; break;
    case HG_FATE_BY_FILTER: n->by_filter++; break;
    case HG_FATE_READ: n->read++; break;
    }
}

/* ---- as JSON ---- */

static void put(struct hg_buf *b, const char *key, int64_t v) { hg_buf_printf(b, "%s\"%s\":%" PRId64, b->len && b->p[b->len - 1] != '{' ? "," : "", key, v); }

static void put_segments(const struct hg_segment_counts *n, struct hg_buf *b)
{
    hg_buf_puts(b, "\"segments\":{");
    put(b, "considered", (int64_t)n->by_interval + n->by_namespace + n->by_shard + n->by_entity + n->asked);
    put(b, "prunedByInterval", n->by_interval);
    put(b, "prunedByNamespace", n->by_namespace);
    put(b, "prunedByShard", n->by_shard);
    put(b, "prunedByEntity", n->by_entity);
    put(b, "asked", n->asked);
    put(b, "prunedByTime", n->by_time);
    put(b, "prunedByFilter", n->by_filter);
    put(b, "read", n->read);
    put(b, "missing", n->missing);
    put(b, "notNeeded", n->not_needed);
    hg_buf_putc(b, '}');
}

static void put_work(const struct hg_exec_stats *s, struct hg_buf *b)
{
    hg_buf_puts(b, ",\"blocks\":{");
    put(b, "total", s->blocks);
    put(b, "fromHeaders", s->blocks_from_stats);
    put(b, "decoded", s->blocks_read);
    put(b, "skipped", s->blocks - s->blocks_from_stats - s->blocks_read);
    put(b, "ofProjections", s->projection_blocks);
    hg_buf_puts(b, "},\"rows\":{");
    put(b, "scanned", s->rows_scanned);
    put(b, "matched", s->rows_selected);
    put(b, "ofProjections", s->projection_rows);
    hg_buf_puts(b, "},\"bytes\":{");
    put(b, "read", s->bytes_read);
    put(b, "decoded", s->bytes_decoded);
    hg_buf_putc(b, '}');
}

static void put_names(const struct hg_profile *p, struct hg_buf *b)
{
    static const char *const by[] = {[HG_TOLD_BITMAP] = "bitmap", [HG_TOLD_IDS] = "ids", [HG_TOLD_VALUES] = "values"};
    for (int filters = 0; filters < 2; filters++) {
        hg_buf_puts(b, filters ? ",\"filters\":[" : ",\"projections\":[");
        for (uint32_t k = 0, n = 0; k < p->n_names && b->len < MOST_HEADER; k++) {
            const struct hg_told_name *t = &p->names[k];
            if ((t->what != HG_TOLD_PROJECTION) != (filters == 1)) continue;
            hg_buf_puts(b, n++ ? ",{" : "{");
            hg_buf_puts(b, filters ? "\"column\":" : "\"name\":");
            hg_buf_json_str(b, hg_str_of(t->name));
            if (filters) hg_buf_printf(b, ",\"by\":\"%s\"", by[t->what]);
            put(b, "scans", t->n);
            hg_buf_putc(b, '}');
        }
        hg_buf_putc(b, ']');
    }
}

static int64_t network_us(const struct hg_explain_server *s) { return s->took_us > s->told.elapsed_us ? s->took_us - s->told.elapsed_us : 0; }

static void put_server(const struct hg_explain_server *s, struct hg_buf *b)
{
    hg_buf_puts(b, "{\"server\":");
    hg_buf_json_str(b, hg_str_of(s->name));
    put(b, "requests", s->requests);
    put_work(&s->told.stats, b);
    hg_buf_puts(b, ",\"micros\":{");
    put(b, "total", s->took_us);
    put(b, "network", network_us(s));
    put(b, "wait", s->told.wait_us);
    put(b, "scan", s->told.scan_us);
    put(b, "merge", s->told.merge_us);
    hg_buf_puts(b, "}}");
}

void hg_explain_put(const struct hg_explain *e, const struct hg_exec_stats *inner, const struct hg_explain_figures *f, struct hg_buf *b)
{
    struct hg_profile all = e->own;
    int64_t network = 0;
    all.stats = *inner;
    for (const struct hg_explain_server *s = e->servers; s; s = s->next) {
        hg_profile_add(&all, &s->told);
        network += network_us(s);
    }
    hg_buf_puts(b, "\"profile\":{");
    put_segments(&f->segments, b);
    put_work(&all.stats, b);
    put_names(&all, b);
    put(b, "requests", f->requests);
    put(b, "hedged", f->hedged);
    put(b, "batches", f->batches);
    put(b, "rowsScanned", f->rows_scanned);
    put(b, "cpuMicros", f->cpu_us);
    hg_buf_puts(b, ",\"micros\":{");
    put(b, "total", (hg_clock_mono_ns() - e->arrived_ns) / 1000);
    put(b, "wait", e->stage_us[HG_STAGE_WAIT] + all.wait_us);
    put(b, "parse", e->stage_us[HG_STAGE_PARSE]);
    put(b, "plan", e->stage_us[HG_STAGE_PLAN]);
    put(b, "network", network);
    put(b, "scan", all.scan_us);
    put(b, "merge", e->stage_us[HG_STAGE_MERGE] + all.merge_us);
    put(b, "finish", e->stage_us[HG_STAGE_FINISH]);
    hg_buf_puts(b, "},\"servers\":[");
    for (const struct hg_explain_server *s = e->servers; s && b->len < MOST_HEADER; s = s->next) {
        if (s != e->servers) hg_buf_putc(b, ',');
        put_server(s, b);
    }
    hg_buf_puts(b, "]}");
}
