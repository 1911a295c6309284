/* Files: whole, durable, and nothing half-written left behind when the disk is full. */
#include "unit/support.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static struct hg_span span(const char *z) { return (struct hg_span){(const uint8_t *)z, strlen(z)}; }

static void expect_file(const char *path, const char *want)
{
    struct hg_err err;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    assert_ok(hg_file_read(path, 1 << 20, &b, &err), err);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.p ? (void *)b.p : "", want, b.len);
    hg_buf_free(&b);
}

struct names { char text[512]; int stop_at, n; };
static enum hg_rc collect(void *arg, const char *name, struct hg_err *err)
{
    struct names *v = arg;
    if (v->stop_at && ++v->n == v->stop_at) return hg_fail(err, HG_E_CANCELLED, "enough");
    size_t n = strlen(v->text);
    snprintf(v->text + n, sizeof v->text - n, "%s%s", n ? " " : "", name);
    return HG_OK;
}
static void expect_names(const char *dir, const char *want)
{
    struct hg_err err;
    struct names v = {0};
    assert_ok(hg_dir_list(dir, collect, &v, &err), err);
    assert_string_equal(v.text, want);
}

static void writes_and_reads(void **state)
{
    (void)state;
    struct hg_err err;
    const char *dir = hg_test_path("rw"), *path = hg_test_path("rw/a");
    assert_ok(hg_dir_make(dir, &err), err);
    assert_ok(hg_file_write_atomic(path, span("first"), &err), err);
    expect_file(path, "first");
    assert_ok(hg_file_write_atomic(path, span("second, longer"), &err), err);
    expect_file(path, "second, longer");
    assert_ok(hg_file_write_atomic(path, (struct hg_span){NULL, 0}, &err), err);
    expect_file(path, "");
    int64_t size = -1;
    assert_ok(hg_file_size(path, &size, &err), err);
    assert_int_equal(size, 0);
    expect_names(dir, "a");
    assert_ok(hg_file_remove(path, &err), err);
    assert_ok(hg_file_remove(path, &err), err);
    expect_names(dir, "");
}

static void limits_of_a_read(void **state)
{
    (void)state;
    struct hg_err err;
    char want[600];
    const char *path = hg_test_path("ten");
    assert_ok(hg_file_write_atomic(path, span("0123456789"), &err), err);
    struct hg_buf b;
    hg_buf_init(&b, 12);
    hg_buf_puts(&b, "ab");
    assert_ok(hg_file_read(path, 10, &b, &err), err); /* both limits met exactly; appends */
    assert_memory_equal(b.p, "ab0123456789", 12);
    snprintf(want, sizeof want, "%s: 10 bytes, more than 9", path);
    assert_fails(hg_file_read(path, 9, &b, &err), HG_E_LIMIT, err, want);
    snprintf(want, sizeof want, "%s: more than 12 bytes", path);
    assert_fails(hg_file_read(path, 100, &b, &err), HG_E_LIMIT, err, want);
    assert_int_equal(b.len, 12);
    hg_buf_free(&b);
    /* A file whose size is not known beforehand. */
    hg_buf_init(&b, 1 << 20);
    assert_ok(hg_file_read("/proc/self/status", 1 << 20, &b, &err), err);
    assert_true(b.len > 100);
    hg_buf_clear(&b);
    assert_fails(hg_file_read("/proc/self/status", 50, &b, &err), HG_E_LIMIT, err, "/proc/self/status: more than 50 bytes");
    hg_buf_free(&b);
}

static void absent_things(void **state)
{
    (void)state;
    struct hg_err err;
    char want[600];
    struct hg_buf b;
    hg_buf_init(&b, 100);
    struct hg_span map;
    int64_t size;
    const char *path = hg_test_path("absent");
    snprintf(want, sizeof want, "%s: cannot open: No such file or directory", path);
    assert_fails(hg_file_read(path, 10, &b, &err), HG_E_NOTFOUND, err, want);
    assert_fails(hg_file_map(path, &map, &err), HG_E_NOTFOUND, err, want);
    assert_fails(hg_file_copy_atomic(path, hg_test_path("x"), &err), HG_E_NOTFOUND, err, want);
    snprintf(want, sizeof want, "%s: cannot stat: No such file or directory", path);
    assert_fails(hg_file_size(path, &size, &err), HG_E_NOTFOUND, err, want);
    snprintf(want, sizeof want, "%s: cannot list: No such file or directory", path);
    assert_fails(hg_dir_list(path, collect, NULL, &err), HG_E_NOTFOUND, err, want);
    assert_ok(hg_dir_remove_all(path, &err), err);
    snprintf(want, sizeof want, "%s: cannot create: No such file or directory", hg_test_path("no/such/file"));
    assert_fails(hg_file_write_atomic(hg_test_path("no/such/file"), span("x"), &err), HG_E_IO, err, want);
}

