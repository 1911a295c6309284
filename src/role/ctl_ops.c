/* Emptying a server, deleting what is unused, and tokens. */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "base/time.h"
#include "http/auth.h"
#include "role/ctl_private.h"

#define BASE "/druid/coordinator/v1"
#define STILL_MS 600000

/* ---- waiting ---- */

bool hg_ctl_wait_moved(struct hg_ctl_wait *w, int64_t at)
{
    int64_t now = hg_clock_mono_ms();
    if (w->begun && at == w->at) return false;
    *w = (struct hg_ctl_wait){.begun = true, .at = at, .since_ms = now};
    return true;
}

enum hg_rc hg_ctl_wait_on(struct hg_ctl *c, const struct hg_ctl_wait *w, const char *hint, struct hg_err *err)
{
    struct timespec pause = {0, 200 * 1000000};
    if (hg_clock_mono_ms() - w->since_ms > STILL_MS) return hg_fail(err, HG_E_TIMEOUT, "nothing has moved for %d minutes, so this is waited for no longer (it goes on by itself): %s", STILL_MS / 60000, hint);
    json_array_clear(c->keep); /* this may take hours */
    nanosleep(&pause, NULL);
    return HG_OK;
}

enum hg_rc hg_ctl_count(struct hg_ctl *c, enum hg_ctl_option o, int64_t least, int64_t *out, struct hg_err *err)
{
    int64_t v;
    if (!c->opt[o]) return HG_OK;
    if (!hg_parse_i64(hg_str_of(c->opt[o]), &v) || v < least || v > INT32_MAX) return hg_ctl_wrong(err, "%s wants a number of %" PRId64 " or more, not \"%s\"", hg_ctl_options[o].name, least, c->opt[o]);
    *out = v;
    return HG_OK;
}

static json_int_t num(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }

