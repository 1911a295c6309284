#include "historical/manifest.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#define MAX_MANIFEST ((size_t)1 << 30)

#define SLACK_LINES 65536 /* that say nothing any more, before the file is made compact */

struct hg_manifest {
    int fd;
    char *path;
    int64_t bytes;          /* of whole lines */
    size_t lines, listed;   /* in the file; segments among them */
    bool broken;            /* its end cannot be trusted: nothing is appended any more */
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

/* A line that is not whole says nothing, and the ones behind it speak for themselves. */
static json_t *read_lines(const struct hg_buf *text, const char *path)
{
    json_t *listed = json_object();
    const char *p = (const char *)text->p, *end = p + text->len;
    size_t bad = 0;
    while (listed && p < end) {
        const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
        struct hg_err err;
        json_t *j = NULL;
        bool ok = nl && nl - p > 17 && p[16] == ' ';
        struct hg_str json = {p + 17, ok ? (size_t)(nl - p) - 17 : 0};
        ok = ok && strtoull(p, NULL, 16) == hg_xxh3(json.p, json.len) && hg_json_parse(json, &j, &err) == HG_OK;
        if (ok) apply(listed, j);
        else bad++;
        json_decref(j);
        p = nl ? nl + 1 : stop;
    }
    if (bad) hg_log(HG_LOG_WARN, "historical", "manifest has torn lines, ignored", "file", HG_LS(path), "lines", HG_LI(bad), NULL);
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
static enum hg_rc offer(json_t *listed, hg_manifest_fn *fn, void *arg, struct hg_buf *compact, size_t *kept, struct hg_err *err)
{
    const char *id;
    json_t *j;
    json_object_foreach(listed, id, j) {
        struct hg_arena *a = hg_arena_new(NULL);
        if (!a) return hg_fail(err, HG_E_NOMEM, "manifest");
        struct hg_segment_meta m;
        const char *file;
        struct hg_err why;
        enum hg_rc rc = HG_OK;
        bool keep = true;
        if (meta_of(a, id, j, &m, &file, &why)) {
            hg_log(HG_LOG_WARN, "historical", "manifest line ignored", "segment", HG_LS(id), "error", HG_LS(why.msg), NULL);
            keep = false;
        } else if (fn) {
            rc = fn(arg, &m, file, &keep, err);
        }
        hg_arena_free(a);
        if (rc) return rc;
        char *text = keep ? hg_json_text(j) : NULL;
        if (keep && !text) return hg_fail(err, HG_E_NOMEM, "manifest");
        if (keep) put_line(compact, text);
        *kept += keep;
        free(text);
    }
    return hg_buf_check(compact, "manifest", err);
}

/* fn NULL: all are kept. */
static enum hg_rc load(const char *path, hg_manifest_fn *fn, void *arg, size_t *kept, int64_t *bytes, struct hg_err *err)
{
    struct hg_buf text, compact;
    hg_buf_init(&text, MAX_MANIFEST);
    hg_buf_init(&compact, MAX_MANIFEST);
    enum hg_rc rc = hg_file_read(path, MAX_MANIFEST, &text, err);
    if (rc == HG_E_NOTFOUND) rc = HG_OK;
    if (!rc) {
        json_t *listed = read_lines(&text, path);
        rc = listed ? offer(listed, fn, arg, &compact, kept, err) : hg_fail(err, HG_E_NOMEM, "manifest %s", path);
        json_decref(listed);
    }
    *bytes = (int64_t)compact.len;
    if (!rc) rc = hg_file_write_atomic(path, hg_buf_span(&compact), err);
    hg_buf_free(&text);
    hg_buf_free(&compact);
    return rc;
}

static enum hg_rc open_end(struct hg_manifest *m, struct hg_err *err)
{
    int fd = open(m->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) return hg_fail_errno(err, HG_E_IO, "open %s", m->path);
    if (m->fd >= 0) close(m->fd);
    m->fd = fd;
    return HG_OK;
}

enum hg_rc hg_manifest_open(const char *path, hg_manifest_fn *fn, void *arg, struct hg_manifest **out, struct hg_err *err)
{
    struct hg_manifest *m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(path))) {
        free(m);
        return hg_fail(err, HG_E_NOMEM, "manifest %s", path);
    }
    m->fd = -1;
    enum hg_rc rc = load(path, fn, arg, &m->listed, &m->bytes, err);
    if (!rc) rc = open_end(m, err);
    if (rc) {
        hg_manifest_close(m);
        return rc;
    }
    m->lines = m->listed;
    *out = m;
    return HG_OK;
}

void hg_manifest_close(struct hg_manifest *m)
{
    if (!m) return;
    if (m->fd >= 0) close(m->fd);
    free(m->path);
    free(m);
}

/* What it says is then in the fewest lines. On failure the file is as it was. */
static void make_compact(struct hg_manifest *m)
{
    struct hg_err err;
    size_t kept = 0;
    int64_t bytes;
    enum hg_rc rc = load(m->path, NULL, NULL, &kept, &bytes, &err);
    if (!rc) {
        rc = open_end(m, &err);
        m->broken = rc != HG_OK; /* the old file is not the one with that name any more */
        m->lines = m->listed = kept;
        m->bytes = bytes;
    }
    if (rc) hg_log(HG_LOG_WARN, "historical", "manifest not made compact", "error", HG_LS(err.msg), NULL);
}

/* One write, then one sync. A crash tears at most what was being written; what fails is taken back, so that later lines stand whole. */
static enum hg_rc append(struct hg_manifest *m, const struct hg_buf *b, size_t lines, struct hg_err *err)
{
    HG_TRY(hg_buf_check(b, "manifest lines", err));
    if (m->broken) return hg_fail(err, HG_E_IO, "%s could not be written before; restart to have it made anew", m->path);
    if (!hg_file_put(m->fd, b->p, b->len) || fdatasync(m->fd)) {
        enum hg_rc rc = hg_fail_errno(err, HG_E_IO, "append to %s", m->path);
        if (ftruncate(m->fd, m->bytes)) m->broken = true;
        return rc;
    }
    m->bytes += (int64_t)b->len;
    m->lines += lines;
    return HG_OK;
}

enum hg_rc hg_manifest_add(struct hg_manifest *m, const struct hg_segment_meta *s, const char *file, struct hg_err *err)
{
    char *text = line_of(s, file);
    if (!text) return hg_fail(err, HG_E_NOMEM, "manifest line");
    struct hg_buf b;
    hg_buf_init(&b, MAX_MANIFEST);
    put_line(&b, text);
    enum hg_rc rc = append(m, &b, 1, err);
    if (!rc) m->listed++;
    hg_buf_free(&b);
    free(text);
    return rc;
}

enum hg_rc hg_manifest_remove(struct hg_manifest *m, const char *const *ids, size_t n, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_MANIFEST);
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && !rc; i++) {
        json_t *j = json_pack("{s:s}", "drop", ids[i]);
        char *text = j ? hg_json_text(j) : NULL;
        json_decref(j);
        if (text) put_line(&b, text);
        else rc = hg_fail(err, HG_E_NOMEM, "manifest line");
        free(text);
    }
    if (!rc && n) rc = append(m, &b, n, err);
    if (!rc) m->listed -= n < m->listed ? n : m->listed;
    if (!rc && m->lines > 2 * m->listed + SLACK_LINES) make_compact(m);
    hg_buf_free(&b);
    return rc;
}
