#include <pthread.h>
#include <stdlib.h>
#include <unicode/udat.h>
#include <unicode/ustring.h>
#include "query/extract/extract.h"

struct hg_datefmt {
    pthread_mutex_t mu; /* guards fmt: ICU's formats keep state while they work */
    UDateFormat *fmt;
};

static void drop(void *arg)
{
    struct hg_datefmt *f = arg;
    udat_close(f->fmt);
    pthread_mutex_destroy(&f->mu);
}

/* UTF-16 in malloc'd memory. */
static UChar *wide(struct hg_str s, int32_t *len)
{
    UErrorCode e = U_ZERO_ERROR;
    if (s.len > 1u << 20) return NULL;
    UChar *out = malloc((s.len + 1) * sizeof *out);
    if (!out) return NULL;
    u_strFromUTF8WithSub(out, (int32_t)s.len + 1, len, s.p, (int32_t)s.len, 0xFFFD, NULL, &e);
    if (U_SUCCESS(e)) return out;
    free(out);
    return NULL;
}

enum hg_rc hg_datefmt_new(struct hg_arena *a, struct hg_str pattern, struct hg_datefmt **out, struct hg_err *err)
{
    static const UChar utc[] = {'U', 'T', 'C', 0};
    UErrorCode e = U_ZERO_ERROR;
    int32_t n = 0;
    struct hg_datefmt *f = hg_arena_zalloc(a, sizeof *f);
    if (!f) return hg_arena_fail(a, "time format", err);
    if (pattern.len > 1000) return hg_fail(err, HG_E_INVALID, "the time format has %zu bytes; at most 1000", pattern.len);
    UChar *p = wide(pattern, &n);
    if (!p) return hg_fail(err, HG_E_NOMEM, "time format");
    f->fmt = udat_open(UDAT_PATTERN, UDAT_PATTERN, "en_US", utc, 3, p, n, &e);
    free(p);
    if (U_FAILURE(e)) return hg_fail(err, HG_E_INVALID, "the time format \"%.*s\" is wrong: %s", (int)pattern.len, pattern.p, u_errorName(e));
    udat_setLenient(f->fmt, true);
    pthread_mutex_init(&f->mu, NULL);
    enum hg_rc rc = hg_arena_on_free(a, drop, f, err);
    if (rc != HG_OK) return drop(f), rc;
    *out = f;
    return HG_OK;
}

bool hg_datefmt_parse(struct hg_datefmt *f, struct hg_str s, int64_t *out)
{
    UErrorCode e = U_ZERO_ERROR;
    int32_t n = 0, at = 0;
    UChar *text = wide(s, &n);
    if (!text) return false;
    pthread_mutex_lock(&f->mu);
    UDate t = udat_parse(f->fmt, text, n, &at, &e);
    pthread_mutex_unlock(&f->mu);
    free(text);
    if (U_FAILURE(e) || !(t > -9e15 && t < 9e15)) return false;
    *out = (int64_t)t;
    return true;
}

enum hg_rc hg_datefmt_print(struct hg_datefmt *f, int64_t t, struct hg_arena *a, struct hg_str *out, struct hg_err *err)
{
    UErrorCode e = U_ZERO_ERROR;
    UChar text[4096];
    pthread_mutex_lock(&f->mu);
    int32_t n = udat_format(f->fmt, (UDate)t, text, 4096, NULL, &e), len = 0;
    pthread_mutex_unlock(&f->mu);
    if (U_FAILURE(e)) return hg_fail(err, HG_E_LIMIT, "a time in this format is too long");
    char *z = hg_arena_alloc(a, (size_t)n * 3 + 1);
    if (!z) return hg_arena_fail(a, "time", err);
    u_strToUTF8WithSub(z, n * 3 + 1, &len, text, n, 0xFFFD, NULL, &e);
    if (U_FAILURE(e)) return hg_fail(err, HG_E_INVALID, "a time in this format is no text");
    *out = (struct hg_str){z, (size_t)len};
    return HG_OK;
}
