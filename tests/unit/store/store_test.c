/* Deep storage in a folder: what is pushed comes back or is said to be broken; nothing leads out of the root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "store/store.h"

static char dir[] = "/tmp/henge-store-XXXXXX";
static struct hg_store *store;

static const char *at(const char *name)
{
    static char buf[4][600];
    static int next;
    char *b = buf[next++ % 4];
    snprintf(b, 600, "%s/%s", dir, name);
    return b;
}
static void put(const char *name, const char *text)
{
    assert_int_equal(hg_file_write_atomic(at(name), (struct hg_span){(const uint8_t *)text, strlen(text)}, NULL), HG_OK);
}
static void expect(const char *name, const char *text)
{
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    assert_int_equal(hg_file_read(at(name), 1 << 20, &b, NULL), HG_OK);
    assert_int_equal(b.len, strlen(text));
    assert_memory_equal(b.p, text, b.len);
    hg_buf_free(&b);
}

static int setup(void **s)
{
    (void)s;
    if (!mkdtemp(dir)) return -1;
    char url[700];
    snprintf(url, sizeof url, "file://%s/deep/", dir);
    return hg_store_open(url, &store, NULL) ? -1 : 0;
}
static int teardown(void **s)
{
    (void)s;
    hg_store_close(store);
    return hg_dir_remove_all(dir, NULL) ? -1 : 0;
}

static void push_pull(void **state)
{
    (void)state;
    struct hg_err err = {0};
    put("a", "hello");
    put("b", "other");
    if (hg_store_push(store, at("a"), "ads/2024/x.seg", &err)) fail_msg("%s", err.msg);
    assert_int_equal(hg_store_push(store, at("a"), "ads/2024/x.seg", NULL), HG_OK); /* again */
    assert_int_equal(hg_store_push(store, at("b"), "ads/2024/x.seg", &err), HG_E_CONFLICT);
    uint64_t hash = hg_xxh3("hello", 5);
    assert_int_equal(hg_store_pull(store, "ads/2024/x.seg", at("out"), 5, hash, &err), HG_OK);
    expect("out", "hello");
    assert_int_equal(hg_store_pull(store, "ads/2024/x.seg", at("out"), 0, 0, &err), HG_OK);
    assert_int_equal(hg_store_pull(store, "ads/2024/none.seg", at("out2"), 5, hash, &err), HG_E_NOTFOUND);
    assert_int_equal(hg_store_pull(store, "ads/2024/x.seg/under", at("out2"), 5, hash, &err), HG_E_NOTFOUND);
    assert_int_equal(hg_store_pull(store, "ads/2024/x.seg", at("out2"), 6, hash, &err), HG_E_CORRUPT);
    assert_int_equal(hg_store_pull(store, "ads/2024/x.seg", at("out2"), 5, hash + 1, &err), HG_E_CORRUPT);
    assert_non_null(strstr(err.msg, "ads/2024/x.seg"));
    assert_int_not_equal(access(at("out2"), F_OK), 0);
    assert_int_equal(hg_store_push(store, at("none"), "ads/2024/y.seg", &err), HG_E_NOTFOUND);
    assert_int_equal(hg_store_delete(store, "ads/2024/x.seg", &err), HG_OK);
    assert_int_equal(hg_store_delete(store, "ads/2024/x.seg", &err), HG_OK);
    assert_int_not_equal(access(at("deep/ads"), F_OK), 0); /* emptied folders went with it */
    assert_int_equal(access(at("deep"), F_OK), 0);
}

static struct stat stat_of(const char *path)
{
    struct stat st;
    if (stat(path, &st)) fail_msg("%s: no such file", path);
    return st;
}

/* A sealed file is in deep storage by a second name, so it may be removed here; one that may change is copied. */
static void sealed(void **state)
{
    (void)state;
    struct hg_err err = {0};
    put("a", "hello");
    put("b", "other");
    if (hg_store_push_sealed(store, at("a"), "ads/s.seg", &err)) fail_msg("%s", err.msg);
    assert_int_equal(stat_of(at("deep/ads/s.seg")).st_ino, stat_of(at("a")).st_ino);
    assert_int_equal(stat_of(at("a")).st_nlink, 2);
    assert_int_equal(hg_store_push_sealed(store, at("a"), "ads/s.seg", &err), HG_OK); /* again */
    assert_int_equal(hg_store_push_sealed(store, at("b"), "ads/s.seg", &err), HG_E_CONFLICT);
    assert_int_equal(stat_of(at("b")).st_nlink, 1);
    put("a", "another file of that name");
    expect("deep/ads/s.seg", "hello");
    assert_int_equal(stat_of(at("deep/ads/s.seg")).st_nlink, 1);
    assert_int_equal(symlink(at("b"), at("to-b")), 0);
    assert_int_equal(hg_store_push_sealed(store, at("to-b"), "ads/l.seg", &err), HG_OK); /* what it leads to, not the link */
    assert_true(S_ISREG(stat_of(at("deep/ads/l.seg")).st_mode));
    expect("deep/ads/l.seg", "other");
    assert_int_equal(hg_store_push(store, at("b"), "ads/c.seg", &err), HG_OK);
    assert_int_equal(stat_of(at("b")).st_nlink, 1);
    assert_int_equal(hg_store_push_sealed(store, at("none"), "ads/n.seg", &err), HG_E_NOTFOUND);
    static const char *const mine[] = {"ads/s.seg", "ads/l.seg", "ads/c.seg"};
    for (size_t i = 0; i < 3; i++) assert_int_equal(hg_store_delete(store, mine[i], &err), HG_OK);
    assert_int_equal(unlink(at("to-b")), 0);
}

