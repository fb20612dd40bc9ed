/* Products in integers of 16 bits, in two thirds of the time of those in floats, where the processor adds up products of
 * pairs.
 *
 * Every row is made into integers, a stretch of inputs at a time, whose largest becomes MOST. Weights are scaled such that
 * no sum over a stretch can be more than 32 bits hold: it is exact, and only stretches are added up as floats. What is
 * lost is the rounding of inputs and weights, 70 dB below what a decoder gives. An encoder has to tell latents next to
 * zero apart, and can't do with that. */

#include <stdlib.h>

#include "products.h"

#define STRETCH 96 /* inputs: the longer, the less there is to add up, and the fewer bits a weight has */
#define MOST 16383 /* a bit for the weights, whose rounding counts as much */

INLINE size stretches_of(const matrix *m) { return (m->inputs + STRETCH - 1) / STRETCH; }

/* What it takes to work with, in floats. */
static size integer_room(const matrix *m)
{
    return m->weights == INTEGERS ? TILE * (m->inputs / 2 + stretches_of(m)) : 0;
}

#ifdef PAIRS /* multiplied and added up by the processor */
/* Up to STRETCH floats as integers; gives what these have to be multiplied with. */
INLINE float stretch(const float *x, size count, int16_t *y)
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

static void rounded(const float *x, size inputs, int16_t *y, float *units)
{
    size i = 0;
    for (; i + STRETCH <= inputs; i += STRETCH)
        *units++ = stretch(x + i, STRETCH, y + i);
    if (i < inputs)
        *units = stretch(x + i, inputs - i, y + i);
}

/* Two inputs times two weights of every column, added up. */
INLINE integers plus(integers sum, int32_t pair, integers weights)
{
    integers both = pair - (integers){0};
#if LANES == 16
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(weights), "v"(both)); /* for whose intrinsic gcc moves every sum */
    return sum;
#else
    typedef short pairs __attribute__((vector_size(4 * LANES)));
    return sum + (integers)__builtin_ia32_pmaddwd256((pairs)both, (pairs)weights);
#endif
}

INLINE void integer_strip(const int16_t *x, const float *units, size stretches, int rows, int vectors,
                          const matrix *m, size column, enum after after, const float *one, const float *two, float *y)
{
    size words = m->inputs / 2 * PANEL, apart = LANES == PANEL ? words : LANES;
    const uint32_t *panel = m->panels + column / PANEL * words;
    vector totals[STRIP][2] = {{{0}}};
    for (size stretch = 0; stretch < stretches; stretch++, x += STRETCH) {
        size left = (m->inputs - stretch * STRETCH) / 2, some = left < STRETCH / 2 ? left : STRETCH / 2;
        integers sums[STRIP][2] = {{{0}}};
        for (size i = 0; i < some; i++, panel += PANEL) {
            integers weights[2];
            for (int v = 0; v < vectors; v++)
                weights[v] = *(const integers *)(panel + v * apart);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                int32_t pair;
                memcpy(&pair, x + r * m->inputs + 2 * i, sizeof pair);
#pragma GCC unroll 2
                for (int v = 0; v < vectors; v++)
                    sums[r][v] = plus(sums[r][v], pair, weights[v]);
            }
        }
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                totals[r][v] += __builtin_convertvector(sums[r][v], vector) * units[r * stretches + stretch];
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            totals[r][v] = totals[r][v] * at(m->scale + column + v * LANES) + at(m->bias + column + v * LANES);
    finish(totals, rows, vectors, m, column, after, one, two, y);
}

INLINE void integer_strips(const int16_t *x, const float *units, size rows, const matrix *m, enum after after,
                           const float *one, const float *two, float *y)
{
    size stretches = stretches_of(m);
#define ROWS(n, vectors, row, column) \
    integer_strip(x + row * m->inputs, units + row * stretches, stretches, n, vectors, m, column, after, one, \
                  BESIDE(after) ? two + row * m->outputs : two, y + row * m->outputs)
    EACH_STRIP(ROWS, rows, m->outputs)
#undef ROWS
}

/* y = f(x @ matrix + bias) for up to TILE rows. */
static void integer_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                            const float *two, float *room, float *y)
{
    size stretches = stretches_of(m);
    float *units = room;
    int16_t *whole = (int16_t *)(room + rows * stretches);
    for (size row = 0; row < rows; row++)
        rounded(x + row * step, m->inputs, whole + row * m->inputs, units + row * stretches);
    switch (after) {
    case NOTHING: integer_strips(whole, units, rows, m, NOTHING, one, two, y); break;
    case THEN_SNAKE: integer_strips(whole, units, rows, m, THEN_SNAKE, one, two, y); break;
    case THEN_SLOPE: integer_strips(whole, units, rows, m, THEN_SLOPE, one, two, y); break;
    case THEN_ADD: integer_strips(whole, units, rows, m, THEN_ADD, one, two, y); break;
    case THEN_TIMES: integer_strips(whole, units, rows, m, THEN_TIMES, one, two, y); break;
    }
}
#else
static void integer_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                            const float *two, float *room, float *y)
{
    abort(); /* nobody has been told to */
}
#endif
