/* The one cost rule of the tiled products: how wide a tile is, how columns are blocked, when threads pay. */
#ifndef BIO_TILING_H
#define BIO_TILING_H

#include <stddef.h>

#include "bio.h"

enum {
    BIO_ALIGN = 64,             /* bytes; a cache line and the widest vector */
    BIO_L1_BYTES = 32 * 1024,   /* a block of columns x a tile of samples should stay in here */
    BIO_MIN_RUN = 8,            /* synapses of a row in a block below which blocking costs more than it saves */
    BIO_SERIAL_FLOPS = 2000000, /* below this (some 20 us), waking another thread costs more than it saves */
    BIO_CHUNK_ROWS = 256        /* rows of a unit of work: their tile of y stays in the L2 cache */
};

/* Vectors of samples in a tile: 4 hide the latency of a multiply-add; fewer where the batch is smaller. */
static inline size_t bio_tile_vectors(size_t batch, size_t lanes) {
    return batch <= lanes ? 1 : batch <= 2 * lanes ? 2 : 4;
}

/* Columns in a block, for tiles of `width` samples of `size` bytes. */
static inline size_t bio_block_columns(const bio_csr *w, size_t width, size_t size) {
    size_t block = BIO_L1_BYTES / (width * size);
    size_t per_row = w->n_rows ? w->nnz / w->n_rows : 0;
    size_t enough = per_row ? BIO_MIN_RUN * w->n_cols / per_row : w->n_cols;
    if (block < enough) block = enough;
    if (block >= w->n_cols) block = w->n_cols ? w->n_cols : 1;
    return block;
}

/* n_threads, or 1 where the product is small. */
static inline int bio_worth_threads(const bio_csr *w, size_t batch, int n_threads) {
    return 2.0 * (double)w->nnz * (double)batch < BIO_SERIAL_FLOPS ? 1 : n_threads;
}

static inline size_t bio_round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

#endif
