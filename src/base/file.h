/* Files: whole reads, atomic durable writes, maps, folders. Errors name the path. */
#ifndef HG_BASE_FILE_H
#define HG_BASE_FILE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

HG_MUST_USE enum hg_rc hg_file_read(const char *path, size_t max, struct hg_buf *out, struct hg_err *err); /* appends; HG_E_NOTFOUND, HG_E_LIMIT, HG_E_IO */
/* Temporary name beside it, fsync, rename, fsync of the folder; on failure nothing is left behind. */
HG_MUST_USE enum hg_rc hg_file_write_atomic(const char *path, struct hg_span bytes, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_file_copy_atomic(const char *from, const char *to, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_file_size(const char *path, int64_t *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_file_remove(const char *path, struct hg_err *err); /* absent is fine */
HG_MUST_USE enum hg_rc hg_dir_make(const char *path, struct hg_err *err);    /* and its parents */
HG_MUST_USE enum hg_rc hg_dir_remove_all(const char *path, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_dir_sync(const char *path, struct hg_err *err);
/* Calls fn for each name except . and .., sorted; stops at the first failure. */
HG_MUST_USE enum hg_rc hg_dir_list(const char *path, enum hg_rc (*fn)(void *arg, const char *name, struct hg_err *err), void *arg, struct hg_err *err);
/* Read-only map of a whole file. An empty file maps to len 0. */
HG_MUST_USE enum hg_rc hg_file_map(const char *path, struct hg_span *out, struct hg_err *err);
void hg_file_unmap(struct hg_span map);
/* Writes all of it; false: errno tells. For writers that stream a file of their own; subject to hg_file_fail_after. */
HG_MUST_USE bool hg_file_put(int fd, const void *bytes, size_t n);
/* Fault injection for tests: after `bytes` more bytes written through this module, writes fail with ENOSPC. -1: off. */
void hg_file_fail_after(int64_t bytes);

#endif
