#include "role/ctl_segment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "segment/segment.h"

static const char usage_text[] =
    "usage: henge ctl segment verify FILE...\n"
    "       henge ctl segment stat [--format table|json] FILE...\n"
    "       henge ctl segment dump [--from ROW] [--limit ROWS] FILE\n"
    "\n"
    "verify  reads everything: checksums, dictionaries, bitmap indexes, the order of rows; one line a file\n"
    "stat    what takes how much, column by column\n"
    "dump    rows as JSON objects, one a line, in the file's order\n"
    "\n"
    "Exit code: 0 all is well; 1 a file is damaged or cannot be read; 2 the command is wrong.\n";

enum { FINE = 0, DAMAGED = 1, WRONG = 2 };

struct options {
    bool json;
    uint32_t from, limit;
    char **files;
    int n_files;
};

static int wrong(const char *fmt, const char *word)
{
    fprintf(stderr, "henge ctl segment: ");
    fprintf(stderr, fmt, word);
    fprintf(stderr, "\n\n%s", usage_text);
    return WRONG;
}

static bool row_number(const char *text, uint32_t *out)
{
    int64_t v;
    if (!hg_parse_i64(hg_str_of(text), &v) || v < 0 || v > UINT32_MAX) return false;
    *out = (uint32_t)v;
    return true;
}

/* The value of flag `name` at argv[*i], "--name=value" or "--name value"; NULL: another word, or the value is missing (*i past the end). */
static const char *flag_value(int argc, char **argv, int *i, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0) return NULL;
    if (argv[*i][n] == '=') return argv[*i] + n + 1;
    if (argv[*i][n] != 0) return NULL;
    return ++*i < argc ? argv[*i] : NULL;
}

static int parse(int argc, char **argv, const char *verb, struct options *o)
{
    bool dump = strcmp(verb, "dump") == 0, stat = strcmp(verb, "stat") == 0;
    for (int i = 2; i < argc; i++) {
        const char *v, *word = argv[i];
        if (strncmp(word, "--", 2) != 0) {
            o->files[o->n_files++] = argv[i];
        } else if (stat && (v = flag_value(argc, argv, &i, "--format"))) {
            o->json = strcmp(v, "json") == 0;
            if (!o->json && strcmp(v, "table") != 0) return wrong("--format is table or json, not \"%s\"", v);
        } else if (dump && i < argc && (v = flag_value(argc, argv, &i, "--from"))) {
            if (!row_number(v, &o->from)) return wrong("--from wants a row number, not \"%s\"", v);
        } else if (dump && i < argc && (v = flag_value(argc, argv, &i, "--limit"))) {
            if (!row_number(v, &o->limit)) return wrong("--limit wants a number of rows, not \"%s\"", v);
        } else {
            return wrong(i >= argc ? "%s wants a value" : "there is no flag \"%s\" here", word);
        }
    }
    if (o->n_files == 0) return wrong("%s wants the name of a segment file", verb);
    if (dump && o->n_files > 1) return wrong("dump takes one file at a time, not also \"%s\"", o->files[1]);
    return FINE;
}

static enum hg_rc stat_file(const struct hg_segment *seg, bool json, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, (size_t)1 << 30);
    enum hg_rc rc = json ? hg_segment_stat_json(seg, &b, err) : hg_segment_stat_table(seg, &b, err);
    if (json) hg_buf_putc(&b, '\n');
    if (rc == HG_OK) rc = hg_buf_check(&b, "segment stat", err);
    if (rc == HG_OK && fwrite(b.p, 1, b.len, stdout) != b.len) rc = hg_fail_errno(err, HG_E_IO, "writing to standard output");
    hg_buf_free(&b);
    return rc;
}

static int one_file(const char *verb, const struct options *o, const char *path)
{
    struct hg_err err = {0};
    struct hg_segment *seg = NULL;
    enum hg_rc rc = hg_segment_open(path, &seg, &err);
    if (rc == HG_OK && strcmp(verb, "dump") == 0) rc = hg_segment_dump(seg, o->from, o->limit, stdout, &err);
    else if (rc == HG_OK && strcmp(verb, "stat") == 0) rc = stat_file(seg, o->json, &err);
    else if (rc == HG_OK) rc = hg_segment_verify(seg, &err);
    if (rc == HG_OK && strcmp(verb, "verify") == 0) printf("%s: ok, %u rows, %llu bytes\n", path, hg_segment_source(seg)->n_rows, (unsigned long long)hg_segment_bytes(seg));
    if (rc == HG_OK && fflush(stdout) != 0) rc = hg_fail_errno(&err, HG_E_IO, "writing to standard output");
    hg_segment_close(seg);
    if (rc == HG_OK) return FINE;
    fprintf(stderr, "henge ctl segment %s: %s\n", verb, err.msg);
    return DAMAGED;
}

int hg_ctl_segment(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "--help") == 0 || strcmp(verb, "help") == 0) return fputs(usage_text, stdout), FINE;
    if (strcmp(verb, "verify") != 0 && strcmp(verb, "stat") != 0 && strcmp(verb, "dump") != 0) return wrong(*verb ? "no such command: \"%s\"" : "which command?%s", verb);
    struct options o = {.limit = UINT32_MAX, .files = calloc((size_t)argc, sizeof *o.files)};
    if (!o.files) return fprintf(stderr, "henge ctl segment: out of memory\n"), DAMAGED;
    int code = FINE;
    for (int i = 2; i < argc && code == FINE; i++)
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage_text, stdout);
            free(o.files);
            return FINE;
        }
    code = parse(argc, argv, verb, &o);
    for (int i = 0; i < o.n_files && code != WRONG; i++)
        if (one_file(verb, &o, o.files[i]) != FINE) code = DAMAGED;
    free(o.files);
    return code;
}
