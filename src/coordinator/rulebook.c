#include "coordinator/rulebook.h"

#include <inttypes.h>
#include <stdlib.h>

struct hg_rulebook {
    const char **names; /* by name, as the store lists them; the defaults among them */
    struct hg_rules *rules;
    size_t n;
    const char **own_names;
    size_t n_own;
    struct hg_rules defaults;
};

static enum hg_rc read_page(struct hg_arena *a, const struct hg_doc_row *d, struct hg_rules *out, struct hg_err *err)
{
    json_t *j = NULL;
    struct hg_err why = {0};
    enum hg_rc rc = hg_json_parse(hg_str_of(d->text), &j, &why);
    if (!rc) rc = hg_rules_parse(a, j, &hg_jroot, out, &why);
    json_decref(j);
    return rc ? hg_fail(err, rc == HG_E_INVALID ? HG_E_CORRUPT : rc, "stored rules of %s, version %" PRId64 ": %s", d->id, d->version, why.msg) : HG_OK;
}

enum hg_rc hg_rulebook_load(struct hg_meta *m, struct hg_arena *a, struct hg_rulebook **out, struct hg_err *err)
{
    struct hg_doc_row *d;
    size_t n;
    HG_TRY(hg_meta_doc_list(m, a, HG_DOC_RULES, &d, &n, err));
    struct hg_rulebook *b = hg_arena_zalloc(a, sizeof *b);
    if (!b || !(b->names = hg_arena_array(a, n, sizeof *b->names)) || !(b->own_names = hg_arena_array(a, n, sizeof *b->own_names)) || !(b->rules = hg_arena_array(a, n, sizeof *b->rules)))
        return hg_arena_fail(a, "rules", err);
    b->defaults = hg_rules_default();
    for (size_t i = 0; i < n; i++) {
        b->names[i] = d[i].id;
        HG_TRY(read_page(a, &d[i], &b->rules[i], err));
        if (strcmp(d[i].id, HG_DEFAULT_RULES) == 0) b->defaults = b->rules[i];
        else if (b->rules[i].n) b->own_names[b->n_own++] = d[i].id;
    }
    b->n = n;
    *out = b;
    return HG_OK;
}

static int by_name(const void *key, const void *name) { return strcmp(key, *(const char *const *)name); }

struct hg_rules hg_rulebook_own(const struct hg_rulebook *b, const char *datasource)
{
    const char **at = b->n ? bsearch(datasource, b->names, b->n, sizeof *b->names, by_name) : NULL;
    return at ? b->rules[at - b->names] : (struct hg_rules){0};
}

struct hg_rules hg_rulebook_defaults(const struct hg_rulebook *b) { return b->defaults; }

void hg_rulebook_names(const struct hg_rulebook *b, const char *const **names, size_t *n)
{
    *names = b->own_names;
    *n = b->n_own;
}

enum hg_rc hg_rulebook_at(const struct hg_rulebook *b, struct hg_arena *a, const char *datasource, int64_t now, struct hg_rules_at **out, struct hg_err *err)
{
    struct hg_rules own = hg_rulebook_own(b, datasource);
    return hg_rules_at(a, &own, &b->defaults, now, out, err);
}

enum hg_rc hg_rulebook_put(struct hg_meta *m, const char *datasource, const json_t *rules, const char *author, const char *comment, int64_t *version, struct hg_err *err)
{
    bool defaults = strcmp(datasource, HG_DEFAULT_RULES) == 0;
    if (!defaults) HG_TRY(hg_name_check("datasource", datasource, err));
    struct hg_arena *a = hg_arena_new(NULL);
    if (!a) return hg_fail(err, HG_E_NOMEM, "rules");
    struct hg_rules r;
    char *text = NULL;
    enum hg_rc rc = hg_rules_parse(a, rules, &hg_jroot, &r, err);
    if (!rc && defaults && r.n == 0) rc = hg_fail(err, HG_E_INVALID, "the default rules cannot be empty: segments that no other rule is about would be loaded nowhere");
    if (!rc) {
        json_t *j = hg_rules_json(&r);
        text = j ? hg_json_text(j) : NULL;
        json_decref(j);
        if (!text) rc = hg_fail(err, HG_E_NOMEM, "rules");
    }
    /* A datasource without rules of its own keeps an empty list: its history goes on. */
    if (!rc) rc = hg_meta_doc_put(m, HG_DOC_RULES, datasource, text, -1, author, comment, version, err);
    if (!rc) {
        const char *detail = hg_arena_printf(a, "{\"datasource\":\"%s\",\"rules\":%s}", datasource, text);
        rc = detail ? hg_meta_audit(m, author ? author : "", "rules", detail, err) : hg_arena_fail(a, "rules", err);
    }
    free(text);
    hg_arena_free(a);
    return rc;
}
