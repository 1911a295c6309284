/* Listing versions, going back to them, and clean-up, over SQLite and PostgreSQL. */
#include "meta_fixture.h"

#include <sys/wait.h>

#include "base/clock.h"

#define V1 "2024-01-01T00:00:00.000Z"
#define V2 "2024-01-02T00:00:00.000Z"
#define V3 "2024-01-03T00:00:00.000Z"
#define V4 "2024-01-04T00:00:00.000Z"
#define V5 "2024-01-05T00:00:00.000Z"
#define PREVIOUS NULL

/* ---- makers ---- */

/* A publish of hours [from, to) of one version, `parts` partitions an hour. */
static int64_t put_hours(const char *ns, int64_t from, int64_t to, const char *version, uint32_t parts, bool visible)
{
    struct hg_segment_meta s[200];
    size_t n = 0;
    for (int64_t h = from; h < to; h++)
        for (uint32_t p = 0; p < parts; p++) s[n++] = seg(ns, h * HOUR, (h + 1) * HOUR, version, p, parts);
    return publish(fx.m, s, n, visible);
}
static int64_t put_wide(int64_t from, int64_t to, const char *version, bool visible)
{
    struct hg_segment_meta s = seg("", from * HOUR, to * HOUR, version, 0, 1);
    return publish(fx.m, &s, 1, visible);
}
/* A stream's further partition of a version. */
static void append(int64_t from, int64_t to, const char *version, uint32_t part)
{
    struct hg_segment_meta s = seg("", from * HOUR, to * HOUR, version, part, 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "st", .stream = "st"};
    OK(hg_meta_publish(fx.m, &p, NULL, &fx.err));
}

static struct hg_revert_result last;
static enum hg_rc revert_as(const char *ns, int64_t from, int64_t to, const char *version, bool dry)
{
    struct hg_interval iv = {from * HOUR, to * HOUR};
    struct hg_revert w = {.datasource = "ads", .ns = ns, .ivs = &iv, .n_ivs = 1, .to_version = version, .who = "tester", .dry_run = dry};
    return hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err);
}
static enum hg_rc revert(int64_t from, int64_t to, const char *version) { return revert_as("", from, to, version, false); }
static void flip_all(void)
{
    struct hg_pending *p;
    size_t n;
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    for (size_t i = 0; i < n; i++) OK(hg_meta_make_visible(fx.m, p[i].publish_id, &fx.err));
}
static int64_t list_number(void)
{
    struct hg_visible_change *v;
    size_t n;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    return seq;
}
static size_t count_segments(enum hg_seg_filter f)
{
    struct hg_segment_row *r;
    size_t n;
    OK(hg_meta_segments(fx.m, fx.a, "ads", f, &r, &n, &fx.err));
    return n;
}
static const char *last_audit(const char *what)
{
    struct hg_audit_row *r;
    size_t n;
    OK(hg_meta_audit_list(fx.m, fx.a, 0, 100, &r, &n, &fx.err));
    for (size_t i = 0; i < n; i++)
        if (strcmp(r[i].what, what) == 0) return r[i].detail;
    return "";
}

/* What is visible as text, in hours, sorted. */
static int by_id(const void *a, const void *b) { return hg_segid_cmp(&((const struct hg_visible_change *)a)->meta.id, &((const struct hg_visible_change *)b)->meta.id); }
static const char *sees(void)
{
    static char buf[8000];
    struct hg_visible_change *v;
    size_t n, k = 0;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    if (n) qsort(v, n, sizeof *v, by_id);
    buf[0] = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hg_segid *id = &v[i].meta.id;
        k += (size_t)snprintf(buf + k, sizeof buf - k, "%s%s%s%s.%u[%" PRId64 ",%" PRId64 ")", i ? " " : "", id->ns, id->ns[0] ? ":" : "", id->version, id->partition, (int64_t)(id->interval.start / HOUR),
                              (int64_t)(id->interval.end / HOUR));
    }
    return buf;
}
#define SEES(want) assert_string_equal(sees(), want)

/* ---- going back and forth ---- */

