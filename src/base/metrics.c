/* Series are made once and never removed, so finding one is a walk over a hash chain without a lock; only making one takes it. */
#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"

#define SERIES_MOST 1000
#define LABEL_MOST 200 /* bytes; longer values are cut */
#define CHAINS 256

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const struct {
    enum kind kind;
    const char *name, *label, *help;
} table[HG_N_METRICS] = {
#define HG_METRIC(id, kind, name, label, help) {kind, name, label, help},
#include "base/metrics.def"
#undef HG_METRIC
};

static const double bounds_ms[] = {0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000};
#define BOUNDS (sizeof bounds_ms / sizeof *bounds_ms)

struct histogram {
    _Atomic int64_t in[BOUNDS + 1]; /* observations per bucket, not yet cumulated; the last is past every bound */
    _Atomic int64_t sum_us;
};

struct series {
    struct series *next; /* of its chain; fixed before it is published */
    char *label;
    uint64_t hash;
    _Atomic int64_t value; /* a histogram's count */
    struct histogram *h;
};

static struct metric {
    struct series plain; /* without a label */
    struct series other; /* for labels past SERIES_MOST, or past memory */
    struct histogram plain_h, other_h;
    _Atomic(struct series *) chains[CHAINS];
    _Atomic unsigned n;
} metrics[HG_N_METRICS];

static pthread_mutex_t make_lock = PTHREAD_MUTEX_INITIALIZER; /* serialises making a series */

static struct series *look(struct metric *m, const char *label, size_t len, uint64_t hash)
{
    for (struct series *s = atomic_load_explicit(&m->chains[hash % CHAINS], memory_order_acquire); s; s = s->next)
        if (s->hash == hash && strlen(s->label) == len && memcmp(s->label, label, len) == 0) return s;
    return NULL;
}

static struct series *make(struct metric *m, enum kind kind, const char *label, size_t len, uint64_t hash)
{
    if (atomic_load(&m->n) >= SERIES_MOST) return NULL;
    struct series *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->label = strndup(label, len);
    if (kind == HISTOGRAM) s->h = calloc(1, sizeof *s->h);
    if (!s->label || (kind == HISTOGRAM && !s->h)) {
        free(s->label);
        free(s);
        return NULL;
    }
    s->hash = hash;
    s->next = atomic_load_explicit(&m->chains[hash % CHAINS], memory_order_relaxed);
    atomic_store_explicit(&m->chains[hash % CHAINS], s, memory_order_release);
    atomic_fetch_add(&m->n, 1);
    return s;
}

static struct series *find(enum hg_metric id, const char *label, bool may_make)
{
    struct metric *m = &metrics[id];
    if (!label || !table[id].label) return &m->plain;
    if (!strcmp(label, "other")) return &m->other; /* one series of that name, whoever counts in it */
    size_t len = strnlen(label, LABEL_MOST);
    uint64_t hash = hg_xxh3(label, len);
    struct series *s = look(m, label, len, hash);
    if (s || !may_make) return s;
    pthread_mutex_lock(&make_lock);
    s = look(m, label, len, hash); /* another may have made it meanwhile */
    if (!s) s = make(m, table[id].kind, label, len, hash);
    pthread_mutex_unlock(&make_lock);
    return s ? s : &m->other;
}

void hg_metric_add(enum hg_metric m, const char *label, int64_t n) { atomic_fetch_add_explicit(&find(m, label, true)->value, n, memory_order_relaxed); }

void hg_metric_set(enum hg_metric m, const char *label, int64_t v) { atomic_store_explicit(&find(m, label, true)->value, v, memory_order_relaxed); }

static struct histogram *histogram_of(struct metric *m, struct series *s) { return s == &m->plain ? &m->plain_h : s == &m->other ? &m->other_h : s->h; }

