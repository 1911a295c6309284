/* Load and drop rules: reading, writing, and which applies, by Druid's tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "coordinator/rulebook.h"
#include "coordinator/rules.h"

static struct hg_err err;
static struct hg_arena *a;
#define OK(e)                                                 \
    do {                                                      \
        if ((e) != HG_OK) fail_msg("%s: %s", #e, err.msg);    \
    } while (0)

static int up(void **state)
{
    (void)state;
    a = hg_arena_new(NULL);
    return a ? 0 : -1;
}
static int down(void **state)
{
    (void)state;
    hg_arena_free(a);
    return 0;
}

/* JSON with ' for ". */
static json_t *json(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *j = NULL;
    OK(hg_json_parse(hg_str_of(copy), &j, &err));
    free(copy);
    return j;
}
static enum hg_rc parse(const char *text, struct hg_rules *out)
{
    json_t *j = json(text);
    enum hg_rc rc = hg_rules_parse(a, j, &hg_jroot, out, &err);
    json_decref(j);
    return rc;
}
static int64_t at(const char *text)
{
    int64_t t = 0;
    OK(hg_time_parse(hg_str_of(text), NULL, &t, &err));
    return t;
}
static struct hg_interval iv(const char *text)
{
    struct hg_interval i = {0};
    OK(hg_interval_parse(hg_str_of(text), &i, &err));
    return i;
}

/* ---- reading ---- */

static void written_as_druid_writes(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } t[] = {
        {"[]", "[]"},
        {"[{'type':'loadForever'}]", "[{'tieredReplicants':{'_default_tier':2},'useDefaultTierForNull':true,'type':'loadForever'}]"},
        {"[{'type':'loadForever','tieredReplicants':null,'useDefaultTierForNull':false}]", "[{'tieredReplicants':{},'useDefaultTierForNull':false,'type':'loadForever'}]"},
        {"[{'type':'loadForever','tieredReplicants':{}}]", "[{'tieredReplicants':{},'useDefaultTierForNull':true,'type':'loadForever'}]"},
        {"[{'type':'loadByPeriod','period':'P1M','tieredReplicants':{'hot':2,'cold':'1'},'other':1,'namespace':'x'}]",
         "[{'period':'P1M','includeFuture':true,'tieredReplicants':{'cold':1,'hot':2},'useDefaultTierForNull':true,'namespace':'x','type':'loadByPeriod'}]"},
        {"[{'type':'loadByInterval','interval':'2024-01-01/P1D','tieredReplicants':{'hot':0}}]",
         "[{'interval':'2024-01-01T00:00:00.000Z/2024-01-02T00:00:00.000Z','tieredReplicants':{'hot':0},'useDefaultTierForNull':true,'type':'loadByInterval'}]"},
        {"[{'type':'dropByPeriod','period':'P1Y','includeFuture':false},{'type':'dropBeforeByPeriod','period':'P7D'},{'type':'dropByInterval','interval':'2024/2025'},{'type':'dropForever','namespace':''}]",
         "[{'period':'P1Y','includeFuture':false,'type':'dropByPeriod'},{'period':'P7D','type':'dropBeforeByPeriod'},"
         "{'interval':'2024-01-01T00:00:00.000Z/2025-01-01T00:00:00.000Z','type':'dropByInterval'},{'namespace':'','type':'dropForever'}]"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_rules r;
        OK(parse(t[i].in, &r));
        json_t *out = hg_rules_json(&r), *want = json(t[i].out);
        char *text = json_dumps(out, JSON_COMPACT);
        if (!json_equal(out, want)) fail_msg("%s: %s", t[i].in, text);
        OK(hg_rules_parse(a, out, &hg_jroot, &r, &err)); /* and read again */
        free(text);
        json_decref(out);
        json_decref(want);
    }
}

