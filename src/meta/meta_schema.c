/* The schema as numbered migrations. A migration that was released is never changed; a new one is added below it. {text} is the backend's
 * text type that compares by bytes (versions and ids are compared in SQL). */
#include "meta/meta_private.h"

#include <inttypes.h>

#define STATEMENT_MAX 4096

static const char *const first[] = {
    /* Numbers that are handed out one by one, and at the same time the locks of what they number. */
    "CREATE TABLE hg_counters (name {text} PRIMARY KEY, value BIGINT NOT NULL)",
    "INSERT INTO hg_counters (name, value) VALUES ('version', 0), ('publish', 0), ('visible', 0), ('visible_floor', 0), ('docs', 0)",

    /* version: what streams' chunks start with; max_ms: the longest segment ever published, which bounds searches by interval. */
    "CREATE TABLE hg_namespaces (datasource {text} NOT NULL, ns {text} NOT NULL, version {text} NOT NULL, max_ms BIGINT NOT NULL, PRIMARY KEY (datasource, ns))",
    "CREATE TABLE hg_chunks (datasource {text} NOT NULL, ns {text} NOT NULL, start_ms BIGINT NOT NULL, end_ms BIGINT NOT NULL, version {text} NOT NULL,"
    " next_part BIGINT NOT NULL, PRIMARY KEY (datasource, ns, start_ms, end_ms, version))",
    "CREATE TABLE hg_allocations (stream {text} NOT NULL, sequence {text} NOT NULL, datasource {text} NOT NULL, ns {text} NOT NULL, start_ms BIGINT NOT NULL,"
    " end_ms BIGINT NOT NULL, version {text} NOT NULL, part_num BIGINT NOT NULL, created_ms BIGINT NOT NULL,"
    " PRIMARY KEY (stream, sequence, datasource, ns, start_ms, end_ms))",
    "CREATE INDEX hg_allocations_age ON hg_allocations (stream, created_ms)",

    "CREATE TABLE hg_publishes (id BIGINT PRIMARY KEY, datasource {text} NOT NULL, ns {text} NOT NULL, task {text} NOT NULL, stream {text} NOT NULL,"
    " replaced {text} NOT NULL, visible BIGINT NOT NULL, created_ms BIGINT NOT NULL, visible_ms BIGINT NOT NULL)",
    "CREATE INDEX hg_publishes_pending ON hg_publishes (id) WHERE visible = 0",
    "CREATE TABLE hg_segments (id {text} PRIMARY KEY, datasource {text} NOT NULL, ns {text} NOT NULL, start_ms BIGINT NOT NULL, end_ms BIGINT NOT NULL,"
    " version {text} NOT NULL, part_num BIGINT NOT NULL, core_parts BIGINT NOT NULL, shard {text} NOT NULL, size_bytes BIGINT NOT NULL, n_rows BIGINT NOT NULL,"
    " path {text} NOT NULL, file_hash BIGINT NOT NULL, publish_id BIGINT NOT NULL, created_ms BIGINT NOT NULL, dimensions {text} NOT NULL, metrics {text} NOT NULL,"
    " used BIGINT NOT NULL, visible BIGINT NOT NULL, changed_ms BIGINT NOT NULL)",
    "CREATE INDEX hg_segments_interval ON hg_segments (datasource, ns, start_ms)",
    "CREATE INDEX hg_segments_visible ON hg_segments (datasource, ns, start_ms) WHERE visible = 1",
    "CREATE INDEX hg_segments_unused ON hg_segments (datasource) WHERE used = 0",
    "CREATE INDEX hg_segments_publish ON hg_segments (publish_id)",
    /* op 1: added, 0: removed. */
    "CREATE TABLE hg_visible_log (seq BIGINT NOT NULL, segment_id {text} NOT NULL, op BIGINT NOT NULL, changed_ms BIGINT NOT NULL, PRIMARY KEY (seq, segment_id))",
    "CREATE INDEX hg_visible_log_age ON hg_visible_log (changed_ms)",

    "CREATE TABLE hg_offsets (stream {text} NOT NULL, part_num BIGINT NOT NULL, next_offset BIGINT NOT NULL, PRIMARY KEY (stream, part_num))",
    "CREATE TABLE hg_leases (what {text} PRIMARY KEY, owner {text} NOT NULL, epoch BIGINT NOT NULL, until_ms BIGINT NOT NULL)",

    "CREATE TABLE hg_docs (kind {text} NOT NULL, id {text} NOT NULL, version BIGINT NOT NULL, body {text} NOT NULL, changed_ms BIGINT NOT NULL, author {text} NOT NULL,"
    " remark {text} NOT NULL, PRIMARY KEY (kind, id))",
    "CREATE TABLE hg_doc_history (seq BIGINT PRIMARY KEY, kind {text} NOT NULL, id {text} NOT NULL, version BIGINT NOT NULL, body {text}, changed_ms BIGINT NOT NULL,"
    " author {text} NOT NULL, remark {text} NOT NULL)",
    "CREATE UNIQUE INDEX hg_doc_history_id ON hg_doc_history (kind, id, version)",
    "CREATE INDEX hg_doc_history_kind ON hg_doc_history (kind, seq)",

    "CREATE TABLE hg_servers (name {text} PRIMARY KEY, roles {text} NOT NULL, tier {text} NOT NULL, wire_address {text} NOT NULL, http_address {text} NOT NULL,"
    " state {text} NOT NULL, capacity_bytes BIGINT NOT NULL, started_ms BIGINT NOT NULL, seen_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL)",
    "CREATE TABLE hg_leaders (what {text} PRIMARY KEY, owner {text} NOT NULL, address {text} NOT NULL, epoch BIGINT NOT NULL, since_ms BIGINT NOT NULL)",
    "CREATE TABLE hg_audit (at_ms BIGINT NOT NULL, who {text} NOT NULL, what {text} NOT NULL, detail {text} NOT NULL)",
    "CREATE INDEX hg_audit_at ON hg_audit (at_ms)",
    NULL,
};

