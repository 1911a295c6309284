/* The JSON that programs write, read quickly: texts without escapes and of ASCII alone, integers, literals. Whatever else there is (escapes, other characters, fractions, deep nesting, an
 * error) is not decided here: then there is no tree, and jansson reads the text from its beginning, with its messages. The tree is the one that jansson makes; it takes a fifth of the
 * time, which for a query of one line is more than all else that is done with its text. */
#include "base/json_private.h"

#include <string.h>

#define DEEPEST 64      /* by recursion */
#define MOST_DIGITS 18  /* of which every integer fits */

struct reader {
    const char *p, *end;
};

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r')) r->p++;
}

static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}

/* What stands between quotes, the first of which is behind us. */
static bool read_text(struct reader *r, const char **text, size_t *n)
{
    const char *p = r->p;
    while (p < r->end && *p != '"') {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f || *p == '\\') return false;
        p++;
    }
    if (p == r->end) return false;
    *text = r->p;
    *n = (size_t)(p - r->p);
    r->p = p + 1;
    return true;
}

static json_t *read_integer(struct reader *r)
{
    bool minus = *r->p == '-';
    const char *p = r->p + minus, *first = p;
    json_int_t v = 0;
    for (; p < r->end && *p >= '0' && *p <= '9'; p++) {
        if (p - first == MOST_DIGITS) return NULL;
        v = v * 10 + (*p - '0');
    }
    if (p == first || (*first == '0' && p > first + 1) || (p < r->end && (*p == '.' || *p == 'e' || *p == 'E'))) return NULL;
    r->p = p;
    return json_integer(minus ? -v : v);
}

static json_t *read_word(struct reader *r)
{
    static const struct { const char *z; size_t n; } words[] = {{"true", 4}, {"false", 5}, {"null", 4}};
    for (int i = 0; i < 3; i++) {
        if ((size_t)(r->end - r->p) < words[i].n || memcmp(r->p, words[i].z, words[i].n) != 0) continue;
        r->p += words[i].n;
        if (r->p < r->end && ((*r->p >= 'a' && *r->p <= 'z') || (*r->p >= 'A' && *r->p <= 'Z'))) return NULL;
        return i == 0 ? json_true() : i == 1 ? json_false() : json_null();
    }
    return NULL;
}

static json_t *read_value(struct reader *r, int depth);

static bool read_members(struct reader *r, json_t *o, int depth)
{
    if (take(r, '}')) return true;
    do {
        const char *key;
        size_t n;
        if (!take(r, '"') || !read_text(r, &key, &n) || !take(r, ':')) return false;
        json_t *v = read_value(r, depth);
        if (!v || json_object_setn_new_nocheck(o, key, n, v)) return false;
    } while (take(r, ','));
    return take(r, '}');
}

static bool read_items(struct reader *r, json_t *a, int depth)
{
    if (take(r, ']')) return true;
    do {
        json_t *v = read_value(r, depth);
        if (!v || json_array_append_new(a, v)) return false;
    } while (take(r, ','));
    return take(r, ']');
}

static json_t *read_value(struct reader *r, int depth)
{
    const char *text;
    size_t n;
    skip_blanks(r);
    if (r->p == r->end) return NULL;
    char c = *r->p;
    if (c == '"') {
        r->p++;
        return read_text(r, &text, &n) ? json_stringn_nocheck(text, n) : NULL;
    }
    if (c == '-' || (c >= '0' && c <= '9')) return read_integer(r);
    if (c != '{' && c != '[') return read_word(r);
    if (depth == DEEPEST) return NULL;
    r->p++;
    json_t *v = c == '{' ? json_object() : json_array();
    if (v && (c == '{' ? read_members(r, v, depth + 1) : read_items(r, v, depth + 1))) return v;
    json_decref(v);
    return NULL;
}

json_t *hg_json_quick(struct hg_str text)
{
    struct reader r = {text.p, text.p + text.len};
    json_t *v = read_value(&r, 0);
    skip_blanks(&r);
    if (r.p == r.end) return v;
    json_decref(v);
    return NULL;
}
