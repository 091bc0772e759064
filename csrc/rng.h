/* Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"): random numbers that
 * are a pure function of a counter and a key, so that they do not depend on order, position or thread. Twin:
 * bioneuro/reference.py, philox. Branch-free: a loop over counters vectorises. */
#ifndef BIO_RNG_H
#define BIO_RNG_H

#include <stdint.h>

typedef struct {
    uint32_t word[4];
} bio_random;

/* Counter (a, b, step low, step high) under the key `seed`; 128 random bits. */
static inline bio_random bio_philox(uint32_t a, uint32_t b, uint64_t step, uint64_t seed) {
    uint32_t c0 = a, c1 = b, c2 = (uint32_t)step, c3 = (uint32_t)(step >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return (bio_random){{c0, c1, c2, c3}};
}

#endif
