/* Standard base64 (RFC 4648, section 4). */
#ifndef HG_BASE_BASE64_H
#define HG_BASE_BASE64_H

#include "base/buf.h"

void hg_base64_encode(struct hg_buf *out, struct hg_span bytes); /* appends, padded */
/* Padding is optional; false: not base64. out has room for 3 bytes every 4 characters. */
bool hg_base64_decode(struct hg_str s, uint8_t *out, size_t *n);

#endif