static void paths(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "./a", "a/.part/x", ".part/x"};
    put("a", "hello");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hg_err err = {0};
        if (hg_store_push(store, at("a"), bad[i], &err) != HG_E_INVALID || !err.msg[0]) fail_msg("taken: %s", bad[i]);
        if (hg_store_pull(store, bad[i], at("out"), 0, 0, &err) != HG_E_INVALID) fail_msg("taken: %s", bad[i]);
        if (hg_store_delete(store, bad[i], &err) != HG_E_INVALID) fail_msg("taken: %s", bad[i]);
    }
    char *big = calloc(1, 3000);
    memset(big, 'a', 2999);
    assert_int_equal(hg_store_push(store, at("a"), big, NULL), HG_E_INVALID);
    free(big);
    struct hg_store *s;
    struct hg_err err;
    assert_int_equal(hg_store_open("s3://bucket/x", &s, &err), HG_E_UNSUPPORTED);
    assert_non_null(strstr(err.msg, "s3"));
    assert_int_equal(hg_store_open("/plain/path", &s, &err), HG_E_INVALID);
    assert_int_equal(hg_store_open("file://relative", &s, &err), HG_E_INVALID);
    put("afile", "x");
    char url[700];
    snprintf(url, sizeof url, "file://%s/afile/deep", dir);
    assert_int_not_equal(hg_store_open(url, &s, &err), HG_OK);
}

struct seen { char text[500]; };
static enum hg_rc see(void *arg, const char *path, int64_t size, struct hg_err *err)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    (void)err;
    snprintf(s->text + n, sizeof s->text - n, "%s:%" PRId64 " ", path, size);
    return HG_OK;
}
static void list(void **state)
{
    (void)state;
    put("a", "hello");
    static const char *const have[] = {"ads/1/x", "ads/1/y", "ads/2/x", "adsb/x", "top"};
    static const struct { const char *prefix, *want; } t[] = {
        {"", "ads/1/x:5 ads/1/y:5 ads/2/x:5 adsb/x:5 top:5 "}, {"ads/", "ads/1/x:5 ads/1/y:5 ads/2/x:5 "}, {"ads", "ads/1/x:5 ads/1/y:5 ads/2/x:5 adsb/x:5 "},
        {"ads/1/y", "ads/1/y:5 "}, {"ads/1/yy", ""}, {"none/at/all", ""}, {"top", "top:5 "},
    };
    for (size_t i = 0; i < 5; i++) assert_int_equal(hg_store_push(store, at("a"), have[i], NULL), HG_OK);
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        struct seen s = {""};
        assert_int_equal(hg_store_list(store, t[i].prefix, see, &s, NULL), HG_OK);
        assert_string_equal(s.text, t[i].want);
    }
    for (size_t i = 0; i < 5; i++) assert_int_equal(hg_store_delete(store, have[i], NULL), HG_OK);
}

/* Pushes of one path with two contents at once: every push says OK or CONFLICT, and those that were told OK find their content. */
struct racer { const char *file; int ok, conflict; };
static void *race(void *arg)
{
    struct racer *r = arg;
    for (int i = 0; i < 50; i++) {
        char path[64];
        snprintf(path, sizeof path, "race/%d/x", i);
        enum hg_rc rc = hg_store_push(store, r->file, path, NULL);
        r->ok += rc == HG_OK;
        r->conflict += rc == HG_E_CONFLICT;
    }
    return NULL;
}
static void races(void **state)
{
    (void)state;
    put("a", "hello");
    put("b", "other");
    char a[600], b[600];
    snprintf(a, sizeof a, "%s", at("a"));
    snprintf(b, sizeof b, "%s", at("b"));
    struct racer r[2] = {{a, 0, 0}, {b, 0, 0}};
    pthread_t t[2];
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, race, &r[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    assert_int_equal(r[0].ok + r[0].conflict, 50);
    assert_int_equal(r[1].ok + r[1].conflict, 50);
    assert_int_equal(r[0].ok + r[1].ok, 50);
}

static void disk_full(void **state)
{
    (void)state;
    put("a", "hello");
    struct hg_err err;
    hg_file_fail_after(2);
    assert_int_equal(hg_store_push(store, at("a"), "full/x", &err), HG_E_IO);
    hg_file_fail_after(-1);
    assert_int_equal(hg_store_pull(store, "full/x", at("out3"), 5, 0, &err), HG_E_NOTFOUND);
    assert_int_equal(hg_store_push(store, at("a"), "full/x", &err), HG_OK);
    hg_file_fail_after(2);
    assert_int_equal(hg_store_pull(store, "full/x", at("out3"), 5, 0, &err), HG_E_IO);
    hg_file_fail_after(-1);
    assert_int_not_equal(access(at("out3"), F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(push_pull), cmocka_unit_test(sealed), cmocka_unit_test(paths), cmocka_unit_test(list), cmocka_unit_test(races), cmocka_unit_test(disk_full)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
