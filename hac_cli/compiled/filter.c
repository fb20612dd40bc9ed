/* A recursive filter of second order, sample by sample. */

#include <stddef.h>

/* y = (b0 + b1/z + b2/z^2) / (1 + a1/z + a2/z^2) x, transposed direct form II: factors are b0, b1, b2, a1, a2. In place. */
void hac_filter(const double *factors, double *state, double *x, ptrdiff_t samples)
{
    double first = state[0], second = state[1];
    for (ptrdiff_t i = 0; i < samples; i++) {
        double in = x[i], out = factors[0] * in + first;
        first = factors[1] * in - factors[3] * out + second;
        second = factors[2] * in - factors[4] * out;
        x[i] = out;
    }
    state[0] = first, state[1] = second;
}
