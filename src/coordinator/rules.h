/* Load and drop rules, in Druid's JSON: for each segment the first rule that applies says on which tiers it is served and how often, or that it is dropped. A datasource's own
 * rules come first, then those of "_default". A rule may name a "namespace" ("" is the default one) and then applies to its segments only.
 *
 *   loadForever  dropForever                              every segment
 *   loadByInterval  dropByInterval   interval             load: that overlaps it; drop: that lies within it
 *   loadByPeriod     period [includeFuture]               that overlaps [now - period, now), or with includeFuture (the default) ends after now - period
 *   dropByPeriod     period [includeFuture]               that lies within [now - period, now), or with includeFuture starts at or after now - period
 *   dropBeforeByPeriod  period                            that ends at or before now - period
 *
 * Load rules have "tieredReplicants", {"hot": 2, "cold": 1}. Absent, it is {"_default_tier": 2}, or {} with "useDefaultTierForNull": false. An empty map, or nothing but zeroes, keeps a
 * segment used and serves it nowhere. Periods are calendar periods in UTC. */
#ifndef HG_COORDINATOR_RULES_H
#define HG_COORDINATOR_RULES_H

#include "base/json.h"
#include "base/time.h"

#define HG_DEFAULT_TIER "_default_tier"
#define HG_DEFAULT_RULES "_default"     /* id of the defaults among HG_DOC_RULES documents */
#define HG_REPLICAS_MAX 100

enum hg_rule_kind { HG_LOAD_FOREVER, HG_LOAD_BY_INTERVAL, HG_LOAD_BY_PERIOD, HG_DROP_FOREVER, HG_DROP_BY_INTERVAL, HG_DROP_BY_PERIOD, HG_DROP_BEFORE_BY_PERIOD };
struct hg_tier_replicas {
    const char *tier;
    uint32_t n;
};
struct hg_rule {
    enum hg_rule_kind kind;
    const char *ns;                     /* NULL: all */
    struct hg_interval interval;
    struct hg_period period;
    bool include_future;
    bool default_tier_for_null;         /* useDefaultTierForNull as given */
    const struct hg_tier_replicas *tiers; /* load rules: by name, each once */
    uint32_t n_tiers;
};
static inline bool hg_rule_drops(const struct hg_rule *r) { return r->kind >= HG_DROP_FOREVER; }
struct hg_rules {
    const struct hg_rule *v;
    uint32_t n;
};

/* Reads an array of rules at path p into arena a. HG_E_INVALID names the JSON path; broadcast rules too (there are no broadcast segments). Members that no rule has are ignored, as
 * Druid does. */
HG_MUST_USE enum hg_rc hg_rules_parse(struct hg_arena *a, const json_t *j, const struct hg_jpath *p, struct hg_rules *out, struct hg_err *err);
/* As Druid answers: with all members. Returns owned; NULL: no memory. */
json_t *hg_rules_json(const struct hg_rules *r);
/* What holds where no "_default" is stored: loadForever with one replica in the default tier. Static. */
struct hg_rules hg_rules_default(void);
/* The first rule of own, then of defaults, that applies to a segment at the instant now; NULL: none does (then nothing is loaded anew and nothing is dropped). */
const struct hg_rule *hg_rules_find(const struct hg_rules *own, const struct hg_rules *defaults, struct hg_interval segment, const char *ns, int64_t now);

/* The same for many segments at one instant: periods are counted back once. */
struct hg_rules_at;
HG_MUST_USE enum hg_rc hg_rules_at(struct hg_arena *a, const struct hg_rules *own, const struct hg_rules *defaults, int64_t now, struct hg_rules_at **out, struct hg_err *err);
const struct hg_rule *hg_rules_at_find(const struct hg_rules_at *r, struct hg_interval segment, const char *ns);

#endif
