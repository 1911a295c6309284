/* What a kind of deep storage implements. Paths given to it were checked: relative, no empty or dot-led parts. */
#ifndef HG_STORE_STORE_PRIVATE_H
#define HG_STORE_STORE_PRIVATE_H

#include "store/store.h"

typedef enum hg_rc hg_store_list_fn(void *arg, const char *path, int64_t size, struct hg_err *err);

struct hg_store_ops {
    const char *scheme; /* "file" */
    enum hg_rc (*open)(const char *rest, void **impl, struct hg_err *err); /* rest: the url behind "scheme://" */
    void (*close)(void *impl);
    enum hg_rc (*push)(void *impl, const char *local, const char *path, bool sealed, struct hg_err *err); /* sealed: nobody ever writes to local again */
    enum hg_rc (*fetch)(void *impl, const char *path, const char *local, struct hg_err *err); /* to a new local file; need not be durable */
    enum hg_rc (*remove)(void *impl, const char *path, struct hg_err *err);
    enum hg_rc (*list)(void *impl, const char *prefix, hg_store_list_fn *fn, void *arg, struct hg_err *err);
};
extern const struct hg_store_ops hg_store_local;

/* Size and XXH3 of a whole file. */
HG_MUST_USE enum hg_rc hg_store_sum(const char *path, int64_t *size, uint64_t *hash, struct hg_err *err);
/* A name beside path that no other thread or process uses: path.part-PID-N. */
HG_MUST_USE enum hg_rc hg_store_part_name(const char *path, char *buf, size_t cap, struct hg_err *err);

#endif