static enum hg_rc post(struct hg_ctl *c, const char *path, json_t *body, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    char *text = body ? hg_json_text(body) : NULL;
    if (!text) return hg_ctl_no_memory(err);
    enum hg_rc rc = hg_ctl_ask(c, HG_CTL_COORDINATOR, "POST", path, (struct hg_span){(const uint8_t *)text, strlen(text)}, &a, err);
    free(text);
    HG_TRY(rc);
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

/* ---- drain ---- */

enum hg_rc hg_ctl_names_of_servers(struct hg_ctl *c, json_t **out, struct hg_err *err)
{
    json_t *list, *s, *names = hg_ctl_keep(c, json_array());
    size_t i;
    if (!names) return hg_ctl_no_memory(err);
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/servers?simple", &list, err));
    json_array_foreach(list, i, s) if (strcmp(hg_ctl_str(s, "type"), "historical") == 0) json_array_append(names, json_object_get(s, "host"));
    *out = names;
    return HG_OK;
}

static enum hg_rc drain_state(struct hg_ctl *c, const char *path, json_t **out, struct hg_err *err)
{
    struct hg_ctl_answer a;
    HG_TRY(hg_ctl_ask(c, HG_CTL_COORDINATOR, "GET", path, (struct hg_span){0}, &a, err));
    HG_TRY(hg_ctl_success(c, &a, err));
    return hg_ctl_parse(c, &a, out, err);
}

static void tell_drain(struct hg_ctl *c, const json_t *s)
{
    const char *name = hg_ctl_str(s, "server"), *state = hg_ctl_str(s, "state");
    const char *left = hg_ctl_some(c, num(s, "segments"), "segment");
    if (strcmp(state, "DRAINED") == 0) hg_ctl_said(c, s, "server %s is empty; it can be stopped. henge ctl drain %s --undo lets it take segments again", name, name);
    else if (strcmp(state, "DRAINING") == 0)
        hg_ctl_said(c, s, "server %s is being emptied: %s left (%s), of which others do not serve %lld yet", name, left, hg_ctl_bytes(c, num(s, "bytes")), (long long)num(s, "onlyCopies"));
    else if (strcmp(state, "AWAY") == 0) hg_ctl_said(c, s, json_is_true(json_object_get(s, "drain")) ? "server %s is away; when it comes back it is emptied" : "server %s is away; when it comes back it takes segments again", name);
    else hg_ctl_said(c, s, "server %s is in service; it has %s", name, left);
}

static enum hg_rc follow_drain(struct hg_ctl *c, const char *path, struct hg_err *err)
{
    struct hg_ctl_wait w = {0};
    for (;;) {
        json_t *s;
        HG_TRY(drain_state(c, path, &s, err));
        if (strcmp(hg_ctl_str(s, "state"), "DRAINING") != 0) return tell_drain(c, s), HG_OK;
        if (hg_ctl_wait_moved(&w, num(s, "segments"))) fprintf(stderr, "server %s: %s left\n", hg_ctl_str(s, "server"), hg_ctl_some(c, num(s, "segments"), "segment"));
        HG_TRY(hg_ctl_wait_on(c, &w, "the other historicals of its tier may be full (henge ctl tiers), or there is none", err));
    }
}

/* Says so when the tier has nobody to take its segments over. */
static enum hg_rc alone(struct hg_ctl *c, const char *name, const char **out, struct hg_err *err)
{
    json_t *list, *s, *tier = NULL;
    size_t i, others = 0;
    *out = "";
    HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/servers?simple", &list, err));
    json_array_foreach(list, i, s) if (strcmp(hg_ctl_str(s, "host"), name) == 0) tier = json_object_get(s, "tier");
    if (!tier) return HG_OK; /* named by its server.name, which the list does not have */
    json_array_foreach(list, i, s) others += strcmp(hg_ctl_str(s, "host"), name) != 0 && strcmp(hg_ctl_str(s, "type"), "historical") == 0 && json_equal(json_object_get(s, "tier"), tier);
    if (!others) *out = hg_arena_printf(c->a, ". No other historical is of tier %s now: until one is, its segments stay where they are", json_string_value(tier));
    return *out ? HG_OK : hg_ctl_no_memory(err);
}

enum hg_rc hg_ctl_drain(struct hg_ctl *c, struct hg_err *err)
{
    const char *name = c->words[0], *path = hg_arena_printf(c->a, BASE "/servers/%s/drain", hg_ctl_escape(c, name)), *warning;
    json_t *s;
    bool go, undo = c->opt[HG_CTL_UNDO] != NULL;
    if (!path) return hg_ctl_no_memory(err);
    if (undo && c->opt[HG_CTL_WAIT]) return hg_ctl_wrong(err, "--undo takes effect at once; there is nothing to --wait for");
    HG_TRY(drain_state(c, path, &s, err));
    bool drained = json_is_true(json_object_get(s, "drain"));
    if (drained != undo) { /* it is so already: how far it is */
        if (c->opt[HG_CTL_WAIT]) return follow_drain(c, path, err);
        return tell_drain(c, s), HG_OK;
    }
    HG_TRY(alone(c, name, &warning, err));
    const char *plan = undo ? hg_arena_printf(c->a, "let server %s take segments again", name)
                            : hg_arena_printf(c->a, "empty server %s: its %s (%s) move to other historicals, and it takes none until henge ctl drain %s --undo%s", name,
                                              hg_ctl_some(c, num(s, "segments"), "segment"), hg_ctl_bytes(c, num(s, "bytes")), name, warning);
    if (!plan) return hg_ctl_no_memory(err);
    go = undo && !c->opt[HG_CTL_DRY_RUN];
    if (!go) HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    HG_TRY(post(c, path, hg_ctl_keep(c, json_pack("{s:b}", "drain", (int)!undo)), &s, err));
    if (c->opt[HG_CTL_WAIT]) return follow_drain(c, path, err);
    return tell_drain(c, s), HG_OK;
}

/* ---- clean-up ---- */

enum hg_rc hg_ctl_cleanup(struct hg_ctl *c, struct hg_err *err)
{
    const char *ds = c->n_words ? c->words[0] : NULL, *age = c->opt[HG_CTL_OLDER_THAN] ? c->opt[HG_CTL_OLDER_THAN] : "P90D";
    int64_t keep = -1;
    struct hg_period p;
    struct hg_err bad;
    json_t *would, *done, *e;
    size_t i;
    bool go;
    if (hg_period_parse(hg_str_of(age), &p, &bad)) return hg_ctl_wrong(err, "--older-than: %s", bad.msg);
    HG_TRY(hg_ctl_count(c, HG_CTL_KEEP, 0, &keep, err));
    json_t *body = hg_ctl_keep(c, json_pack("{s:s?,s:s,s:b}", "datasource", ds, "olderThan", age, "dryRun", 1));
    if (body && keep >= 0) json_object_set_new(body, "keepVersions", json_integer(keep));
    HG_TRY(post(c, BASE "/cleanup", body, &would, err));
    long long n = (long long)num(would, "segments");
    if (!n) {
        if (ds) { /* a name that is misspelt has nothing to clean up either */
            json_t *names;
            bool there = false;
            HG_TRY(hg_ctl_get(c, HG_CTL_COORDINATOR, BASE "/metadata/datasources?includeUnused", &names, err));
            json_array_foreach(names, i, e) there |= strcmp(json_string_value(e), ds) == 0;
            if (!there) return hg_ctl_no_such(c, "datasource", ds, hg_ctl_names_of_datasources, err);
        }
        hg_ctl_said(c, would, "nothing to delete: no segment has been unused for %s (what is kept for reverts aside: %s of each interval in use)", age,
                    hg_ctl_some(c, num(would, "keepVersions"), "unused version"));
        return HG_OK;
    }
    if (c->json && c->opt[HG_CTL_DRY_RUN]) return hg_ctl_json(c, would), HG_OK;
    const char *plan = hg_arena_printf(c->a, "delete %s%s (%s) of %s, unused for %s, for good: what is deleted cannot be reverted to", hg_ctl_some(c, n, "segment"),
                                       json_is_true(json_object_get(would, "more")) ? " and more" : "", hg_ctl_bytes(c, num(would, "bytes")), ds ? ds : "all datasources", age);
    if (!plan) return hg_ctl_no_memory(err);
    if (!c->json) {
        json_array_foreach(json_object_get(would, "examples"), i, e) hg_buf_printf(&c->out, "%s\n", json_string_value(e));
        if ((size_t)n > i) hg_buf_printf(&c->out, "and %lld more\n", n - (long long)i);
        HG_TRY(hg_ctl_flush(c, err)); /* before the question */
    }
    HG_TRY(hg_ctl_confirm(c, plan, &go, err));
    if (!go) return HG_OK;
    json_object_set_new(body, "dryRun", json_false());
    HG_TRY(post(c, BASE "/cleanup", body, &done, err));
    hg_ctl_said(c, done, "deleted %s (%s); their files go from deep storage with the coordinator's next round (coordinator.kill.period)%s", hg_ctl_some(c, num(done, "segments"), "segment"), hg_ctl_bytes(c, num(done, "bytes")),
                json_is_true(json_object_get(done, "more")) ? ". There are more: run it again" : "");
    return HG_OK;
}

/* ---- tokens ---- */

enum hg_rc hg_ctl_token(struct hg_ctl *c, struct hg_err *err)
{
    const char *name = c->words[0], *text = c->opt[HG_CTL_ROLE] ? c->opt[HG_CTL_ROLE] : "read";
    char token[HG_AUTH_TOKEN], line[HG_AUTH_LINE];
    enum hg_auth_role role;
    struct hg_err bad;
    if (!hg_auth_role_parse(text, &role)) return hg_ctl_wrong(err, "--role is read or admin, not \"%s\"", text);
    enum hg_rc rc = hg_auth_new_token(name, role, token, line, &bad);
    if (rc == HG_E_INVALID) return hg_ctl_wrong(err, "%s", bad.msg);
    if (rc) return *err = bad, rc;
    json_t *j = hg_ctl_keep(c, json_pack("{s:s,s:s,s:s,s:s}", "name", name, "role", text, "token", token, "line", line));
    if (!j) return hg_ctl_no_memory(err);
    if (c->json) return hg_ctl_json(c, j), HG_OK;
    hg_buf_printf(&c->out, "%s\n", line);
    fprintf(stderr, "The token of %s is\n\n  %s\n\nIt is shown this once: hand it over. The line on standard output holds only its hash and belongs into the file that http.auth.file names,\n"
                    "on every server; they read it again within seconds. To take the token back, delete the line.\n", name, token);
    return HG_OK;
}
