#include "ingest/input.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "ingest/lines.h"

#define MAX_DEPTH 32
#define MAX_FILES 1000000

struct input {
    const struct hg_index_spec *spec;
    struct hg_arena *arena;
    enum hg_rc (*fn)(void *arg, const struct hg_input_file *file, int64_t number, struct hg_span rec, struct hg_err *err);
    void *arg;
    const char **files; /* found in baseDir */
    size_t n_files, cap_files;
};

static enum hg_rc read_records(struct input *in, struct hg_lines *l, const char *path, struct hg_err *err)
{
    const struct hg_input_format *f = &in->spec->format;
    uint32_t skip = f->kind == HG_INPUT_JSON ? 0 : f->skip_rows;
    bool header = f->kind != HG_INPUT_JSON && f->find_header;
    struct hg_input_file *file = hg_arena_zalloc(in->arena, sizeof *file);
    if (!file || !(file->path = hg_arena_strdup(in->arena, path))) return hg_arena_fail(in->arena, "input files", err);
    for (;;) {
        struct hg_span rec;
        HG_TRY(hg_lines_next(l, &rec, err));
        if (!rec.p) return HG_OK;
        if (skip) {
            skip--;
        } else if (header) {
            header = false;
            if (f->columns) continue; /* the spec's names go before the file's */
            const char *copy = hg_arena_strndup(in->arena, (const char *)rec.p, rec.len);
            if (!copy) return hg_arena_fail(in->arena, "input files", err);
            file->header = (struct hg_span){(const uint8_t *)copy, rec.len};
        } else {
            HG_TRY(in->fn(in->arg, file, hg_lines_number(l), rec, err));
        }
    }
}

static enum hg_rc read_file(struct input *in, const char *path, struct hg_err *err)
{
    struct hg_lines *l;
    HG_TRY(hg_lines_open(path, in->spec->format.kind == HG_INPUT_CSV, &l, err));
    enum hg_rc rc = read_records(in, l, path, err);
    hg_lines_close(l);
    return rc;
}

struct walk {
    struct input *in;
    const char *dir;
    unsigned depth;
};

static enum hg_rc walk_one(void *arg, const char *name, struct hg_err *err)
{
    struct walk *w = arg;
    struct input *in = w->in;
    char path[4096];
    struct stat st;
    if (snprintf(path, sizeof path, "%s/%s", w->dir, name) >= (int)sizeof path) return hg_fail(err, HG_E_LIMIT, "path too long: %s/%s", w->dir, name);
    if (stat(path, &st)) return hg_fail_errno(err, HG_E_IO, "%s", path);
    if (S_ISDIR(st.st_mode)) {
        if (w->depth >= MAX_DEPTH) return hg_fail(err, HG_E_LIMIT, "%s: folders deeper than %d", path, MAX_DEPTH);
        struct walk deeper = {in, path, w->depth + 1};
        return hg_dir_list(path, walk_one, &deeper, err);
    }
    if (fnmatch(in->spec->filter, name, 0) != 0) return HG_OK;
    if (in->n_files == MAX_FILES) return hg_fail(err, HG_E_LIMIT, "%s: more than %d files", in->spec->base_dir, MAX_FILES);
    if (in->n_files == in->cap_files) {
        size_t cap = in->cap_files ? in->cap_files * 2 : 64;
        const char **v = hg_arena_array(in->arena, cap, sizeof *v);
        if (!v) return hg_arena_fail(in->arena, "input files", err);
        if (in->n_files) memcpy(v, in->files, in->n_files * sizeof *v);
        in->files = v;
        in->cap_files = cap;
    }
    in->files[in->n_files] = hg_arena_strdup(in->arena, path);
    return in->files[in->n_files++] ? HG_OK : hg_arena_fail(in->arena, "input files", err);
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

enum hg_rc hg_input_read(const struct hg_index_spec *spec, struct hg_arena *a, enum hg_rc (*fn)(void *arg, const struct hg_input_file *file, int64_t number, struct hg_span rec, struct hg_err *err),
                         void *arg, struct hg_err *err)
{
    struct input in = {.spec = spec, .arena = a, .fn = fn, .arg = arg};
    if (spec->inline_data) {
        struct hg_lines *l;
        HG_TRY(hg_lines_of_text(spec->inline_data, spec->format.kind == HG_INPUT_CSV, &l, err));
        enum hg_rc rc = read_records(&in, l, "inline data", err);
        hg_lines_close(l);
        return rc;
    }
    if (spec->n_files) {
        for (uint32_t i = 0; i < spec->n_files; i++) HG_TRY(read_file(&in, spec->files[i], err));
        return HG_OK;
    }
    struct walk w = {&in, spec->base_dir, 0};
    HG_TRY(hg_dir_list(spec->base_dir, walk_one, &w, err));
    if (!in.n_files) return hg_fail(err, HG_E_NOTFOUND, "no file in %s matches \"%s\"", spec->base_dir, spec->filter);
    qsort(in.files, in.n_files, sizeof *in.files, by_name);
    for (size_t i = 0; i < in.n_files; i++) HG_TRY(read_file(&in, in.files[i], err));
    return HG_OK;
}
