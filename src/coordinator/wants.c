/* What rules want of each segment, and bringing the store to it: segments that rules load nowhere are parked, those that a drop rule is about are marked unused, publishes whose segments
 * are served (or parked) become visible. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "coordinator/cycle.h"

#define REREAD_MS 60000    /* rules are read again though nobody said that they changed */
#define MARKS_MAX 10000    /* segments parked or marked in one cycle; the rest comes next */
#define EXAMPLES 5

/* ---- rules ---- */

static enum hg_rc load_book(struct hg_coordinator *c, struct hg_err *err)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_rulebook *b = NULL;
    enum hg_rc rc = a ? hg_rulebook_load(c->meta, a, &b, err) : hg_fail(err, HG_E_NOMEM, "rules");
    if (rc) {
        hg_arena_free(a);
        return rc;
    }
    hg_arena_free(c->book_arena);
    c->book_arena = a;
    c->book = b;
    return HG_OK;
}

/* Rules that cannot be read keep those that were read last in force. */
static enum hg_rc read_rules(struct hg_cycle *y, struct hg_err *err)
{
    struct hg_coordinator *c = y->c;
    pthread_mutex_lock(&c->mu);
    bool anew = y->gained || !c->book || c->rules_changed || y->now - c->book_ms >= REREAD_MS;
    c->rules_changed = false;
    pthread_mutex_unlock(&c->mu);
    if (!anew) return HG_OK;
    c->book_ms = y->now;
    enum hg_rc rc = load_book(c, err);
    if (!rc) return HG_OK;
    pthread_mutex_lock(&c->mu);
    c->rules_changed = rc == HG_E_UNAVAILABLE;
    pthread_mutex_unlock(&c->mu);
    if (!c->book) return rc;
    hg_log(HG_LOG_ERROR, "coordinator", "rules cannot be read, those read before stay in force", "error", HG_LS(err->msg), NULL);
    return HG_OK;
}

/* ---- tiers ---- */

uint32_t hg_cycle_tier(struct hg_cycle *y, const char *name)
{
    size_t have = (size_t)hg_map_get(y->tier_numbers, name);
    if (have) return (uint32_t)(have - 1);
    if (y->n_tiers % 32 == 0) {
        const char **grown = hg_arena_array(y->a, y->n_tiers + 32, sizeof *grown);
        if (!grown) return UINT32_MAX;
        if (y->n_tiers) memcpy(grown, y->tiers, y->n_tiers * sizeof *grown);
        y->tiers = grown;
    }
    const char *copy = hg_arena_strdup(y->a, name);
    if (!copy || !hg_map_put(y->tier_numbers, name, (void *)(uintptr_t)(y->n_tiers + 1), NULL)) return UINT32_MAX;
    y->tiers[y->n_tiers] = copy;
    return y->n_tiers++;
}

/* Where nobody has stored default rules, and no historical is of the default tier, segments go to the tier with the most capacity: a cluster must not serve nothing because its tiers have
 * names. Stored rules mean what they say. */
static const char *default_tier(const struct hg_cycle *y)
{
    const char *best = NULL;
    int64_t most = -1;
    for (uint32_t i = 0; i < y->n_nodes; i++) {
        const char *tier = y->nodes[i].seat->tier;
        int64_t sum = 0;
        if (strcmp(tier, HG_DEFAULT_TIER) == 0) return HG_DEFAULT_TIER;
        for (uint32_t k = 0; k < y->n_nodes; k++) {
            const struct hg_seat *s = y->nodes[k].seat;
            if (strcmp(s->tier, tier) != 0) continue;
            sum = s->capacity <= 0 || sum > INT64_MAX - s->capacity ? INT64_MAX : sum + s->capacity;
        }
        if (sum < most || (sum == most && strcmp(tier, best) > 0)) continue;
        best = tier;
        most = sum;
    }
    return best ? best : HG_DEFAULT_TIER;
}

/* ---- wants ---- */

struct seen_rule { /* a rule, and the want made of it */
    const struct hg_rule *rule;
    uint32_t want;
};
struct wanting {
    struct hg_cycle *y;
    struct seen_rule *seen;
    uint32_t n_seen, cap_seen, cap_wants;
};

