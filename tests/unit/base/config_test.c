/* Configuration: which source wins, every refusal with its text, masked secrets, and the manual's page. */
#include "unit/support.h"

#include <unistd.h>

#include "base/config.h"

/* One load: environment as "NAME=value" pairs, a file's text, and words after the program's name. */
struct input {
    enum hg_role role;
    const char *argv[8];
    const char *env[4];
    const char *file;
};

static char file_path[512];
static char *rest[16];
static int n_rest;

static enum hg_rc load(const struct input *in, struct hg_cfg **out, struct hg_err *err)
{
    char *argv[12] = {(char *)"henge"};
    int argc = 1;
    for (int i = 0; i < 8 && in->argv[i]; i++) argv[argc++] = (char *)in->argv[i];
    char config_flag[600];
    if (in->file) {
        assert_ok(hg_file_write_atomic(file_path, (struct hg_span){(const uint8_t *)in->file, strlen(in->file)}, err), *err);
        snprintf(config_flag, sizeof config_flag, "--config=%s", file_path);
        argv[argc++] = config_flag;
    }
    char *set[4] = {0};
    for (int i = 0; i < 4 && in->env[i]; i++) {
        set[i] = strdup(in->env[i]);
        *strchr(set[i], '=') = '\0';
        setenv(set[i], strchr(in->env[i], '=') + 1, 1);
    }
    enum hg_rc rc = hg_cfg_load(in->role, argc, argv, out, rest, &n_rest, err);
    for (int i = 0; i < 4 && set[i]; i++) {
        unsetenv(set[i]);
        free(set[i]);
    }
    return rc;
}

static void precedence(void **state)
{
    (void)state;
    static const struct { struct input in; int64_t port; } rows[] = {
        {{HG_ROLE_STANDALONE, {NULL}, {NULL}, NULL}, 8888},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, NULL}, 8082},
        {{HG_ROLE_COORDINATOR, {NULL}, {NULL}, NULL}, 8081},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "http.port = 1"}, 1},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_HTTP_PORT=2"}, "http.port = 1"}, 2},
        {{HG_ROLE_BROKER, {"--http-port=3"}, {"HENGE_HTTP_PORT=2"}, "http.port = 1"}, 3},
        {{HG_ROLE_BROKER, {"--http-port", "3"}, {NULL}, "http.port = 1"}, 3},
        {{HG_ROLE_BROKER, {"--http.port", "3"}, {NULL}, NULL}, 3},
        {{HG_ROLE_BROKER, {"--port", "3"}, {NULL}, NULL}, 3},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_HTTP_PORT="}, "http.port = 1"}, 1}, /* set to nothing is not set */
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "server.capacity = 1GB\nhttp.port = 5 # of another role, and a comment"}, 5},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_err err;
        struct hg_cfg *c;
        assert_ok(load(&rows[i].in, &c, &err), err);
        assert_int_equal(hg_cfg_int(c, "http.port"), rows[i].port);
        hg_cfg_free(c);
    }
    hg_cfg_free(NULL);
}

static void values(void **state)
{
    (void)state;
    static const struct { const char *key, *text; int64_t want; } numbers[] = {
        {"http.max_body", "2048", 2048},          {"http.max_body", "2KiB", 2048},   {"http.max_body", "2Ki", 2048},  {"http.max_body", "2 kb", 2000},
        {"http.max_body", "2M", 2000000},         {"http.max_body", "1gib", 1 << 30}, {"server.memory", "0", 0},
        {"query.timeout", "250ms", 250},          {"query.timeout", "250", 250},     {"query.timeout", "5m", 300000}, {"query.timeout", "2 h", 7200000},
        {"query.timeout", "1d", 86400000},        {"http.port", "0", 0},             {"http.port", "65535", 65535},
    };
    struct hg_err err;
    struct hg_cfg *c;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char file[200];
        snprintf(file, sizeof file, "%s = %s\n", numbers[i].key, numbers[i].text);
        assert_ok(load(&(struct input){.role = HG_ROLE_STANDALONE, .file = file}, &c, &err), err);
        assert_int_equal(hg_cfg_int(c, numbers[i].key), numbers[i].want);
        hg_cfg_free(c);
    }
    static const struct { const char *line, *want; } texts[] = {
        {"data.dir=/a b", "/a b"}, {"  data.dir  =\t/a  \r", "/a"}, {"data.dir = /a#b # c", "/a#b"}, {"data.dir = \" x # \\\" \\\\ \\n \" # c", " x # \" \\ \\n "},
        {"data.dir =", ""}, {"data.dir = a=b", "a=b"}, {"# all\n\n \t\n#x\ndata.dir = /z", "/z"}, {"data.dir = #", ""},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_ok(load(&(struct input){.role = HG_ROLE_STANDALONE, .file = texts[i].line}, &c, &err), err);
        assert_string_equal(hg_cfg_str(c, "data.dir"), texts[i].want);
        hg_cfg_free(c);
    }
}

