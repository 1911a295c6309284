/* What the files of `henge ctl` share: the table of commands, one run of a command, and what it asks and prints with. A command reads its words and options, asks servers over HTTP,
 * and prints a table for people or JSON for programs from the same rows, so that the two cannot drift apart. */
#ifndef HG_ROLE_CTL_PRIVATE_H
#define HG_ROLE_CTL_PRIVATE_H

#include <jansson.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/config.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

enum { HG_CTL_FINE = 0, HG_CTL_FAILED = 1, HG_CTL_WRONG = 2 }; /* exit statuses: done, could not, not understood and so not tried */

/* ---- the table of commands: help, completion, manual and dispatch come from it ---- */

enum hg_ctl_option {
    HG_CTL_FORMAT, HG_CTL_HELP, HG_CTL_INTERVAL, HG_CTL_FULL, HG_CTL_YES, HG_CTL_DRY_RUN, HG_CTL_STATE, HG_CTL_DATASOURCE, HG_CTL_WAIT, HG_CTL_OFFSETS, HG_CTL_FROM, HG_CTL_LIMIT,
        HG_CTL_MARKDOWN, HG_CTL_NAMESPACE, HG_CTL_INTERVALS, HG_CTL_VERSION, HG_CTL_BEFORE, HG_CTL_PUBLISH, HG_CTL_CANCEL, HG_CTL_UNDO, HG_CTL_OLDER_THAN, HG_CTL_KEEP, HG_CTL_COMMENT,
        HG_CTL_ROLE, HG_CTL_TIER, HG_CTL_PROFILE,
    HG_CTL_N_OPTIONS
};
#define HG_CTL_BIT(o) (1u << (o))
struct hg_ctl_option_text {
    const char *name, *value; /* "--format", "table|json"; value NULL: a switch */
    const char *text;
};
extern const struct hg_ctl_option_text hg_ctl_options[HG_CTL_N_OPTIONS];
/* Settings (config.def) by their short flags. */
struct hg_ctl_setting_text {
    const char *flag, *key, *value, *text;
};
extern const struct hg_ctl_setting_text hg_ctl_settings[];
extern const size_t hg_ctl_n_settings;

struct hg_ctl;
struct hg_ctl_command {
    const char *section; /* heading in the help; the same for neighbours */
    const char *name;    /* "supervisor reset" */
    const char *args;    /* "ID", "[DATASOURCE]", "FILE...": a word each; optional ones last */
    const char *complete; /* what its first argument may be: "supervisors", "tasks", "datasources", "servers", "lookups", "files", words with blanks between, or ""; the second's behind a slash */
    unsigned options;    /* besides --format and --help */
    bool asks;           /* asks servers, so that the settings for that hold */
    const char *text;    /* one line, no full stop */
    const char *help;    /* sentences; "\n" ends a paragraph */
    const char *example; /* what follows "henge ctl " */
    enum hg_rc (*run)(struct hg_ctl *c, struct hg_err *err);
};
extern const struct hg_ctl_command hg_ctl_commands[];
extern const size_t hg_ctl_n_commands;
/* Least and most arguments of a command, from its args. */
void hg_ctl_arity(const struct hg_ctl_command *cmd, int *least, int *most);

void hg_ctl_usage(FILE *out);                                  /* henge ctl --help */
bool hg_ctl_usage_group(FILE *out, const char *group);         /* henge ctl supervisor --help; false: there is no such group */
void hg_ctl_usage_command(FILE *out, const struct hg_ctl_command *cmd);
void hg_ctl_markdown(FILE *out);                               /* docs/ctl.md */
void hg_ctl_bash(FILE *out);                                   /* the completion script */

/* ---- one run ---- */

enum hg_ctl_kind { HG_CTL_BROKER, HG_CTL_COORDINATOR, HG_CTL_INGEST, HG_CTL_N_KINDS };
struct hg_ctl {
    const struct hg_cfg *cfg;
    const struct hg_ctl_command *cmd;
    char **words; /* arguments after the command's name */
    int n_words;
    const char *opt[HG_CTL_N_OPTIONS]; /* value, "" for a switch; NULL: not given */
    bool json;
    int64_t timeout_ms;             /* for each answer */
    int status;                     /* of a run that was HG_OK */
    struct hg_arena *a;
    json_t *keep;                   /* array: holds what hg_ctl_keep was given */
    const char *found[HG_CTL_N_KINDS]; /* servers that the coordinator at ctl.url named */
    struct hg_buf out;              /* standard output, written at the end */
};

