/* Dictionaries, rows by id, and lists of ids of the live index. */
#include <stdlib.h>
#include "base/hash.h"
#include "segment/live_private.h"

/* ---- counted memory ---- */

enum hg_rc hg_live_take(struct live_mem *m, size_t n, struct hg_err *err)
{
    if (m->budget) HG_TRY(hg_budget_take(m->budget, n, err));
    atomic_fetch_add_explicit(&m->bytes, n, memory_order_relaxed);
    return HG_OK;
}

void hg_live_give(struct live_mem *m, size_t n)
{
    if (m->budget) hg_budget_give(m->budget, n);
    atomic_fetch_sub_explicit(&m->bytes, n, memory_order_relaxed);
}

enum hg_rc hg_live_resize(struct live_mem *m, void *p, size_t old, size_t n, struct hg_err *err)
{
    void *now;
    memcpy(&now, p, sizeof now);
    HG_TRY(hg_live_take(m, n, err)); /* both stand for a moment */
    void *next = realloc(now, n);
    if (!next) {
        hg_live_give(m, n);
        return hg_fail(err, HG_E_NOMEM, "live index: %zu bytes", n);
    }
    if (n > old) memset((char *)next + old, 0, n - old);
    hg_live_give(m, old);
    memcpy(p, &next, sizeof next);
    return HG_OK;
}

void hg_live_drop(struct live_mem *m, void *p, size_t n)
{
    if (!p) return;
    free(p);
    hg_live_give(m, n);
}

/* A bigger table for open addressing, three quarters full at most; false: not needed yet. */
static bool table_full(uint32_t used, uint32_t slots) { return (uint64_t)(used + 1) * 4 > (uint64_t)slots * 3; }

/* ---- dictionary ---- */

#define TEXT_BLOCK 65536u
struct live_block {
    struct live_block *next;
    size_t used, cap;
    char text[];
};

static struct hg_str dict_get(const struct hg_dict *d, uint32_t id, struct hg_buf *scratch)
{
    (void)scratch;
    const struct live_text *t = &((const struct live_dict *)(const void *)d)->text[id];
    return (struct hg_str){t->p, t->len};
}

