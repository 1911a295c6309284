/* What most unit tests want: cmocka with the headers that it needs before it, a folder that goes away at exit, and assertions on errors. */
#ifndef HG_TESTS_UNIT_SUPPORT_H
#define HG_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/file.h"

/* fails the test unless expr gives HG_OK; err is what expr fills */
#define assert_ok(expr, err)                                                                                          \
    do {                                                                                                              \
        enum hg_rc rc_ = (expr);                                                                                      \
        if (rc_ != HG_OK) fail_msg("%s: %s: %s", #expr, hg_rc_name(rc_), rc_ == (err).rc ? (err).msg : "no message"); \
    } while (0)
/* expr gives `want`, and the message is exactly `text` */
#define assert_fails(expr, want, err, text)    \
    do {                                       \
        (err).rc = HG_OK;                      \
        (err).msg[0] = '\0';                   \
        enum hg_rc rc_ = (expr);               \
        assert_string_equal((err).msg, text);  \
        assert_int_equal(rc_, want);           \
        assert_int_equal((err).rc, want);      \
    } while (0)

static char hg_test_dir_path_[] = "/tmp/henge-test-XXXXXX";
static inline void hg_test_dir_remove_(void)
{
    hg_file_fail_after(-1);
    if (hg_dir_remove_all(hg_test_dir_path_, NULL) != HG_OK) fprintf(stderr, "%s is left behind\n", hg_test_dir_path_);
}
/* A folder of this process, made on first use and removed at exit. */
static inline const char *hg_test_dir(void)
{
    static bool made;
    if (!made) {
        if (!mkdtemp(hg_test_dir_path_)) {
            perror("mkdtemp");
            exit(2);
        }
        atexit(hg_test_dir_remove_);
        made = true;
    }
    return hg_test_dir_path_;
}
/* "<that folder>/name"; one of eight buffers in turn. */
static inline const char *hg_test_path(const char *name)
{
    static char buf[8][512];
    static unsigned next;
    char *b = buf[next++ % 8];
    snprintf(b, sizeof buf[0], "%s/%s", hg_test_dir(), name);
    return b;
}

/* A page under the sources that is generated: fails when it differs. HENGE_TEST_UPDATE=1 writes it anew. */
static inline void hg_test_page_is_current(const char *page, void (*generate)(FILE *))
{
    const char *root = getenv("HENGE_SOURCE_DIR");
    if (!root) skip();
    char path[600], *want = NULL;
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", root, page);
    FILE *f = open_memstream(&want, &n);
    assert_non_null(f);
    generate(f);
    fclose(f);
    struct hg_err err;
    if (getenv("HENGE_TEST_UPDATE")) assert_ok(hg_file_write_atomic(path, (struct hg_span){(const uint8_t *)want, n}, &err), err);
    struct hg_buf b;
    hg_buf_init(&b, 1 << 20);
    assert_ok(hg_file_read(path, 1 << 20, &b, &err), err);
    bool same = b.len == n && memcmp(b.p, want, n) == 0;
    hg_buf_free(&b);
    free(want);
    if (!same) fail_msg("%s is not what the sources generate: run this test with HENGE_TEST_UPDATE=1 and look at the difference", path);
}

/* A small generator of its own (SplitMix64), so that a printed seed repeats a run on any machine. */
static inline uint64_t hg_test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
/* HENGE_TEST_SEED, or a fixed one; printed, so that a failure can be repeated. */
static inline uint64_t hg_test_seed(void)
{
    const char *z = getenv("HENGE_TEST_SEED");
    uint64_t seed = z && *z ? strtoull(z, NULL, 10) : 20240501;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

#endif
