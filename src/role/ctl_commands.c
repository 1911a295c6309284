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
    [HG_CTL_DATASOURCE] = {"--datasource", "NAME", "Only tasks of this datasource."},
    [HG_CTL_WAIT] = {"--wait", NULL, "Waits for the end of the task; the exit status is 1 when it fails."},
    [HG_CTL_OFFSETS] = {"--offsets", "P=N,...", "Offsets from which partitions are read next, in place of forgetting all of them."},
    [HG_CTL_FROM] = {"--from", "ROW", "The first row, counted from 0."},
    [HG_CTL_LIMIT] = {"--limit", "ROWS", "At most so many rows."},
    [HG_CTL_MARKDOWN] = {"--markdown", NULL, "The whole manual as a page of Markdown."},
};

const struct hg_ctl_setting_text hg_ctl_settings[] = {
    {"--url", "ctl.url", "URL", "Where every server is asked that has no URL of its own below: standalone, or a coordinator, which knows the others."},
    {"--broker", "ctl.broker", "URL", "The broker, for queries."},
    {"--coordinator", "ctl.coordinator", "URL", "The coordinator, for servers, tiers, datasources and segments."},
    {"--ingest", "ctl.ingest", "URL", "An ingest server, for supervisors and tasks."},
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
    {"The cluster", "servers", "", "", FORMAT, true, "servers with their roles, tiers and the room they have", "Servers whose lease holds. Size and capacity are those of data servers.",
     "servers --format json", hg_ctl_servers},
    {"The cluster", "tiers", "", "", FORMAT, true, "tiers with their historicals and the room they have", "", "tiers", hg_ctl_tiers},

    {"Data", "datasources", "", "", FORMAT | HG_CTL_BIT(HG_CTL_FULL), true, "datasources with their segments, size and time",
     "What is published and visible. LOADED is the share of segments that historicals serve. With --full the rows are counted too and the namespaces named, which reads the list of "
     "all segments.",
     "datasources --full", hg_ctl_datasources},
    {"Data", "segments", "[DATASOURCE]", "datasources", FORMAT | HG_CTL_BIT(HG_CTL_INTERVAL) | HG_CTL_BIT(HG_CTL_FULL), true, "segments in use, of one datasource or of all",
     "Segments that are published and marked used. With --full also their ids, shards, columns and places in deep storage.", "segments ads --interval 2024-05-01/P1D", hg_ctl_segments},
    {"Data", "query", "FILE", "files", FORMAT, true, "asks the broker a native query",
     "FILE holds the query as JSON; \"-\" reads it from standard input. As a table: one line a row of the answer, numbers as the server wrote them. As JSON: the answer as it came. When "
     "the query's context allows a partial answer and it is one, a message on standard error says which segments are missing.",
     "query - <<< '{\"queryType\": \"timeBoundary\", \"dataSource\": \"ads\"}'", hg_ctl_query},

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

    {"The tool itself", "completion", "WHAT", "bash supervisors tasks datasources", 0, true, "prints the completion script for bash",
     "WHAT is bash for the script. It asks for the names there are by the other words: supervisors, tasks or datasources print them, one a line.",
     "completion bash > /etc/bash_completion.d/henge", hg_ctl_completion},
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
