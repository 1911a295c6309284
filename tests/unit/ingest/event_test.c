/* Events to rows: JSON types, times in every format, nested paths, lists, CSV's quotes, and each reason for not being a row. */
#include "unit/support.h"

#include "base/json.h"
#include "ingest/event.h"

#define T 1709895845123LL /* 2024-03-08T11:04:05.123Z */

static bool borrowing;   /* events stay where they are, as those of a batch task do */
static char *kept[10000];
static size_t n_kept;

struct setup {
    struct hg_arena *a;
    struct hg_kafka_spec *spec;
    struct hg_event_parser *p;
};

static char *quoted(const char *text)
{
    char *copy = strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    return copy;
}

static struct setup setup_of(const char *time_spec, const char *format)
{
    struct setup s = {.a = hg_arena_new(NULL)};
    char text[2000];
    snprintf(text, sizeof text,
             "{'type':'kafka','spec':{'dataSchema':{'dataSource':'d','timestampSpec':%s,'dimensionsSpec':{'dimensions':['a','b','c']},"
             "'metricsSpec':[{'type':'count','name':'n'},{'type':'longSum','name':'m','fieldName':'v'}]},"
             "'ioConfig':{'topic':'t','inputFormat':%s,'consumerProperties':{'bootstrap.servers':'x'}}}}",
             time_spec, format);
    char *q = quoted(text);
    json_t *j;
    struct hg_err err;
    assert_ok(hg_json_parse(hg_str_of(q), &j, &err), err);
    assert_ok(hg_kafka_spec_parse(s.a, j, NULL, &s.spec, &err), err);
    assert_ok(hg_event_parser_new(&s.spec->data, &s.spec->format, &s.p, &err), err);
    if (borrowing) hg_event_parser_borrow(s.p);
    json_decref(j);
    free(q);
    return s;
}
static void teardown(struct setup *s)
{
    while (n_kept) free(kept[--n_kept]);
    hg_event_parser_free(s->p);
    hg_arena_free(s->a);
}

static enum hg_bad_event parse(struct setup *s, const char *text, struct hg_row *row, char why[256])
{
    char *q = quoted(text);
    if (borrowing) {
        size_t n = strlen(q);
        assert_true(n_kept < sizeof kept / sizeof *kept);
        q = kept[n_kept++] = realloc(q, n + HG_EVENT_SLACK); /* no end mark: what lies behind is of no matter */
        memset(q + n, '"', HG_EVENT_SLACK);
        return hg_event_parse(s->p, (struct hg_span){(const uint8_t *)q, n}, row, why, 256);
    }
    enum hg_bad_event e = hg_event_parse(s->p, (struct hg_span){(const uint8_t *)q, strlen(q)}, row, why, 256);
    memset(q, '#', strlen(q)); /* the row must not borrow from it */
    free(q);
    return e;
}

/* A value as a word: "null", "s:text", "i:5", "d:1.5", "[x,y]". */
static const char *word(const struct hg_value *v)
{
    static char buf[300];
    switch (v->kind) {
    case HG_V_NULL: return "null";
    case HG_V_STR: snprintf(buf, sizeof buf, "s:%.*s", (int)v->u.s.len, v->u.s.p); return buf;
    case HG_V_LONG: snprintf(buf, sizeof buf, "i:%lld", (long long)v->u.i); return buf;
    case HG_V_DOUBLE: snprintf(buf, sizeof buf, "d:%g", v->u.d); return buf;
    case HG_V_LIST: {
        size_t at = (size_t)snprintf(buf, sizeof buf, "[");
        for (uint32_t i = 0; i < v->u.list.n; i++) {
            struct hg_str e = v->u.list.v[i];
            at += (size_t)snprintf(buf + at, sizeof buf - at, "%s%.*s", i ? "," : "", e.p ? (int)e.len : 4, e.p ? e.p : "null");
        }
        snprintf(buf + at, sizeof buf - at, "]");
        return buf;
    }
    default: return "?";
    }
}

static void json_values(void **state)
{
    (void)state;
    static const struct { const char *value, *want; } cases[] = {
        {"'x'", "s:x"}, {"''", "s:"}, {"null", "null"}, {"5", "i:5"}, {"-9223372036854775808", "i:-9223372036854775808"}, {"18446744073709551615", "s:18446744073709551615"},
        {"1.5", "d:1.5"}, {"1e3", "d:1000"}, {"true", "s:true"}, {"false", "s:false"}, {"['x','y']", "[x,y]"}, {"[]", "[]"}, {"['x',null,3,true]", "[x,null,3,true]"},
        {"{'k':1}", "s:{\"k\":1}"}, {"'\\u00e4\\n'", "s:\xc3\xa4\n"}, {"[['n']]", "[[\"n\"]]"},
    };
    struct setup s = setup_of("{'column':'ts','format':'millis'}", "{'type':'json'}");
    struct hg_row row;
    char why[256], text[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(text, sizeof text, "{'ts':5,'other':{'a':1},'a':%s}", cases[i].value);
        assert_int_equal(parse(&s, text, &row, why), HG_EV_OK);
        assert_int_equal(row.time, 5);
        if (strcmp(word(&row.dims[0]), cases[i].want) != 0) fail_msg("%s gives %s, want %s", cases[i].value, word(&row.dims[0]), cases[i].want);
        assert_int_equal(row.dims[1].kind, HG_V_NULL);
    }
    assert_int_equal(parse(&s, "{'a':'first','ts':1,'a':'last','v':3}", &row, why), HG_EV_OK);
    assert_string_equal(word(&row.dims[0]), "s:last");
    assert_string_equal(word(&row.metrics[1]), "i:3");
    teardown(&s);
}

