/* Extraction functions, one value at a time; what is wanted is what Druid 33 gives. */
#include "help.h"
#include "query/extract/extract.h"
#include "query/filter/eval.h"
#include "query/plan/parse.h"

/* in, out NULL: null. An input that begins with # is a LONG, with ~ a DOUBLE. */
static const struct { const char *fn, *in, *out; } table[] = {
    {"{'type':'identity'}", "a", "a"},
    {"{'type':'identity'}", NULL, NULL},
    {"{'type':'identity'}", "#5", "5"},
    {"{'type':'upper'}", "stra\xc3\x9f" "e", "STRASSE"},
    {"{'type':'upper','locale':'tr'}", "ios", "IOS"},
    {"{'type':'lower'}", "\xc3\x89 A", "\xc3\xa9 a"},
    {"{'type':'upper'}", NULL, NULL},
    {"{'type':'strlen'}", "a\xf0\x9f\x90\x95", "3"},
    {"{'type':'strlen'}", "", "0"},
    {"{'type':'strlen'}", NULL, NULL},
    {"{'type':'strlen'}", "#-12", "3"},
    {"{'type':'substring','index':1}", "abc", "bc"},
    {"{'type':'substring','index':0,'length':2}", "abc", "ab"},
    {"{'type':'substring','index':2,'length':9}", "abc", "c"},
    {"{'type':'substring','index':3}", "abc", NULL},
    {"{'type':'substring','index':0,'length':1}", "", NULL},
    {"{'type':'substring','index':1,'length':1}", "\xc3\xa9\xc3\xa8", "\xc3\xa8"},
    {"{'type':'substring','index':0,'length':1}", "\xf0\x9f\x90\x95", "?"},
    {"{'type':'substring','index':1,'length':2}", "\xf0\x9f\x90\x95z", "?z"},
    {"{'type':'regex','expr':'(.)-(.)'}", "xa-by", "a"},
    {"{'type':'regex','expr':'(.)-(.)','index':2}", "xa-by", "b"},
    {"{'type':'regex','expr':'.-.','index':0}", "xa-by", "a-b"},
    {"{'type':'regex','expr':'(b)?a'}", "a", NULL},
    {"{'type':'regex','expr':'(x)'}", "abc", "abc"},
    {"{'type':'regex','expr':'(x)'}", NULL, NULL},
    {"{'type':'regex','expr':'(x)','replaceMissingValue':true}", "abc", NULL},
    {"{'type':'regex','expr':'(x)','replaceMissingValue':true,'replaceMissingValueWith':'?'}", "abc", "?"},
    {"{'type':'regex','expr':'(x)','replaceMissingValue':true,'replaceMissingValueWith':'?'}", NULL, "?"},
    {"{'type':'partial','expr':'b'}", "abc", "abc"},
    {"{'type':'partial','expr':'^b'}", "abc", NULL},
    {"{'type':'searchQuery','query':{'type':'contains','value':'B'}}", "abc", "abc"},
    {"{'type':'searchQuery','query':{'type':'fragment','values':['B'],'caseSensitive':true}}", "abc", NULL},
    {"{'type':'searchQuery','query':{'type':'insensitive_contains','value':'\xc3\x89'}}", "caf\xc3\xa9", "caf\xc3\xa9"},
    {"{'type':'searchQuery','query':{'type':'all'}}", NULL, NULL},
    {"{'type':'stringFormat','format':'[%s]'}", "a", "[a]"},
    {"{'type':'stringFormat','format':'[%s]'}", NULL, "[null]"},
    {"{'type':'stringFormat','format':'[%s]','nullHandling':'emptyString'}", NULL, "[]"},
    {"{'type':'stringFormat','format':'[%s]','nullHandling':'returnNull'}", NULL, NULL},
    {"{'type':'stringFormat','format':'%5s|%%'}", "ab", "   ab|%"},
    {"{'type':'bucket'}", "#7", "7"},
    {"{'type':'bucket','size':10}", "#-3", "-10"},
    {"{'type':'bucket','size':0.5}", "~1.3", "1"},
    {"{'type':'bucket','size':0.5}", "~1.6", "1.5"},
    {"{'type':'bucket','size':20,'offset':5}", "44", "25"},
    {"{'type':'bucket','size':20}", "18-24", NULL},
    {"{'type':'bucket'}", NULL, NULL},
    {"{'type':'cascade','extractionFns':[{'type':'upper'},{'type':'substring','index':1}]}", "abc", "BC"},
    {"{'type':'cascade','extractionFns':[{'type':'bucket','size':10},{'type':'strlen'}]}", "#125", "3"},
    {"{'type':'cascade','extractionFns':[]}", "abc", NULL},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x','e':''}}}", "a", "x"},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x','e':''}}}", "e", ""},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x','':'empty'}}}", NULL, NULL},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x','':'empty'}}}", "", "empty"},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x'}}}", "b", NULL},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x'}},'retainMissingValue':true}", "b", "b"},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x'}},'replaceMissingValueWith':'m'}", "b", "m"},
    {"{'type':'lookup','lookup':{'type':'map','map':{'a':'x'}},'replaceMissingValueWith':'m'}", NULL, "m"},
    {"{'type':'lookup','lookup':{'type':'map','map':{'1':'one'}}}", "#1", "one"},
    {"{'type':'time','timeFormat':'yyyy/MM/dd','resultFormat':'dd.MM.yyyy'}", "2024/03/08", "08.03.2024"},
    {"{'type':'time','timeFormat':'yyyy/MM/dd','resultFormat':'dd.MM.yyyy'}", "word", "word"},
    {"{'type':'time','timeFormat':'yyyy/MM/dd','resultFormat':'EEE d MMM yyyy','joda':true}", "2024/03/08", "Fri 8 Mar 2024"},
    {"{'type':'time','timeFormat':'yyyy/MM/dd','resultFormat':'yyyy','joda':true}", "2024-03-08", "2024-03-08"},
    {"{'type':'time','timeFormat':'yyyy','resultFormat':'yyyy'}", NULL, NULL},
    {"{'type':'timeFormat','format':'EEEE'}", "#1709856000000", "Friday"},
    {"{'type':'timeFormat','format':'EEEE','locale':'es'}", "#1709856000000", "viernes"},
    {"{'type':'timeFormat','format':'MMMM','locale':'de'}", "#1709856000000", "M\xc3\xa4rz"},
    {"{'type':'timeFormat','format':'yyyy-MM-dd HH','timeZone':'America/Los_Angeles'}", "#1709856000000", "2024-03-07 16"},
    {"{'type':'timeFormat','granularity':'day'}", "#1709890000000", "2024-03-08T00:00:00.000Z"},
    {"{'type':'timeFormat','granularity':'day','timeZone':'Asia/Tokyo'}", "#1709890000000", "2024-03-08T09:00:00.000+09:00"},
    {"{'type':'timeFormat','granularity':'day','asMillis':true}", "#1709890000000", "1709856000000"},
    {"{'type':'timeFormat','format':'HH','asMillis':true}", "1709890000000", "09"},
    {"{'type':'timeFormat','format':'HH'}", "2024-03-08T05:00Z", "05"},
    {"{'type':'timeFormat','format':'HH'}", NULL, NULL},
};

