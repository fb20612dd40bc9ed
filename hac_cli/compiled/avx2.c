/* The network for processors with AVX2, which most have since 2013. */

#ifdef __x86_64__
#include <immintrin.h>
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define PAIRS
#define RUN hac_run_avx2
#define BACK hac_back_avx2
#define SLOPE_BACK hac_slope_back_avx2
#include "network.h"
#ifdef __clang__
#pragma clang attribute pop
#endif

int hac_has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
int hac_has_avx2(void) { return 0; }
#endif
