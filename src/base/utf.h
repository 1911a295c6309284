/* UTF-8 read leniently, as Java's decoder does: a byte that begins no code point counts as U+FFFD. */
#ifndef HG_BASE_UTF_H
#define HG_BASE_UTF_H

#include "base/buf.h"

/* One code point from *p < end, which moves past it. */
uint32_t hg_utf8_next(const uint8_t **p, const uint8_t *end);
/* Units of UTF-16 in the machine's order; out has room for s.len of them. Returns how many there are. */
size_t hg_utf16_of(struct hg_str s, uint16_t *out);

#endif