static const struct hg_extract *parse(struct hg_arena *a, const char *text)
{
    static struct hg_plan plan;
    struct hg_parse ps = {.a = a, .plan = &plan};
    const struct hg_extract *f = NULL;
    struct hg_err err;
    char *z = strdup(text);
    for (char *p = z; *p; p++)
        if (*p == '\'') *p = '"';
    json_t *j = json_loads(z, 0, NULL);
    if (!j) fail_msg("%s is no JSON", z);
    if (hg_parse_extract(&ps, j, &hg_jroot, &f, &err) != HG_OK) fail_msg("%s: %s", z, err.msg);
    json_decref(j);
    free(z);
    return f;
}

static void values(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        struct hg_arena *a = hg_arena_new(NULL);
        const struct hg_extract *f = parse(a, table[k].fn);
        const char *in = table[k].in;
        struct hg_fval v = {.null = !in, .type = HG_T_STRING, .s = hg_str_of(in)};
        struct hg_str out;
        struct hg_err err;
        if (in && *in == '#') v.type = HG_T_LONG, v.i = atoll(in + 1);
        if (in && *in == '~') v.type = HG_T_DOUBLE, v.d = atof(in + 1);
        if (hg_extract_apply(f, &v, a, &out, &err) != HG_OK) fail_msg("%s of %s: %s", table[k].fn, in ? in : "null", err.msg);
        if (!hg_str_eq(out, hg_str_of(table[k].out)))
            fail_msg("%s of %s is %.*s, want %s", table[k].fn, in ? in : "null", out.p ? (int)out.len : 4, out.p ? out.p : "null", table[k].out ? table[k].out : "null");
        hg_arena_free(a);
    }
}

static void no_time(void **state)
{
    (void)state;
    struct hg_arena *a = hg_arena_new(NULL);
    const struct hg_extract *f = parse(a, "{'type':'timeFormat','format':'HH'}");
    struct hg_fval v = {.type = HG_T_STRING, .s = HG_STR("noon")};
    struct hg_str out;
    struct hg_err err;
    assert_int_equal(hg_extract_apply(f, &v, a, &out, &err), HG_E_INVALID);
    assert_non_null(strstr(err.msg, "noon"));
    hg_arena_free(a);
}

/* ---- dimensions: what becomes of rows ---- */

