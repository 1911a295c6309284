/* Looking into segment files without a server. */
#include "base/num.h"
#include "role/ctl_private.h"
#include "segment/segment.h"

static enum hg_rc row_number(struct hg_ctl *c, enum hg_ctl_option o, const char *what, uint32_t *out, struct hg_err *err)
{
    int64_t v;
    if (!c->opt[o]) return HG_OK;
    if (!hg_parse_i64(hg_str_of(c->opt[o]), &v) || v < 0 || v > UINT32_MAX) return hg_ctl_wrong(err, "%s wants a %s, not \"%s\"", hg_ctl_options[o].name, what, c->opt[o]);
    *out = (uint32_t)v;
    return HG_OK;
}

/* fn on every file; a bad one does not hide the others. */
static enum hg_rc each(struct hg_ctl *c, enum hg_rc (*fn)(struct hg_ctl *c, const struct hg_segment *seg, const char *path, struct hg_err *err), struct hg_err *err)
{
    for (int i = 0; i < c->n_words; i++) {
        struct hg_segment *seg = NULL;
        struct hg_err bad = {HG_OK, ""};
        enum hg_rc rc = hg_segment_open(c->words[i], &seg, &bad);
        if (!rc) rc = fn(c, seg, c->words[i], &bad);
        hg_segment_close(seg);
        if (rc) {
            hg_buf_clear(&c->out);
            fprintf(stderr, "henge ctl %s: %s\n", c->cmd->name, bad.msg);
            c->status = HG_CTL_FAILED;
        }
        HG_TRY(hg_ctl_flush(c, err)); /* file by file, so that what was found stands before the complaint about the next */
    }
    return HG_OK;
}

static enum hg_rc verify(struct hg_ctl *c, const struct hg_segment *seg, const char *path, struct hg_err *err)
{
    HG_TRY(hg_segment_verify(seg, err));
    hg_buf_printf(&c->out, "%s: ok, %u rows, %llu bytes\n", path, hg_segment_source(seg)->n_rows, (unsigned long long)hg_segment_bytes(seg));
    return HG_OK;
}

static enum hg_rc stat(struct hg_ctl *c, const struct hg_segment *seg, const char *path, struct hg_err *err)
{
    (void)path;
    HG_TRY(c->json ? hg_segment_stat_json(seg, &c->out, err) : hg_segment_stat_table(seg, &c->out, err));
    if (c->json) hg_buf_putc(&c->out, '\n');
    return HG_OK;
}

static enum hg_rc dump(struct hg_ctl *c, const struct hg_segment *seg, const char *path, struct hg_err *err)
{
    uint32_t from = 0, limit = UINT32_MAX;
    (void)path;
    HG_TRY(row_number(c, HG_CTL_FROM, "row number", &from, err));
    HG_TRY(row_number(c, HG_CTL_LIMIT, "number of rows", &limit, err));
    return hg_segment_dump(seg, from, limit, stdout, err);
}

enum hg_rc hg_ctl_segment_verify(struct hg_ctl *c, struct hg_err *err) { return each(c, verify, err); }
enum hg_rc hg_ctl_segment_stat(struct hg_ctl *c, struct hg_err *err) { return each(c, stat, err); }

enum hg_rc hg_ctl_segment_dump(struct hg_ctl *c, struct hg_err *err)
{
    uint32_t ignored;
    HG_TRY(row_number(c, HG_CTL_FROM, "row number", &ignored, err));
    HG_TRY(row_number(c, HG_CTL_LIMIT, "number of rows", &ignored, err));
    return each(c, dump, err);
}