/* Versions as something to list, go back to, and clean up. */
static const char *const second[] = {
    "ALTER TABLE hg_segments ADD COLUMN sums {text}",
    /* version: the greatest of the publish; outcome: '', or why it came to nothing. */
    "ALTER TABLE hg_publishes ADD COLUMN version {text} NOT NULL DEFAULT ''",
    "ALTER TABLE hg_publishes ADD COLUMN is_revert BIGINT NOT NULL DEFAULT 0",
    "ALTER TABLE hg_publishes ADD COLUMN outcome {text} NOT NULL DEFAULT ''",
    "UPDATE hg_publishes SET version = coalesce((SELECT max(s.version) FROM hg_segments s WHERE s.publish_id = hg_publishes.id), '')",
    "CREATE INDEX hg_publishes_replacing ON hg_publishes (datasource, ns) WHERE replaced <> ''",

    /* A revert that waits: what it brings back, and within which intervals it takes off the versions above one and up to another. */
    "CREATE TABLE hg_revert_segments (publish_id BIGINT NOT NULL, segment_id {text} NOT NULL, PRIMARY KEY (publish_id, segment_id))",
    "CREATE TABLE hg_revert_intervals (publish_id BIGINT NOT NULL, start_ms BIGINT NOT NULL, end_ms BIGINT NOT NULL, above {text} NOT NULL, upto {text} NOT NULL,"
    " PRIMARY KEY (publish_id, start_ms))",

    /* What clean-up has deleted of a chunk; and files that are still to be removed from deep storage. */
    "CREATE TABLE hg_gone (datasource {text} NOT NULL, ns {text} NOT NULL, start_ms BIGINT NOT NULL, end_ms BIGINT NOT NULL, version {text} NOT NULL, n_segments BIGINT NOT NULL,"
    " n_rows BIGINT NOT NULL, size_bytes BIGINT NOT NULL, gone_ms BIGINT NOT NULL, PRIMARY KEY (datasource, ns, start_ms, end_ms, version))",
    "CREATE TABLE hg_trash (path {text} PRIMARY KEY, segment_id {text} NOT NULL, gone_ms BIGINT NOT NULL)",
    "CREATE INDEX hg_segments_unused_age ON hg_segments (changed_ms) WHERE used = 0",
    NULL,
};

