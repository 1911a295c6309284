/* For tests of what specs declare: a schema of JSON text, and texts that are refused. After cmocka.h. */
#ifndef HG_TESTS_UNIT_SEGMENT_SCHEMA_OF_H
#define HG_TESTS_UNIT_SEGMENT_SCHEMA_OF_H

#include <string.h>
#include "segment/schema.h"

static inline enum hg_rc schema_of(struct hg_arena *a, const char *text, struct hg_schema **out, struct hg_err *err)
{
    json_t *j = NULL;
    assert_int_equal(hg_json_parse(hg_str_of(text), &j, err), HG_OK);
    enum hg_rc rc = hg_schema_parse(a, j, &hg_jroot, out, err);
    json_decref(j);
    return rc;
}

struct refused { const char *json, *says; };

static inline void all_refused(const struct refused *cases, size_t n, enum hg_rc (*parse)(struct hg_arena *a, const char *text, struct hg_schema **out, struct hg_err *err))
{
    for (size_t i = 0; i < n; i++) {
        struct hg_arena *a = hg_arena_new(NULL);
        struct hg_schema *s = NULL;
        struct hg_err err = {0};
        enum hg_rc rc = parse(a, cases[i].json, &s, &err);
        if (rc != HG_E_INVALID || !strstr(err.msg, cases[i].says)) fail_msg("%s: %s %s, want %s", cases[i].json, hg_rc_name(rc), err.msg, cases[i].says);
        hg_arena_free(a);
    }
}

#endif
