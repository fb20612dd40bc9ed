/* Products of some rows with constant matrices, and what the network does around them, in one pass.
 *
 * Arrays are float32, [rows, columns], rows a number of floats apart. A matrix comes in panels, [outputs / 16, inputs,
 * 16], the last one filled up with zeros, as is its bias. Every sum is taken in the order of its inputs, however many
 * rows there are in a call: so results don't depend on how a stream is cut.
 *
 * GCC and Clang make the vectors of eight from what the processor has. */

#include <stddef.h>
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
typedef ptrdiff_t size;

const int hac_panel = PANEL, hac_tile = TILE;

INLINE vector at(const float *x) { return *(const vector *)x; }

/* u + sin(u)^2, which has the period pi; the polynomial is sin's on half a turn, to 5e-9. */
INLINE vector snake(vector u)
{
    const float whole = 0x1.8p23f; /* added and taken off again, it leaves a whole number */
    vector turns = u * 0x1.45f306p-2f + whole - whole;
    vector r = u - turns * 0x1.92p1f - turns * 0x1.fb5444p-11f; /* pi in two parts */
    vector q = r * r;
    vector p = -0x1.55554ep-3f + q * (0x1.110f02p-7f + q * (-0x1.9f781ap-13f + q * 0x1.5e2a3ep-19f));
    vector sine = r + r * q * p;
    return u + sine * sine;
}

typedef struct {
    const float *panels, *bias;
    size inputs, outputs;
} matrix;

/* y = f(x @ panel + bias) + residual for up to STRIP rows and the columns of one panel. */
INLINE void strip(const float *x, size step, int rows, const matrix *m, size column, int with_snake,
                  const float *residual, size residual_step, float *y, size y_step)
{
    const float *panel = m->panels + column * m->inputs, *bias = m->bias + column;
    size columns = m->outputs - column < PANEL ? m->outputs - column : PANEL;
    vector sums[STRIP][2];
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++)
        sums[r][0] = at(bias), sums[r][1] = at(bias + LANES);
    for (size i = 0; i < m->inputs; i++, panel += PANEL) {
        vector low = at(panel), high = at(panel + LANES);
#pragma GCC unroll 6
        for (int r = 0; r < rows; r++) {
            sums[r][0] += x[r * step + i] * low;
            sums[r][1] += x[r * step + i] * high;
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; r++) {
        vector sum[2] = {sums[r][0], sums[r][1]};
        if (with_snake)
            sum[0] = snake(sum[0]), sum[1] = snake(sum[1]);
        if (residual) {
            vector rest[2] = {{0}, {0}};
            memcpy(rest, residual + r * residual_step + column, columns * sizeof(float));
            sum[0] += rest[0], sum[1] += rest[1];
        }
        memcpy(y + r * y_step + column, sum, columns * sizeof(float));
    }
}

INLINE void product(const float *x, size step, size rows, const matrix *m, int with_snake, const float *residual,
                    size residual_step, float *y, size y_step)
{
    for (size column = 0; column < m->outputs; column += PANEL)
        for (size row = 0; row < rows; row += STRIP) {
#define ROWS(n) strip(x + row * step, step, n, m, column, with_snake, residual ? residual + row * residual_step : NULL, \
                      residual_step, y + row * y_step, y_step)
            switch (rows - row) {
            case 1: ROWS(1); break;
            case 2: ROWS(2); break;
            case 3: ROWS(3); break;
            case 4: ROWS(4); break;
            case 5: ROWS(5); break;
            default: ROWS(STRIP);
            }
#undef ROWS
        }
}

/* Every channel on its own: y[t, c] = sum over k of x[t * stride + k * dilation, c] * taps[k, c]. */
INLINE void depthwise(const float *x, size rows, size channels, const float *taps, size kernel, size stride,
                      size dilation, float *y, size y_step)
{
    for (size row = 0; row < rows; row++, x += stride * channels, y += y_step) {
        size c = 0;
        for (; c + LANES <= channels; c += LANES) {
            vector sum = {0};
            for (size k = 0; k < kernel; k++)
                sum += at(x + k * dilation * channels + c) * at(taps + k * channels + c);
            *(vector *)(y + c) = sum;
        }
        for (; c < channels; c++) {
            float sum = 0;
            for (size k = 0; k < kernel; k++)
                sum += x[k * dilation * channels + c] * taps[k * channels + c];
            y[c] = sum;
        }
    }
}

FOR_EACH_CPU void hac_product(const float *x, size step, size rows, const matrix *m, float *y)
{
    for (size row = 0; row < rows; row += TILE)
        product(x + row * step, step, rows - row < TILE ? rows - row : TILE, m, 0, NULL, 0, y + row * m->outputs, m->outputs);
}

FOR_EACH_CPU void hac_depthwise(const float *x, size rows, size channels, const float *taps, size kernel, size stride,
                                size dilation, float *y, size y_step)
{
    depthwise(x, rows, channels, taps, kernel, stride, dilation, y, y_step);
}

/* Of x * alpha. */
FOR_EACH_CPU void hac_snake(const float *x, size rows, size channels, const float *alpha, float *y)
{
    for (size row = 0; row < rows; row++, x += channels, y += channels) {
        size c = 0;
        for (; c + LANES <= channels; c += LANES)
            *(vector *)(y + c) = snake(at(x + c) * at(alpha + c));
        for (; c < channels; c++)
            y[c] = snake((vector){x[c] * alpha[c]})[0];
    }
}

/* A residual block on rows steps behind the (kernel - 1) * dilation before them; scratch has TILE rows of inputs and
 * outputs of wide. */
FOR_EACH_CPU void hac_block(const float *seen, size rows, const float *taps, size kernel, size dilation,
                            const matrix *wide, const matrix *narrow, float *scratch, float *y)
{
    size channels = wide->inputs;
    float *narrow_tile = scratch, *wide_tile = scratch + TILE * channels;
    for (size row = 0; row < rows; row += TILE, seen += TILE * channels, y += TILE * channels) {
        size some = rows - row < TILE ? rows - row : TILE;
        depthwise(seen, some, channels, taps, kernel, 1, dilation, narrow_tile, channels);
        product(narrow_tile, channels, some, wide, 1, NULL, 0, wide_tile, wide->outputs);
        product(wide_tile, wide->outputs, some, narrow, 0, seen + (kernel - 1) * dilation * channels, channels, y, channels);
    }
}
