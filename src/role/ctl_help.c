/* The table of commands as help, manual and completion script. */
#include "role/ctl_private.h"

enum { WIDTH = 100, INDENT = 24 };

/* Words of text filled from column indent on, where the cursor stands; "\n" ends a paragraph. */
static void wrap(FILE *out, const char *text, int indent)
{
    int at = indent;
    while (*text) {
        int word = (int)strcspn(text, " \n");
        if (at > indent && at + 1 + word > WIDTH) at = fprintf(out, "\n%*s", indent, "") - 1;
        at += fprintf(out, "%s%.*s", at > indent ? " " : "", word, text);
        text += word;
        if (*text == '\n') at = fprintf(out, "\n\n%*s", indent, "") - 2;
        if (*text) text++;
    }
    fputc('\n', out);
}

/* "  left   text", the text in a column of its own. */
static void entry(FILE *out, const char *name, const char *value, const char *text)
{
    int at = fprintf(out, "  %s%s%s", name, value ? " " : "", value ? value : "");
    fprintf(out, "%*s", at < INDENT - 1 ? INDENT - at : 2, "");
    wrap(out, text, INDENT);
}

static const char *default_of(const char *key)
{
    for (size_t k = 0; k < hg_cfg_n_keys; k++)
        if (strcmp(hg_cfg_keys[k].name, key) == 0) return hg_cfg_keys[k].def;
    return "";
}

static void usage_words(FILE *out, const struct hg_ctl_command *cmd)
{
    fprintf(out, "henge ctl %s%s%s", cmd->name, *cmd->args ? " " : "", cmd->args);
    for (int k = 0; k < HG_CTL_N_OPTIONS; k++)
        if (cmd->options & HG_CTL_BIT(k)) fprintf(out, " [%s%s%s]", hg_ctl_options[k].name, hg_ctl_options[k].value ? " " : "", hg_ctl_options[k].value ? hg_ctl_options[k].value : "");
}

static void sentence(FILE *out, const char *text) { fprintf(out, "%c%s.\n", text[0] >= 'a' && text[0] <= 'z' ? text[0] - 'a' + 'A' : text[0], text + 1); }

static bool in_group(const struct hg_ctl_command *cmd, const char *group)
{
    size_t n = strlen(group);
    return strncmp(cmd->name, group, n) == 0 && cmd->name[n] == ' ';
}

static void list(FILE *out, const char *group)
{
    const char *section = "";
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        const struct hg_ctl_command *cmd = &hg_ctl_commands[i];
        if (group && !in_group(cmd, group)) continue;
        if (strcmp(section, cmd->section) != 0) fprintf(out, "\n%s:\n", section = cmd->section);
        int at = fprintf(out, "  %s%s%s", cmd->name, *cmd->args ? " " : "", cmd->args);
        fprintf(out, "%*s%s\n", at < 30 ? 30 - at : 1, "", cmd->text);
    }
}

void hg_ctl_usage(FILE *out)
{
    fputs("usage: henge ctl COMMAND [ARGUMENT ...] [--OPTION ...]\n", out);
    list(out, NULL);
    fprintf(out, "\nhenge ctl COMMAND --help tells more. Servers are asked at --url (HENGE_CTL_URL, else %s).\n", default_of("ctl.url"));
}

bool hg_ctl_usage_group(FILE *out, const char *group)
{
    bool there = false;
    for (size_t i = 0; i < hg_ctl_n_commands; i++) there |= in_group(&hg_ctl_commands[i], group);
    if (!there) return false;
    fprintf(out, "usage: henge ctl %s COMMAND [ARGUMENT ...] [--OPTION ...]\n", group);
    list(out, group);
    fprintf(out, "\nhenge ctl %s COMMAND --help tells more.\n", group);
    return true;
}

static const char exits[] =
    "Exit status: 0 done; 1 it could not be done, or a server refused it; 2 the command line or a file is wrong, and no server was asked to do anything.";

void hg_ctl_usage_command(FILE *out, const struct hg_ctl_command *cmd)
{
    fputs("usage: ", out);
    usage_words(out, cmd);
    fputs("\n\n", out);
    sentence(out, cmd->text);
    if (*cmd->help) wrap(out, cmd->help, 0);
    if (cmd->options) fputs("\nOptions:\n", out);
    for (int k = 0; k < HG_CTL_N_OPTIONS; k++)
        if (cmd->options & HG_CTL_BIT(k)) entry(out, hg_ctl_options[k].name, hg_ctl_options[k].value, hg_ctl_options[k].text);
    if (cmd->asks) fputs("\nServers, also as HENGE_CTL_URL and so on in the environment, or as ctl.url in a file (--config):\n", out);
    for (size_t i = 0; cmd->asks && i < hg_ctl_n_settings; i++) {
        const char *def = default_of(hg_ctl_settings[i].key);
        char text[400];
        snprintf(text, sizeof text, *def ? "%s [%s]" : "%s", hg_ctl_settings[i].text, def);
        entry(out, hg_ctl_settings[i].flag, hg_ctl_settings[i].value, text);
    }
    fprintf(out, "\nExample: henge ctl %s\n\n", cmd->example);
    wrap(out, exits, 0);
}

