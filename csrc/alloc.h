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

static inline void bio_scratch_free(void **scratch, size_t n_workers) {
    for (size_t worker = 0; scratch && worker < n_workers; worker++) bio_free(scratch[worker]);
    free(scratch);
}

/* One piece of scratch a worker; NULL, with nothing left behind, without memory. */
static inline void **bio_scratch_new(size_t n_workers, size_t bytes) {
    void **scratch = calloc(n_workers, sizeof *scratch);
    for (size_t worker = 0; scratch && worker < n_workers; worker++)
        if (!(scratch[worker] = bio_alloc(bytes))) {
            bio_scratch_free(scratch, n_workers);
            return NULL;
        }
    return scratch;
}

#endif
