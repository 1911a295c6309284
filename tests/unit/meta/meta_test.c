/* The metadata store over SQLite and over PostgreSQL 15: the same tests. Races, crashes and outages are in meta_race_test.c. */
#include "meta_fixture.h"

#include "base/clock.h"

/* ---- versions and allocation ---- */

static void versions_ascend(void **state)
{
    (void)state;
    struct hg_meta *other = open_store();
    char last[HG_TIME_TEXT] = "", v[HG_TIME_TEXT];
    for (int i = 0; i < 50; i++) {
        OK(hg_meta_new_version(i % 2 ? other : fx.m, v, &fx.err));
        assert_true(strcmp(v, last) > 0);
        assert_int_equal(strlen(v), 24);
        memcpy(last, v, sizeof v);
    }
    hg_meta_close(other);
}

static struct hg_segid alloc_in(const char *stream, const char *sequence, int64_t start, int64_t end)
{
    struct hg_alloc w = {.datasource = "ads", .ns = "live", .interval = {start, end}, .stream = stream, .sequence = sequence};
    struct hg_segid id = {0};
    OK(hg_meta_allocate(fx.m, fx.a, &w, &id, &fx.err));
    return id;
}

static void publish_stream(const struct hg_segid *id)
{
    struct hg_segment_meta s = seg(id->ns, id->interval.start, id->interval.end, id->version, id->partition, 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = "s"};
    OK(hg_meta_publish(fx.m, &p, NULL, &fx.err));
}

static void allocation(void **state)
{
    (void)state;
    struct hg_segid a = alloc_in("s", "g0", 0, HOUR), b = alloc_in("s", "g0", 0, HOUR), c = alloc_in("s", "g1", 0, HOUR), d = alloc_in("t", "g0", 0, HOUR);
    assert_int_equal(hg_segid_cmp(&a, &b), 0); /* asked again: the same */
    assert_string_equal(a.version, c.version);
    assert_true(a.partition == 0 && c.partition == 1 && d.partition == 2);
    struct hg_segid day = alloc_in("u", "g0", 0, DAY), later = alloc_in("s", "g0", HOUR, 2 * HOUR);
    assert_string_equal(day.version, a.version); /* one version over all granularities: nothing hides anything */
    assert_string_equal(later.version, a.version);

    publish_stream(&a);
    struct hg_segid again = alloc_in("s", "g0", 0, HOUR); /* after a reset: a published id is never given again */
    assert_string_equal(again.version, a.version);
    assert_int_equal(again.partition, 3);

    /* A batch rewrites the hour: what was allocated is void, the next is added to the batch's version. */
    char v2[HG_TIME_TEXT];
    OK(hg_meta_new_version(fx.m, v2, &fx.err));
    struct hg_segment_meta s[2] = {seg("live", 0, HOUR, v2, 0, 2), seg("live", 0, HOUR, v2, 1, 2)};
    int64_t waits = publish(fx.m, s, 2, false);
    b = alloc_in("s", "g1", 0, HOUR);
    assert_int_equal(hg_segid_cmp(&b, &c), 0); /* not visible yet */
    OK(hg_meta_make_visible(fx.m, waits, &fx.err));
    b = alloc_in("s", "g1", 0, HOUR);
    assert_string_equal(b.version, v2);
    assert_int_equal(b.partition, 2);
    assert_string_equal(alloc_in("s", "g9", HOUR, 2 * HOUR).version, a.version); /* the next hour is as it was */

    /* Publishing under the old version is refused. */
    struct hg_segment_meta old = seg("live", 0, HOUR, c.version, c.partition, 0);
    struct hg_publish p = {.segments = &old, .n_segments = 1, .visible = true, .task = "t", .stream = "s"};
    FAILS(HG_E_CONFLICT, hg_meta_publish(fx.m, &p, NULL, &fx.err));
    assert_non_null(strstr(fx.err.msg, "overshadowed"));
    publish_stream(&b);

    /* A day over hours of two versions would hide one of them. */
    struct hg_segid h1 = alloc_in("s", "g9", HOUR, 2 * HOUR);
    publish_stream(&h1);
    struct hg_alloc w = {.datasource = "ads", .ns = "live", .interval = {0, DAY}, .stream = "s", .sequence = "gx"};
    FAILS(HG_E_CONFLICT, hg_meta_allocate(fx.m, fx.a, &w, &a, &fx.err));
    assert_non_null(strstr(fx.err.msg, h1.version));
    w.datasource = "../x";
    FAILS(HG_E_INVALID, hg_meta_allocate(fx.m, fx.a, &w, &a, &fx.err));
}

/* A batch that began before the namespace's first allocation becomes visible after it: the stream's publish must not hide it. */
static void older_batch_after_allocation(void **state)
{
    (void)state;
    struct hg_segid a = alloc_in("s", "g0", 0, HOUR);
    struct hg_segment_meta day = seg("live", 0, DAY, "2001-01-01T00:00:00.000Z", 0, 1), s;
    publish(fx.m, &day, 1, true);
    s = seg("live", 0, HOUR, a.version, a.partition, 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = "s"};
    FAILS(HG_E_CONFLICT, hg_meta_publish(fx.m, &p, NULL, &fx.err));
    assert_non_null(strstr(fx.err.msg, "would hide"));
    a = alloc_in("s", "g0", 0, HOUR);
    assert_string_equal(a.version, "2001-01-01T00:00:00.000Z");
    publish_stream(&a);
    assert_string_equal(visible_text(fx.m, HOUR), "live:2001-01-01T00:00:00.000Z.0[0,24) live:2001-01-01T00:00:00.000Z.0[0,1)");
}

/* ---- publishing ---- */

