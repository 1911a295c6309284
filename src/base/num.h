/* Numbers as text, exactly. */
#ifndef HG_BASE_NUM_H
#define HG_BASE_NUM_H

#include <stdint.h>
#include "base/buf.h"

#define HG_NUM_TEXT 40
#define HG_DECIMAL_SCALE 1000000 /* a decimal is an int64 of micro-units */

int hg_fmt_i64(int64_t v, char *buf);
/* The shortest decimal text that reads back as v, of those the closest; laid out as Java's Double.toString: plain from 0.001 up to
 * 1.0E7, else with an exponent (1.0E10, 1.0E-5); integral values keep ".0". NaN, Infinity, -Infinity unquoted. Return the length. */
int hg_fmt_f64(double v, char *buf);
int hg_fmt_f32(float v, char *buf);
int hg_fmt_decimal(int64_t micros, char *buf); /* "12.5", "-0.000001", "3" */
/* As JSON: quotes around NaN and infinities. */
void hg_buf_json_f64(struct hg_buf *b, double v);
void hg_buf_json_f32(struct hg_buf *b, float v);

/* Whole text is a number, surrounding blanks not allowed. False otherwise or out of range. */
bool hg_parse_i64(struct hg_str s, int64_t *out);
/* Correctly rounded, whatever the locale; NaN, Infinity and -Infinity as printed above; no hexadecimal. */
bool hg_parse_f64(struct hg_str s, double *out);
/* Decimal text with any number of digits and optional exponent, rounded half up to micro-units; false: malformed or past int64. */
bool hg_parse_decimal(struct hg_str s, int64_t *out);
/* As hg_parse_decimal for a double (its shortest text), so 0.1 is 100000 micro-units. */
bool hg_decimal_of_f64(double v, int64_t *out);

#endif
