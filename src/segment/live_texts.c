/* Dictionaries that live indexes of one schema have in common. The rows of a task lie in many intervals, a live index each, and most texts come in most of them: kept once, they are found in a table
 * that is grown once, take memory once, and are brought into order once. */
#include <stdlib.h>
#include "segment/live_private.h"
#include "base/text_sort.h"

enum hg_rc hg_live_texts_new(const struct hg_schema *schema, struct hg_budget *budget, int64_t most_bytes, struct hg_live_texts **out, struct hg_err *err)
{
    struct hg_live_texts *t = calloc(1, sizeof *t);
    if (t) t->dict = calloc(schema->n_dims + 1, sizeof *t->dict);
    if (!t || !t->dict) {
        free(t);
        return hg_fail(err, HG_E_NOMEM, "texts of live rows");
    }
    hg_budget_init(&t->budget, budget, "texts of the task's live rows", most_bytes);
    t->mem.budget = &t->budget;
    t->n_dims = schema->n_dims;
    for (uint32_t i = 0; i < t->n_dims; i++) hg_live_dict_init(&t->dict[i], &t->mem);
    *out = t;
    return HG_OK;
}

void hg_live_texts_free(struct hg_live_texts *t)
{
    if (!t) return;
    for (uint32_t i = 0; i < t->n_dims; i++) hg_live_dict_free(&t->dict[i]);
    free(t->dict);
    free(t);
}

bool hg_live_texts_forget(struct hg_live_texts *t)
{
    if (atomic_load(&t->users)) return false;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        hg_live_dict_free(&t->dict[i]);
        hg_live_dict_init(&t->dict[i], &t->mem);
    }
    return true;
}

static enum hg_rc sort_dict(struct live_dict *d, struct hg_arena *a, struct hg_err *err)
{
    uint32_t n = d->base.card - 1;
    struct hg_text *texts = hg_arena_scratch(a, (size_t)n + 1, sizeof *texts);
    if (!texts) return hg_arena_fail(a, "sorting texts", err);
    for (uint32_t id = 1; id <= n; id++) texts[id - 1] = (struct hg_text){{d->text[id].p, d->text[id].len}, id};
    HG_TRY(hg_texts_sort(texts, n, a, err));
    HG_TRY(hg_live_resize(d->mem, &d->order, 0, ((size_t)n + 1) * sizeof *d->order, err));
    for (uint32_t i = 0; i < n; i++) d->order[i] = texts[i].id;
    d->n_order = n;
    d->base.order = d->order;
    return HG_OK;
}

/* Without memory for it merges sort by themselves. */
void hg_live_texts_sort(struct hg_live_texts *t)
{
    for (uint32_t i = 0; i < t->n_dims; i++) {
        struct hg_arena *a = t->dict[i].order ? NULL : hg_arena_new(NULL);
        enum hg_rc rc = a ? sort_dict(&t->dict[i], a, NULL) : HG_OK;
        hg_arena_free(a);
        if (rc) return;
    }
}
