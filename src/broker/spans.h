/* The times of the rows of published segments, as data servers told them with their answers. A published segment never changes, so what was learned stays true; it is forgotten only
 * when there is too much of it. Any thread. */
#ifndef HG_BROKER_SPANS_H
#define HG_BROKER_SPANS_H

#include "base/time.h"

struct hg_spans;
struct hg_spans *hg_spans_new(size_t most); /* segments to remember, about; returns owned; NULL: no memory */
void hg_spans_free(struct hg_spans *s);     /* NULL allowed */
/* [least time, greatest time + 1) of the rows of a published segment; empty: it has none. */
void hg_spans_put(struct hg_spans *s, const char *segid, struct hg_interval times); /* without memory: not remembered */
bool hg_spans_get(struct hg_spans *s, const char *segid, struct hg_interval *times);

#endif
