/* The table of settings as help text and as the manual's page. */
#include "base/config_private.h"

static void wrap(FILE *out, const char *text, int indent, int width)
{
    int at = indent;
    fprintf(out, "%*s", indent, "");
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (at > indent && at + 1 + word > width) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        }
        at += fprintf(out, "%s%.*s", at > indent ? " " : "", word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void hg_cfg_usage(enum hg_role role, FILE *out)
{
    fprintf(out, "Settings, each as a flag, in the environment (HENGE_HTTP_PORT) or in a file (http.port = 8082); the first of these wins.\n\n");
    fprintf(out, "  --config FILE\n");
    wrap(out, "File of settings; also HENGE_CONFIG.", 6, 100);
    fprintf(out, "  --check-config\n");
    wrap(out, "Prints every setting with its value and where that came from, and exits.", 6, 100);
    for (size_t i = 0; i < hg_cfg_n_keys; i++) {
        const struct hg_cfg_key *k = &hg_cfg_keys[i];
        if (!(k->roles & (unsigned)role)) continue;
        char flag[HG_CFG_FLAG_TEXT];
        hg_cfg_flag_name(k->name, flag);
        const char *def = hg_cfg_default(k, role);
        fprintf(out, "  %s=%s%s%s%s\n", flag, hg_cfg_type_name(k->type), *def ? "  [" : "", def, *def ? "]" : "");
        wrap(out, k->text, 6, 100);
    }
}

static void put_cell(FILE *out, const char *text)
{
    for (; *text; text++) fprintf(out, *text == '|' ? "\\|" : "%c", *text);
}

void hg_cfg_markdown(FILE *out)
{
    fputs("# Configuration\n\n"
          "Every setting can be a flag (`--http-port=8082` or `--http-port 8082`), a variable of the environment (`HENGE_HTTP_PORT=8082`) or a\n"
          "line of the file named by `--config` or `HENGE_CONFIG` (`http.port = 8082`). A flag goes before the environment, that before the file,\n"
          "that before the default. An unknown name, a wrong type or a value out of range is an error that says where it stands.\n\n"
          "In the file `#` begins a comment at the start of a line or after a blank; a value that holds one, or that begins or ends with blanks,\n"
          "stands in double quotes, inside which `\\\"` and `\\\\` are a quote and a backslash. Sizes take suffixes as Druid's do (`KB` = 1,000,\n"
          "`KiB` = 1,024, and so on to `PiB`), durations take `ms`, `s`, `m`, `h` or `d`; without one the unit is bytes and milliseconds.\n"
          "`henge ROLE --check-config` prints every value with its origin; secrets, and passwords in URLs, are masked.\n\n"
          "Short flags: `--data` is `data.dir`, `--host` is `http.host`, `--port` is `http.port`, `--kafka` is `kafka.bootstrap`.\n\n"
          "This page is generated from `src/base/config.def`; the test `unit/base/config` compares them.\n",
          out);
    char section[32] = "";
    for (size_t i = 0; i < hg_cfg_n_keys; i++) {
        const struct hg_cfg_key *k = &hg_cfg_keys[i];
        int n = (int)strcspn(k->name, ".");
        if (strncmp(section, k->name, (size_t)n) != 0 || section[n] != '\0') {
            snprintf(section, sizeof section, "%.*s", n, k->name);
            fprintf(out, "\n## %s\n\n| setting | type | default | range | roles | |\n|---|---|---|---|---|---|\n", section);
        }
        fprintf(out, "| `%s` | %s | ", k->name, hg_cfg_type_name(k->type));
        if (*k->def) fprintf(out, "`%s`", k->def);
        else fputs("empty", out);
        for (size_t r = 0; r < hg_cfg_n_roles; r++) {
            const char *own = hg_cfg_default(k, hg_cfg_roles[r].role);
            if (strcmp(own, k->def) != 0) fprintf(out, ", %s `%s`", hg_cfg_roles[r].name, own);
        }
        fputs(" | ", out);
        if (k->type != HG_CFG_STRING && k->type != HG_CFG_BOOL) {
            char lo[32], hi[32];
            hg_cfg_number_text(k->type, k->min, lo, sizeof lo);
            hg_cfg_number_text(k->type, k->max, hi, sizeof hi);
            if (k->max == INT64_MAX) fprintf(out, "%s and more", lo);
            else fprintf(out, "%s to %s", lo, hi);
        }
        fputs(" | ", out);
        unsigned all = 0;
        for (size_t r = 0; r < hg_cfg_n_roles; r++) all |= (unsigned)hg_cfg_roles[r].role;
        unsigned servers = all & ~(unsigned)(HG_ROLE_INDEX | HG_ROLE_CTL);
        if (k->roles == all) fputs("all", out);
        else if (k->roles == servers) fputs("servers", out);
        else {
            const char *comma = "";
            for (size_t r = 0; r < hg_cfg_n_roles; r++) {
                if (!(k->roles & (unsigned)hg_cfg_roles[r].role)) continue;
                fprintf(out, "%s%s", comma, hg_cfg_roles[r].name);
                comma = ", ";
            }
        }
        fputs(" | ", out);
        put_cell(out, k->text);
        fputs(" |\n", out);
    }
}