/* ---- docs/ctl.md ---- */

static void cell(FILE *out, const char *text)
{
    for (; *text; text++) fprintf(out, *text == '|' ? "\\|" : "%c", *text);
}

static void row(FILE *out, const char *name, const char *value, const char *text)
{
    fprintf(out, "| `%s", name);
    if (value) fputc(' ', out), cell(out, value);
    fprintf(out, "` | ");
    cell(out, text);
    fputs(" |\n", out);
}

void hg_ctl_markdown(FILE *out)
{
    const char *section = "";
    fprintf(out,
            "# The operators' tool\n\n`henge ctl` asks servers over HTTP and looks into segment files. It needs no configuration for `henge standalone` on the same machine; elsewhere "
            "`--url` names a coordinator,\nwhich knows the other servers.\n\n```\nhenge ctl COMMAND [ARGUMENT ...] [--OPTION ...]\n```\n\n"
            "`henge ctl help` lists the commands, and `--help` after one tells what is here. %s\n\n"
            "What destroys or moves data (`supervisor reset` and `terminate`, `tasks stop`, `rules set`, `lookups set` and `delete`, `revert`, `drain`, `cleanup`) asks first. Where there is no terminal to ask at, it does nothing without `--yes`; `--dry-run` says what "
            "would be done.\n\nThis page is generated: `henge ctl help --markdown`. The test `integration/ctl` compares them.\n\n## Servers\n\n"
            "| option | setting | environment | default | |\n|---|---|---|---|---|\n",
            exits);
    for (size_t i = 0; i < hg_ctl_n_settings; i++) {
        const struct hg_ctl_setting_text *s = &hg_ctl_settings[i];
        const char *def = default_of(s->key), *tick = *def ? "`" : "";
        fprintf(out, "| `%s %s` | `%s` | `HENGE_", s->flag, s->value, s->key);
        for (const char *p = s->key; *p; p++) fputc(*p == '.' ? '_' : *p - 'a' + 'A', out);
        fprintf(out, "` | %s%s%s | %s |\n", tick, *def ? def : strcmp(s->value, "URL") == 0 ? "the URL" : "none", tick, s->text);
    }
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        const struct hg_ctl_command *cmd = &hg_ctl_commands[i];
        if (strcmp(section, cmd->section) != 0) fprintf(out, "\n## %s\n", section = cmd->section);
        fprintf(out, "\n### %s\n\n```\n", cmd->name);
        usage_words(out, cmd);
        fputs("\n```\n\n", out);
        sentence(out, cmd->text);
        if (*cmd->help) fprintf(out, "%s\n", cmd->help);
        if (cmd->options) fputs("\n| option | |\n|---|---|\n", out);
        for (int k = 0; k < HG_CTL_N_OPTIONS; k++)
            if (cmd->options & HG_CTL_BIT(k)) row(out, hg_ctl_options[k].name, hg_ctl_options[k].value, hg_ctl_options[k].text);
        fprintf(out, "\nExample: `henge ctl %s`\n", cmd->example);
    }
}

/* ---- bash ---- */

static void words_of_commands(FILE *out, const char *group)
{
    const char *last = "";
    size_t n = group ? strlen(group) + 1 : 0;
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        if (group && !in_group(&hg_ctl_commands[i], group)) continue;
        const char *name = hg_ctl_commands[i].name + n;
        size_t len = strcspn(name, " ");
        if (strncmp(last, name, len) == 0 && strcspn(last, " ") == len) continue;
        fprintf(out, "%s%.*s", *last ? " " : "", (int)len, name);
        last = name;
    }
}

static bool first_of_group(size_t i, int *len)
{
    const char *name = hg_ctl_commands[i].name, *blank = strchr(name, ' ');
    if (!blank) return false;
    *len = (int)(blank - name);
    return i == 0 || strncmp(hg_ctl_commands[i - 1].name, name, (size_t)*len + 1) != 0;
}

