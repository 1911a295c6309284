/* A zone's rules from ICU, for systems without zone files. */
#include <unicode/ucal.h>
#include <unicode/ustring.h>
#include "base/time_private.h"

enum { ID_MAX = 128 };

static int32_t offset_at(UCalendar *cal, double at, UErrorCode *st)
{
    ucal_setMillis(cal, at, st);
    int32_t raw = ucal_get(cal, UCAL_ZONE_OFFSET, st);
    return raw + ucal_get(cal, UCAL_DST_OFFSET, st);
}

static bool changes(UCalendar *cal, struct hg_tz_rules *out, UErrorCode *st)
{
    double t = (double)HG_TZ_TABLE_FROM, next;
    out->n = 0;
    out->first = offset_at(cal, t, st);
    while (U_SUCCESS(*st) && ucal_getTimeZoneTransitionDate(cal, UCAL_TZ_TRANSITION_NEXT, &next, st)) {
        if (U_FAILURE(*st) || next <= t || next >= (double)HG_TZ_TABLE_TO) break;
        t = next;
        if (!hg_tz_rules_add(out, (int64_t)t, offset_at(cal, t, st))) return false;
    }
    return U_SUCCESS(*st);
}

enum hg_rc hg_tz_ask_icu(const char *name, struct hg_tz_rules *out, struct hg_err *err)
{
    UChar id[ID_MAX], canon[ID_MAX];
    int32_t len = (int32_t)strlen(name);
    if (len >= ID_MAX) return hg_fail(err, HG_E_NOTFOUND, "time zone name of %d bytes", (int)len);
    u_charsToUChars(name, id, len);
    UErrorCode st = U_ZERO_ERROR;
    UBool known = 0;
    ucal_getCanonicalTimeZoneID(id, len, canon, ID_MAX, &known, &st);
    if (U_FAILURE(st) || !known) return hg_fail(err, HG_E_NOTFOUND, "time zone %s: ICU does not know it", name);
    UCalendar *cal = ucal_open(id, len, "en_US", UCAL_GREGORIAN, &st);
    if (U_FAILURE(st)) return hg_fail(err, HG_E_IO, "time zone %s: ICU: %s", name, u_errorName(st));
    bool ok = changes(cal, out, &st);
    ucal_close(cal);
    return ok ? HG_OK : hg_fail(err, HG_E_IO, "time zone %s: ICU gives no usable list of changes (%s)", name, u_errorName(st));
}
