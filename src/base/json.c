/* jansson does the parsing; this file adds a limit on depth (jansson's own, 2,048, is more than our recursive planners should be
 * given), messages in our form, and typed members that name their path. */
#include "base/json_private.h"

#include <inttypes.h>
#include <math.h>

#include "base/num.h"

#define DEPTH_MOST 256
#define SHOWN_MOST 60 /* bytes of a wrong value that a message quotes */

const struct hg_jpath hg_jroot = {NULL, NULL, 0};

/* ---- paths ---- */

static bool plain_key(const char *z)
{
    if (!*z || (*z >= '0' && *z <= '9')) return false;
    for (; *z; z++) {
        bool ok = (*z >= 'a' && *z <= 'z') || (*z >= 'A' && *z <= 'Z') || (*z >= '0' && *z <= '9') || *z == '_' || *z == '-';
        if (!ok) return false;
    }
    return true;
}

static void put_path(const struct hg_jpath *p, struct hg_buf *b)
{
    if (!p || !p->up) {
        hg_buf_putc(b, '$');
        return;
    }
    put_path(p->up, b);
    if (!p->key) hg_buf_printf(b, "[%zu]", p->index);
    else if (plain_key(p->key)) hg_buf_printf(b, ".%s", p->key);
    else {
        hg_buf_putc(b, '[');
        hg_buf_json_str(b, hg_str_of(p->key));
        hg_buf_putc(b, ']');
    }
}

void hg_jpath_text(const struct hg_jpath *p, char *buf, size_t cap)
{
    struct hg_buf b;
    hg_buf_init(&b, 65536);
    put_path(p, &b);
    snprintf(buf, cap, "%.*s", (int)b.len, b.p ? (const char *)b.p : "$");
    hg_buf_free(&b);
}

enum hg_rc hg_jfail(struct hg_err *err, const struct hg_jpath *p, const char *fmt, ...)
{
    char path[320], msg[HG_ERR_MSG];
    hg_jpath_text(p, path, sizeof path);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    return hg_fail(err, HG_E_INVALID, "%s: %s", path, n < 0 ? fmt : msg);
}

/* ---- parsing ---- */

/* Where nesting passes the limit, or NULL. Text that is not JSON may be misjudged here; the parser then refuses it anyway. */
static const char *too_deep(struct hg_str t)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.p[i];
        if (in_string) {
            if (c == '\\') i++;
            else if (c == '"') in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MOST) return t.p + i;
        } else if ((c == '}' || c == ']') && depth) depth--;
    }
    return NULL;
}

static void line_column(struct hg_str t, const char *at, int *line, int *column)
{
    *line = 1, *column = 1;
    for (const char *p = t.p; p < at; p++) {
        if (*p == '\n') ++*line, *column = 1;
        else ++*column;
    }
}

enum hg_rc hg_json_parse(struct hg_str text, json_t **out, struct hg_err *err)
{
    size_t i = 0;
    json_t *quick = text.len ? hg_json_quick(text) : NULL;
    if (quick) return *out = quick, HG_OK;
    while (i < text.len && (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\n' || text.p[i] == '\r')) i++;
    if (i == text.len) return hg_fail(err, HG_E_INVALID, "JSON: expected a value, got %s", text.len ? "only blanks" : "an empty text");
    const char *deep = too_deep(text);
    if (deep) {
        int line, column;
        line_column(text, deep, &line, &column);
        return hg_fail(err, HG_E_INVALID, "JSON, line %d, column %d: nested deeper than %d levels", line, column, DEPTH_MOST);
    }
    json_error_t je;
    json_t *v = json_loadb(text.p, text.len, JSON_DECODE_ANY, &je);
    if (v) {
        *out = v;
        return HG_OK;
    }
    switch (json_error_code(&je)) {
    case json_error_out_of_memory: return hg_fail(err, HG_E_NOMEM, "out of memory parsing %zu bytes of JSON", text.len);
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return hg_fail(err, HG_E_INVALID, "JSON, line %d, column %d: the character U+0000 is not allowed in a string", je.line, je.column);
    case json_error_numeric_overflow: {
        const char *near = strstr(je.text, " near '");
        return hg_fail(err, HG_E_INVALID, "JSON, line %d, column %d: number out of range (integers have 64 bits)%s", je.line, je.column, near ? near : "");
    }
    default: return hg_fail(err, HG_E_INVALID, "JSON, line %d, column %d: %s", je.line, je.column, je.text);
    }
}

enum hg_rc hg_json_parse_brief(struct hg_str text, json_t **out, struct hg_err *err)
{
    hg_json_pool_open(text.len);
    json_t *quick = text.len ? hg_json_quick(text) : NULL;
    hg_json_pool_close();
    if (!quick) return hg_json_parse(text, out, err);
    *out = quick;
    return HG_OK;
}

char *hg_json_text(const json_t *v) { return json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY); }

/* ---- typed members ---- */

/* "the string \"x\"", "the number 5", "an object": what a message says was found. */
static void describe(const json_t *v, char *buf, size_t cap)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: snprintf(buf, cap, "an object"); break;
    case JSON_ARRAY: snprintf(buf, cap, "an array"); break;
    case JSON_INTEGER: snprintf(buf, cap, "the number %" JSON_INTEGER_FORMAT, json_integer_value(v)); break;
    case JSON_REAL: snprintf(buf, cap, "the number %.17g", json_real_value(v)); break;
    case JSON_TRUE: snprintf(buf, cap, "true"); break;
    case JSON_FALSE: snprintf(buf, cap, "false"); break;
    case JSON_NULL: snprintf(buf, cap, "null"); break;
    case JSON_STRING: {
        struct hg_buf b;
        hg_buf_init(&b, 8 * SHOWN_MOST);
        struct hg_str s = {json_string_value(v), json_string_length(v)};
        bool cut = s.len > SHOWN_MOST;
        if (cut) {
            s.len = SHOWN_MOST;
            while (s.len && ((unsigned char)s.p[s.len] & 0xC0) == 0x80) s.len--; /* whole characters */
        }
        hg_buf_json_str(&b, s);
        snprintf(buf, cap, "the string %.*s%s", (int)b.len, b.p ? (const char *)b.p : "", cut ? "..." : "");
        hg_buf_free(&b);
        break;
    }
    }
}