static enum hg_rc add_want(struct wanting *w, struct hg_tier_want want, uint32_t *out, struct hg_err *err)
{
    struct hg_cycle *y = w->y;
    if (y->n_wants == w->cap_wants) {
        uint32_t cap = w->cap_wants ? 2 * w->cap_wants : 64;
        struct hg_tier_want *grown = hg_arena_array(y->a, cap, sizeof *grown);
        if (!grown) return hg_arena_fail(y->a, "wants", err);
        if (y->n_wants) memcpy(grown, y->wants, y->n_wants * sizeof *grown);
        y->wants = grown;
        w->cap_wants = cap;
    }
    *out = y->n_wants;
    y->wants[y->n_wants++] = want;
    return HG_OK;
}

static enum hg_rc want_of(struct wanting *w, const struct hg_rule *r, uint32_t *out, struct hg_err *err)
{
    struct hg_cycle *y = w->y;
    *out = HG_NOWHERE;
    if (!r || hg_rule_drops(r)) return HG_OK;
    for (uint32_t i = w->n_seen; i > 0; i--) /* the last ones are the likeliest */
        if (w->seen[i - 1].rule == r) return *out = w->seen[i - 1].want, HG_OK;
    struct hg_tier_count *list = hg_arena_array(y->a, r->n_tiers + 1, sizeof *list);
    if (!list) return hg_arena_fail(y->a, "wants", err);
    uint32_t n = 0;
    bool builtin = r == hg_rules_default().v;
    for (uint32_t i = 0; i < r->n_tiers; i++) {
        if (!r->tiers[i].n) continue;
        list[n] = (struct hg_tier_count){hg_cycle_tier(y, builtin ? default_tier(y) : r->tiers[i].tier), r->tiers[i].n};
        if (list[n++].tier == UINT32_MAX) return hg_fail(err, HG_E_NOMEM, "wants");
    }
    if (n) HG_TRY(add_want(w, (struct hg_tier_want){list, n}, out, err));
    if (w->n_seen == w->cap_seen) {
        uint32_t cap = w->cap_seen ? 2 * w->cap_seen : 64;
        struct seen_rule *grown = hg_arena_array(y->a, cap, sizeof *grown);
        if (!grown) return hg_arena_fail(y->a, "wants", err);
        if (w->n_seen) memcpy(grown, w->seen, w->n_seen * sizeof *grown);
        w->seen = grown;
        w->cap_seen = cap;
    }
    w->seen[w->n_seen++] = (struct seen_rule){r, *out};
    return HG_OK;
}

/* The time for rules: the wall clock, and what the clock file adds to it. A file that cannot be read stops the cycle: rules at the wrong time would move everything. */
static enum hg_rc read_clock(struct hg_cycle *y, struct hg_err *err)
{
    int64_t offset = 0;
    y->wall = hg_clock_now_ms();
    if (!y->c->clock_file[0]) return HG_OK;
    struct hg_buf b;
    hg_buf_init(&b, 64);
    enum hg_rc rc = hg_file_read(y->c->clock_file, 64, &b, err);
    if (!rc && b.len != 8) rc = hg_fail(err, HG_E_CORRUPT, "%s has %zu bytes: expected 8, milliseconds to add to the clock", y->c->clock_file, b.len);
    if (!rc) {
        struct hg_rd r = hg_rd_of(hg_buf_span(&b));
        offset = hg_rd_i64(&r);
        if (__builtin_add_overflow(y->wall, offset, &y->wall) || y->wall < HG_TIME_MIN || y->wall > HG_TIME_MAX)
            rc = hg_fail(err, HG_E_CORRUPT, "%s: an offset that leaves the range of time", y->c->clock_file);
    }
    hg_buf_free(&b);
    if (!rc) y->c->clock_offset_ms = offset;
    return rc;
}

enum hg_rc hg_cycle_wants(struct hg_cycle *y, struct hg_err *err)
{
    struct hg_used *u = y->u;
    struct wanting w = {.y = y};
    struct hg_rules_at *at = NULL;
    uint32_t nowhere;
    HG_TRY(read_clock(y, err));
    HG_TRY(read_rules(y, err));
    y->want = hg_arena_array(y->a, u->n + 1, sizeof *y->want);
    y->drops = hg_arena_array(y->a, u->n + 1, sizeof *y->drops);
    if (!y->want || !y->drops) return hg_arena_fail(y->a, "wants", err);
    HG_TRY(add_want(&w, (struct hg_tier_want){0}, &nowhere, err));
    for (size_t i = 0; i < u->n; i++) {
        const struct hg_segid *id = &u->rows[i].meta.id;
        if (i == 0 || strcmp(id->datasource, u->rows[i - 1].meta.id.datasource) != 0) HG_TRY(hg_rulebook_at(y->c->book, y->a, id->datasource, y->wall, &at, err));
        const struct hg_rule *r = hg_rules_at_find(at, id->interval, id->ns);
        y->drops[i] = r && hg_rule_drops(r);
        HG_TRY(want_of(&w, r, &y->want[i], err));
    }
    return HG_OK;
}

