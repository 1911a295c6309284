#include "lookup/lookup.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/num.h"

#define MAGIC "HGLK"
#define FORMAT 1u
#define HEAD 28u /* magic, format, hash, count, length of the head text */

struct hg_lookup {
    _Atomic uint32_t refs;
    char *name, *version;
    struct hg_span all;
    bool mapped;        /* else `own` */
    struct hg_buf own;
    uint64_t n;
    const uint8_t *ends; /* n x { key end, value end }: ascending, checked */
    const char *text;
};

/* ---- writing ---- */

struct item {
    struct hg_lookup_entry e;
    size_t at; /* of equal keys the last counts */
};
static int by_key(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    int k = hg_str_cmp(x->e.key, y->e.key);
    return k ? k : (x->at > y->at) - (x->at < y->at);
}

static enum hg_rc put_head(const char *name, const char *version, struct hg_buf *out, struct hg_err *err)
{
    json_t *head = json_pack("{s:s,s:s}", "name", name, "version", version);
    char *text = head ? json_dumps(head, JSON_COMPACT) : NULL;
    json_decref(head);
    if (!text) return hg_fail(err, HG_E_INVALID, "the name and the version of a lookup must be UTF-8");
    hg_buf_u32(out, (uint32_t)strlen(text));
    hg_buf_puts(out, text);
    free(text);
    hg_buf_align(out, 8);
    return HG_OK;
}

static enum hg_rc put_all(const char *name, const char *version, const struct item *v, size_t n, struct hg_buf *out, struct hg_err *err)
{
    size_t kept = 0, start = out->len;
    uint64_t end = 0;
    for (size_t i = 0; i < n; i++) kept += i + 1 == n || !hg_str_eq(v[i].e.key, v[i + 1].e.key);
    hg_buf_put(out, MAGIC, 4);
    hg_buf_u32(out, FORMAT);
    hg_buf_u64(out, 0); /* the hash, when all is there */
    hg_buf_u64(out, kept);
    HG_TRY(put_head(name, version, out, err));
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && hg_str_eq(v[i].e.key, v[i + 1].e.key)) continue;
        hg_buf_u64(out, end += v[i].e.key.len);
        hg_buf_u64(out, end += v[i].e.value.len);
    }
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && hg_str_eq(v[i].e.key, v[i + 1].e.key)) continue;
        hg_buf_put(out, v[i].e.key.p, v[i].e.key.len);
        hg_buf_put(out, v[i].e.value.p, v[i].e.value.len);
    }
    HG_TRY(hg_buf_check(out, "lookup", err));
    uint64_t hash = hg_xxh3(out->p + start + 16, out->len - start - 16);
    memcpy(out->p + start + 8, &hash, 8);
    return HG_OK;
}

enum hg_rc hg_lookup_build(const char *name, const char *version, struct hg_lookup_entry *entries, size_t n, struct hg_buf *out, struct hg_err *err)
{
    struct item *v = calloc(n ? n : 1, sizeof *v);
    if (!v) return hg_fail(err, HG_E_NOMEM, "lookup of %zu entries", n);
    for (size_t i = 0; i < n; i++) v[i] = (struct item){entries[i], i};
    qsort(v, n, sizeof *v, by_key);
    enum hg_rc rc = put_all(name, version, v, n, out, err);
    free(v);
    return rc;
}

/* A value as text; false: it is none. */
static bool scalar(const json_t *v, char *num, struct hg_str *out)
{
    switch (json_typeof(v)) {
    case JSON_STRING: *out = (struct hg_str){json_string_value(v), json_string_length(v)}; return true;
    case JSON_INTEGER: *out = (struct hg_str){num, (size_t)hg_fmt_i64(json_integer_value(v), num)}; return true;
    case JSON_REAL: *out = (struct hg_str){num, (size_t)hg_fmt_f64(json_real_value(v), num)}; return true;
    case JSON_TRUE: *out = HG_STR("true"); return true;
    case JSON_FALSE: *out = HG_STR("false"); return true;
    default: return false;
    }
}

enum hg_rc hg_lookup_build_map(const char *name, const char *version, const json_t *map, struct hg_buf *out, struct hg_err *err)
{
    size_t n = json_object_size(map), k = 0;
    struct hg_lookup_entry *e = calloc(n ? n : 1, sizeof *e);
    char(*num)[HG_NUM_TEXT] = calloc(n ? n : 1, sizeof *num);
    enum hg_rc rc = e && num ? HG_OK : hg_fail(err, HG_E_NOMEM, "lookup of %zu entries", n);
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)map, key, v)
    {
        if (rc != HG_OK) break;
        if (json_is_null(v)) continue; /* a key without a value, as in Druid */
        e[k].key = hg_str_of(key);
        if (!scalar(v, num[k], &e[k].value)) rc = hg_fail(err, HG_E_INVALID, "the value of \"%.200s\" is no text", key);
        k++;
    }
    if (rc == HG_OK) rc = hg_lookup_build(name, version, e, k, out, err);
    free(e);
    free(num);
    return rc;
}

/* ---- reading ---- */

static enum hg_rc corrupt(const char *path, const char *what, struct hg_err *err) { return hg_fail(err, HG_E_CORRUPT, "lookup %s: %s", path, what); }

