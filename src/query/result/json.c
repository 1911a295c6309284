#include "query/result/json.h"

static void newline(struct hg_jw *w)
{
    hg_buf_putc(w->b, '\n');
    for (uint32_t k = 0; k < w->depth; k++) hg_buf_puts(w->b, "  ");
}

void hg_jw_open(struct hg_jw *w, char c)
{
    hg_buf_putc(w->b, c);
    if (c == '{') w->depth++;
    w->some = false;
}

void hg_jw_close(struct hg_jw *w, char c)
{
    if (c == '}') w->depth--;
    if (w->pretty) {
        if (c == '}' && w->some) newline(w);
        else hg_buf_putc(w->b, ' ');
    }
    hg_buf_putc(w->b, c);
    w->some = true;
}

void hg_jw_item(struct hg_jw *w)
{
    if (w->some) hg_buf_putc(w->b, ',');
    if (w->pretty) hg_buf_putc(w->b, ' ');
    w->some = true;
}

void hg_jw_key(struct hg_jw *w, const char *rendered)
{
    if (w->some) hg_buf_putc(w->b, ',');
    if (w->pretty) newline(w);
    hg_buf_puts(w->b, rendered);
    w->some = true;
}

const char *hg_jw_render(const struct hg_jw *w, struct hg_arena *a, const char *name)
{
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    hg_buf_json_str(&b, hg_str_of(name));
    hg_buf_puts(&b, w->pretty ? " : " : ":");
    const char *z = b.failed ? NULL : hg_arena_strndup(a, (const char *)b.p, b.len);
    hg_buf_free(&b);
    return z;
}
