#include "historical/manifest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#define MAX_MANIFEST ((size_t)1 << 30)

struct hg_manifest {
    int fd;
    char *path;
};

static void put_line(struct hg_buf *b, const char *json)
{
    hg_buf_printf(b, "%016" PRIx64 " %s\n", hg_xxh3(json, strlen(json)), json);
}

static char *line_of(const struct hg_segment_meta *m, const char *file)
{
    char id[HG_SEGID_TEXT], hash[24];
    hg_segid_text(&m->id, id);
    snprintf(hash, sizeof hash, "%016" PRIx64, m->file_hash);
    json_t *j = json_pack("{s:s,s:o,s:s,s:I,s:s,s:I,s:s,s:s,s:s}", "add", id, "shard", hg_shard_json(&m->shard), "path", m->path, "size", (json_int_t)m->size_bytes, "hash", hash, "rows",
                          (json_int_t)m->n_rows, "dimensions", m->dimensions ? m->dimensions : "", "metrics", m->metrics ? m->metrics : "", "file", file);
    char *text = j ? hg_json_text(j) : NULL;
    json_decref(j);
    return text;
}

/* One line's JSON into the set of what is listed: id -> object. */
static void apply(json_t *listed, json_t *j)
{
    const char *add = json_string_value(json_object_get(j, "add")), *drop = json_string_value(json_object_get(j, "drop"));
    if (add) json_object_set(listed, add, j);
    else if (drop) json_object_del(listed, drop);
}

static json_t *read_lines(const struct hg_buf *text, const char *path)
{
    json_t *listed = json_object();
    const char *p = (const char *)text->p, *end = p + text->len;
    while (p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        if (!nl || nl - p < 18) break;
        struct hg_str json = {p + 17, (size_t)(nl - p) - 17};
        uint64_t want = strtoull(p, NULL, 16);
        struct hg_err err;
        json_t *j;
        if (want != hg_xxh3(json.p, json.len) || hg_json_parse(json, &j, &err)) break;
        apply(listed, j);
        json_decref(j);
        p = nl + 1;
    }
    if (p < end) hg_log(HG_LOG_WARN, "historical", "manifest ends in a torn line, ignored", "file", HG_LS(path), "offset", HG_LI(p - (const char *)text->p), NULL);
    return listed;
}

static enum hg_rc meta_of(struct hg_arena *a, const char *id, const json_t *j, struct hg_segment_meta *m, const char **file, struct hg_err *err)
{
    const char *hash = NULL;
    *m = (struct hg_segment_meta){0};
    HG_TRY(hg_segid_parse(a, hg_str_of(id), &m->id, err));
    HG_TRY(hg_shard_parse(a, json_object_get(j, "shard"), HG_JKEY(&hg_jroot, "shard"), &m->shard, err));
    HG_TRY(hg_jget_str(j, "path", &hg_jroot, true, &m->path, err));
    HG_TRY(hg_jget_i64(j, "size", &hg_jroot, true, &m->size_bytes, err));
    HG_TRY(hg_jget_i64(j, "rows", &hg_jroot, true, &m->n_rows, err));
    HG_TRY(hg_jget_str(j, "hash", &hg_jroot, true, &hash, err));
    HG_TRY(hg_jget_str(j, "dimensions", &hg_jroot, true, &m->dimensions, err));
    HG_TRY(hg_jget_str(j, "metrics", &hg_jroot, true, &m->metrics, err));
    HG_TRY(hg_jget_str(j, "file", &hg_jroot, true, file, err));
    m->file_hash = strtoull(hash, NULL, 16);
    if (strchr(*file, '/')) return hg_fail(err, HG_E_CORRUPT, "file name \"%s\" leaves its folder", *file);
    return HG_OK;
}

/* Offers every listed segment, and writes the lines of those kept. */
static enum hg_rc offer(json_t *listed, bool (*fn)(void *arg, const struct hg_segment_meta *m, const char *file), void *arg, struct hg_buf *compact, struct hg_err *err)
{
    const char *id;
    json_t *j;
    json_object_foreach(listed, id, j) {
        struct hg_arena *a = hg_arena_new(NULL);
        if (!a) return hg_fail(err, HG_E_NOMEM, "manifest");
        struct hg_segment_meta m;
        const char *file;
        struct hg_err why;
        if (meta_of(a, id, j, &m, &file, &why)) {
            hg_log(HG_LOG_WARN, "historical", "manifest line ignored", "segment", HG_LS(id), "error", HG_LS(why.msg), NULL);
        } else if (fn(arg, &m, file)) {
            char *text = hg_json_text(j);
            if (text) put_line(compact, text);
            free(text);
        }
        hg_arena_free(a);
    }
    return hg_buf_check(compact, "manifest", err);
}

static enum hg_rc load(const char *path, bool (*fn)(void *arg, const struct hg_segment_meta *m, const char *file), void *arg, struct hg_err *err)
{
    struct hg_buf text, compact;
    hg_buf_init(&text, MAX_MANIFEST);
    hg_buf_init(&compact, MAX_MANIFEST);
    enum hg_rc rc = hg_file_read(path, MAX_MANIFEST, &text, err);
    if (rc == HG_E_NOTFOUND) rc = HG_OK;
    if (!rc) {
        json_t *listed = read_lines(&text, path);
        rc = listed ? offer(listed, fn, arg, &compact, err) : hg_fail(err, HG_E_NOMEM, "manifest %s", path);
        json_decref(listed);
    }
    if (!rc) rc = hg_file_write_atomic(path, hg_buf_span(&compact), err);
    hg_buf_free(&text);
    hg_buf_free(&compact);
    return rc;
}

enum hg_rc hg_manifest_open(const char *path, bool (*fn)(void *arg, const struct hg_segment_meta *m, const char *file), void *arg, struct hg_manifest **out, struct hg_err *err)
{
    HG_TRY(load(path, fn, arg, err));
    struct hg_manifest *m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(path))) {
        free(m);
        return hg_fail(err, HG_E_NOMEM, "manifest %s", path);
    }
    m->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (m->fd < 0) {
        enum hg_rc rc = hg_fail_errno(err, HG_E_IO, "open %s", path);
        free(m->path);
        free(m);
        return rc;
    }
    *out = m;
    return HG_OK;
}

void hg_manifest_close(struct hg_manifest *m)
{
    if (!m) return;
    close(m->fd);
    free(m->path);
    free(m);
}

static enum hg_rc append(struct hg_manifest *m, const char *json, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    put_line(&b, json);
    enum hg_rc rc = hg_buf_check(&b, "manifest line", err);
    /* One write of one line: a crash tears at most the last line. */
    if (!rc && (write(m->fd, b.p, b.len) != (ssize_t)b.len || fdatasync(m->fd))) rc = hg_fail_errno(err, HG_E_IO, "append to %s", m->path);
    hg_buf_free(&b);
    return rc;
}

enum hg_rc hg_manifest_add(struct hg_manifest *m, const struct hg_segment_meta *s, const char *file, struct hg_err *err)
{
    char *text = line_of(s, file);
    if (!text) return hg_fail(err, HG_E_NOMEM, "manifest line");
    enum hg_rc rc = append(m, text, err);
    free(text);
    return rc;
}

enum hg_rc hg_manifest_remove(struct hg_manifest *m, const char *id, struct hg_err *err)
{
    json_t *j = json_pack("{s:s}", "drop", id);
    char *text = j ? hg_json_text(j) : NULL;
    json_decref(j);
    if (!text) return hg_fail(err, HG_E_NOMEM, "manifest line");
    enum hg_rc rc = append(m, text, err);
    free(text);
    return rc;
}
