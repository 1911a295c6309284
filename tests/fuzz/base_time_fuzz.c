/* Every text that time and numbers come in as. The first byte chooses the door; what is accepted must print and read back the same. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include "base/gran_json.h"
#include "base/num.h"
#include "base/time_private.h"

static void need(bool ok)
{
    if (!ok) abort();
}

static void one_time(struct hg_str s)
{
    int64_t t, back;
    char buf[HG_TIME_TEXT];
    if (hg_time_parse(s, NULL, &t, NULL) != HG_OK) return;
    hg_time_format(t, NULL, buf);
    need(hg_time_parse(hg_str_of(buf), NULL, &back, NULL) == HG_OK && back == t);
}

static void one_interval(struct hg_str s)
{
    struct hg_interval iv, back;
    char buf[2 * HG_TIME_TEXT];
    if (hg_interval_parse(s, &iv, NULL) != HG_OK) return;
    hg_interval_format(iv, buf);
    need(hg_interval_parse(hg_str_of(buf), &back, NULL) == HG_OK && back.start == iv.start && back.end == iv.end);
}

static void one_gran(struct hg_str s)
{
    json_t *v = json_loadb(s.p, s.len, JSON_DECODE_ANY, NULL);
    struct hg_gran g;
    struct hg_err err;
    if (v && hg_gran_parse_json(NULL, v, &hg_jroot, &g, &err) == HG_OK) {
        struct hg_interval b = hg_gran_bucket(&g, 1709856900000);
        need(b.start <= 1709856900000 && b.end > 1709856900000);
    }
    json_decref(v);
}

static void one_number(struct hg_str s)
{
    int64_t i, di;
    double d, back;
    char buf[HG_NUM_TEXT];
    if (hg_parse_f64(s, &d)) {
        (void)hg_fmt_f64(d, buf);
        need(hg_parse_f64(hg_str_of(buf), &back) && (back == d || (isnan(d) && isnan(back))));
    }
    if (hg_parse_i64(s, &i) && i > -9000000000000 && i < 9000000000000) need(hg_parse_decimal(s, &di) && di == i * HG_DECIMAL_SCALE);
    if (hg_parse_decimal(s, &i)) {
        (void)hg_fmt_decimal(i, buf);
        need(hg_parse_decimal(hg_str_of(buf), &di) && di == i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    struct hg_str s = {(const char *)data + 1, size - 1};
    struct hg_period p;
    static struct hg_tz_rules rules;
    char buf[HG_TIME_TEXT];
    switch (data[0]) {
    case 't': one_time(s); break;
    case 'i': one_interval(s); break;
    case 'g': one_gran(s); break;
    case 'n': one_number(s); break;
    case 'p':
        if (hg_period_parse(s, &p, NULL) == HG_OK) (void)hg_period_format(&p, buf);
        break;
    case 'z': (void)!hg_tz_decode((struct hg_span){data + 1, size - 1}, "fuzz", &rules, NULL); break;
    default: break;
    }
    return 0;
}
