/* What the products with floats and with integers share; its names and macros are for the other files as well.
 *
 * GCC and Clang make the vectors of eight from what the processor has. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define PANEL 16 /* columns: two vectors */
#define STRIP 6  /* rows at a time: 6 by 2 sums, 2 vectors of weights and an input are what 16 registers hold */
#define TILE 96  /* rows that go through a block together, such that they stay in the second cache */

#if defined(__x86_64__) && defined(__linux__)
#define FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define FOR_EACH_CPU
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef ptrdiff_t size;

/* In panels of 16 columns, [outputs / 16, inputs, 16], the last one filled up with zeros, as are the bias and all that
 * is given for each output. A call of a few rows is as fast as weights come from memory, so that two share a word where
 * they can: HALVES, where bfloat16 holds them exactly, of column c (the lower half) and c + 8; INTEGERS, of 16 bits, of
 * one column and two inputs, times a scale for each column. */
enum weights { FLOATS, HALVES, INTEGERS };

typedef struct {
    const uint32_t *panels;
    const float *bias, *scale;
    size inputs, outputs, weights;
} matrix;

/* What comes after a product: nothing, or Snake with one = alpha and two = 1 / alpha, or one = gain and the residual
 * two, its rows as far apart as those of y. */
enum after { NOTHING, THEN_SNAKE, THEN_ADD };

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

/* Writes sums of rows that belong to one panel, and does what comes after. */
INLINE void finish(vector sums[][2], int rows, const matrix *m, size column, enum after after, const float *one,
                   const float *two, float *y, size y_step)
{
    size columns = m->outputs - column < PANEL ? m->outputs - column : PANEL;
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        vector sum[2] = {sums[r][0], sums[r][1]};
        for (int half = 0; half < 2; half++) {
            size c = column + half * LANES;
            if (after == THEN_SNAKE)
                sum[half] = snake(sum[half], at(one + c), at(two + c));
            if (after == THEN_ADD)
                sum[half] *= at(one + c);
        }
        if (after == THEN_ADD) {
            vector rest[2] = {{0}, {0}};
            memcpy(rest, two + r * y_step + column, columns * sizeof(float));
            sum[0] += rest[0], sum[1] += rest[1];
        }
        memcpy(y + r * y_step + column, sum, columns * sizeof(float));
    }
}

/* strip(n, row, column) for all rows and panels; the number of rows n is known to the compiler. */
#define EACH_STRIP(strip, rows, outputs) \
    for (size column = 0; column < (outputs); column += PANEL) \
        for (size row = 0; row < (rows); row += STRIP) \
            switch ((rows) - row) { \
            case 1: strip(1, row, column); break; \
            case 2: strip(2, row, column); break; \
            case 3: strip(3, row, column); break; \
            case 4: strip(4, row, column); break; \
            case 5: strip(5, row, column); break; \
            default: strip(STRIP, row, column); \
            }

/* In integers.c: what it takes to work with, in floats; and y = f(x @ matrix + bias) for up to TILE rows. */
size integer_room(const matrix *m);
void integer_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                     const float *two, float *room, float *y);