static void there_and_back(void **state)
{
    (void)state;
    put_hours("", 0, 3, V1, 2, true);
    put_hours("x", 0, 3, V2, 1, true);
    put_hours("", 0, 3, V2, 1, true);
    SEES(V2 ".0[0,1) " V2 ".0[1,2) " V2 ".0[2,3) x:" V2 ".0[0,1) x:" V2 ".0[1,2) x:" V2 ".0[2,3)");

    /* A dry run tells, and changes nothing. */
    OK(revert_as("", 0, 2, PREVIOUS, true));
    assert_true(last.publish_id == 0 && last.n_on == 4 && last.n_off == 2);
    assert_string_equal(last.on[3].meta.id.version, V1);
    assert_true(last.on[3].meta.id.interval.start == HOUR && last.on[3].meta.id.partition == 1);
    assert_int_equal(count_segments(HG_SEG_USED), 6);

    /* Asked for: what is to come is used, so that it is loaded; nothing is shown yet. */
    int64_t before = list_number();
    OK(revert(0, 2, PREVIOUS));
    assert_true(last.publish_id > 0 && last.n_on == 4 && last.n_off == 2);
    struct hg_pending *p;
    size_t n;
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    assert_true(n == 1 && p[0].revert && p[0].n == 4 && p[0].publish_id == last.publish_id);
    assert_string_equal(p[0].datasource, "ads");
    assert_string_equal(p[0].ids[0].version, V1);
    assert_int_equal(count_segments(HG_SEG_USED), 10);
    assert_int_equal(list_number(), before);
    assert_non_null(strstr(last_audit("revert"), "\"segmentsOn\":4"));

    OK(hg_meta_make_visible(fx.m, last.publish_id, &fx.err));
    OK(hg_meta_make_visible(fx.m, last.publish_id, &fx.err)); /* again: nothing */
    SEES(V1 ".0[0,1) " V1 ".1[0,1) " V1 ".0[1,2) " V1 ".1[1,2) " V2 ".0[2,3) x:" V2 ".0[0,1) x:" V2 ".0[1,2) x:" V2 ".0[2,3)");
    struct hg_visible_change *v;
    int64_t after;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, before, &after, &whole, &v, &n, &fx.err));
    assert_true(!whole && after == before + 1 && n == 6); /* two out, four in, one number */
    assert_true(!v[0].add && !v[1].add && v[2].add && v[5].add);
    assert_int_equal(count_segments(HG_SEG_USED), 8);
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    assert_int_equal(n, 0);

    /* There is none older; and forward again by name. */
    FAILS(HG_E_NOTFOUND, revert(0, 2, PREVIOUS));
    assert_non_null(strstr(fx.err.msg, "no version older than " V1));
    OK(revert(0, 3, V2));
    assert_true(last.n_on == 2 && last.n_off == 0); /* nothing is above V2: what is hidden goes at the flip */
    flip_all();
    SEES(V2 ".0[0,1) " V2 ".0[1,2) " V2 ".0[2,3) x:" V2 ".0[0,1) x:" V2 ".0[1,2) x:" V2 ".0[2,3)");
    OK(revert(0, 3, V2)); /* as it is */
    assert_true(last.publish_id == 0 && last.n_on == 0 && last.n_off == 0);

    /* A stream's next rows are added to the version that came back. */
    OK(revert(0, 1, V1));
    flip_all();
    struct hg_alloc w = {.datasource = "ads", .ns = "", .interval = {0, HOUR}, .stream = "st", .sequence = "g"};
    struct hg_segid id;
    OK(hg_meta_allocate(fx.m, fx.a, &w, &id, &fx.err));
    assert_string_equal(id.version, V1);
    assert_int_equal(id.partition, 2);
}

/* Intervals go back to different versions at one moment. */
static void many_intervals(void **state)
{
    (void)state;
    put_hours("", 0, 24, V1, 1, true);
    put_hours("", 0, 12, V2, 1, true);
    put_hours("", 6, 7, V3, 1, true);
    struct hg_interval ivs[3] = {{6 * HOUR, 7 * HOUR}, {0, HOUR}, {20 * HOUR, 24 * HOUR}};
    struct hg_revert w = {.datasource = "ads", .ns = "", .ivs = ivs, .n_ivs = 2, .who = "t"};
    int64_t before = list_number();
    OK(hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err));
    assert_true(last.n_on == 2 && last.n_off == 2);
    assert_string_equal(last.on[0].meta.id.version, V1);
    assert_string_equal(last.on[1].meta.id.version, V2);
    flip_all();
    assert_int_equal(list_number(), before + 1);
    assert_non_null(strstr(sees(), V1 ".0[0,1) " V2 ".0[1,2)"));
    assert_non_null(strstr(sees(), V2 ".0[6,7)"));

    w.n_ivs = 3; /* one of them has nothing to go back to: none does */
    FAILS(HG_E_NOTFOUND, hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err));
    w.to_version = V1; /* that has it where others are newer */
    OK(hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err));
    assert_true(last.n_on == 1 && last.n_off == 1);
    flip_all();
    assert_non_null(strstr(sees(), V2 ".0[5,6) " V1 ".0[6,7) " V2 ".0[7,8)"));
}

static void refused(void **state)
{
    (void)state;
    FAILS(HG_E_NOTFOUND, revert(0, 1, PREVIOUS));
    assert_non_null(strstr(fx.err.msg, "nothing can be seen"));
    FAILS(HG_E_NOTFOUND, revert(0, 1, V1));
    assert_non_null(strstr(fx.err.msg, "there is none"));
    put_hours("", 0, 2, V1, 1, true);
    put_hours("", 0, 2, V2, 1, true);
    FAILS(HG_E_NOTFOUND, revert(0, 2, V3));
    assert_non_null(strstr(fx.err.msg, "there are " V2 ", " V1));
    FAILS(HG_E_NOTFOUND, revert_as("other", 0, 2, V1, false));
    FAILS(HG_E_INVALID, revert_as("../x", 0, 2, V1, false));
    FAILS(HG_E_INVALID, revert(0, 2, "a_b"));
    FAILS(HG_E_INVALID, revert(2, 2, V1));
    struct hg_interval ivs[2] = {{0, 2 * HOUR}, {HOUR, 3 * HOUR}};
    struct hg_revert w = {.datasource = "ads", .ivs = ivs, .n_ivs = 2, .who = "t"};
    FAILS(HG_E_INVALID, hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err));
    assert_non_null(strstr(fx.err.msg, "overlaps"));
    w.n_ivs = 0;
    FAILS(HG_E_INVALID, hg_meta_revert(fx.m, fx.a, &w, &last, &fx.err));

    /* Half a segment cannot go back: its other half would change too. */
    put_wide(10, 12, V1, true);
    put_wide(10, 12, V2, true);
    FAILS(HG_E_INVALID, revert(10, 11, V1));
    assert_non_null(strstr(fx.err.msg, "reaches beyond"));
    OK(revert(10, 12, V1));

    /* The older version is in pieces. */
    struct hg_segment_meta piece = seg("", 20 * HOUR, 21 * HOUR, V1, 1, 3);
    publish(fx.m, &piece, 1, true);
    put_hours("", 20, 21, V2, 1, true);
    FAILS(HG_E_CONFLICT, revert(20, 21, V1));
    assert_non_null(strstr(fx.err.msg, "not complete: partition 0 of its 3"));

    /* It was deleted, whole or in part. */
    put_hours("", 30, 32, V1, 2, true);
    put_hours("", 30, 32, V2, 1, true);
    char id[HG_SEGID_TEXT];
    struct hg_segment_meta s = seg("", 30 * HOUR, 31 * HOUR, V1, 1, 2);
    int64_t deleted;
    hg_segid_text(&s.id, id);
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id}, 1, &deleted, &fx.err));
    assert_int_equal(deleted, 1);
    for (int i = 0; i < 2; i++) {
        FAILS(HG_E_CONFLICT, revert(30, 32, i ? V1 : PREVIOUS));
        assert_non_null(strstr(fx.err.msg, "deleted by clean-up"));
    }
    OK(revert(31, 32, V1)); /* the other hour is whole */

    /* Versions that wait were never there. */
    put_hours("", 40, 41, V1, 1, true);
    put_hours("", 40, 41, V3, 1, false);
    put_hours("", 40, 41, V4, 1, true);
    FAILS(HG_E_NOTFOUND, revert(40, 41, V3));
    OK(revert(40, 41, PREVIOUS));
    assert_string_equal(last.on[0].meta.id.version, V1);
}

