/* The metadata store: segments, streams' offsets, supervisors, tasks, rules, servers' leases, the numbered list of visible segments. One
 * interface; PostgreSQL (the cluster's) and SQLite (standalone) behind it, one test suite over both. Calls block and may be made from any thread but a
 * loop's. HG_E_UNAVAILABLE: the database cannot be reached now (message says which and why); the next call reconnects by itself.
 * Results are copied into the arena given. */
#ifndef HG_META_META_H
#define HG_META_META_H

#include "timeline/segid.h"

struct hg_meta;
/* url: "postgres://user@host:port/db" or "postgresql://…?host=/socket/dir" (libpq URI), or "sqlite:///path/file.db". Runs pending numbered migrations under a lock.
 * HG_E_UNAVAILABLE: the database does not answer now; open again later. A bad URL, a file that cannot be used and a schema newer than this henge stay as they are. */
HG_MUST_USE enum hg_rc hg_meta_open(const char *url, struct hg_meta **out, struct hg_err *err);
/* The same without asking the database anything: what is called first connects and migrates, and until that goes well every call fails as hg_meta_open would. For servers that have work
 * to do meanwhile; hg_meta_ping tells. */
HG_MUST_USE enum hg_rc hg_meta_open_unasked(const char *url, struct hg_meta **out, struct hg_err *err);
void hg_meta_close(struct hg_meta *m);
HG_MUST_USE enum hg_rc hg_meta_ping(struct hg_meta *m, struct hg_err *err);

/* Changes made by anyone wake watchers: fn(arg, topic) on a thread of the store ("segments", "visible", "supervisors", "tasks", "rules", "servers").
 * LISTEN/NOTIFY on PostgreSQL, in process on SQLite. Wakes may be spurious, and after a reconnect all topics are woken. At most 8 watchers. */
HG_MUST_USE enum hg_rc hg_meta_watch(struct hg_meta *m, void (*fn)(void *arg, const char *topic), void *arg, struct hg_err *err);

/* After it returns fn is not running and will not be called with arg again. Not from a watcher. */
void hg_meta_unwatch(struct hg_meta *m, void (*fn)(void *arg, const char *topic), void *arg);

/* ---- versions and ids ---- */
/* A new version, greater than any given before by this store. buf: HG_TIME_TEXT bytes. */
HG_MUST_USE enum hg_rc hg_meta_new_version(struct hg_meta *m, char *version, struct hg_err *err);
/* The id under which rows of (stream, sequence) for this chunk will be published: the chunk's current version in the namespace (or a new one) and a free
 * partition number. The same (stream, sequence, interval) gets the same id again (after a crash), unless a newer version of the chunk has become visible since:
 * then a fresh id of that version. */
struct hg_alloc {
    const char *datasource, *ns;
    struct hg_interval interval;
    const char *stream;   /* supervisor id */
    const char *sequence; /* names this generation of the stream: derived from its start offsets */
};
HG_MUST_USE enum hg_rc hg_meta_allocate(struct hg_meta *m, struct hg_arena *a, const struct hg_alloc *w, struct hg_segid *out, struct hg_err *err);

/* ---- publishing ---- */
struct hg_offset { int32_t partition; int64_t offset; /* next to read */ };
struct hg_publish {
    const struct hg_segment_meta *segments; /* all of one datasource and namespace */
    size_t n_segments;
    /* Stream: moves its offsets; NULL for batch. HG_E_CONFLICT ("stream X partition 3: stored offset 120, expected 100") and nothing happens when stored != expected. */
    const char *stream;
    int64_t stream_epoch;                   /* the lease's epoch; an older one is HG_E_CONFLICT (fenced) */
    const struct hg_offset *expected, *next;
    size_t n_offsets;
    bool visible;                           /* true: visible at once (the publisher serves the segments); false: by hg_meta_make_visible */
    const char *task;                       /* what did it, for the audit log */
    /* Batch: the whole interval is replaced also where it has no rows now (older segments of the namespace within are dropped when this becomes visible). May be 0. */
    const struct hg_interval *replaced;
    size_t n_replaced;
    /* Batch that replaces: segments that were added (core partitions 0) to what it will hide by a publish after `seen` (of hg_meta_older) are not in its rows. If there are any it is
     * HG_E_CONFLICT and nothing happens. */
    bool guarded;
    int64_t seen;
};
/* One transaction. HG_E_UNAVAILABLE when it adds rows (a stream's, or core partitions 0) to something that a batch publish will hide which waits to become visible: try again after
 * that, with ids of the new version. HG_E_CONFLICT too when a segment's version is older than what is visible for its interval in the namespace ("version … is overshadowed by …"): allocate again.
 * Publishing the same segments again with the same stream offsets as already stored is HG_E_CONFLICT; read the offsets to see where things stand. */
