/* Tables and JSON from the same rows. Values of data may hold anything: what would move the cursor is shown as an escape, so that a row stays one line and a terminal stays sane. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/num.h"
#include "http/http.h"
#include "role/ctl_private.h"

/* ---- cells ---- */

static bool control(unsigned char ch) { return ch < 0x20 || ch == 0x7f; }

/* Text as it is shown: controls as \xNN, bytes that are no UTF-8 as U+FFFD. Sets *width to the columns it takes, a code point each. */
static const char *clean(struct hg_ctl *c, const char *text, size_t n, size_t *width)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    *width = 0;
    for (size_t i = 0; i < n;) {
        size_t bad = 1, len = hg_utf8_seq((const uint8_t *)text + i, n - i, &bad);
        bool c1 = len == 2 && (unsigned char)text[i] == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        if (!len) hg_buf_puts(&b, "\xef\xbf\xbd");
        else if (len == 1 && control((unsigned char)text[i])) hg_buf_printf(&b, "\\x%02x", (unsigned char)text[i]);
        else if (c1) hg_buf_printf(&b, "\\x%02x", (unsigned char)text[i + 1]);
        else hg_buf_put(&b, text + i, len);
        *width += len && ((len == 1 && control((unsigned char)text[i])) || c1) ? 4 : 1;
        i += len ? len : bad;
    }
    const char *out = b.failed ? "?" : hg_arena_strndup(c->a, b.p ? (const char *)b.p : "", b.len);
    hg_buf_free(&b);
    return out ? out : "?";
}

static const char *bytes_text(struct hg_ctl *c, double v)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t u = 0;
    for (; v >= 1024 && u + 1 < sizeof units / sizeof *units; u++) v /= 1024;
    return hg_arena_printf(c->a, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
}

const char *hg_ctl_bytes(struct hg_ctl *c, int64_t bytes)
{
    const char *text = bytes_text(c, (double)bytes);
    return text ? text : "?";
}

const char *hg_ctl_some(struct hg_ctl *c, int64_t n, const char *thing)
{
    const char *text = hg_arena_printf(c->a, "%" PRId64 " %s%s", n, thing, n == 1 ? "" : "s");
    return text ? text : "?";
}

static const char *duration_text(struct hg_ctl *c, double ms)
{
    int64_t s = (int64_t)(ms / 1000);
    if (ms < 0) return "-";
    if (ms < 1000) return hg_arena_printf(c->a, "%.0f ms", ms);
    if (s < 60) return hg_arena_printf(c->a, "%.1f s", ms / 1000);
    if (s < 3600) return hg_arena_printf(c->a, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    return hg_arena_printf(c->a, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
}

/* Takes marked numbers out of their quotes: "\u00011.5" is 1.5. */
static void unmark(struct hg_buf *b)
{
    static const char mark[] = "\"\\u0001";
    size_t to = 0, n = sizeof mark - 1;
    for (size_t i = 0; i < b->len;) {
        const uint8_t *end = i + n < b->len && memcmp(b->p + i, mark, n) == 0 ? memchr(b->p + i + n, '"', b->len - i - n) : NULL;
        size_t len = end ? (size_t)(end - b->p) - i - n : 1;
        memmove(b->p + to, b->p + i + (end ? n : 0), len);
        to += len;
        i += end ? n + len + 1 : 1;
    }
    b->len = to;
}

static const char *compact(struct hg_ctl *c, const json_t *v)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    hg_http_json_put(&b, v);
    unmark(&b);
    const char *out = b.failed ? "..." : hg_arena_strndup(c->a, (const char *)b.p, b.len);
    hg_buf_free(&b);
    return out;
}

static const char *list_text(struct hg_ctl *c, const json_t *list)
{
    const char *out = "";
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        out = hg_arena_printf(c->a, "%s%s%s", out, i ? "," : "", json_is_string(v) ? json_string_value(v) : compact(c, v));
        if (!out) return "?";
    }
    return out;
}

/* *number: to be set to the right. */
static const char *cell(struct hg_ctl *c, const json_t *v, enum hg_ctl_as as, bool *number, size_t *width)
{
    char buf[HG_NUM_TEXT];
    const char *text = "-";
    *number = json_is_number(v);
    if (as == HG_CTL_BYTES && json_is_number(v)) text = bytes_text(c, json_number_value(v));
    else if (as == HG_CTL_PERCENT && json_is_number(v)) text = hg_arena_printf(c->a, "%.1f%%", json_number_value(v));
    else if (as == HG_CTL_DURATION && json_is_number(v)) text = duration_text(c, json_number_value(v));
    else if (json_is_integer(v)) text = (hg_fmt_i64(json_integer_value(v), buf), hg_arena_strdup(c->a, buf));
    else if (json_is_real(v)) text = (hg_fmt_f64(json_real_value(v), buf), hg_arena_strdup(c->a, buf));
    else if (json_is_boolean(v)) text = as == HG_CTL_RAW ? (json_is_true(v) ? "true" : "false") : json_is_true(v) ? "yes" : "no";
    else if (as == HG_CTL_RAW && json_is_null(v)) text = "null";
    else if (json_is_string(v)) {
        text = json_string_value(v);
        size_t n = json_string_length(v), mark = sizeof HG_CTL_NUMBER_MARK - 1;
        *number = as == HG_CTL_RAW && n > mark && memcmp(text, HG_CTL_NUMBER_MARK, mark) == 0;
        if (*number) text += mark, n -= mark;
        if (n == 0 && as != HG_CTL_RAW) return *width = 1, "-";
        return clean(c, text, n, width);
    } else if (json_is_array(v) && as != HG_CTL_RAW) text = json_array_size(v) ? list_text(c, v) : "-";
    else if (v && !json_is_null(v)) text = compact(c, v);
    if (!text) text = "?";
    return clean(c, text, strlen(text), width);
}

