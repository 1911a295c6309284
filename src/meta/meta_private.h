/* The database under the metadata store, and what the store's files share.
 *
 * One set of SQL statements serves PostgreSQL and SQLite: parameters are $1…, numbers are BIGINT (truth too: 0, 1), times are ms, upserts and RETURNING as
 * both have them. What differs is behind struct hg_db_ops: connecting, running a statement, the clock, notifying, and holding leadership.
 *
 * Everything happens in transactions. READ sees one snapshot. WRITE runs with PostgreSQL's READ COMMITTED, so whatever must be decided on the latest
 * state first locks the row that guards it by updating it (docs/metadata.md lists these rows and their order). */
#ifndef HG_META_META_PRIVATE_H
#define HG_META_META_PRIVATE_H

#include <pthread.h>

#include "meta/meta.h"

/* ---- values ---- */
struct hg_dbv { /* a parameter */
    bool is_int, null;
    int64_t i;
    const char *s;
};
#define DB_I(x) ((struct hg_dbv){.is_int = true, .i = (int64_t)(x)})
static inline struct hg_dbv hg_db_text(const char *s) { return (struct hg_dbv){.s = s ? s : ""}; }
static inline struct hg_dbv hg_db_nullable(const char *s) { return (struct hg_dbv){.s = s, .null = !s}; }
#define DB_T(x) hg_db_text(x)
#define DB_NULLABLE(x) hg_db_nullable(x)
/* The parameters of a statement: two arguments. */
#define DB_V(...) (const struct hg_dbv[]){__VA_ARGS__}, sizeof((const struct hg_dbv[]){__VA_ARGS__}) / sizeof(struct hg_dbv)

struct hg_dbrow; /* a row of a result; what it gives is borrowed until the callback returns */
int64_t hg_dbrow_i64(const struct hg_dbrow *r, int col);       /* null: 0 */
const char *hg_dbrow_text(const struct hg_dbrow *r, int col);  /* null: NULL */
typedef enum hg_rc hg_dbrow_fn(void *arg, const struct hg_dbrow *r, struct hg_err *err);

/* ---- topics ---- */
enum hg_topic { HG_TOPIC_SEGMENTS, HG_TOPIC_VISIBLE, HG_TOPIC_SUPERVISORS, HG_TOPIC_TASKS, HG_TOPIC_RULES, HG_TOPIC_SERVERS, HG_N_TOPICS };
extern const char *const hg_topic_names[HG_N_TOPICS];
#define HG_TOPICS_ALL ((1u << HG_N_TOPICS) - 1)

/* ---- transactions ---- */
struct hg_db; /* connections, and the schema brought up to date on first use; any thread */
struct hg_tx {
    struct hg_db *db;
    void *conn;
    bool write;
    unsigned topics; /* to notify when it commits */
};
typedef enum hg_rc hg_tx_fn(struct hg_tx *tx, void *arg, struct hg_err *err);
enum hg_tx_mode { HG_TX_READ, HG_TX_WRITE };

HG_MUST_USE enum hg_rc hg_db_open(const char *url, void (*wake)(void *arg, unsigned topics), void *arg, struct hg_db **out, struct hg_err *err);
void hg_db_close(struct hg_db *db);
/* Runs fn in a transaction, committed when it returns HG_OK. fn is run again when the database asks for it (deadlock, serialization), so it must set its results
 * afresh each time. A connection lost while committing is HG_E_UNAVAILABLE, and the change may have been made. */
HG_MUST_USE enum hg_rc hg_db_run(struct hg_db *db, enum hg_tx_mode mode, hg_tx_fn *fn, void *arg, struct hg_err *err);
/* fn is called for each row and may be NULL; *changed (may be NULL) is set to how many rows a change touched. fn must not use tx. */
HG_MUST_USE enum hg_rc hg_db_exec(struct hg_tx *tx, const char *sql, const struct hg_dbv *v, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err);
/* The first column of the only row; *out keeps its value when there is no row. *found may be NULL. */
HG_MUST_USE enum hg_rc hg_db_i64(struct hg_tx *tx, const char *sql, const struct hg_dbv *v, size_t n, int64_t *out, bool *found, struct hg_err *err);
/* The database's clock: servers' own may differ. */
HG_MUST_USE enum hg_rc hg_db_now(struct hg_tx *tx, int64_t *ms, struct hg_err *err);
/* Adds one to a counter and gives its new value. Its row stays locked until the transaction ends: transactions that do so follow each other. */
HG_MUST_USE enum hg_rc hg_db_count(struct hg_tx *tx, const char *counter, int64_t *value, struct hg_err *err);
static inline void hg_tx_notify(struct hg_tx *tx, enum hg_topic t) { tx->topics |= 1u << t; }
/* Starts listening for what others change; wake is called with all topics after a gap. Once. */
HG_MUST_USE enum hg_rc hg_db_listen(struct hg_db *db, struct hg_err *err);

