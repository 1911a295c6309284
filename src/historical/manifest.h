/* The list of segments that a historical has on disk: a file of lines "<XXH3 in hex> <JSON>\n", appended to, and made compact at start and when most of its lines say nothing
 * any more. A line whose checksum is wrong (a torn append) is left out; what it would have told is found out otherwise: an unlisted file is removed, a listed one that is gone is
 * fetched again. */
#ifndef HG_HISTORICAL_MANIFEST_H
#define HG_HISTORICAL_MANIFEST_H

#include "timeline/segid.h"

struct hg_manifest;
/* m and file live until it returns. *keep is true, and made false for a segment that is not to be listed any more. A failure ends the opening; the file stays as it was. */
typedef enum hg_rc hg_manifest_fn(void *arg, const struct hg_segment_meta *m, const char *file, bool *keep, struct hg_err *err);
/* Calls fn for every segment listed. */
HG_MUST_USE enum hg_rc hg_manifest_open(const char *path, hg_manifest_fn *fn, void *arg, struct hg_manifest **out, struct hg_err *err);
void hg_manifest_close(struct hg_manifest *m); /* NULL allowed */
/* Durable on return; on failure nothing is changed. One caller at a time. */
HG_MUST_USE enum hg_rc hg_manifest_add(struct hg_manifest *m, const struct hg_segment_meta *s, const char *file, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_manifest_remove(struct hg_manifest *m, const char *const *ids, size_t n, struct hg_err *err); /* ids that are listed */

#endif
