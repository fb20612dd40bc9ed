/* A chain of the network's layers on one stretch of a stream. Arrays are float32, [rows, channels]. */

#include <stdlib.h>

#include "integers.h"

enum kind { PRODUCT, SNAKE, BLOCK, DOWN, UP, NOISE };

/* One layer and all that is constant in it; compiled_layers.py says what of it a kind has. */
typedef struct {
    size kind;
    size past;  /* floats of its input, or of what it is made into first, that it looks back on */
    size width; /* channels of what it looks back on */
    size hop;   /* floats from window to window (PRODUCT), or the stride */
    size kernel, dilation, multiplier;
    size periods[2]; /* of values and signs */
    matrix first, second;
    const float *taps, *bias, *alpha, *inverse, *gain, *values, *signs;
} layer;

/* Of up to TILE rows. */
static void product(const float *x, size step, size rows, const matrix *m, enum after after, const float *one,
                    const float *two, float *room, float *y)
{
    if (m->weights == INTEGERS)
        integer_product(x, step, rows, m, after, one, two, room, y);
    else
        float_product(x, step, rows, m, after, one, two, y);
}

/* Of all rows, in tiles, so that a panel meets those that are in the cache. */
static void long_product(const float *x, size step, size rows, const matrix *m, float *room, float *y)
{
    for (size row = 0; row < rows; row += TILE)
        product(x + row * step, step, rows - row < TILE ? rows - row : TILE, m, NOTHING, NULL, NULL, room,
                y + row * m->outputs);
}

/* Channels are taken in vectors: the last one overlaps the one before where it must, and if there are fewer channels than
 * lanes, the others are zeros. */
INLINE size within(size c, size channels) { return channels < LANES ? 0 : c + LANES > channels ? channels - LANES : c; }

INLINE vector some(const float *x, size channels)
{
    if (channels >= LANES)
        return at(x);
    vector found = {0};
    memcpy(&found, x, channels * sizeof(float));
    return found;
}

INLINE void put(float *y, vector values, size channels)
{
    if (channels >= LANES)
        *(vector *)y = values;
    else
        memcpy(y, &values, channels * sizeof(float));
}

/* Every channel on its own: y[t, c] = bias[c] + sum over k of x[t * stride + k * dilation, c] * taps[k, c]. */
static void depthwise(const float *x, size rows, size channels, const float *taps, const float *bias,
                                   size kernel, size stride, size dilation, float *y, size y_step)
{
    for (size row = 0; row < rows; row++, x += stride * channels, y += y_step)
        for (size all = 0; all < channels; all += LANES) {
            size c = within(all, channels);
            vector sum = bias ? some(bias + c, channels) : (vector){0};
            for (size k = 0; k < kernel; k++)
                sum += some(x + k * dilation * channels + c, channels) * some(taps + k * channels + c, channels);
            put(y + c, sum, channels);
        }
}

static void snakes(const layer *l, const float *x, size rows, float *y)
{
    for (size row = 0; row < rows; row++, x += l->width, y += l->width)
        for (size all = 0; all < l->width; all += LANES) {
            size c = within(all, l->width);
            put(y + c, snake(some(x + c, l->width), at(l->alpha + c), at(l->inverse + c)), l->width);
        }
}

/* Residual: depthwise, matrix, Snake, matrix. */
static void block(const layer *l, const float *seen, size rows, float *work, float *y)
{
    float *narrow = work, *wide = narrow + TILE * l->width, *room = wide + TILE * l->first.outputs;
    for (size row = 0; row < rows; row += TILE, seen += TILE * l->width, y += TILE * l->width) {
        size some = rows - row < TILE ? rows - row : TILE;
        depthwise(seen, some, l->width, l->taps, NULL, l->kernel, 1, l->dilation, narrow, l->width);
        product(narrow, l->width, some, &l->first, THEN_SNAKE, l->alpha, l->inverse, room, wide);
        product(wide, l->first.outputs, some, &l->second, THEN_ADD, l->gain, seen + l->past, room, y);
    }
}

/* Strided convolution: every channel to multiplier of its own, then a matrix. */
static void down(const layer *l, const float *seen, size rows, float *work, float *y)
{
    for (size part = 0; part < l->multiplier; part++)
        depthwise(seen, rows, l->width, l->taps + part * l->kernel * l->width, NULL, l->kernel, l->hop, 1,
                  work + part * l->width, l->multiplier * l->width);
    size parts = l->multiplier * l->width;
    long_product(work, parts, rows, &l->first, work + rows * parts, y);
}

/* Transposed convolution behind its matrix: every channel from multiplier of them. */
static void up(const layer *l, const float *seen, size rows, float *y)
{
    size channels = l->width / l->multiplier;
    for (size phase = 0; phase < l->hop; phase++)
        depthwise(seen, rows, channels, l->taps + phase * l->kernel * channels, l->bias + phase * channels, l->kernel,
                  l->multiplier, 1, y + phase * channels, l->hop * channels);
}

/* Adds noise, as much as a matrix says; the state is the step in the noise. */
static void add_noise(const layer *l, float *state, const float *x, size rows, float *work, float *y)
{
    long_product(x, l->width, rows, &l->first, work, y);
    size step = (size)*state;
    for (size row = 0; row < rows; row++, step++) {
        const float *values = l->values + step % l->periods[0] * l->width, *signs = l->signs + step % l->periods[1] * l->width;
        for (size c = 0; c < l->width; c++, x++, y++)
            *y = *x + *y * values[c] * signs[c];
    }
    *state = (float)(step % (l->periods[0] * l->periods[1]));
}

