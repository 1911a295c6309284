/* The manifest: what was listed is listed after any crash, torn lines cost their own segment alone, and it does not grow for ever. */
#include "unit/support.h"

#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "historical/manifest.h"

static struct hg_err err;

static struct hg_segment_meta meta(unsigned i)
{
    struct hg_segment_meta m = {.id = {"ads", i % 2 ? "x" : "", {1709856000000LL, 1709942400000LL}, "2024-01-01T00:00:00.000Z", i}, .shard = {.kind = HG_SHARD_NUMBERED, .partition = i, .core_partitions = 7},
                                .size_bytes = 1000 + i, .n_rows = i, .path = "ads/\"x\"\n/seg", .file_hash = 0xfedcba9876543210u + i, .dimensions = "country,\xc3\xa4", .metrics = ""};
    return m;
}
static const char *id_of(unsigned i)
{
    static char buf[8][HG_SEGID_TEXT];
    static unsigned next;
    struct hg_segment_meta m = meta(i);
    char *b = buf[next++ % 8];
    hg_segid_text(&m.id, b);
    return b;
}

struct seen {
    struct hg_map *files; /* id -> 1 + number in "f<number>" */
    const char *refuse;
    enum hg_rc fail;
};
static enum hg_rc take(void *arg, const struct hg_segment_meta *m, const char *file, bool *keep, struct hg_err *e)
{
    struct seen *s = arg;
    char id[HG_SEGID_TEXT];
    hg_segid_text(&m->id, id);
    struct hg_segment_meta want = meta(m->id.partition);
    assert_string_equal(m->path, want.path);
    assert_string_equal(m->dimensions, want.dimensions);
    assert_string_equal(m->metrics, want.metrics);
    assert_true(m->file_hash == want.file_hash && m->size_bytes == want.size_bytes && m->n_rows == want.n_rows && m->shard.core_partitions == 7);
    assert_true(*keep);
    assert_true(hg_map_put(s->files, id, (void *)(uintptr_t)(1 + strtoul(file + 1, NULL, 10)), NULL));
    if (s->refuse && strcmp(s->refuse, id) == 0) *keep = false;
    return s->fail ? hg_fail(e, s->fail, "no more") : HG_OK;
}

static struct hg_manifest *reopen(const char *path, struct seen *s)
{
    struct hg_manifest *m;
    hg_map_free(s->files, NULL);
    s->files = hg_map_new();
    assert_ok(hg_manifest_open(path, take, s, &m, &err), err);
    return m;
}
static void add(struct hg_manifest *m, unsigned i, unsigned file)
{
    char name[20];
    struct hg_segment_meta s = meta(i);
    snprintf(name, sizeof name, "f%u", file);
    assert_ok(hg_manifest_add(m, &s, name, &err), err);
}
static void del(struct hg_manifest *m, unsigned i)
{
    const char *id = id_of(i);
    assert_ok(hg_manifest_remove(m, &id, 1, &err), err);
}
static size_t file_of(const struct seen *s, unsigned i) { return (size_t)hg_map_get(s->files, id_of(i)); }

static void listed_until_dropped(void **state)
{
    (void)state;
    const char *path = hg_test_path("plain");
    struct seen s = {0};
    struct hg_manifest *m = reopen(path, &s);
    assert_int_equal(hg_map_size(s.files), 0);
    for (unsigned i = 0; i < 5; i++) add(m, i, i);
    const char *two[] = {id_of(1), id_of(3)};
    assert_ok(hg_manifest_remove(m, two, 2, &err), err);
    assert_ok(hg_manifest_remove(m, two, 0, &err), err);
    add(m, 3, 30); /* again, in another file */
    for (int round = 0; round < 3; round++) { /* and what opening made compact says the same */
        hg_manifest_close(m);
        m = reopen(path, &s);
        assert_int_equal(hg_map_size(s.files), 4);
        assert_int_equal(file_of(&s, 3), 31);
        assert_int_equal(file_of(&s, 1), 0);
        assert_int_equal(file_of(&s, 4), 5);
    }
    hg_manifest_close(m);
    hg_manifest_close(NULL);
    s.refuse = id_of(3);
    hg_manifest_close(reopen(path, &s));
    s.refuse = NULL;
    hg_manifest_close(reopen(path, &s));
    assert_int_equal(hg_map_size(s.files), 3);
    hg_map_free(s.files, NULL);
}