static void rows_of_a_batch_stay(void **state)
{
    (void)state;
    struct setup s = setup_of("{'column':'ts','format':'millis'}", "{'type':'json'}");
    struct hg_row rows[200];
    char why[256], text[100], want[30];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 200; i++) {
            snprintf(text, sizeof text, "{'ts':%d,'a':'value-%d','b':['l%d']}", i, i, i);
            assert_int_equal(parse(&s, text, &rows[i], why), HG_EV_OK);
        }
        for (int i = 0; i < 200; i++) {
            snprintf(want, sizeof want, "s:value-%d", i);
            assert_string_equal(word(&rows[i].dims[0]), want);
            snprintf(want, sizeof want, "[l%d]", i);
            assert_string_equal(word(&rows[i].dims[1]), want);
        }
        hg_event_parser_reset(s.p);
    }
    teardown(&s);
}

static void times(void **state)
{
    (void)state;
    static const struct { const char *format, *value; long long want; /* -1: bad */ } cases[] = {
        {"auto", "1709895845123", T}, {"auto", "'1709895845123'", T}, {"auto", "'2024-03-08T11:04:05.123Z'", T}, {"auto", "'2024-03-08 11:04:05.123'", T}, {"auto", "'2024-03-08'", 1709856000000},
        {"auto", "'2024-03-08T11:04:05.123+01:00'", T - 3600000}, {"auto", "'soon'", -1}, {"auto", "true", -1}, {"auto", "[1]", -1}, {"auto", "''", -1},
        {"iso", "'2024-03-08T11:04:05.123Z'", T}, {"iso", "'2024-03-08T11'", 1709895600000}, {"iso", "'11:04'", -1}, {"iso", "1.5", -1},
        {"millis", "1709895845123", T}, {"millis", "'1709895845123'", T}, {"millis", "1709895845123.9", T}, {"millis", "'2024-03-08'", -1}, {"millis", "-5", -5},
        {"posix", "1709895845", T - 123}, {"posix", "1709895845.123", T}, {"posix", "'1709895845.123'", T}, {"posix", "9223372036854775807", -1},
        {"micro", "1709895845123456", T}, {"nano", "1709895845123456789", T}, {"nano", "'1709895845123456789'", T}, {"millis", "9223372036854775807", -1}, {"millis", "1e300", -1},
    };
    char spec[100], text[200], why[256];
    struct hg_row row;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(spec, sizeof spec, "{'column':'ts','format':'%s'}", cases[i].format);
        snprintf(text, sizeof text, "{'ts':%s}", cases[i].value);
        struct setup s = setup_of(spec, "{'type':'json'}");
        enum hg_bad_event e = parse(&s, text, &row, why);
        if (cases[i].want == -1) {
            if (e != HG_EV_BAD_TIME || !strstr(why, "\"ts\"")) fail_msg("%s %s: %s \"%s\"", cases[i].format, cases[i].value, hg_bad_event_name(e), why);
        } else if (e != HG_EV_OK || row.time != cases[i].want) fail_msg("%s %s: %s, time %lld, want %lld", cases[i].format, cases[i].value, hg_bad_event_name(e), (long long)row.time, cases[i].want);
        teardown(&s);
    }
    struct setup s = setup_of("{'column':'ts','format':'iso','missingValue':'2024-03-08T11:04:05.123Z'}", "{'type':'json'}");
    assert_int_equal(parse(&s, "{'a':1}", &row, why), HG_EV_OK);
    assert_int_equal(row.time, T);
    teardown(&s);
}

