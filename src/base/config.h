/* Configuration: every key once, in config.def (name, type, default, roles, text); values by precedence flag > environment >
 * file > default. The file is "key = value" lines with # comments. docs/configuration.md is generated from the table. */
#ifndef HG_BASE_CONFIG_H
#define HG_BASE_CONFIG_H

#include <stdint.h>
#include <stdio.h>
#include "base/buf.h"
#include "base/err.h"

enum hg_cfg_type { HG_CFG_STRING, HG_CFG_INT, HG_CFG_BYTES, HG_CFG_DURATION_MS, HG_CFG_BOOL };
enum hg_role { HG_ROLE_INGEST = 1, HG_ROLE_HISTORICAL = 2, HG_ROLE_BROKER = 4, HG_ROLE_COORDINATOR = 8, HG_ROLE_STANDALONE = 16, HG_ROLE_INDEX = 32, HG_ROLE_CTL = 64 };

struct hg_cfg_key {
    const char *name;  /* "http.port"; flag --http-port, environment HENGE_HTTP_PORT */
    enum hg_cfg_type type;
    const char *def;   /* default as text */
    int64_t min, max;  /* INT, BYTES, DURATION_MS */
    unsigned roles;    /* set of enum hg_role */
    const char *text;  /* one sentence or more */
};
extern const struct hg_cfg_key hg_cfg_keys[];
extern const size_t hg_cfg_n_keys;

struct hg_cfg; /* immutable once loaded */
/* Reads flags from argv[1..): --key=value, --key value, --config FILE; then environment, then the file. Words that are no flags
 * are left in *rest (borrowed from argv, at most argc), and so are --help, --version and --check-config (see hg_cfg_asked), what
 * follows "--", and for ctl flags that are no setting. Unknown keys (with the nearest known one), wrong types and values out of range are
 * HG_E_INVALID naming key, value and where it came from (flag, environment, file:line). Returns owned. */
HG_MUST_USE enum hg_rc hg_cfg_load(enum hg_role role, int argc, char **argv, struct hg_cfg **out, char **rest, int *n_rest, struct hg_err *err);
void hg_cfg_free(struct hg_cfg *c);
bool hg_cfg_asked(char **rest, int *n_rest, const char *flag); /* "--check-config": whether it is among rest; takes it out */
/* A key that is not in the table is our mistake (assert). */
const char *hg_cfg_str(const struct hg_cfg *c, const char *name); /* "" when empty */
int64_t hg_cfg_int(const struct hg_cfg *c, const char *name);     /* INT, BYTES, DURATION_MS */
bool hg_cfg_bool(const struct hg_cfg *c, const char *name);
/* Every effective value with its origin, for --check-config; secrets are masked. */
void hg_cfg_print(const struct hg_cfg *c, FILE *out);
void hg_cfg_usage(enum hg_role role, FILE *out);   /* the flags of a role, for --help */
void hg_cfg_markdown(FILE *out);                   /* docs/configuration.md */

#endif
