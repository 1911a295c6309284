/* Cancel and deadline, looked at once a batch. */
#ifndef HG_QUERY_ENGINE_CHECK_H
#define HG_QUERY_ENGINE_CHECK_H

#include "base/clock.h"
#include "query/query.h"

HG_MUST_USE static inline enum hg_rc hg_exec_check(const struct hg_exec *x, struct hg_err *err)
{
    if (x->cancelled && atomic_load_explicit(x->cancelled, memory_order_relaxed)) return hg_fail(err, HG_E_CANCELLED, "the query was cancelled");
    if (x->deadline_mono_ms && hg_clock_mono_ms() > x->deadline_mono_ms) return hg_fail(err, HG_E_TIMEOUT, "the query ran past its deadline");
    return HG_OK;
}

#endif
