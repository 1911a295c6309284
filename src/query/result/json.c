#include "query/result/json.h"

#include <string.h>

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

void hg_jw_key(struct hg_jw *w, struct hg_str rendered)
{
    uint8_t *p = w->pretty ? NULL : hg_buf_reserve(w->b, rendered.len + 1);
    if (p) {
        *p = ',';
        memcpy(p + w->some, rendered.p, rendered.len);
        w->b->len += rendered.len + w->some;
    } else {
        if (w->some) hg_buf_putc(w->b, ',');
        if (w->pretty) newline(w);
        hg_buf_put(w->b, rendered.p, rendered.len);
    }
    w->some = true;
}

char *hg_jw_field(struct hg_jw *w, struct hg_str rendered, size_t most)
{
    if (w->pretty) {
        hg_jw_key(w, rendered);
        return (char *)hg_buf_reserve(w->b, most);
    }
    char *p = (char *)hg_buf_reserve(w->b, rendered.len + 1 + most);
    if (!p) return NULL;
    *p = ',';
    memcpy(p + w->some, rendered.p, rendered.len);
    p += rendered.len + w->some;
    w->some = true;
    return p;
}

void hg_jw_field_end(struct hg_jw *w, const char *end) { w->b->len = (size_t)((const uint8_t *)end - w->b->p); }

/* Names are mostly of letters, digits and the like, which are written as they are. */
static bool is_plain(const char *name)
{
    for (; *name; name++)
        if (*name < 0x20 || *name >= 0x7f || *name == '"' || *name == '\\') return false;
    return true;
}

struct hg_str hg_jw_render(const struct hg_jw *w, struct hg_arena *a, const char *name)
{
    size_t n = strlen(name);
    char *p = is_plain(name) && !w->pretty ? hg_arena_alloc(a, n + 4) : NULL;
    if (p) {
        *p = '"';
        memcpy(p + 1, name, n);
        memcpy(p + 1 + n, "\":", 3);
        return (struct hg_str){p, n + 3};
    }
    struct hg_buf b;
    hg_buf_init(&b, SIZE_MAX);
    hg_buf_json_str(&b, hg_str_of(name));
    hg_buf_puts(&b, w->pretty ? " : " : ":");
    struct hg_str s = {b.failed ? NULL : hg_arena_strndup(a, (const char *)b.p, b.len), b.len};
    hg_buf_free(&b);
    return s;
}
