/* A file written from front to back under a temporary name, hashed on the way, and put in place durably at the end. */
#ifndef HG_SEGMENT_OUTFILE_H
#define HG_SEGMENT_OUTFILE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct hg_outfile;
HG_MUST_USE enum hg_rc hg_outfile_open(const char *path, struct hg_outfile **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_outfile_put(struct hg_outfile *f, const void *p, size_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_outfile_align(struct hg_outfile *f, unsigned align, struct hg_err *err); /* zeros; align <= 64 */
uint64_t hg_outfile_at(const struct hg_outfile *f);
/* What was put so far, mapped; it stands while more is put. hg_file_unmap. */
HG_MUST_USE enum hg_rc hg_outfile_map(struct hg_outfile *f, struct hg_span *out, struct hg_err *err);
/* Flush, fsync, rename, fsync of the folder. *hash is the XXH3 of all bytes. f is freed either way; on failure no file is left. */
HG_MUST_USE enum hg_rc hg_outfile_commit(struct hg_outfile *f, uint64_t *bytes, uint64_t *hash, struct hg_err *err);
void hg_outfile_abort(struct hg_outfile *f); /* removes the temporary; NULL allowed */

#endif