/* ---- parking ---- */

/* Marks the rows' segments, in the store and here. */
static bool park(struct hg_cycle *y, const uint32_t *rows, uint32_t n, bool parked)
{
    struct hg_err err;
    if (!n || !hg_cycle_still_leads(y)) return false;
    const char **ids = hg_arena_array(y->a, n, sizeof *ids);
    for (uint32_t i = 0; ids && i < n; i++) ids[i] = y->u->ids[rows[i]];
    enum hg_rc rc = ids ? hg_meta_park(y->c->meta, ids, n, parked, NULL, &err) : hg_arena_fail(y->a, "parking", &err);
    if (rc) {
        hg_log(HG_LOG_WARN, "coordinator", parked ? "segments that are loaded nowhere cannot be parked" : "parking cannot be ended", "segments", HG_LI(n), "error", HG_LS(err.msg), NULL);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) y->u->rows[rows[i]].parked = parked;
    hg_log(HG_LOG_INFO, "coordinator", parked ? "segments parked: rules load them nowhere" : "parked segments are served again", "segments", HG_LI(n), "example", HG_LS(ids[0]), NULL);
    return true;
}

static void park_all(struct hg_cycle *y)
{
    uint32_t *on = hg_arena_array(y->a, MARKS_MAX, sizeof *on), *off = hg_arena_array(y->a, MARKS_MAX, sizeof *off), n_on = 0, n_off = 0;
    int64_t parked = 0;
    if (!on || !off) return;
    for (size_t i = 0; i < y->u->n; i++) {
        const struct hg_segment_row *r = &y->u->rows[i];
        bool nowhere = y->want[i] == HG_NOWHERE;
        if (nowhere && !r->parked && !(y->drops[i] && r->visible) && n_on < MARKS_MAX) on[n_on++] = (uint32_t)i;
        if (!nowhere && r->parked && n_off < MARKS_MAX && hg_row_served(y, i)) off[n_off++] = (uint32_t)i;
    }
    park(y, on, n_on, true);
    park(y, off, n_off, false);
    for (size_t i = 0; i < y->u->n; i++) parked += y->u->rows[i].parked;
    hg_metric_set(HG_M_segments_parked, NULL, parked);
}

/* ---- drop rules ---- */

/* Would something older show where row i was? Then it is parked rather than dropped: rows that were replaced must not come back because their replacement aged. */
static bool hides_older(const struct hg_cycle *y, size_t i, int64_t longest)
{
    const struct hg_segid *id = &y->u->rows[i].meta.id;
    for (int dir = -1; dir <= 1; dir += 2)
        for (size_t k = i + (size_t)dir; k < y->u->n && y->u->group[k] == y->u->group[i]; k += (size_t)dir) {
            const struct hg_segment_row *o = &y->u->rows[k];
            if (dir < 0 ? o->meta.id.interval.start < id->interval.start - longest : o->meta.id.interval.start >= id->interval.end) break;
            if (o->visible && !y->drops[k] && hg_interval_overlaps(o->meta.id.interval, id->interval) && strcmp(o->meta.id.version, id->version) < 0) return true;
        }
    return false;
}

static void audit_drop(struct hg_cycle *y, const char *datasource, const char *const *ids, uint32_t n)
{
    struct hg_buf b;
    struct hg_err err;
    hg_buf_init(&b, 1 << 16);
    hg_buf_puts(&b, "{\"datasource\":");
    hg_buf_json_str(&b, hg_str_of(datasource));
    hg_buf_printf(&b, ",\"segments\":%" PRIu32 ",\"examples\":[", n);
    for (uint32_t i = 0; i < n && i < EXAMPLES; i++) {
        if (i) hg_buf_putc(&b, ',');
        hg_buf_json_str(&b, hg_str_of(ids[i]));
    }
    hg_buf_puts(&b, "]}");
    hg_buf_u8(&b, 0);
    if (hg_buf_check(&b, "audit row", &err) || hg_meta_audit(y->c->meta, "coordinator", "drop by rule", (const char *)b.p, &err))
        hg_log(HG_LOG_WARN, "coordinator", "audit row not written", "error", HG_LS(err.msg), NULL);
    hg_buf_free(&b);
}

