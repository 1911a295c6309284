/* CRoaring 0.2.66 reads portable bitmaps without looking inside containers: an array out of order, or a bitset whose cardinality lies, would
 * make later set operations overrun. So every set is walked by roaring_ok before CRoaring sees it. The walk is done once per chunk of
 * CHUNK bytes, after the chunk's checksum. */
#include "segment/bmi.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "segment/format.h"

#define HEAD 16 /* card u32, chunk shift u32, chunks u32, data bytes u32; then ends u32 x card, checksums u64 x chunks */
#define CHUNK_SHIFT 16
#define CHUNK (1u << CHUNK_SHIFT)
#define MAX_LIST 4096u

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
    uint8_t *from = hg_buf_reserve(data, ((size_t)n + 1) * VARINT_MAX), *p = from;
    if (!p) return;
    p = put_varint(put_varint(p, n << 1), rows[0]);
    for (uint32_t i = 1; i < n; i++) p = put_varint(p, rows[i] - rows[i - 1]);
    data->len += (size_t)(p - from);
}

/* No portable bitmap of these rows is shorter: of each 65,536 rows it takes the shortest of an array, runs and bits, and four bytes. */
static size_t least_bitmap(const uint32_t *rows, uint32_t n)
{
    size_t len = 4;
    for (uint32_t i = 0; i < n;) {
        uint32_t key = rows[i] >> 16, from = i, runs = 1;
        while (++i < n && rows[i] >> 16 == key) runs += rows[i] != rows[i - 1] + 1;
        uint32_t array = 2 * (i - from), run = 2 + 4 * runs, least = array < run ? array : run;
        len += 4 + (least < 8192 ? least : 8192);
    }
    return len;
}

static enum hg_rc put_set(struct hg_buf *data, const uint32_t *rows, uint32_t n, struct hg_err *err)
{
    /* A bitmap of one container takes at least 16 bytes, so short lists need no comparison, and most others no bitmap to compare with. */
    size_t as_list = n <= MAX_LIST ? list_len(rows, n) : SIZE_MAX;
    if (as_list <= 16 || (n <= MAX_LIST && as_list <= least_bitmap(rows, n))) return put_list(data, rows, n), HG_OK;
    roaring_bitmap_t *bm = roaring_bitmap_of_ptr(n, rows);
    if (!bm) return hg_fail(err, HG_E_NOMEM, "bitmap of %u rows", n);
    roaring_bitmap_run_optimize(bm);
    size_t len = roaring_bitmap_portable_size_in_bytes(bm);
    if (as_list <= len) {
        put_list(data, rows, n);
    } else {
        hg_buf_varint(data, (uint64_t)n << 1 | 1);
        uint8_t *p = hg_buf_reserve(data, len);
        if (p) data->len += roaring_bitmap_portable_serialize(bm, (char *)p);
    }
    roaring_bitmap_free(bm);
    return HG_OK;
}

