/* The network for processors with AVX-512: the numbers of avx2.c, in half of the time. */

#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")
#endif
#define LANES 16
#define PAIRS
#define RUN hac_run_avx512
#define BACK hac_back_avx512
#define SLOPE_BACK hac_slope_back_avx512
#include "network.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

int hac_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#else
int hac_has_avx512(void) { return 0; }
#endif