HG_MUST_USE enum hg_rc hg_meta_publish(struct hg_meta *m, const struct hg_publish *p, int64_t *publish_id, struct hg_err *err);
/* Flips a publish to visible, one numbered change; older segments that it wholly overshadows leave the list in the same change and are marked unused. Idempotent. */
HG_MUST_USE enum hg_rc hg_meta_make_visible(struct hg_meta *m, int64_t publish_id, struct hg_err *err);
/* Publishes (and reverts) waiting to become visible and their segments' ids. */
struct hg_pending { int64_t publish_id; const char *datasource, *task; const struct hg_segid *ids; size_t n; int64_t created_ms; bool revert; };
HG_MUST_USE enum hg_rc hg_meta_pending(struct hg_meta *m, struct hg_arena *a, struct hg_pending **out, size_t *n, struct hg_err *err);

/* ---- segments ---- */
enum hg_seg_filter { HG_SEG_USED, HG_SEG_UNUSED, HG_SEG_ALL }; /* used: published and not replaced or marked unused; visible or about to be */
struct hg_segment_row { struct hg_segment_meta meta; bool used, visible, parked; };
HG_MUST_USE enum hg_rc hg_meta_segments(struct hg_meta *m, struct hg_arena *a, const char *datasource /* NULL: all */, enum hg_seg_filter f, struct hg_segment_row **out, size_t *n, struct hg_err *err);
/* The visible list at one number, or what changed after `since` (0: the whole list as additions). *seq is the number that the answer brings the reader to. Changes are
 * kept for a day or 100,000; *whole is set when the answer is the whole list instead (the reader was too far behind, or since was 0). */
struct hg_visible_change { bool add; struct hg_segment_meta meta; /* for a removal only id is set */ bool parked; };
HG_MUST_USE enum hg_rc hg_meta_visible(struct hg_meta *m, struct hg_arena *a, int64_t since, int64_t *seq, bool *whole, struct hg_visible_change **out, size_t *n, struct hg_err *err);
/* What a batch task looks at: the used segments (visible, or waiting for that) of a namespace that overlap the intervals and are older than a version, by interval, version and
 * partition; and the number of a publish up to which nothing is missing. */
struct hg_older {
    const char *datasource, *ns;
    const struct hg_interval *ivs;
    size_t n_ivs; /* 0: only the number is asked for */
    const char *version;
};
HG_MUST_USE enum hg_rc hg_meta_older(struct hg_meta *m, struct hg_arena *a, const struct hg_older *w, struct hg_segment_row **out, size_t *n, int64_t *last_publish, struct hg_err *err);
/* Marks segments unused (and not visible), or used again and visible (parked where nothing older is below, until they are served); ids as text. Only what some instant would then show becomes used again: versions that others hide wholly stay unused, and
 * what is hidden wholly by segments that came back becomes unused in the same change. *changed counts what was marked as asked. */
