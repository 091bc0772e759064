/* Threefry2x32-20 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): random numbers that
 * are a pure function of a counter and a key, so that they do not depend on order, position or thread. Twin:
 * bioneuro/reference.py, threefry. Only 32-bit additions, rotations and exclusive ors, without a branch: a loop over
 * counters vectorises. */
#ifndef BIO_RNG_H
#define BIO_RNG_H

#include <stdint.h>

typedef struct {
    uint32_t word[2];
} bio_random;

static inline bio_random bio_threefry(uint32_t a, uint32_t b, bio_random key) {
    static const int rotation[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    const uint32_t k[3] = {key.word[0], key.word[1], key.word[0] ^ key.word[1] ^ 0x1BD11BDAu};
    a += k[0];
    b += k[1];
#pragma GCC unroll 20
    for (int round = 0; round < 20; round++) {
        a += b;
        b = (b << rotation[round % 8] | b >> (32 - rotation[round % 8])) ^ a;
        if (round % 4 == 3) {
            const int s = round / 4 + 1;
            a += k[s % 3];
            b += k[(s + 1) % 3] + (uint32_t)s;
        }
    }
    return (bio_random){{a, b}};
}

/* The key of one step, under which synapses are then counted by (row, column). */
static inline bio_random bio_step_key(uint64_t seed, uint64_t step) {
    const bio_random key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    return bio_threefry((uint32_t)step, (uint32_t)(step >> 32), key);
}

/* The key of another stream of the same step, apart from what is counted by (row, column) under the step's own key: no
 * row has this number. */
static inline bio_random bio_stream_key(uint64_t seed, uint64_t step, uint32_t stream) {
    return bio_threefry(UINT32_MAX, stream, bio_step_key(seed, step));
}

/* Uniform in (0, 1): the middle of one of 2^52 equal parts, exactly. */
static inline double bio_uniform(bio_random random) {
    return ((double)(((uint64_t)random.word[0] << 32 | random.word[1]) >> 12) + 0.5) * 0x1p-52;
}

#endif
