/* Products of rows with matrices, in floats.
 *
 * Every sum is taken in the order of its inputs, however many rows there are in a call and lanes in a vector: so results
 * depend neither on how a stream is cut nor on the processor, if it can multiply and add at once. */

#include "vectors.h"

#define PANEL 16 /* columns */
#if LANES == 16
#define STRIP 12 /* rows at a time: 12 by 2 sums, 2 vectors of weights and an input are what 32 registers hold */
#define TILE 144 /* rows that go through a block together, such that they stay in the second cache */
#else
#define STRIP 6 /* as many for 16 registers */
#define TILE 96
#endif

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

/* What comes after a product: nothing, or Snake with one = alpha and two = 1 / alpha, or its slope with one = alpha, or
 * one = gain and the residual two, its rows as far apart as those of y, or what two says it is to be multiplied with. */
enum after { NOTHING, THEN_SNAKE, THEN_SLOPE, THEN_ADD, THEN_TIMES };
#define BESIDE(after) ((after) == THEN_ADD || (after) == THEN_TIMES) /* two has a value for each of y's */

/* Writes sums of rows, from a column on, and does what comes after. */
INLINE void finish(vector sums[][2], int rows, int vectors, const matrix *m, size column, enum after after,
                   const float *one, const float *two, float *y)
{
    size left = m->outputs - column, columns = left < vectors * LANES ? left : vectors * LANES;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        vector sum[2], rest[2] = {{0}, {0}};
        if (BESIDE(after))
            memcpy(rest, two + r * m->outputs + column, columns * sizeof(float));
        for (int v = 0; v < vectors; v++) {
            size c = column + v * LANES;
            sum[v] = sums[r][v];
            if (after == THEN_SNAKE)
                sum[v] = snake(sum[v], at(one + c), at(two + c));
            if (after == THEN_SLOPE)
                sum[v] = slope(sum[v], at(one + c));
            if (after == THEN_ADD)
                sum[v] = sum[v] * at(one + c) + rest[v];
            if (after == THEN_TIMES)
                sum[v] *= rest[v];
        }
        memcpy(y + r * m->outputs + column, sum, columns * sizeof(float));
    }
}

/* strip(rows, vectors, row, column) for all of them; the numbers of rows and vectors are known to the compiler. */
#define EACH_STRIP(strip, rows, outputs) \
    for (size column = 0; column < (outputs); column += 2 * LANES) { \
        if (column + LANES < (outputs)) \
            EACH_ROW(strip, rows, 2, column) \
        else \
            EACH_ROW(strip, rows, 1, column) \
    }
#define EACH_ROW(strip, rows, vectors, column) \
    for (size row = 0, some; row < (rows); row += some) { \
        some = (rows) - row; \
        switch (some) { \
        case 1: strip(1, vectors, row, column); break; \
        case 2: strip(2, vectors, row, column); break; \
        case 3: strip(3, vectors, row, column); break; \
        case 4: strip(4, vectors, row, column); break; \
        case 5: strip(5, vectors, row, column); break; \
        default: \
            if (some < STRIP) \
                some = 6, strip(6, vectors, row, column); \
            else \
                some = STRIP, strip(STRIP, vectors, row, column); \
        } \
    }

/* The weights of one input for two vectors of columns, or one. */
INLINE void weights_of(const uint32_t *panel, size next, int halves, int vectors, vector *weights)
{
#if LANES == 16
    for (int v = 0; v < vectors; v++, panel += next)
        if (halves) {
            __m512i twice = _mm512_broadcast_i32x8(_mm256_loadu_si256((const __m256i *)panel));
            twice = _mm512_mask_slli_epi32(twice, 0x00ff, twice, 16);
            weights[v] = (vector)_mm512_and_si512(twice, _mm512_set1_epi32((int)0xffff0000));
        } else
            weights[v] = *(const vector *)panel;
#else
    integers first = *(const integers *)panel;
    weights[0] = (vector)(halves ? first << 16 : first);
    if (vectors == 2)
        weights[1] = halves ? (vector)(first & (int32_t)0xffff0000) : *(const vector *)(panel + LANES);
#endif
}

/* Fetches the weights of the next columns, as far from their beginning as `panel` is in its own: for a few rows they are
 * used in half of the time that memory takes to give them. */
INLINE void fetch_next(const uint32_t *panel, size next, int vectors)
{
    int panels = (vectors * LANES + PANEL - 1) / PANEL;
    for (int p = 0; p < panels; p++)
        __builtin_prefetch(panel + (panels + p) * next, 0, 2);
}

/* y = f(x @ matrix + bias) for up to STRIP rows and two vectors of columns. */
INLINE void strip(const float *x, size step, int rows, int vectors, const matrix *m, size column, int halves,
                  enum after after, const float *one, const float *two, float *y)
{
    size words = halves ? PANEL / 2 : PANEL, next = words * m->inputs; /* in a panel */
    const uint32_t *panel = m->panels + column / PANEL * next;
    vector sums[STRIP][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
            sums[r][v] = at(m->bias + column + v * LANES);
    for (size i = 0; i < m->inputs; i++, panel += words) {
        vector weights[2];
        weights_of(panel, next, halves, vectors, weights);
        if (rows < STRIP)
            fetch_next(panel, next, vectors);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
            for (int v = 0; v < vectors; v++)
                sums[r][v] += x[r * step + i] * weights[v];
    }
    finish(sums, rows, vectors, m, column, after, one, two, y);
}

INLINE void strips(const float *x, size step, size rows, const matrix *m, int halves, enum after after, const float *one,
                   const float *two, float *y)
{
#define ROWS(n, vectors, row, column) \
    strip(x + row * step, step, n, vectors, m, column, halves, after, one, \
          BESIDE(after) ? two + row * m->outputs : two, y + row * m->outputs)
    EACH_STRIP(ROWS, rows, m->outputs)
#undef ROWS
}

/* Rows of x are step floats apart, and may overlap. */
static void float_product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                          const float *two, float *y)
{
#define AFTER(f) (m->weights == HALVES ? strips(x, step, rows, m, 1, f, one, two, y) \
                                       : strips(x, step, rows, m, 0, f, one, two, y))
    switch (after) {
    case NOTHING: AFTER(NOTHING); break;
    case THEN_SNAKE: AFTER(THEN_SNAKE); break;
    case THEN_SLOPE: AFTER(THEN_SLOPE); break;
    case THEN_ADD: AFTER(THEN_ADD); break;
    case THEN_TIMES: AFTER(THEN_TIMES); break;
    }
#undef AFTER
}
