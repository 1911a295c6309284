/* The order of version numbers, as Maven has it and Druid takes from it: 1.9 before 1.10, 2-rc1 before 2. */
#ifndef HG_QUERY_PLAN_VERSION_H
#define HG_QUERY_PLAN_VERSION_H

#include "base/buf.h"

int hg_version_cmp(struct hg_str a, struct hg_str b); /* < 0, 0, > 0 */

#endif
