/* The commands, once: dispatch, help, completion and the manual's page come from here. */
#include "role/ctl_private.h"

const struct hg_ctl_option_text hg_ctl_options[HG_CTL_N_OPTIONS] = {
    [HG_CTL_FORMAT] = {"--format", "table|json", "A table for people (the default) or JSON for programs, whose members keep their names."},
    [HG_CTL_HELP] = {"--help", NULL, "What the command does."},
    [HG_CTL_INTERVAL] = {"--interval", "START/END", "Only what overlaps this time: two ISO times, or one and a period (2024-05-01/P7D)."},
    [HG_CTL_FULL] = {"--full", NULL, "More columns."},
    [HG_CTL_YES] = {"--yes", NULL, "Does it without asking."},
    [HG_CTL_DRY_RUN] = {"--dry-run", NULL, "Says what would be done and does nothing."},
    [HG_CTL_STATE] = {"--state", "STATE", "Only tasks that are waiting, running or complete."},
    [HG_CTL_DATASOURCE] = {"--datasource", "NAME", "Only what is of this datasource."},
    [HG_CTL_WAIT] = {"--wait", NULL, "Waits for the end and says how far it is; the exit status is 1 when it fails."},
    [HG_CTL_OFFSETS] = {"--offsets", "P=N,...", "Offsets from which partitions are read next, in place of forgetting all of them."},
    [HG_CTL_FROM] = {"--from", "ROW", "The first row, counted from 0."},
    [HG_CTL_LIMIT] = {"--limit", "ROWS", "At most so many rows."},
    [HG_CTL_MARKDOWN] = {"--markdown", NULL, "The whole manual as a page of Markdown."},
    [HG_CTL_NAMESPACE] = {"--namespace", "NAME", "Of this namespace; \"\" is the default one, which has no name."},
    [HG_CTL_INTERVALS] = {"--intervals", "I,...", "Which intervals, each START/END or START/PERIOD: 2024-05-01/P1D,2024-05-03/P1D."},
    [HG_CTL_VERSION] = {"--version", "V", "Back to the state when this version was the newest, as henge ctl versions prints it."},
    [HG_CTL_BEFORE] = {"--before", "TIME", "Back to the newest version that was published before this time."},
    [HG_CTL_PUBLISH] = {"--publish", "ID", "About the revert of this number, which was asked for before: how far it is."},
    [HG_CTL_CANCEL] = {"--cancel", NULL, "Gives the revert up while it waits."},
    [HG_CTL_UNDO] = {"--undo", NULL, "Lets the server take segments again."},
    [HG_CTL_OLDER_THAN] = {"--older-than", "PERIOD", "Only what has been unused for so long, such as P7D or PT12H. [P90D]"},
    [HG_CTL_KEEP] = {"--keep", "N", "How many of the newest unused versions of an interval stay, whatever their age, so that it can be reverted. [the coordinator's coordinator.kill.keep_versions]"},
    [HG_CTL_COMMENT] = {"--comment", "TEXT", "Why: kept in the history."},
    [HG_CTL_ROLE] = {"--role", "read|admin", "read looks and queries, admin changes things too. [read]"},
    [HG_CTL_TIER] = {"--tier", "TIER", "Of this tier of lookups. Servers take those of __default; others are kept and used by none. [__default]"},
    [HG_CTL_PROFILE] = {"--profile", NULL, "What the query did, on standard error: segments, blocks, rows, bytes, time by stage."},
};

const struct hg_ctl_setting_text hg_ctl_settings[] = {
    {"--url", "ctl.url", "URL", "Where every server is asked that has no URL of its own below: standalone, or a coordinator, which knows the others."},
    {"--broker", "ctl.broker", "URL", "The broker, for queries."},
    {"--coordinator", "ctl.coordinator", "URL", "The coordinator, for servers, rules and all that is about segments."},
    {"--ingest", "ctl.ingest", "URL", "An ingest server, for supervisors and tasks."},
    {"--token", "token", "TOKEN", "Who asks, for servers that want to know. Better in the environment: others see the command line."},
    {"--timeout", "ctl.timeout", "TIME", "How long an answer is waited for."},
};
const size_t hg_ctl_n_settings = sizeof hg_ctl_settings / sizeof *hg_ctl_settings;

