/* Joining: rows of a source beside those rows of a table in memory whose keys are equal. The table's keys are turned into small numbers once (its index); a row of the left side asks with
 * the numbers of its own values, which for texts are found once a dictionary id. Null is equal to nothing. */
#include "query/source/over.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "base/num.h"
#include "query/engine/check.h"

/* ---- the table's side ---- */

struct number_code { uint64_t bits; uint32_t code; };
struct key {
    const struct hg_column *col;
    struct number_code *slots; /* numbers: open addressing; code 0: empty */
    uint64_t mask;
    uint32_t n;
};
struct hg_join_index {
    uint32_t n_keys, n_rows;
    struct key *keys;
    uint32_t *codes; /* n_keys a row; 0: matches nothing */
    uint32_t *head;  /* by hash of the codes: row + 1 */
    uint32_t *next;  /* by row: the next row of the same slot + 1; rows ascend */
    uint64_t mask;
};

static uint64_t room_for(uint32_t n)
{
    uint64_t room = 16;
    while (room < (uint64_t)n * 2) room *= 2;
    return room;
}

static uint64_t bits_of(double d)
{
    uint64_t b;
    if (d == 0) d = 0; /* -0.0 is 0.0 here */
    memcpy(&b, &d, sizeof b);
    return b;
}

static struct number_code *slot_of(const struct key *k, uint64_t bits)
{
    uint64_t at = hg_mix64(bits) & k->mask;
    while (k->slots[at].code && k->slots[at].bits != bits) at = (at + 1) & k->mask;
    return &k->slots[at];
}

static uint32_t right_code(struct key *k, uint32_t row)
{
    struct hg_table_value v;
    hg_table_value(k->col, row, &v);
    if (v.null || hg_type_is_complex(k->col->type)) return 0;
    if (k->col->type == HG_T_STRING) return v.n_ids == 1 ? v.ids[0] : 0;
    uint64_t bits = hg_type_is_integer(k->col->type) ? (uint64_t)v.i : bits_of(v.d);
    struct number_code *s = slot_of(k, bits);
    if (!s->code) *s = (struct number_code){bits, ++k->n};
    return s->code;
}

static uint64_t hash_codes(const uint32_t *codes, uint32_t n)
{
    uint64_t h = n;
    for (uint32_t k = 0; k < n; k++) h = hg_mix64(h ^ codes[k]);
    return h;
}

static bool whole(const uint32_t *codes, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (!codes[k]) return false;
    return true;
}

static enum hg_rc make_index(const struct hg_table *t, const struct hg_join_key *keys, uint32_t n_keys, struct hg_arena *a, const struct hg_join_index **out, struct hg_err *err)
{
    uint32_t n = hg_table_rows(t);
    struct hg_join_index *ix = hg_arena_zalloc(a, sizeof *ix);
    if (!ix) return hg_arena_fail(a, "join", err);
    ix->n_keys = n_keys;
    ix->n_rows = n;
    ix->mask = room_for(n) - 1;
    ix->keys = hg_arena_array(a, n_keys, sizeof *ix->keys);
    ix->codes = hg_arena_array(a, (size_t)n * n_keys, sizeof *ix->codes);
    ix->head = hg_arena_array(a, ix->mask + 1, sizeof *ix->head);
    ix->next = hg_arena_array(a, n, sizeof *ix->next);
    if (!ix->keys || !ix->codes || !ix->head || !ix->next) return hg_arena_fail(a, "join", err);
    for (uint32_t k = 0; k < n_keys; k++) {
        struct key *key = &ix->keys[k];
        for (uint32_t c = 0; c < hg_table_columns(t) && !key->col; c++)
            if (strcmp(hg_table_column(t, c)->name, keys[k].right) == 0) key->col = hg_table_column(t, c);
        if (!key->col) continue; /* a column that is not there is null */
        key->mask = room_for(n) - 1;
        if (hg_type_is_number(key->col->type) && !(key->slots = hg_arena_array(a, key->mask + 1, sizeof *key->slots))) return hg_arena_fail(a, "join", err);
        for (uint32_t r = 0; r < n; r++) ix->codes[(size_t)r * n_keys + k] = right_code(key, r);
    }
    for (uint32_t r = n; n_keys && r-- > 0;) { /* from the last, so that chains ascend */
        const uint32_t *codes = ix->codes + (size_t)r * n_keys;
        if (!whole(codes, n_keys)) continue;
        uint64_t at = hash_codes(codes, n_keys) & ix->mask;
        ix->next[r] = ix->head[at];
        ix->head[at] = r + 1;
    }
    *out = ix;
    return HG_OK;
}

enum hg_rc hg_bound_set(struct hg_bound *b, const struct hg_table *t, struct hg_arena *a, struct hg_err *err)
{
    if (b->is_right) HG_TRY(make_index(t, b->keys, b->n_keys, a, &b->index, err));
    b->table = t;
    return HG_OK;
}

