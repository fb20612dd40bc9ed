/* Vectors, and what is computed with them; names and macros are for the other files as well.
 *
 * GCC and Clang make vectors of LANES from what the processor has: eight, or as many as a file asks for. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 8
#endif

#if defined(__x86_64__) && defined(__linux__) && !defined(__clang__) /* which calls the function by another name */
#if __GNUC__ >= 12
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v3", "default")))
#else /* which knows no levels of the architecture */
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default")))
#endif
#else
#define FOR_EACH_CPU
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef ptrdiff_t size;

INLINE vector at(const float *x) { return *(const vector *)x; }

/* sin(u)^2, which has the period pi; the polynomial is sin's on half a turn, to 5e-9. */
INLINE vector wave(vector u)
{
    const float whole = 0x1.8p23f; /* added and taken off again, it leaves a whole number */
    vector turns = u * 0x1.45f306p-2f + whole - whole;
    vector r = u - turns * 0x1.92p1f - turns * 0x1.fb5444p-11f; /* pi in two parts */
    vector q = r * r;
    vector p = -0x1.55554ep-3f + q * (0x1.110f02p-7f + q * (-0x1.9f781ap-13f + q * 0x1.5e2a3ep-19f));
    vector sine = r + r * q * p;
    return sine * sine;
}

INLINE vector snake(vector x, vector alpha, vector inverse) { return x + wave(x * alpha) * inverse; }

/* Its derivative: 1 + sin(2u) is twice the square of the sine an eighth of a turn on. */
INLINE vector slope(vector x, vector alpha) { return 2 * wave(x * alpha + 0x1.921fb6p-1f); }
