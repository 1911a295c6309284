/* A value of the expression language: a long, a double, a string, or an array of one of these; each may be null, and a null has a type too (which
 * of them follows Druid, where "null" by itself is a string). The conversions are Druid's. Text and arrays are borrowed from the arena of the
 * evaluation, from the source, or from the expression.
 *
 * The elements of an array are of its type, but where array_concat joined arrays of different types: as in Druid each element then stays what it was. */
#ifndef HG_QUERY_EXPR_VALUE_H
#define HG_QUERY_EXPR_VALUE_H

#include "base/buf.h"
#include "base/mem.h"
#include "segment/source.h"

enum hg_xtype {
    HG_X_NONE, /* of an expression: not known */
    HG_X_STRING,
    HG_X_LONG,
    HG_X_DOUBLE,
    HG_X_STRINGS, /* arrays; HG_X_STRINGS - HG_X_STRING tells them from their elements */
    HG_X_LONGS,
    HG_X_DOUBLES,
};
static inline bool hg_xtype_is_array(enum hg_xtype t) { return t >= HG_X_STRINGS; }
static inline bool hg_xtype_is_number(enum hg_xtype t) { return t == HG_X_LONG || t == HG_X_DOUBLE; }
static inline enum hg_xtype hg_xtype_array(enum hg_xtype t) { return t == HG_X_NONE || hg_xtype_is_array(t) ? t : (enum hg_xtype)(t + 3); }
static inline enum hg_xtype hg_xtype_element(enum hg_xtype t) { return hg_xtype_is_array(t) ? (enum hg_xtype)(t - 3) : t; }
const char *hg_xtype_name(enum hg_xtype t); /* "ARRAY<LONG>" */
/* "long", "ARRAY<STRING>", in any case; FLOAT reads as DOUBLE. False: unknown. */
bool hg_xtype_parse(struct hg_str s, enum hg_xtype *out);
enum hg_xtype hg_xtype_of_column(enum hg_type t); /* NONE: complex */

struct hg_xval {
    enum hg_xtype type;
    bool null;
    uint32_t n; /* arrays */
    union {
        int64_t i;
        double d;
        struct hg_str s;
        const struct hg_xval *v; /* arrays: n elements */
    };
};

static inline struct hg_xval hg_x_null(enum hg_xtype t) { return (struct hg_xval){.type = t, .null = true}; }
static inline struct hg_xval hg_x_long(int64_t i) { return (struct hg_xval){.type = HG_X_LONG, .i = i}; }
static inline struct hg_xval hg_x_double(double d) { return (struct hg_xval){.type = HG_X_DOUBLE, .d = d}; }
static inline struct hg_xval hg_x_bool(bool b) { return hg_x_long(b); }
static inline struct hg_xval hg_x_str(struct hg_str s) { return (struct hg_xval){.type = HG_X_STRING, .null = !s.p, .s = s}; }
static inline struct hg_xval hg_x_array(enum hg_xtype array, const struct hg_xval *v, uint32_t n) { return (struct hg_xval){.type = array, .n = n, .v = v}; }

/* A number that a value is or reads as. */
struct hg_xnum {
    bool is_int;
    int64_t i;
    double d;
};
/* False: it has none ("numeric null"): null, text that is no number, an array of other than one element. */
bool hg_x_number(const struct hg_xval *v, struct hg_xnum *out);
bool hg_x_text_number(struct hg_str s, struct hg_xnum *out); /* "true" and "false" are 1.0 and 0.0 */
int64_t hg_x_as_long(const struct hg_xval *v); /* 0 where there is none; doubles are cut towards zero and held within 64 bits */
int32_t hg_x_as_int(const struct hg_xval *v);  /* as Java's Number.intValue: longs lose their high bits */
double hg_x_as_double(const struct hg_xval *v);
bool hg_x_as_bool(const struct hg_xval *v);    /* numbers: above 0; text: "true" in any case */
int64_t hg_x_double_to_long(double d);

/* HG_E_NOMEM or HG_E_LIMIT (the arena's). p NULL: null. An array of one element is that element's text, else "[a, b]". */
HG_MUST_USE enum hg_rc hg_x_text(const struct hg_xval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err);
/* "[a, b]", also for one element. */
HG_MUST_USE enum hg_rc hg_x_list_text(const struct hg_xval *v, struct hg_arena *a, struct hg_str *out, struct hg_err *err);
/* HG_E_INVALID: an array of other than one element has no scalar. out may be v. */
HG_MUST_USE enum hg_rc hg_x_cast(const struct hg_xval *v, enum hg_xtype to, struct hg_arena *a, struct hg_xval *out, struct hg_err *err);
/* An array whose elements are all of its type. out may be v. */
HG_MUST_USE enum hg_rc hg_x_uniform(const struct hg_xval *v, struct hg_arena *a, struct hg_xval *out, struct hg_err *err);
/* A scalar becomes an array of one, null a null array. out may be v. */
HG_MUST_USE enum hg_rc hg_x_to_array(const struct hg_xval *v, struct hg_arena *a, struct hg_xval *out, struct hg_err *err);

/* Order of scalars of one type, null first; strings by code point; doubles as Java's Double.compare. Arrays element by element. Of different types: numbers as doubles, before texts. */
int hg_x_cmp(const struct hg_xval *a, const struct hg_xval *b);
/* Same type and value, as Java's equals: 1 is not 1.0, NaN is NaN. */
bool hg_x_same(const struct hg_xval *a, const struct hg_xval *b);

/* ---- arrays as keys ----
 * An array as bytes whose order (unsigned, as texts are ordered) is that of the arrays: how arrays travel as group keys.
 *   each element: 01 null, or 02 and the value: LONG 8 bytes big endian, sign bit turned; DOUBLE 8 bytes ordered; STRING its bytes, 00 as 00 ff, end 00 01
 * The element type is not written, but for an element that is not of the array's type: 03 STRING, 04 LONG or 05 DOUBLE instead of 02. Those have no order. */
HG_MUST_USE enum hg_rc hg_x_key(const struct hg_xval *v, struct hg_buf *out, struct hg_err *err);
/* Reads a key; trusts nothing. HG_E_CORRUPT. key.p NULL: a null array. */
HG_MUST_USE enum hg_rc hg_x_of_key(struct hg_str key, enum hg_xtype type, struct hg_arena *a, struct hg_xval *out, struct hg_err *err);
/* As JSON: numbers, quoted text, [..]. */
void hg_x_json(const struct hg_xval *v, struct hg_buf *out);

#endif