/* ---- the left side ---- */

#define UNASKED UINT32_MAX

struct left {
    const struct hg_column *col; /* NULL: not there */
    struct hg_colread *rd;
    const struct key *key;
    uint32_t *by_id;             /* STRING: the code of each dictionary id, or UNASKED */
    uint32_t *ids;
    const uint32_t *ends, *list; /* multi */
    int64_t *i;
    double *d;
    uint8_t *nulls;
    struct hg_buf text;
};

static void free_text(void *arg) { hg_buf_free(&((struct left *)arg)->text); }

static enum hg_rc open_left(struct left *l, const struct hg_step_run *r, const char *name, const struct key *key, struct hg_err *err)
{
    *l = (struct left){.col = hg_source_column(r->base, name), .key = key};
    hg_buf_init(&l->text, SIZE_MAX);
    if (l->col && (hg_type_is_complex(l->col->type) || !key->col)) l->col = NULL;
    if (!l->col) return HG_OK;
    HG_TRY(hg_arena_on_free(r->a, free_text, l, err));
    HG_TRY(l->col->ops->open(l->col, r->a, &l->rd, err));
    bool text = l->col->type == HG_T_STRING, ok = true;
    if (text) {
        ok = (l->by_id = hg_arena_alloc(r->a, l->col->dict->card * sizeof *l->by_id)) != NULL;
        for (uint32_t k = 0; ok && k < l->col->dict->card; k++) l->by_id[k] = UNASKED;
        if (ok) l->by_id[0] = 0;
        if (!l->col->multi) ok = ok && (l->ids = hg_arena_array(r->a, HG_BLOCK_ROWS, sizeof *l->ids)) != NULL;
    } else {
        ok = (l->nulls = hg_arena_array(r->a, HG_BLOCK_ROWS, 1)) != NULL;
        if (hg_type_is_integer(l->col->type)) ok = ok && (l->i = hg_arena_array(r->a, HG_BLOCK_ROWS, sizeof *l->i)) != NULL;
        else ok = ok && (l->d = hg_arena_array(r->a, HG_BLOCK_ROWS, sizeof *l->d)) != NULL;
    }
    return ok ? HG_OK : hg_arena_fail(r->a, "join", err);
}

static enum hg_rc load_left(struct left *l, uint32_t row, uint32_t n, struct hg_err *err)
{
    if (!l->col) return HG_OK;
    const struct hg_column_ops *ops = l->col->ops;
    if (l->ids) return ops->ids(l->rd, row, n, l->ids, err);
    if (l->by_id) return ops->multi(l->rd, row, n, &l->ends, &l->list, err);
    return l->i ? ops->i64(l->rd, row, n, l->i, l->nulls, err) : ops->f64(l->rd, row, n, l->d, l->nulls, err);
}

static uint32_t code_of_number(const struct key *k, const struct hg_xnum *x)
{
    bool integers = hg_type_is_integer(k->col->type);
    if (!integers) return slot_of(k, bits_of(x->is_int ? (double)x->i : x->d))->code;
    if (x->is_int) return slot_of(k, (uint64_t)x->i)->code;
    if (!(x->d >= -9223372036854775808.0 && x->d < 9223372036854775808.0) || x->d != trunc(x->d)) return 0;
    return slot_of(k, (uint64_t)(int64_t)x->d)->code;
}

static uint32_t code_of_text(const struct key *k, struct hg_str s)
{
    uint32_t id;
    struct hg_xnum x;
    if (k->col->type == HG_T_STRING) return hg_dict_find(k->col->dict, s, &id) ? id : 0;
    if (!hg_type_is_number(k->col->type)) return 0;
    return hg_x_text_number(s, &x) ? code_of_number(k, &x) : 0;
}

static uint32_t left_number(const struct left *l, uint32_t at)
{
    char text[HG_NUM_TEXT];
    struct hg_xnum x = {.is_int = l->i != NULL};
    if (l->nulls[at]) return 0;
    if (l->i) x.i = l->i[at];
    else x.d = l->d[at];
    if (l->col->type == HG_T_DECIMAL) x = (struct hg_xnum){.d = (double)x.i / HG_DECIMAL_SCALE};
    if (hg_type_is_number(l->key->col->type)) return code_of_number(l->key, &x);
    int n = x.is_int ? hg_fmt_i64(x.i, text) : l->col->type == HG_T_FLOAT ? hg_fmt_f32((float)x.d, text) : hg_fmt_f64(x.d, text);
    return code_of_text(l->key, (struct hg_str){text, (size_t)n});
}

