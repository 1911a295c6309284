/* henge ctl: words to a command of the table, its run, its output and exit status. */
#include "role/ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/nearest.h"
#include "role/ctl_private.h"

#define MAX_OUTPUT ((size_t)2 << 30)
#define MAX_INPUT ((size_t)256 << 20)

/* ---- what commands share ---- */

json_t *hg_ctl_keep(struct hg_ctl *c, json_t *j) { return j && json_array_append_new(c->keep, j) == 0 ? j : NULL; }

const char *hg_ctl_str(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v ? v : "";
}

json_t *hg_ctl_or_null(json_t *v) { return v ? v : json_null(); }
enum hg_rc hg_ctl_no_memory(struct hg_err *err) { return hg_fail(err, HG_E_NOMEM, "out of memory for an answer"); }

enum hg_rc hg_ctl_wrong(struct hg_err *err, const char *fmt, ...)
{
    va_list ap;
    err->rc = HG_E_INVALID;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return HG_E_INVALID;
}

enum hg_rc hg_ctl_flush(struct hg_ctl *c, struct hg_err *err)
{
    HG_TRY(hg_buf_check(&c->out, "output", err));
    if ((c->out.len && fwrite(c->out.p, 1, c->out.len, stdout) != c->out.len) || fflush(stdout)) return hg_fail_errno(err, HG_E_IO, "writing to standard output");
    hg_buf_clear(&c->out);
    return HG_OK;
}

enum hg_rc hg_ctl_confirm(struct hg_ctl *c, const char *plan, bool *go, struct hg_err *err)
{
    char line[16];
    *go = false;
    if (c->opt[HG_CTL_DRY_RUN]) {
        json_t *j = hg_ctl_keep(c, json_pack("{s:b,s:s}", "dryRun", 1, "would", plan));
        if (!j) return hg_fail(err, HG_E_NOMEM, "dry run");
        hg_ctl_said(c, j, "would %s", plan);
        return HG_OK;
    }
    *go = c->opt[HG_CTL_YES] != NULL;
    if (*go) return HG_OK;
    if (!isatty(0)) return hg_ctl_wrong(err, "this would %s.\nThere is no terminal to ask at: --yes does it, --dry-run only says it.", plan);
    fprintf(stderr, "This will %s.\nGo on? [y/N] ", plan);
    fflush(stderr);
    *go = fgets(line, sizeof line, stdin) && (strcmp(line, "y\n") == 0 || strcmp(line, "yes\n") == 0);
    return *go ? HG_OK : hg_fail(err, HG_E_CANCELLED, "nothing was done");
}

static void free_bytes(void *p) { free(p); }

static enum hg_rc read_stdin(struct hg_buf *out, struct hg_err *err)
{
    for (;;) {
        uint8_t *p = hg_buf_reserve(out, 65536);
        if (!p) return hg_buf_check(out, "standard input", err);
        ssize_t n = read(0, p, 65536);
        if (n == 0) return HG_OK;
        if (n < 0 && errno != EINTR) return hg_fail_errno(err, HG_E_IO, "standard input");
        if (n > 0) out->len += (size_t)n;
    }
}

enum hg_rc hg_ctl_read_json(struct hg_ctl *c, const char *path, struct hg_str *text, json_t **parsed, struct hg_err *err)
{
    struct hg_buf b;
    hg_buf_init(&b, MAX_INPUT);
    bool in = strcmp(path, "-") == 0;
    enum hg_rc rc = in ? read_stdin(&b, err) : hg_file_read(path, b.max, &b, err);
    if (!rc) rc = hg_arena_on_free(c->a, free_bytes, b.p, err);
    if (rc) {
        hg_buf_free(&b);
        return rc == HG_E_NOTFOUND ? hg_ctl_wrong(err, "there is no file %s", path) : rc;
    }
    *text = (struct hg_str){(const char *)b.p, b.len};
    if (!b.len) return hg_ctl_wrong(err, "%s is empty; JSON was expected", in ? "standard input" : path);
    struct hg_err bad;
    json_t *j;
    if (hg_json_parse(*text, &j, &bad)) return hg_ctl_wrong(err, "%s is not JSON: %s", in ? "standard input" : path, bad.msg);
    *parsed = hg_ctl_keep(c, j);
    return *parsed ? HG_OK : hg_fail(err, HG_E_NOMEM, "%s", path);
}

/* ---- words ---- */

static bool is_option(const char *word) { return word[0] == '-' && word[1] == '-' && word[2]; }

/* The settings have names of their own in the table of settings: --url is --ctl-url there. Returns owned; the texts are the arena's or borrowed. */
static char **long_flags(struct hg_arena *a, int argc, char **argv)
{
    char **out = calloc((size_t)argc + 1, sizeof *out);
    for (int i = 0; out && i < argc; i++) {
        out[i] = argv[i];
        for (size_t k = 0; k < hg_ctl_n_settings; k++) {
            const char *flag = hg_ctl_settings[k].flag;
            size_t n = strlen(flag);
            if (strncmp(argv[i], flag, n) != 0 || (argv[i][n] && argv[i][n] != '=')) continue;
            char *text = hg_arena_printf(a, "--%s%s", hg_ctl_settings[k].key, argv[i] + n); /* dots are as good as dashes */
            if (!text) {
                free(out);
                return NULL;
            }
            out[i] = text;
        }
    }
    return out;
}