static enum hg_rc move(const char *version, int64_t epoch, const struct hg_offset *from, const struct hg_offset *to, size_t n)
{
    struct hg_segment_meta s = seg("", 0, HOUR, "v1", (uint32_t)atoi(version), 0);
    struct hg_publish p = {.segments = &s, .n_segments = 1, .visible = true, .task = "t", .stream = "st", .stream_epoch = epoch, .expected = from, .next = to, .n_offsets = n};
    return hg_meta_publish(fx.m, &p, NULL, &fx.err);
}

static void offsets_text(const char *want)
{
    struct hg_offset *o;
    size_t n, k = 0;
    char buf[200] = "";
    OK(hg_meta_offsets(fx.m, fx.a, "st", &o, &n, &fx.err));
    for (size_t i = 0; i < n; i++) k += (size_t)snprintf(buf + k, sizeof buf - k, "%s%d:%" PRId64, i ? " " : "", o[i].partition, o[i].offset);
    assert_string_equal(buf, want);
}

static void publish_moves_offsets(void **state)
{
    (void)state;
    offsets_text("");
    struct hg_offset a[2] = {{3, 100}, {0, 7}}, b[2] = {{3, 120}, {0, 9}}, c[2] = {{3, 130}, {0, 10}};
    OK(move("0", 0, a, b, 2));
    offsets_text("0:9 3:120");
    FAILS(HG_E_CONFLICT, move("1", 0, a, b, 2));
    assert_string_equal(fx.err.msg, "stream st partition 3: stored offset 120, expected 100");
    FAILS(HG_E_INVALID, move("1", 0, (struct hg_offset[]){{0, 9}, {3, 121}}, c, 2)); /* partitions must pair up */
    FAILS(HG_E_CONFLICT, move("1", 0, (struct hg_offset[]){{3, 121}, {0, 9}}, c, 2));
    FAILS(HG_E_CONFLICT, move("0", 0, b, c, 2)); /* the segment is there: offsets stay */
    assert_non_null(strstr(fx.err.msg, "published already"));
    offsets_text("0:9 3:120");
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1)");
    OK(move("1", 0, b, c, 2));
    offsets_text("0:10 3:130");

    /* Offsets alone may move: all of the events were bad. */
    struct hg_publish none = {.stream = "st", .expected = c, .next = a, .n_offsets = 2, .visible = true};
    OK(hg_meta_publish(fx.m, &none, NULL, &fx.err));
    offsets_text("0:7 3:100");
    OK(hg_meta_reset_offsets(fx.m, "st", b, 1, &fx.err));
    offsets_text("0:7 3:120");
    OK(hg_meta_reset_offsets(fx.m, "st", NULL, 0, &fx.err));
    offsets_text("");
}

static void fencing(void **state)
{
    (void)state;
    int64_t e1, e2, until;
    struct hg_offset a = {0, 0}, b = {0, 5}, c = {0, 6};
    OK(hg_meta_lease(fx.m, "st", "one", 60000, &e1, &until, &fx.err));
    FAILS(HG_E_CONFLICT, hg_meta_lease(fx.m, "st", "two", 60000, &e2, &until, &fx.err));
    assert_non_null(strstr(fx.err.msg, "one has it"));
    OK(hg_meta_lease(fx.m, "st", "one", 0, &e2, &until, &fx.err)); /* renewed, and over at once */
    assert_int_equal(e1, e2);
    FAILS(HG_E_CONFLICT, move("0", 0, &a, &b, 1)); /* leased, so no epoch is no epoch */
    OK(move("0", e1, &a, &b, 1));                  /* nobody has taken over: an old lease still counts */
    OK(hg_meta_lease(fx.m, "st", "two", 60000, &e2, &until, &fx.err));
    assert_int_equal(e2, e1 + 1);
    FAILS(HG_E_CONFLICT, move("1", e1, &b, &c, 1));
    assert_non_null(strstr(fx.err.msg, "epoch"));
    offsets_text("0:5");
    OK(move("1", e2, &b, &c, 1));
    OK(hg_meta_lease_drop(fx.m, "st", "one", &fx.err)); /* not its own: nothing */
    FAILS(HG_E_CONFLICT, hg_meta_lease(fx.m, "st", "one", 60000, &e1, NULL, &fx.err));
    OK(hg_meta_lease_drop(fx.m, "st", "two", &fx.err));
    OK(hg_meta_lease(fx.m, "st", "two", 60000, &e1, NULL, &fx.err));
    assert_int_equal(e1, e2 + 1); /* dropped is over, even for the same owner */
}

static void owed_as(int64_t epoch, int64_t owed_from, bool supervised)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_lease_row *v;
    size_t n;
    OK(hg_meta_leases(fx.m, a, &v, &n, &fx.err));
    assert_int_equal(n, 1);
    assert_string_equal(v[0].what, "st");
    assert_int_equal(v[0].epoch, epoch);
    assert_int_equal(v[0].owed_from, owed_from);
    assert_int_equal(v[0].supervised, supervised);
    hg_arena_free(a);
}
static size_t owed_ids(int64_t from)
{
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segid *v;
    size_t n;
    OK(hg_meta_owed(fx.m, a, "st", from, &v, &n, &fx.err));
    for (size_t i = 0; i < n; i++) assert_string_equal(v[i].datasource, "ads");
    hg_arena_free(a);
    return n;
}