void hg_metric_observe_ms(enum hg_metric m, const char *label, double ms)
{
    if (!(ms >= 0)) ms = 0; /* a clock that went back, or NaN */
    if (ms > 1e12) ms = 1e12;
    struct series *s = find(m, label, true);
    struct histogram *h = histogram_of(&metrics[m], s);
    if (!h) return; /* not a histogram: our mistake, and no reason to stop a server */
    size_t i = 0;
    while (i < BOUNDS && ms > bounds_ms[i]) i++;
    atomic_fetch_add_explicit(&h->in[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, (int64_t)llround(ms * 1000), memory_order_relaxed);
    atomic_fetch_add_explicit(&s->value, 1, memory_order_relaxed);
}

int64_t hg_metric_get(enum hg_metric m, const char *label)
{
    const struct series *s = find(m, label, false);
    return s ? atomic_load(&s->value) : 0;
}

/* ---- text form ---- */

static void put_label_value(struct hg_buf *out, const char *z)
{
    const uint8_t *p = (const uint8_t *)z, *end = p + strlen(z);
    while (p < end) {
        size_t bad, n = hg_utf8_seq(p, (size_t)(end - p), &bad);
        if (!n) {
            hg_buf_puts(out, "\xEF\xBF\xBD");
            p += bad;
            continue;
        }
        if (*p == '\\') hg_buf_puts(out, "\\\\");
        else if (*p == '"') hg_buf_puts(out, "\\\"");
        else if (*p == '\n') hg_buf_puts(out, "\\n");
        else hg_buf_put(out, p, n);
        p += n;
    }
}

/* name{label="value",le="0.25"} with what there is of it */
static void put_name(struct hg_buf *out, enum hg_metric id, const char *suffix, const char *value, const char *le)
{
    hg_buf_puts(out, table[id].name);
    hg_buf_puts(out, suffix);
    if (!value && !le) return;
    hg_buf_putc(out, '{');
    if (value) {
        hg_buf_printf(out, "%s=\"", table[id].label);
        put_label_value(out, value);
        hg_buf_putc(out, '"');
    }
    if (le) hg_buf_printf(out, "%sle=\"%s\"", value ? "," : "", le);
    hg_buf_putc(out, '}');
}

static void put_series(struct hg_buf *out, enum hg_metric id, struct series *s, const char *value)
{
    if (table[id].kind != HISTOGRAM) {
        put_name(out, id, "", value, NULL);
        hg_buf_printf(out, " %" PRId64 "\n", atomic_load(&s->value));
        return;
    }
    struct histogram *h = histogram_of(&metrics[id], s);
    int64_t n = 0; /* the count is the sum of what is read here, so that a scrape agrees with itself */
    for (size_t i = 0; i <= BOUNDS; i++) {
        char le[32] = "+Inf";
        if (i < BOUNDS) snprintf(le, sizeof le, "%g", bounds_ms[i]);
        n += atomic_load(&h->in[i]);
        put_name(out, id, "_bucket", value, le);
        hg_buf_printf(out, " %" PRId64 "\n", n);
    }
    int64_t us = atomic_load(&h->sum_us);
    put_name(out, id, "_sum", value, NULL);
    hg_buf_printf(out, " %" PRId64 ".%03d\n", us / 1000, (int)(us % 1000));
    put_name(out, id, "_count", value, NULL);
    hg_buf_printf(out, " %" PRId64 "\n", n);
}

static int by_label(const void *a, const void *b)
{
    return strcmp((*(struct series *const *)a)->label, (*(struct series *const *)b)->label);
}

void hg_metrics_render(struct hg_buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (enum hg_metric id = 0; id < HG_N_METRICS; id++) {
        struct metric *m = &metrics[id];
        struct series *found[SERIES_MOST];
        size_t n = 0;
        for (size_t c = 0; c < CHAINS; c++)
            for (struct series *s = atomic_load_explicit(&m->chains[c], memory_order_acquire); s && n < SERIES_MOST; s = s->next) found[n++] = s;
        qsort(found, n, sizeof *found, by_label);
        hg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[id].name, table[id].help, table[id].name, kinds[table[id].kind]);
        if (!table[id].label || atomic_load(&m->plain.value)) put_series(out, id, &m->plain, NULL);
        for (size_t i = 0; i < n; i++) put_series(out, id, found[i], found[i]->label);
        if (atomic_load(&m->other.value)) put_series(out, id, &m->other, "other");
    }
}

void hg_metrics_markdown(FILE *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    fputs("# Metrics\n\n"
          "Every server gives these at `GET /metrics` in Prometheus' text form; those that are not its business stay at 0 or absent. A histogram counts\n"
          "milliseconds, in buckets from 0.25 to 60,000. Of a label at most 1,000 values are kept apart; what comes later counts under `other`.\n\n"
          "This page is generated from `src/base/metrics.def`; the test `unit/base/metrics` compares them.\n\n"
          "| metric | kind | label | |\n|---|---|---|---|\n",
          out);
    for (size_t i = 0; i < HG_N_METRICS; i++)
        fprintf(out, "| `%s` | %s | %s | %s |\n", table[i].name, kinds[table[i].kind], table[i].label ? table[i].label : "", table[i].help);
}
