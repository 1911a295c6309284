/* Namespaces, the versions that their intervals have had, and going back to one of them. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/num.h"
#include "base/time.h"
#include "role/ctl_private.h"

#define BASE "/druid/coordinator/v1"

/* ---- namespaces ---- */

enum hg_rc hg_ctl_namespaces(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"datasource", "DATASOURCE", HG_CTL_TEXT}, {"namespace", "NAMESPACE", HG_CTL_TEXT}, {"segments", "SEGMENTS", HG_CTL_TEXT}, {"rows", "ROWS", HG_CTL_TEXT},
        {"bytes", "SIZE", HG_CTL_BYTES}, {"minTime", "FROM", HG_CTL_TEXT}, {"maxTime", "TO", HG_CTL_TEXT}, {"metrics", "METRICS", HG_CTL_TEXT},
    };
    const char *ds = c->n_words ? c->words[0] : NULL;
    const char *path = ds ? hg_arena_printf(c->a, BASE "/namespaces?datasource=%s", hg_ctl_escape(c, ds)) : BASE "/namespaces";
    json_t *rows;
    if (!path) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, path, &rows, err));
    if (ds && !json_array_size(rows)) return hg_ctl_no_such(c, "datasource", ds, hg_ctl_names_of_datasources, err);
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "no datasource has a visible segment", err);
}

/* ---- versions ---- */

/* {"clicks": 12, "spend": "3.5"} as "clicks 12, spend 3.5". */
static const char *sums_text(struct hg_ctl *c, const json_t *sums)
{
    const char *key, *out = "";
    char num[HG_NUM_TEXT];
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)sums, key, v)
    {
        if (json_is_integer(v)) hg_fmt_i64(json_integer_value(v), num);
        else if (json_is_real(v)) hg_fmt_f64(json_real_value(v), num);
        out = hg_arena_printf(c->a, "%s%s%s %s", out, *out ? ", " : "", key, json_is_string(v) ? json_string_value(v) : json_is_number(v) ? num : "?");
        if (!out) return "?";
    }
    return out;
}

enum hg_rc hg_ctl_versions(struct hg_ctl *c, struct hg_err *err)
{
    static const struct hg_ctl_column cols[] = {
        {"namespace", "NAMESPACE", HG_CTL_TEXT}, {"interval", "INTERVAL", HG_CTL_TEXT}, {"version", "VERSION", HG_CTL_TEXT}, {"state", "STATE", HG_CTL_TEXT},
        {"published", "PUBLISHED", HG_CTL_TEXT}, {"segments", "SEGMENTS", HG_CTL_TEXT}, {"rows", "ROWS", HG_CTL_TEXT}, {"bytes", "SIZE", HG_CTL_BYTES}, {"sumsText", "SUMS", HG_CTL_TEXT},
    };
    const char *ns = c->opt[HG_CTL_NAMESPACE], *iv = c->opt[HG_CTL_INTERVAL];
    struct hg_interval parsed;
    struct hg_err bad;
    struct hg_ctl_answer a;
    json_t *rows, *row;
    size_t i;
    if (iv && hg_interval_parse(hg_str_of(iv), &parsed, &bad)) return hg_ctl_wrong(err, "--interval: %s", bad.msg);
    const char *path = hg_arena_printf(c->a, BASE "/datasources/%s/versions%s%s%s%s", hg_ctl_escape(c, c->words[0]), ns ? "?namespace=" : "", ns ? hg_ctl_escape(c, ns) : "",
                                       iv ? (ns ? "&interval=" : "?interval=") : "", iv ? hg_ctl_escape(c, iv) : "");
    if (!path) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "GET", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_parse(c, &a, &rows, err));
    if (!c->json) json_array_foreach(rows, i, row) json_object_set_new(row, "sumsText", json_string(sums_text(c, json_object_get(row, "sums"))));
    return hg_ctl_rows(c, rows, cols, HG_CTL_N(cols), "nothing was ever published there", err);
}

/* ---- revert ---- */

