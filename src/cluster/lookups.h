/* A server's registered lookups: it follows those that the metadata store has (a document each, HG_DOC_LOOKUP), keeps each as a file, and makes it the process's (lookup/lookup.h).
 * At start those on disk are there before the store is asked, so that a server that restarts while the store is down has them.
 *
 * A document's id is "TIER/NAME", its text {"version": ..., "lookupExtractorFactory": {"type": "map", "map": {...}}}. A server takes the lookups of its own tier. */
#ifndef HG_CLUSTER_LOOKUPS_H
#define HG_CLUSTER_LOOKUPS_H

#include <jansson.h>
#include "meta/meta.h"

#define HG_LOOKUP_TIER "__default" /* of servers that name none */

/* Reads a lookup's document: HG_E_INVALID names the path; what Druid has and Henge has not (cachedNamespace and the like) is HG_E_UNSUPPORTED. *version, *map borrow from doc. */
HG_MUST_USE enum hg_rc hg_lookup_doc_read(const json_t *doc, const struct hg_jpath *p, const char **version, json_t **map, struct hg_err *err);

struct hg_lookups;
/* Registers what is in dir, then follows the store from a thread of its own; changes are there within poll_ms (0: 2,000), mostly at once. */
HG_MUST_USE enum hg_rc hg_lookups_start(struct hg_meta *meta, const char *dir, const char *tier, int64_t poll_ms, struct hg_lookups **out, struct hg_err *err);
/* NULL allowed. The lookups stay registered until the process ends. */
void hg_lookups_stop(struct hg_lookups *l);

#endif