static enum hg_rc left_code(struct left *l, uint32_t at, uint32_t *code, struct hg_err *err)
{
    uint32_t id;
    *code = 0;
    if (!l->col) return HG_OK;
    if (!l->by_id) return *code = left_number(l, at), HG_OK;
    if (l->ids) {
        id = l->ids[at];
    } else {
        uint32_t from = at ? l->ends[at - 1] : 0, n = l->ends[at] - from;
        if (n > 1) return hg_fail(err, HG_E_UNSUPPORTED, "Joining against a multi-value dimension is not supported: column \"%s\" has rows of several values", l->col->name);
        id = n ? l->list[from] : 0;
    }
    if (l->by_id[id] == UNASKED) l->by_id[id] = code_of_text(l->key, hg_dict_get(l->col->dict, id, &l->text));
    *code = l->by_id[id];
    return HG_OK;
}

/* ---- both ---- */

struct join {
    const struct hg_step_run *r;
    const struct hg_join_index *ix;
    struct left *left;
    uint32_t *codes;
    struct hg_rowlist rows, partners;
};

static enum hg_rc put(struct join *j, uint32_t row, uint32_t partner, struct hg_err *err)
{
    if ((j->rows.n & 0xffff) == 0xffff) HG_TRY(hg_exec_check(j->r->x, err));
    HG_TRY(hg_rowlist_add(&j->rows, row, err));
    return hg_rowlist_add(&j->partners, partner, err);
}

static enum hg_rc join_row(struct join *j, uint32_t row, uint32_t at, struct hg_err *err)
{
    const struct hg_join_index *ix = j->ix;
    const struct hg_step *s = j->r->step;
    uint32_t before = j->rows.n;
    if (!s->never && !ix->n_keys) {
        for (uint32_t k = 0; k < ix->n_rows; k++) HG_TRY(put(j, row, k, err));
    } else if (!s->never) {
        for (uint32_t k = 0; k < ix->n_keys; k++) HG_TRY(left_code(&j->left[k], at, &j->codes[k], err));
        if (whole(j->codes, ix->n_keys)) {
            for (uint32_t k = ix->head[hash_codes(j->codes, ix->n_keys) & ix->mask]; k; k = ix->next[k - 1])
                if (memcmp(ix->codes + (size_t)(k - 1) * ix->n_keys, j->codes, ix->n_keys * sizeof *j->codes) == 0) HG_TRY(put(j, row, k - 1, err));
        }
    }
    return s->outer && j->rows.n == before ? put(j, row, HG_NO_ROW, err) : HG_OK;
}

static enum hg_rc join_rows(struct join *j, struct hg_err *err)
{
    const struct hg_step_run *r = j->r;
    for (uint32_t at = 0, n; at < r->n; at += n) {
        n = hg_step_batch(r, at);
        uint32_t lo = r->rows[at], span = r->rows[at + n - 1] - lo + 1;
        HG_TRY(hg_exec_check(r->x, err));
        for (uint32_t k = 0; k < j->ix->n_keys; k++) HG_TRY(load_left(&j->left[k], lo, span, err));
        for (uint32_t k = 0; k < n; k++) HG_TRY(join_row(j, r->rows[at + k], r->rows[at + k] - lo, err));
    }
    return HG_OK;
}

enum hg_rc hg_step_join(const struct hg_step_run *r, const struct hg_source **out, struct hg_err *err)
{
    const struct hg_bound *b = r->step->right;
    if (!b->table) return hg_fail(err, HG_E_INVALID, "the right side of a join has no rows yet");
    struct join j = {.r = r, .ix = b->index, .rows = {.a = r->a}, .partners = {.a = r->a}};
    j.left = hg_arena_array(r->a, b->n_keys, sizeof *j.left);
    j.codes = hg_arena_array(r->a, b->n_keys, sizeof *j.codes);
    if (!j.left || !j.codes) return hg_arena_fail(r->a, "join", err);
    for (uint32_t k = 0; k < b->n_keys; k++) HG_TRY(open_left(&j.left[k], r, b->keys[k].left, &j.ix->keys[k], err));
    HG_TRY(join_rows(&j, err));
    struct hg_mapped *m;
    uint32_t n = hg_table_columns(b->table);
    HG_TRY(hg_mapped_new(r->base, j.rows.v, j.rows.n, n + 1, r->a, &m, err));
    if (r->numbered) {
        const char *name = hg_arena_printf(r->a, "%s" HG_ROW_NUMBER, r->step->prefix);
        if (!name) return hg_arena_fail(r->a, "join", err);
        HG_TRY(hg_mapped_numbers(m, name, j.partners.v, err));
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct hg_column *c = hg_table_column(b->table, k);
        const char *name = hg_arena_printf(r->a, "%s%s", r->step->prefix, c->name);
        if (!name) return hg_arena_fail(r->a, "join", err);
        HG_TRY(hg_mapped_gather(m, name, c, j.partners.v, err));
    }
    return hg_mapped_end(m, out, err);
}
