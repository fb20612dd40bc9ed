/* A linear predictor and its inverse. */

#include "vectors.h"

#define ORDER 16
#define BLOCK 512 /* samples that stay in the first cache */

/* y[i] = x[i] + factors[0] x[i - 1] + factors[1] x[i - 2] and so on; samples stand in front of x[0]. */
FOR_EACH_CPU void hac_tint(const double *factors, const double *restrict x, double *restrict y, size samples)
{
    for (; samples > 0; samples -= BLOCK, x += BLOCK, y += BLOCK) {
        size some = samples < BLOCK ? samples : BLOCK;
        for (size i = 0; i < some; i++)
            y[i] = x[i];
        for (size k = 0; k < ORDER; k++)
            for (size i = 0; i < some; i++)
                y[i] += factors[k] * x[i - k - 1];
    }
}

/* The x of which that is the y, here as y of the x; samples stand in front of y[0]. */
FOR_EACH_CPU void hac_untint(const double *factors, const double *restrict x, double *restrict y, size samples)
{
    for (size i = 0; i < samples; i++) {
        double far = x[i], near = 0;
        for (size k = ORDER; k > ORDER / 2; k--)
            far -= factors[k - 1] * y[i - k];
        for (size k = ORDER / 2; k > 1; k--)
            near -= factors[k - 1] * y[i - k];
        y[i] = far + near - factors[0] * y[i - 1]; /* what has just come out is needed last */
    }
}