static inline uint64_t load8(const char *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline uint64_t load4(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

/* Loads that overlap rather than reach past the end. Together with the length they say what the bytes are. */
static inline struct live_word word_of(struct hg_str s)
{
    const char *p = s.p;
    size_t n = s.len;
    if (n >= 8 && n <= 16) return (struct live_word){load8(p), load8(p + n - 8), (uint32_t)n};
    if (n > 16) return (struct live_word){hg_xxh3(p, n), 0, (uint32_t)n};
    if (n >= 4) return (struct live_word){load4(p) | load4(p + n - 4) << 32, 0, (uint32_t)n};
    if (n == 0) return (struct live_word){0, 0, 0};
    return (struct live_word){(uint64_t)(uint8_t)p[0] | (uint64_t)(uint8_t)p[n / 2] << 8 | (uint64_t)(uint8_t)p[n - 1] << 16, 0, (uint32_t)n};
}

static inline uint32_t word_hash(uint64_t a, uint64_t b, uint32_t len)
{
    unsigned __int128 m = (unsigned __int128)(a ^ UINT64_C(0xa0761d6478bd642f)) * ((b + len) ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint32_t)((uint64_t)m ^ (uint64_t)(m >> 64));
}

/* The entry of s, or the empty one where it belongs. */
static inline struct live_entry *dict_entry(const struct live_dict *d, struct live_word w, struct hg_str s)
{
    uint32_t mask = d->n_slots - 1;
    for (uint32_t at = word_hash(w.a, w.b, w.len) & mask;; at = (at + 1) & mask) {
        struct live_entry *e = &d->slots[at];
        if (!e->id) return e;
        if (e->a == w.a && e->b == w.b && e->len == w.len && (w.len <= 16 || memcmp(d->text[e->id].p, s.p, w.len) == 0)) return e;
    }
}

static bool dict_find(const struct hg_dict *d, struct hg_str s, uint32_t *id)
{
    const struct live_dict *l = (const struct live_dict *)(const void *)d;
    if (!l->n_slots || s.len > UINT32_MAX / 2) return false;
    uint32_t found = dict_entry(l, word_of(s), s)->id;
    if (!found) return false;
    *id = found;
    return true;
}

/* Nobody asks an unsorted dictionary; every id from the first on may be >= s. */
static uint32_t dict_lower_bound(const struct hg_dict *d, struct hg_str s)
{
    (void)d, (void)s;
    return 1;
}
static const struct hg_dict_ops dict_ops = {dict_get, dict_find, dict_lower_bound, NULL};

void hg_live_dict_init(struct live_dict *d, struct live_mem *mem) { *d = (struct live_dict){.base = {.ops = &dict_ops, .card = 1}, .mem = mem}; }

static void drop_order(struct live_dict *d)
{
    hg_live_drop(d->mem, d->order, ((size_t)d->n_order + 1) * sizeof *d->order);
    d->base.order = d->order = NULL;
}

void hg_live_dict_free(struct live_dict *d)
{
    for (struct live_block *b = d->blocks, *next; b; b = next) {
        next = b->next;
        hg_live_drop(d->mem, b, sizeof *b + b->cap);
    }
    hg_live_drop(d->mem, d->text, d->cap * sizeof *d->text);
    hg_live_drop(d->mem, d->slots, d->n_slots * sizeof *d->slots);
    drop_order(d);
}

static enum hg_rc dict_grow_table(struct live_dict *d, struct hg_err *err)
{
    uint32_t n = d->n_slots ? d->n_slots * 2 : 64;
    struct live_entry *slots = NULL;
    HG_TRY(hg_live_resize(d->mem, &slots, 0, n * sizeof *slots, err));
    for (uint32_t i = 0; i < d->n_slots; i++) {
        const struct live_entry *e = &d->slots[i];
        if (!e->id) continue;
        uint32_t at = word_hash(e->a, e->b, e->len) & (n - 1);
        while (slots[at].id) at = (at + 1) & (n - 1);
        slots[at] = *e;
    }
    hg_live_drop(d->mem, d->slots, d->n_slots * sizeof *slots);
    d->slots = slots;
    d->n_slots = n;
    return HG_OK;
}

static enum hg_rc keep_text(struct live_dict *d, struct hg_str s, const char **out, struct hg_err *err)
{
    struct live_block *b = d->blocks;
    if (!b || b->cap - b->used < s.len) {
        /* Small dictionaries have small blocks; a long text has its own. */
        size_t cap = !b ? 1024 : b->cap < TEXT_BLOCK ? b->cap * 4 : TEXT_BLOCK;
        if (cap > TEXT_BLOCK) cap = TEXT_BLOCK;
        if (cap < s.len) cap = s.len;
        struct live_block *fresh = NULL;
        HG_TRY(hg_live_resize(d->mem, &fresh, 0, sizeof *fresh + cap, err));
        fresh->cap = cap;
        fresh->next = b;
        d->blocks = b = fresh;
    }
    char *p = b->text + b->used;
    if (s.len) memcpy(p, s.p, s.len);
    b->used += s.len;
    *out = p;
    return HG_OK;
}

/* Room for one more text, so that adding it cannot move the table. */
static enum hg_rc dict_room(struct live_dict *d, struct hg_err *err)
{
    if (!d->n_slots || d->base.card >= d->n_slots / 2) HG_TRY(dict_grow_table(d, err)); /* half empty: most texts stand where they are looked for first */
    if (d->base.card < d->cap) return HG_OK;
    if (d->base.card >= LIVE_LIST - 1) return hg_fail(err, HG_E_LIMIT, "live index: %u different values in a dimension", d->base.card);
    uint32_t cap = d->cap ? d->cap * 2 : 16;
    HG_TRY(hg_live_resize(d->mem, &d->text, d->cap * sizeof *d->text, cap * sizeof *d->text, err));
    d->cap = cap;
    return HG_OK;
}

static __attribute__((noinline)) enum hg_rc add_fresh(struct live_dict *d, struct live_word w, struct hg_str s, uint32_t *id, struct hg_err *err)
{
    const char *p;
    if (d->order) drop_order(d);
    HG_TRY(dict_room(d, err));
    HG_TRY(keep_text(d, s, &p, err));
    *id = d->base.card++;
    d->text[*id] = (struct live_text){p, w.len};
    *dict_entry(d, w, s) = (struct live_entry){w.a, w.b, w.len, *id};
    return HG_OK;
}

static inline enum hg_rc add_word(struct live_dict *d, struct live_word w, struct hg_str s, uint32_t *id, struct hg_err *err)
{
    uint32_t found = d->n_slots ? dict_entry(d, w, s)->id : 0;
    if (!found) HG_TRY(add_fresh(d, w, s, &found, err));
    d->last_word = w;
    *id = d->last = found;
    return HG_OK;
}

static inline bool is_last(const struct live_dict *d, struct live_word w, struct hg_str s)
{
    return d->last && d->last_word.a == w.a && d->last_word.b == w.b && d->last_word.len == w.len && (w.len <= 16 || memcmp(d->text[d->last].p, s.p, w.len) == 0);
}

static enum hg_rc too_long(size_t len, struct hg_err *err) { return hg_fail(err, HG_E_LIMIT, "live index: a text of %zu bytes", len); }

enum hg_rc hg_live_dict_add(struct live_dict *d, struct hg_str s, uint32_t *id, struct hg_err *err)
{
    if (!s.p) return *id = 0, HG_OK;
    if (s.len > UINT32_MAX / 2) return too_long(s.len, err);
    struct live_word w = word_of(s);
    if (is_last(d, w, s)) return *id = d->last, HG_OK;
    return add_word(d, w, s, id, err);
}

/* A short text that stands where its hash says: most do. */
static inline bool is_first(const struct live_dict *d, struct live_word w, uint32_t hash)
{
    if (!d->n_slots) return false;
    const struct live_entry *e = &d->slots[hash & (d->n_slots - 1)];
    return ((e->a ^ w.a) | (e->b ^ w.b) | (e->len ^ w.len)) == 0 && w.len <= 16 && e->id;
}

/* In small groups: the table's places of all of a group are asked for from memory before the first of them is looked at. */
enum hg_rc hg_live_dict_add_all(struct live_dict *d, const struct hg_str *s, uint32_t n, uint32_t *ids, struct hg_err *err)
{
    enum { GROUP = 32 };
    struct live_word w[GROUP];
    uint32_t hash[GROUP];
    for (uint32_t from = 0; from < n; from += GROUP) {
        uint32_t k = n - from < GROUP ? n - from : GROUP;
        for (uint32_t i = 0; i < k; i++) {
            if (!s[from + i].p) continue;
            if (s[from + i].len > UINT32_MAX / 2) return too_long(s[from + i].len, err);
            w[i] = word_of(s[from + i]);
            hash[i] = word_hash(w[i].a, w[i].b, w[i].len);
            if (d->n_slots) __builtin_prefetch(&d->slots[hash[i] & (d->n_slots - 1)]);
        }
        for (uint32_t i = 0; i < k; i++) {
            uint32_t *id = &ids[from + i];
            if (!s[from + i].p) *id = 0;
            else if (is_first(d, w[i], hash[i])) *id = d->slots[hash[i] & (d->n_slots - 1)].id;
            else HG_TRY(add_word(d, w[i], s[from + i], id, err));
        }
    }
    return HG_OK;
}

/* ---- rows by id ---- */

#define SET_ROW_BYTES 4u /* counted ahead per row; set right every SET_CHECK rows */
#define SET_CHECK 1024u

static uint32_t set_bytes(const roaring_bitmap_t *set) { return (uint32_t)(roaring_bitmap_portable_size_in_bytes(set) * 5 / 4 + 128); }

static enum hg_rc array_to_set(struct live_mem *m, struct live_post *p, struct hg_err *err)
{
    roaring_bitmap_t *set = roaring_bitmap_of_ptr(p->n, p->u.rows);
    if (!set) return hg_fail(err, HG_E_NOMEM, "live index: bitmap");
    uint32_t bytes = set_bytes(set);
    enum hg_rc rc = hg_live_take(m, bytes, err);
    if (rc != HG_OK) return roaring_bitmap_free(set), rc;
    hg_live_drop(m, p->u.rows, p->charged);
    p->charged = bytes;
    p->u.set = set;
    p->kind = LIVE_SET;
    return HG_OK;
}

enum hg_rc hg_live_post_reserve(struct live_mem *m, struct live_post *p, struct hg_err *err)
{
    if (p->kind == LIVE_NONE) return HG_OK;
    if (p->kind == LIVE_ONE) {
        uint32_t *rows = NULL;
        HG_TRY(hg_live_resize(m, &rows, 0, 4 * sizeof *rows, err));
        rows[0] = p->u.row;
        p->charged = 4 * sizeof *rows;
        p->u.rows = rows;
        p->kind = LIVE_ARRAY;
        return HG_OK;
    }
    if (p->kind == LIVE_ARRAY) {
        if (p->n < p->charged / sizeof(uint32_t)) return HG_OK;
        if (p->n >= LIVE_POST_ARRAY) return array_to_set(m, p, err);
        HG_TRY(hg_live_resize(m, &p->u.rows, p->charged, p->charged * 2, err));
        p->charged *= 2;
        return HG_OK;
    }
    HG_TRY(hg_live_take(m, SET_ROW_BYTES, err));
    p->charged += SET_ROW_BYTES;
    return HG_OK;
}

void hg_live_post_add(struct live_mem *m, struct live_post *p, uint32_t row)
{
    if (p->n && p->last == row) return; /* twice in one row */
    p->last = row;
    if (p->kind == LIVE_NONE) {
        p->kind = LIVE_ONE;
        p->u.row = row;
    } else if (p->kind == LIVE_ARRAY) {
        p->u.rows[p->n] = row;
    } else {
        roaring_bitmap_add(p->u.set, row);
        if (p->n % SET_CHECK == 0) {
            uint32_t bytes = set_bytes(p->u.set);
            if (bytes < p->charged) {
                hg_live_give(m, p->charged - bytes);
                p->charged = bytes;
            }
        }
    }
    p->n++;
}

void hg_live_post_or(const struct live_post *p, roaring_bitmap_t *acc)
{
    if (p->kind == LIVE_ONE) roaring_bitmap_add(acc, p->u.row);
    else if (p->kind == LIVE_ARRAY) roaring_bitmap_add_many(acc, p->n, p->u.rows);
    else if (p->kind == LIVE_SET) roaring_bitmap_or_inplace(acc, p->u.set);
}

void hg_live_post_free(struct live_mem *m, struct live_post *p)
{
    if (p->kind == LIVE_ARRAY) hg_live_drop(m, p->u.rows, p->charged);
    if (p->kind == LIVE_SET) {
        roaring_bitmap_free(p->u.set);
        hg_live_give(m, p->charged);
    }
}

/* ---- lists of ids ---- */

static enum hg_rc lists_grow_table(struct live_lists *l, struct hg_err *err)
{
    uint32_t n = l->n_slots ? l->n_slots * 2 : 64, *slots = NULL;
    HG_TRY(hg_live_resize(l->mem, &slots, 0, n * sizeof *slots, err));
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t at = l->list[i].hash & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = i + 1;
    }
    hg_live_drop(l->mem, l->slots, l->n_slots * sizeof *slots);
    l->slots = slots;
    l->n_slots = n;
    return HG_OK;
}

/* Makes room for n ids and one list. */
static enum hg_rc lists_room(struct live_lists *l, uint32_t n, struct hg_err *err)
{
    if (n >= LIVE_LIST - l->n_ids || l->n >= LIVE_LIST - 1) return hg_fail(err, HG_E_LIMIT, "live index: more than %u multi-values in a dimension", LIVE_LIST);
    if (!l->n_slots || table_full(l->n + 1, l->n_slots)) HG_TRY(lists_grow_table(l, err));
    if (n > l->cap_ids - l->n_ids) {
        uint32_t cap = l->cap_ids ? l->cap_ids : 64;
        while (cap - l->n_ids < n) cap *= 2;
        HG_TRY(hg_live_resize(l->mem, &l->ids, l->cap_ids * sizeof *l->ids, cap * sizeof *l->ids, err));
        l->cap_ids = cap;
    }
    if (l->n == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 16;
        HG_TRY(hg_live_resize(l->mem, &l->list, l->cap * sizeof *l->list, cap * sizeof *l->list, err));
        l->cap = cap;
    }
    return HG_OK;
}

enum hg_rc hg_live_lists_add(struct live_lists *l, const uint32_t *ids, uint32_t n, uint32_t *code, struct hg_err *err)
{
    HG_TRY(lists_room(l, n, err));
    uint32_t hash = n ? (uint32_t)hg_xxh3(ids, n * sizeof *ids) : 1, at = hash & (l->n_slots - 1);
    for (; l->slots[at]; at = (at + 1) & (l->n_slots - 1)) {
        const struct live_list *t = &l->list[l->slots[at] - 1];
        if (t->hash == hash && t->n == n && (n == 0 || memcmp(l->ids + t->at, ids, n * sizeof *ids) == 0)) return *code = LIVE_LIST | (l->slots[at] - 1), HG_OK;
    }
    if (n) memcpy(l->ids + l->n_ids, ids, n * sizeof *ids);
    l->list[l->n] = (struct live_list){l->n_ids, n, hash};
    l->n_ids += n;
    l->slots[at] = ++l->n;
    *code = LIVE_LIST | (l->n - 1);
    if (n == 0) l->empty = *code;
    return HG_OK;
}

void hg_live_lists_free(struct live_lists *l)
{
    hg_live_drop(l->mem, l->ids, l->cap_ids * sizeof *l->ids);
    hg_live_drop(l->mem, l->list, l->cap * sizeof *l->list);
    hg_live_drop(l->mem, l->slots, l->n_slots * sizeof *l->slots);
}
