/* The tool about itself: help and completion. */
#include "role/ctl_private.h"

enum hg_rc hg_ctl_help(struct hg_ctl *c, struct hg_err *err)
{
    (void)err;
    if (c->opt[HG_CTL_MARKDOWN]) hg_ctl_markdown(stdout);
    else hg_ctl_usage(stdout);
    return HG_OK;
}

enum hg_rc hg_ctl_completion(struct hg_ctl *c, struct hg_err *err)
{
    static const struct {
        const char *name;
        enum hg_rc (*names)(struct hg_ctl *c, json_t **out, struct hg_err *err);
    } kinds[] = {{"supervisors", hg_ctl_names_of_supervisors}, {"tasks", hg_ctl_names_of_tasks}, {"datasources", hg_ctl_names_of_datasources}, {"servers", hg_ctl_names_of_servers}, {"lookups", hg_ctl_names_of_lookups}};
    const char *what = c->words[0];
    json_t *list, *v;
    size_t i;
    if (strcmp(what, "bash") == 0) return hg_ctl_bash(stdout), HG_OK;
    for (size_t k = 0; k < HG_CTL_N(kinds); k++) {
        if (strcmp(what, kinds[k].name) != 0) continue;
        HG_TRY(kinds[k].names(c, &list, err));
        json_array_foreach(list, i, v) hg_buf_printf(&c->out, "%s\n", json_string_value(v));
        return HG_OK;
    }
    return hg_ctl_wrong(err, "\"%s\" cannot be completed; there are %s", what, c->cmd->complete);
}
