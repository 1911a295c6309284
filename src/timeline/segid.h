/* Names of segments and how an interval's segments fit together. */
#ifndef HG_TIMELINE_SEGID_H
#define HG_TIMELINE_SEGID_H

#include "base/json.h"
#include "base/time.h"

/* Identity. Text form: ds_start_end_version[_partition] as Druid's, with the namespace, when not "", after the datasource as "ds@ns". */
struct hg_segid {
    const char *datasource;
    const char *ns;          /* namespace; "" is the default one */
    struct hg_interval interval;
    const char *version;     /* ISO time; versions compare as text */
    uint32_t partition;
};
#define HG_SEGID_TEXT 512
/* HG_E_INVALID when a name has characters that are not allowed or the text would not fit. */
HG_MUST_USE enum hg_rc hg_segid_check(const struct hg_segid *id, struct hg_err *err);
int hg_segid_text(const struct hg_segid *id, char buf[HG_SEGID_TEXT]);
HG_MUST_USE enum hg_rc hg_segid_parse(struct hg_arena *a, struct hg_str text, struct hg_segid *out, struct hg_err *err);
int hg_segid_cmp(const struct hg_segid *a, const struct hg_segid *b);
/* datasource and namespace: 1..128 of letters, digits, ., -, _ ; not starting with a dot or digit-only rule of Druid's path safety. "" is a valid namespace. */
HG_MUST_USE enum hg_rc hg_name_check(const char *what, const char *name, struct hg_err *err);

enum hg_shard_kind { HG_SHARD_NUMBERED, HG_SHARD_HASHED, HG_SHARD_RANGE };
struct hg_shard {
    enum hg_shard_kind kind;
    uint32_t partition;
    uint32_t core_partitions;    /* how many make the version complete; 0: appended, none needed */
    /* HASHED */
    uint32_t bucket, n_buckets;
    uint32_t n_dims;
    const char *const *dims;     /* HASHED (may be 0: all), RANGE */
    /* RANGE: tuples of n_dims values, start inside, end outside; NULL tuple: unbounded. Items may be null strings. */
    const struct hg_str *start, *end;
    bool single; /* HASHED, RANGE: whoever divided the rows vouches that each has at most one value in each of dims, and that all are texts; only then a value tells the partition
                  * (a row of several is where its list belongs, a number may be written in more than one way). In JSON "singleValues", when true */
};
json_t *hg_shard_json(const struct hg_shard *s); /* Druid's JSON; returns owned */
HG_MUST_USE enum hg_rc hg_shard_parse(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_shard *out, struct hg_err *err);
/* HASHED with dims: the bucket of a row whose values of those dimensions are given, in the order of dims. A row without a value has n 0. scratch: an initialised buffer. */
struct hg_shard_values { const struct hg_str *v; uint32_t n; };
HG_MUST_USE enum hg_rc hg_shard_bucket(const struct hg_shard_values *dims, uint32_t n_dims, uint32_t n_buckets, struct hg_buf *scratch, uint32_t *out, struct hg_err *err);
uint32_t hg_shard_bucket_of(const void *key, size_t len, uint32_t n_buckets); /* the same of a key in JSON */


/* A segment as the metadata store describes it: published, immutable. */
struct hg_segment_meta {
    struct hg_segid id;
    struct hg_shard shard;
    int64_t size_bytes, n_rows;
    const char *path;            /* in deep storage, relative to its root */
    uint64_t file_hash;          /* XXH3 of the file */
    int64_t publish_id;          /* which publish brought it */
    int64_t created_ms;
    const char *dimensions, *metrics; /* comma-separated names, as Druid's */
    const char *sums;            /* totals of metrics as hg_segment_sums writes them; NULL: not known. Kept when it is published; of what reads segments only
                                  * hg_meta_versions gives it */
};
/* A deep copy into a. */
HG_MUST_USE enum hg_rc hg_segment_meta_copy(struct hg_arena *a, const struct hg_segment_meta *from, struct hg_segment_meta *to, struct hg_err *err);

#endif
