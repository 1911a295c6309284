/* Where the fields of a line end that has no quotes in it: in CSV most lines, in TSV all. */
#ifndef HG_INGEST_CSV_H
#define HG_INGEST_CSV_H

#include <stddef.h>
#include <stdint.h>

/* ends[i]: the place of the delimiter behind field i, or len behind the last one. Stops after max fields; returns how many there are, of an empty line one. */
uint32_t hg_csv_cut(const char *line, size_t len, char delimiter, uint32_t max, uint32_t *ends);

#endif