#define FORMAT HG_CTL_BIT(HG_CTL_FORMAT)
#define CONFIRM (HG_CTL_BIT(HG_CTL_YES) | HG_CTL_BIT(HG_CTL_DRY_RUN))

const struct hg_ctl_command hg_ctl_commands[] = {
    {"The cluster", "status", "", "", FORMAT, true, "health, readiness and version of every server",
     "Asks the coordinator which servers there are, and each of them how it is. When the coordinator is away, the servers that the URLs name are asked. The exit status is 1 when a "
     "server is not reached, not healthy or not ready.",
     "status", hg_ctl_status},
    {"The cluster", "servers", "", "", FORMAT, true, "servers with their roles, tiers and the room they have", "Servers whose lease holds. Size and capacity are those of data servers. STATE of a historical is draining or drained when henge ctl drain has asked for it to be emptied.",
     "servers --format json", hg_ctl_servers},
    {"The cluster", "tiers", "", "", FORMAT, true, "tiers with their historicals and the room they have",
     "MISSING counts replicas that rules want on the tier and that no historical of it serves: 0 but for while segments move. Where it stays above 0 the tier is full, its historicals are away, or there "
     "are none.",
     "tiers", hg_ctl_tiers},
    {"The cluster", "drain", "SERVER", "servers", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_WAIT) | HG_CTL_BIT(HG_CTL_UNDO), true, "empties a historical before it is stopped or taken away",
     "SERVER is its name or HOST:PORT, as henge ctl servers prints it. Its segments are loaded by other historicals of its tier first and dropped by it then, so no query notices; it takes no new "
     "ones. That stays so over restarts, until --undo. Asked again, it tells how far it is.",
     "drain 10.0.0.7:8083 --wait --yes", hg_ctl_drain},
    {"The cluster", "cleanup", "[DATASOURCE]", "datasources", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_OLDER_THAN) | HG_CTL_BIT(HG_CTL_KEEP), true,
     "deletes segments for good that have been unused for long",
     "Unused are segments that newer versions have replaced, that a rule drops, or that were dropped by hand. Where an interval still has segments in use, its newest unused versions are kept. "
     "What is deleted cannot be reverted to.",
     "cleanup ads --older-than P90D --dry-run", hg_ctl_cleanup},

    {"Rules", "rules show", "[DATASOURCE]", "datasources", FORMAT, true, "load and drop rules in force, of one datasource or of all",
     "The first rule that is about a segment decides; a datasource's own come before the defaults (_default). As JSON: as rules set takes them, of a DATASOURCE its own alone.",
     "rules show ads --format json > rules.json", hg_ctl_rules_show},
    {"Rules", "rules check", "FILE", "files", FORMAT | HG_CTL_BIT(HG_CTL_DATASOURCE), true, "says whether a file of rules is sound, and what it would do",
     "FILE holds a list of rules as JSON; \"-\" reads it from standard input. Faults are told by JSON path, and the exit status is 2. A tier that no historical is of is a warning only, for servers "
     "may come. With --datasource the segments and bytes by tier are counted, under the rules in force and under these. Nothing is changed.",
     "rules check rules.json --datasource ads", hg_ctl_rules_check},
    {"Rules", "rules set", "DATASOURCE FILE", "datasources/files", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_COMMENT), true, "replaces the rules of a datasource, or the defaults (_default)",
     "FILE is checked as by rules check, and what it would do is shown before the question. An empty list leaves a datasource to the defaults.",
     "rules set ads rules.json --comment 'a year on cold' --yes", hg_ctl_rules_set},
    {"Rules", "rules history", "[DATASOURCE]", "datasources", FORMAT | HG_CTL_BIT(HG_CTL_LIMIT), true, "what rules were before, when and by whom, the newest first",
     "To go back, save the rules of an entry (--format json) to a file and set them again.", "rules history ads --limit 5", hg_ctl_rules_history},

    {"Data", "datasources", "", "", FORMAT | HG_CTL_BIT(HG_CTL_FULL), true, "datasources with their segments, size and time",
     "What is published and visible. LOADED is the share of segments that historicals serve. With --full the rows are counted too and the namespaces named, which reads the list of "
     "all segments.",
     "datasources --full", hg_ctl_datasources},
    {"Data", "segments", "[DATASOURCE]", "datasources", FORMAT | HG_CTL_BIT(HG_CTL_INTERVAL) | HG_CTL_BIT(HG_CTL_FULL), true, "segments in use, of one datasource or of all",
     "Segments that are published and marked used. With --full also their ids, shards, columns and places in deep storage.", "segments ads --interval 2024-05-01/P1D", hg_ctl_segments},
    {"Data", "namespaces", "[DATASOURCE]", "datasources", FORMAT, true, "namespaces of datasources, with their segments, rows, time and metrics",
     "A namespace is a pipeline of its own into a datasource: what one replaces never touches another's. Queries read all of them unless their context names some.", "namespaces ads",
     hg_ctl_namespaces},
    {"Data", "versions", "DATASOURCE", "datasources", FORMAT | HG_CTL_BIT(HG_CTL_NAMESPACE) | HG_CTL_BIT(HG_CTL_INTERVAL), true, "the versions that intervals had, the newest first",
     "STATE: SHOWN, queries see it; HIDDEN, in the list but behind a newer version; WAITING, until historicals serve it; UNUSED, it can be reverted to; INCOMPLETE, a part was never there; "
     "PARTLY_DELETED and DELETED, by clean-up. SUMS are the totals of its metrics.",
     "versions ads --interval 2024-05-01/P7D", hg_ctl_versions},
    {"Data", "revert", "DATASOURCE", "datasources",
     FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_INTERVALS) | HG_CTL_BIT(HG_CTL_NAMESPACE) | HG_CTL_BIT(HG_CTL_VERSION) | HG_CTL_BIT(HG_CTL_BEFORE) | HG_CTL_BIT(HG_CTL_WAIT) |
         HG_CTL_BIT(HG_CTL_PUBLISH) | HG_CTL_BIT(HG_CTL_CANCEL),
     true, "brings an older version of intervals back",
     "Without --version and --before: in each interval what there was before what can be seen now. The older segments are loaded first; when all of them are served, queries change over in all "
     "intervals at one moment. Nothing is lost: the newer version stays and can be brought back in turn. Without --namespace the default one is meant.\n"
     "With --publish ID it tells of a revert that was asked for before, and gives it up with --cancel.",
     "revert ads --namespace delivery --intervals 2024-05-01/P1D --dry-run", hg_ctl_revert},
    {"Data", "query", "FILE", "files", FORMAT | HG_CTL_BIT(HG_CTL_PROFILE), true, "asks the broker a native query",
     "FILE holds the query as JSON; \"-\" reads it from standard input. As a table: one line a row of the answer, numbers as the server wrote them. As JSON: the answer as it came. When "
     "the query's context allows a partial answer and it is one, a message on standard error says which segments are missing. What --profile tells is "
     "in docs/queries.md.",
     "query - <<< '{\"queryType\": \"timeBoundary\", \"dataSource\": \"ads\"}'", hg_ctl_query},

    {"Lookups", "lookups list", "", "", FORMAT | HG_CTL_BIT(HG_CTL_TIER), true, "registered lookups with their versions and sizes", "LOADED says whether every server has the version that is set.",
     "lookups list", hg_ctl_lookups_list},
    {"Lookups", "lookups show", "NAME", "lookups", FORMAT | HG_CTL_BIT(HG_CTL_TIER) | HG_CTL_BIT(HG_CTL_LIMIT), true, "what a lookup maps to what",
     "As JSON: the lookup as lookups set takes it, whole.", "lookups show country --format json > country.json", hg_ctl_lookups_show},
    {"Lookups", "lookups status", "[NAME]", "lookups", FORMAT, true, "which server has which version of the lookups",
     "VERSION is the one that is set, HAS the one that the server uses. A server that does not answer has none here. The exit status is 1 while a server has not what is set.",
     "lookups status country", hg_ctl_lookups_status},
    {"Lookups", "lookups set", "NAME FILE", "lookups/files", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_TIER) | HG_CTL_BIT(HG_CTL_WAIT) | HG_CTL_BIT(HG_CTL_COMMENT), true,
     "registers a lookup, or gives one new entries",
     "FILE holds the lookup as JSON, {\"version\": ..., \"lookupExtractorFactory\": {\"type\": \"map\", \"map\": {...}}}, whose version must be greater, compared as text, than the one that is set; or "
     "the map alone, which is given the time of now as its version. \"-\" reads it from standard input. Faults are told by JSON path. Servers take it within a second or so; --wait waits until "
     "all of them have it.",
     "lookups set country country.json --wait --yes", hg_ctl_lookups_set},
    {"Lookups", "lookups delete", "NAME", "lookups", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_TIER) | HG_CTL_BIT(HG_CTL_COMMENT), true, "takes a registered lookup away",
     "Queries that name it are refused from then on.", "lookups delete country --yes", hg_ctl_lookups_delete},

    {"Streams", "supervisor list", "", "", FORMAT, true, "supervisors and how they are", "", "supervisor list", hg_ctl_supervisor_list},
    {"Streams", "supervisor get", "ID", "supervisors", FORMAT, true, "the spec of a supervisor, as JSON", "Prints JSON in either format, so that it can be changed and submitted again.",
     "supervisor get ads > ads.json", hg_ctl_supervisor_get},
    {"Streams", "supervisor status", "ID", "supervisors", FORMAT, true, "offsets, lag, counts and recent errors of a supervisor",
     "As JSON: the status as the server gives it, in Druid's shape.", "supervisor status ads", hg_ctl_supervisor_status},
    {"Streams", "supervisor submit", "FILE", "files", FORMAT, true, "starts a supervisor, or gives one a new spec",
     "FILE holds a Kafka supervisor spec; \"-\" reads it from standard input. A supervisor of that id that runs with another spec publishes what it has read and goes on with the new one, "
     "at the offsets where it was.",
     "supervisor submit ads.json", hg_ctl_supervisor_submit},
    {"Streams", "supervisor suspend", "ID", "supervisors", FORMAT, true, "stops reading; what was read is published", "Offsets are kept; resume goes on where it stopped.",
     "supervisor suspend ads", hg_ctl_supervisor_suspend},
    {"Streams", "supervisor resume", "ID", "supervisors", FORMAT, true, "goes on reading after suspend", "", "supervisor resume ads", hg_ctl_supervisor_resume},
    {"Streams", "supervisor reset", "ID", "supervisors", FORMAT | CONFIRM | HG_CTL_BIT(HG_CTL_OFFSETS), true, "forgets the stored offsets of a supervisor, or sets them",
     "Without --offsets all are forgotten, and the stream is read from where the spec begins: its useEarliestOffset. Events are then counted twice, or never, unless the datasource was "
     "emptied before. With --offsets the partitions named are read from these offsets, and others go on where they are. What was read and not yet published is dropped.",
     "supervisor reset ads --offsets 0=1200,1=900 --dry-run", hg_ctl_supervisor_reset},
    {"Streams", "supervisor terminate", "ID", "supervisors", FORMAT | CONFIRM, true, "stops a supervisor for good",
     "What was read is published, then the supervisor is gone. Its stored offsets stay: one of the same id that is submitted later goes on there.", "supervisor terminate ads --yes",
     hg_ctl_supervisor_terminate},
    {"Streams", "lag", "[ID]", "supervisors", FORMAT, true, "how far each partition of each stream is behind",
     "LATEST is the end of the partition in Kafka, CURRENT the offset up to which events are queryable, PUBLISHED the offset up to which they are in segments. Supervisors that read "
     "nothing now, suspended ones for instance, are named on standard error.",
     "lag", hg_ctl_lag},

    {"Tasks", "tasks list", "", "", FORMAT | HG_CTL_BIT(HG_CTL_STATE) | HG_CTL_BIT(HG_CTL_DATASOURCE), true, "batch tasks, the newest first", "", "tasks list --state running",
     hg_ctl_tasks_list},
    {"Tasks", "tasks submit", "FILE", "files", FORMAT | HG_CTL_BIT(HG_CTL_WAIT), true, "starts a batch task",
     "FILE holds an index_parallel spec; \"-\" reads it from standard input. Prints the task's id.", "tasks submit backfill.json --wait", hg_ctl_tasks_submit},
    {"Tasks", "tasks status", "ID", "tasks", FORMAT, true, "state of a task", "As JSON: the status as the server gives it, in Druid's shape. The exit status is 1 for a task that failed.",
     "tasks status ID", hg_ctl_tasks_status},
    {"Tasks", "tasks report", "ID", "tasks", FORMAT, true, "rows that a task read, took and refused", "As JSON: the report as the server gives it, in Druid's shape.", "tasks report ID",
     hg_ctl_tasks_report},
    {"Tasks", "tasks stop", "ID", "tasks", FORMAT | CONFIRM, true, "stops a task that waits or runs", "Nothing of it is published.", "tasks stop ID --yes", hg_ctl_tasks_stop},

    {"Segment files, without a server", "segment verify", "FILE...", "files", 0, false, "reads segment files whole and says whether they are sound",
     "Reads everything: checksums, dictionaries, bitmap indexes, the order of rows; one line a file. Damage is told by file, column and block.",
     "segment verify *.seg", hg_ctl_segment_verify},
    {"Segment files, without a server", "segment stat", "FILE...", "files", FORMAT, false, "what takes how much in segment files, column by column", "", "segment stat one.seg",
     hg_ctl_segment_stat},
    {"Segment files, without a server", "segment dump", "FILE", "files", HG_CTL_BIT(HG_CTL_FROM) | HG_CTL_BIT(HG_CTL_LIMIT), false, "rows of a segment file as JSON objects, one a line",
     "Rows are in the file's order.", "segment dump one.seg --limit 10", hg_ctl_segment_dump},

    {"The tool itself", "completion", "WHAT", "bash supervisors tasks datasources servers lookups", 0, true, "prints the completion script for bash",
     "WHAT is bash for the script. It asks for the names there are by the other words: supervisors, tasks, datasources, servers or lookups print them, one a line.",
     "completion bash > /etc/bash_completion.d/henge", hg_ctl_completion},
    {"The tool itself", "token", "NAME", "", FORMAT | HG_CTL_BIT(HG_CTL_ROLE), false, "makes a token for somebody, for servers that let in only whom they know",
     "Prints the line for the file that the setting http.auth.file names; it holds a hash of the token. The token itself is shown once, on standard error. No server is asked.",
     "token grafana --role read >> /etc/henge/users", hg_ctl_token},
    {"The tool itself", "help", "", "", HG_CTL_BIT(HG_CTL_MARKDOWN), false, "lists the commands", "", "help --markdown", hg_ctl_help},
};
const size_t hg_ctl_n_commands = sizeof hg_ctl_commands / sizeof *hg_ctl_commands;

void hg_ctl_arity(const struct hg_ctl_command *cmd, int *least, int *most)
{
    *least = *most = 0;
    for (const char *p = cmd->args; *p;) {
        size_t n = strcspn(p, " ");
        *least += *p != '[';
        *most = n > 3 && memcmp(p + n - 3, "...", 3) == 0 ? INT32_MAX : *most + 1;
        p += n + (p[n] == ' ');
    }
}
