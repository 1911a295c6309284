/* The input of a batch task: files of a folder, named files, or text in the spec; record by record. */
#ifndef HG_INGEST_INPUT_H
#define HG_INGEST_INPUT_H

#include "ingest/index.h"

struct hg_input_file { /* lives in the arena given */
    const char *path;       /* for messages */
    struct hg_span header;  /* CSV, TSV: the line that names the columns; p NULL: the spec names them */
};
/* Calls fn for each record, files in order of their names. number: of the record in its file, from 1. rec is borrowed until fn returns. */
HG_MUST_USE enum hg_rc hg_input_read(const struct hg_index_spec *spec, struct hg_arena *a, enum hg_rc (*fn)(void *arg, const struct hg_input_file *file, int64_t number, struct hg_span rec, struct hg_err *err),
                                     void *arg, struct hg_err *err);

#endif