/* The command is known by its words; what its first argument may be and its options are in one case each. */
void hg_ctl_bash(FILE *out)
{
    int len;
    fputs("# bash completion of henge ctl; generated by: henge ctl completion bash\n"
          "_henge()\n{\n"
          "    # Words by blanks: bash splits them at : = and @ too, which are in ids.\n"
          "    local line=${COMP_LINE:0:COMP_POINT} cur= prev= cmd= what= words= options= w i\n"
          "    local -a at=() said=() ask=()\n"
          "    COMPREPLY=()\n"
          "    read -ra at <<< \"$line\"\n"
          "    [[ $line == *[[:space:]] ]] && at+=('')\n"
          "    cur=${at[-1]}\n"
          "    prev=${at[-2]}\n"
          "    if [[ $cur == --*=* ]]; then\n"
          "        prev=${cur%%=*}\n"
          "        cur=${cur#*=}\n"
          "    fi\n"
          "    if ((${#at[@]} == 2)); then\n"
          "        mapfile -t COMPREPLY < <(compgen -W 'standalone ingest historical broker coordinator index ctl' -- \"$cur\")\n"
          "        return\n"
          "    fi\n"
          "    [[ ${at[1]} == ctl ]] || return\n"
          "    for ((i = 2; i < ${#at[@]} - 1; i++)); do\n"
          "        w=${at[i]}\n"
          "        case $w in\n",
          out);
    fputs("            ", out);
    for (size_t i = 0; i < hg_ctl_n_settings; i++) fprintf(out, "%s%s", i ? "|" : "", hg_ctl_settings[i].flag);
    fputs(") ask+=(\"$w\" \"${at[i+1]}\"); ((i++)) ;;\n            ", out);
    for (int k = 0, n = 0; k < HG_CTL_N_OPTIONS; k++)
        if (hg_ctl_options[k].value) fprintf(out, "%s%s", n++ ? "|" : "", hg_ctl_options[k].name);
    fputs("|--config) ((i++)) ;;\n"
          "            -*) ;;\n"
          "            *) said+=(\"$w\") ;;\n"
          "        esac\n"
          "    done\n"
          "    case $prev in\n"
          "        --format) words='table json' ;;\n"
          "        --role) words='read admin' ;;\n"
          "        --state) words='waiting running complete' ;;\n"
          "        --config) what=files ;;\n"
          "        --datasource) words=$(\"${at[0]}\" ctl completion datasources --timeout 2s \"${ask[@]}\" 2>/dev/null) ;;\n"
          "    esac\n"
          "    if [[ -z $words && -z $what ]]; then\n"
          "        _henge_command\n"
          "    fi\n"
          "    if [[ $what == files ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "    else\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "    fi\n"
          "    # bash replaces what is behind the last of its own word breaks only.\n"
          "    local breaks=${COMP_WORDBREAKS//[^:=@]/}\n"
          "    if [[ $breaks && $cur == *[\"$breaks\"]* ]]; then\n"
          "        w=${cur%\"${cur##*[\"$breaks\"]}\"}\n"
          "        COMPREPLY=(\"${COMPREPLY[@]#\"$w\"}\")\n"
          "    fi\n"
          "}\n"
          "\n"
          "# What may stand at the cursor: sets words, or what to files. Names that only servers know are asked for, with a short timeout.\n"
          "_henge_command()\n{\n"
          "    case ${said[0]} in\n"
          "        '') words='",
          out);
    words_of_commands(out, NULL);
    fputs("' ;;\n", out);
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        if (!first_of_group(i, &len)) continue;
        char group[64];
        snprintf(group, sizeof group, "%.*s", len, hg_ctl_commands[i].name);
        fprintf(out, "        %s)\n            if ((${#said[@]} == 1)); then words='", group);
        words_of_commands(out, group);
        fputs("'; else cmd=\"${said[0]} ${said[1]}\"; said=(\"${said[@]:1}\"); fi ;;\n", out);
    }
    fputs("        *) cmd=${said[0]} ;;\n"
          "    esac\n"
          "    case $cmd in\n",
          out);
    for (size_t i = 0; i < hg_ctl_n_commands; i++) {
        const struct hg_ctl_command *cmd = &hg_ctl_commands[i];
        fprintf(out, "        '%s') what='%s' options='--help", cmd->name, cmd->complete);
        for (int k = 0; k < HG_CTL_N_OPTIONS; k++)
            if (cmd->options & HG_CTL_BIT(k)) fprintf(out, " %s", hg_ctl_options[k].name);
        for (size_t k = 0; cmd->asks && k < hg_ctl_n_settings; k++) fprintf(out, " %s", hg_ctl_settings[k].flag);
        fputs("' ;;\n", out);
    }
    fputs("    esac\n"
          "    if [[ $what == */* ]]; then\n"
          "        if ((${#said[@]} < 2)); then what=${what%%/*}; else what=${what#*/}; said=(\"${said[@]:1}\"); fi\n"
          "        if ((${#said[@]} > 1)); then what=; fi\n"
          "    fi\n"
          "    if [[ $cur == -* ]]; then\n"
          "        words=$options\n"
          "        what=\n"
          "    elif [[ -z $cmd ]]; then\n"
          "        what=\n"
          "    elif ((${#said[@]} > 1)) && [[ $what != files ]]; then\n"
          "        words=\n"
          "    else\n"
          "        case $what in\n"
          "            supervisors|tasks|datasources|servers|lookups) words=$(\"${at[0]}\" ctl completion \"$what\" --timeout 2s \"${ask[@]}\" 2>/dev/null) ;;\n"
          "            *) words=$what ;;\n"
          "        esac\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _henge henge\n",
          out);
}
