/* What the generated lexer calls: texts of tokens to values. Each says false or NULL after setting the parse's error. */
#ifndef HG_QUERY_EXPR_LEXER_H
#define HG_QUERY_EXPR_LEXER_H

#include "query/expr/node.h"

bool hg_xlex_long(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out); /* 2^63: null of type LONG, see hg_xp_const */
bool hg_xlex_double(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out);
bool hg_xlex_text(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, struct hg_xval *out);
const char *hg_xlex_name(struct hg_xparse *ps, uint32_t at, const char *z, size_t n, bool quoted);
void hg_xlex_stray(struct hg_xparse *ps, uint32_t at, const char *z);

#endif
