/* What a query writes to disk when its memory is full: files of blocks that were put in and come out in the same order, compressed and with checksums. A file has no name from the moment it
 * is open, so that nothing is left of it when the process is gone, however it ends. What all files of a query on a server take together is limited. */
#ifndef HG_QUERY_SPILL_SPILL_H
#define HG_QUERY_SPILL_SPILL_H

#include <stdatomic.h>
#include "base/buf.h"
#include "base/mem.h"

/* One query on one server; shared by its threads. */
struct hg_spill {
    const char *dir;         /* borrowed; NULL: nothing is spilled */
    int64_t max_bytes;       /* on disk at any moment */
    int64_t max_groups;      /* that are held in memory, context bufferGrouperMaxSize; 0: as many as there is room for */
    _Atomic int64_t held;    /* bytes on disk now */
    _Atomic bool counted;    /* as a query that spilled */
};
struct hg_query;
/* dir may be NULL or "", and max_bytes 0: then off. What the query's context says narrows it. */
void hg_spill_init(struct hg_spill *s, const char *dir, int64_t max_bytes, const struct hg_query *q);
static inline bool hg_spill_on(const struct hg_spill *s) { return s && s->dir; }

struct hg_spill_file; /* one thread at a time */
/* s and b outlive it. Buffers are counted in b. Returns owned: hg_spill_close. HG_E_IO: no file can be made there. */
HG_MUST_USE enum hg_rc hg_spill_open(struct hg_spill *s, struct hg_budget *b, struct hg_spill_file **out, struct hg_err *err);
/* HG_E_LIMIT: past the query's bytes on disk; HG_E_IO: the disk is full or broken. */
HG_MUST_USE enum hg_rc hg_spill_put(struct hg_spill_file *f, struct hg_span block, struct hg_err *err);
/* From writing to reading, or to the first block again. */
void hg_spill_rewind(struct hg_spill_file *f);
/* The next block, borrowed until the next call; *more false: there was none left. HG_E_CORRUPT: not what was written. */
HG_MUST_USE enum hg_rc hg_spill_get(struct hg_spill_file *f, struct hg_span *block, bool *more, struct hg_err *err);
int64_t hg_spill_bytes(const struct hg_spill_file *f); /* on disk */
void hg_spill_close(struct hg_spill_file *f);          /* NULL allowed */

/* For tests: a file of any bytes; largest: of its blocks, unpacked. Takes fd. */
HG_MUST_USE enum hg_rc hg_spill_adopt(struct hg_spill *s, struct hg_budget *b, int fd, int64_t len, uint32_t largest, struct hg_spill_file **out, struct hg_err *err);

#endif
