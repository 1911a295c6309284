#include "broker/early_id.h"

#include <string.h>

struct walk { const char *p, *end; };

static void spaces(struct walk *w)
{
    while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' || *w->p == '\n' || *w->p == '\r')) w->p++;
}

static bool take(struct walk *w, char c)
{
    spaces(w);
    if (w->p == w->end || *w->p != c) return false;
    w->p++;
    return true;
}

/* At a quote; the text between the quotes, escapes and all. */
static bool string(struct walk *w, struct hg_str *out)
{
    if (!take(w, '"')) return false;
    const char *from = w->p;
    for (;;) {
        const char *q = memchr(w->p, '"', (size_t)(w->end - w->p));
        if (!q) return false;
        const char *back = q;
        while (back > from && back[-1] == '\\') back--;
        w->p = q + 1;
        if ((q - back) % 2 == 0) return *out = (struct hg_str){from, (size_t)(q - from)}, true;
    }
}

static bool ends_word(char c) { return c && strchr(" \t\r\n,:]}[{\"", c); } /* a zero byte is as any that JSON has not */

/* Over any value: brackets are counted, strings skipped. */
static bool skip(struct walk *w)
{
    size_t depth = 0;
    struct hg_str s;
    for (;;) {
        spaces(w);
        if (w->p == w->end) return false;
        char c = *w->p;
        if (c == '"') {
            if (!string(w, &s)) return false;
        } else if (c == '{' || c == '[') {
            depth++, w->p++;
            continue;
        } else if (c == '}' || c == ']') {
            if (!depth) return false;
            depth--, w->p++;
        } else if (c == ',' || c == ':') {
            if (!depth) return false;
            w->p++;
            continue;
        } else {
            do w->p++;
            while (w->p < w->end && !ends_word(*w->p));
        }
        if (!depth) return true;
    }
}

/* The value of the last member of that name in the object at w: its place; NULL: none. */
static bool member(struct walk *w, const char *name, struct walk *out)
{
    bool found = false;
    if (!take(w, '{')) return false;
    if (take(w, '}')) return false;
    do {
        struct hg_str key;
        spaces(w);
        if (!string(w, &key) || !take(w, ':')) return false;
        spaces(w);
        bool hit = hg_str_eq(key, hg_str_of(name));
        if (hit) *out = *w, found = true;
        if (!skip(w)) return false;
    } while (take(w, ','));
    return found && take(w, '}');
}

bool hg_early_query_id(struct hg_str json, char id[HG_EARLY_ID])
{
    struct walk w = {json.p, json.p + json.len}, context, value;
    struct hg_str s;
    if (!json.p || !member(&w, "context", &context) || !member(&context, "queryId", &value)) return false;
    spaces(&value);
    if (value.p < value.end && *value.p == '"') {
        if (!string(&value, &s) || memchr(s.p, '\\', s.len)) return false;
    } else {
        const char *from = value.p;
        if (from < value.end && *from != '-' && (*from < '0' || *from > '9')) return false;
        if (!skip(&value)) return false;
        s = (struct hg_str){from, (size_t)(value.p - from)};
        for (size_t i = 0; i < s.len; i++)
            if (s.p[i] != '-' && (s.p[i] < '0' || s.p[i] > '9')) return false; /* only integers are written as they are read */
    }
    if (!s.len || s.len >= HG_EARLY_ID || memchr(s.p, 0, s.len)) return false;
    memcpy(id, s.p, s.len);
    id[s.len] = 0;
    return true;
}