enum hg_rc hg_bmi_write(const uint32_t *starts, const uint32_t *rows, uint32_t card, struct hg_buf *dir, struct hg_buf *data, struct hg_err *err)
{
    size_t head = dir->len, from = data->len;
    for (int i = 0; i < 4; i++) hg_buf_u32(dir, 0);
    for (uint32_t id = 0; id < card; id++) {
        uint32_t n = starts[id + 1] - starts[id];
        if (n) HG_TRY(put_set(data, rows + starts[id], n, err));
        if (data->failed || data->len - from > UINT32_MAX) break;
        hg_buf_u32(dir, (uint32_t)(data->len - from));
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
    uint32_t card, n_rows, chunks;
    const uint8_t *ends;  /* u32 LE x card, ascending */
    const uint8_t *sums;  /* u64 LE x chunks */
    struct hg_span data;
    _Atomic uint8_t *state; /* per chunk: SUMMED, WALKED */
};
enum { SUMMED = 1, WALKED = 2 };

static inline uint32_t end_of(const struct hg_bmi *ix, uint32_t id) { return hg_le32(ix->ends + (size_t)id * 4); }
static inline uint32_t start_of(const struct hg_bmi *ix, uint32_t id) { return id ? end_of(ix, id - 1) : 0; }

enum hg_rc hg_bmi_open(struct hg_arena *a, struct hg_span dir, struct hg_span data, uint32_t card, uint32_t n_rows, struct hg_bmi **out, struct hg_err *err)
{
    struct hg_rd r = hg_rd_of(dir);
    uint32_t got = hg_rd_u32(&r), shift = hg_rd_u32(&r), chunks = hg_rd_u32(&r), len = hg_rd_u32(&r);
    if (r.bad || got != card || shift != CHUNK_SHIFT || len != data.len || chunks != (data.len + CHUNK - 1) >> CHUNK_SHIFT || hg_rd_left(&r) != (uint64_t)card * 4 + (uint64_t)chunks * 8)
        return hg_fail(err, HG_E_CORRUPT, "bitmap index table of %zu bytes does not agree with %u ids and %zu bytes of sets", dir.len, card, data.len);
    struct hg_bmi *ix = hg_arena_zalloc(a, sizeof *ix);
    if (ix) ix->state = hg_arena_zalloc(a, chunks ? chunks : 1);
    if (!ix || !ix->state) return hg_arena_fail(a, "bitmap index", err);
    ix->card = card;
    ix->n_rows = n_rows;
    ix->chunks = chunks;
    ix->ends = r.p;
    ix->sums = r.p + (size_t)card * 4;
    ix->data = data;
    uint32_t prev = 0;
    for (uint32_t id = 0; id < card; id++) {
        uint32_t e = end_of(ix, id);
        if (e < prev || e > len) return hg_fail(err, HG_E_CORRUPT, "bitmap index: set of id %u ends at %u, after %u of %u bytes", id, e, prev, len);
        prev = e;
    }
    if (prev != len) return hg_fail(err, HG_E_CORRUPT, "bitmap index: sets end at %u of %u bytes", prev, len);
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

static bool set_ok(const struct hg_bmi *ix, uint32_t id)
{
    uint32_t from = start_of(ix, id), to = end_of(ix, id);
    if (from == to) return true;
    struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + from, to - from});
    uint64_t head = hg_rd_varint(&r), n = head >> 1;
    if (r.bad || n == 0 || n > ix->n_rows) return false;
    return head & 1 ? roaring_ok(r.p, hg_rd_left(&r), (uint32_t)n, ix->n_rows) : list_ok(&r, n, ix->n_rows);
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

/* The set of id, which is not empty, may be read. */
static enum hg_rc check_set(struct hg_bmi *ix, uint32_t id, struct hg_err *err)
{
    uint32_t c = start_of(ix, id) >> CHUNK_SHIFT;
    if (atomic_load_explicit(&ix->state[c], memory_order_acquire) & WALKED) return HG_OK;
    for (uint32_t i = first_from(ix, c << CHUNK_SHIFT); i < ix->card && start_of(ix, i) >> CHUNK_SHIFT == c; i++) {
        uint32_t to = end_of(ix, i);
        if (to == start_of(ix, i)) continue;
        for (uint32_t k = c; k <= (to - 1) >> CHUNK_SHIFT; k++) HG_TRY(sum_chunk(ix, k, err));
        if (!set_ok(ix, i)) return hg_fail(err, HG_E_CORRUPT, "bitmap index: set of id %u, bytes %u to %u, is malformed", i, start_of(ix, i), to);
    }
    atomic_fetch_or_explicit(&ix->state[c], WALKED, memory_order_acq_rel);
    return HG_OK;
}

static void add_list(struct hg_rd *r, uint32_t n, roaring_bitmap_t *acc)
{
    uint32_t rows[256], row = 0, k = 0;
    while (n--) {
        row += (uint32_t)hg_rd_varint(r);
        rows[k++] = row;
        if (k == 256 || n == 0) {
            roaring_bitmap_add_many(acc, k, rows);
            k = 0;
        }
    }
}

enum hg_rc hg_bmi_rows_of(struct hg_bmi *ix, const uint32_t *ids, size_t n, roaring_bitmap_t *acc, struct hg_err *err)
{
    bool lazy = false;
    enum hg_rc rc = HG_OK;
    /* Lists first: values are not added to containers whose counts a lazy union has left open. */
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            if (ids[i] >= ix->card || start_of(ix, ids[i]) == end_of(ix, ids[i])) continue;
            if (pass == 0 && (rc = check_set(ix, ids[i], err)) != HG_OK) return rc;
            uint32_t from = start_of(ix, ids[i]), to = end_of(ix, ids[i]);
            struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + from, to - from});
            uint64_t head = hg_rd_varint(&r);
            if (!(head & 1)) {
                if (pass == 0) add_list(&r, (uint32_t)(head >> 1), acc);
                continue;
            }
            if (pass == 0) continue;
            roaring_bitmap_t *one = roaring_bitmap_portable_deserialize_safe((const char *)r.p, hg_rd_left(&r));
            if (!one) {
                rc = hg_fail(err, HG_E_NOMEM, "bitmap of id %u, %zu bytes", ids[i], hg_rd_left(&r));
                break;
            }
            roaring_bitmap_lazy_or_inplace(acc, one, false);
            roaring_bitmap_free(one);
            lazy = true;
        }
    }
    if (lazy) roaring_bitmap_repair_after_lazy(acc);
    return rc;
}

uint32_t hg_bmi_count(struct hg_bmi *ix, uint32_t id)
{
    if (id >= ix->card || start_of(ix, id) == end_of(ix, id)) return 0;
    if (check_set(ix, id, NULL) != HG_OK) return UINT32_MAX;
    struct hg_rd r = hg_rd_of((struct hg_span){ix->data.p + start_of(ix, id), end_of(ix, id) - start_of(ix, id)});
    return (uint32_t)(hg_rd_varint(&r) >> 1);
}

enum hg_rc hg_bmi_stat(struct hg_bmi *ix, struct hg_bmi_stat *out, struct hg_err *err)
{
    struct hg_bmi_stat s = {0};
    for (uint32_t id = 0; id < ix->card; id++) {
        uint32_t from = start_of(ix, id), to = end_of(ix, id);
        if (from == to) {
            s.empty++;
            continue;
        }
        HG_TRY(check_set(ix, id, err));
        if (ix->data.p[from] & 1) s.bitmaps++, s.bitmap_bytes += to - from;
        else s.lists++, s.list_bytes += to - from;
    }
    *out = s;
    return HG_OK;
}
