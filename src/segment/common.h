/* One numbering of a column's texts over all segments of a process. Dictionaries number the texts of one segment each; groups of several segments are united by these numbers, without
 * looking at a text twice. Made when it is first asked for: texts get numbers from 1 on in order of arrival, per column name, and a segment's ids are mapped to them. Memory is limited
 * for the whole process; past the limit there is no numbering, and callers compare texts. Any thread. */
#ifndef HG_SEGMENT_COMMON_H
#define HG_SEGMENT_COMMON_H

#include "segment/source.h"

struct hg_common; /* the texts of one column name */

struct hg_common_ids { /* of one segment's column; until its release */
    struct hg_common *of;
    uint32_t card;
    const uint32_t *number; /* by dictionary id; [0], null, is 0 */
};

/* What a segment keeps for a column: zeroed at first. */
struct hg_common_slot {
    struct hg_common_ids *ids;
    bool refused; /* its texts went past the limit once: that is not tried again */
};

/* NULL: none has been made and !make, or none can be made. dict is sorted. */
const struct hg_common_ids *hg_common_acquire(struct hg_common_slot *slot, const char *name, const struct hg_dict *dict, bool make);
void hg_common_release(const struct hg_common_ids *ids); /* NULL allowed */
/* The numbering itself is kept beyond its ids: as long as its address means something to somebody. */
void hg_common_keep(const struct hg_common *c);
void hg_common_drop(const struct hg_common *c); /* NULL allowed */
void hg_common_forget(struct hg_common_slot *slot);      /* the segment goes; those that were acquired stay */

/* The text of a number, while an ids of it is held or it is kept; that of 0 is null. */
struct hg_str hg_common_text(const struct hg_common *c, uint32_t number);
/* Numbers are less than this. Grows. */
uint32_t hg_common_end(const struct hg_common *c);

void hg_common_limit(size_t bytes); /* of the process; 0: no numbering is made. At first 256 MiB */
size_t hg_common_bytes(void);

#endif