static void bad_events(void **state)
{
    (void)state;
    static const struct { const char *text; enum hg_bad_event want; } cases[] = {
        {"", HG_EV_EMPTY}, {"nonsense", HG_EV_MALFORMED}, {"{'ts':1", HG_EV_MALFORMED}, {"[1]", HG_EV_MALFORMED}, {"5", HG_EV_MALFORMED}, {"{'ts':1}{", HG_EV_MALFORMED}, {"{'ts':1,'z':tru}", HG_EV_MALFORMED},
        {"{'ts':1,'a':'\xff'}", HG_EV_MALFORMED}, {"{}", HG_EV_NO_TIME}, {"{'ts':null}", HG_EV_NO_TIME}, {"{'ts':{}}", HG_EV_BAD_TIME}, {"   ", HG_EV_MALFORMED},
    };
    struct setup s = setup_of("{'column':'ts','format':'millis'}", "{'type':'json'}");
    struct hg_row row;
    char why[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum hg_bad_event e = parse(&s, cases[i].text, &row, why);
        if (e != cases[i].want) fail_msg("%s: %s (%s), want %s", cases[i].text, hg_bad_event_name(e), why, hg_bad_event_name(cases[i].want));
        assert_true(e == HG_EV_EMPTY || why[0]);
    }
    size_t n = (16 << 20) + 1;
    uint8_t *large = malloc(n);
    memset(large, ' ', n);
    assert_int_equal(hg_event_parse(s.p, (struct hg_span){large, n}, &row, why, sizeof why), HG_EV_TOO_LARGE);
    free(large);
    assert_int_equal(parse(&s, "{'ts':7}", &row, why), HG_EV_OK); /* goes on after all that */
    teardown(&s);
}

static void nested_paths(void **state)
{
    (void)state;
    struct setup s = setup_of("{'column':'when','format':'millis'}", "{'type':'json','flattenSpec':{'fields':["
                              "{'type':'path','name':'when','expr':'$.meta.times[1]'},{'type':'path','name':'a','expr':'$.user.country'},"
                              "{'type':'root','name':'b','expr':'odd.name'},{'type':'path','name':'c','expr':'$[\\u0027user\\u0027][\\u0027tags\\u0027]'}]}}");
    struct hg_row row;
    char why[256];
    assert_int_equal(parse(&s, "{'meta':{'times':[1,42]},'user':{'country':'fr','tags':['x','y']},'odd.name':9,'a':'not this'}", &row, why), HG_EV_OK);
    assert_int_equal(row.time, 42);
    assert_string_equal(word(&row.dims[0]), "s:fr");
    assert_string_equal(word(&row.dims[1]), "i:9");
    assert_string_equal(word(&row.dims[2]), "[x,y]");
    assert_int_equal(parse(&s, "{'meta':{'times':[1,42]},'user':'x'}", &row, why), HG_EV_OK);
    assert_int_equal(row.dims[0].kind, HG_V_NULL);
    assert_int_equal(parse(&s, "{'meta':{'times':[1]}}", &row, why), HG_EV_NO_TIME);
    teardown(&s);
}

static void csv_and_tsv(void **state)
{
    (void)state;
    static const struct { bool tsv; const char *line, *a, *b, *c; } cases[] = {
        {false, "5,x,y,3", "s:x", "s:y", "s:3"},
        {false, "5,'x,1','say ''hi''',3", "s:x,1", "s:say \"hi\"", "s:3"},
        {false, "5,,'',3", "null", "s:", "s:3"},
        {false, "5,x", "s:x", "null", "null"},
        {false, "5,x,y,3,more,and more", "s:x", "s:y", "s:3"},
        {false, "5,p|q,y,3", "[p,q]", "s:y", "s:3"},
        {true, "5\tx\t\t3", "s:x", "s:", "s:3"},
        {true, "5\t'x'\ty\t3", "s:\"x\"", "s:y", "s:3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct setup s = setup_of("{'column':'ts','format':'millis'}", cases[i].tsv ? "{'type':'tsv','columns':['ts','a','b','c'],'listDelimiter':'|'}" : "{'type':'csv','columns':['ts','a','b','c'],'listDelimiter':'|'}");
        struct hg_row row;
        char why[256];
        assert_int_equal(parse(&s, cases[i].line, &row, why), HG_EV_OK);
        assert_int_equal(row.time, 5);
        const char *want[] = {cases[i].a, cases[i].b, cases[i].c};
        for (int k = 0; k < 3; k++)
            if (strcmp(word(&row.dims[k]), want[k]) != 0) fail_msg("%s: column %d is %s, want %s", cases[i].line, k, word(&row.dims[k]), want[k]);
        teardown(&s);
    }
    struct setup s = setup_of("{'column':'ts','format':'millis'}", "{'type':'csv','columns':['ts','a','b','c']}");
    struct hg_row row;
    char why[256];
    assert_int_equal(parse(&s, "5,'open", &row, why), HG_EV_MALFORMED);
    assert_int_equal(parse(&s, "5,'x'y,z", &row, why), HG_EV_MALFORMED);
    assert_int_equal(parse(&s, "abc,x", &row, why), HG_EV_BAD_TIME);
    assert_int_equal(parse(&s, ",x", &row, why), HG_EV_NO_TIME);
    teardown(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_values), cmocka_unit_test(rows_of_a_batch_stay), cmocka_unit_test(times), cmocka_unit_test(bad_events), cmocka_unit_test(nested_paths), cmocka_unit_test(csv_and_tsv),
    };
    int failed = cmocka_run_group_tests_name("ingest/event", tests, NULL, NULL);
    borrowing = true;
    return failed + cmocka_run_group_tests_name("ingest/event, borrowed", tests, NULL, NULL);
}
