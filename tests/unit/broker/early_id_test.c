#include "../support.h"
#include "broker/early_id.h"

static const struct { const char *json, *id; } table[] = {
    {"{\"context\":{\"queryId\":\"q-1\"}}", "q-1"},
    {" { \"a\" : [1, {\"queryId\":\"no\"}, \"}\"] , \"context\" : { \"timeout\" : 5 , \"queryId\" : \"q 2\" } } ", "q 2"},
    {"{\"context\":{\"queryId\":17,\"x\":null}}", "17"},
    {"{\"context\":{\"queryId\":-17}}", "-17"},
    {"{\"context\":{\"queryId\":1.50}}", NULL}, /* the parser writes it otherwise */
    {"{\"context\":{\"queryId\":true}}", NULL},
    {"{\"context\":{\"queryId\":null}}", NULL},
    {"{\"context\":{\"queryId\":\"a\\u0062\"}}", NULL},
    {"{\"context\":{\"queryId\":\"\"}}", NULL},
    {"{\"context\":{\"queryId\":\"a\"},\"context\":{\"queryId\":\"b\"}}", "b"}, /* the last one counts, as in the parser */
    {"{\"context\":{\"queryId\":\"a\",\"queryId\":\"b\"}}", "b"},
    {"{\"filter\":{\"type\":\"in\",\"values\":[\"context\",\"queryId\",\"a\\\"\",\"\\\\\"]},\"context\":{\"queryId\":\"x\"}}", "x"},
    {"{\"filter\":{\"context\":{\"queryId\":\"x\"}}}", NULL},
    {"{\"context\":\"queryId\"}", NULL},
    {"{\"queryId\":\"x\"}", NULL},
    {"[{\"context\":{\"queryId\":\"x\"}}]", NULL},
    {"{}", NULL},
    {"", NULL},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char id[HG_EARLY_ID] = "";
        bool found = hg_early_query_id(hg_str_of(table[i].json), id);
        if (found != (table[i].id != NULL) || (found && strcmp(id, table[i].id) != 0)) fail_msg("%s: %s", table[i].json, found ? id : "nothing");
    }
}

/* Cut or with a byte changed it reads nothing that is not there, and ends. */
static void test_broken(void **state)
{
    (void)state;
    uint64_t seed = hg_test_seed();
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t n = strlen(table[i].json);
        for (size_t cut = 0; cut <= n; cut++) {
            char id[HG_EARLY_ID], *p = malloc(cut + 1);
            memcpy(p, table[i].json, cut);
            bool found = hg_early_query_id((struct hg_str){p, cut}, id);
            if (found) assert_true(strlen(id) < HG_EARLY_ID);
            if (cut) p[hg_test_random(&seed) % cut] = "{}[]\",:\\x0 "[hg_test_random(&seed) % 12] /* the zero at its end, too */;
            (void)hg_early_query_id((struct hg_str){p, cut}, id);
            free(p);
        }
    }
}

/* Zero bytes, which JSON has nowhere, do not stop it. */
static void test_zeros(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,\0],\"\0\":\0,\"context\":{\"b\":[\0\0],\"queryId\":\"x\"}}";
    for (size_t n = 0; n < sizeof text; n++) {
        char id[HG_EARLY_ID];
        (void)hg_early_query_id((struct hg_str){text, n}, id);
    }
}

static void test_long(void **state)
{
    (void)state;
    char text[1000], id[HG_EARLY_ID];
    for (int n = 200; n < 300; n++) {
        snprintf(text, sizeof text, "{\"context\":{\"queryId\":\"%0*d\"}}", n, 7);
        assert_int_equal(hg_early_query_id(hg_str_of(text), id), n < HG_EARLY_ID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_broken), cmocka_unit_test(test_zeros), cmocka_unit_test(test_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
