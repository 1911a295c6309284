/* Each line is one JSON object with what was given, whatever was given. */
#include "unit/support.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"

static int fd;

static int setup(void **state)
{
    (void)state;
    fd = open(hg_test_path("log"), O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
    hg_log_set_file(fd);
    hg_log_set_level(HG_LOG_INFO);
    return fd < 0;
}
static int teardown(void **state)
{
    (void)state;
    hg_log_set_file(2);
    return close(fd);
}

/* All lines so far, as an array. */
static json_t *lines(void)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 4 << 20);
    assert_ok(hg_file_read(hg_test_path("log"), 4 << 20, &b, &err), err);
    json_t *all = json_array();
    const char *at = (const char *)b.p, *end = at + b.len;
    while (at < end) {
        const char *nl = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(nl);
        json_error_t je;
        json_t *one = json_loadb(at, (size_t)(nl - at), 0, &je);
        if (!one) fail_msg("%s: %.*s", je.text, (int)(nl - at), at);
        json_array_append_new(all, one);
        at = nl + 1;
    }
    hg_buf_free(&b);
    return all;
}

static void fields(void **state)
{
    (void)state;
    hg_clock_shift_ms(0);
    int64_t before = hg_clock_now_ms();
    hg_log(HG_LOG_WARN, "ingest", "publish \"done\"", "segments", HG_LI(-7), "datasource", HG_LS("ads\n\x80"), "none", HG_LS(NULL), "share", HG_LD(0.25), "nan",
           HG_LD(NAN), "inf", HG_LD(-INFINITY), "late", HG_LB(true), NULL);
    json_t *all = lines(), *l = json_array_get(all, 0);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_string_value(json_object_get(l, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(l, "component")), "ingest");
    assert_string_equal(json_string_value(json_object_get(l, "event")), "publish \"done\"");
    assert_int_equal(json_integer_value(json_object_get(l, "segments")), -7);
    assert_string_equal(json_string_value(json_object_get(l, "datasource")), "ads\n\xEF\xBF\xBD");
    assert_true(json_is_null(json_object_get(l, "none")));
    assert_true(json_real_value(json_object_get(l, "share")) == 0.25);
    assert_string_equal(json_string_value(json_object_get(l, "nan")), "NaN");
    assert_string_equal(json_string_value(json_object_get(l, "inf")), "-Infinity");
    assert_true(json_is_true(json_object_get(l, "late")));
    int y, mo, d, h, mi, s, ms;
    assert_int_equal(sscanf(json_string_value(json_object_get(l, "time")), "%d-%d-%dT%d:%d:%d.%dZ", &y, &mo, &d, &h, &mi, &s, &ms), 7);
    assert_true(y >= 2024 && before > INT64_C(1700000000000));
    json_decref(all);
}

static void levels(void **state)
{
    (void)state;
    hg_log(HG_LOG_DEBUG, "c", "unseen", NULL);
    hg_log_set_level(HG_LOG_DEBUG);
    hg_log(HG_LOG_DEBUG, "c", "seen", NULL);
    hg_log_set_level(HG_LOG_ERROR);
    hg_log(HG_LOG_WARN, "c", "unseen", NULL);
    hg_log(HG_LOG_ERROR, "c", "seen", NULL);
    json_t *all = lines();
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 0), "level")), "debug");
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "level")), "error");
    json_decref(all);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char *big = malloc(100001);
    memset(big, '\x01', 100000); /* six bytes each, escaped */
    big[100000] = '\0';
    hg_log(HG_LOG_INFO, "c", "e", "a", HG_LS(big), "b", HG_LS(big), "n", HG_LI(1), NULL);
    json_t *all = lines(), *l = json_array_get(all, 0);
    assert_int_equal(json_array_size(all), 1);
    assert_int_equal(json_string_length(json_object_get(l, "a")), 8192);
    assert_null(json_object_get(l, "b"));
    assert_true(json_is_true(json_object_get(l, "cut")));
    json_decref(all);
    free(big);
}

static void *chatter(void *arg)
{
    for (int i = 0; i < 500; i++) hg_log(HG_LOG_INFO, "thread", "line", "who", HG_LI((intptr_t)arg), "i", HG_LI(i), NULL);
    return NULL;
}
static void threads_do_not_mix(void **state)
{
    (void)state;
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, chatter, (void *)i), 0);
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    json_t *all = lines();
    assert_int_equal(json_array_size(all), 2000);
    json_decref(all);
}

static void the_clock_can_be_turned(void **state)
{
    (void)state;
    int64_t mono = hg_clock_mono_ms(), now = hg_clock_now_ms();
    hg_clock_shift_ms(INT64_C(86400000) * 365);
    assert_true(hg_clock_now_ms() - now >= INT64_C(86400000) * 365);
    assert_true(hg_clock_mono_ms() - mono < 86400000);
    hg_clock_shift_ms(0);
    assert_true(hg_clock_now_ms() - now < 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields, setup, teardown),
        cmocka_unit_test_setup_teardown(levels, setup, teardown),
        cmocka_unit_test_setup_teardown(long_texts_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_mix, setup, teardown),
        cmocka_unit_test(the_clock_can_be_turned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
