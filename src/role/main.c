/* henge ROLE …: reads the configuration of the role and runs it. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/cpu.h"
#include "base/log.h"
#include "role/ctl.h"
#include "role/index.h"
#include "role/node.h"

enum { FINE = 0, FAILED = 1, WRONG = 2 }; /* exit statuses: done, could not, not understood */

static const struct role {
    const char *name;
    enum hg_role role;
    unsigned parts;
    const char *text;
} roles[] = {
    {"standalone", HG_ROLE_STANDALONE, HG_ROLE_INGEST | HG_ROLE_HISTORICAL | HG_ROLE_BROKER | HG_ROLE_COORDINATOR, "all servers in one process, on SQLite and a local folder"},
    {"ingest", HG_ROLE_INGEST, HG_ROLE_INGEST, "reads Kafka, serves live rows, publishes segments; runs batch tasks"},
    {"historical", HG_ROLE_HISTORICAL, HG_ROLE_HISTORICAL, "keeps and serves published segments"},
    {"broker", HG_ROLE_BROKER, HG_ROLE_BROKER, "answers queries over HTTP"},
    {"coordinator", HG_ROLE_COORDINATOR, HG_ROLE_COORDINATOR, "decides which historical serves what"},
};

static void usage(FILE *out)
{
    fputs("usage: henge ROLE [--KEY VALUE ...] [--config FILE]\n\nServers:\n", out);
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) fprintf(out, "  %-12s %s\n", roles[i].name, roles[i].text);
    fputs("Commands:\n"
          "  index        builds segments from files, once: henge index SPEC.json\n"
          "  ctl          the operators' tool: henge ctl --help\n"
          "\nhenge ROLE --help lists the settings of a role; --check-config prints them and starts nothing; henge --version.\n",
          out);
}

static int wrong(const char *role, const char *msg)
{
    fprintf(stderr, "henge %s: %s\nhenge %s --help lists its settings.\n", role, msg, role);
    return WRONG;
}

static bool set_log_level(const struct hg_cfg *cfg)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    const char *level = hg_cfg_str(cfg, "log.level");
    for (int i = 0; i < 4; i++)
        if (strcmp(level, names[i]) == 0) return hg_log_set_level((enum hg_log_level)i), true;
    return false;
}

static int run_server(const struct role *r, int argc, char **argv)
{
    struct hg_err err;
    struct hg_cfg *cfg;
    char *rest[64];
    int n_rest = 0;
    if (argc > 64) return wrong(r->name, "too many arguments");
    if (hg_cfg_load(r->role, argc, argv, &cfg, rest, &n_rest, &err)) return wrong(r->name, err.msg);
    int status = FINE;
    if (hg_cfg_asked(rest, &n_rest, "--help")) {
        printf("usage: henge %s [--KEY VALUE ...] [--config FILE] [--check-config]\n\n%s.\n\n", r->name, r->text);
        hg_cfg_usage(r->role, stdout);
    } else if (hg_cfg_asked(rest, &n_rest, "--check-config")) {
        hg_cfg_print(cfg, stdout);
        if (!set_log_level(cfg)) status = wrong(r->name, "log.level: known are debug, info, warn and error");
    } else if (n_rest) {
        char msg[256];
        snprintf(msg, sizeof msg, "\"%.200s\" is not understood", rest[0]);
        status = wrong(r->name, msg);
    } else if (!set_log_level(cfg)) {
        status = wrong(r->name, "log.level: known are debug, info, warn and error");
    } else {
        status = hg_node_run(r->role, r->parts, cfg);
    }
    hg_cfg_free(cfg);
    return status;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    struct hg_err err;
    if (hg_cpu_start(&err)) return fprintf(stderr, "henge: %s\n", err.msg), WRONG;
    if (strcmp(name, "--version") == 0) return printf("henge %s (%s)\n", HENGE_VERSION, hg_cpu_name(hg_cpu())), FINE;
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) return usage(stdout), FINE;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (strcmp(name, roles[i].name) == 0) return run_server(&roles[i], argc - 1, argv + 1);
    if (strcmp(name, "index") == 0) return hg_index_main(argc - 1, argv + 1);
    if (strcmp(name, "ctl") == 0) return hg_ctl_main(argc - 1, argv + 1);
    if (*name) fprintf(stderr, "henge: \"%s\" is no role\n\n", name);
    usage(stderr);
    return WRONG;
}