/* Intervals that a publish replaced with nothing are empty as of its version. */
static void replaced_with_nothing(void **state)
{
    (void)state;
    put_hours("", 0, 2, V1, 1, true);
    struct hg_interval replaced = {0, 2 * HOUR};
    struct hg_segment_meta one = seg("", 0, HOUR, V2, 0, 1);
    struct hg_publish p = {.segments = &one, .n_segments = 1, .replaced = &replaced, .n_replaced = 1, .visible = true, .task = "t"};
    OK(hg_meta_publish(fx.m, &p, NULL, &fx.err));
    put_hours("", 0, 2, V3, 1, true);
    OK(revert(0, 2, PREVIOUS));
    flip_all();
    SEES(V2 ".0[0,1)");
    OK(revert(0, 2, PREVIOUS));
    flip_all();
    SEES(V1 ".0[0,1) " V1 ".0[1,2)");
    OK(revert(0, 2, V2));
    assert_true(last.n_on == 1 && last.n_off == 0);
}

/* An older, longer segment shows again where a day was rewritten; or comes back though the rest of it stays hidden. */
static void longer_segments(void **state)
{
    (void)state;
    put_wide(0, 4, V1, true);
    put_hours("", 1, 2, V2, 1, true);
    SEES(V1 ".0[0,4) " V2 ".0[1,2)");
    OK(revert(1, 2, PREVIOUS));
    assert_true(last.publish_id && last.n_on == 0 && last.n_off == 1);
    flip_all(); /* there is nothing to load */
    SEES(V1 ".0[0,4)");
    OK(revert(1, 2, V2));
    flip_all();
    put_hours("", 0, 4, V3, 1, true); /* the long one leaves the list */
    assert_int_equal(count_segments(HG_SEG_USED), 4);
    OK(revert(3, 4, V1));
    flip_all();
    SEES(V3 ".0[0,1) " V1 ".0[0,4) " V3 ".0[1,2) " V3 ".0[2,3)");
    OK(revert(1, 4, V2));
    flip_all();
    SEES(V3 ".0[0,1) " V1 ".0[0,4) " V2 ".0[1,2)");
}

/* ---- the list moves on between asking and the flip ---- */

static void rows_added_meanwhile(void **state)
{
    (void)state;
    put_hours("", 0, 2, V1, 1, true);
    put_hours("", 0, 2, V2, 1, true);
    OK(revert(0, 2, V1));
    append(0, 1, V2, 7); /* a stream adds to the version that is to go */
    append(0, 2, V2, 0); /* and another, by another granularity */
    flip_all();
    SEES(V1 ".0[0,1) " V1 ".0[1,2)");

    /* What it was given before the flip does not fit after it. */
    struct hg_segment_meta s = seg("", 0, HOUR, V2, 9, 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = "st"};
    FAILS(HG_E_CONFLICT, hg_meta_publish(fx.m, &p, NULL, &fx.err));
    assert_non_null(strstr(fx.err.msg, "would hide"));

    /* Rows that reach beyond the revert: taking them off would lose them there, leaving them would hide what comes back. */
    put_hours("", 2, 3, V2, 1, true);
    OK(revert(0, 2, V2));
    flip_all();
    OK(revert(0, 2, V1));
    append(0, 3, V2, 1);
    flip_all();
    SEES(V2 ".0[0,1) " V2 ".7[0,1) " V2 ".0[0,2) " V2 ".1[0,3) " V2 ".0[1,2) " V2 ".0[2,3)");
    assert_non_null(strstr(last_audit("revert given up"), "reaches beyond"));
    struct hg_pending *w;
    size_t n;
    OK(hg_meta_pending(fx.m, fx.a, &w, &n, &fx.err));
    assert_int_equal(n, 0);
    assert_int_equal(count_segments(HG_SEG_USED), 6); /* what was to come back is unused again */
}