static void refusals(void **state)
{
    (void)state;
    static const struct { struct input in; const char *want; } rows[] = {
        {{HG_ROLE_BROKER, {"--http-port=abc"}, {NULL}, NULL}, "http.port = \"abc\" (flag --http-port): not a whole number"},
        {{HG_ROLE_BROKER, {"--http-port="}, {NULL}, NULL}, "http.port = \"\" (flag --http-port): not a whole number"},
        {{HG_ROLE_BROKER, {"--port=70000"}, {NULL}, NULL}, "http.port = \"70000\" (flag --port): out of range, 0 to 65535"},
        {{HG_ROLE_BROKER, {"--http-port", "1", "--http.port=2"}, {NULL}, NULL}, "http.port = \"2\" (flag --http.port): given twice"},
        {{HG_ROLE_BROKER, {"--http-port"}, {NULL}, NULL}, "flag --http-port: its value is missing"},
        {{HG_ROLE_BROKER, {"--http-port", "--http-host=x"}, {NULL}, NULL}, "flag --http-port: its value is missing"},
        {{HG_ROLE_BROKER, {"--http-prot=1"}, {NULL}, NULL}, "--http-prot = \"1\" (flag): no such setting; did you mean --http-port?"},
        {{HG_ROLE_BROKER, {"--frobnicate", "yes"}, {NULL}, NULL}, "--frobnicate = \"yes\" (flag): no such setting"},
        {{HG_ROLE_BROKER, {"--cluster-secrt=hunter2"}, {NULL}, NULL}, "--cluster-secrt = \"********\" (flag): no such setting; did you mean --cluster-secret?"},
        {{HG_ROLE_BROKER, {"--server-capacity=1GB"}, {NULL}, NULL}, "server.capacity = \"1GB\" (flag --server-capacity): not a setting of henge broker"},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_QUERY_TIMEOUT=5 minutes"}, NULL},
         "query.timeout = \"5 minutes\" (environment HENGE_QUERY_TIMEOUT): not a duration, such as 250ms, 30s, 5m, 1h or 2d"},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_QUERY_TIMEOUT=2d"}, NULL}, "query.timeout = \"2d\" (environment HENGE_QUERY_TIMEOUT): out of range, 1ms to 1d"},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_QUERY_TIMEOUT=99999999999999d"}, NULL},
         "query.timeout = \"99999999999999d\" (environment HENGE_QUERY_TIMEOUT): not a duration, such as 250ms, 30s, 5m, 1h or 2d"},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_HTP_PORT=1"}, NULL}, "HENGE_HTP_PORT = \"1\" (environment): no such setting; did you mean HENGE_HTTP_PORT?"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "\nhttp.prt = 1\n"}, "http.prt = \"1\" (FILE:2): no such setting; did you mean http.port?"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "http.port = 1\n\nhttp.port = 2"}, "http.port = \"2\" (FILE:3): given twice, also on line 1"},
        {{HG_ROLE_BROKER, {"--http-port=9"}, {NULL}, "http.port = x"}, "http.port = \"x\" (FILE:1): not a whole number"}, /* though overridden */
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "http.max_body = 1XB"}, "http.max_body = \"1XB\" (FILE:1): not a size in bytes, such as 1048576, 512MiB or 2GB"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "http.max_body = 1"}, "http.max_body = \"1\" (FILE:1): out of range, 1KiB to 4GiB"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "query.memory = 1K"}, "query.memory = \"1K\" (FILE:1): out of range, at least 1MiB"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "http.port 1"}, "FILE:1: expected \"key = value\", got \"http.port 1\""},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "= 1"}, "FILE:1: expected \"key = value\", got \"= 1\""},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "data.dir = \"x"}, "FILE:1: data.dir: text after, or missing, the closing quote"},
        {{HG_ROLE_BROKER, {NULL}, {NULL}, "data.dir = \"x\" y"}, "FILE:1: data.dir: text after, or missing, the closing quote"},
        {{HG_ROLE_BROKER, {"--config"}, {NULL}, NULL}, "flag --config: its value is missing"},
        {{HG_ROLE_BROKER, {"--config", "/no/such"}, {NULL}, NULL}, "configuration file: /no/such: cannot open: No such file or directory"},
        {{HG_ROLE_BROKER, {NULL}, {"HENGE_CONFIG=/no/such"}, NULL}, "configuration file: /no/such: cannot open: No such file or directory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct hg_err err = {HG_OK, ""};
        struct hg_cfg *c = NULL;
        enum hg_rc rc = load(&rows[i].in, &c, &err);
        if (rc == HG_OK) fail_msg("accepted, but wanted: %s", rows[i].want);
        /* FILE stands for the file's path. */
        char want[1200];
        const char *at = strstr(rows[i].want, "FILE");
        if (at) snprintf(want, sizeof want, "%.*s%s%s", (int)(at - rows[i].want), rows[i].want, file_path, at + 4);
        else snprintf(want, sizeof want, "%s", rows[i].want);
        assert_string_equal(err.msg, want);
        assert_int_equal(err.rc, rc);
        assert_null(c);
    }
}

