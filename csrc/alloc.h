/* Scratch memory on a cache-line border, so that whole-vector accesses never straddle lines. Never NULL for 0 bytes. */
#ifndef BIO_ALLOC_H
#define BIO_ALLOC_H

#include <stdint.h>
#include <stdlib.h>

#include "tiling.h"

static inline void *bio_alloc(size_t bytes) {
    if (bytes > SIZE_MAX - BIO_ALIGN) return NULL;
    size_t rounded = bio_round_up(bytes ? bytes : 1, BIO_ALIGN);
#ifdef _WIN32
    return _aligned_malloc(rounded, BIO_ALIGN);
#else
    return aligned_alloc(BIO_ALIGN, rounded);
#endif
}

static inline void bio_free(void *memory) {
#ifdef _WIN32
    _aligned_free(memory);
#else
    free(memory);
#endif
}

#endif
