/* What a misspelt name may have meant, for messages. */
#ifndef HG_BASE_NEAREST_H
#define HG_BASE_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

/* Levenshtein's distance: letters to insert, delete or replace. Names of more than 80 bytes are far from everything (SIZE_MAX). */
size_t hg_edit_distance(const char *a, const char *b);
/* Whether a name that differs by so much may be a slip of the one that was written. */
bool hg_is_near(const char *written, size_t distance);

#endif