static enum hg_rc no_option(const char *word, struct hg_err *err)
{
    size_t best = SIZE_MAX, n = strcspn(word, "=");
    char name[128];
    const char *near = "";
    snprintf(name, sizeof name, "%.*s", (int)(n < 100 ? n : 100), word);
    for (size_t i = 0; i < HG_CTL_N_OPTIONS + hg_ctl_n_settings; i++) {
        const char *known = i < HG_CTL_N_OPTIONS ? hg_ctl_options[i].name : hg_ctl_settings[i - HG_CTL_N_OPTIONS].flag;
        size_t d = hg_edit_distance(name, known);
        if (d < best) best = d, near = known;
    }
    bool hint = hg_is_near(name + 2, best); /* the dashes do not make names alike */
    return hg_ctl_wrong(err, "there is no option %s%s%s%s", name, hint ? "; did you mean " : "", hint ? near : "", hint ? "?" : "");
}

/* rest: words and options, with the settings taken out. */
static enum hg_rc sort_words(struct hg_ctl *c, char **rest, int n_rest, struct hg_err *err)
{
    for (int i = 0; i < n_rest; i++) {
        const char *word = strcmp(rest[i], "-h") == 0 ? "--help" : rest[i];
        if (!is_option(word)) {
            c->words[c->n_words++] = rest[i];
            continue;
        }
        size_t n = strcspn(word, "="), k = 0;
        while (k < HG_CTL_N_OPTIONS && (strlen(hg_ctl_options[k].name) != n || strncmp(hg_ctl_options[k].name, word, n) != 0)) k++;
        if (k == HG_CTL_N_OPTIONS) return no_option(word, err);
        const struct hg_ctl_option_text *o = &hg_ctl_options[k];
        if (!o->value && word[n]) return hg_ctl_wrong(err, "%s takes no value", o->name);
        if (o->value && !word[n] && (i + 1 == n_rest || is_option(rest[i + 1]))) return hg_ctl_wrong(err, "%s wants a value: %s", o->name, o->value);
        if (c->opt[k]) return hg_ctl_wrong(err, "%s is given twice", o->name);
        c->opt[k] = !o->value ? "" : word[n] ? word + n + 1 : rest[++i];
    }
    const char *format = c->opt[HG_CTL_FORMAT];
    if (format && strcmp(format, "table") != 0 && strcmp(format, "json") != 0) return hg_ctl_wrong(err, "--format is table or json, not \"%s\"", format);
    c->json = format && strcmp(format, "json") == 0;
    return HG_OK;
}

/* How many words a command's name takes when the words begin with it, or 0. */
static int begins_with(char **words, int n_words, const char *name)
{
    int taken = 0;
    for (const char *p = name; *p; taken++) {
        size_t n = strcspn(p, " ");
        if (taken >= n_words || strlen(words[taken]) != n || strncmp(words[taken], p, n) != 0) return 0;
        p += n + (p[n] == ' ');
    }
    return taken;
}

/* The commands of a group, for messages. */
static void members(const char *group, char known[256])
{
    known[0] = 0;
    for (size_t i = 0, n = strlen(group), at = 0; i < hg_ctl_n_commands; i++)
        if (strncmp(hg_ctl_commands[i].name, group, n) == 0 && hg_ctl_commands[i].name[n] == ' ' && at < 256)
            at += (size_t)snprintf(known + at, 256 - at, "%s%s", at ? ", " : "", hg_ctl_commands[i].name + n + 1);
}

static enum hg_rc no_command(struct hg_ctl *c, struct hg_err *err)
{
    const char *first = c->words[0], *near = NULL, *label = first, *two;
    size_t best = SIZE_MAX;
    char known[256];
    members(first, known);
    if (c->n_words == 1 && *known) return hg_ctl_wrong(err, "%s: which command? There are %s", first, known);
    if (!(two = hg_arena_printf(c->a, "%s %s", first, c->n_words > 1 ? c->words[1] : ""))) return hg_arena_fail(c->a, "command", err);
    if (*known) label = two;
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        const char *name = hg_ctl_commands[i].name, *blank = strchr(name, ' ');
        char group[64];
        snprintf(group, sizeof group, "%.*s", blank ? (int)(blank - name) : 0, name);
        if (*known && strcmp(group, first) != 0) continue; /* the group's name is right, so it is meant */
        const struct {
            const char *written, *known, *hint;
        } slips[] = {{blank ? two : first, name, name}, {first, group, group}};
        for (size_t k = 0; k < 2; k++) {
            size_t d = *slips[k].known ? hg_edit_distance(slips[k].written, slips[k].known) : SIZE_MAX;
            const char *differs = k == 0 && label == two ? c->words[1] : slips[k].written;
            if (d == SIZE_MAX || !hg_is_near(differs, d) || (k && d == 0)) continue;
            d = 2 * d + k; /* a whole command goes before a group */
            if (d < best) best = d, near = hg_arena_strdup(c->a, slips[k].hint);
        }
        if (blank && strcmp(first, blank + 1) == 0) best = 0, near = name; /* "list" */
        if (best == 0) break;
    }
    if (!near && *known) return hg_ctl_wrong(err, "there is no command \"%s\"; there are %s", label, known);
    return hg_ctl_wrong(err, "there is no command \"%s\"%s%s%s", label, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static enum hg_rc find_command(struct hg_ctl *c, struct hg_err *err)
{
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        int taken = begins_with(c->words, c->n_words, hg_ctl_commands[i].name);
        if (!taken) continue;
        c->cmd = &hg_ctl_commands[i];
        c->words += taken;
        c->n_words -= taken;
        return HG_OK;
    }
    return no_command(c, err);
}

