/* Writes JSON into a buffer, compact or laid out as Jackson's default pretty printer does. Nothing is allocated a value; what went wrong shows in
 * the buffer. Keys are rendered once and reused for every row. */
#ifndef HG_QUERY_RESULT_JSON_H
#define HG_QUERY_RESULT_JSON_H

#include "base/buf.h"
#include "base/mem.h"

struct hg_jw {
    struct hg_buf *b;
    bool pretty;
    bool some;      /* the container that is open has an entry */
    uint32_t depth; /* of objects; lists do not indent */
};
void hg_jw_open(struct hg_jw *w, char c);  /* { or [ */
void hg_jw_close(struct hg_jw *w, char c); /* } or ] */
void hg_jw_item(struct hg_jw *w);          /* before each element of a list */
void hg_jw_key(struct hg_jw *w, struct hg_str rendered); /* before each value of an object */
/* A key and its value, a few bytes long, that is written straight into the buffer: where it begins, with room for `most` bytes, or NULL (the buffer has failed); then its end. */
char *hg_jw_field(struct hg_jw *w, struct hg_str rendered, size_t most);
void hg_jw_field_end(struct hg_jw *w, const char *end);
/* "name" with its colon; lives in a. p NULL: no memory. */
struct hg_str hg_jw_render(const struct hg_jw *w, struct hg_arena *a, const char *name);

#endif