/* From which epoch on rows may have been served that are neither published nor read again, and under which ids. */
static void owed_rows(void **state)
{
    (void)state;
    int64_t e, version;
    bool owed;
    struct hg_arena *a = hg_arena_new(NULL);
    struct hg_segid id, again;
    struct hg_alloc w = {"ads", "", {HOUR, 2 * HOUR}, "st", "g1"};
    OK(hg_meta_lease_begin(fx.m, "st", "one", 60000, &e, &owed, &fx.err));
    assert_true(e == 1 && !owed);
    owed_as(1, 1, false);
    OK(hg_meta_doc_put(fx.m, HG_DOC_SUPERVISOR, "st", "{}", 0, "me", "", &version, &fx.err));
    owed_as(1, 1, true);
    FAILS(HG_E_CONFLICT, hg_meta_lease_begin(fx.m, "st", "two", 60000, &e, &owed, &fx.err));
    OK(hg_meta_allocate(fx.m, a, &w, &id, &fx.err));
    w.sequence = "g2";
    OK(hg_meta_allocate(fx.m, a, &w, &id, &fx.err));
    assert_int_equal(owed_ids(1), 2);
    assert_int_equal(owed_ids(2), 0);
    /* A restart: an epoch of its own. */
    OK(hg_meta_lease_begin(fx.m, "st", "one", 60000, &e, &owed, &fx.err));
    assert_true(e == 2 && owed);
    owed_as(2, 1, true);
    OK(hg_meta_allocate(fx.m, a, &w, &again, &fx.err));
    assert_int_equal(hg_segid_cmp(&id, &again), 0);
    assert_int_equal(owed_ids(2), 1);
    OK(hg_meta_lease_settle(fx.m, "st", "two", 2, &fx.err)); /* not his */
    owed_as(2, 1, true);
    OK(hg_meta_lease_settle(fx.m, "st", "one", 2, &fx.err));
    owed_as(2, 2, true);
    OK(hg_meta_lease_settle(fx.m, "st", "one", 1, &fx.err));
    OK(hg_meta_lease_settle(fx.m, "st", "one", 9, &fx.err));
    owed_as(2, 2, true);
    struct hg_segment_meta m = seg("", HOUR, 2 * HOUR, id.version, id.partition, 0);
    OK(hg_meta_publish(fx.m, &(struct hg_publish){.segments = &m, .n_segments = 1, .visible = true, .task = "t"}, NULL, &fx.err));
    assert_int_equal(owed_ids(2), 0);
    /* It ended well: the next one has nothing to catch up with. */
    OK(hg_meta_lease_settle(fx.m, "st", "one", 3, &fx.err));
    owed_as(2, 3, true);
    OK(hg_meta_lease_drop(fx.m, "st", "one", &fx.err));
    OK(hg_meta_lease_begin(fx.m, "st", "two", 60000, &e, &owed, &fx.err));
    assert_true(e == 3 && !owed);
    owed_as(3, 3, true);
    hg_arena_free(a);
}

static void invalid_publishes(void **state)
{
    (void)state;
    struct hg_segment_meta good = seg("", 0, HOUR, "v1", 0, 1), s[2];
    struct hg_interval iv = {0, HOUR};
    struct hg_publish p = {.segments = s, .n_segments = 2, .visible = true};
    for (int i = 0; i < 6; i++) {
        s[0] = good;
        s[1] = good;
        s[1].id.partition = s[1].shard.partition = 1;
        if (i == 0) s[1].id.ns = "other";
        if (i == 1) s[1].id.datasource = "other";
        if (i == 2) s[1].id.version = "a_b";
        if (i == 3) s[1].shard.partition = 7;
        if (i == 4) s[1].path = "";
        if (i == 5) s[1].id.interval.end = 0;
        FAILS(HG_E_INVALID, hg_meta_publish(fx.m, &p, NULL, &fx.err));
    }
    struct hg_publish empty = {.replaced = &iv, .n_replaced = 1, .visible = true};
    FAILS(HG_E_INVALID, hg_meta_publish(fx.m, &empty, NULL, &fx.err));
    FAILS(HG_E_NOTFOUND, hg_meta_make_visible(fx.m, 99, &fx.err));
    assert_string_equal(visible_text(fx.m, 1), "");
}

/* What comes back is what was given, odd text included. */
static void segment_fields(void **state)
{
    (void)state;
    static const char *const dims[] = {"a'b", "\xc3\xa9"};
    static const struct hg_str lo[2] = {{"x\"y", 3}, {NULL, 0}};
    struct hg_segment_meta s[3] = {seg("n.s", -DAY, 0, "2024-01-01T00:00:00.000Z", 0, 3), seg("n.s", -DAY, 0, "2024-01-01T00:00:00.000Z", 1, 3), seg("n.s", -DAY, 0, "2024-01-01T00:00:00.000Z", 2, 3)};
    s[0].shard = (struct hg_shard){.kind = HG_SHARD_HASHED, .core_partitions = 3, .bucket = 4, .n_buckets = 5, .n_dims = 2, .dims = dims};
    s[1].shard = (struct hg_shard){.kind = HG_SHARD_RANGE, .partition = 1, .core_partitions = 3, .n_dims = 2, .dims = dims, .start = lo};
    s[0].path = "it's/$1/%s/\xe2\x82\xac.seg";
    s[0].metrics = "";
    s[0].size_bytes = INT64_MAX;
    s[0].created_ms = 12345;
    int64_t id = publish(fx.m, s, 3, true);
    struct hg_segment_row *r;
    size_t n;
    OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_USED, &r, &n, &fx.err));
    assert_int_equal(n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct hg_segment_meta *m = &r[i].meta;
        assert_true(r[i].used && r[i].visible);
        assert_int_equal(hg_segid_cmp(&m->id, &s[i].id), 0);
        assert_true(m->size_bytes == s[i].size_bytes && m->n_rows == s[i].n_rows && m->file_hash == s[i].file_hash && m->publish_id == id);
        assert_string_equal(m->path, s[i].path);
        assert_string_equal(m->dimensions, s[i].dimensions);
        assert_string_equal(m->metrics, s[i].metrics);
        json_t *x = hg_shard_json(&m->shard), *y = hg_shard_json(&s[i].shard);
        assert_true(json_equal(x, y));
        json_decref(x);
        json_decref(y);
    }
    assert_int_equal(r[0].meta.created_ms, 12345);
    assert_true(r[1].meta.created_ms > 1600000000000);
    OK(hg_meta_segments(fx.m, fx.a, "other", HG_SEG_ALL, &r, &n, &fx.err));
    assert_int_equal(n, 0);
}