static void newer_publish_meanwhile(void **state)
{
    (void)state;
    put_hours("", 0, 3, V1, 1, true);
    put_hours("", 0, 3, V2, 1, true);
    int64_t wide = put_wide(1, 3, V5, false);
    OK(revert(0, 2, V1));
    put_hours("", 0, 1, V4, 1, true); /* newer than all: it stays, and hides what comes back */
    SEES(V4 ".0[0,1) " V2 ".0[1,2) " V2 ".0[2,3)");
    OK(hg_meta_make_visible(fx.m, last.publish_id, &fx.err));
    SEES(V4 ".0[0,1) " V1 ".0[1,2) " V2 ".0[2,3)");
    OK(hg_meta_make_visible(fx.m, wide, &fx.err));
    SEES(V4 ".0[0,1) " V5 ".0[1,3)");

    /* A revert that is overtaken whole changes nothing. */
    put_hours("", 10, 11, V1, 1, true);
    put_hours("", 10, 11, V2, 1, true);
    OK(revert(10, 11, V1));
    put_hours("", 10, 11, V3, 1, true);
    flip_all();
    SEES(V4 ".0[0,1) " V5 ".0[1,3) " V3 ".0[10,11)");
    assert_int_equal(count_segments(HG_SEG_USED), 3);
}

static void marked_meanwhile(void **state)
{
    (void)state;
    put_hours("", 0, 2, V1, 1, true);
    put_hours("", 0, 2, V2, 1, true);
    OK(revert(0, 2, V1));
    int64_t id = last.publish_id, n;
    FAILS(HG_E_CONFLICT, revert(1, 2, V1)); /* one at a time */
    assert_non_null(strstr(fx.err.msg, "waits"));
    char text[HG_SEGID_TEXT];
    struct hg_segment_meta s = seg("", 0, HOUR, V1, 0, 1);
    hg_segid_text(&s.id, text);
    OK(hg_meta_delete_unused(fx.m, (const char *[]){text}, 1, &n, &fx.err)); /* used: not taken */
    assert_int_equal(n, 0);
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){text}, 1, false, &n, &fx.err));
    OK(hg_meta_make_visible(fx.m, id, &fx.err));
    SEES(V2 ".0[0,1) " V2 ".0[1,2)");
    assert_non_null(strstr(last_audit("revert given up"), text));
    assert_int_equal(count_segments(HG_SEG_USED), 2);
    OK(revert(0, 2, V1)); /* a new one finds them */
    OK(hg_meta_cancel(fx.m, last.publish_id, "tester", "changed my mind", &fx.err));
    FAILS(HG_E_CONFLICT, hg_meta_cancel(fx.m, last.publish_id, "tester", "", &fx.err));
    FAILS(HG_E_NOTFOUND, hg_meta_cancel(fx.m, 999, "tester", "", &fx.err));
    OK(hg_meta_make_visible(fx.m, last.publish_id, &fx.err)); /* too late: nothing */
    SEES(V2 ".0[0,1) " V2 ".0[1,2)");
    assert_int_equal(count_segments(HG_SEG_USED), 2);
    assert_non_null(strstr(last_audit("cancel"), "changed my mind"));

    /* A batch publish can be cancelled too; its version was never there. */
    int64_t batch = put_hours("", 0, 2, V3, 1, false);
    OK(hg_meta_cancel(fx.m, batch, "tester", "", &fx.err));
    assert_int_equal(count_segments(HG_SEG_USED), 2);
    FAILS(HG_E_NOTFOUND, revert(0, 2, V3));
}

/* ---- random histories against a naive twin ---- */

/* Per hour, what shows: the greatest version that a chunk (all here are complete) of the set covers, as text "version.part version.part". */
struct chunk {
    int64_t from, to;
    char version[HG_TIME_TEXT];
    int parts;
    bool visible, waits, dead;
};
enum { HOURS = 10 };
static struct chunk model[200];
static int n_model;

/* The greatest version of those that pass which covers the hour. */
static const char *shows(int64_t hour, const char *bound, bool only_visible)
{
    const char *best = "";
    for (int i = 0; i < n_model; i++) {
        const struct chunk *c = &model[i];
        if (c->from > hour || c->to <= hour || c->waits || c->dead || (only_visible && !c->visible) || (bound && strcmp(c->version, bound) > 0)) continue;
        if (strcmp(c->version, best) > 0) best = c->version;
    }
    return best;
}

