/* Bodies: gzip, and JSON as text. */
#include <inttypes.h>
#include <zlib.h>

#include "base/num.h"
#include "http/http_private.h"

bool hg_http_gzip(struct hg_span in, struct hg_buf *out)
{
    z_stream z = {0};
    /* Level 3: answers are made once and read once, and a scan should not wait for its compression. */
    if (in.len > UINT32_MAX || deflateInit2(&z, 3, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return false;
    size_t bound = deflateBound(&z, (uLong)in.len);
    uint8_t *p = hg_buf_reserve(out, bound);
    int rc = Z_MEM_ERROR;
    if (p && bound <= UINT32_MAX) {
        z.next_in = (Bytef *)(uintptr_t)in.p; /* zlib does not write there */
        z.avail_in = (uInt)in.len;
        z.next_out = p;
        z.avail_out = (uInt)bound;
        rc = deflate(&z, Z_FINISH);
        if (rc == Z_STREAM_END) out->len += bound - z.avail_out;
    }
    deflateEnd(&z);
    return rc == Z_STREAM_END;
}

/* "gzip", "deflate, gzip;q=0.5", "*"; not "gzip;q=0". */
bool hg_http_accepts_gzip(const char *h)
{
    if (!h) return false;
    while (*h) {
        h += strspn(h, " \t,");
        size_t n = strcspn(h, ","), name = strcspn(h, " \t,;");
        bool gzip = (name == 4 && strncasecmp(h, "gzip", 4) == 0) || (name == 1 && *h == '*');
        if (gzip) {
            const char *q = memmem(h, n, "q=", 2);
            double v;
            if (!q) return true;
            q += 2;
            size_t len = strspn(q, "0123456789.");
            return hg_parse_f64((struct hg_str){q, len}, &v) && v > 0;
        }
        h += n;
    }
    return false;
}

void hg_http_json_put(struct hg_buf *out, const json_t *j)
{
    const char *key;
    json_t *v;
    size_t i;
    switch (json_typeof(j)) {
    case JSON_OBJECT:
        hg_buf_putc(out, '{');
        i = 0;
        json_object_foreach((json_t *)(uintptr_t)j, key, v)
        {
            if (i++) hg_buf_putc(out, ',');
            hg_buf_json_str(out, hg_str_of(key));
            hg_buf_putc(out, ':');
            hg_http_json_put(out, v);
        }
        hg_buf_putc(out, '}');
        break;
    case JSON_ARRAY:
        hg_buf_putc(out, '[');
        json_array_foreach(j, i, v)
        {
            if (i) hg_buf_putc(out, ',');
            hg_http_json_put(out, v);
        }
        hg_buf_putc(out, ']');
        break;
    case JSON_STRING: hg_buf_json_str(out, (struct hg_str){json_string_value(j), json_string_length(j)}); break;
    case JSON_INTEGER: hg_buf_printf(out, "%" PRId64, (int64_t)json_integer_value(j)); break;
    case JSON_REAL: hg_buf_json_f64(out, json_real_value(j)); break;
    case JSON_TRUE: hg_buf_puts(out, "true"); break;
    case JSON_FALSE: hg_buf_puts(out, "false"); break;
    case JSON_NULL: hg_buf_puts(out, "null"); break;
    }
}

static void newline(struct hg_buf *out, size_t objects)
{
    hg_buf_putc(out, '\n');
    for (size_t i = 0; i < objects; i++) hg_buf_puts(out, "  ");
}

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* Over the text, not a tree: numbers stay as they are written, and large answers are not parsed. Only objects indent (Jackson's
 * DefaultPrettyPrinter). What is no JSON comes out as something, never past the end. */
void hg_http_json_pretty(struct hg_buf *out, struct hg_str t)
{
    enum { DEEP = 512 };
    bool object[DEEP] = {false}; /* of the containers open here; deeper ones are written in line */
    size_t depth = 0, objects = 0;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.p[i];
        if (blank(c)) continue;
        size_t next = i + 1;
        while (next < t.len && blank(t.p[next])) next++;
        bool in_object = depth && depth <= DEEP && object[depth - 1];
        if (c == '"') {
            size_t end = i + 1;
            while (end < t.len && t.p[end] != '"') end += t.p[end] == '\\' ? 2 : 1;
            if (end >= t.len) end = t.len - 1;
            hg_buf_put(out, t.p + i, end + 1 - i);
            i = end;
        } else if (c == '{' || c == '[') {
            hg_buf_putc(out, c);
            if (next < t.len && t.p[next] == (c == '{' ? '}' : ']')) {
                hg_buf_putc(out, ' ');
                hg_buf_putc(out, t.p[next]);
                i = next;
                continue;
            }
            if (depth < DEEP) object[depth] = c == '{';
            if (depth++ < DEEP && c == '{') newline(out, ++objects);
            else hg_buf_putc(out, ' ');
        } else if (c == '}' || c == ']') {
            if (in_object) newline(out, --objects);
            else hg_buf_putc(out, ' ');
            hg_buf_putc(out, c);
            if (depth) depth--;
        } else if (c == ',') {
            hg_buf_putc(out, ',');
            if (in_object) newline(out, objects);
            else hg_buf_putc(out, ' ');
        } else if (c == ':') hg_buf_puts(out, " : ");
        else hg_buf_putc(out, c);
    }
}
