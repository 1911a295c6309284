#include "segment/bmi_portable.h"

#include <stdlib.h>

#define ARRAY_MOST 4096u     /* rows of a part; more are bits */
#define BITS_BYTES 8192u
#define COOKIE_RUNS 12347u
#define COOKIE 12346u
#define OFFSETS_FROM 4u      /* with runs, fewer parts have no offsets */

/* As CRoaring chooses: runs where they are shorter than what the part would be otherwise, whose count of an array it counts, too. */
static bool as_runs(const struct hg_portable_part *c)
{
    uint32_t runs = 2 + 4 * c->runs;
    return c->n <= ARRAY_MOST ? runs < 2 + 2 * c->n : runs < BITS_BYTES;
}

static size_t part_bytes(const struct hg_portable_part *c)
{
    if (as_runs(c)) return 2 + 4 * (size_t)c->runs;
    return c->n <= ARRAY_MOST ? 2 * (size_t)c->n : BITS_BYTES;
}

/* The end of the rows that have the upper bits of rows[from]: near ones are found at once, far ones by halving. */
static uint32_t part_end(const uint32_t *rows, uint32_t from, uint32_t n)
{
    uint32_t key = rows[from] >> 16, step = 1, lo = from, hi;
    while (n - lo > step && rows[lo + step] >> 16 == key) lo += step, step *= 2;
    hi = n - lo > step ? lo + step : n; /* rows[lo] is in, hi is not */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (rows[mid] >> 16 == key) lo = mid;
        else hi = mid;
    }
    return hi;
}

static uint32_t count_runs(const uint32_t *rows, uint32_t n)
{
    uint32_t runs = 1;
    for (uint32_t i = 1; i < n; i++) runs += rows[i] != rows[i - 1] + 1;
    return runs;
}

static size_t head_bytes(const struct hg_portable *p)
{
    size_t n = p->n_parts, offsets = p->n_runs == 0 || n >= OFFSETS_FROM ? 4 * n : 0;
    return (p->n_runs ? 4 + (n + 7) / 8 : 8) + 4 * n + offsets;
}

enum hg_rc hg_portable_of(struct hg_portable *p, const uint32_t *rows, uint32_t n, struct hg_err *err)
{
    size_t most = (size_t)(rows[n - 1] >> 16) - (rows[0] >> 16) + 1;
    p->rows = rows;
    p->n_parts = p->n_runs = 0;
    p->bytes = 0;
    p->parts = most <= sizeof p->few / sizeof *p->few ? p->few : malloc(most * sizeof *p->parts);
    if (!p->parts) return hg_fail(err, HG_E_NOMEM, "bitmap of %u rows", n);
    for (uint32_t from = 0, to; from < n; from = to) {
        struct hg_portable_part *c = &p->parts[p->n_parts++];
        to = part_end(rows, from, n);
        *c = (struct hg_portable_part){from, to - from, count_runs(rows + from, to - from)};
        p->n_runs += as_runs(c);
        p->bytes += part_bytes(c);
    }
    p->bytes += head_bytes(p);
    return HG_OK;
}

void hg_portable_free(struct hg_portable *p)
{
    if (p->parts != p->few) free(p->parts);
}

static void put16(uint8_t **at, uint32_t v)
{
    (*at)[0] = (uint8_t)v;
    (*at)[1] = (uint8_t)(v >> 8);
    *at += 2;
}
static void put32(uint8_t **at, uint32_t v)
{
    put16(at, v & 0xffff);
    put16(at, v >> 16);
}

static void put_head(const struct hg_portable *p, uint8_t **at)
{
    uint32_t n = p->n_parts;
    if (p->n_runs) {
        put32(at, COOKIE_RUNS | (n - 1) << 16);
        memset(*at, 0, (n + 7) / 8);
        for (uint32_t i = 0; i < n; i++)
            if (as_runs(&p->parts[i])) (*at)[i / 8] = (uint8_t)((*at)[i / 8] | 1u << i % 8);
        *at += (n + 7) / 8;
    } else {
        put32(at, COOKIE);
        put32(at, n);
    }
    for (uint32_t i = 0; i < n; i++) {
        put16(at, p->rows[p->parts[i].from] >> 16);
        put16(at, p->parts[i].n - 1);
    }
    size_t offset = head_bytes(p);
    for (uint32_t i = 0; i < n && (p->n_runs == 0 || n >= OFFSETS_FROM); i++) {
        put32(at, (uint32_t)offset);
        offset += part_bytes(&p->parts[i]);
    }
}

static void put_runs(const uint32_t *rows, const struct hg_portable_part *c, uint8_t **at)
{
    put16(at, c->runs);
    for (uint32_t i = 0, to; i < c->n; i = to) {
        for (to = i + 1; to < c->n && rows[to] == rows[to - 1] + 1;) to++;
        put16(at, rows[i] & 0xffff);
        put16(at, to - i - 1);
    }
}

static void put_bits(const uint32_t *rows, uint32_t n, uint8_t **at)
{
    uint64_t bits[BITS_BYTES / 8] = {0};
    for (uint32_t i = 0; i < n; i++) bits[(rows[i] & 0xffff) / 64] |= UINT64_C(1) << rows[i] % 64;
    memcpy(*at, bits, BITS_BYTES); /* little-endian, as all of a file */
    *at += BITS_BYTES;
}

static void put_array(const uint32_t *rows, uint32_t n, uint8_t **at)
{
    uint16_t low[ARRAY_MOST];
    for (uint32_t i = 0; i < n; i++) low[i] = (uint16_t)rows[i];
    memcpy(*at, low, n * sizeof *low);
    *at += n * sizeof *low;
}

void hg_portable_put(const struct hg_portable *p, struct hg_buf *out)
{
    uint8_t *at = hg_buf_reserve(out, p->bytes);
    if (!at) return;
    put_head(p, &at);
    for (uint32_t i = 0; i < p->n_parts; i++) {
        const struct hg_portable_part *c = &p->parts[i];
        const uint32_t *rows = p->rows + c->from;
        if (as_runs(c)) put_runs(rows, c, &at);
        else if (c->n <= ARRAY_MOST) put_array(rows, c->n, &at);
        else put_bits(rows, c->n, &at);
    }
    out->len += p->bytes;
}