/* What the coordinator works by: segments that rules load nowhere, servers that are to be emptied. */
static const char *const third[] = {
    "ALTER TABLE hg_segments ADD COLUMN parked BIGINT NOT NULL DEFAULT 0",
    "CREATE TABLE hg_drains (name {text} PRIMARY KEY, author {text} NOT NULL, since_ms BIGINT NOT NULL)",
    NULL,
};

/* What was served of streams and is owed to queries: see hg_lease_row. */
static const char *const fourth[] = {
    "ALTER TABLE hg_leases ADD COLUMN owed_from BIGINT NOT NULL DEFAULT 1",
    "ALTER TABLE hg_allocations ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0",
    NULL,
};

static const struct { int64_t number; const char *const *statements; } migrations[] = {
    {1, first},
    {2, second},
    {3, third},
    {4, fourth},
};
#define N_MIGRATIONS (sizeof migrations / sizeof *migrations)

static enum hg_rc run(struct hg_tx *tx, const char *text_type, const char *statement, struct hg_err *err)
{
    struct hg_buf sql;
    hg_buf_init(&sql, STATEMENT_MAX);
    for (const char *at = statement, *mark; *at;) {
        mark = strstr(at, "{text}");
        hg_buf_put(&sql, at, mark ? (size_t)(mark - at) : strlen(at));
        if (!mark) break;
        hg_buf_puts(&sql, text_type);
        at = mark + strlen("{text}");
    }
    hg_buf_u8(&sql, 0);
    enum hg_rc rc = hg_buf_check(&sql, "migration", err);
    if (!rc) rc = hg_db_exec(tx, (const char *)sql.p, NULL, 0, NULL, NULL, NULL, err);
    hg_buf_free(&sql);
    return rc;
}

enum hg_rc hg_db_migrate(struct hg_tx *tx, const struct hg_db_ops *ops, struct hg_err *err)
{
    /* The servers of a cluster start together: the first migrates, the others find it done. */
    HG_TRY(ops->lock_schema(tx, err));
    HG_TRY(run(tx, ops->text_type, "CREATE TABLE IF NOT EXISTS hg_schema (version BIGINT PRIMARY KEY, applied_ms BIGINT NOT NULL)", err));
    int64_t have = 0, now;
    HG_TRY(hg_db_i64(tx, "SELECT coalesce(max(version), 0) FROM hg_schema", NULL, 0, &have, NULL, err));
    int64_t newest = migrations[N_MIGRATIONS - 1].number;
    if (have > newest)
        return hg_fail(err, HG_E_UNSUPPORTED, "metadata store: its schema has number %" PRId64 ", this henge knows up to %" PRId64 "; use a newer henge", have, newest);
    HG_TRY(hg_db_now(tx, &now, err));
    for (size_t i = 0; i < N_MIGRATIONS; i++) {
        if (migrations[i].number <= have) continue;
        for (const char *const *s = migrations[i].statements; *s; s++) {
            enum hg_rc rc = run(tx, ops->text_type, *s, err);
            if (rc) return hg_err_context(err, rc, "migration %" PRId64, migrations[i].number);
        }
        HG_TRY(hg_db_exec(tx, "INSERT INTO hg_schema (version, applied_ms) VALUES ($1, $2)", DB_V(DB_I(migrations[i].number), DB_I(now)), NULL, NULL, NULL, err));
    }
    return HG_OK;
}