static json_int_t num(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static enum hg_rc revert_path(struct hg_ctl *c, const char *publish, const char **out, struct hg_err *err)
{
    *out = hg_arena_printf(c->a, BASE "/datasources/%s/revert%s%s", hg_ctl_escape(c, c->words[0]), publish ? "/" : "", publish ? hg_ctl_escape(c, publish) : "");
    return *out ? HG_OK : hg_ctl_no_memory(err);
}

static enum hg_rc post_revert(struct hg_ctl *c, json_t *body, bool dry_run, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    const char *path;
    HG_TRY(revert_path(c, NULL, &path, err));
    json_object_set_new(body, "dryRun", json_boolean(dry_run));
    char *text = hg_json_text(body);
    if (!text) return hg_ctl_no_memory(err);
    enum hg_rc rc = hg_ctl_ask(c, HG_CTL_COORDINATOR, "POST", path, (struct hg_span){(const uint8_t *)text, strlen(text)}, &a, err);
    free(text);
    HG_TRY(rc);
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

static enum hg_rc read_intervals(struct hg_ctl *c, const char *text, json_t *out, struct hg_err *err)
{
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",");
        struct hg_interval iv;
        struct hg_err bad;
        char one[2 * HG_TIME_TEXT];
        if (hg_interval_parse((struct hg_str){p, n}, &iv, &bad)) return hg_ctl_wrong(err, "--intervals: %s", bad.msg);
        hg_interval_format(iv, one);
        json_array_append_new(out, json_string(one));
        p += n + (p[n] == ',');
    }
    (void)c;
    return json_array_size(out) ? HG_OK : hg_ctl_wrong(err, "--intervals names none: START/END or START/PERIOD, with commas between");
}

static enum hg_rc read_wish(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    const char *version = c->opt[HG_CTL_VERSION], *before = c->opt[HG_CTL_BEFORE], *intervals = c->opt[HG_CTL_INTERVALS], *ns = c->opt[HG_CTL_NAMESPACE];
    int64_t t;
    struct hg_err bad;
    if (!intervals) return hg_ctl_wrong(err, "it wants --intervals: which ones to bring back, such as --intervals 2024-05-01/P1D; henge ctl versions %s lists what there is", c->words[0]);
    if (version && before) return hg_ctl_wrong(err, "--version and --before exclude each other");
    if (before && hg_time_parse(hg_str_of(before), NULL, &t, &bad)) return hg_ctl_wrong(err, "--before: %s", bad.msg);
    json_t *body = hg_ctl_keep(c, json_pack("{s:s,s:[]}", "namespace", ns ? ns : "", "intervals"));
    if (!body) return hg_ctl_no_memory(err);
    if (version) json_object_set_new(body, "version", json_string(version));
    if (before) json_object_set_new(body, "before", json_string(before));
    *out = body;
    return read_intervals(c, intervals, json_object_get(body, "intervals"), err);
}

static const struct hg_ctl_column change_cols[] = {
    {"interval", "INTERVAL", HG_CTL_TEXT}, {"from", "FROM VERSION", HG_CTL_TEXT}, {"to", "TO VERSION", HG_CTL_TEXT}, {"rowsBefore", "ROWS NOW", HG_CTL_TEXT}, {"rows", "ROWS THEN", HG_CTL_TEXT},
    {"segmentsBefore", "SEGMENTS NOW", HG_CTL_TEXT}, {"segments", "SEGMENTS THEN", HG_CTL_TEXT},
};

/* ---- one that was asked for ---- */

static enum hg_rc show_state(struct hg_ctl *c, const json_t *s, struct hg_err *err)
{
    (void)err;
    const char *state = hg_ctl_str(s, "state"), *ds = hg_ctl_str(s, "datasource");
    long long id = (long long)num(s, "publish");
    if (strcmp(state, "GIVEN_UP") == 0) {
        c->status = HG_CTL_FAILED;
        hg_ctl_said(c, s, "revert %lld of %s was given up: %s", id, ds, hg_ctl_str(s, "reason"));
    } else if (strcmp(state, "VISIBLE") == 0) hg_ctl_said(c, s, "revert %lld of %s is done: queries see the older data since %s", id, ds, hg_ctl_str(s, "ended"));
    else hg_ctl_said(c, s, "revert %lld of %s waits: historicals serve %lld of its %s", id, ds, (long long)num(s, "served"), hg_ctl_some(c, num(s, "segments"), "segment"));
    return HG_OK;
}

