#include "ingest/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <zlib.h>

#define CHUNK ((size_t)1 << 18)
#define MAX_RECORD ((size_t)16 << 20)

struct hg_lines {
    int fd;           /* a plain file, or a pipe, which must not be waited on until a buffer is full; -1 else */
    gzFile gz;        /* or a compressed one */
    char *path;
    const char *text; /* instead of a file */
    size_t text_left;
    bool quotes, eof;
    uint8_t *buf;
    size_t from, len, cap;
    int64_t number;
};

static enum hg_rc lines_new(bool quotes, const char *name, struct hg_lines **out, struct hg_err *err)
{
    struct hg_lines *l = calloc(1, sizeof *l);
    if (l) {
        l->quotes = quotes;
        l->fd = -1;
        l->path = strdup(name);
        l->cap = CHUNK;
        l->buf = malloc(l->cap);
        if (l->path && l->buf) return *out = l, HG_OK;
        hg_lines_close(l);
    }
    return hg_fail(err, HG_E_NOMEM, "reading %s", name);
}

/* A file that begins as gzip does is read through zlib. */
static enum hg_rc unpack(struct hg_lines *l, struct hg_err *err)
{
    uint8_t magic[2];
    if (pread(l->fd, magic, 2, 0) != 2 || magic[0] != 0x1f || magic[1] != 0x8b) return HG_OK; /* pipes cannot be looked into */
    l->gz = gzdopen(l->fd, "rb");
    if (!l->gz) return hg_fail(err, HG_E_NOMEM, "reading %s", l->path);
    l->fd = -1; /* closed with gz */
    gzbuffer(l->gz, (unsigned)CHUNK);
    return HG_OK;
}

enum hg_rc hg_lines_open(const char *path, bool quotes, struct hg_lines **out, struct hg_err *err)
{
    struct hg_lines *l;
    HG_TRY(lines_new(quotes, path, &l, err));
    l->fd = open(path, O_RDONLY | O_CLOEXEC);
    enum hg_rc rc = l->fd < 0 ? hg_fail_errno(err, errno == ENOENT ? HG_E_NOTFOUND : HG_E_IO, "open %s", path) : unpack(l, err);
    if (rc) {
        hg_lines_close(l);
        return rc;
    }
    *out = l;
    return HG_OK;
}

enum hg_rc hg_lines_of_text(const char *text, bool quotes, struct hg_lines **out, struct hg_err *err)
{
    HG_TRY(lines_new(quotes, "inline data", out, err));
    (*out)->text = text;
    (*out)->text_left = strlen(text);
    return HG_OK;
}

void hg_lines_close(struct hg_lines *l)
{
    if (!l) return;
    if (l->gz) gzclose(l->gz);
    if (l->fd >= 0) close(l->fd);
    free(l->buf);
    free(l->path);
    free(l);
}

static enum hg_rc fill(struct hg_lines *l, struct hg_err *err)
{
    if (l->from) {
        memmove(l->buf, l->buf + l->from, l->len - l->from);
        l->len -= l->from;
        l->from = 0;
    }
    if (l->len == l->cap) {
        if (l->cap >= MAX_RECORD) return hg_fail(err, HG_E_LIMIT, "%s: record %lld is longer than %zu bytes", l->path, (long long)l->number + 1, MAX_RECORD);
        uint8_t *p = realloc(l->buf, l->cap * 2);
        if (!p) return hg_fail(err, HG_E_NOMEM, "reading %s", l->path);
        l->buf = p;
        l->cap *= 2;
    }
    size_t room = l->cap - l->len;
    if (l->fd >= 0) {
        ssize_t n;
        do n = read(l->fd, l->buf + l->len, room);
        while (n < 0 && errno == EINTR);
        if (n < 0) return hg_fail_errno(err, HG_E_IO, "%s: after record %lld", l->path, (long long)l->number);
        l->len += (size_t)n;
        l->eof = n == 0;
        return HG_OK;
    }
    if (!l->gz) {
        size_t n = l->text_left < room ? l->text_left : room;
        memcpy(l->buf + l->len, l->text, n);
        l->text += n;
        l->text_left -= n;
        l->len += n;
        l->eof = n == 0;
        return HG_OK;
    }
    int got = gzread(l->gz, l->buf + l->len, (unsigned)room);
    if (got < 0) {
        int code;
        const char *why = gzerror(l->gz, &code);
        return hg_fail(err, code == Z_ERRNO ? HG_E_IO : HG_E_CORRUPT, "%s: after record %lld: %s", l->path, (long long)l->number, why);
    }
    /* A gzip that ends in the middle reads as an end, but says so when asked. */
    int code = Z_OK;
    if (got == 0) gzerror(l->gz, &code);
    if (code == Z_BUF_ERROR) return hg_fail(err, HG_E_CORRUPT, "%s: ends in the middle of its compressed data, after record %lld", l->path, (long long)l->number);
    l->len += (size_t)got;
    l->eof = got == 0;
    return HG_OK;
}

/* The end of the record that begins at `from`, looking from `at` on; NULL when it is not all there yet. */
static const uint8_t *record_end(const struct hg_lines *l, size_t *at, bool *in_quotes)
{
    const uint8_t *p = l->buf + *at, *end = l->buf + l->len;
    if (!l->quotes) {
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
        *at = l->len;
        return nl;
    }
    while (p < end) { /* most lines have no quote: two quick looks */
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;
        for (const uint8_t *q = p; (q = memchr(q, '"', (size_t)(stop - q))); q++) *in_quotes = !*in_quotes;
        if (nl && !*in_quotes) return nl;
        p = nl ? nl + 1 : end;
    }
    *at = l->len;
    return NULL;
}

enum hg_rc hg_lines_next(struct hg_lines *l, struct hg_span *out, struct hg_err *err)
{
    size_t at = l->from;
    bool in_quotes = false;
    const uint8_t *end;
    while (!(end = record_end(l, &at, &in_quotes)) && !l->eof) {
        size_t looked = at - l->from;
        HG_TRY(fill(l, err));
        at = l->from + looked;
    }
    if (!end && l->from == l->len) return *out = (struct hg_span){0}, HG_OK;
    const uint8_t *start = l->buf + l->from, *stop = end ? end : l->buf + l->len;
    l->from = end ? (size_t)(end - l->buf) + 1 : l->len;
    if (stop > start && stop[-1] == '\r') stop--;
    l->number++;
    *out = (struct hg_span){start, (size_t)(stop - start)};
    return HG_OK;
}

int64_t hg_lines_number(const struct hg_lines *l) { return l->number; }
