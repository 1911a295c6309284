/* What config.c (values) and config_text.c (help and manual) share. */
#ifndef HG_BASE_CONFIG_PRIVATE_H
#define HG_BASE_CONFIG_PRIVATE_H

#include "base/config.h"

#define HG_CFG_FLAG_TEXT 96

const char *hg_cfg_default(const struct hg_cfg_key *k, enum hg_role role);
void hg_cfg_flag_name(const char *name, char *buf); /* "http.max_body" -> "--http-max-body"; HG_CFG_FLAG_TEXT bytes */
void hg_cfg_env_name(const char *name, char *buf);  /* "HENGE_HTTP_MAX_BODY" */
void hg_cfg_number_text(enum hg_cfg_type type, int64_t v, char *buf, size_t cap); /* "64MiB", "5m", "8082" */
const char *hg_cfg_type_name(enum hg_cfg_type type);
const char *hg_cfg_alias_of(const char *name); /* the short flag without dashes, or NULL */

struct hg_cfg_role_name {
    enum hg_role role;
    const char *name;
};
extern const struct hg_cfg_role_name hg_cfg_roles[];
extern const size_t hg_cfg_n_roles;

#endif