/* ---- becoming visible ---- */

static void flip(void **state)
{
    (void)state;
    struct hg_segment_meta h[3] = {seg("", 0, HOUR, "v1", 0, 1), seg("", HOUR, 2 * HOUR, "v1", 0, 1), seg("", DAY, DAY + HOUR, "v1", 0, 1)}, x = seg("x", 0, HOUR, "v1", 0, 1);
    publish(fx.m, h, 3, true);
    publish(fx.m, &x, 1, true);
    struct hg_segment_meta day[2] = {seg("", 0, DAY, "v2", 0, 2), seg("", 0, DAY, "v2", 1, 2)};
    int64_t id = publish(fx.m, day, 2, false), seq, seq2;
    struct hg_pending *p;
    struct hg_visible_change *v;
    size_t n;
    bool whole;
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    assert_true(n == 1 && p[0].publish_id == id && p[0].n == 2);
    assert_string_equal(p[0].datasource, "ads");
    assert_string_equal(p[0].task, "test");
    assert_int_equal(hg_segid_cmp(&p[0].ids[1], &day[1].id), 0);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1) v1.0[1,2) v1.0[24,25) x:v1.0[0,1)");
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    OK(hg_meta_make_visible(fx.m, id, &fx.err));
    OK(hg_meta_make_visible(fx.m, id, &fx.err)); /* again: nothing */
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,24) v2.1[0,24) v1.0[24,25) x:v1.0[0,1)");
    OK(hg_meta_visible(fx.m, fx.a, seq, &seq2, &whole, &v, &n, &fx.err));
    assert_true(!whole && n == 4 && seq2 == seq + 1); /* two out, two in, one number */
    assert_true(!v[0].add && !v[1].add && v[2].add && v[3].add);
    OK(hg_meta_visible(fx.m, fx.a, seq2, &seq, &whole, &v, &n, &fx.err));
    assert_true(!whole && n == 0 && seq == seq2);
    OK(hg_meta_visible(fx.m, fx.a, seq2 + 5, &seq, &whole, &v, &n, &fx.err));
    assert_true(whole && n == 4); /* a reader ahead of the list reads anew */
    OK(hg_meta_pending(fx.m, fx.a, &p, &n, &fx.err));
    assert_int_equal(n, 0);
    struct hg_segment_row *r;
    OK(hg_meta_segments(fx.m, fx.a, NULL, HG_SEG_UNUSED, &r, &n, &fx.err));
    assert_int_equal(n, 2); /* the hidden hours */
}

/* An older publish that becomes visible after a newer one is hidden from the start. */
static void late_flip(void **state)
{
    (void)state;
    struct hg_segment_meta s2 = seg("", 0, DAY, "v2", 0, 1), s3 = seg("", 0, DAY, "v3", 0, 1);
    int64_t p2 = publish(fx.m, &s2, 1, false), p3 = publish(fx.m, &s3, 1, false);
    OK(hg_meta_make_visible(fx.m, p3, &fx.err));
    OK(hg_meta_make_visible(fx.m, p2, &fx.err));
    assert_string_equal(visible_text(fx.m, HOUR), "v3.0[0,24)");
}

/* Old days hidden hour by hour go when the last hour is covered; replaced intervals take what lies within them. */
static void hidden_bit_by_bit(void **state)
{
    (void)state;
    struct hg_segment_meta day = seg("", 0, 3 * HOUR, "v1", 0, 1), h[3] = {seg("", 0, HOUR, "v2", 0, 1), seg("", HOUR, 2 * HOUR, "v3", 0, 1), seg("", 2 * HOUR, 3 * HOUR, "v4", 0, 1)};
    publish(fx.m, &day, 1, true);
    publish(fx.m, &h[0], 1, true);
    publish(fx.m, &h[2], 1, true);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,3) v2.0[0,1) v4.0[2,3)");
    publish(fx.m, &h[1], 1, true);
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v3.0[1,2) v4.0[2,3)");

    struct hg_interval replaced[2] = {{0, 2 * HOUR}, {5 * HOUR, 6 * HOUR}};
    struct hg_segment_meta one = seg("", 0, HOUR, "v5", 0, 1);
    struct hg_publish p = {.segments = &one, .n_segments = 1, .replaced = replaced, .n_replaced = 2, .task = "t"};
    int64_t id;
    OK(hg_meta_publish(fx.m, &p, &id, &fx.err));
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v3.0[1,2) v4.0[2,3)");
    OK(hg_meta_make_visible(fx.m, id, &fx.err));
    assert_string_equal(visible_text(fx.m, HOUR), "v5.0[0,1) v4.0[2,3)"); /* hour 1 has no rows any more */
}

