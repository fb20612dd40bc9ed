/* A recursive filter of second order after another, sample by sample. */

#include <stddef.h>

/* y = (b0 + b1/z + b2/z^2) / (1 + a1/z + a2/z^2) x, transposed direct form II, in place: factors are b0, b1, b2, a1, a2
 * of each section, which has two numbers of the states. */
void hac_filter(const double *factors, double *states, double *x, ptrdiff_t sections, ptrdiff_t samples)
{
    for (; sections > 0; sections--, factors += 5, states += 2) {
        double first = states[0], second = states[1];
        for (ptrdiff_t i = 0; i < samples; i++) {
            double in = x[i], out = factors[0] * in + first;
            first = factors[1] * in - factors[3] * out + second;
            second = factors[2] * in - factors[4] * out;
            x[i] = out;
        }
        states[0] = first, states[1] = second;
    }
}