static const struct hg_mem_coldef cols[] = {{"__time", HG_T_LONG, NULL, 0}, {"n", HG_T_LONG, "longSum", 0}, {"s", HG_T_STRING, NULL, 0}, {"mv", HG_T_STRING, NULL, 0}, {"l", HG_T_LONG, NULL, 0}};
static const char rows[] = "[[0,1,\"a\",[\"x\",\"y\"],1],[1,2,\"b\",[],2],[2,4,null,\"y\",null],[3,8,\"ab\",[\"y\",null],10]]";

/* The sums of n by value, as rows_text prints them. */
static const struct { const char *dim, *groups, *topn; } dims[] = {
    {"{'type':'extraction','dimension':'s','outputName':'o','extractionFn':{'type':'substring','index':0,'length':1}}", "0|a|9\n0|b|2\n0|null|4\n", NULL},
    {"{'type':'extraction','dimension':'mv','outputName':'o','extractionFn':{'type':'upper'}}", "0|X|1\n0|Y|13\n0|null|10\n", "0|X|1\n0|Y|13\n0|null|8\n"},
    {"{'type':'extraction','dimension':'l','outputName':'o','outputType':'LONG','extractionFn':{'type':'strlen'}}", "0|1|3\n0|2|8\n0|null|4\n", NULL},
    {"{'type':'extraction','dimension':'absent','outputName':'o','extractionFn':{'type':'stringFormat','format':'<%s>'}}", "0|<null>|15\n", NULL},
    {"{'type':'lookup','dimension':'s','outputName':'o','lookup':{'type':'map','map':{'a':'A','b':'A'}},'replaceMissingValueWith':'-'}", "0|-|12\n0|A|3\n", NULL},
    {"{'type':'listFiltered','delegate':'mv','values':['x']}", "0|x|1\n0|null|14\n", "0|x|1\n"},
    {"{'type':'listFiltered','delegate':'mv','values':['x',null],'isWhitelist':false}", "0|y|13\n0|null|2\n", "0|y|13\n"},
    {"{'type':'listFiltered','delegate':'s','values':['a','b']}", "0|a|1\n0|b|2\n0|null|12\n", "0|a|1\n0|b|2\n"},
    {"{'type':'regexFiltered','delegate':'s','pattern':'a'}", "0|a|1\n0|null|14\n", "0|a|1\n"},
    {"{'type':'prefixFiltered','delegate':'s','prefix':'a'}", "0|a|1\n0|ab|8\n0|null|6\n", "0|a|1\n0|ab|8\n"},
    {"{'type':'prefixFiltered','delegate':'l','prefix':'1'}", "0|1|1\n0|10|8\n0|null|6\n", "0|1|1\n0|10|8\n"},
    {"{'type':'listFiltered','delegate':'absent','values':['a']}", "0|null|15\n", ""},
    {"{'type':'listFiltered','delegate':{'type':'extraction','dimension':'s','outputName':'o','extractionFn':{'type':'upper'}},'values':['A']}", "0|A|1\n0|null|14\n", "0|A|1\n"},
    {"{'type':'listFiltered','values':['x','y'],'delegate':{'type':'prefixFiltered','delegate':'mv','prefix':'x'}}", "0|x|1\n0|y|13\n0|null|2\n", "0|x|1\n0|y|13\n"}, /* the inner one is left out */
};

static void check_dim(const char *dim, bool topn, const char *want)
{
    char q[1200];
    struct run r;
    struct hg_partial *p = NULL;
    snprintf(q, sizeof q, "{'queryType':'%s','dataSource':'x','intervals':['1970/1971'],'granularity':'all',%s%s%s,'aggregations':[{'type':'longSum','name':'n','fieldName':'n'}]%s}", topn ? "topN" : "groupBy",
             topn ? "'dimension':" : "'dimensions':[", dim, topn ? "" : "]", topn ? ",'metric':'n','threshold':100" : "");
    for (char *z = q; *z; z++)
        if (*z == '\'') *z = '"';
    struct hg_source *src = hg_mem_source_json(cols, sizeof cols / sizeof *cols, rows, 0);
    if (run_open(&r, q, 0) != HG_OK || run_scan(&r, src, &p) != HG_OK) fail_msg("%s: %s", q, r.err.msg);
    p = run_recode(&r, p);
    char *text = rows_text(r.q, p);
    char *to = text;
    for (const char *z = text; *z; z++)
        if (*z != '"') *to++ = *z; /* keys are quoted, null is not */
    *to = 0;
    if (strcmp(text, want) != 0) fail_msg("%s gives\n%swant\n%s", q, text, want);
    free(text);
    hg_partial_free(p);
    run_close(&r);
    hg_mem_source_free(src);
}

static void dimensions(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof dims / sizeof *dims; k++) {
        check_dim(dims[k].dim, false, dims[k].groups);
        check_dim(dims[k].dim, true, dims[k].topn ? dims[k].topn : dims[k].groups);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(no_time), cmocka_unit_test(dimensions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