static enum hg_rc read_head(struct hg_lookup *l, struct hg_span head, const char *path, struct hg_err *err)
{
    json_t *j = NULL;
    const char *name = NULL, *version = NULL;
    HG_TRY(hg_json_parse((struct hg_str){(const char *)head.p, head.len}, &j, err));
    enum hg_rc rc = hg_jget_str(j, "name", &hg_jroot, true, &name, err);
    if (rc == HG_OK) rc = hg_jget_str(j, "version", &hg_jroot, true, &version, err);
    if (rc == HG_OK) {
        l->name = strdup(name);
        l->version = strdup(version);
        if (!l->name || !l->version) rc = hg_fail(err, HG_E_NOMEM, "lookup %s", path);
    }
    json_decref(j);
    return rc;
}

static enum hg_rc check(struct hg_lookup *l, const char *path, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(l->all);
    if (l->all.len < HEAD || memcmp(l->all.p, MAGIC, 4) != 0) return corrupt(path, "this is no lookup file", err);
    (void)hg_rd_u32(&r);
    uint32_t format = hg_rd_u32(&r);
    if (format != FORMAT) return hg_fail(err, HG_E_CORRUPT, "lookup %s: format %" PRIu32 ", this henge reads %u", path, format, FORMAT);
    uint64_t hash = hg_rd_u64(&r);
    if (hash != hg_xxh3(l->all.p + 16, l->all.len - 16)) return corrupt(path, "its checksum is wrong", err);
    l->n = hg_rd_u64(&r);
    uint32_t len = hg_rd_u32(&r);
    if (len > hg_rd_left(&r)) return corrupt(path, "the head is cut off", err);
    struct hg_span head = hg_rd_bytes(&r, len);
    size_t at = (HEAD + (size_t)len + 7) & ~(size_t)7, left = at <= l->all.len ? l->all.len - at : 0;
    if (l->n > left / 16) return corrupt(path, "more entries than bytes", err);
    l->ends = l->all.p + at;
    l->text = (const char *)l->ends + l->n * 16;
    uint64_t before = 0, size = left - l->n * 16;
    for (uint64_t i = 0; i < l->n * 2; i++) {
        uint64_t end = hg_le64(l->ends + i * 8);
        if (end < before || end > size) return corrupt(path, "an entry lies outside of the file", err);
        before = end;
    }
    for (uint64_t i = 1; i < l->n; i++) {
        struct hg_str a, b, v;
        hg_lookup_at(l, i - 1, &a, &v);
        hg_lookup_at(l, i, &b, &v);
        if (hg_str_cmp(a, b) >= 0) return corrupt(path, "its keys do not ascend", err);
    }
    return read_head(l, head, path, err);
}

static void destroy(struct hg_lookup *l)
{
    if (l->mapped) hg_file_unmap(l->all);
    hg_buf_free(&l->own);
    free(l->name);
    free(l->version);
    free(l);
}

static enum hg_rc finish(struct hg_lookup *l, const char *path, struct hg_lookup **out, struct hg_err *err)
{
    enum hg_rc rc = check(l, path, err);
    if (rc != HG_OK) destroy(l);
    else *out = l;
    return rc;
}

enum hg_rc hg_lookup_map(const char *path, struct hg_lookup **out, struct hg_err *err)
{
    struct hg_lookup *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "lookup %s", path);
    l->refs = 1;
    enum hg_rc rc = hg_file_map(path, &l->all, err);
    if (rc != HG_OK) return free(l), rc;
    l->mapped = true;
    return finish(l, path, out, err);
}

enum hg_rc hg_lookup_of_bytes(const char *path, struct hg_buf *bytes, struct hg_lookup **out, struct hg_err *err)
{
    struct hg_lookup *l = calloc(1, sizeof *l);
    if (!l) return hg_fail(err, HG_E_NOMEM, "lookup %s", path);
    l->refs = 1;
    l->own = *bytes;
    hg_buf_init(bytes, bytes->max);
    l->all = hg_buf_span(&l->own);
    return finish(l, path, out, err);
}

struct hg_lookup *hg_lookup_hold(struct hg_lookup *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void hg_lookup_drop(struct hg_lookup *l)
{
    if (l && atomic_fetch_sub(&l->refs, 1) == 1) destroy(l);
}

const char *hg_lookup_name(const struct hg_lookup *l) { return l->name; }
const char *hg_lookup_version(const struct hg_lookup *l) { return l->version; }
size_t hg_lookup_bytes(const struct hg_lookup *l) { return l->all.len; }
uint64_t hg_lookup_count(const struct hg_lookup *l) { return l->n; }

bool hg_lookup_same(const struct hg_lookup *l, struct hg_span bytes) { return l->all.len == bytes.len && memcmp(l->all.p, bytes.p, bytes.len) == 0; }

void hg_lookup_at(const struct hg_lookup *l, uint64_t i, struct hg_str *key, struct hg_str *value)
{
    uint64_t from = i ? hg_le64(l->ends + i * 16 - 8) : 0, mid = hg_le64(l->ends + i * 16), end = hg_le64(l->ends + i * 16 + 8);
    *key = (struct hg_str){l->text + from, (size_t)(mid - from)};
    *value = (struct hg_str){l->text + mid, (size_t)(end - mid)};
}

bool hg_lookup_get(const struct hg_lookup *l, struct hg_str key, struct hg_str *value)
{
    if (!key.p) return false;
    for (uint64_t lo = 0, hi = l->n; lo < hi;) {
        uint64_t mid = lo + (hi - lo) / 2;
        struct hg_str k, v;
        hg_lookup_at(l, mid, &k, &v);
        int c = hg_str_cmp(k, key);
        if (c == 0) return *value = v, true;
        if (c < 0) lo = mid + 1;
        else hi = mid;
    }
    return false;
}
