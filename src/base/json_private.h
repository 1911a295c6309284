/* Shared by json.c and json_quick.c, and looked at by their tests. */
#ifndef HG_BASE_JSON_PRIVATE_H
#define HG_BASE_JSON_PRIVATE_H

#include "base/json.h"

json_t *hg_json_quick(struct hg_str text); /* NULL: it is for jansson to read, or to refuse */

#endif
