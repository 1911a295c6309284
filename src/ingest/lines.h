/* Records of an input file, plain or gzip, one after the other: lines, or, in CSV, lines that go on inside quotes. */
#ifndef HG_INGEST_LINES_H
#define HG_INGEST_LINES_H

#include <stdint.h>
#include "base/buf.h"

struct hg_lines;
HG_MUST_USE enum hg_rc hg_lines_open(const char *path, bool quotes, struct hg_lines **out, struct hg_err *err); /* ".gz" by its content, not its name */
HG_MUST_USE enum hg_rc hg_lines_of_text(const char *text, bool quotes, struct hg_lines **out, struct hg_err *err); /* borrows text */
void hg_lines_close(struct hg_lines *l);
/* The next record without its line end, borrowed until the next call; p == NULL at the end. HG_E_LIMIT: a record of more than 16 MiB; HG_E_CORRUPT: broken gzip. */
HG_MUST_USE enum hg_rc hg_lines_next(struct hg_lines *l, struct hg_span *out, struct hg_err *err);
int64_t hg_lines_number(const struct hg_lines *l); /* of the record given last, from 1 */

#endif
