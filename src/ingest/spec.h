/* Ingestion specs, in Druid's own JSON: what a supervisor (type "kafka") and a batch task (type "index_parallel" or "index") say. Parsed whole and checked before anything is
 * done; errors name the JSON path. Unknown fields are ignored, as Druid does. */
#ifndef HG_INGEST_SPEC_H
#define HG_INGEST_SPEC_H

#include "segment/schema.h"

struct hg_filter; /* query/plan/plan.h */

/* One step of a path into nested JSON: a member, or an index. */
struct hg_path_step { const char *key; int64_t index; /* key NULL */ };
struct hg_field_path { /* flattenSpec field: type "path" ($.a.b[0]), "root" or "jq"-free */
    const char *name;
    const struct hg_path_step *steps;
    uint32_t n_steps;
};

enum hg_input_kind { HG_INPUT_JSON, HG_INPUT_CSV, HG_INPUT_TSV };
struct hg_input_format {
    enum hg_input_kind kind;
    /* JSON */
    const struct hg_field_path *paths; /* flattenSpec */
    uint32_t n_paths;
    /* CSV, TSV */
    const char *const *columns;        /* NULL: from the header line */
    uint32_t n_columns;
    bool find_header;                  /* findColumnsFromHeader */
    uint32_t skip_rows;                /* skipHeaderRows */
    char delimiter;                    /* ',' or '\t', or as given */
    const char *list_delimiter;        /* NULL: default "\001" (Ctrl-A) */
};

enum hg_time_format { HG_TF_AUTO, HG_TF_ISO, HG_TF_MILLIS, HG_TF_SECONDS /* posix */, HG_TF_MICRO, HG_TF_NANO };
struct hg_timestamp_spec {
    const char *column;             /* default "timestamp" */
    enum hg_time_format format;     /* default auto */
    bool has_missing;               /* missingValue given */
    int64_t missing;
};

struct hg_data_schema {
    const char *datasource, *ns;    /* ns: "namespace" beside dataSource, ours; "" by default */
    struct hg_timestamp_spec time;
    struct hg_schema *schema;       /* dimensions, metrics, rollup, queryGranularity */
    struct hg_gran segment_gran;    /* default DAY */
    const struct hg_interval *intervals; /* batch: granularitySpec.intervals; n 0: from the data */
    uint32_t n_intervals;
    const struct hg_filter *filter; /* transformSpec.filter, on the fields of events; NULL: none */
};

enum hg_partitioning { HG_PART_DYNAMIC, HG_PART_HASHED, HG_PART_RANGE };
struct hg_index_spec {              /* a batch task */
    struct hg_data_schema data;
    struct hg_input_format format;
    const char *base_dir, *filter;  /* local input: files of base_dir (recursively) whose name matches the glob */
    const char *const *files;       /* or these */
    uint32_t n_files;
    const char *inline_data;        /* or this text (input source "inline") */
    bool append;                    /* appendToExisting */
    bool drop_existing;             /* dropExisting: what is older in all of the intervals goes, also where there are no new rows */
    enum hg_partitioning partitioning;
    int64_t max_rows_per_segment;   /* target rows of HASHED, and of RANGE with: */
    bool rows_are_target;           /* RANGE: about so many, not at most */
    uint32_t num_shards;            /* HASHED; 0: from the row count */
    const char *const *partition_dims;
    uint32_t n_partition_dims;
    uint32_t max_threads;           /* maxNumConcurrentSubTasks; 0: not given */
    int64_t max_rows_in_memory;
    int64_t max_bytes_in_memory;    /* of all live rows; 0: the server's own limit */
    int64_t max_parse_exceptions;   /* more bad rows fail the task; default unlimited as Druid */
    uint32_t max_saved_exceptions;  /* maxSavedParseExceptions: so many of the last are in the report; default 0, one is kept anyway */
    bool log_exceptions;            /* logParseExceptions */
};
struct hg_kafka_spec {              /* a supervisor */
    const char *id;                 /* spec id, default the datasource (with "@ns" when it has a namespace) */
    struct hg_data_schema data;
    struct hg_input_format format;
    const char *topic;
    const char *const *props;       /* consumerProperties as key, value pairs for librdkafka; "bootstrap.servers" among them */
    uint32_t n_props;
    bool earliest;                  /* useEarliestOffset */
    const char *dead_letter_topic;  /* ioConfig.deadLetterTopic, ours; NULL: none */
    int64_t seal_ms;                /* taskDuration: a generation is sealed when this old; default PT1H */
    int64_t max_rows_per_segment, max_total_rows, max_rows_in_memory, max_bytes_in_memory, persist_ms;
    int64_t late_before_ms;         /* lateMessageRejectionPeriod; -1: none */
    int64_t early_after_ms;         /* earlyMessageRejectionPeriod; -1: none */
    bool suspended;
};
/* text is the task's or supervisor's whole JSON. Results live in a. HG_E_INVALID names the path. */
HG_MUST_USE enum hg_rc hg_index_spec_parse(struct hg_arena *a, const json_t *task, struct hg_index_spec **out, struct hg_err *err);
/* What a supervisor's spec does not say; 0 or NULL: Druid's default. */
struct hg_kafka_defaults {
    int64_t seal_ms, persist_ms, max_rows_in_memory, max_rows_per_segment, max_bytes_in_memory;
    const char *bootstrap;
};
HG_MUST_USE enum hg_rc hg_kafka_spec_parse(struct hg_arena *a, const json_t *spec, const struct hg_kafka_defaults *d, struct hg_kafka_spec **out, struct hg_err *err);

#endif
