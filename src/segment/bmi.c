/* CRoaring 0.2.66 reads portable bitmaps without looking inside containers: an array out of order, or a bitset whose cardinality lies, would
 * make later set operations overrun. So every set is walked by roaring_ok before CRoaring sees it. The walk is done once per chunk of
 * CHUNK bytes, after the chunk's checksum. */
#include "segment/bmi.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "segment/bmi_portable.h"
#include "segment/format.h"

/* Table: card u32, chunk shift u32, chunks u32, data bytes u32; then ends u32 x card (compact: of each group of 8 ids where it begins), checksums u64 x chunks. */
#define CHUNK_SHIFT 16
#define CHUNK (1u << CHUNK_SHIFT)
#define MAX_LIST 4096u
#define GROUP 8u

/* Of a set. In the older form the two first are one bit, in the compact form two bits, below the number of rows. */
enum kind { LIST, BITMAP, RUN, COUNTED };

/* ---- writing ---- */

enum { VARINT_MAX = 5 };

static inline size_t varint_len(uint32_t v) { return (38u - (unsigned)__builtin_clz(v | 1)) / 7; }

static inline uint8_t *put_varint(uint8_t *p, uint32_t v)
{
    for (; v >= 128; v >>= 7) *p++ = (uint8_t)(v | 128);
    *p++ = (uint8_t)v;
    return p;
}

static size_t list_len(const uint32_t *rows, uint32_t n)
{
    size_t len = varint_len(rows[0]);
    for (uint32_t i = 1; i < n; i++) len += varint_len(rows[i] - rows[i - 1]);
    return len;
}

/* n is at most MAX_LIST. */
static void put_list(struct hg_buf *data, const uint32_t *rows, uint32_t n)
{
    uint8_t *from = hg_buf_reserve(data, (size_t)n * VARINT_MAX), *p = from;
    if (!p) return;
    p = put_varint(p, rows[0]);
    for (uint32_t i = 1; i < n; i++) p = put_varint(p, rows[i] - rows[i - 1]);
    data->len += (size_t)(p - from);
}

/* compact: sets have no end in a table, so lists and bitmaps say their bytes. */
static void put_head(struct hg_buf *data, enum kind kind, uint32_t n, bool compact, size_t len)
{
    hg_buf_varint(data, (uint64_t)n << (compact ? 2 : 1) | kind);
    if (compact && kind <= BITMAP) hg_buf_varint(data, len);
}

static enum hg_rc put_set(struct hg_buf *data, const uint32_t *rows, uint32_t n, struct hg_bmi_form form, struct hg_err *err)
{
    bool compact = form.compact;
    if (compact && rows[n - 1] - rows[0] == n - 1) {
        put_head(data, RUN, n, true, 0);
        hg_buf_varint(data, rows[0]);
        return HG_OK;
    }
    if (compact && n > form.most) return put_head(data, COUNTED, n, true, 0), HG_OK;
    /* A bitmap of one container takes at least 16 bytes, so short lists need no comparison. */
    size_t as_list = n <= MAX_LIST ? list_len(rows, n) : SIZE_MAX;
    if (as_list <= 16) {
        put_head(data, LIST, n, compact, as_list);
        return put_list(data, rows, n), HG_OK;
    }
    struct hg_portable bm;
    HG_TRY(hg_portable_of(&bm, rows, n, err));
    if (as_list <= bm.bytes) {
        put_head(data, LIST, n, compact, as_list);
        put_list(data, rows, n);
    } else {
        put_head(data, BITMAP, n, compact, bm.bytes);
        hg_portable_put(&bm, data);
    }
    hg_portable_free(&bm);
    return HG_OK;
}

