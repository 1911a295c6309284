/* Doors of the entity store: requests, what is told of sealed segments and of live rows. What is read is written again and must read as the same. */
#include <stdlib.h>

#include "cluster/entities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x) do { if (!(x)) abort(); } while (0)

static void requests(struct hg_arena *a, struct hg_span in)
{
    struct hg_err err;
    struct hg_entity_request q, again;
    if (hg_entity_request_read(a, in, &q, &err)) return;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    hg_entity_request_put(&b, &q);
    MUST(hg_entity_request_read(a, hg_buf_span(&b), &again, &err) == HG_OK && again.n_ids == q.n_ids && again.follower == q.follower && again.sequence == q.sequence);
    hg_buf_free(&b);
}

static void sealed(struct hg_arena *a, struct hg_span in)
{
    struct hg_err err;
    struct hg_sealed_entities s, again;
    if (hg_sealed_entities_read(a, in, &s, &err)) return;
    struct hg_buf b;
    hg_buf_init(&b, 1 << 24);
    hg_sealed_entities_put(&b, &s);
    MUST(hg_sealed_entities_read(a, hg_buf_span(&b), &again, &err) == HG_OK && again.n_dims == s.n_dims && again.n_columns == s.n_columns);
    hg_buf_free(&b);
}

struct copy { struct hg_buf b; uint32_t n; };
static enum hg_rc copy_item(void *arg, const struct hg_live_item *it, struct hg_err *err)
{
    struct copy *c = arg;
    (void)err;
    uint32_t sum = 0;
    for (uint32_t i = 0; it->op == HG_LIVE_ADD && i < it->n_hashes; i++) sum += hg_live_hash(it, i);
    c->n += 1 + (sum & 0);
    hg_live_message_put(&c->b, it);
    return HG_OK;
}

static void live(struct hg_arena *a, struct hg_span in)
{
    struct hg_err err;
    struct hg_live_message m, again;
    struct copy c = {.n = 0}, d = {.n = 0};
    hg_buf_init(&c.b, 1 << 24);
    hg_buf_init(&d.b, 1 << 24);
    if (hg_live_message_read(a, in, &m, copy_item, &c, &err) == HG_OK) {
        struct hg_buf b;
        hg_buf_init(&b, 1 << 24);
        hg_live_message_begin(&b, m.sequence, m.flags, c.n);
        hg_buf_put(&b, c.b.p, c.b.len);
        MUST(hg_live_message_read(a, hg_buf_span(&b), &again, copy_item, &d, &err) == HG_OK && again.sequence == m.sequence && d.n == c.n && d.b.len == c.b.len);
        hg_buf_free(&b);
    }
    hg_buf_free(&c.b);
    hg_buf_free(&d.b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hg_arena *a = hg_arena_new(NULL);
    MUST(a);
    if (size) {
        struct hg_span in = {data + 1, size - 1};
        switch (data[0] % 3) {
        case 0: requests(a, in); break;
        case 1: sealed(a, in); break;
        default: live(a, in); break;
        }
    }
    hg_arena_free(a);
    return 0;
}
