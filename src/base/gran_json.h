/* Granularities as queries and ingestion specs write them. */
#ifndef HG_BASE_GRAN_JSON_H
#define HG_BASE_GRAN_JSON_H

#include "base/json.h"
#include "base/time.h"

/* Reads a granularity at JSON path `at`:
 *   "hour"                                             a simple name, any case
 *   "PT15M"                                            a bare period, in UTC
 *   {"type": "all"}, {"type": "none"}
 *   {"type": "duration", "duration": ms, "origin": ms or ISO time}
 *   {"type": "period", "period": "P1D", "timeZone": "America/Los_Angeles", "origin": ms or ISO time}
 * HG_E_INVALID names the path; an unknown name or type lists those there are. Nothing is kept of `json`, and nothing is allocated
 * (arena may be NULL; it is taken so that later forms can keep text). */
HG_MUST_USE enum hg_rc hg_gran_parse_json(struct hg_arena *arena, const json_t *json, const struct hg_jpath *at, struct hg_gran *out, struct hg_err *err);

#endif