/* Rows of one INSERT, sent some hundred at a time. */
struct hg_db_bulk {
    struct hg_tx *tx;
    const char *head, *tail; /* "INSERT INTO t(a, b) VALUES", "ON CONFLICT DO NOTHING" */
    size_t n_cols, n_vals, cap;
    struct hg_dbv *vals;     /* strings are borrowed until the flush */
    int64_t changed;
};
HG_MUST_USE enum hg_rc hg_db_bulk_add(struct hg_db_bulk *b, const struct hg_dbv *v, size_t n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_db_bulk_flush(struct hg_db_bulk *b, struct hg_err *err);
void hg_db_bulk_free(struct hg_db_bulk *b);
/* Runs sql, in which "%s" stands for "($3, $4, …)", over texts some hundred at a time; $1 and $2 are v. */
HG_MUST_USE enum hg_rc hg_db_each_in(struct hg_tx *tx, const char *sql, const struct hg_dbv v[2], const char *const *texts, size_t n, int64_t *changed, struct hg_err *err);
/* The same for statements that give rows. */
HG_MUST_USE enum hg_rc hg_db_rows_in(struct hg_tx *tx, const char *sql, const struct hg_dbv v[2], const char *const *texts, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed,
                                     struct hg_err *err);

/* ---- what a kind of database implements ---- */
struct hg_db_ops {
    const char *name;      /* "PostgreSQL", in messages */
    bool one_writer;       /* WRITE transactions of this process take turns */
    const char *text_type; /* a text column that compares by bytes */
    const char *begin[2];  /* by enum hg_tx_mode */
    enum hg_rc (*open)(struct hg_db *db, const char *url, void **impl, struct hg_err *err);
    void (*close)(void *impl);
    enum hg_rc (*connect)(void *impl, void **conn, struct hg_err *err);
    void (*disconnect)(void *conn);
    enum hg_rc (*exec)(void *conn, const char *sql, const struct hg_dbv *v, size_t n, hg_dbrow_fn *fn, void *arg, int64_t *changed, struct hg_err *err);
    bool (*broken)(void *conn);    /* no use any more */
    bool (*try_again)(void *conn); /* the last failure asks for the transaction to be run again */
    int64_t (*row_i64)(const struct hg_dbrow *r, int col);
    const char *(*row_text)(const struct hg_dbrow *r, int col);
    enum hg_rc (*now)(struct hg_tx *tx, int64_t *ms, struct hg_err *err);
    enum hg_rc (*lock_schema)(struct hg_tx *tx, struct hg_err *err);     /* until the transaction ends */
    enum hg_rc (*notify)(struct hg_tx *tx, enum hg_topic t, struct hg_err *err); /* before commit; NULL: hg_db_wake after it is enough */
    enum hg_rc (*listen)(void *impl, struct hg_err *err);                /* so that changes of other processes wake watchers too */
    /* Leadership: a lock that the system frees when its holder is gone. */
    enum hg_rc (*lead)(void *impl, const char *what, void **session, struct hg_err *err); /* *session NULL: another has it */
    bool (*leading)(void *session);
    void (*unlead)(void *session);
    enum hg_rc (*led)(void *impl, struct hg_tx *tx, const char *what, bool *held, struct hg_err *err);
};
extern const struct hg_db_ops hg_db_pg, hg_db_sqlite;
struct hg_dbrow {
    const struct hg_db_ops *ops;
    void *result;
    int row;
};
void hg_db_wake(struct hg_db *db, unsigned topics);
HG_MUST_USE enum hg_rc hg_db_migrate(struct hg_tx *tx, const struct hg_db_ops *ops, struct hg_err *err);
const struct hg_db_ops *hg_db_kind(const struct hg_db *db);
void *hg_db_impl(const struct hg_db *db);

/* ---- the store ---- */
#define HG_WATCHERS_MAX 8
#define HG_LEADS_MAX 8
struct hg_lead {
    char what[128], owner[256];
    void *session; /* NULL: the place is free */
    int64_t epoch;
};
struct hg_meta {
    struct hg_db *db;
    pthread_mutex_t calling; /* held while watchers are called, and to take one off; before mu */
    pthread_mutex_t mu; /* guards what follows up to `leads_mu` */
    pthread_cond_t changed;
    struct { void (*fn)(void *arg, const char *topic); void *arg; } watchers[HG_WATCHERS_MAX];
    int n_watchers;
    unsigned pending;   /* topics to call watchers for */
    bool stop, waker_running;
    pthread_t waker;
    pthread_mutex_t leads_mu; /* guards leads; held over calls of the database */
    struct hg_lead leads[HG_LEADS_MAX];
};

/* A list that grows in an arena. */
#define HG_GROW(a, list, n, cap, what, err)                                                          \
    do {                                                                                             \
        if ((n) == (cap)) {                                                                          \
            size_t cap_ = (cap) ? 2 * (cap) : 16;                                                    \
            void *p_ = hg_arena_array((a), cap_, sizeof *(list));                                    \
            if (!p_) return hg_arena_fail((a), (what), (err));                                       \
            if (n) memcpy(p_, (list), (n) * sizeof *(list));                                         \
            (list) = p_;                                                                             \
            (cap) = cap_;                                                                            \
        }                                                                                            \
    } while (0)

/* HG_E_CONFLICT: a segment older than version was added there by a publish after `seen`. */
HG_MUST_USE enum hg_rc hg_added_since(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, const char *version, int64_t seen, struct hg_err *err);
/* HG_E_UNAVAILABLE: a batch publish of a newer version waits there to become visible. */
HG_MUST_USE enum hg_rc hg_replacement_waits(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, const char *version, struct hg_err *err);

/* Reading rows of hg_segments, selected as HG_SEG_COLS. Strings that repeat from row to row are kept once. */
#define HG_SEG_COLS \
    "s.datasource, s.ns, s.start_ms, s.end_ms, s.version, s.part_num, s.core_parts, s.shard, s.size_bytes, s.n_rows, s.path, s.file_hash, s.publish_id, s.created_ms, " \
    "s.dimensions, s.metrics"
#define HG_SEG_N_COLS 16
struct hg_seg_reader {
    struct hg_arena *a;
    const char *last[5];
};
HG_MUST_USE enum hg_rc hg_seg_read(struct hg_seg_reader *rd, const struct hg_dbrow *r, int first_col, struct hg_segment_meta *out, struct hg_err *err);

/* Visible segments of a namespace that overlap an interval. */
struct hg_vis {
    struct hg_segid id;
    uint32_t core;
};
struct hg_vis_list {
    struct hg_arena *a;
    struct hg_vis *v;
    size_t n, cap;
};
/* The list stands still for the rest of the transaction; it is not changed. */
HG_MUST_USE enum hg_rc hg_vis_lock(struct hg_tx *tx, struct hg_err *err);
/* Forgets changes up to a number. */
HG_MUST_USE enum hg_rc hg_vis_forget(struct hg_tx *tx, int64_t upto, int64_t *forgotten, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_vis_load(struct hg_tx *tx, const char *datasource, const char *ns, struct hg_interval iv, struct hg_vis_list *out, struct hg_err *err);
/* One numbered change of the visible list: its number; the list is this transaction's until it ends. */
HG_MUST_USE enum hg_rc hg_vis_begin(struct hg_tx *tx, int64_t *seq, int64_t now, struct hg_err *err);
/* A timeline over some of them. Entries' tags point to the hg_vis. */
struct hg_timeline;
HG_MUST_USE enum hg_rc hg_vis_timeline(struct hg_arena *a, const struct hg_vis *v, size_t n, struct hg_timeline **out, struct hg_err *err);
/* Would a complete chunk (interval, version) hide anything that can be seen among v? *hidden is one of those. */
HG_MUST_USE enum hg_rc hg_vis_would_hide(struct hg_arena *a, const struct hg_vis *v, size_t n, struct hg_interval iv, const char *version, const struct hg_vis **hidden, struct hg_err *err);
/* Over several intervals; what lies in two of them comes twice. */
HG_MUST_USE enum hg_rc hg_vis_load_all(struct hg_tx *tx, const char *datasource, const char *ns, const struct hg_interval *ivs, size_t n, struct hg_vis_list *out, struct hg_err *err);
/* Sorts, and joins what overlaps or touches. */
size_t hg_intervals_join(struct hg_interval *v, size_t n);
/* Segments to take off the list, as text. */
struct hg_drops {
    struct hg_arena *a;
    const char **ids;
    size_t n, cap;
};
HG_MUST_USE enum hg_rc hg_drops_add(struct hg_drops *d, const struct hg_segid *id, struct hg_err *err);
/* Adds those that no instant shows. */
HG_MUST_USE enum hg_rc hg_drops_find(const struct hg_vis_list *around, struct hg_drops *d, struct hg_err *err);
/* Takes them off by change seq, and marks them unused. */
HG_MUST_USE enum hg_rc hg_drops_apply(struct hg_tx *tx, const struct hg_drops *d, int64_t seq, int64_t now, struct hg_err *err);
/* The flip of a revert whose row in hg_publishes is locked and set visible already. */
HG_MUST_USE enum hg_rc hg_revert_flip(struct hg_tx *tx, struct hg_arena *a, int64_t publish_id, const char *datasource, const char *ns, int64_t now, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_audit_tx(struct hg_tx *tx, int64_t now, const char *who, const char *what, const char *detail_json, struct hg_err *err);
#define HG_ALLOCATIONS_KEPT_MS (30 * 24 * 3600 * INT64_C(1000)) /* a stream asks again for an id it was given while its generation is open; long after, nobody does */
HG_MUST_USE enum hg_rc hg_new_version_tx(struct hg_tx *tx, char *version, struct hg_err *err);

#endif
