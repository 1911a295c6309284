/* The rules of all datasources, as stored: documents HG_DOC_RULES, one a datasource and one of the defaults, with history. */
#ifndef HG_COORDINATOR_RULEBOOK_H
#define HG_COORDINATOR_RULEBOOK_H

#include "coordinator/rules.h"
#include "meta/meta.h"

struct hg_rulebook; /* in the arena; read-only */
/* Reads them all. A stored document that does not parse fails the whole (HG_E_CORRUPT names it): a book that lacks a page would drop or move what the page keeps. */
HG_MUST_USE enum hg_rc hg_rulebook_load(struct hg_meta *m, struct hg_arena *a, struct hg_rulebook **out, struct hg_err *err);
struct hg_rules hg_rulebook_own(const struct hg_rulebook *b, const char *datasource); /* n 0: it has none */
struct hg_rules hg_rulebook_defaults(const struct hg_rulebook *b);                    /* those stored, else hg_rules_default */
/* Datasources that have rules, by name; without the defaults. */
void hg_rulebook_names(const struct hg_rulebook *b, const char *const **names, size_t *n);
/* The rules for all segments of a datasource at one instant, its own and then the defaults. */
HG_MUST_USE enum hg_rc hg_rulebook_at(const struct hg_rulebook *b, struct hg_arena *a, const char *datasource, int64_t now, struct hg_rules_at **out, struct hg_err *err);

/* Checks and stores the rules of a datasource or of HG_DEFAULT_RULES (errors name the JSON path). An empty list leaves a datasource to the defaults; the defaults may not be empty. The audit log
 * gets a row. *version (may be NULL) is the document's. */
HG_MUST_USE enum hg_rc hg_rulebook_put(struct hg_meta *m, const char *datasource, const json_t *rules, const char *author, const char *comment, int64_t *version, struct hg_err *err);

#endif
