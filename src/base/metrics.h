/* Counters, gauges and histograms in Prometheus' text form. Every metric stands once in metrics.def (id, kind, name, labels, help). */
#ifndef HG_BASE_METRICS_H
#define HG_BASE_METRICS_H

#include <stdint.h>
#include <stdio.h>
#include "base/buf.h"

enum hg_metric {
#define HG_METRIC(id, kind, name, label, help) HG_M_##id,
#include "base/metrics.def"
#undef HG_METRIC
    HG_N_METRICS
};
/* Lock-free on the path without label. `label` is the value of the metric's one label, or NULL; values are created on first use, at most 1,000 a
 * metric (then "other"). */
void hg_metric_add(enum hg_metric m, const char *label, int64_t n);
void hg_metric_set(enum hg_metric m, const char *label, int64_t v);
void hg_metric_observe_ms(enum hg_metric m, const char *label, double ms); /* histogram, buckets 0.25 ms to 60 s */
int64_t hg_metric_get(enum hg_metric m, const char *label);
void hg_metrics_render(struct hg_buf *out);
void hg_metrics_markdown(FILE *out); /* docs/metrics.md */

#endif