static enum hg_rc get_state(struct hg_ctl *c, const char *publish, json_t **out, struct hg_err *err)
{
    const char *path;
    struct hg_ctl_answer a;
    HG_TRY(revert_path(c, publish, &path, err));
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "GET", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

static enum hg_rc follow(struct hg_ctl *c, const char *publish, struct hg_err *err)
{
    struct hg_ctl_wait w = {0};
    for (;;) {
        json_t *s;
        HG_TRY(get_state(c, publish, &s, err));
        if (strcmp(hg_ctl_str(s, "state"), "WAITING") != 0) return show_state(c, s, err);
        int64_t served = num(s, "served"), all = num(s, "segments");
        if (hg_ctl_wait_moved(&w, served)) fprintf(stderr, "revert %s: %" PRId64 " of %s served\n", publish, served, hg_ctl_some(c, all, "segment"));
        HG_TRY(hg_ctl_wait_on(c, &w, "no further segment was loaded; henge ctl tiers shows whether there is room, henge ctl status whether the historicals are well", err));
    }
}

static enum hg_rc one_revert(struct hg_ctl *c, const char *publish, struct hg_err *err)
{
    static const enum hg_ctl_option others[] = {HG_CTL_INTERVALS, HG_CTL_VERSION, HG_CTL_BEFORE, HG_CTL_NAMESPACE};
    json_t *s;
    bool go;
    for (size_t i = 0; i < HG_CTL_N(others); i++)
        if (c->opt[others[i]]) return hg_ctl_wrong(err, "--publish is about a revert that was asked for before; %s is for a new one", hg_ctl_options[others[i]].name);
    HG_TRY(get_state(c, publish, &s, err));
    if (!c->opt[HG_CTL_CANCEL]) return c->opt[HG_CTL_WAIT] ? follow(c, publish, err) : show_state(c, s, err);
    if (strcmp(hg_ctl_str(s, "state"), "WAITING") != 0) return show_state(c, s, err), hg_fail(err, HG_E_CONFLICT, "revert %s does not wait any more, so it cannot be cancelled", publish);
    const char *plan = hg_arena_printf(c->a, "cancel revert %s of %s: what is visible now stays", publish, c->words[0]), *path;
    if (!plan) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    struct hg_ctl_answer a;
    HG_TRY(revert_path(c, publish, &path, err));
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "DELETE", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    HG_TRY(hg_ctl_parse(c, &a, &s, err));
    hg_ctl_said(c, s, "revert %s of %s: cancelled", publish, c->words[0]);
    return HG_OK;
}

/* Asked twice: first for what it would do, which is shown and confirmed. */
enum hg_rc hg_ctl_revert(struct hg_ctl *c, struct hg_err *err)
{
    json_t *body, *would, *done;
    bool go;
    char id[24];
    if (c->opt[HG_CTL_PUBLISH]) return one_revert(c, c->opt[HG_CTL_PUBLISH], err);
    if (c->opt[HG_CTL_CANCEL]) return hg_ctl_wrong(err, "--cancel wants --publish ID: which revert");
    HG_TRY(read_wish(c, &body, err));
    HG_TRY(post_revert(c, body, true, &would, err));
    json_t *list = json_object_get(would, "intervals");
    if (!num(would, "segments") && !num(would, "segmentsBefore")) {
        hg_ctl_said(c, would, "nothing to change: this is what queries see already");
        return HG_OK;
    }
    if (!c->json) {
        HG_TRY(hg_ctl_table(c, list, change_cols, HG_CTL_N(change_cols), err));
        HG_TRY(hg_ctl_flush(c, err)); /* before the question */
    }
    if (c->json && c->opt[HG_CTL_DRY_RUN]) return hg_ctl_json(c, would), HG_OK;
    const char *ns = c->opt[HG_CTL_NAMESPACE], *plan = hg_arena_printf(c->a, "bring back older data of %s, namespace %s, in %s: what they show now (%s) gives way to what they showed then (%s), at one moment",
                                                                       c->words[0], ns && *ns ? ns : "(default)", hg_ctl_some(c, (int64_t)json_array_size(list), "interval"),
                                                                       hg_ctl_some(c, num(would, "segmentsBefore"), "segment"), hg_ctl_some(c, num(would, "segments"), "segment"));
    if (!plan) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    HG_TRY(post_revert(c, body, false, &done, err));
    if (!json_is_integer(json_object_get(done, "publish"))) return hg_ctl_said(c, done, "nothing to change any more"), HG_OK;
    snprintf(id, sizeof id, "%" PRId64, (int64_t)num(done, "publish"));
    if (c->opt[HG_CTL_WAIT]) {
        fprintf(stderr, "revert %s\n", id);
        return follow(c, id, err);
    }
    hg_ctl_said(c, done, "revert %s of %s: queries change over when its segments are loaded; henge ctl revert %s --publish %s tells how far it is", id, c->words[0], c->words[0], id);
    return HG_OK;
}
