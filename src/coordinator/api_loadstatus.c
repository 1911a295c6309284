/* How much of what should be served is: by count, and by tier as the rules want it. */
#include "base/clock.h"
#include "coordinator/api_private.h"
#include "coordinator/rulebook.h"

#define TWO_WEEKS_MS ((int64_t)14 * 86400000)

struct tally {
    int64_t used, served;
};

static json_t *percent(const struct tally *t) { return json_real(t->used ? 100.0 * (double)t->served / (double)t->used : 100.0); }

static enum hg_rc tally(struct hg_api_ask *k, const char *ds, struct hg_interval iv, struct tally *t, struct hg_err *err)
{
    *t = (struct tally){0};
    struct hg_target *seg;
    size_t n;
    HG_TRY(hg_api_published(k, ds, &seg, &n, err));
    for (size_t i = 0; i < n; i++) {
        if (!hg_interval_overlaps(seg[i].id.interval, iv)) continue;
        t->used++;
        t->served += hg_api_served_by_historical(&seg[i]);
    }
    return HG_OK;
}

static bool loads(const struct hg_rules_at *at, const struct hg_segid *id)
{
    const struct hg_rule *r = hg_rules_at_find(at, id->interval, id->ns);
    for (uint32_t t = 0; r && !hg_rule_drops(r) && t < r->n_tiers; t++)
        if (r->tiers[t].n > 0) return true;
    return false;
}

/* Publishes that are not visible yet count as not served, and so do segments that are parked and are to be loaded (they were marked used again, or rules have changed): whoever waits for
 * a load waits for the rows to answer queries. */
static enum hg_rc tally_waiting(struct hg_api_ask *k, const char *ds, struct hg_interval iv, struct tally *t, struct hg_err *err)
{
    struct hg_segment_row *rows;
    struct hg_rulebook *book;
    struct hg_rules_at *at = NULL;
    size_t n;
    HG_TRY(hg_meta_segments(k->c->meta, k->a, ds, HG_SEG_USED, &rows, &n, err));
    HG_TRY(hg_rulebook_load(k->c->meta, k->a, &book, err));
    HG_TRY(hg_rulebook_at(book, k->a, ds, hg_api_rules_now(k), &at, err));
    for (size_t i = 0; i < n; i++)
        if ((!rows[i].visible || (rows[i].parked && loads(at, &rows[i].meta.id))) && hg_interval_overlaps(rows[i].meta.id.interval, iv)) t->used++;
    return HG_OK;
}

/* ---- by tier ---- */

static int64_t copies_in(const struct hg_target *t, const char *tier)
{
    int64_t n = 0;
    for (uint32_t h = 0; h < t->n_holders; h++) n += hg_api_is_historical(t->holders[h].server) && strcmp(hg_api_tier_of(t->holders[h].server), tier) == 0;
    return n;
}

static enum hg_rc servers_in(struct hg_api_ask *k, const char *tier, int64_t *out, struct hg_err *err)
{
    const struct hg_server **s;
    size_t n;
    *out = 0;
    HG_TRY(hg_snapshot_servers(k->snap, k->a, &s, &n, err));
    for (size_t i = 0; i < n; i++) *out += hg_api_is_historical(s[i]) && strcmp(hg_api_tier_of(s[i]), tier) == 0;
    return HG_OK;
}