enum hg_rc hg_bmi_write(const uint32_t *starts, const uint32_t *rows, uint32_t card, struct hg_bmi_form form, struct hg_buf *dir, struct hg_buf *data, struct hg_err *err)
{
    size_t head = dir->len, from = data->len;
    for (int i = 0; i < 4; i++) hg_buf_u32(dir, 0);
    for (uint32_t id = 0; id < card; id++) {
        uint32_t n = starts[id + 1] - starts[id];
        if (form.compact && id % GROUP == 0) hg_buf_u32(dir, (uint32_t)(data->len - from));
        if (n) HG_TRY(put_set(data, rows + starts[id], n, form, err));
        else if (form.compact) hg_buf_u8(data, 0);
        if (data->failed || data->len - from > UINT32_MAX) break;
        if (!form.compact) hg_buf_u32(dir, (uint32_t)(data->len - from));
    }
    HG_TRY(hg_buf_check(data, "bitmap index", err));
    size_t len = data->len - from;
    if (len > UINT32_MAX) return hg_fail(err, HG_E_LIMIT, "a bitmap index of more than %u bytes", UINT32_MAX);
    uint32_t chunks = (uint32_t)((len + CHUNK - 1) >> CHUNK_SHIFT);
    for (uint32_t c = 0; c < chunks; c++) {
        size_t at = (size_t)c << CHUNK_SHIFT, n = len - at < CHUNK ? len - at : CHUNK;
        hg_buf_u64(dir, hg_xxh3(data->p + from + at, n));
    }
    HG_TRY(hg_buf_check(dir, "bitmap index table", err));
    uint32_t h[4] = {card, CHUNK_SHIFT, chunks, (uint32_t)len};
    memcpy(dir->p + head, h, sizeof h);
    return HG_OK;
}

/* ---- reading ---- */

struct hg_bmi {
    bool compact;
    uint32_t card, n_rows, chunks, groups;
    const uint8_t *ends;  /* u32 LE x card, ascending; compact: x groups, where they begin */
    const uint8_t *sums;  /* u64 LE x chunks */
    struct hg_span data;
    _Atomic uint8_t *state; /* per chunk: SUMMED, and, not compact, WALKED */
    _Atomic uint8_t *group; /* compact, per group: WALKED */
};
enum { SUMMED = 1, WALKED = 2 };

static inline uint32_t end_of(const struct hg_bmi *ix, uint32_t id) { return hg_le32(ix->ends + (size_t)id * 4); }
static inline uint32_t start_of(const struct hg_bmi *ix, uint32_t id) { return id ? end_of(ix, id - 1) : 0; }

static inline uint32_t group_from(const struct hg_bmi *ix, uint32_t g) { return g < ix->groups ? hg_le32(ix->ends + (size_t)g * 4) : (uint32_t)ix->data.len; }

/* The places in the table ascend, and end with the sets. */
static enum hg_rc check_table(const struct hg_bmi *ix, struct hg_err *err)
{
    uint32_t prev = 0, len = (uint32_t)ix->data.len, n = ix->compact ? ix->groups : ix->card;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t e = hg_le32(ix->ends + (size_t)i * 4);
        if (e < prev || e > len || (ix->compact && i == 0 && e != 0)) return hg_fail(err, HG_E_CORRUPT, "bitmap index: place %u of its table is %u, after %u of %u bytes", i, e, prev, len);
        prev = e;
    }
    if (!ix->compact && prev != len) return hg_fail(err, HG_E_CORRUPT, "bitmap index: sets end at %u of %u bytes", prev, len);
    return HG_OK;
}

enum hg_rc hg_bmi_open(struct hg_arena *a, struct hg_span dir, struct hg_span data, uint32_t card, uint32_t n_rows, bool compact, struct hg_bmi **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(dir);
    uint32_t got = hg_rd_u32(&r), shift = hg_rd_u32(&r), chunks = hg_rd_u32(&r), len = hg_rd_u32(&r), groups = card / GROUP + (card % GROUP != 0), places = compact ? groups : card;
    if (r.bad || got != card || shift != CHUNK_SHIFT || len != data.len || chunks != (data.len + CHUNK - 1) >> CHUNK_SHIFT || hg_rd_left(&r) != (uint64_t)places * 4 + (uint64_t)chunks * 8)
        return hg_fail(err, HG_E_CORRUPT, "bitmap index table of %zu bytes does not agree with %u ids and %zu bytes of sets", dir.len, card, data.len);
    struct hg_bmi *ix = hg_arena_zalloc(a, sizeof *ix);
    if (ix) ix->state = hg_arena_zalloc(a, chunks ? chunks : 1);
    if (ix && compact) ix->group = hg_arena_zalloc(a, groups);
    if (!ix || !ix->state || (compact && !ix->group)) return hg_arena_fail(a, "bitmap index", err);
    ix->compact = compact;
    ix->card = card;
    ix->n_rows = n_rows;
    ix->chunks = chunks;
    ix->groups = groups;
    ix->ends = r.p;
    ix->sums = r.p + (size_t)places * 4;
    ix->data = data;
    HG_TRY(check_table(ix, err));
    *out = ix;
    return HG_OK;
}

static bool array_ok(const uint8_t *p, uint32_t n)
{
    int32_t prev = -1;
    bool ok = true;
    for (uint32_t i = 0; i < n; i++) {
        uint16_t v;
        memcpy(&v, p + (size_t)i * 2, 2);
        ok = ok && v > prev;
        prev = v;
    }
    return ok;
}

