/* A line is put together whole and written with one call under a lock, so lines of different threads never mix. */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define LINE_MOST ((size_t)65536)
#define VALUE_MOST ((size_t)8192) /* longer texts are cut: a log line is no place for a query's result */

static _Atomic int level_least = HG_LOG_INFO;
static _Atomic int log_fd = 2;
static pthread_mutex_t write_lock = PTHREAD_MUTEX_INITIALIZER; /* one line at a time on log_fd */

void hg_log_set_level(enum hg_log_level least) { atomic_store(&level_least, (int)least); }
void hg_log_set_file(int fd) { atomic_store(&log_fd, fd); }

static const char *level_name(enum hg_log_level level)
{
    switch (level) {
    case HG_LOG_DEBUG: return "debug";
    case HG_LOG_INFO: return "info";
    case HG_LOG_WARN: return "warn";
    case HG_LOG_ERROR: return "error";
    }
    return "?";
}

static void put_time(struct hg_buf *b)
{
    int64_t now = hg_clock_now_ms();
    int64_t ms = ((now % 1000) + 1000) % 1000;
    time_t sec = (time_t)((now - ms) / 1000);
    struct tm tm;
    if (!gmtime_r(&sec, &tm)) memset(&tm, 0, sizeof tm);
    hg_buf_printf(b, "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                  (int)ms);
}

static void put_text(struct hg_buf *b, const char *z)
{
    struct hg_str s = hg_str_of(z);
    if (s.len > VALUE_MOST) s.len = VALUE_MOST;
    hg_buf_json_str(b, s);
}

static void put_value(struct hg_buf *b, const struct hg_log_value *v)
{
    switch (v->kind) {
    case HG_LV_STR: put_text(b, v->u.s); break;
    case HG_LV_INT: hg_buf_printf(b, "%" PRId64, v->u.i); break;
    case HG_LV_DOUBLE:
        if (isfinite(v->u.d)) hg_buf_printf(b, "%.15g", v->u.d);
        else hg_buf_printf(b, "\"%s\"", isnan(v->u.d) ? "NaN" : v->u.d > 0 ? "Infinity" : "-Infinity");
        break;
    case HG_LV_BOOL: hg_buf_puts(b, v->u.i ? "true" : "false"); break;
    }
}

static void write_line(const struct hg_buf *b)
{
    const uint8_t *p = b->p;
    size_t left = b->len;
    pthread_mutex_lock(&write_lock);
    int fd = atomic_load(&log_fd);
    while (left) {
        ssize_t n = write(fd, p, left);
        if (n < 0) {
            if (errno == EINTR) continue;
            break; /* nowhere to report it */
        }
        p += n;
        left -= (size_t)n;
    }
    pthread_mutex_unlock(&write_lock);
}

void hg_log(enum hg_log_level level, const char *component, const char *event, ...)
{
    if ((int)level < atomic_load_explicit(&level_least, memory_order_relaxed)) return;
    int keep = errno; /* callers log before they look at it */
    struct hg_buf b;
    hg_buf_init(&b, LINE_MOST);
    put_time(&b);
    hg_buf_printf(&b, ",\"level\":\"%s\",\"component\":", level_name(level));
    put_text(&b, component);
    hg_buf_puts(&b, ",\"event\":");
    put_text(&b, event);
    va_list ap;
    va_start(ap, event);
    const char *name;
    bool cut = false;
    while ((name = va_arg(ap, const char *))) {
        const struct hg_log_value *v = va_arg(ap, const struct hg_log_value *);
        if (cut) continue;
        size_t mark = b.len;
        hg_buf_putc(&b, ',');
        put_text(&b, name);
        hg_buf_putc(&b, ':');
        put_value(&b, v);
        if (b.failed || b.len > LINE_MOST - 32) { /* keep room for the end of the line */
            b.failed = false;
            b.len = mark;
            hg_buf_puts(&b, ",\"cut\":true");
            cut = true;
        }
    }
    va_end(ap);
    hg_buf_puts(&b, "}\n");
    write_line(&b);
    hg_buf_free(&b);
    errno = keep;
}
