/* The live index: rows of one sink as they arrive, in columns that queries read while they grow. One head takes rows from one writer until
 * it is full; then it is frozen and read without a lock until it has been written as a segment.
 *
 *   new ──► add, add, ... (a batch at a time; readers acquire and release between batches) ──► freeze ──► read, merge ──► free
 *
 * With rollup, a row whose truncated time and dimensions are those of an earlier row is folded into it; else every row is appended. Values are
 * converted to the columns' types as Druid converts them at ingestion. A value that cannot be converted becomes null and is counted; it
 * never costs the row.
 *
 * Threads: one writer (add, freeze, free); any number of readers. Readers hold a read lock from acquire to release, and a waiting
 * writer goes before new readers, so a reader must not acquire the same head twice at once. */
#ifndef HG_SEGMENT_LIVE_H
#define HG_SEGMENT_LIVE_H

#include "segment/schema.h"
#include "segment/source.h"

struct hg_live;

struct hg_live_opts {
    const char *id;             /* for messages; copied. NULL: "live" */
    struct hg_budget *budget;   /* what the index keeps is counted here; may be NULL */
    uint32_t max_rows;          /* rows kept (after rollup); 0: a million */
    bool only_merged;           /* rows will only be merged: no set of rows is kept by value, and a filter would have to look at every row */
    bool as_they_come;          /* with only_merged: rows are not rolled up, for the merge does that, which is faster; on_bad is not called. Where there are sketches they still are */
    struct hg_live_texts *texts; /* with as_they_come: dictionaries that it shares; borrowed, and outlive it. NULL: its own */
    int64_t min_time;           /* truncated times are never before it (the start of the sink's interval), as in Druid; HG_TIME_MIN: no bound */
    /* Called (NULL: not) for each value of a taken row that could not be converted: rows[row] of the add, the column, the reason. On the writer's
     * thread, within the lock: it must not come back here. */
    void (*on_bad)(void *arg, uint32_t row, const char *column, const char *why);
    void *on_bad_arg;
};

/* schema is borrowed and outlives the index. */
HG_MUST_USE enum hg_rc hg_live_new(const struct hg_schema *schema, const struct hg_live_opts *opts, struct hg_live **out, struct hg_err *err);
/* No reader may hold it. NULL allowed. */
void hg_live_free(struct hg_live *l);

/* Dictionaries in common: one thread at a time adds rows to indexes that share them; who reads their rows must not meet it. */
struct hg_live_texts;
/* budget: counts them, and they take at most most_bytes of it, so that there is room for rows; past it an index is full. */
HG_MUST_USE enum hg_rc hg_live_texts_new(const struct hg_schema *schema, struct hg_budget *budget, int64_t most_bytes, struct hg_live_texts **out, struct hg_err *err);
void hg_live_texts_free(struct hg_live_texts *t); /* after the indexes. NULL allowed */
/* Forgets all texts, unless (false) an index has rows with some of them. */
bool hg_live_texts_forget(struct hg_live_texts *t);
/* Finds the order of all texts once, for all merges to come; worth it when no more rows will. */
void hg_live_texts_sort(struct hg_live_texts *t);

/* Adds rows[0..*n_taken): fewer than n when the index is full (rows or bytes), which is not an error: freeze it and offer the rest to a new
 * one. A row is taken whole or not at all. HG_E_LIMIT: the budget has no room even for the first row of an empty index. HG_E_INVALID: the
 * index is frozen. On any failure *n_taken is set too. */
HG_MUST_USE enum hg_rc hg_live_add(struct hg_live *l, const struct hg_row *rows, uint32_t n, uint32_t *n_taken, struct hg_err *err);
/* No more rows. Waits for the readers of now; from then on acquire and release cost nothing. */
void hg_live_freeze(struct hg_live *l);

/* The rows of all batches added so far, as one source; unchanged and valid until release. A head is time_sorted only if its rows happened to
 * come so. Same thread, in pairs. */
void hg_live_acquire(struct hg_live *l, const struct hg_source **out);
void hg_live_release(struct hg_live *l);

/* Calls fn for each value that the row has in dimension dim of the schema (STRING or LONG) once it is in an index: after conversion, null included. */
struct hg_entity_key;
void hg_live_entities(const struct hg_schema *schema, uint32_t dim, const struct hg_row *row, void (*fn)(void *arg, const struct hg_entity_key *k), void *arg);
/* The time that the row gets. */
int64_t hg_live_time(const struct hg_schema *schema, int64_t min_time, int64_t t);

struct hg_live_stats {
    uint64_t rows_in;    /* rows taken */
    uint32_t rows;       /* rows kept */
    size_t bytes;        /* memory held */
    uint64_t bad_values; /* values that became null */
    bool frozen, full;   /* full: an add was cut short */
};
void hg_live_stats(const struct hg_live *l, struct hg_live_stats *out); /* any thread, no lock */

#endif