/* Runs ascend with a gap between them; sets the rows they hold. */
static bool runs_ok(const uint8_t *p, uint32_t n, uint32_t *card, uint32_t *last)
{
    uint32_t next = 0, total = 0; /* next: least start allowed */
    for (uint32_t i = 0; i < n; i++) {
        uint16_t v, len;
        memcpy(&v, p + (size_t)i * 4, 2);
        memcpy(&len, p + (size_t)i * 4 + 2, 2);
        if (v < next || (uint32_t)v + len > 0xffff) return false;
        total += len + 1u;
        *last = (uint32_t)v + len;
        next = *last + 2;
    }
    *card = total;
    return n > 0;
}

static uint32_t bitset_card(const uint8_t *p, uint32_t *last)
{
    uint32_t card = 0;
    for (uint32_t w = 0; w < 1024; w++) {
        uint64_t x = hg_le64(p + (size_t)w * 8);
        card += (uint32_t)__builtin_popcountll(x);
        if (x) *last = w * 64 + 63 - (uint32_t)__builtin_clzll(x);
    }
    return card;
}

/* The portable format (RoaringFormatSpec), whole: counts, keys, offsets, containers, and no row past n_rows. */
static bool roaring_ok(const uint8_t *p, size_t len, uint32_t want, uint32_t n_rows)
{
    const uint8_t *start = p, *runs = NULL;
    struct hg_rd r = hg_rd_of((struct hg_span){p, len});
    uint32_t cookie = hg_rd_u32(&r), size;
    if ((cookie & 0xffff) == 12347) {
        size = (cookie >> 16) + 1;
        runs = hg_rd_bytes(&r, (size + 7) / 8).p;
    } else if (cookie == 12346) {
        size = hg_rd_u32(&r);
    } else {
        return false;
    }
    if (r.bad || size == 0 || size > 65536) return false;
    const uint8_t *keys = hg_rd_bytes(&r, (size_t)size * 4).p, *offsets = NULL;
    if (!runs || size >= 4) offsets = hg_rd_bytes(&r, (size_t)size * 4).p;
    if (r.bad) return false;
    int32_t prev_key = -1;
    uint64_t total = 0;
    for (uint32_t c = 0; c < size; c++) {
        uint16_t key, card_less_1;
        memcpy(&key, keys + (size_t)c * 4, 2);
        memcpy(&card_less_1, keys + (size_t)c * 4 + 2, 2);
        uint32_t card = card_less_1 + 1u, got = 0, last = 0;
        if (key <= prev_key) return false;
        prev_key = key;
        if (offsets && hg_le32(offsets + (size_t)c * 4) != (size_t)(r.p - start)) return false;
        if (runs && (runs[c / 8] >> (c % 8) & 1)) {
            uint16_t n = hg_rd_u16(&r);
            const uint8_t *q = hg_rd_bytes(&r, (size_t)n * 4).p;
            if (r.bad || !runs_ok(q, n, &got, &last)) return false;
        } else if (card <= 4096) {
            const uint8_t *q = hg_rd_bytes(&r, (size_t)card * 2).p;
            if (r.bad || !array_ok(q, card)) return false;
            got = card;
            uint16_t v;
            memcpy(&v, q + (size_t)(card - 1) * 2, 2);
            last = v;
        } else {
            const uint8_t *q = hg_rd_bytes(&r, 8192).p;
            if (r.bad) return false;
            got = bitset_card(q, &last);
        }
        if (got != card || ((uint32_t)key << 16 | last) >= n_rows) return false;
        total += card;
    }
    return total == want && hg_rd_left(&r) == 0;
}

static bool list_ok(struct hg_rd *r, uint64_t n, uint32_t n_rows)
{
    uint64_t row = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t d = hg_rd_varint(r);
        if (r->bad || (i && d == 0) || d >= n_rows) return false;
        row += d;
        if (row >= n_rows) return false;
    }
    return hg_rd_left(r) == 0;
}

struct set {
    enum kind kind;
    uint64_t n;           /* rows */
    uint64_t first;       /* RUN */
    struct hg_span bytes; /* LIST, BITMAP */
};