/* Adds to full how many copies of one datasource's segments each tier lacks. capped: no more are wanted than the tier has servers. */
static enum hg_rc lacks(struct hg_api_ask *k, const struct hg_rulebook *book, const char *ds, struct hg_interval iv, bool capped, json_t *full, struct hg_err *err)
{
    struct hg_target *seg;
    struct hg_rules_at *at;
    size_t n;
    HG_TRY(hg_api_published(k, ds, &seg, &n, err));
    HG_TRY(hg_rulebook_at(book, k->a, ds, hg_api_rules_now(k), &at, err));
    for (size_t i = 0; i < n; i++) {
        if (!hg_interval_overlaps(seg[i].id.interval, iv)) continue;
        const struct hg_rule *r = hg_rules_at_find(at, seg[i].id.interval, seg[i].id.ns);
        for (uint32_t t = 0; r && !hg_rule_drops(r) && t < r->n_tiers; t++) {
            int64_t want = r->tiers[t].n, servers = 0, have = copies_in(&seg[i], r->tiers[t].tier);
            if (capped) HG_TRY(servers_in(k, r->tiers[t].tier, &servers, err));
            if (capped && want > servers) want = servers;
            json_t *tier = hg_api_member(full, r->tiers[t].tier);
            json_object_set_new(tier, ds, json_integer(json_integer_value(json_object_get(tier, ds)) + (want > have ? want - have : 0)));
        }
    }
    return HG_OK;
}

static enum hg_rc reply_full(struct hg_api_ask *k, const char *const *names, size_t n, struct hg_interval iv, struct hg_err *err)
{
    struct hg_rulebook *book;
    HG_TRY(hg_rulebook_load(k->c->meta, k->a, &book, err));
    json_t *full = json_object();
    enum hg_rc rc = HG_OK;
    for (size_t i = 0; i < n && !rc; i++) rc = lacks(k, book, names[i], iv, hg_api_asked(k, "computeUsingClusterView"), full, err);
    if (!rc) return hg_api_reply(k, full);
    json_decref(full);
    return rc;
}

/* ---- the paths ---- */

HG_API_ROUTE(ds_loadstatus)
{
    const char *ds = hg_http_param(k->rq, "ds"), *text = hg_http_query(k->rq, "interval");
    int64_t now = hg_clock_now_ms();
    struct hg_interval iv = {now - TWO_WEEKS_MS, now};
    if (!hg_http_query(k->rq, "forceMetadataRefresh")) return hg_api_text(k, 400, "Invalid request. forceMetadataRefresh must be specified");
    if (text && *text) HG_TRY(hg_api_interval(text, &iv, err));
    struct hg_interval ever = {HG_TIME_MIN, HG_TIME_MAX};
    struct tally t, all;
    HG_TRY(tally(k, ds, iv, &t, err));
    HG_TRY(tally_waiting(k, ds, iv, &t, err));
    if (!t.used) {
        HG_TRY(tally(k, ds, ever, &all, err));
        HG_TRY(tally_waiting(k, ds, ever, &all, err));
        return all.used ? hg_api_text(k, 200, "No used segment found for the given datasource and interval") : hg_api_text(k, 204, NULL);
    }
    if (hg_api_asked(k, "simple")) return hg_api_reply(k, json_pack("{s:I}", ds, (json_int_t)(t.used - t.served)));
    if (hg_api_asked(k, "full")) return reply_full(k, &ds, 1, iv, err);
    return hg_api_reply(k, json_pack("{s:o}", ds, percent(&t)));
}

HG_API_ROUTE(loadstatus)
{
    const char **names;
    size_t n;
    struct hg_interval ever = {HG_TIME_MIN, HG_TIME_MAX};
    HG_TRY(hg_snapshot_datasources(k->snap, k->a, &names, &n, err));
    if (hg_api_asked(k, "full")) return reply_full(k, names, n, ever, err);
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++) {
        struct tally t;
        enum hg_rc rc = tally(k, names[i], ever, &t, err);
        if (rc) {
            json_decref(out);
            return rc;
        }
        if (t.used) json_object_set_new(out, names[i], hg_api_asked(k, "simple") ? json_integer(t.used - t.served) : percent(&t));
    }
    return hg_api_reply(k, out);
}

void hg_api_loadstatus_routes(struct hg_coordinator *c, struct hg_http *http)
{
    hg_http_route(http, HG_GET, HG_API_BASE "/loadstatus", loadstatus, c);
    hg_http_route(http, HG_GET, HG_API_BASE "/datasources/:ds/loadstatus", ds_loadstatus, c);
}
