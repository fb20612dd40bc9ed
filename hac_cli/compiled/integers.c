/* Products in integers of 16 bits, in two thirds of the time of those in floats, where the processor adds up products of
 * pairs.
 *
 * Every row is made into integers, a stretch of inputs at a time, whose largest becomes MOST. Weights are scaled such that
 * no sum over a stretch can be more than 32 bits hold: it is exact, and only stretches are added up as floats. What is
 * lost is the rounding of inputs and weights, 70 dB below what a decoder gives. An encoder has to tell latents next to
 * zero apart, and can't do with that. */

#include <stdlib.h>

#include "vectors.h"

#define STRETCH 96 /* inputs: the longer, the less there is to add up, and the fewer bits a weight has */
#define MOST 16383 /* a bit for the weights, whose rounding counts as much */

const int hac_stretch = STRETCH, hac_most = MOST;

typedef short pairs __attribute__((vector_size(4 * LANES)));
typedef int32_t integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE size stretches_of(const matrix *m) { return (m->inputs + STRETCH - 1) / STRETCH; }

size integer_room(const matrix *m)
{
    return m->weights == INTEGERS ? TILE * (m->inputs / 2 + stretches_of(m)) : 0;
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2,fma")))

int hac_has_integers(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

/* Up to STRETCH floats as integers; gives what these have to be multiplied with. */
INLINE AVX2 float stretch(const float *x, size count, int16_t *y)
{
    const float whole = 0x1.8p23f; /* added, it leaves a whole number in the lower bits */
    float scaled[STRETCH], peak;
    uint32_t bits[STRETCH], most = 0;
    memcpy(bits, x, count * sizeof(float));
    for (size i = 0; i < count; i++) { /* positive floats are ordered as their bits are */
        uint32_t positive = bits[i] & 0x7fffffffu;
        most = positive > most ? positive : most;
    }
    memcpy(&peak, &most, sizeof peak);
    if (peak < 1e-30f)
        peak = 1e-30f;
    for (size i = 0; i < count; i++)
        scaled[i] = x[i] * (MOST / peak) + whole;
    memcpy(bits, scaled, count * sizeof(float));
    for (size i = 0; i < count; i++)
        y[i] = (int16_t)bits[i];
    return peak / MOST;
}

static AVX2 void rounded(const float *x, size inputs, int16_t *y, float *units)
{
    size i = 0;
    for (; i + STRETCH <= inputs; i += STRETCH)
        *units++ = stretch(x + i, STRETCH, y + i);
    if (i < inputs)
        *units = stretch(x + i, inputs - i, y + i);
}

INLINE AVX2 void strip(const int16_t *x, const float *units, size stretches, int rows, const matrix *m, size column,
                       enum after after, const float *one, const float *two, float *y)
{
    const uint32_t *panel = m->panels + column / 2 * m->inputs;
    vector totals[STRIP][2] = {{{0}}};
    for (size stretch = 0; stretch < stretches; stretch++, x += STRETCH) {
        size left = (m->inputs - stretch * STRETCH) / 2, some = left < STRETCH / 2 ? left : STRETCH / 2;
        integers sums[STRIP][2] = {{{0}}};
        for (size i = 0; i < some; i++, panel += PANEL) {
            pairs low, high;
            memcpy(&low, panel, sizeof low), memcpy(&high, panel + LANES, sizeof high);
#pragma GCC unroll 6
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, x + r * m->inputs + 2 * i, sizeof pair);
                pairs both = (pairs)(integers){pair, pair, pair, pair, pair, pair, pair, pair};
                sums[r][0] += (integers)__builtin_ia32_pmaddwd256(both, low);
                sums[r][1] += (integers)__builtin_ia32_pmaddwd256(both, high);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            float unit = units[r * stretches + stretch];
            totals[r][0] += __builtin_convertvector(sums[r][0], vector) * unit;
            totals[r][1] += __builtin_convertvector(sums[r][1], vector) * unit;
        }
    }
    const float *scale = m->scale + column, *bias = m->bias + column;
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        totals[r][0] = totals[r][0] * at(scale) + at(bias);
        totals[r][1] = totals[r][1] * at(scale + LANES) + at(bias + LANES);
    }
    finish(totals, rows, m, column, after, one, two, y, m->outputs);
}

INLINE AVX2 void strips(const int16_t *x, const float *units, size rows, const matrix *m, enum after after,
                        const float *one, const float *two, float *y)
{
    size stretches = stretches_of(m);
#define ROWS(n, row, column) \
    strip(x + row * m->inputs, units + row * stretches, stretches, n, m, column, after, one, \
          after == THEN_ADD ? two + row * m->outputs : two, y + row * m->outputs)
    EACH_STRIP(ROWS, rows, m->outputs)
#undef ROWS
}

AVX2 void integer_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                          const float *two, float *room, float *y)
{
    size stretches = stretches_of(m);
    float *units = room;
    int16_t *whole = (int16_t *)(room + rows * stretches);
    for (size row = 0; row < rows; row++)
        rounded(x + row * step, m->inputs, whole + row * m->inputs, units + row * stretches);
    switch (after) {
    case NOTHING: strips(whole, units, rows, m, NOTHING, one, two, y); break;
    case THEN_SNAKE: strips(whole, units, rows, m, THEN_SNAKE, one, two, y); break;
    case THEN_ADD: strips(whole, units, rows, m, THEN_ADD, one, two, y); break;
    }
}
#else
int hac_has_integers(void) { return 0; }

void integer_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                     const float *two, float *room, float *y)
{
    abort(); /* nobody has been told to */
}
#endif