/* The set at r, and behind it; false: it is cut off. Of the older form, r ends with the set. */
static bool read_set(struct hg_rd *r, bool compact, struct set *s)
{
    uint64_t head = hg_rd_varint(r);
    s->kind = (enum kind)(head & (compact ? 3 : 1));
    s->n = head >> (compact ? 2 : 1);
    s->first = 0;
    s->bytes = (struct hg_span){0, 0};
    if (s->kind == RUN) s->first = hg_rd_varint(r);
    else if (s->kind <= BITMAP && (s->n || !compact)) s->bytes = hg_rd_bytes(r, compact ? (size_t)hg_rd_varint(r) : hg_rd_left(r));
    return !r->bad;
}

static bool set_ok(const struct set *s, uint32_t n_rows, bool compact)
{
    struct hg_rd r = hg_rd_of(s->bytes);
    if (s->n == 0) return compact && s->kind == LIST;
    if (s->n > n_rows) return false;
    switch (s->kind) {
    case LIST: return list_ok(&r, s->n, n_rows);
    case BITMAP: return roaring_ok(s->bytes.p, s->bytes.len, (uint32_t)s->n, n_rows);
    case RUN: return s->first <= n_rows - s->n;
    case COUNTED: return true;
    }
    return false;
}

/* The set of an id below card, whose bytes were checked. */
static struct set set_of(const struct hg_bmi *ix, uint32_t id)
{
    struct set s = {0};
    uint32_t from = ix->compact ? group_from(ix, id / GROUP) : start_of(ix, id), to = ix->compact ? group_from(ix, id / GROUP + 1) : end_of(ix, id);
    if (from == to) return s;
    struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + from, to - from});
    for (uint32_t k = ix->compact ? id % GROUP + 1 : 1; k; k--)
        if (!read_set(&r, ix->compact, &s)) return (struct set){0};
    return s;
}

static enum hg_rc sum_chunk(struct hg_bmi *ix, uint32_t c, struct hg_err *err)
{
    if (atomic_load_explicit(&ix->state[c], memory_order_acquire) & SUMMED) return HG_OK;
    size_t at = (size_t)c << CHUNK_SHIFT, n = ix->data.len - at < CHUNK ? ix->data.len - at : CHUNK;
    uint64_t want = hg_le64(ix->sums + (size_t)c * 8), got;
    if (!hg_seg_sum_ok((struct hg_span){ix->data.p + at, n}, want, &got)) return hg_fail(err, HG_E_CORRUPT, "bitmap index chunk %u at %zu: checksum %016llx, want %016llx", c, at, (unsigned long long)got, (unsigned long long)want);
    atomic_fetch_or_explicit(&ix->state[c], SUMMED, memory_order_acq_rel);
    return HG_OK;
}

/* First id whose set starts in byte >= at. */
static uint32_t first_from(const struct hg_bmi *ix, uint32_t at)
{
    uint32_t lo = 0, hi = ix->card;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (start_of(ix, mid) < at) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* Bytes [from, to) are what was written. */
static enum hg_rc sum_bytes(struct hg_bmi *ix, uint32_t from, uint32_t to, struct hg_err *err)
{
    for (uint32_t k = from >> CHUNK_SHIFT; from < to && k <= (to - 1) >> CHUNK_SHIFT; k++) HG_TRY(sum_chunk(ix, k, err));
    return HG_OK;
}

static enum hg_rc check_group(struct hg_bmi *ix, uint32_t g, struct hg_err *err)
{
    if (atomic_load_explicit(&ix->group[g], memory_order_acquire) & WALKED) return HG_OK;
    uint32_t from = group_from(ix, g), to = group_from(ix, g + 1), n = ix->card - g * GROUP < GROUP ? ix->card - g * GROUP : GROUP;
    HG_TRY(sum_bytes(ix, from, to, err));
    struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + from, to - from});
    for (uint32_t k = 0; k < n; k++) {
        struct set s;
        if (!read_set(&r, true, &s) || !set_ok(&s, ix->n_rows, true)) return hg_fail(err, HG_E_CORRUPT, "bitmap index: set of id %u, in bytes %u to %u, is malformed", g * GROUP + k, from, to);
    }
    if (hg_rd_left(&r)) return hg_fail(err, HG_E_CORRUPT, "bitmap index: %zu bytes after the set of id %u", hg_rd_left(&r), g * GROUP + n - 1);
    atomic_fetch_or_explicit(&ix->group[g], WALKED, memory_order_acq_rel);
    return HG_OK;
}

