/* Made-up ads rows in columns, for benchmarks in C: hours of one day, ads nested in ad groups, campaigns and advertisers, asked for by Zipf's law; the shape of what ads/rows.py makes.
 * Rows are sorted by hour and ad. Ids are numbers of a column's values; their texts ascend with them. */
#ifndef HG_BENCH_COLUMNS_H
#define HG_BENCH_COLUMNS_H

#include "segment/schema.h"
#include "segment/writer.h"

enum { BENCH_DIMS = 10, BENCH_LONGS = 4 };

struct bench_dim {
    const char *name;
    uint64_t base;  /* value k is the text of base + k */
    uint32_t card;
    uint32_t *v;    /* by row */
};
struct bench_columns {
    uint32_t n;
    int64_t *time;
    struct bench_dim dims[BENCH_DIMS];
    const char *long_names[BENCH_LONGS];
    int64_t *longs[BENCH_LONGS];
    double *spend;
};

struct bench_columns *bench_columns_new(uint32_t rows, uint64_t seed);
void bench_columns_free(struct bench_columns *c);
/* Every `of`-th row, beginning with row `nth`: a source for merging. */
struct bench_columns *bench_columns_share(const struct bench_columns *c, uint32_t nth, uint32_t of);
/* The schema of these columns, with rollup, parsed into an arena. */
const struct hg_schema *bench_schema(struct hg_arena *a);

struct bench_write {
    int zstd_level;
    bool no_bitmaps, no_entities;
};
/* Through the segment writer, dictionaries first: how another program would write a segment. -> bytes of the file */
uint64_t bench_columns_write(const struct bench_columns *c, const struct bench_write *how, const char *path);

uint64_t bench_random(void);
double bench_cpu_s(void); /* of this thread: what others do to the machine counts less */
void bench_need(enum hg_rc rc, const struct hg_err *err); /* or the program ends with the message */

#endif