/* The same from the store: the greatest version among its visible segments over the hour. */
static void store_shows(const char *ns, char out[HOURS][HG_TIME_TEXT])
{
    struct hg_visible_change *v;
    size_t n;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    memset(out, 0, HOURS * HG_TIME_TEXT);
    for (size_t i = 0; i < n; i++)
        for (int64_t h = v[i].meta.id.interval.start / HOUR; strcmp(v[i].meta.id.ns, ns) == 0 && h < v[i].meta.id.interval.end / HOUR; h++)
            if (strcmp(v[i].meta.id.version, out[h]) > 0) snprintf(out[h], HG_TIME_TEXT, "%s", v[i].meta.id.version);
}
static void random_reverts(void **state)
{
    (void)state;
    int done_reverts = 0, refused_reverts = 0;
    for (unsigned seed = 1; seed <= 12; seed++) {
        srand(seed);
        char now[HOURS][HG_TIME_TEXT], want[HOURS][HG_TIME_TEXT];
        n_model = 0;
        char ns[16];
        snprintf(ns, sizeof ns, "m%u", seed);
        for (int step = 0; step < 40; step++) {
            int64_t from = rand() % HOURS, to = from + 1 + rand() % 4;
            if (to > HOURS) to = HOURS;
            if (rand() % 2 || n_model < 3) {
                struct chunk *c = &model[n_model++];
                *c = (struct chunk){.from = from, .to = to, .parts = 1 + rand() % 2, .visible = true};
                OK(hg_meta_new_version(fx.m, c->version, &fx.err));
                struct hg_segment_meta s[2];
                for (uint32_t k = 0; k < (uint32_t)c->parts; k++) s[k] = seg(ns, from * HOUR, to * HOUR, c->version, k, (uint32_t)c->parts);
                publish(fx.m, s, (size_t)c->parts, true);
            } else {
                const char *to_version = rand() % 2 ? model[rand() % n_model].version : PREVIOUS;
                const char *bound = to_version, *newest = "";
                enum hg_rc rc = revert_as(ns, from, to, to_version, false);
                for (int64_t h = from; h < to; h++)
                    if (strcmp(shows(h, NULL, true), newest) > 0) newest = shows(h, NULL, true);
                if (!to_version) { /* the greatest below what shows, of all that ever overlapped */
                    bound = "";
                    for (int i = 0; i < n_model; i++)
                        if (model[i].from < to && model[i].to > from && strcmp(model[i].version, newest) < 0 && strcmp(model[i].version, bound) > 0) bound = model[i].version;
                }
                if (rc == HG_OK) {
                    flip_all();
                    done_reverts++;
                    bool target[200] = {0};
                    for (int64_t h = from; h < to; h++)
                        for (int i = 0; i < n_model; i++)
                            if (strcmp(model[i].version, shows(h, bound, false)) == 0) target[i] = true;
                    for (int i = 0; i < n_model; i++) {
                        bool in = model[i].from < to && model[i].to > from;
                        if (in && strcmp(model[i].version, bound) > 0) model[i].visible = false;
                        if (in && target[i]) model[i].visible = true;
                    }
                } else if (rc != HG_E_INVALID && rc != HG_E_NOTFOUND) {
                    fail_msg("seed %u step %d: %s", seed, step, fx.err.msg);
                } else {
                    refused_reverts++;
                    if (rc == HG_E_NOTFOUND && to_version) {
                        bool any = false; /* truly nothing to go back to */
                        for (int64_t h = from; h < to; h++) any |= shows(h, to_version, false)[0] != 0;
                        bool overlaps = false;
                        for (int i = 0; i < n_model; i++) overlaps |= strcmp(model[i].version, to_version) == 0 && model[i].from < to && model[i].to > from;
                        if (any && overlaps) fail_msg("seed %u step %d: refused: %s", seed, step, fx.err.msg);
                    }
                }
            }
            /* The twin's wholly hidden chunks leave its list. */
            for (int i = 0; i < n_model; i++) {
                bool any = false;
                for (int64_t h = model[i].from; h < model[i].to; h++) any |= strcmp(shows(h, NULL, true), model[i].version) == 0;
                if (!any) model[i].visible = false;
            }
            store_shows(ns, now);
            for (int64_t h = 0; h < HOURS; h++) snprintf(want[h], HG_TIME_TEXT, "%s", shows(h, NULL, true));
            for (int64_t h = 0; h < HOURS; h++)
                if (strcmp(now[h], want[h]) != 0) fail_msg("seed %u step %d hour %d: shows %s, want %s", seed, step, (int)h, now[h], want[h]);
        }
    }
    printf("%d reverts, %d refused\n", done_reverts, refused_reverts);
    assert_true(done_reverts > 30);
}

/* ---- several at once; kill -9 ---- */

struct worker {
    struct hg_meta *m;
    int me, other, won, lost;
    struct hg_err err;
};

/* One publishes newer versions and streams' rows, two revert and flip, one cleans up. */
static void *mix(void *arg)
{
    struct worker *w = arg;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_interval iv = {0, 4 * HOUR};
    for (int i = 0; i < 25 && !w->other; i++) {
        enum hg_rc rc = HG_OK;
        hg_arena_reset(a);
        if (w->me == 0) {
            char v[HG_TIME_TEXT];
            struct hg_segment_meta s[4];
            int64_t id;
            rc = hg_meta_new_version(w->m, v, &w->err);
            for (int h = 0; h < 4; h++) {
                s[h] = seg("", h * HOUR, (h + 1) * HOUR, v, 0, 1);
                s[h].path = hg_arena_printf(a, "p/%s/%d", v, h);
            }
            struct hg_publish p = {.segments = s, .n_segments = 4, .visible = i % 2, .task = "t"};
            if (!rc) rc = hg_meta_publish(w->m, &p, &id, &w->err);
            if (!rc && i % 2 == 0) rc = hg_meta_make_visible(w->m, id, &w->err);
        } else if (w->me == 3) {
            struct hg_clean c = {.keep_versions = 2};
            struct hg_segment_row *r;
            size_t n;
            rc = hg_meta_unused_candidates(w->m, a, &c, &r, &n, &w->err);
            for (size_t k = 0; k < n && !rc; k++) {
                char id[HG_SEGID_TEXT];
                hg_segid_text(&r[k].meta.id, id);
                rc = hg_meta_delete_unused(w->m, (const char *[]){id}, 1, NULL, &w->err);
            }
        } else {
            struct hg_revert rv = {.datasource = "ads", .ivs = &iv, .n_ivs = 1, .who = "w"};
            struct hg_revert_result res;
            rc = hg_meta_revert(w->m, a, &rv, &res, &w->err);
            if (!rc && res.publish_id) rc = i % 5 == 4 ? hg_meta_cancel(w->m, res.publish_id, "w", "", &w->err) : hg_meta_make_visible(w->m, res.publish_id, &w->err);
            w->won += rc == HG_OK;
            if (rc == HG_E_CONFLICT || rc == HG_E_NOTFOUND) w->lost++, rc = HG_OK;
        }
        w->other += rc != HG_OK && rc != HG_E_CONFLICT;
    }
    hg_arena_free(a);
    return NULL;
}

