/* Which of the twins of an inner loop this process runs. A loop that gains from wide registers exists in plain C, the model, and in variants written for an instruction set; its module
 * asks hg_cpu() and calls one. All variants of a loop give the same bytes. Chosen once, by what the machine has; the environment variable HENGE_CPU (portable, avx2 or avx512) lowers the
 * choice, for tests and to rule a variant out. */
#ifndef HG_BASE_CPU_H
#define HG_BASE_CPU_H

#include <stdatomic.h>
#include "base/err.h"

enum hg_cpu {
    HG_CPU_PORTABLE = 1,
    HG_CPU_AVX2,   /* with BMI1 and BMI2 */
    HG_CPU_AVX512, /* with F, BW, DQ, VL, VBMI and VBMI2 (Ice Lake, Zen 4 and later): the sets that shuffle bytes and compress 16-bit lanes */
};

#if defined(__x86_64__)
#define HG_X86 1
#define HG_FOR_AVX2 __attribute__((target("avx2,bmi,bmi2")))
#define HG_FOR_AVX512 __attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")))
#endif

extern _Atomic int hg_cpu_chosen; /* 0: not yet; read it by hg_cpu() */
enum hg_cpu hg_cpu_choose(void);
/* Any thread; the first call chooses. */
static inline enum hg_cpu hg_cpu(void)
{
    int c = atomic_load_explicit(&hg_cpu_chosen, memory_order_relaxed);
    return c ? (enum hg_cpu)c : hg_cpu_choose();
}
const char *hg_cpu_name(enum hg_cpu c);
/* The widest that the machine can run. */
enum hg_cpu hg_cpu_best(void);
/* For the start of a process: HG_E_INVALID when HENGE_CPU names no variant, or one that the machine cannot run. (Without this call such a name is taken for the best there is.) */
HG_MUST_USE enum hg_rc hg_cpu_start(struct hg_err *err);
/* From now on c, or the best where the machine cannot run c; returns which. For tests and benchmarks, while nothing else runs. */
enum hg_cpu hg_cpu_force(enum hg_cpu c);

#endif
