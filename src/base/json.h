/* Reading untrusted JSON (jansson) with errors that name the JSON path, "$.aggregations[2].fieldName". */
#ifndef HG_BASE_JSON_H
#define HG_BASE_JSON_H

#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

/* A path is a chain of nodes on the caller's stack; hg_jroot is "$". */
struct hg_jpath {
    const struct hg_jpath *up;
    const char *key; /* NULL: an index */
    size_t index;
};
extern const struct hg_jpath hg_jroot;
#define HG_JKEY(parent, name) (&(struct hg_jpath){(parent), (name), 0})
#define HG_JAT(parent, i) (&(struct hg_jpath){(parent), NULL, (i)})
void hg_jpath_text(const struct hg_jpath *p, char *buf, size_t cap);

/* Parses text; duplicate keys keep the last; depth limited. HG_E_INVALID names line, column and what was expected. Returns owned. */
HG_MUST_USE enum hg_rc hg_json_parse(struct hg_str text, json_t **out, struct hg_err *err);
/* The same for a tree that is let go of soon, by whoever asked: quicker. */
HG_MUST_USE enum hg_rc hg_json_parse_brief(struct hg_str text, json_t **out, struct hg_err *err);
/* HG_E_INVALID: "$.a.b: <message>" */
enum hg_rc hg_jfail(struct hg_err *err, const struct hg_jpath *p, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Typed members of object `o` at path p; NULL is an object that is absent, without members. Absent or null: *out keeps its value (the default) and HG_OK, unless required. A wrong
 * type is HG_E_INVALID: "$.limit: expected an integer, got the string \"x\"". Strings borrow from o. */
HG_MUST_USE enum hg_rc hg_jget_str(const json_t *o, const char *key, const struct hg_jpath *p, bool required, const char **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_jget_i64(const json_t *o, const char *key, const struct hg_jpath *p, bool required, int64_t *out, struct hg_err *err);   /* "5" and 5.0 too, as Jackson */
HG_MUST_USE enum hg_rc hg_jget_f64(const json_t *o, const char *key, const struct hg_jpath *p, bool required, double *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_jget_bool(const json_t *o, const char *key, const struct hg_jpath *p, bool required, bool *out, struct hg_err *err);    /* "true" too, as Jackson */
HG_MUST_USE enum hg_rc hg_jget_obj(const json_t *o, const char *key, const struct hg_jpath *p, bool required, json_t **out, struct hg_err *err);   /* borrowed */
HG_MUST_USE enum hg_rc hg_jget_arr(const json_t *o, const char *key, const struct hg_jpath *p, bool required, json_t **out, struct hg_err *err);   /* borrowed */
/* v as an object or array at p, for elements. */
HG_MUST_USE enum hg_rc hg_jneed_obj(const json_t *v, const struct hg_jpath *p, struct hg_err *err);
/* Compact text; returns owned (free), NULL when out of memory. */
char *hg_json_text(const json_t *v);

#endif