HG_MUST_USE enum hg_rc hg_meta_mark(struct hg_meta *m, const char *datasource, const char *const *ids, size_t n, bool used, int64_t *changed, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_mark_interval(struct hg_meta *m, const char *datasource, struct hg_interval iv, bool used, int64_t *changed, struct hg_err *err);

/* Parked: rules load the segment nowhere. It keeps its place in the list, so that it hides what is older, but no query asks for it and nobody is missed who serves it. One numbered change;
 * an addition of a segment that a reader has already says whether it is parked now. Segments that are not used are left alone. *changed (may be NULL) counts. */
HG_MUST_USE enum hg_rc hg_meta_park(struct hg_meta *m, const char *const *ids, size_t n, bool parked, int64_t *changed, struct hg_err *err);

/* ---- versions ---- */
/* What there was and is of an interval: one row a chunk (namespace, interval, version). */
struct hg_version_row {
    const char *ns, *version;
    struct hg_interval interval;
    int64_t segments, rows, bytes; /* of what is still there */
    int64_t used, visible;         /* how many of the segments are; used and not visible: waiting */
    int64_t gone, gone_rows;       /* segments (and their rows) that clean-up has deleted */
    bool complete;                 /* all core partitions are there, and nothing is gone */
    bool shown;                    /* some instant of it answers queries now */
    int64_t publishes;             /* how many added to it: streams add to a version */
    int64_t publish_id;            /* the first of them */
    const char *task;              /* and what did it */
    int64_t created_ms, published_ms, last_published_ms; /* the oldest file; the first and the last publish */
    const char *sums;              /* totals of metrics over its segments, JSON as hg_segment_sums writes it; NULL: none of them has totals */
    int64_t sums_segments;         /* how many of its segments have totals: fewer than `segments` make the totals too small */
};
/* ns NULL: all; interval: chunks that overlap it. By namespace, interval, version. Also chunks of which clean-up has left nothing. */
HG_MUST_USE enum hg_rc hg_meta_versions(struct hg_meta *m, struct hg_arena *a, const char *datasource, const char *ns, struct hg_interval iv, struct hg_version_row **out, size_t *n,
                                        struct hg_err *err);

/* Brings back, over all the intervals at one moment, what a namespace's newest data of version to_version or older was there; newer versions become unused. to_version NULL: in
 * each interval, the version before the newest one that can be seen. The segments that come back become used (so that they are loaded) and the revert waits like a
 * batch publish (hg_meta_pending) until all are served; then hg_meta_make_visible makes the whole change under one number.
 * A revert that can no longer be made then (its segments were marked unused, or the list changed so that it would show too little outside of its intervals) is given up: its
 * segments go back to unused and the audit log tells why.
 * HG_E_NOTFOUND: there is no such version, or none older. HG_E_CONFLICT: the older version is not complete or partly deleted, or another revert of these intervals
 * waits. HG_E_INVALID: an interval cuts through a segment, whose rest would change too. Names and intervals are checked. */
struct hg_revert {
    const char *datasource, *ns;
    const struct hg_interval *ivs; /* not overlapping each other */
    size_t n_ivs;
    const char *to_version;
    const char *who;   /* for the audit log */
    bool dry_run;      /* only says what would change */
};
struct hg_revert_result {
    int64_t publish_id;            /* 0: nothing to change, or a dry run */
    const struct hg_segment_row *on, *off; /* segments that become visible, and that go */
    size_t n_on, n_off;
};
HG_MUST_USE enum hg_rc hg_meta_revert(struct hg_meta *m, struct hg_arena *a, const struct hg_revert *w, struct hg_revert_result *out, struct hg_err *err);
/* Gives up a publish or revert that waits: its segments become unused, and it is not shown by hg_meta_pending any more. HG_E_NOTFOUND; HG_E_CONFLICT: it is visible, or given up
 * already. */
HG_MUST_USE enum hg_rc hg_meta_cancel(struct hg_meta *m, int64_t publish_id, const char *who, const char *why, struct hg_err *err);

/* ---- clean-up ---- */
/* Unused segments that may go, oldest change first: unused for at least older_than_ms. Where the interval still has used segments, its keep_versions newest unused versions
 * stay, whatever their age, so that it can be reverted; what was dropped whole (by rule or by hand) goes by age alone. */
struct hg_clean {
    const char *datasource; /* NULL: all */
    int64_t older_than_ms;
    int64_t keep_versions;
    int64_t limit;          /* at most so many; 0: 1,000 */
};
HG_MUST_USE enum hg_rc hg_meta_unused_candidates(struct hg_meta *m, struct hg_arena *a, const struct hg_clean *w, struct hg_segment_row **out, size_t *n, struct hg_err *err);
/* Takes rows of unused segments away; used ones among ids are left. Their files' paths are kept as trash until hg_meta_trash_done: a crash in between loses track of none. Their ids are never
 * given again, so neither are the paths. *deleted (may be NULL) counts. */
HG_MUST_USE enum hg_rc hg_meta_delete_unused(struct hg_meta *m, const char *const *ids, size_t n, int64_t *deleted, struct hg_err *err);
/* Paths in deep storage to remove, oldest first; after removing, tell. */
HG_MUST_USE enum hg_rc hg_meta_trash(struct hg_meta *m, struct hg_arena *a, int64_t limit, const char ***paths, size_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_trash_done(struct hg_meta *m, const char *const *paths, size_t n, struct hg_err *err);
/* Forgets what is older than so many ms; 0: keeps it all. Never what something still refers to: the current state of a document, publishes that have segments, replaced intervals
 * and deletions that a revert must know of. */
struct hg_prune {
    int64_t doc_history_ms, audit_ms, publishes_ms, gone_ms, visible_ms;
};
struct hg_pruned { int64_t doc_history, audit, publishes, gone, visible; }; /* rows */
HG_MUST_USE enum hg_rc hg_meta_prune(struct hg_meta *m, const struct hg_prune *w, struct hg_pruned *out, struct hg_err *err);

/* ---- streams ---- */
HG_MUST_USE enum hg_rc hg_meta_offsets(struct hg_meta *m, struct hg_arena *a, const char *stream, struct hg_offset **out, size_t *n, struct hg_err *err);
/* Operators' reset: sets (or with n = 0 forgets) stored offsets. A partition without stored offset lets a publish begin anywhere. */
HG_MUST_USE enum hg_rc hg_meta_reset_offsets(struct hg_meta *m, const char *stream, const struct hg_offset *o, size_t n, struct hg_err *err);
/* A lease on a stream (or any named thing): *epoch is set when owner has it now. HG_E_CONFLICT: another owner has it until *until_ms. Renewing keeps the epoch; taking over raises it. */
HG_MUST_USE enum hg_rc hg_meta_lease(struct hg_meta *m, const char *what, const char *owner, int64_t ttl_ms, int64_t *epoch, int64_t *until_ms, struct hg_err *err);
/* The same for one who begins anew, with nothing of what he or another had read before: the epoch rises also when the lease was his. *owed: rows of earlier epochs may have been served and be
 * neither published nor read again. Who has read them again says so by hg_meta_lease_settle(epoch), and who has published all that he had read and reads no more by settle(epoch + 1): nothing
 * older is owed from then on. Nothing happens when the lease is not his, or less is owed already. */
HG_MUST_USE enum hg_rc hg_meta_lease_begin(struct hg_meta *m, const char *what, const char *owner, int64_t ttl_ms, int64_t *epoch, bool *owed, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_lease_settle(struct hg_meta *m, const char *what, const char *owner, int64_t owed_from, struct hg_err *err);
/* All leases that there ever were, run out or not, with their newest epochs; by name. owed_from: rows that were served live under this epoch or a later one may be neither published nor read again; greater than epoch: there are none such. supervised: there is a supervisor
 * of that id. */
struct hg_lease_row { const char *what; int64_t epoch, owed_from; bool supervised; };
HG_MUST_USE enum hg_rc hg_meta_leases(struct hg_meta *m, struct hg_arena *a, struct hg_lease_row **out, size_t *n, struct hg_err *err);
/* Ids that were given to a stream's rows under epoch owed_from or later and are not published: its rows that were served and may be missing have no others. */
HG_MUST_USE enum hg_rc hg_meta_owed(struct hg_meta *m, struct hg_arena *a, const char *stream, int64_t owed_from, struct hg_segid **out, size_t *n, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_lease_drop(struct hg_meta *m, const char *what, const char *owner, struct hg_err *err);

/* ---- named JSON documents with history: supervisors, tasks' specs, rules, settings ---- */
enum hg_doc { HG_DOC_SUPERVISOR, HG_DOC_TASK, HG_DOC_RULES, HG_DOC_CONFIG, HG_DOC_LOOKUP };
struct hg_doc_row { const char *id, *text; int64_t version; int64_t changed_ms; const char *author, *comment; };
/* expect_version: -1 any, 0 must be new; else must equal (HG_E_CONFLICT). text NULL deletes. Every state is kept in the history. */
HG_MUST_USE enum hg_rc hg_meta_doc_put(struct hg_meta *m, enum hg_doc kind, const char *id, const char *text, int64_t expect_version, const char *author, const char *comment, int64_t *version, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_doc_get(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, const char *id, struct hg_doc_row *out, struct hg_err *err); /* HG_E_NOTFOUND */
HG_MUST_USE enum hg_rc hg_meta_doc_list(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, struct hg_doc_row **out, size_t *n, struct hg_err *err); /* by id */
HG_MUST_USE enum hg_rc hg_meta_doc_history(struct hg_meta *m, struct hg_arena *a, enum hg_doc kind, const char *id /* NULL: all */, int64_t limit, struct hg_doc_row **out, size_t *n, struct hg_err *err); /* newest first; text NULL: deleted */

/* ---- servers ---- */
struct hg_server_row {
    const char *name;        /* unique, stable over restarts: host:port by default */
    const char *roles;       /* comma-separated: "historical" or "broker,historical,…" (standalone) */
    const char *tier;        /* historicals; "" else */
    const char *wire_address, *http_address;
    const char *state;       /* "up", "draining" */
    int64_t capacity_bytes, started_ms, seen_ms;
};
/* Upserts the row and its lease; call every third of ttl_ms. */
HG_MUST_USE enum hg_rc hg_meta_server_beat(struct hg_meta *m, const struct hg_server_row *row, int64_t ttl_ms, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_server_gone(struct hg_meta *m, const char *name, struct hg_err *err); /* clean stop */
HG_MUST_USE enum hg_rc hg_meta_servers(struct hg_meta *m, struct hg_arena *a, struct hg_server_row **out, size_t *n, struct hg_err *err); /* whose lease has not run out */

/* Servers that are wanted empty: their segments are moved to others, and they take none, until told otherwise. Kept whether the server is there or not; each change leaves a row in the audit
 * log. Asking for what is so already changes nothing. */
HG_MUST_USE enum hg_rc hg_meta_server_drain(struct hg_meta *m, const char *name, bool drain, const char *author, struct hg_err *err);
struct hg_drain_row { const char *name, *author; int64_t since_ms; };
HG_MUST_USE enum hg_rc hg_meta_drains(struct hg_meta *m, struct hg_arena *a, struct hg_drain_row **out, size_t *n, struct hg_err *err); /* by name */

/* ---- leadership: held as long as the store's connection lives, and is asked for every few seconds (PostgreSQL cuts off a holder that is silent for 8 s: it may have been stopped); epoch rises
 * with each new leader ---- */
HG_MUST_USE enum hg_rc hg_meta_lead(struct hg_meta *m, const char *what, const char *owner, const char *address, bool *leading, int64_t *epoch, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_meta_leader(struct hg_meta *m, struct hg_arena *a, const char *what, const char **owner, const char **address, struct hg_err *err); /* HG_E_NOTFOUND */

HG_MUST_USE enum hg_rc hg_meta_audit(struct hg_meta *m, const char *who, const char *what, const char *detail_json, struct hg_err *err);
struct hg_audit_row { int64_t at_ms; const char *who, *what, *detail; };
HG_MUST_USE enum hg_rc hg_meta_audit_list(struct hg_meta *m, struct hg_arena *a, int64_t since_ms, int64_t limit, struct hg_audit_row **out, size_t *n, struct hg_err *err); /* newest first */

#endif
