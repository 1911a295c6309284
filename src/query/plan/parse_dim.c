#include <strings.h>
#include <string.h>
#include "query/plan/parse.h"

static enum hg_rc output_type(const json_t *j, const struct hg_jpath *p, enum hg_type *out, struct hg_err *err)
{
    static const struct { const char *name; enum hg_type type; } known[] = {
        {"STRING", HG_T_STRING}, {"LONG", HG_T_LONG}, {"DOUBLE", HG_T_DOUBLE}, {"FLOAT", HG_T_FLOAT},
    };
    const char *name = NULL;
    HG_TRY(hg_jget_str(j, "outputType", p, false, &name, err));
    *out = HG_T_STRING;
    if (!name) return HG_OK;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0) return *out = known[i].type, HG_OK;
    if (strncasecmp(name, "ARRAY", 5) == 0) return HG_OK; /* see hg_parse_dim_array */
    if (strncasecmp(name, "COMPLEX", 7) == 0) return hg_parse_unsupported(HG_JKEY(p, "outputType"), "output type", name, err);
    return hg_jfail(err, HG_JKEY(p, "outputType"), "unknown type \"%s\"; known: STRING, LONG, FLOAT, DOUBLE", name);
}

enum hg_rc hg_parse_dim(struct hg_parse *ps, const json_t *j, const struct hg_jpath *p, struct hg_dim *out, struct hg_err *err)
{
    static const char *const known[] = {"type", "dimension", "outputName", "outputType", NULL};
    static const char *const later[] = {"extraction", "listFiltered", "regexFiltered", "prefixFiltered", "lookup", NULL};
    memset(out, 0, sizeof *out);
    out->kind = HG_DIM_DEFAULT;
    out->type = HG_T_STRING;
    if (json_is_string(j)) {
        HG_TRY(hg_parse_dup(ps, json_string_value(j), &out->column, err));
        out->name = out->column;
        return HG_OK;
    }
    HG_TRY(hg_jneed_obj(j, p, err));
    const char *type = "default", *column = NULL, *name = NULL;
    HG_TRY(hg_jget_str(j, "type", p, false, &type, err));
    for (size_t i = 0; later[i]; i++)
        if (strcmp(type, later[i]) == 0) return hg_parse_unsupported(HG_JKEY(p, "type"), "dimension spec", type, err);
    HG_TRY(hg_parse_known(ps, j, p, known, err)); /* any other type is read as default, as Druid does */
    HG_TRY(hg_jget_str(j, "dimension", p, true, &column, err));
    HG_TRY(hg_jget_str(j, "outputName", p, false, &name, err));
    HG_TRY(output_type(j, p, &out->type, err));
    HG_TRY(hg_parse_dup(ps, column, &out->column, err));
    out->name = out->column;
    if (name) HG_TRY(hg_parse_dup(ps, name, &out->name, err));
    const char *array = NULL;
    HG_TRY(hg_jget_str(j, "outputType", p, false, &array, err));
    return array && strncasecmp(array, "ARRAY", 5) == 0 ? hg_parse_dim_array(ps, array, HG_JKEY(p, "outputType"), out, err) : HG_OK;
}