/* The set of id may be read. */
static enum hg_rc check_set(struct hg_bmi *ix, uint32_t id, struct hg_err *err)
{
    if (ix->compact) return check_group(ix, id / GROUP, err);
    if (start_of(ix, id) == end_of(ix, id)) return HG_OK;
    uint32_t c = start_of(ix, id) >> CHUNK_SHIFT;
    if (atomic_load_explicit(&ix->state[c], memory_order_acquire) & WALKED) return HG_OK;
    for (uint32_t i = first_from(ix, c << CHUNK_SHIFT); i < ix->card && start_of(ix, i) >> CHUNK_SHIFT == c; i++) {
        uint32_t from = start_of(ix, i), to = end_of(ix, i);
        struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + from, to - from});
        struct set s;
        if (from == to) continue;
        HG_TRY(sum_bytes(ix, from, to, err));
        if (!read_set(&r, false, &s) || !set_ok(&s, ix->n_rows, false)) return hg_fail(err, HG_E_CORRUPT, "bitmap index: set of id %u, bytes %u to %u, is malformed", i, from, to);
    }
    atomic_fetch_or_explicit(&ix->state[c], WALKED, memory_order_acq_rel);
    return HG_OK;
}

#define PIECE 256u

static void add_list(struct hg_rd *r, uint64_t n, roaring_bitmap_t *acc)
{
    uint32_t rows[PIECE], row = 0, k = 0;
    while (n--) {
        row += (uint32_t)hg_rd_varint(r);
        rows[k++] = row;
        if (k == PIECE || n == 0) {
            roaring_bitmap_add_many(acc, k, rows);
            k = 0;
        }
    }
}

/* Short runs one by one: a range is a set operation of its own. */
static void add_run(const struct set *s, roaring_bitmap_t *acc)
{
    uint32_t rows[PIECE];
    if (s->n > PIECE) {
        roaring_bitmap_add_range(acc, s->first, s->first + s->n);
        return;
    }
    for (uint32_t k = 0; k < s->n; k++) rows[k] = (uint32_t)s->first + k;
    roaring_bitmap_add_many(acc, s->n, rows);
}

static enum hg_rc add_bitmap(const struct set *s, roaring_bitmap_t *acc, struct hg_err *err)
{
    roaring_bitmap_t *one = roaring_bitmap_portable_deserialize_safe((const char *)s->bytes.p, s->bytes.len);
    if (!one) return hg_fail(err, HG_E_NOMEM, "bitmap of %zu bytes", s->bytes.len);
    roaring_bitmap_lazy_or_inplace(acc, one, false);
    roaring_bitmap_free(one);
    return HG_OK;
}

enum hg_rc hg_bmi_rows_of(struct hg_bmi *ix, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, bool *counted, struct hg_err *err)
{
    bool bitmaps = false;
    enum hg_rc rc = HG_OK;
    *counted = false;
    /* Lists and runs first: values are not added to containers whose counts a lazy union has left open. */
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= ix->card) continue;
        HG_TRY(check_set(ix, ids[i], err));
        struct set s = set_of(ix, ids[i]);
        struct hg_rd r = hg_rd_of(s.bytes);
        if (s.n == 0) continue;
        switch (s.kind) {
        case LIST: add_list(&r, s.n, acc); break;
        case BITMAP: bitmaps = true; break;
        case RUN: add_run(&s, acc); break;
        case COUNTED: return *counted = true, HG_OK;
        }
    }
    for (size_t i = 0; bitmaps && i < n && rc == HG_OK; i++) {
        struct set s = {0};
        if (ids[i] < ix->card) s = set_of(ix, ids[i]);
        if (s.n && s.kind == BITMAP) rc = add_bitmap(&s, acc, err);
    }
    if (bitmaps) roaring_bitmap_repair_after_lazy(acc);
    return rc;
}

uint32_t hg_bmi_count(struct hg_bmi *ix, uint32_t id)
{
    if (id >= ix->card) return 0;
    if (check_set(ix, id, NULL) != HG_OK) return UINT32_MAX;
    return (uint32_t)set_of(ix, id).n;
}

enum hg_rc hg_bmi_stat(struct hg_bmi *ix, struct hg_bmi_stat *out, struct hg_err *err)
{
    struct hg_bmi_stat st = {0};
    for (uint32_t id = 0; id < ix->card; id++) {
        HG_TRY(check_set(ix, id, err));
        struct set s = set_of(ix, id);
        uint32_t *of[] = {[LIST] = &st.lists, [BITMAP] = &st.bitmaps, [RUN] = &st.runs, [COUNTED] = &st.counted};
        ++*(s.n ? of[s.kind] : &st.empty);
    }
    *out = st;
    return HG_OK;
}