static void faults(void **state)
{
    (void)state;
    static const struct { const char *in, *says; } t[] = {
        {"{}", "$: expected an array"},
        {"[1]", "$[0]: expected an object"},
        {"[{}]", "$[0].type: required"},
        {"[{'type':'loadForever'},{'type':'loadforever'}]", "$[1].type: there is no rule type \"loadforever\"; there are loadForever"},
        {"[{'type':'broadcastForever'}]", "$[0].type: rules of type \"broadcastForever\" are not supported"},
        {"[{'type':'broadcastByPeriod'}]", "not supported"},
        {"[{'type':'loadByPeriod'}]", "$[0].period: required"},
        {"[{'type':'loadByPeriod','period':'1M'}]", "$[0].period:"},
        {"[{'type':'loadByPeriod','period':'P-1M'}]", "$[0].period: the period P-1M is negative"},
        {"[{'type':'loadByPeriod','period':'P1M','includeFuture':'maybe'}]", "$[0].includeFuture:"},
        {"[{'type':'dropByInterval'}]", "$[0].interval: required"},
        {"[{'type':'dropByInterval','interval':'2024'}]", "$[0].interval:"},
        {"[{'type':'loadForever','tieredReplicants':[]}]", "$[0].tieredReplicants: expected an object"},
        {"[{'type':'loadForever','tieredReplicants':{'hot':-1}}]", "$[0].tieredReplicants.hot: -1 replicas"},
        {"[{'type':'loadForever','tieredReplicants':{'hot':null}}]", "$[0].tieredReplicants.hot: expected an integer, got null"},
        {"[{'type':'loadForever','tieredReplicants':{'hot':1000}}]", "1000 replicas"},
        {"[{'type':'loadForever','tieredReplicants':{'a/b':1}}]", "$[0].tieredReplicants: tier \"a/b\""},
        {"[{'type':'dropForever','namespace':'a b'}]", "$[0].namespace:"},
        {"[{'type':'dropForever','namespace':7}]", "$[0].namespace: expected a string"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_rules r;
        err.msg[0] = 0;
        if (parse(t[i].in, &r) != HG_E_INVALID || !strstr(err.msg, t[i].says)) fail_msg("%s: \"%s\", expected \"%s\"", t[i].in, err.msg, t[i].says);
    }
}

/* ---- deciding ---- */

/* Which rule of the list applies: its index, -1: none. Both ways of asking must agree. */
static int find(const struct hg_rules *own, const struct hg_rules *defaults, struct hg_interval s, const char *ns, int64_t now)
{
    struct hg_rules_at *r;
    OK(hg_rules_at(a, own, defaults, now, &r, &err));
    const struct hg_rule *x = hg_rules_find(own, defaults, s, ns, now), *y = hg_rules_at_find(r, s, ns);
    assert_ptr_equal(x, y);
    if (!x) return -1;
    if (x >= own->v && x < own->v + own->n) return (int)(x - own->v);
    return 100 + (int)(x - defaults->v);
}

static void one_rule(void **state)
{
    (void)state;
    static const struct { const char *rule, *segment, *now; bool applies; } t[] = {
        {"{'type':'loadForever'}", "1970/1971", "2024-03-08T12:00", true},
        {"{'type':'dropForever'}", "1970/1971", "2024-03-08T12:00", true},
        /* load: overlap */
        {"{'type':'loadByInterval','interval':'2024-03-01/2024-03-08'}", "2024-03-07/P1D", "2024-03-08", true},
        {"{'type':'loadByInterval','interval':'2024-03-01/2024-03-08'}", "2024-03-08/P1D", "2024-03-08", false},
        {"{'type':'loadByInterval','interval':'2024-03-01/2024-03-08'}", "2024-01-01/P1Y", "2024-03-08", true},
        {"{'type':'loadByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-08T12:00", true},  /* still overlaps the last 12 hours of it */
        {"{'type':'loadByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-09", false},
        {"{'type':'loadByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-08T23:59:59.999", true},
        {"{'type':'loadByPeriod','period':'P7D'}", "2030-01-01/P1D", "2024-03-08", true},
        {"{'type':'loadByPeriod','period':'P7D','includeFuture':false}", "2030-01-01/P1D", "2024-03-08", false},
        {"{'type':'loadByPeriod','period':'P7D','includeFuture':false}", "2024-03-08/P1D", "2024-03-08", false},
        {"{'type':'loadByPeriod','period':'P7D','includeFuture':false}", "2024-03-08/P1D", "2024-03-08T00:00:00.001", true},
        {"{'type':'loadByPeriod','period':'P1M'}", "2024-02-28/P1D", "2024-03-31", false}, /* a month before the 31st of March is the 29th of February */
        {"{'type':'loadByPeriod','period':'P1M'}", "2024-02-29/P1D", "2024-03-31", true},
        /* drop: containment */
        {"{'type':'dropByInterval','interval':'2024-03-01/2024-03-08'}", "2024-03-07/P1D", "2024-03-08", true},
        {"{'type':'dropByInterval','interval':'2024-03-01/2024-03-08'}", "2024-03-07/P2D", "2024-03-08", false},
        {"{'type':'dropByInterval','interval':'2024-03-01/2024-03-08'}", "2024-03-01/P7D", "2024-03-08", true},
        {"{'type':'dropByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-08", true},
        {"{'type':'dropByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-08T00:00:00.001", false},
        {"{'type':'dropByPeriod','period':'P7D'}", "2030-01-01/P1D", "2024-03-08", true},
        {"{'type':'dropByPeriod','period':'P7D','includeFuture':false}", "2024-03-07/P1D", "2024-03-08", true},
        {"{'type':'dropByPeriod','period':'P7D','includeFuture':false}", "2024-03-07/P1D", "2024-03-07T23:00", false},
        {"{'type':'dropBeforeByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-09", true},
        {"{'type':'dropBeforeByPeriod','period':'P7D'}", "2024-03-01/P1D", "2024-03-08T23:59", false},
        {"{'type':'dropBeforeByPeriod','period':'P7D'}", "2024-03-08/P1D", "2024-03-09", false},
        {"{'type':'loadByPeriod','period':'P5000Y'}", "-146136543-09-08T08:23:32.096Z/146140482-04-24T15:36:27.903Z", "2024-03-09", true},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct hg_rules r, none = {0};
        char list[300];
        snprintf(list, sizeof list, "[%s]", t[i].rule);
        OK(parse(list, &r));
        int got = find(&r, &none, iv(t[i].segment), "", at(t[i].now));
        if ((got == 0) != t[i].applies) fail_msg("%s to %s at %s: %d", t[i].rule, t[i].segment, t[i].now, got);
        assert_int_equal(hg_rule_drops(&r.v[0]), strncmp(t[i].rule, "{'type':'drop", 13) == 0);
    }
}

static void first_match(void **state)
{
    (void)state;
    struct hg_rules own, defaults, none = {0};
    OK(parse("[{'type':'loadByPeriod','period':'P7D','namespace':'delivery','tieredReplicants':{'hot':2}},{'type':'loadByPeriod','period':'P7D','tieredReplicants':{'hot':1}},"
             "{'type':'dropForever','namespace':''}]",
             &own));
    OK(parse("[{'type':'loadByPeriod','period':'P1Y','tieredReplicants':{'cold':1,'_default_tier':0}},{'type':'dropForever'}]", &defaults));
    int64_t now = at("2024-03-08");
    assert_int_equal(find(&own, &defaults, iv("2024-03-07/P1D"), "delivery", now), 0);
    assert_int_equal(find(&own, &defaults, iv("2024-03-07/P1D"), "conversions", now), 1);
    assert_int_equal(find(&own, &defaults, iv("2024-03-07/P1D"), NULL, now), 1);
    assert_int_equal(find(&own, &defaults, iv("2024-02-07/P1D"), "", now), 2);
    assert_int_equal(find(&own, &defaults, iv("2024-02-07/P1D"), NULL, now), 2); /* the default namespace, unnamed */
    assert_int_equal(find(&own, &defaults, iv("2024-02-07/P1D"), "delivery", now), 100);
    assert_int_equal(find(&own, &defaults, iv("2020-02-07/P1D"), "delivery", now), 101);
    assert_int_equal(find(&own, &none, iv("2020-02-07/P1D"), "delivery", now), -1);
    assert_int_equal(find(&none, &none, iv("2020-02-07/P1D"), "delivery", now), -1);
    struct hg_rules d = hg_rules_default();
    assert_int_equal(find(&none, &d, iv("2020-02-07/P1D"), "x", now), 100);
    assert_true(d.v[0].n_tiers == 1 && d.v[0].tiers[0].n == 1 && strcmp(d.v[0].tiers[0].tier, HG_DEFAULT_TIER) == 0);
}

/* ---- the book ---- */

static void book(void **state)
{
    (void)state;
    char dir[] = "/tmp/henge-rules-XXXXXX", url[100];
    struct hg_meta *m;
    struct hg_rulebook *b;
    assert_non_null(mkdtemp(dir));
    snprintf(url, sizeof url, "sqlite://%s/meta.db", dir);
    OK(hg_meta_open(url, &m, &err));
    OK(hg_rulebook_load(m, a, &b, &err));
    assert_int_equal(hg_rulebook_own(b, "ads").n, 0);
    assert_int_equal(hg_rulebook_defaults(b).n, 1);

    json_t *j = json("[{'type':'loadByPeriod','period':'P7D','tieredReplicants':{'hot':2}}]"), *bad = json("[{'type':'x'}]"), *empty = json_array(), *d = json("[{'type':'dropForever'}]");
    int64_t version;
    OK(hg_rulebook_put(m, "ads", j, "me", "a week is hot", &version, &err));
    assert_int_equal(version, 1);
    OK(hg_rulebook_put(m, "zoo", d, "me", "", &version, &err));
    OK(hg_rulebook_put(m, "boo", empty, NULL, NULL, &version, &err));
    OK(hg_rulebook_put(m, HG_DEFAULT_RULES, d, "me", "", &version, &err));
    assert_int_equal(hg_rulebook_put(m, "ads", bad, "me", "", &version, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "$[0].type"));
    assert_int_equal(hg_rulebook_put(m, HG_DEFAULT_RULES, empty, "me", "", &version, &err), HG_E_INVALID);
    assert_int_equal(hg_rulebook_put(m, "a/b", d, "me", "", &version, &err), HG_E_INVALID);
    OK(hg_rulebook_load(m, a, &b, &err));
    assert_int_equal(hg_rulebook_own(b, "ads").n, 1);
    assert_int_equal(hg_rulebook_own(b, "boo").n, 0);
    assert_int_equal(hg_rulebook_own(b, "nobody").n, 0);
    const char *const *names;
    size_t n;
    hg_rulebook_names(b, &names, &n);
    assert_true(n == 2 && strcmp(names[0], "ads") == 0 && strcmp(names[1], "zoo") == 0);
    struct hg_rules_at *r;
    OK(hg_rulebook_at(b, a, "ads", at("2024-03-08"), &r, &err));
    const struct hg_rule *hot = hg_rules_at_find(r, iv("2024-03-07/P1D"), ""), *old = hg_rules_at_find(r, iv("2023-03-07/P1D"), "");
    assert_string_equal(hot->tiers[0].tier, "hot");
    assert_true(hg_rule_drops(old));
    struct hg_doc_row *h;
    OK(hg_meta_doc_history(m, a, HG_DOC_RULES, "ads", 10, &h, &n, &err));
    assert_true(n == 1 && strcmp(h[0].author, "me") == 0 && strcmp(h[0].comment, "a week is hot") == 0);
    struct hg_audit_row *log;
    OK(hg_meta_audit_list(m, a, 0, 10, &log, &n, &err));
    assert_true(n == 4 && strcmp(log[0].what, "rules") == 0);

    /* A page that does not parse fails the book. */
    OK(hg_meta_doc_put(m, HG_DOC_RULES, "ads", "[{\"type\":\"loadSometimes\"}]", -1, "", "", NULL, &err));
    assert_int_equal(hg_rulebook_load(m, a, &b, &err), HG_E_CORRUPT);
    assert_non_null(strstr(err.msg, "stored rules of ads, version 2: $[0].type"));
    json_decref(j);
    json_decref(bad);
    json_decref(empty);
    json_decref(d);
    hg_meta_close(m);
    OK(hg_dir_remove_all(dir, &err));
}

#define T(f) cmocka_unit_test_setup_teardown(f, up, down)
int main(void)
{
    const struct CMUnitTest tests[] = {T(written_as_druid_writes), T(faults), T(one_rule), T(first_match), T(book)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
