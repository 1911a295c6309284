#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>

_Atomic int hg_cpu_chosen;

const char *hg_cpu_name(enum hg_cpu c)
{
    switch (c) {
    case HG_CPU_PORTABLE: return "portable";
    case HG_CPU_AVX2: return "avx2";
    case HG_CPU_AVX512: return "avx512";
    }
    return "unknown";
}

enum hg_cpu hg_cpu_best(void)
{
#ifdef HG_X86
    /* These also ask the system whether it saves the wide registers. */
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                  __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2");
    if (avx2 && avx512) return HG_CPU_AVX512;
    if (avx2) return HG_CPU_AVX2;
#endif
    return HG_CPU_PORTABLE;
}

/* What HENGE_CPU names: 0 when it is not set, -1 when it is nothing we know. */
static int named(const char **text)
{
    *text = getenv("HENGE_CPU");
    if (!*text || !**text) return 0;
    for (int c = HG_CPU_PORTABLE; c <= HG_CPU_AVX512; c++)
        if (strcmp(*text, hg_cpu_name((enum hg_cpu)c)) == 0) return c;
    return -1;
}

enum hg_cpu hg_cpu_force(enum hg_cpu c)
{
    enum hg_cpu best = hg_cpu_best();
    if (c > best) c = best;
    atomic_store(&hg_cpu_chosen, c);
    return c;
}

enum hg_cpu hg_cpu_choose(void)
{
    const char *text;
    int c = named(&text);
    return hg_cpu_force(c > 0 ? (enum hg_cpu)c : hg_cpu_best());
}

enum hg_rc hg_cpu_start(struct hg_err *err)
{
    const char *text;
    int c = named(&text);
    enum hg_cpu best = hg_cpu_best();
    if (c < 0) return hg_fail(err, HG_E_INVALID, "HENGE_CPU is \"%.40s\"; known are portable, avx2 and avx512", text);
    if (c > (int)best) return hg_fail(err, HG_E_INVALID, "HENGE_CPU is \"%s\", but this machine runs at most \"%s\"", text, hg_cpu_name(best));
    hg_cpu_choose();
    return HG_OK;
}