/* Floats that come out of a layer for those that go in, and most of what it needs to work with. */
static size outcome(const layer *l, size floats)
{
    switch (l->kind) {
    case PRODUCT: return floats / l->hop * l->first.outputs;
    case DOWN: return floats / l->width / l->hop * l->first.outputs;
    case UP: return floats / l->first.inputs * (l->width / l->multiplier) * l->hop;
    default: return floats;
    }
}

static size effort(const layer *l, size floats)
{
    size first = integer_room(&l->first), second = integer_room(&l->second), room = first > second ? first : second;
    switch (l->kind) {
    case BLOCK: return room + TILE * (l->width + l->first.outputs);
    case DOWN: return room + floats / l->hop * l->multiplier;
    default: return room;
    }
}

static void run(const layer *l, float *state, const float *x, size floats, float *seen, float *work, float *y)
{
    size made = l->kind == UP ? floats / l->first.inputs * l->width : floats;
    if (l->past && l->kind != NOISE) {
        memcpy(seen, state, l->past * sizeof(float));
        if (l->kind == UP)
            long_product(x, l->first.inputs, floats / l->first.inputs, &l->first, work, seen + l->past);
        else
            memcpy(seen + l->past, x, floats * sizeof(float));
        x = seen;
    }
    switch (l->kind) {
    case PRODUCT: long_product(x, l->hop, floats / l->hop, &l->first, work, y); break;
    case SNAKE: snakes(l, x, floats / l->width, y); break;
    case BLOCK: block(l, x, floats / l->width, work, y); break;
    case DOWN: down(l, x, floats / l->width / l->hop, work, y); break;
    case UP: up(l, x, floats / l->first.inputs, y); break;
    case NOISE: add_noise(l, state, x, floats / l->width, work, y); return;
    }
    memcpy(state, seen + made, l->past * sizeof(float));
}

/* Takes floats of x through the layers, whose states lie one behind the other. Gives 0, or -1 without memory. Each file
 * that builds it calls it by a name of its own. */
int RUN(const layer *layers, size count, float *states, const float *x, size floats, float *y)
{
    size most = 0, most_seen = 0, most_work = 0, in = floats;
    for (const layer *l = layers; l < layers + count; in = outcome(l, in), l++) {
        size seen = l->past + (l->kind == UP ? in / l->first.inputs * l->width : in), work = effort(l, in);
        most = in > most ? in : most;
        most_seen = seen > most_seen ? seen : most_seen;
        most_work = work > most_work ? work : most_work;
    }
    float *room = malloc((2 * most + most_seen + most_work) * sizeof(float));
    if (!room)
        return -1;
    float *seen = room + 2 * most, *work = seen + most_seen;
    for (const layer *l = layers; l < layers + count; l++) {
        float *to = l + 1 == layers + count ? y : room + (l - layers) % 2 * most;
        run(l, states, x, floats, seen, work, to);
        states += l->past, floats = outcome(l, floats), x = to;
    }
    free(room);
    return 0;
}

/* What leads back through a block: from its output to where Snake is, on to its depthwise filters, and these, reversed. */
typedef struct {
    matrix narrow, wide;
    const float *taps;
} way_back;

/* The gradient of a block's input, y, from that of its output and from what the block saw, its past in front. It has no
 * bias, nor any effect on what was before. Gives 0, or -1 without memory. */
int BACK(const layer *l, const way_back *back, const float *seen, const float *gradient, size floats, float *y)
{
    size rows = floats / l->width, tile = TILE * l->first.outputs;
    size rooms[] = {integer_room(&l->first), integer_room(&back->narrow), integer_room(&back->wide)}, most = 0;
    for (int i = 0; i < 3; i++)
        most = rooms[i] > most ? rooms[i] : most;
    float *filtered = malloc((TILE * l->width + 2 * tile + most + floats + l->past) * sizeof(float));
    if (!filtered)
        return -1;
    float *slopes = filtered + TILE * l->width, *wide = slopes + tile, *room = wide + tile, *lost = room + most;
    for (size row = 0; row < rows; row += TILE) {
        size some = rows - row < TILE ? rows - row : TILE;
        depthwise(seen + row * l->width, some, l->width, l->taps, NULL, l->kernel, 1, l->dilation, filtered, l->width);
        product(filtered, l->width, some, &l->first, THEN_SLOPE, l->alpha, NULL, room, slopes);
        product(gradient + row * l->width, l->width, some, &back->narrow, THEN_TIMES, NULL, slopes, room, wide);
        product(wide, l->first.outputs, some, &back->wide, NOTHING, NULL, NULL, room, lost + row * l->width);
    }
    memset(lost + floats, 0, l->past * sizeof(float));
    depthwise(lost, rows, l->width, back->taps, NULL, l->kernel, 1, l->dilation, y, l->width);
    for (size i = 0; i < floats; i++)
        y[i] += gradient[i];
    free(filtered);
    return 0;
}

/* The same of Snake, which saw x. */
void SLOPE_BACK(const layer *l, const float *x, const float *gradient, size floats, float *y)
{
    for (size row = 0; row < floats; row += l->width)
        for (size all = 0; all < l->width; all += LANES) {
            size c = within(all, l->width), i = row + c;
            put(y + i, some(gradient + i, l->width) * slope(some(x + i, l->width), at(l->alpha + c)), l->width);
        }
}