static void a_failed_opening_changes_nothing(void **state)
{
    (void)state;
    const char *path = hg_test_path("failed");
    struct seen s = {0};
    struct hg_manifest *m = reopen(path, &s), *none;
    add(m, 0, 0);
    add(m, 1, 1);
    hg_manifest_close(m);
    s.fail = HG_E_NOMEM;
    assert_int_equal(hg_manifest_open(path, take, &s, &none, &err), HG_E_NOMEM);
    s.fail = HG_OK;
    hg_manifest_close(reopen(path, &s));
    assert_int_equal(hg_map_size(s.files), 2);
    hg_map_free(s.files, NULL);
}

/* Cut anywhere: the lines before are there. One byte changed anywhere: the other lines are there. */
static void torn_anywhere(void **state)
{
    (void)state;
    const char *path = hg_test_path("torn");
    struct seen s = {0};
    struct hg_manifest *m = reopen(path, &s);
    for (unsigned i = 0; i < 3; i++) add(m, i, i);
    del(m, 1);
    hg_manifest_close(m);
    struct hg_buf whole;
    hg_buf_init(&whole, 1 << 20);
    assert_ok(hg_file_read(path, 1 << 20, &whole, &err), err);
    size_t ends[4], n = 0;
    for (size_t i = 0; i < whole.len; i++)
        if (whole.p[i] == '\n') ends[n++] = i + 1;
    assert_int_equal(n, 4);
    for (size_t cut = 0; cut <= whole.len; cut++) {
        bool near = cut < 20;
        for (size_t i = 0; i < 4; i++) near = near || (cut + 2 > ends[i] && cut < ends[i] + 3);
        if (!near && cut % 11) continue; /* each takes two syncs */
        assert_ok(hg_file_write_atomic(path, (struct hg_span){whole.p, cut}, &err), err);
        m = reopen(path, &s);
        size_t want = (cut >= ends[0]) + (cut >= ends[1]) + (cut >= ends[2]) - (cut >= ends[3]);
        assert_int_equal(hg_map_size(s.files), want);
        if (cut % 55 == 0) { /* and what is listed then is found */
            add(m, 9, 9);
            hg_manifest_close(m);
            m = reopen(path, &s);
            assert_int_equal(hg_map_size(s.files), want + 1);
        }
        hg_manifest_close(m);
    }
    for (size_t at = 0; at < whole.len; at++) {
        bool end = at == ends[0] - 1 || at == ends[1] - 1 || at == ends[2] - 1 || at == ends[3] - 1;
        if (at % 13 && !end) continue;
        whole.p[at] ^= 0x15;
        assert_ok(hg_file_write_atomic(path, hg_buf_span(&whole), &err), err);
        whole.p[at] ^= 0x15;
        hg_manifest_close(reopen(path, &s));
        size_t line = at < ends[0] ? 0 : at < ends[1] ? 1 : at < ends[2] ? 2 : 3;
        for (size_t i = 0; i < 3; i++) {
            bool want = i == 1 ? line == 3 : i != line;
            if (at == ends[line] - 1 && line < 3 && i == line + 1 && i != 1) want = false; /* a line end lost: two lines are one */
            if (at == ends[1] - 1 && i == 2) want = false;
            if (at == ends[2] - 1 && i == 1) want = true; /* with the drop behind it */
            assert_int_equal(file_of(&s, (unsigned)i) != 0, want);
        }
    }
    hg_buf_free(&whole);
    hg_map_free(s.files, NULL);
}

/* The disk is full in the middle of a line: it is taken back, and lines after it stand whole. */
static void failed_appends(void **state)
{
    (void)state;
    const char *path = hg_test_path("full");
    struct seen s = {0};
    struct hg_manifest *m = reopen(path, &s);
    add(m, 0, 0);
    struct hg_segment_meta one = meta(1);
    const char *zero = id_of(0);
    for (int room = 0; room < 100; room += 7) {
        hg_file_fail_after(room);
        assert_int_equal(hg_manifest_add(m, &one, "f1", &err), HG_E_IO);
        hg_file_fail_after(room % 50);
        assert_int_equal(hg_manifest_remove(m, &zero, 1, &err), HG_E_IO);
        hg_file_fail_after(-1);
    }
    add(m, 2, 2);
    hg_manifest_close(m);
    hg_manifest_close(reopen(path, &s));
    assert_int_equal(hg_map_size(s.files), 2);
    assert_int_equal(file_of(&s, 2), 3);
    hg_map_free(s.files, NULL);
}