static enum hg_rc check_words(struct hg_ctl *c, struct hg_err *err)
{
    int least, most;
    hg_ctl_arity(c->cmd, &least, &most);
    for (int k = 0; k < HG_CTL_N_OPTIONS; k++)
        if (c->opt[k] && !((c->cmd->options | HG_CTL_BIT(HG_CTL_HELP)) & HG_CTL_BIT(k))) return hg_ctl_wrong(err, "it takes no %s", hg_ctl_options[k].name);
    if (c->n_words < least) return hg_ctl_wrong(err, "it wants %s", c->cmd->args);
    if (c->n_words > most) return hg_ctl_wrong(err, most == 0 ? "it takes no argument, not \"%s\"" : "it takes %s and no more, not also \"%s\"", most == 0 ? c->words[0] : c->cmd->args,
                                               most == 0 ? "" : c->words[most]);
    return HG_OK;
}

/* ---- a run ---- */

/* Where the words end: help, a command, or a mistake. */
static int run(struct hg_ctl *c, char **rest, int n_rest)
{
    struct hg_err err = {HG_OK, ""};
    enum hg_rc rc = sort_words(c, rest, n_rest, &err);
    if (!rc && c->n_words == 0) {
        if (c->opt[HG_CTL_HELP]) return hg_ctl_usage(stdout), HG_CTL_FINE;
        return hg_ctl_usage(stderr), HG_CTL_WRONG;
    }
    if (!rc && c->opt[HG_CTL_HELP] && c->n_words == 1 && hg_ctl_usage_group(stdout, c->words[0])) return HG_CTL_FINE;
    if (!rc) rc = find_command(c, &err);
    if (!rc && c->opt[HG_CTL_HELP]) return hg_ctl_usage_command(stdout, c->cmd), HG_CTL_FINE;
    if (!rc) rc = check_words(c, &err);
    bool parsed = !rc;
    if (!rc) rc = c->cmd->run(c, &err);
    struct hg_err late = {HG_OK, ""};
    if (hg_ctl_flush(c, &late) && !rc) rc = late.rc, err = late; /* what was found out before a failure is shown too */
    if (!rc) return c->status;
    fprintf(stderr, "henge ctl%s%s: %s\n", c->cmd ? " " : "", c->cmd ? c->cmd->name : "", err.msg);
    if (!parsed) fprintf(stderr, "henge ctl%s%s --help tells more.\n", c->cmd ? " " : "", c->cmd ? c->cmd->name : "");
    return rc == HG_E_INVALID ? HG_CTL_WRONG : HG_CTL_FAILED;
}

int hg_ctl_main(int argc, char **argv)
{
    struct hg_err err = {HG_E_NOMEM, "out of memory"};
    struct hg_ctl c = {.a = hg_arena_new(NULL), .keep = json_array()};
    struct hg_cfg *cfg = NULL;
    char **flags = c.a ? long_flags(c.a, argc, argv) : NULL, **rest = calloc((size_t)argc + 1, sizeof *rest), **words = calloc((size_t)argc + 1, sizeof *words);
    int n_rest = 0, status = HG_CTL_FAILED;
    hg_buf_init(&c.out, MAX_OUTPUT);
    hg_log_set_level(HG_LOG_WARN);
    if (!c.keep || !flags || !rest || !words || hg_cfg_load(HG_ROLE_CTL, argc, flags, &cfg, rest, &n_rest, &err)) {
        fprintf(stderr, "henge ctl: %s\n", err.msg);
        status = err.rc == HG_E_NOMEM ? HG_CTL_FAILED : HG_CTL_WRONG;
    } else if (hg_cfg_asked(rest, &n_rest, "--check-config")) {
        hg_cfg_print(cfg, stdout);
        status = HG_CTL_FINE;
    } else {
        c.cfg = cfg;
        c.words = words;
        c.timeout_ms = hg_cfg_int(cfg, "ctl.timeout");
        status = run(&c, rest, n_rest);
    }
    hg_buf_free(&c.out);
    hg_cfg_free(cfg);
    json_decref(c.keep);
    free(flags);
    free(rest);
    free(words);
    hg_arena_free(c.a);
    return status;
}
