/* The network with vectors twice as wide, where the processor has AVX-512: the same numbers in half of the time. */

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__)
#include <immintrin.h>
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")
#define FOR_EACH_CPU
#define LANES 16
#include "network.h"

int hac_has_wide(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

int hac_run_wide(const layer *layers, size count, float *states, const float *x, size floats, float *y)
{
    return run_all(layers, count, states, x, floats, y);
}
#else
int hac_has_wide(void) { return 0; }
#endif