static void pad(struct hg_buf *out, size_t n)
{
    while (n--) hg_buf_putc(out, ' ');
}

/* ---- tables ---- */

struct grid_cell {
    const char *text;
    size_t width;
    bool number;
};

enum hg_rc hg_ctl_table(struct hg_ctl *c, const json_t *rows, const struct hg_ctl_column *cols, size_t n, struct hg_err *err)
{
    size_t n_rows = json_array_size(rows), n_cells;
    struct grid_cell *grid = hg_mul_size(n_rows, n, &n_cells) ? hg_arena_array(c->a, n_cells + 1, sizeof *grid) : NULL, *titles = hg_arena_array(c->a, n + 1, sizeof *titles);
    size_t *width = hg_arena_array(c->a, n + 1, sizeof *width);
    bool *right = hg_arena_array(c->a, n + 1, sizeof *right);
    if (!grid || !titles || !width || !right) return hg_arena_fail(c->a, "table", err);
    for (size_t k = 0; k < n; k++) {
        bool numbers = false, others = false;
        titles[k].text = clean(c, cols[k].title, strlen(cols[k].title), &titles[k].width); /* of a query's columns, so they may be anything too */
        width[k] = titles[k].width;
        for (size_t i = 0; i < n_rows; i++) {
            struct grid_cell *g = &grid[i * n + k];
            const json_t *v = json_object_get(json_array_get(rows, i), cols[k].key);
            g->text = cell(c, v, cols[k].as, &g->number, &g->width);
            numbers |= g->number;
            others |= !g->number && v && !json_is_null(v);
            if (g->width > width[k]) width[k] = g->width;
        }
        right[k] = numbers && !others;
    }
    for (size_t i = 0; i <= n_rows; i++) { /* line 0 is the header */
        for (size_t k = 0; k < n; k++) {
            const struct grid_cell *g = i ? &grid[(i - 1) * n + k] : &titles[k];
            if (k) pad(&c->out, 2);
            if (right[k]) pad(&c->out, width[k] - g->width);
            hg_buf_puts(&c->out, g->text);
            if (!right[k] && k + 1 < n) pad(&c->out, width[k] - g->width);
        }
        while (c->out.len && c->out.p[c->out.len - 1] == ' ') c->out.len--; /* an empty last cell */
        hg_buf_putc(&c->out, '\n');
    }
    return HG_OK;
}

enum hg_rc hg_ctl_rows(struct hg_ctl *c, const json_t *rows, const struct hg_ctl_column *cols, size_t n, const char *none, struct hg_err *err)
{
    if (c->json) {
        hg_buf_puts(&c->out, "[");
        for (size_t i = 0; i < json_array_size(rows); i++) {
            hg_buf_puts(&c->out, i ? ",\n " : "\n ");
            hg_http_json_put(&c->out, json_array_get(rows, i));
        }
        hg_buf_puts(&c->out, json_array_size(rows) ? "\n]\n" : "]\n");
        return HG_OK;
    }
    if (json_array_size(rows)) return hg_ctl_table(c, rows, cols, n, err);
    hg_buf_printf(&c->out, "%s\n", none);
    return HG_OK;
}

enum hg_rc hg_ctl_fields(struct hg_ctl *c, const json_t *object, const struct hg_ctl_column *cols, size_t n, struct hg_err *err)
{
    size_t widest = 0;
    (void)err;
    for (size_t k = 0; k < n; k++)
        if (json_object_get(object, cols[k].key) && strlen(cols[k].title) > widest) widest = strlen(cols[k].title);
    for (size_t k = 0; k < n; k++) {
        const json_t *v = json_object_get(object, cols[k].key);
        bool number;
        size_t width;
        if (!v) continue;
        hg_buf_puts(&c->out, cols[k].title);
        pad(&c->out, widest - strlen(cols[k].title) + 2);
        hg_buf_puts(&c->out, cell(c, v, cols[k].as, &number, &width));
        hg_buf_putc(&c->out, '\n');
    }
    return HG_OK;
}

void hg_ctl_json(struct hg_ctl *c, const json_t *j)
{
    struct hg_buf b;
    hg_buf_init(&b, c->out.max);
    hg_http_json_put(&b, j);
    hg_http_json_pretty(&c->out, (struct hg_str){(const char *)b.p, b.len});
    c->out.failed |= b.failed;
    hg_buf_free(&b);
    hg_buf_putc(&c->out, '\n');
}

void hg_ctl_said(struct hg_ctl *c, const json_t *j, const char *fmt, ...)
{
    va_list ap;
    char text[2048];
    if (c->json) {
        hg_ctl_json(c, j);
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    hg_buf_printf(&c->out, "%s\n", text);
}
