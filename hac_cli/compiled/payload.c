/* Coded tokens, as in format_spec.md: the predictor's network and the arithmetic coder, bit by bit.
 *
 * All of the predictor's numbers are whole: floats hold the hidden sums, below 2^18, exactly and in any order, and doubles
 * the logits, below 2^33. */

#include "vectors.h"

#define UNITS 16 /* of hidden ones there is a multiple of it, the last ones perhaps of no weight */

typedef float floats __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t masks __attribute__((vector_size(16), aligned(4), may_alias));
typedef double doubles __attribute__((vector_size(32), aligned(8), may_alias));

const int hac_units = UNITS;

typedef struct {
    size bits, look_back, hidden;
    const float *past;         /* [look_back * bits, hidden], the last frame first */
    const float *present;      /* [bits, hidden] */
    const float *hidden_bias;  /* [hidden] */
    const double *out;         /* [bits, hidden] */
    const double *out_bias;    /* [bits] */
    const int64_t *chances;    /* of a 1, in 1/65536, for the logits around zero_logit */
    size chance_count, zero_logit;
} predictor;

typedef struct {
    uint32_t low, high, number;
    uint8_t *bytes; /* only read, by take */
    size position, length;
} coder;

static uint32_t middle(const coder *c, int64_t chance)
{
    return c->low + (uint32_t)((uint64_t)(c->high - c->low) * (uint64_t)chance >> 16);
}

static void put(coder *c, int64_t chance, int bit)
{
    uint32_t split = middle(c, chance);
    if (bit)
        c->high = split;
    else
        c->low = split + 1;
    for (; !((c->low ^ c->high) >> 24); c->low <<= 8, c->high = c->high << 8 | 0xFF)
        c->bytes[c->position++] = (uint8_t)(c->high >> 24);
}

static uint32_t next(coder *c)
{
    size position = c->position++;
    return position < c->length ? c->bytes[position] : 0;
}

static int take(coder *c, int64_t chance)
{
    uint32_t split = middle(c, chance);
    int bit = c->number <= split;
    if (bit)
        c->high = split;
    else
        c->low = split + 1;
    for (; !((c->low ^ c->high) >> 24); c->low <<= 8, c->high = c->high << 8 | 0xFF)
        c->number = c->number << 8 | next(c);
    return bit;
}

/* As few more bytes as place the number in the interval; zero bytes at the end need not be written at all. */
static void place(coder *c)
{
    for (int bytes = 0; bytes <= 4; bytes++) {
        uint64_t rest = ((uint64_t)1 << (32 - 8 * bytes)) - 1, number = (c->low + rest) & ~rest;
        if (number <= c->high) {
            for (int i = 0; i < bytes; i++)
                c->bytes[c->position++] = (uint8_t)(number >> (24 - 8 * i));
            break;
        }
    }
    while (c->position && !c->bytes[c->position - 1])
        c->position--;
}

INLINE void add(float *sums, const float *weights, float sign, size count)
{
    for (size i = 0; i < count; i++)
        sums[i] += sign * weights[i];
}

/* The hidden sums of frame t of a channel, none of whose bits is known; frames are `step` signs apart. */
INLINE void start(const predictor *p, const int8_t *frame, size t, size step, float *sums)
{
    memcpy(sums, p->hidden_bias, p->hidden * sizeof(float));
    for (size lag = 1; lag <= p->look_back && lag <= t; lag++)
        for (size bit = 0; bit < p->bits; bit++)
            add(sums, p->past + ((lag - 1) * p->bits + bit) * p->hidden, frame[bit - lag * step], p->hidden);
}

/* What a bit of that sign adds to them. */
INLINE void follow(const predictor *p, size bit, float sign, float *sums)
{
    add(sums, p->present + bit * p->hidden, sign, p->hidden);
}

INLINE int64_t chance(const predictor *p, size bit, const float *sums)
{
    const double *out = p->out + bit * p->hidden;
    doubles logits[4] = {{p->out_bias[bit]}}; /* for the processor to do at once */
    for (size i = 0; i < p->hidden; i += UNITS)
        for (int k = 0; k < 4; k++) {
            floats sum = *(const floats *)(sums + i + 4 * k);
            sum = (floats)((masks)sum & (masks)(sum > 0)); /* gcc makes a slow branch of a condition */
            logits[k] += __builtin_convertvector(sum, doubles) * *(const doubles *)(out + i + 4 * k);
        }
    doubles four = logits[0] + logits[1] + logits[2] + logits[3];
    double logit = four[0] + four[1] + four[2] + four[3] + (double)p->zero_logit;
    return p->chances[logit < 0 ? 0 : logit > p->chance_count - 1 ? p->chance_count - 1 : (size)logit];
}

/* Signs [frames, channels, bits] of 1 and -1 to bytes, of which it returns the number: at most two for every sign and
 * four more. sums has room for the hidden units. */
FOR_EACH_CPU size hac_encode(const predictor *p, const int8_t *signs, size frames, size channels, float *sums,
                             uint8_t *bytes)
{
    coder c = {.high = UINT32_MAX, .bytes = bytes};
    size step = channels * p->bits;
    for (size t = 0; t < frames; t++)
        for (size channel = 0; channel < channels; channel++, signs += p->bits) {
            start(p, signs, t, step, sums);
            for (size bit = 0; bit < p->bits; bit++) {
                put(&c, chance(p, bit, sums), signs[bit] > 0);
                follow(p, bit, signs[bit], sums);
            }
        }
    place(&c);
    return c.position;
}

/* The signs again; returns whether every byte has come into play: one that has not is none that hac_encode wrote. */
FOR_EACH_CPU int hac_decode(const predictor *p, const uint8_t *bytes, size length, size frames, size channels,
                            float *sums, int8_t *signs)
{
    coder c = {.high = UINT32_MAX, .bytes = (uint8_t *)bytes, .length = length};
    size step = channels * p->bits;
    for (int i = 0; i < 4; i++)
        c.number = c.number << 8 | next(&c);
    for (size t = 0; t < frames; t++)
        for (size channel = 0; channel < channels; channel++, signs += p->bits) {
            start(p, signs, t, step, sums);
            for (size bit = 0; bit < p->bits; bit++) {
                signs[bit] = take(&c, chance(p, bit, sums)) ? 1 : -1;
                follow(p, bit, signs[bit], sums);
            }
        }
    return c.position >= length;
}
