/* The queryId of a query that is not parsed yet, so that it can be cancelled while it waits for a thread. */
#ifndef HG_BROKER_EARLY_ID_H
#define HG_BROKER_EARLY_ID_H

#include "base/buf.h"

#define HG_EARLY_ID 256
/* Walks the JSON text without building anything and copies $.context.queryId, text or number. False: there is none, it is longer than fits or written with escapes, or the text is not
 * JSON; the parser will say so in its time. What it finds in well-formed JSON is what the parser finds. */
bool hg_early_query_id(struct hg_str json, char id[HG_EARLY_ID]);

#endif
