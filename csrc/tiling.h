/* The one cost rule of the tiled products: how wide a tile is, how a matrix is blocked. */
#ifndef BIO_TILING_H
#define BIO_TILING_H

#include <stddef.h>

#include "bio.h"

enum {
    BIO_ALIGN = 64,           /* bytes; a cache line and the widest vector */
    BIO_TILE_VECTORS = 4,     /* vectors of samples in a tile: enough to hide the latency of a multiply-add */
    BIO_L1_BYTES = 32 * 1024, /* a block of columns x a tile of samples should stay in here */
    BIO_MIN_RUN = 12,         /* synapses of a row in a block below which runs cost more than a block saves */
    BIO_MAX_BLOCK = 32768,    /* rows, columns and synapses of a run are counted in 16 bits within a tile */
    BIO_CHUNK_ROWS = 256,     /* rows whose tile of sums stays in the L2 cache */
};

/* Vectors of samples in the next tile of a batch of which `left` samples are left. */
static inline size_t bio_tile_vectors(size_t left, size_t lanes) {
    const size_t vectors = (left + lanes - 1) / lanes;
    return vectors < BIO_TILE_VECTORS ? vectors : BIO_TILE_VECTORS;
}

/* Columns from one synapse of a row to the next: 1 / density. */
static inline size_t bio_gap(size_t n_rows, size_t n_cols, size_t nnz) {
    return nnz ? (size_t)((double)n_rows * (double)n_cols / (double)nnz) : n_cols;
}

/* Columns in a block, where a vector has `bytes`: as many as fit the L1 cache, more where runs would be short. */
static inline size_t bio_block_columns(size_t n_rows, size_t n_cols, size_t nnz, size_t bytes) {
    size_t block = BIO_L1_BYTES / (BIO_TILE_VECTORS * bytes);
    const size_t enough = BIO_MIN_RUN * bio_gap(n_rows, n_cols, nnz);
    if (block < enough) block = enough;
    if (block > BIO_MAX_BLOCK) block = BIO_MAX_BLOCK;
    if (block > n_cols) block = n_cols;
    return block ? block : 1;
}

/* Rows in a chunk: more where a block would be read too seldom to pay for its fetching, fewer where they would not make
 * work for several threads. */
static inline size_t bio_chunk_rows(size_t n_rows, size_t n_cols, size_t nnz) {
    const size_t quarter = (n_rows + 3) / 4;
    size_t chunk = BIO_MIN_RUN * bio_gap(n_rows, n_cols, nnz);
    if (chunk < BIO_CHUNK_ROWS) chunk = BIO_CHUNK_ROWS;
    if (chunk > quarter) chunk = quarter;
    if (chunk > BIO_MAX_BLOCK) chunk = BIO_MAX_BLOCK;
    return chunk < 32 ? 32 : chunk;
}

static inline size_t bio_round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

#endif