static void all_at_once(void **state)
{
    (void)state;
    put_hours("", 0, 4, V1, 1, true);
    put_hours("", 0, 4, V2, 1, true);
    struct worker w[4];
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (struct worker){.m = open_store(), .me = i};
        assert_int_equal(pthread_create(&t[i], NULL, mix, &w[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 4; i++) {
        hg_meta_close(w[i].m);
        if (w[i].other) fail_msg("worker %d: %s", i, w[i].err.msg);
    }
    printf("reverts made %d, refused %d\n", w[1].won + w[2].won, w[1].lost + w[2].lost);
    /* Every hour shows the same version, all four of it, and nothing waits. */
    struct hg_visible_change *v;
    struct hg_pending *p;
    size_t n;
    int64_t seq;
    bool whole;
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    assert_int_equal(n, 0);
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(v[i].meta.id.interval.start, (int64_t)i * HOUR);
        assert_string_equal(v[i].meta.id.version, v[0].meta.id.version);
    }
    assert_int_equal(count_segments(HG_SEG_USED), 4);
}

static void revert_for_ever(int fd)
{
    struct hg_meta *m;
    struct hg_err err;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_interval iv = {0, 20 * HOUR};
    if (hg_meta_open(fx.url, &m, &err)) _exit(3);
    for (int i = 0;; i++) {
        struct hg_revert w = {.datasource = "ads", .ivs = &iv, .n_ivs = 1, .to_version = i % 2 ? V2 : V1, .who = "child"};
        struct hg_revert_result r;
        hg_arena_reset(a);
        enum hg_rc rc = hg_meta_revert(m, a, &w, &r, &err);
        if (rc == HG_OK && r.publish_id) rc = hg_meta_make_visible(m, r.publish_id, &err);
        if (rc != HG_OK && rc != HG_E_CONFLICT) {
            fprintf(stderr, "child: %s\n", err.msg);
            _exit(4);
        }
        if (write(fd, "x", 1) != 1) _exit(5);
    }
}

static void killed(void **state)
{
    (void)state;
    put_hours("", 0, 20, V1, 1, true);
    put_hours("", 0, 20, V2, 1, true);
    for (unsigned round = 0; round < 15; round++) {
        int fd[2], st;
        char byte;
        srand(round);
        assert_int_equal(pipe(fd), 0);
        pid_t child = fork();
        if (child == 0) {
            close(fd[0]);
            revert_for_ever(fd[1]);
        }
        close(fd[1]);
        for (int see = 1 + rand() % 4; see > 0 && read(fd[0], &byte, 1) == 1;) see--;
        for (int64_t until = hg_clock_mono_ns() + rand() % 5000000; hg_clock_mono_ns() < until;) {}
        kill(child, SIGKILL);
        waitpid(child, &st, 0);
        close(fd[0]);
        assert_true(WIFSIGNALED(st));
        /* All of one version shows, whatever was under way; what waits can be flipped. */
        for (int twice = 0; twice < 2; twice++) {
            struct hg_visible_change *v;
            size_t n;
            int64_t seq;
            bool whole;
            OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
            assert_int_equal(n, 20);
            for (size_t i = 0; i < n; i++) assert_string_equal(v[i].meta.id.version, v[0].meta.id.version);
            flip_all();
        }
    }
}

/* ---- listing ---- */

static void listed(void **state)
{
    (void)state;
    struct hg_segment_meta s[3] = {seg("", 0, HOUR, V1, 0, 2), seg("", 0, HOUR, V1, 1, 2), seg("x", 0, HOUR, V1, 0, 1)};
    s[0].sums = "{\"clicks\":9223372036854775807,\"spend\":\"0.1\",\"score\":1.5,\"mixed\":1}";
    s[1].sums = "{\"clicks\":-9223372036854775800,\"spend\":\"0.2\",\"score\":2.5,\"mixed\":0.5,\"late\":3}";
    s[2].sums = "{\"clicks\":9223372036854775807,\"score\":null}";
    s[0].created_ms = 500;
    s[1].created_ms = 400;
    int64_t first = publish(fx.m, s, 2, true);
    publish(fx.m, s + 2, 1, true);
    append(0, 1, V1, 2);
    struct hg_version_row *r;
    size_t n;
    struct hg_interval hour = {0, HOUR};
    OK(hg_meta_versions(fx.m, fx.a, "ads", NULL, hour, &r, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_true(r[0].segments == 3 && r[0].used == 3 && r[0].visible == 3 && r[0].complete && r[0].shown && r[0].gone == 0);
    assert_true(r[0].rows == 10 + 11 + 12 && r[0].bytes == 1000 + 1001 + 1002 && r[0].publishes == 2 && r[0].publish_id == first);
    assert_true(r[0].created_ms == 400 && r[0].published_ms > 1600000000000 && r[0].last_published_ms >= r[0].published_ms);
    assert_string_equal(r[0].task, "test");
    assert_int_equal(r[0].sums_segments, 2); /* the stream's has none */
    assert_string_equal(r[0].sums, "{\"clicks\":7,\"spend\":\"0.3\",\"score\":4.0,\"mixed\":1.5,\"late\":3}");
    assert_string_equal(r[1].ns, "x");
    assert_string_equal(r[1].sums, "{\"clicks\":9223372036854775807,\"score\":null}");

    put_hours("", 0, 1, V2, 1, true);
    put_wide(0, 5, V3, false);
    struct hg_segment_meta piece = seg("", 0, HOUR, V4, 1, 2);
    publish(fx.m, &piece, 1, true);
    OK(hg_meta_versions(fx.m, fx.a, "ads", "", hour, &r, &n, &fx.err));
    assert_int_equal(n, 4);
    assert_true(!r[0].used && !r[0].visible && !r[0].shown && r[0].complete);
    assert_true(r[1].visible == 1 && r[1].shown); /* V4 is in pieces and hides nothing */
    assert_string_equal(r[2].version, V4);
    assert_true(r[2].visible == 1 && !r[2].shown && !r[2].complete && !r[2].sums);
    assert_true(r[3].interval.end == 5 * HOUR && r[3].used == 1 && r[3].visible == 0 && !r[3].shown);
    OK(hg_meta_versions(fx.m, fx.a, "ads", "", (struct hg_interval){4 * HOUR, 5 * HOUR}, &r, &n, &fx.err));
    assert_int_equal(n, 1); /* found though it begins long before */

    /* What clean-up takes is told. */
    char id[3][HG_SEGID_TEXT];
    const char *ids[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct hg_segment_meta g = seg("", 0, HOUR, V1, i, 2);
        hg_segid_text(&g.id, id[i]);
        ids[i] = id[i];
    }
    OK(hg_meta_delete_unused(fx.m, ids, 1, NULL, &fx.err));
    OK(hg_meta_versions(fx.m, fx.a, "ads", "", hour, &r, &n, &fx.err));
    assert_true(n == 4 && r[0].segments == 2 && r[0].gone == 1 && r[0].gone_rows == 10 && !r[0].complete);
    OK(hg_meta_delete_unused(fx.m, ids, 3, NULL, &fx.err));
    OK(hg_meta_versions(fx.m, fx.a, "ads", "", hour, &r, &n, &fx.err));
    assert_true(n == 4 && r[0].segments == 0 && r[0].gone == 3 && r[0].gone_rows == 33);
    assert_string_equal(r[0].version, V1);
    OK(hg_meta_versions(fx.m, fx.a, "none", NULL, hour, &r, &n, &fx.err));
    assert_int_equal(n, 0);
}

/* ---- clean-up ---- */

static size_t candidates(const char *ds, int64_t older, int64_t keep, int64_t limit)
{
    struct hg_clean c = {ds, older, keep, limit};
    struct hg_segment_row *r;
    size_t n;
    OK(hg_meta_unused_candidates(fx.m, fx.a, &c, &r, &n, &fx.err));
    for (size_t i = 0; i < n; i++) assert_true(!r[i].used && !r[i].visible && r[i].meta.path[0]);
    return n;
}

static void clean_up(void **state)
{
    (void)state;
    put_hours("", 0, 2, V1, 2, true);
    put_hours("", 0, 2, V2, 1, true);
    put_hours("", 0, 2, V3, 1, true);
    put_hours("", 5, 6, V1, 1, true);
    put_hours("", 5, 6, V2, 1, true);
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){5 * HOUR, 6 * HOUR}, false, NULL, &fx.err)); /* dropped whole */
    assert_int_equal(candidates(NULL, 0, 0, 0), 8);
    assert_int_equal(candidates("ads", 0, 1, 0), 6); /* V2 of the hours that are in use stays */
    assert_int_equal(candidates("ads", 0, 2, 0), 2); /* of what was dropped nothing */
    assert_int_equal(candidates("ads", 0, 0, 3), 3);
    assert_int_equal(candidates("other", 0, 0, 0), 0);
    assert_int_equal(candidates("ads", HOUR, 0, 0), 0); /* too young */
    struct hg_clean bad = {.older_than_ms = -1};
    struct hg_segment_row *r;
    size_t n;
    FAILS(HG_E_INVALID, hg_meta_unused_candidates(fx.m, fx.a, &bad, &r, &n, &fx.err));

    /* Rows go, files stay known until they are gone too. */
    struct hg_clean c = {.keep_versions = 1, .limit = 2};
    OK(hg_meta_unused_candidates(fx.m, fx.a, &c, &r, &n, &fx.err));
    char id[2][HG_SEGID_TEXT];
    for (int i = 0; i < 2; i++) hg_segid_text(&r[i].meta.id, id[i]);
    int64_t deleted;
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[0], id[1]}, 2, &deleted, &fx.err));
    assert_int_equal(deleted, 2);
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[0], id[1]}, 2, &deleted, &fx.err));
    assert_int_equal(deleted, 0);
    const char **paths;
    OK(hg_meta_trash(fx.m, fx.a, 10, &paths, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_true(strcmp(paths[0], r[0].meta.path) == 0 || strcmp(paths[0], r[1].meta.path) == 0);
    OK(hg_meta_trash_done(fx.m, paths, 1, &fx.err));
    OK(hg_meta_trash_done(fx.m, paths, 1, &fx.err));
    OK(hg_meta_trash(fx.m, fx.a, 10, &paths, &n, &fx.err));
    assert_int_equal(n, 1);

    /* An id that was given, published and deleted is not given again, for its file's path is trash. */
    struct hg_alloc w = {.datasource = "ads", .ns = "s", .interval = {0, HOUR}, .stream = "st", .sequence = "g"};
    struct hg_segid a, b;
    OK(hg_meta_allocate(fx.m, fx.a, &w, &a, &fx.err));
    struct hg_segment_meta s = seg("s", 0, HOUR, a.version, a.partition, 0);
    publish(fx.m, &s, 1, true);
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){0, HOUR}, false, NULL, &fx.err));
    hg_segid_text(&a, id[0]);
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[0]}, 1, &deleted, &fx.err));
    assert_int_equal(deleted, 1);
    OK(hg_meta_allocate(fx.m, fx.a, &w, &b, &fx.err));
    assert_int_not_equal(hg_segid_cmp(&a, &b), 0);
}