static void drop_some(struct hg_cycle *y, const char *datasource, const char *const *ids, uint32_t n)
{
    struct hg_err err;
    int64_t changed = 0;
    if (!n || !hg_cycle_still_leads(y)) return;
    if (hg_meta_mark(y->c->meta, datasource, ids, n, false, &changed, &err)) {
        hg_log(HG_LOG_WARN, "coordinator", "segments that a rule drops cannot be marked unused", "datasource", HG_LS(datasource), "segments", HG_LI(n), "error", HG_LS(err.msg), NULL);
        return;
    }
    hg_metric_add(HG_M_segments_dropped_by_rule, NULL, changed);
    hg_log(HG_LOG_INFO, "coordinator", "segments marked unused by rule", "datasource", HG_LS(datasource), "segments", HG_LI(changed), "example", HG_LS(ids[0]), NULL);
    audit_drop(y, datasource, ids, n);
}

/* What waits for its publish is parked instead, so that the publish can be done, and replaces what it replaces; once it is in the list its turn comes. */
static void drop_all(struct hg_cycle *y)
{
    struct hg_used *u = y->u;
    const char **ids = hg_arena_array(y->a, MARKS_MAX, sizeof *ids);
    uint32_t *stay = hg_arena_array(y->a, MARKS_MAX, sizeof *stay), n = 0, n_stay = 0;
    int64_t longest = 0;
    if (!ids || !stay) return;
    for (size_t i = 0; i < u->n; i++) {
        int64_t len = u->rows[i].meta.id.interval.end - u->rows[i].meta.id.interval.start;
        if (len > longest) longest = len;
    }
    for (size_t i = 0; i < u->n; i++) {
        const char *ds = u->rows[i].meta.id.datasource;
        if (y->drops[i] && u->rows[i].visible) {
            if (!hides_older(y, i, longest)) ids[n++] = u->ids[i];
            else if (!u->rows[i].parked && n_stay < MARKS_MAX) stay[n_stay++] = (uint32_t)i;
        }
        if (n && (n == MARKS_MAX || i + 1 == u->n || strcmp(u->rows[i + 1].meta.id.datasource, ds) != 0)) {
            drop_some(y, ds, ids, n);
            n = 0;
        }
    }
    park(y, stay, n_stay, true);
}

/* ---- publishes ---- */

static bool all_there(const struct hg_cycle *y, const struct hg_pending *p)
{
    for (size_t i = 0; i < p->n; i++) {
        char id[HG_SEGID_TEXT];
        hg_segid_text(&p->ids[i], id);
        size_t at = (size_t)hg_map_get(y->u->by_id, id);
        if (!at) return false;
        const struct hg_segment_row *r = &y->u->rows[at - 1];
        if (y->want[at - 1] == HG_NOWHERE ? !r->parked : r->parked || !hg_row_served(y, at - 1)) return false;
    }
    return true;
}

/* One that cannot be made visible does not keep the others from going on. */
static void flip_all(struct hg_cycle *y)
{
    struct hg_pending *p;
    size_t n = 0;
    struct hg_err err;
    if (hg_meta_pending(y->c->meta, y->a, &p, &n, &err)) {
        hg_log(HG_LOG_WARN, "coordinator", "publishes that wait cannot be read", "error", HG_LS(err.msg), NULL);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (!all_there(y, &p[i]) || !hg_cycle_still_leads(y)) continue;
        if (hg_meta_make_visible(y->c->meta, p[i].publish_id, &err))
            hg_log(HG_LOG_ERROR, "coordinator", "publish not made visible", "publish", HG_LI(p[i].publish_id), "datasource", HG_LS(p[i].datasource), "error", HG_LS(err.msg), NULL);
        else
            hg_log(HG_LOG_INFO, "coordinator", "publish visible", "publish", HG_LI(p[i].publish_id), "datasource", HG_LS(p[i].datasource), "segments", HG_LI(p[i].n), "task",
                   HG_LS(p[i].task ? p[i].task : ""), NULL);
    }
}

void hg_cycle_settle_store(struct hg_cycle *y)
{
    park_all(y);
    flip_all(y);
    drop_all(y);
}
