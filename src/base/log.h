/* Structured log: one JSON object a line on stderr: time, level, component, event, then the fields given. Any thread. */
#ifndef HG_BASE_LOG_H
#define HG_BASE_LOG_H

#include <stdint.h>

enum hg_log_level { HG_LOG_DEBUG, HG_LOG_INFO, HG_LOG_WARN, HG_LOG_ERROR };

void hg_log_set_level(enum hg_log_level least);
void hg_log_set_file(int fd); /* default 2 */
/* hg_log(HG_LOG_INFO, "ingest", "publish done", "segments", HG_LI(n), "datasource", HG_LS(name), NULL): name, value pairs, then
 * NULL. A value is made with one of the macros below. */
struct hg_log_value {
    enum { HG_LV_STR, HG_LV_INT, HG_LV_DOUBLE, HG_LV_BOOL } kind;
    union { const char *s; int64_t i; double d; } u;
};
#define HG_LS(x) (&(struct hg_log_value){.kind = HG_LV_STR, .u.s = (x)})
#define HG_LI(x) (&(struct hg_log_value){.kind = HG_LV_INT, .u.i = (int64_t)(x)})
#define HG_LD(x) (&(struct hg_log_value){.kind = HG_LV_DOUBLE, .u.d = (x)})
#define HG_LB(x) (&(struct hg_log_value){.kind = HG_LV_BOOL, .u.i = (x)})
void hg_log(enum hg_log_level level, const char *component, const char *event, ...) __attribute__((sentinel));

#endif
