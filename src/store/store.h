/* Deep storage: where sealed segments are kept for good. Paths are relative to the store's root, with "/" between folders. */
#ifndef HG_STORE_STORE_H
#define HG_STORE_STORE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

struct hg_store; /* any thread; calls block */
/* url: "file:///path". HG_E_UNSUPPORTED names the schemes there are. */
HG_MUST_USE enum hg_rc hg_store_open(const char *url, struct hg_store **out, struct hg_err *err);
void hg_store_close(struct hg_store *s);
/* Copies a local file to path, durably; an existing object with the same content is fine (a push may be repeated), with another content HG_E_CONFLICT. */
HG_MUST_USE enum hg_rc hg_store_push(struct hg_store *s, const char *local, const char *path, struct hg_err *err);
/* The same for a file that nobody will ever write to again, as a segment is: on the same file system it is not copied, but has a second name. Removing it is no writing. */
HG_MUST_USE enum hg_rc hg_store_push_sealed(struct hg_store *s, const char *local, const char *path, struct hg_err *err);
/* Copies to a local file (atomic rename), checking size and XXH3 of the whole file when hash is not 0: HG_E_CORRUPT otherwise. HG_E_NOTFOUND: no such object. */
HG_MUST_USE enum hg_rc hg_store_pull(struct hg_store *s, const char *path, const char *local, int64_t size, uint64_t hash, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_store_delete(struct hg_store *s, const char *path, struct hg_err *err); /* absent is fine */
HG_MUST_USE enum hg_rc hg_store_list(struct hg_store *s, const char *prefix, enum hg_rc (*fn)(void *arg, const char *path, int64_t size, struct hg_err *err), void *arg, struct hg_err *err);

#endif