static void age(int64_t ms)
{
    if (!fx.pg) {
        hg_clock_shift_ms(ms);
        return;
    }
    static const char *const columns[] = {"hg_doc_history SET changed_ms = changed_ms", "hg_audit SET at_ms = at_ms", "hg_publishes SET created_ms = created_ms", "hg_gone SET gone_ms = gone_ms",
                                          "hg_visible_log SET changed_ms = changed_ms"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE %s - %" PRId64, columns[i], ms);
        admin_sql(fx.url, sql);
    }
}

static void pruned(void **state)
{
    (void)state;
    struct hg_pruned done = {0};
    struct hg_interval replaced = {0, 2 * HOUR};
    put_hours("", 0, 2, V1, 1, true);
    struct hg_segment_meta one = seg("", 0, HOUR, V2, 0, 1);
    struct hg_publish p = {.segments = &one, .n_segments = 1, .replaced = &replaced, .n_replaced = 1, .visible = true, .task = "t"};
    OK(hg_meta_publish(fx.m, &p, NULL, &fx.err));
    put_hours("", 0, 1, V3, 1, true);
    for (int i = 0; i < 3; i++) OK(hg_meta_doc_put(fx.m, HG_DOC_RULES, "ads", i ? "[1]" : "[]", -1, "me", "why", NULL, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_RULES, "gone", "[]", -1, "me", "why", NULL, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_RULES, "gone", NULL, -1, "me", "why", NULL, &fx.err));
    OK(hg_meta_audit(fx.m, "me", "x", "{}", &fx.err));
    char id[3][HG_SEGID_TEXT];
    struct hg_segment_meta v1 = seg("", 0, HOUR, V1, 0, 1), v1b = seg("", HOUR, 2 * HOUR, V1, 0, 1);
    hg_segid_text(&one.id, id[0]);
    hg_segid_text(&v1.id, id[1]);
    hg_segid_text(&v1b.id, id[2]);
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[0]}, 1, NULL, &fx.err));

    struct hg_prune w = {HOUR, HOUR, HOUR, HOUR, HOUR}, none = {0};
    OK(hg_meta_prune(fx.m, &w, &done, &fx.err)); /* all is young */
    assert_true(done.doc_history + done.audit + done.publishes + done.gone + done.visible == 0);
    age(40 * DAY);
    OK(hg_meta_prune(fx.m, &none, &done, &fx.err)); /* nothing is asked for */
    assert_true(done.doc_history + done.audit + done.publishes + done.gone + done.visible == 0);
    OK(hg_meta_prune(fx.m, &w, &done, &fx.err));
    assert_int_equal(done.doc_history, 4); /* two older states, and both of what is deleted */
    assert_int_equal(done.audit, 1);
    assert_int_equal(done.publishes, 0); /* V2's replaced interval still hides V1's second hour from a revert */
    assert_int_equal(done.gone, 0);      /* and that V2 is gone must still be known */
    assert_true(done.visible > 0);
    struct hg_visible_change *v;
    size_t n;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, 1, &seq, &whole, &v, &n, &fx.err));
    assert_true(whole && n == 1);
    FAILS(HG_E_CONFLICT, revert(0, 2, V2));
    struct hg_doc_row *d;
    OK(hg_meta_doc_history(fx.m, fx.a, HG_DOC_RULES, NULL, 0, &d, &n, &fx.err));
    assert_true(n == 1 && d[0].version == 3 && strcmp(d[0].author, "me") == 0 && strcmp(d[0].comment, "why") == 0);

    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[1], id[2]}, 2, NULL, &fx.err));
    if (!fx.pg) hg_clock_shift_ms(80 * DAY);
    else age(40 * DAY);
    OK(hg_meta_prune(fx.m, &w, &done, &fx.err));
    hg_clock_shift_ms(0);
    assert_int_equal(done.publishes, 2);
    assert_int_equal(done.gone, 3);
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(there_and_back), T(many_intervals), T(refused), T(replaced_with_nothing), T(longer_segments), T(rows_added_meanwhile), T(newer_publish_meanwhile), T(marked_meanwhile),
        T(random_reverts), T(all_at_once), T(killed), T(listed), T(clean_up), T(pruned),
    };
    int failed = cmocka_run_group_tests_name("sqlite", tests, sqlite_up, sqlite_down);
    if (!getenv("HENGE_TEST_PG") && !pg_server_installed()) {
        fprintf(stderr, "SKIPPED: PostgreSQL 15 is not installed (%s), and HENGE_TEST_PG is not set: the metadata store was tested over SQLite only\n", PG_BIN);
        return failed;
    }
    return failed + cmocka_run_group_tests_name("postgresql", tests, pg_up, pg_down);
}
