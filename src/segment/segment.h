/* A sealed segment file, mapped and read where it lies. Open checks everything that later access relies on: head, footer and its checksum,
 * every section's place, block directories, dictionaries and the tables of bitmap indexes with their checksums. Blocks of values and sets of rows are
 * checked by checksum and for structure on first use. All of it is read-only and shared by threads. The file says nothing of the segment's
 * identity; that is the metadata's. Layout: docs/segment-format.md. */
#ifndef HG_SEGMENT_SEGMENT_H
#define HG_SEGMENT_SEGMENT_H

#include <stdio.h>
#include "segment/schema.h"
#include "segment/source.h"

struct hg_segment;
struct hg_block_cache;
struct hg_resident_pool;

/* HG_E_CORRUPT names file, column and place. Returns owned: hg_segment_close. */
HG_MUST_USE enum hg_rc hg_segment_open(const char *path, struct hg_segment **out, struct hg_err *err);
/* The same over bytes that outlive the segment; name is for messages. */
HG_MUST_USE enum hg_rc hg_segment_open_bytes(struct hg_span bytes, const char *name, struct hg_segment **out, struct hg_err *err);
void hg_segment_close(struct hg_segment *seg); /* NULL allowed; no reader may be left */

const struct hg_source *hg_segment_source(const struct hg_segment *seg);
const char *hg_segment_query_gran(const struct hg_segment *seg); /* queryGranularity as JSON text */
bool hg_segment_rollup(const struct hg_segment *seg);
bool hg_segment_sorted(const struct hg_segment *seg);            /* by its keys: the dimensions in their order, __time before, among or behind them */
uint32_t hg_segment_time_at(const struct hg_segment *seg);       /* how many dimensions stand before __time among the keys; 0: rows ascend by __time */
/* Key number k of a sorted segment; of one that is not, __time is the only one. NULL: there are no more. */
const struct hg_column *hg_segment_key(const struct hg_segment *seg, uint32_t k);
uint64_t hg_segment_bytes(const struct hg_segment *seg);         /* of the file */

/* ---- where blocks are read from; before the first reader is made ---- */

/* Readers share compressed blocks, decompressed, through the cache, which outlives the segment. */
void hg_segment_use_cache(struct hg_segment *seg, struct hg_block_cache *cache);
/* Decompresses the segment into memory that is locked, and lets go of the file, which may then be removed: no scan waits for a disk any more. The image is the same file without its
 * codec: values stay packed. Every block and index is checked on the way, so what is corrupt shows now. HG_E_LIMIT names the pool's capacity, its use and the need, or the limit of
 * the operating system to raise. On failure the segment is as it was. See segment/resident.h for the pool, which outlives the segment. */
HG_MUST_USE enum hg_rc hg_segment_make_resident(struct hg_segment *seg, struct hg_resident_pool *pool, struct hg_err *err);
uint64_t hg_segment_resident_bytes(const struct hg_segment *seg); /* what that takes of a pool, in whole pages */
bool hg_segment_resident(const struct hg_segment *seg);

/* How many bytes of columns' blocks this thread has opened so far, as they are stored and decompressed. */
void hg_segment_bytes_read(int64_t *stored, int64_t *raw);

/* The file is a part of a segment that is still being made: queries that insist on projections do not here. */
void hg_segment_set_unsealed(struct hg_segment *seg);

/* ---- merging: sealing a live part (n = 1), or many sources into one ---- */

struct hg_segment_write_options {
    int zstd_level; /* 0: blocks as they are; else 1..19 */
    bool plain;     /* without the schema's projections: the file is a step on the way */
    bool bare;      /* nor bitmap indexes and entity summaries, a good half of the work: nobody will query it */
};
struct hg_segment_stats {
    uint32_t rows;
    uint64_t rows_in, bytes, hash; /* hash: XXH3 of the file */
    struct hg_interval times;      /* of the rows; empty when there are none */
};
/* Writes the rows of srcs[0..n) as one segment at path: sorted by time and dimensions in the schema's order (__time where the schema has it; null first, multi-values item by
 * item, an empty list being equal to null), rows of equal keys rolled up when the schema says so. Columns are matched by name; one that a source lacks is null there, and one that the
 * schema lacks is left out. __time is taken as it stands. Holds the dictionaries, eight bytes a row, the keys of sources that are not sorted
 * already, and one column's ids at a time. HG_E_INVALID: a column's type does not suit the schema's. HG_E_LIMIT: more rows than a segment may have.
 * The schema's projections are made of the rows written, one after the other, each at the cost of merging them once more.
 * On failure nothing is left at path. */
HG_MUST_USE enum hg_rc hg_segment_merge(const struct hg_schema *schema, const struct hg_source *const *srcs, size_t n, const struct hg_segment_write_options *opt, const char *path,
                                        struct hg_segment_stats *out, struct hg_err *err);

/* Writes some rows of a sealed, sorted segment as one of their own: rows[0..n) ascend. Its dictionaries hold only what those rows use. The schema is the one that the segment was
 * written with. Holds twelve bytes a row and one column's ids. On failure nothing is left at path. */
HG_MUST_USE enum hg_rc hg_segment_pick(const struct hg_schema *schema, const struct hg_segment *seg, const uint32_t *rows, uint32_t n, const struct hg_segment_write_options *opt,
                                       const char *path, struct hg_segment_stats *out, struct hg_err *err);

/* ---- for operators ---- */

/* Reads everything: all checksums, ids below the dictionary's size, directory figures equal to the values, bitmap index equal to the column, rows in the
 * declared order, projections equal to the rows that they stand for. HG_E_CORRUPT names the first fault. */
HG_MUST_USE enum hg_rc hg_segment_verify(const struct hg_segment *seg, struct hg_err *err);
/* Rows [from, from + n) as JSON objects, one a line, columns in order; n is cut to what there is. */
HG_MUST_USE enum hg_rc hg_segment_dump(const struct hg_segment *seg, uint32_t from, uint32_t n, FILE *out, struct hg_err *err);
/* A row as JSON, of any source; readers[i] is open on column i. Appends to b. */
HG_MUST_USE enum hg_rc hg_source_row_json(const struct hg_source *s, struct hg_colread *const *readers, uint32_t row, struct hg_buf *scratch, struct hg_buf *b, struct hg_err *err);
/* What takes how much, column by column, as one JSON object, or as a table for people. */
HG_MUST_USE enum hg_rc hg_segment_stat_json(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_segment_stat_table(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err);
/* The totals of the metrics that rollup adds up (count and the sums), exactly, as one JSON object for people who compare versions: {"clicks":12,"spend":"3.5",
 * "score":1.25}. Longs are integers (a total past 64 bits has an exponent), doubles and floats have a point or an exponent, decimals are strings. A total that is
 * NaN or infinite is null. Taken from the blocks' directories; only blocks that keep no sum are read. */
HG_MUST_USE enum hg_rc hg_segment_sums(const struct hg_segment *seg, struct hg_buf *b, struct hg_err *err);

#endif