static void marks(void **state)
{
    (void)state;
    struct hg_segment_meta h[3] = {seg("", 0, HOUR, "v1", 0, 1), seg("", HOUR, 2 * HOUR, "v1", 0, 1), seg("", 2 * HOUR, 3 * HOUR, "v1", 0, 1)}, wait = seg("w", 0, HOUR, "v1", 0, 1);
    publish(fx.m, h, 3, true);
    int64_t pending = publish(fx.m, &wait, 1, false), n;
    char id[3][HG_SEGID_TEXT], wid[HG_SEGID_TEXT];
    for (int i = 0; i < 3; i++) hg_segid_text(&h[i].id, id[i]);
    hg_segid_text(&wait.id, wid);
    const char *two[] = {id[0], id[2]}, *w[] = {wid}, *bad[] = {"nonsense"};
    OK(hg_meta_mark(fx.m, "ads", two, 2, false, &n, &fx.err));
    assert_int_equal(n, 2);
    OK(hg_meta_mark(fx.m, "ads", two, 2, false, &n, &fx.err));
    assert_int_equal(n, 0);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[1,2)");
    OK(hg_meta_mark(fx.m, "ads", two, 1, true, &n, &fx.err));
    assert_int_equal(n, 1);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1) v1.0[1,2)");
    FAILS(HG_E_INVALID, hg_meta_mark(fx.m, "ads", bad, 1, true, &n, &fx.err));
    FAILS(HG_E_INVALID, hg_meta_mark(fx.m, "other", two, 1, true, &n, &fx.err));
    OK(hg_meta_mark(fx.m, "ads", NULL, 0, true, &n, &fx.err));

    /* A segment that waits stays invisible whatever it is marked. */
    OK(hg_meta_mark(fx.m, "ads", w, 1, false, &n, &fx.err));
    OK(hg_meta_mark(fx.m, "ads", w, 1, true, &n, &fx.err));
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1) v1.0[1,2)");
    OK(hg_meta_mark(fx.m, "ads", w, 1, false, &n, &fx.err));
    OK(hg_meta_make_visible(fx.m, pending, &fx.err)); /* unused: stays out */
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1) v1.0[1,2)");

    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){0, HOUR + 1}, false, &n, &fx.err)); /* wholly within only */
    assert_int_equal(n, 1);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[1,2)");
    OK(hg_meta_delete_unused(fx.m, (const char *[]){id[0], id[1]}, 2, &n, &fx.err)); /* the second is used */
    assert_int_equal(n, 1);
    struct hg_segment_row *r;
    size_t k;
    OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_ALL, &r, &k, &fx.err));
    assert_int_equal(k, 3);
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){0, DAY}, true, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[1,2) v1.0[2,3) w:v1.0[0,1)");
}

/* Of what is marked used again only that which the timeline shows comes back; what lies below it goes. */
static void marks_what_is_not_overshadowed(void **state)
{
    (void)state;
    struct hg_segment_meta old[2] = {seg("", 0, HOUR, "v1", 0, 1), seg("", HOUR, 2 * HOUR, "v1", 0, 1)}, fresh_one = seg("", 0, HOUR, "v2", 0, 1), half = seg("", HOUR, 2 * HOUR, "v3", 0, 2),
                           other = seg("w", 0, HOUR, "v0", 0, 1), wait = seg("", HOUR, 2 * HOUR, "v4", 0, 1);
    struct hg_interval all = {0, DAY};
    char old0[HG_SEGID_TEXT], new0[HG_SEGID_TEXT], waits[HG_SEGID_TEXT];
    int64_t n, pending;
    hg_segid_text(&old[0].id, old0);
    hg_segid_text(&fresh_one.id, new0);
    hg_segid_text(&wait.id, waits);
    publish(fx.m, old, 2, true);
    publish(fx.m, &fresh_one, 1, true);
    publish(fx.m, &other, 1, true);
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v1.0[1,2) w:v0.0[0,1)");
    OK(hg_meta_mark_interval(fx.m, "ads", all, true, &n, &fx.err));
    assert_int_equal(n, 0); /* the first hour of v1 lies below v2 */
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){old0}, 1, true, &n, &fx.err));
    assert_int_equal(n, 0);
    OK(hg_meta_mark_interval(fx.m, "ads", all, false, &n, &fx.err));
    assert_int_equal(n, 3);
    OK(hg_meta_mark_interval(fx.m, "ads", all, true, &n, &fx.err)); /* both versions of the first hour are unused: the newer one comes back */
    assert_int_equal(n, 3);
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v1.0[1,2) w:v0.0[0,1)");

    OK(hg_meta_mark(fx.m, "ads", (const char *[]){new0}, 1, false, &n, &fx.err));
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){old0}, 1, true, &n, &fx.err));
    assert_int_equal(n, 1);
    assert_string_equal(visible_text(fx.m, HOUR), "v1.0[0,1) v1.0[1,2) w:v0.0[0,1)");
    OK(hg_meta_mark(fx.m, "ads", (const char *[]){new0}, 1, true, &n, &fx.err)); /* and hides what took its place */
    assert_int_equal(n, 1);
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v1.0[1,2) w:v0.0[0,1)");
    struct hg_segment_row *r;
    size_t k;
    OK(hg_meta_segments(fx.m, fx.a, "ads", HG_SEG_UNUSED, &r, &k, &fx.err));
    assert_true(k == 1 && strcmp(r[0].meta.id.version, "v1") == 0 && r[0].meta.id.interval.start == 0);

    /* An incomplete version hides nothing; one whose publish waits hides nothing before that is visible. */
    publish(fx.m, &half, 1, true);
    pending = publish(fx.m, &wait, 1, false);
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){HOUR, 2 * HOUR}, false, &n, &fx.err));
    assert_int_equal(n, 3);
    OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){HOUR, 2 * HOUR}, true, &n, &fx.err));
    assert_int_equal(n, 3);
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v1.0[1,2) v3.0[1,2) w:v0.0[0,1)");
    OK(hg_meta_make_visible(fx.m, pending, &fx.err));
    assert_string_equal(visible_text(fx.m, HOUR), "v2.0[0,1) v4.0[1,2) w:v0.0[0,1)");
}