static enum hg_rc wrong(const json_t *v, const struct hg_jpath *p, const char *expected, struct hg_err *err)
{
    char got[8 * SHOWN_MOST];
    if (!err) return HG_E_INVALID;
    if (!v) return hg_jfail(err, p, "expected %s, and it is missing", expected);
    describe(v, got, sizeof got);
    return hg_jfail(err, p, "expected %s, got %s", expected, got);
}

/* An object that is itself absent (NULL) has no members. *v is the member, or NULL when absent or null and not required. */
static enum hg_rc member(const json_t *o, const char *key, const struct hg_jpath *p, bool required, const char *expected, json_t **v, struct hg_err *err)
{
    *v = NULL;
    if (o && !json_is_object(o)) return wrong(o, p, "an object", err);
    json_t *m = json_object_get(o, key);
    if (m && !json_is_null(m)) {
        *v = m;
        return HG_OK;
    }
    if (!required) return HG_OK;
    if (m) return hg_jfail(err, HG_JKEY(p, key), "expected %s, got null", expected);
    return hg_jfail(err, HG_JKEY(p, key), "required, and missing: expected %s", expected);
}

enum hg_rc hg_jget_str(const json_t *o, const char *key, const struct hg_jpath *p, bool required, const char **out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "a string", &v, err));
    if (!v) return HG_OK;
    if (!json_is_string(v)) return wrong(v, HG_JKEY(p, key), "a string", err);
    *out = json_string_value(v);
    return HG_OK;
}

enum hg_rc hg_jget_i64(const json_t *o, const char *key, const struct hg_jpath *p, bool required, int64_t *out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "an integer", &v, err));
    if (!v) return HG_OK;
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return HG_OK;
    }
    if (json_is_real(v)) {
        double d = json_real_value(v);
        if (d == floor(d) && d >= -9223372036854775808.0 && d < 9223372036854775808.0) {
            *out = (int64_t)d;
            return HG_OK;
        }
    }
    if (json_is_string(v) && hg_parse_i64((struct hg_str){json_string_value(v), json_string_length(v)}, out)) return HG_OK;
    return wrong(v, HG_JKEY(p, key), "an integer", err);
}

enum hg_rc hg_jget_f64(const json_t *o, const char *key, const struct hg_jpath *p, bool required, double *out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "a number", &v, err));
    if (!v) return HG_OK;
    if (json_is_number(v)) {
        *out = json_number_value(v);
        return HG_OK;
    }
    if (json_is_string(v) && hg_parse_f64((struct hg_str){json_string_value(v), json_string_length(v)}, out)) return HG_OK;
    return wrong(v, HG_JKEY(p, key), "a number", err);
}

enum hg_rc hg_jget_bool(const json_t *o, const char *key, const struct hg_jpath *p, bool required, bool *out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "true or false", &v, err));
    if (!v) return HG_OK;
    if (json_is_boolean(v)) {
        *out = json_is_true(v);
        return HG_OK;
    }
    if (json_is_string(v)) {
        const char *z = json_string_value(v);
        bool t = !strcmp(z, "true") || !strcmp(z, "True") || !strcmp(z, "TRUE");
        bool f = !strcmp(z, "false") || !strcmp(z, "False") || !strcmp(z, "FALSE");
        if (t || f) {
            *out = t;
            return HG_OK;
        }
    }
    return wrong(v, HG_JKEY(p, key), "true or false", err);
}

enum hg_rc hg_jget_obj(const json_t *o, const char *key, const struct hg_jpath *p, bool required, json_t **out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "an object", &v, err));
    if (!v) return HG_OK;
    if (!json_is_object(v)) return wrong(v, HG_JKEY(p, key), "an object", err);
    *out = v;
    return HG_OK;
}

enum hg_rc hg_jget_arr(const json_t *o, const char *key, const struct hg_jpath *p, bool required, json_t **out, struct hg_err *err)
{
    json_t *v;
    HG_TRY(member(o, key, p, required, "an array", &v, err));
    if (!v) return HG_OK;
    if (!json_is_array(v)) return wrong(v, HG_JKEY(p, key), "an array", err);
    *out = v;
    return HG_OK;
}

enum hg_rc hg_jneed_obj(const json_t *v, const struct hg_jpath *p, struct hg_err *err)
{
    if (!v) return hg_jfail(err, p, "required, and missing: expected an object");
    return json_is_object(v) ? HG_OK : wrong(v, p, "an object", err);
}