static void words_that_are_no_flags(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_cfg *c;
    struct input in = {.role = HG_ROLE_INDEX, .argv = {"spec.json", "--data", "/d", "--check-config", "-", "--", "--http-port=x"}};
    assert_ok(load(&in, &c, &err), err);
    assert_string_equal(hg_cfg_str(c, "data.dir"), "/d");
    assert_int_equal(n_rest, 4);
    assert_string_equal(rest[0], "spec.json");
    assert_true(hg_cfg_asked(rest, &n_rest, "--check-config"));
    assert_false(hg_cfg_asked(rest, &n_rest, "--help"));
    assert_int_equal(n_rest, 3);
    assert_string_equal(rest[1], "-");
    assert_string_equal(rest[2], "--http-port=x");
    hg_cfg_free(c);

    /* ctl keeps the options of its commands. */
    struct input ctl = {.role = HG_ROLE_CTL, .argv = {"segment", "dump", "--rows=5", "--meta-url=sqlite:///x", "f.seg"}};
    assert_ok(load(&ctl, &c, &err), err);
    assert_int_equal(n_rest, 4);
    assert_string_equal(rest[2], "--rows=5");
    assert_string_equal(hg_cfg_str(c, "meta.url"), "sqlite:///x");
    hg_cfg_free(c);
}

static void variables_of_others_are_left_alone(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_cfg *c;
    struct input in = {.role = HG_ROLE_BROKER, .env = {"HENGE_TEST_SEED=5", "HENGE_BROKER_SERVICE_HOST=10.0.0.1", "HENGE_BROKER_PORT=tcp://10.0.0.1:8082", "HENGE_BROKER_PORT_8082_TCP_ADDR=10.0.0.1"}};
    assert_ok(load(&in, &c, &err), err);
    hg_cfg_free(c);
}

static char *printed(const struct hg_cfg *c)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    hg_cfg_print(c, f);
    fclose(f);
    return text;
}

