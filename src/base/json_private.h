/* Shared by json.c and json_quick.c, and looked at by their tests. */
#ifndef HG_BASE_JSON_PRIVATE_H
#define HG_BASE_JSON_PRIVATE_H

#include "base/json.h"

json_t *hg_json_quick(struct hg_str text); /* NULL: it is for jansson to read, or to refuse */

/* Between the two what jansson makes on this thread is of a slot of the pool, if there is one; texts of that length are going to be read. */
void hg_json_pool_open(size_t text_len);
void hg_json_pool_close(void);

#endif
