#include "segment/source.h"

#include <string.h>

const char *hg_type_name(enum hg_type t)
{
    switch (t) {
    case HG_T_STRING: return "STRING";
    case HG_T_LONG: return "LONG";
    case HG_T_DOUBLE: return "DOUBLE";
    case HG_T_FLOAT: return "FLOAT";
    case HG_T_DECIMAL: return "DECIMAL";
    case HG_T_HLL: return "HLLSketch";
    case HG_T_THETA: return "thetaSketch";
    case HG_T_QUANTILES: return "quantilesDoublesSketch";
    case HG_T_HYPERUNIQUE: return "hyperUnique";
    }
    return "unknown";
}

bool hg_type_is_integer(enum hg_type t) { return t == HG_T_LONG || t == HG_T_DECIMAL; }
bool hg_type_is_number(enum hg_type t) { return t >= HG_T_LONG && t <= HG_T_DECIMAL; }
bool hg_type_is_complex(enum hg_type t) { return t >= HG_T_HLL && t <= HG_T_HYPERUNIQUE; }

struct hg_sketch_def hg_type_sketch(enum hg_type complex, uint32_t lg_k)
{
    enum hg_sketch_kind kind = complex == HG_T_HLL ? HG_SKETCH_HLL : complex == HG_T_THETA ? HG_SKETCH_THETA : complex == HG_T_QUANTILES ? HG_SKETCH_QUANTILES : HG_SKETCH_HYPERUNIQUE;
    return (struct hg_sketch_def){.kind = kind, .lg_k = lg_k};
}

const struct hg_column *hg_source_column(const struct hg_source *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_cols; i++)
        if (strcmp(s->cols[i].name, name) == 0) return &s->cols[i];
    return NULL;
}
