/* The list of segments that a historical has on disk: an append-only file of lines "<XXH3 in hex> <JSON>\n", made compact at start. A line whose checksum is wrong ends the
 * reading (a torn append); what it would have told is found out otherwise: an unlisted file is removed, a listed one that is gone is fetched again. */
#ifndef HG_HISTORICAL_MANIFEST_H
#define HG_HISTORICAL_MANIFEST_H

#include "timeline/segid.h"

struct hg_manifest;
/* Calls fn for every segment still listed; its strings live until hg_manifest_open returns. fn answers false for one that is not to be kept. */
HG_MUST_USE enum hg_rc hg_manifest_open(const char *path, bool (*fn)(void *arg, const struct hg_segment_meta *m, const char *file), void *arg, struct hg_manifest **out, struct hg_err *err);
void hg_manifest_close(struct hg_manifest *m); /* NULL allowed */
/* Durable on return. One caller at a time. */
HG_MUST_USE enum hg_rc hg_manifest_add(struct hg_manifest *m, const struct hg_segment_meta *s, const char *file, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_manifest_remove(struct hg_manifest *m, const char *id, struct hg_err *err);

#endif