/* Changes older than a day are forgotten; a reader that has not followed for so long gets the whole list. */
static void forgotten_changes(void **state)
{
    (void)state;
    struct hg_segment_meta a = seg("", 0, HOUR, "v1", 0, 1), b = seg("", HOUR, 2 * HOUR, "v1", 0, 1);
    int64_t seq1, seq2, now_seq;
    struct hg_visible_change *v;
    size_t n;
    bool whole;
    publish(fx.m, &a, 1, true);
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq1, &whole, &v, &n, &fx.err));
    publish(fx.m, &b, 1, true);
    if (fx.pg) admin_sql(fx.url, "UPDATE hg_visible_log SET changed_ms = changed_ms - 172800000");
    else hg_clock_shift_ms(2 * DAY);
    for (int i = 0; i < 64; i++) OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){0, HOUR}, i % 2, NULL, &fx.err));
    hg_clock_shift_ms(0);
    OK(hg_meta_visible(fx.m, fx.a, seq1, &seq2, &whole, &v, &n, &fx.err));
    assert_true(whole && n == 2);
    OK(hg_meta_visible(fx.m, fx.a, seq2 - 5, &now_seq, &whole, &v, &n, &fx.err));
    assert_true(!whole && n == 1 && v[0].add && now_seq == seq2);
}

/* Many at once: more than one statement's worth. */
static void many_segments(void **state)
{
    (void)state;
    enum { N = 3000 };
    struct hg_segment_meta *s = calloc(N, sizeof *s);
    for (size_t i = 0; i < N; i++) s[i] = seg("", (int64_t)(i / 3) * HOUR, (int64_t)(i / 3 + 1) * HOUR, "v1", (uint32_t)(i % 3), 3);
    publish(fx.m, s, N, true);
    for (size_t i = 0; i < N; i++) s[i].id.version = "v2";
    publish(fx.m, s, N, true);
    struct hg_visible_change *v;
    size_t n;
    int64_t seq;
    bool whole;
    OK(hg_meta_visible(fx.m, fx.a, 1, &seq, &whole, &v, &n, &fx.err));
    assert_true(!whole && n == 2 * N);
    OK(hg_meta_visible(fx.m, fx.a, 0, &seq, &whole, &v, &n, &fx.err));
    assert_true(whole && n == N);
    free(s);
}

/* ---- a follower of the list against the list ---- */

struct follower {
    char ids[400][HG_SEGID_TEXT];
    size_t n;
    int64_t seq;
};
static void follow(struct follower *f, struct hg_meta *m, unsigned seed)
{
    struct hg_visible_change *v;
    size_t n;
    bool whole;
    OK(hg_meta_visible(m, fx.a, f->seq, &f->seq, &whole, &v, &n, &fx.err));
    if (whole) f->n = 0;
    for (size_t i = 0; i < n; i++) {
        char id[HG_SEGID_TEXT];
        size_t k = 0;
        hg_segid_text(&v[i].meta.id, id);
        while (k < f->n && strcmp(f->ids[k], id) != 0) k++;
        if (v[i].add && k == f->n) {
            if (f->n == 400) fail_msg("seed %u: too many", seed);
            memcpy(f->ids[f->n++], id, sizeof id);
        }
        if (!v[i].add && k < f->n) memcpy(f->ids[k], f->ids[--f->n], sizeof id);
    }
}
static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* Random publishes, flips and marks; at every step the follower equals the whole list; nothing listed is wholly hidden by a publish that came after it; every instant
 * that was covered stays covered unless something was marked unused. */
static void random_lists(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 4; seed++) {
        srand(seed);
        struct follower *f = calloc(1, sizeof *f), *all = calloc(1, sizeof *all);
        char ns[16];
        snprintf(ns, sizeof ns, "m%u", seed);
        int64_t pending[64];
        int n_pending = 0;
        for (int step = 0; step < 60; step++) {
            int what = rand() % 10;
            if (what < 6) {
                char v[HG_TIME_TEXT];
                struct hg_segment_meta s[6];
                size_t n = 0, hours = (size_t)(1 + rand() % 3);
                int64_t start = rand() % 12, wide = 1 + rand() % 3;
                OK(hg_meta_new_version(fx.m, v, &fx.err));
                for (size_t i = 0; i < hours; i++)
                    for (uint32_t k = 0; k < 2; k++, n++) s[n] = seg(ns, (start + (int64_t)i * wide) * HOUR, (start + (int64_t)(i + 1) * wide) * HOUR, v, k, 2);
                bool now = rand() % 2;
                int64_t id = publish(fx.m, s, n, now);
                if (!now) pending[n_pending++] = id;
            } else if (what < 8 && n_pending) {
                OK(hg_meta_make_visible(fx.m, pending[--n_pending], &fx.err));
            } else {
                int64_t at = rand() % 12, n;
                OK(hg_meta_mark_interval(fx.m, "ads", (struct hg_interval){at * HOUR, (at + 1 + rand() % 3) * HOUR}, rand() % 3 == 0, &n, &fx.err));
            }
            if (rand() % 3) follow(f, fx.m, seed);
        }
        follow(f, fx.m, seed);
        follow(all, fx.m, seed); /* from the start: the whole list */
        qsort(f->ids, f->n, sizeof f->ids[0], by_text);
        qsort(all->ids, all->n, sizeof all->ids[0], by_text);
        if (f->n != all->n || f->seq != all->seq) fail_msg("seed %u: the follower has %zu, the list %zu", seed, f->n, all->n);
        for (size_t i = 0; i < f->n; i++)
            if (strcmp(f->ids[i], all->ids[i]) != 0) fail_msg("seed %u: %s instead of %s", seed, f->ids[i], all->ids[i]);
        free(f);
        free(all);
    }
}