static void prints_values_with_origin_and_no_secret(void **state)
{
    (void)state;
    struct hg_err err;
    struct hg_cfg *c;
    struct input in = {.role = HG_ROLE_BROKER,
                       .argv = {"--cluster-secret=hunter2", "--meta-url=postgres://henge:hunt:er@2@db:5432/henge?x=1&password=hunter2&y=2", "--data-dir= a \"#\\ "},
                       .env = {"HENGE_HTTP_PORT=99"},
                       .file = "http.host = ::1\n"};
    assert_ok(load(&in, &c, &err), err);
    assert_string_equal(hg_cfg_str(c, "cluster.secret"), "hunter2");
    char *text = printed(c);
    assert_null(strstr(text, "hunt"));
    assert_non_null(strstr(text, "cluster.secret = ********"));
    assert_non_null(strstr(text, "meta.url = postgres://henge:********@db:5432/henge?x=1&password=********&y=2"));
    assert_non_null(strstr(text, "# environment HENGE_HTTP_PORT\n"));
    assert_null(strstr(text, "# flag --http-port"));
    char where[600];
    snprintf(where, sizeof where, "# %s:1\n", file_path);
    assert_non_null(strstr(text, where));
    assert_non_null(strstr(text, "query.timeout = 300s"));
    assert_null(strstr(text, "server.capacity")); /* no setting of a broker */
    hg_cfg_free(c);

    /* What is printed is a file that gives the same again (but for the secrets). */
    assert_ok(load(&(struct input){.role = HG_ROLE_BROKER, .file = text}, &c, &err), err);
    assert_string_equal(hg_cfg_str(c, "data.dir"), " a \"#\\ ");
    assert_int_equal(hg_cfg_int(c, "http.port"), 99);
    assert_string_equal(hg_cfg_str(c, "http.host"), "::1");
    assert_string_equal(hg_cfg_str(c, "log.level"), "info");
    hg_cfg_free(c);
    free(text);

    /* A refused secret is not told either. */
    assert_int_equal(load(&(struct input){.role = HG_ROLE_BROKER, .argv = {"--cluster-secret=a", "--cluster-secret=hunter2"}}, &c, &err), HG_E_INVALID);
    assert_string_equal(err.msg, "cluster.secret = \"********\" (flag --cluster-secret): given twice");
}

/* Defaults must pass their own checks for every role; flags, variables and names must be distinct. */
static void the_table_is_sound(void **state)
{
    (void)state;
    for (unsigned role = HG_ROLE_INGEST; role <= HG_ROLE_CTL; role *= 2) {
        struct hg_err err;
        struct hg_cfg *c;
        assert_ok(load(&(struct input){.role = (enum hg_role)role}, &c, &err), err);
        hg_cfg_free(c);
    }
    for (size_t i = 0; i < hg_cfg_n_keys; i++) {
        const struct hg_cfg_key *k = &hg_cfg_keys[i];
        assert_int_equal(strspn(k->name, "abcdefghijklmnopqrstuvwxyz0123456789._"), strlen(k->name));
        assert_true(k->roles != 0);
        assert_true(strlen(k->text) > 10 && (k->text[strlen(k->text) - 1] == '.' || k->text[strlen(k->text) - 1] == ')'));
        for (size_t j = 0; j < i; j++) {
            char a[100], b[100];
            snprintf(a, sizeof a, "%s", k->name);
            snprintf(b, sizeof b, "%s", hg_cfg_keys[j].name);
            for (char *p = a; *p; p++) *p = *p == '.' ? '_' : *p;
            for (char *p = b; *p; p++) *p = *p == '.' ? '_' : *p;
            assert_string_not_equal(a, b);
        }
    }
}

static void help_lists_a_roles_flags(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    hg_cfg_usage(HG_ROLE_BROKER, f);
    fclose(f);
    assert_non_null(strstr(text, "  --http-port=whole number  [8082]\n"));
    assert_non_null(strstr(text, "--check-config"));
    assert_null(strstr(text, "--server-capacity"));
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) assert_true(strcspn(line, "\n") <= 140);
    free(text);
}

static void the_page_is_current(void **state)
{
    (void)state;
    hg_test_page_is_current("docs/configuration.md", hg_cfg_markdown);
}

int main(void)
{
    snprintf(file_path, sizeof file_path, "%s", hg_test_path("henge.conf"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(values),
        cmocka_unit_test(refusals),
        cmocka_unit_test(words_that_are_no_flags),
        cmocka_unit_test(variables_of_others_are_left_alone),
        cmocka_unit_test(prints_values_with_origin_and_no_secret),
        cmocka_unit_test(the_table_is_sound),
        cmocka_unit_test(help_lists_a_roles_flags),
        cmocka_unit_test(the_page_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