static void it_does_not_grow_for_ever(void **state)
{
    (void)state;
    enum { BATCH = 20000 };
    const char *path = hg_test_path("grown");
    struct seen s = {0};
    struct hg_manifest *m = reopen(path, &s);
    add(m, 5, 5);
    const char **ids = calloc(BATCH, sizeof *ids);
    for (int i = 0; i < BATCH; i++) ids[i] = "nobody";
    int64_t size, most = 0;
    for (int round = 0; round < 10; round++) {
        assert_ok(hg_manifest_remove(m, ids, BATCH, &err), err);
        assert_ok(hg_file_size(path, &size, &err), err);
        if (size > most) most = size;
    }
    assert_true(most < 5 * BATCH * 50);
    add(m, 6, 6);
    free(ids);
    hg_manifest_close(m);
    hg_manifest_close(reopen(path, &s));
    assert_int_equal(hg_map_size(s.files), 2);
    hg_map_free(s.files, NULL);
}

/* Random adds, drops, restarts and crashes against a plain array. */
static void model(void **state)
{
    (void)state;
    enum { N = 40 };
    uint64_t rnd = hg_test_seed();
    const char *path = hg_test_path("model");
    struct seen s = {0};
    unsigned has[N] = {0}, files = 1;
    struct hg_manifest *m = reopen(path, &s);
    for (int step = 0; step < 250; step++) {
        unsigned i = (unsigned)(hg_test_random(&rnd) % N);
        switch (hg_test_random(&rnd) % 12) {
        case 0:
            hg_manifest_close(m);
            if (hg_test_random(&rnd) % 2) { /* a crash in the middle of an append */
                FILE *f = fopen(path, "a");
                fprintf(f, "%016llx {\"drop\":\"%s", 7ULL, id_of(i));
                fclose(f);
            }
            m = reopen(path, &s);
            for (unsigned k = 0; k < N; k++) assert_int_equal(file_of(&s, k), has[k] ? has[k] + 1 : 0);
            break;
        case 1:
        case 2:
        case 3:
            if (has[i]) del(m, i);
            has[i] = 0;
            break;
        default:
            if (!has[i]) add(m, i, has[i] = files++);
        }
    }
    hg_manifest_close(m);
    hg_map_free(s.files, NULL);
}

static void foreign_lines(void **state)
{
    (void)state;
    const char *path = hg_test_path("foreign");
    const char *lines[] = {"{\"add\":\"nonsense\",\"file\":\"f1\"}", "{\"add\":\"%s\"}", "[]", "{}", "{\"add\":\"%s\",\"shard\":{\"type\":\"numbered\",\"partitionNum\":0,\"partitions\":0},\"path\":\"p\",\"size\":1,\"rows\":1,\"hash\":\"1\",\"dimensions\":\"\",\"metrics\":\"\",\"file\":\"../../etc/passwd\"}"};
    struct hg_buf b;
    hg_buf_init(&b, 1 << 16);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[2000];
        const char *at = strstr(lines[i], "%s");
        if (at) snprintf(text, sizeof text, "%.*s%s%s", (int)(at - lines[i]), lines[i], id_of(0), at + 2);
        else snprintf(text, sizeof text, "%s", lines[i]);
        hg_buf_printf(&b, "%016llx %s\n", (unsigned long long)hg_xxh3(text, strlen(text)), text);
    }
    assert_ok(hg_file_write_atomic(path, hg_buf_span(&b), &err), err);
    struct seen s = {0};
    hg_manifest_close(reopen(path, &s));
    assert_int_equal(hg_map_size(s.files), 0);
    hg_buf_free(&b);
    hg_map_free(s.files, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listed_until_dropped), cmocka_unit_test(a_failed_opening_changes_nothing), cmocka_unit_test(torn_anywhere), cmocka_unit_test(failed_appends),
        cmocka_unit_test(it_does_not_grow_for_ever), cmocka_unit_test(model), cmocka_unit_test(foreign_lines),
    };
    return cmocka_run_group_tests_name("historical/manifest", tests, NULL, NULL);
}