/* Freed when the run ends; NULL: out of memory (or j was NULL). */
json_t *hg_ctl_keep(struct hg_ctl *c, json_t *j);
/* A member's text, "" when it is absent or none. */
const char *hg_ctl_str(const json_t *o, const char *key);
json_t *hg_ctl_or_null(json_t *v); /* borrowed; null for NULL */
enum hg_rc hg_ctl_no_memory(struct hg_err *err);
/* The caller's mistake: exit status 2. Other failures are 1. */
enum hg_rc hg_ctl_wrong(struct hg_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
HG_MUST_USE enum hg_rc hg_ctl_flush(struct hg_ctl *c, struct hg_err *err); /* writes c->out */
/* The number that an option gives, at least `least`; not given: *out stays. */
HG_MUST_USE enum hg_rc hg_ctl_count(struct hg_ctl *c, enum hg_ctl_option o, int64_t least, int64_t *out, struct hg_err *err);
/* Waiting for something that goes on by itself: _moved says whether it has moved since the last call, _on pauses, and gives up (HG_E_TIMEOUT, with the hint) after ten minutes without. What
 * hg_ctl_keep holds is freed by it. */
struct hg_ctl_wait { bool begun; int64_t at, since_ms; };
bool hg_ctl_wait_moved(struct hg_ctl_wait *w, int64_t at);
HG_MUST_USE enum hg_rc hg_ctl_wait_on(struct hg_ctl *c, const struct hg_ctl_wait *w, const char *hint, struct hg_err *err);
/* Before something is destroyed: plan says what would be done ("forget the offsets ..."). *go: do it. --dry-run prints the plan, --yes goes on, a terminal is asked, else HG_E_INVALID. */
HG_MUST_USE enum hg_rc hg_ctl_confirm(struct hg_ctl *c, const char *plan, bool *go, struct hg_err *err);
/* The file of that name, or standard input for "-"; it must be JSON. Text lives as long as c, *parsed too. */
HG_MUST_USE enum hg_rc hg_ctl_read_json(struct hg_ctl *c, const char *path, struct hg_str *text, json_t **parsed, struct hg_err *err);

/* ---- asking (ctl_http.c) ---- */

struct hg_ctl_answer {
    const char *url; /* of the request */
    const char *base;
    enum hg_ctl_kind kind;
    int status;
    struct hg_str body;
    const char *context; /* X-Druid-Response-Context, or NULL */
};
const char *hg_ctl_kind_name(enum hg_ctl_kind k); /* "coordinator" */
/* Where servers of a kind are asked, without a slash at the end. */
HG_MUST_USE enum hg_rc hg_ctl_base(struct hg_ctl *c, enum hg_ctl_kind kind, const char **out, struct hg_err *err);
/* Any status is HG_OK. A server that does not know the path at all is taken for one of another kind: where no URL is set for this kind, the coordinator there is asked for one. */
HG_MUST_USE enum hg_rc hg_ctl_ask(struct hg_ctl *c, enum hg_ctl_kind kind, const char *method, const char *path, struct hg_span body, struct hg_ctl_answer *out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_ctl_ask_at(struct hg_ctl *c, enum hg_ctl_kind kind, const char *base, const char *method, const char *path, struct hg_span body, struct hg_ctl_answer *out,
                                  struct hg_err *err);
/* Asks every ingest server until one answers with another status than 404 and pick (NULL: any will do) is content; else the first answer stands. */
HG_MUST_USE enum hg_rc hg_ctl_ask_ingest(struct hg_ctl *c, const char *method, const char *path, struct hg_span body, bool (*pick)(struct hg_ctl *c, const struct hg_ctl_answer *a),
                                      struct hg_ctl_answer *out, struct hg_err *err);
/* URLs of all ingest servers there are as far as they are known, the configured one first. */
HG_MUST_USE enum hg_rc hg_ctl_ingests(struct hg_ctl *c, const char ***out, size_t *n, struct hg_err *err);
/* The answer must be a success: else a sentence with what the server said. */
HG_MUST_USE enum hg_rc hg_ctl_success(struct hg_ctl *c, const struct hg_ctl_answer *a, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_ctl_parse(struct hg_ctl *c, const struct hg_ctl_answer *a, json_t **out, struct hg_err *err); /* kept; NULL when the body is empty */
/* ask, success and parse. */
HG_MUST_USE enum hg_rc hg_ctl_get(struct hg_ctl *c, enum hg_ctl_kind kind, const char *path, json_t **out, struct hg_err *err);
const char *hg_ctl_escape(struct hg_ctl *c, const char *text); /* for one segment of a path, or a parameter */

/* ---- printing (ctl_table.c) ---- */

enum hg_ctl_as { HG_CTL_TEXT, HG_CTL_BYTES, HG_CTL_PERCENT, HG_CTL_DURATION, HG_CTL_RAW };
struct hg_ctl_column {
    const char *key, *title;
    enum hg_ctl_as as;
};
/* rows: array of objects. As JSON: one row a line. As a table: these columns, or `none` when there is no row. */
HG_MUST_USE enum hg_rc hg_ctl_rows(struct hg_ctl *c, const json_t *rows, const struct hg_ctl_column *cols, size_t n, const char *none, struct hg_err *err);
/* The same, table only, whatever the format. */
HG_MUST_USE enum hg_rc hg_ctl_table(struct hg_ctl *c, const json_t *rows, const struct hg_ctl_column *cols, size_t n, struct hg_err *err);
/* One object, a line a field; table only. Absent fields are left out. */
HG_MUST_USE enum hg_rc hg_ctl_fields(struct hg_ctl *c, const json_t *object, const struct hg_ctl_column *cols, size_t n, struct hg_err *err);
void hg_ctl_json(struct hg_ctl *c, const json_t *j); /* indented */
/* A message when the format is a table, an object when it is JSON. */
void hg_ctl_said(struct hg_ctl *c, const json_t *j, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
const char *hg_ctl_bytes(struct hg_ctl *c, int64_t bytes);                 /* "1.3 KiB" */
const char *hg_ctl_some(struct hg_ctl *c, int64_t n, const char *thing);  /* "1 segment", "2 segments" */
#define HG_CTL_N(cols) (sizeof(cols) / sizeof *(cols))

/* Marks a string as the text of a number that a double would not hold exactly. */
#define HG_CTL_NUMBER_MARK "\x01"

/* ---- commands ---- */

enum hg_rc hg_ctl_status(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_servers(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tiers(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_datasources(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_segments(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_query(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_namespaces(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_versions(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_revert(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_rules_show(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_rules_set(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_rules_check(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_rules_history(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lookups_list(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lookups_show(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lookups_status(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lookups_set(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lookups_delete(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_drain(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_cleanup(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_token(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_list(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_get(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_status(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_submit(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_suspend(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_resume(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_reset(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_supervisor_terminate(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_lag(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tasks_list(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tasks_submit(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tasks_status(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tasks_report(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_tasks_stop(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_segment_verify(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_segment_stat(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_segment_dump(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_completion(struct hg_ctl *c, struct hg_err *err);
enum hg_rc hg_ctl_help(struct hg_ctl *c, struct hg_err *err);

/* Names there are, sorted: for messages and completion. Arrays of strings. */
HG_MUST_USE enum hg_rc hg_ctl_names_of_datasources(struct hg_ctl *c, json_t **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_ctl_names_of_supervisors(struct hg_ctl *c, json_t **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_ctl_names_of_tasks(struct hg_ctl *c, json_t **out, struct hg_err *err);
HG_MUST_USE enum hg_rc hg_ctl_names_of_servers(struct hg_ctl *c, json_t **out, struct hg_err *err); /* historicals, by host and port */
HG_MUST_USE enum hg_rc hg_ctl_names_of_lookups(struct hg_ctl *c, json_t **out, struct hg_err *err);
/* HG_E_NOTFOUND: "there is no <what> \"name\"; there are: a, b, c", or the nearest when there are many. */
enum hg_rc hg_ctl_no_such(struct hg_ctl *c, const char *what, const char *name, enum hg_rc (*names)(struct hg_ctl *c, json_t **out, struct hg_err *err), struct hg_err *err);

#endif
