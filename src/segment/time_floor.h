/* The one expression that projections know: time cut by timestamp_floor. */
#ifndef HG_SEGMENT_TIME_FLOOR_H
#define HG_SEGMENT_TIME_FLOOR_H

#include "base/time.h"

/* Reads timestamp_floor(__time, 'PERIOD'[, origin[, 'ZONE']]) as the granularity that it cuts time by. False: the expression is another. schema_projection.c */
bool hg_time_floor_parse(const char *expression, struct hg_gran *out);

#endif