static void full_disk_leaves_nothing(void **state)
{
    (void)state;
    struct hg_err err;
    char want[600];
    const char *dir = hg_test_path("full"), *path = hg_test_path("full/a"), *copy = hg_test_path("full/b"), *from = hg_test_path("from");
    assert_ok(hg_dir_make(dir, &err), err);
    assert_ok(hg_file_write_atomic(path, span("old"), &err), err);
    assert_ok(hg_file_write_atomic(from, span("something new"), &err), err);
    for (int64_t n = 0; n < 13; n++) {
        hg_file_fail_after(n);
        snprintf(want, sizeof want, "%s: cannot write: No space left on device", path);
        assert_fails(hg_file_write_atomic(path, span("something new"), &err), HG_E_IO, err, want);
        hg_file_fail_after(n);
        snprintf(want, sizeof want, "%s: cannot write: No space left on device", copy);
        assert_fails(hg_file_copy_atomic(from, copy, &err), HG_E_IO, err, want);
        expect_file(path, "old");
        expect_names(dir, "a");
    }
    hg_file_fail_after(13);
    assert_ok(hg_file_write_atomic(path, span("something new"), &err), err);
    assert_int_equal(hg_file_write_atomic(path, span("x"), NULL), HG_E_IO); /* used up */
    hg_file_fail_after(-1);
    assert_ok(hg_file_copy_atomic(from, copy, &err), err);
    expect_file(copy, "something new");
    expect_names(dir, "a b");
}

static void a_target_that_is_a_folder(void **state)
{
    (void)state;
    struct hg_err err;
    const char *dir = hg_test_path("target"), *path = hg_test_path("target/sub");
    assert_ok(hg_dir_make(path, &err), err);
    assert_int_equal(hg_file_write_atomic(path, span("x"), &err), HG_E_IO);
    assert_non_null(strstr(err.msg, "cannot rename onto: Is a directory"));
    expect_names(dir, "sub"); /* no draft left */
}

static void large_copies_and_maps(void **state)
{
    (void)state;
    struct hg_err err;
    uint64_t seed = hg_test_seed();
    struct hg_buf b;
    hg_buf_init(&b, 4 << 20);
    for (int i = 0; i < 150000; i++) hg_buf_u64(&b, hg_test_random(&seed));
    const char *from = hg_test_path("large"), *to = hg_test_path("large2");
    assert_ok(hg_file_write_atomic(from, hg_buf_span(&b), &err), err);
    assert_ok(hg_file_copy_atomic(from, to, &err), err);
    struct hg_span map;
    assert_ok(hg_file_map(to, &map, &err), err);
    assert_int_equal(map.len, b.len);
    assert_memory_equal(map.p, b.p, b.len);
    hg_file_unmap(map);
    assert_ok(hg_file_write_atomic(to, (struct hg_span){NULL, 0}, &err), err);
    assert_ok(hg_file_map(to, &map, &err), err);
    assert_int_equal(map.len, 0);
    hg_file_unmap(map);
    assert_int_equal(hg_file_map(hg_test_dir(), &map, &err), HG_E_IO);
    hg_buf_free(&b);
}

static void folders(void **state)
{
    (void)state;
    struct hg_err err;
    const char *deep = hg_test_path("f/one/two/three"), *f = hg_test_path("f");
    assert_ok(hg_dir_make(deep, &err), err);
    assert_ok(hg_dir_make(deep, &err), err); /* there already */
    char slash[600];
    snprintf(slash, sizeof slash, "%s//x/", f);
    assert_ok(hg_dir_make(slash, &err), err);
    assert_ok(hg_file_write_atomic(hg_test_path("f/b"), span("1"), &err), err);
    assert_ok(hg_file_write_atomic(hg_test_path("f/a"), span("1"), &err), err);
    assert_ok(hg_file_write_atomic(hg_test_path("f/one/two/z"), span("1"), &err), err);
    expect_names(f, "a b one x");
    struct names v = {.stop_at = 2};
    assert_fails(hg_dir_list(f, collect, &v, &err), HG_E_CANCELLED, err, "enough");
    assert_string_equal(v.text, "a");
    assert_int_equal(hg_dir_make(hg_test_path("f/a/sub"), &err), HG_E_IO);
    assert_int_equal(hg_dir_make(hg_test_path("f/a"), &err), HG_E_IO);
    assert_int_equal(hg_dir_make("", &err), HG_E_INVALID);
    assert_ok(hg_dir_sync(f, &err), err);

    /* What a link points to stays. */
    assert_ok(hg_dir_make(hg_test_path("kept"), &err), err);
    assert_ok(hg_file_write_atomic(hg_test_path("kept/a"), span("1"), &err), err);
    assert_int_equal(symlink(hg_test_path("kept"), hg_test_path("f/one/link")), 0);
    assert_ok(hg_dir_remove_all(f, &err), err);
    expect_file(hg_test_path("kept/a"), "1");
    assert_int_equal(access(f, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads),         cmocka_unit_test(limits_of_a_read),          cmocka_unit_test(absent_things),
        cmocka_unit_test(full_disk_leaves_nothing), cmocka_unit_test(a_target_that_is_a_folder), cmocka_unit_test(large_copies_and_maps),
        cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
