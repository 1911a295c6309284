/* Sorting texts by their bytes, null before all: lists of ids, which have a beginning in common and differ in a few places after it. */
#ifndef HG_BASE_STRSORT_H
#define HG_BASE_STRSORT_H

#include "base/buf.h"

/* Sorts v[0..n) and drops what is there twice; returns how many are left. Lists that ascend are left as they are. */
uint32_t hg_str_sort_unique(struct hg_str *v, uint32_t n);

#endif