/* ---- documents, servers, leadership ---- */

static void documents(void **state)
{
    (void)state;
    int64_t v;
    struct hg_doc_row d, *l;
    size_t n;
    FAILS(HG_E_NOTFOUND, hg_meta_doc_get(fx.m, fx.a, HG_DOC_TASK, "t", &d, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", "{\"a\":\"it's \xe2\x82\xac\"}", 0, "me", "first", &v, &fx.err));
    assert_int_equal(v, 1);
    FAILS(HG_E_CONFLICT, hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", "{}", 0, "me", "", &v, &fx.err));
    FAILS(HG_E_CONFLICT, hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", "{}", 2, "me", "", &v, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", "{\"b\":2}", 1, "you", "second", &v, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "s", "{}", -1, NULL, NULL, &v, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_RULES, "t", "[]", -1, "me", "", &v, &fx.err)); /* kinds are apart */
    OK(hg_meta_doc_get(fx.m, fx.a, HG_DOC_TASK, "t", &d, &fx.err));
    assert_string_equal(d.text, "{\"b\":2}");
    assert_string_equal(d.author, "you");
    assert_string_equal(d.comment, "second");
    assert_true(d.version == 2 && d.changed_ms > 1600000000000);
    OK(hg_meta_doc_list(fx.m, fx.a, HG_DOC_TASK, &l, &n, &fx.err));
    assert_true(n == 2 && strcmp(l[0].id, "s") == 0 && strcmp(l[1].id, "t") == 0);
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", NULL, 2, "me", "gone", &v, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", NULL, -1, "me", "gone", &v, &fx.err)); /* gone already */
    FAILS(HG_E_NOTFOUND, hg_meta_doc_get(fx.m, fx.a, HG_DOC_TASK, "t", &d, &fx.err));
    OK(hg_meta_doc_put(fx.m, HG_DOC_TASK, "t", "{}", 0, "me", "back", &v, &fx.err));
    assert_int_equal(v, 4); /* versions go on */
    OK(hg_meta_doc_history(fx.m, fx.a, HG_DOC_TASK, "t", 10, &l, &n, &fx.err));
    assert_int_equal(n, 4);
    assert_true(l[0].version == 4 && l[1].version == 3 && !l[1].text && l[3].version == 1);
    assert_string_equal(l[3].text, "{\"a\":\"it's \xe2\x82\xac\"}");
    OK(hg_meta_doc_history(fx.m, fx.a, HG_DOC_TASK, NULL, 2, &l, &n, &fx.err));
    assert_int_equal(n, 2);
    FAILS(HG_E_INVALID, hg_meta_doc_put(fx.m, HG_DOC_TASK, "", "{}", -1, "me", "", &v, &fx.err));
    OK(hg_meta_audit(fx.m, "me", "drop", "{}", &fx.err));
}

static void servers(void **state)
{
    (void)state;
    struct hg_server_row a = {.name = "h1:8083", .roles = "historical", .tier = "hot", .wire_address = "h1:9083", .http_address = "h1:8083", .state = "up", .capacity_bytes = 1LL << 40, .started_ms = 5};
    struct hg_server_row b = {.name = "b", .roles = "broker", .state = "up"}, *r;
    size_t n;
    OK(hg_meta_server_beat(fx.m, &a, 60000, &fx.err));
    OK(hg_meta_server_beat(fx.m, &b, 60000, &fx.err));
    a.state = "draining";
    OK(hg_meta_server_beat(fx.m, &a, 60000, &fx.err));
    OK(hg_meta_servers(fx.m, fx.a, &r, &n, &fx.err));
    assert_int_equal(n, 2);
    assert_string_equal(r[0].name, "b");
    assert_string_equal(r[0].tier, "");
    assert_string_equal(r[1].state, "draining");
    assert_string_equal(r[1].wire_address, "h1:9083");
    assert_true(r[1].capacity_bytes == 1LL << 40 && r[1].started_ms == 5 && r[1].seen_ms > 1600000000000);
    OK(hg_meta_server_beat(fx.m, &b, 0, &fx.err)); /* its lease runs out at once */
    OK(hg_meta_servers(fx.m, fx.a, &r, &n, &fx.err));
    assert_int_equal(n, 1);
    OK(hg_meta_server_gone(fx.m, "h1:8083", &fx.err));
    OK(hg_meta_servers(fx.m, fx.a, &r, &n, &fx.err));
    assert_int_equal(n, 0);
    b.name = "";
    FAILS(HG_E_INVALID, hg_meta_server_beat(fx.m, &b, 0, &fx.err));
}

static void leadership(void **state)
{
    (void)state;
    struct hg_meta *other = open_store();
    bool leading;
    int64_t e1 = 0, e2 = 0;
    const char *owner, *address;
    FAILS(HG_E_NOTFOUND, hg_meta_leader(fx.m, fx.a, "coordinator", &owner, &address, &fx.err));
    OK(hg_meta_lead(fx.m, "coordinator", "one", "one:8081", &leading, &e1, &fx.err));
    assert_true(leading);
    OK(hg_meta_lead(other, "coordinator", "two", "two:8081", &leading, &e2, &fx.err));
    assert_false(leading);
    OK(hg_meta_lead(fx.m, "coordinator", "one", "one:8081", &leading, &e2, &fx.err));
    assert_true(leading && e1 == e2); /* stays */
    OK(hg_meta_lead(other, "overlord", "two", "two:8081", &leading, &e2, &fx.err));
    assert_true(leading); /* another thing to lead */
    OK(hg_meta_leader(other, fx.a, "coordinator", &owner, &address, &fx.err));
    assert_string_equal(owner, "one");
    assert_string_equal(address, "one:8081");
    hg_meta_close(fx.m);
    fx.m = NULL;
    OK(hg_meta_lead(other, "coordinator", "two", "two:8081", &leading, &e2, &fx.err));
    assert_true(leading && e2 == e1 + 1);
    OK(hg_meta_leader(other, fx.a, "coordinator", &owner, &address, &fx.err));
    assert_string_equal(owner, "two");
    FAILS(HG_E_INVALID, hg_meta_lead(other, "../x", "two", "", &leading, &e2, &fx.err));
    fx.m = other;
}

