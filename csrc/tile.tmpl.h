/* Tiles of samples: a batch-major slab (samples, features) seen feature-major, so that one feature of all the samples
 * of a tile is nv contiguous vectors. */
#include "shuffle.tmpl.h"

/* In-register transpose of a LANES x LANES square. */
static inline __attribute__((always_inline)) void NAME(transpose)(vec v[LANES]) {
#define EXCHANGE(h)                                                 \
    _Pragma("GCC unroll 16") for (int i = 0; i < (int)LANES; i++) { \
        if (i & h) continue;                                        \
        vec a = v[i], b = v[i + h];                                 \
        v[i] = LO##h(a, b);                                         \
        v[i + h] = HI##h(a, b);                                     \
    }
#if LANES >= 16
    EXCHANGE(8)
#endif
#if LANES >= 8
    EXCHANGE(4)
#endif
#if LANES >= 4
    EXCHANGE(2)
#endif
    EXCHANGE(1)
#undef EXCHANGE
}

/* tile[j - begin][s] = slab[s][j] for j in [begin, end), s < samples; 0 for samples <= s < width.
 * slab rows are `stride` apart; width is a multiple of LANES. */
static void NAME(pack)(const T *restrict slab, size_t stride, size_t samples, size_t begin, size_t end, size_t width,
                       T *restrict tile) {
    for (size_t s0 = 0; s0 < width; s0 += LANES) {
        size_t here = samples > s0 ? samples - s0 : 0;
        if (here > LANES) here = LANES;
        const T *from = slab + s0 * stride;
        size_t j = begin;
        for (; j + LANES <= end; j += LANES) {
            vec v[LANES];
            for (size_t s = 0; s < LANES; s++) v[s] = s < here ? *(const vec *)(from + s * stride + j) : (vec){0};
            NAME(transpose)(v);
            for (size_t l = 0; l < LANES; l++) *(vec *)(tile + (j - begin + l) * width + s0) = v[l];
        }
        for (; j < end; j++)
            for (size_t s = 0; s < LANES; s++) tile[(j - begin) * width + s0 + s] = s < here ? from[s * stride + j] : 0;
    }
}

/* slab[s][j] = tile[j - begin][s], the way back; only real samples are written. */
static void NAME(unpack)(const T *restrict tile, size_t stride, size_t samples, size_t begin, size_t end, size_t width,
                         T *restrict slab) {
    for (size_t s0 = 0; s0 < samples; s0 += LANES) {
        size_t here = samples - s0 < LANES ? samples - s0 : LANES;
        T *to = slab + s0 * stride;
        size_t j = begin;
        for (; j + LANES <= end; j += LANES) {
            vec v[LANES];
            for (size_t l = 0; l < LANES; l++) v[l] = *(const vec *)(tile + (j - begin + l) * width + s0);
            NAME(transpose)(v);
            for (size_t s = 0; s < here; s++) *(vec *)(to + s * stride + j) = v[s];
        }
        for (; j < end; j++)
            for (size_t s = 0; s < here; s++) to[s * stride + j] = tile[(j - begin) * width + s0 + s];
    }
}