/* ---- watchers ---- */

struct heard {
    pthread_mutex_t mu;
    pthread_cond_t cond;
    unsigned count[6];
};
static const char *const topic_names[6] = {"segments", "visible", "supervisors", "tasks", "rules", "servers"};
static void hear(void *arg, const char *topic)
{
    struct heard *h = arg;
    pthread_mutex_lock(&h->mu);
    for (int i = 0; i < 6; i++)
        if (strcmp(topic, topic_names[i]) == 0) h->count[i]++;
    pthread_cond_signal(&h->cond);
    pthread_mutex_unlock(&h->mu);
}
static bool heard(struct heard *h, int topic, unsigned more_than)
{
    struct timespec until = deadline();
    bool in_time = true;
    pthread_mutex_lock(&h->mu);
    while (h->count[topic] <= more_than && in_time) in_time = pthread_cond_timedwait(&h->cond, &h->mu, &until) == 0;
    pthread_mutex_unlock(&h->mu);
    return in_time;
}
static unsigned count_of(struct heard *h, int topic)
{
    pthread_mutex_lock(&h->mu);
    unsigned n = h->count[topic];
    pthread_mutex_unlock(&h->mu);
    return n;
}

static void watchers(void **state)
{
    (void)state;
    struct heard h = {.mu = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    OK(hg_meta_watch(fx.m, hear, &h, &fx.err));
    OK(hg_meta_ping(fx.m, &fx.err)); /* SQLite: the file is there */
    assert_true(heard(&h, 0, 0));    /* everything, when it has begun to listen */
    struct hg_meta *by = open_store(), *other = by;
    unsigned tasks = count_of(&h, 3), visible = count_of(&h, 1), servers_before = count_of(&h, 5);
    OK(hg_meta_doc_put(by, HG_DOC_TASK, "t", "{}", -1, "", "", NULL, &fx.err));
    assert_true(heard(&h, 3, tasks));
    struct hg_segment_meta s = seg("", 0, HOUR, "v1", 0, 1);
    publish(by, &s, 1, true);
    assert_true(heard(&h, 1, visible));
    struct hg_server_row b = {.name = "b", .roles = "broker", .state = "up"};
    OK(hg_meta_server_beat(by, &b, 60000, &fx.err));
    assert_true(heard(&h, 5, servers_before));
    hg_meta_close(other);
    hg_meta_close(fx.m); /* joins the threads; h may go */
    fx.m = open_store();
    for (int i = 0; i < 8; i++) OK(hg_meta_watch(fx.m, hear, &h, &fx.err));
    FAILS(HG_E_LIMIT, hg_meta_watch(fx.m, hear, &h, &fx.err));
    hg_meta_close(fx.m);
    fx.m = NULL;
}

/* ---- opening ---- */

static void urls(void **state)
{
    (void)state;
    struct hg_meta *m;
    static const char *const bad[] = {"", "mysql://x", "sqlite://relative", "sqlite:///", "postgresql://h:notaport/x?nonsense=1", "/plain"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hg_meta_open(bad[i], &m, &fx.err) != HG_E_INVALID) fail_msg("taken: %s", bad[i]);
}

static void newer_schema(void **state)
{
    (void)state;
    struct hg_meta *m;
    OK(hg_meta_ping(fx.m, &fx.err));
    m = open_store(); /* migrated already */
    hg_meta_close(m);
    if (fx.pg) {
        admin_sql(fx.url, "INSERT INTO hg_schema VALUES (99, 0)");
    } else {
        char cmd[600];
        snprintf(cmd, sizeof cmd, "sqlite3 %.299s \"INSERT INTO hg_schema VALUES (99, 0)\"", fx.url + strlen("sqlite://"));
        if (system("command -v sqlite3 >/dev/null") != 0) return;
        assert_int_equal(system(cmd), 0);
    }
    FAILS(HG_E_UNSUPPORTED, hg_meta_open(fx.url, &m, &fx.err));
    assert_non_null(strstr(fx.err.msg, "99"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, fresh, done)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(versions_ascend), T(allocation), T(older_batch_after_allocation), T(publish_moves_offsets), T(fencing), T(owed_rows), T(invalid_publishes), T(segment_fields), T(flip), T(late_flip),
        T(hidden_bit_by_bit), T(marks), T(marks_what_is_not_overshadowed), T(forgotten_changes), T(many_segments), T(random_lists), T(documents), T(servers), T(leadership), T(watchers), T(urls), T(newer_schema),
    };
    int failed = cmocka_run_group_tests_name("sqlite", tests, sqlite_up, sqlite_down);
    if (!getenv("HENGE_TEST_PG") && !pg_server_installed()) {
        fprintf(stderr, "SKIPPED: PostgreSQL 15 is not installed (%s), and HENGE_TEST_PG is not set: the metadata store was tested over SQLite only\n", PG_BIN);
        return failed;
    }
    return failed + cmocka_run_group_tests_name("postgresql", tests, pg_up, pg_down);
}
