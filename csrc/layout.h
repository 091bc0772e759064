/* A block-major copy of a CSR matrix, or of its transpose: what the products run on.
 *
 * The matrix as laid out has rows and columns of its own (for a transpose, the rows are the columns of W). It is cut
 * into tiles of `chunk` rows x `block` columns, so that the activity of a block, for a tile of samples, stays in the
 * L1 cache while every row of the chunk reads it. Within a tile the synapses of a row follow each other (a run), runs
 * follow each other in the order of their lengths; each is padded to a whole number of groups. */
#ifndef BIO_LAYOUT_H
#define BIO_LAYOUT_H

#include <stdint.h>

#include "bio.h"

enum {
    BIO_GROUP = 4 /* synapses whose sampled products are reduced together */
};

struct bio_layout {
    size_t n_rows, n_cols; /* as laid out */
    size_t nnz;
    size_t block, chunk; /* columns and rows of a tile */
    size_t n_blocks, n_chunks;
    int transposed;
    bio_value value;
    bio_index index;
    size_t largest;   /* places of the largest tile */
    size_t *start;    /* first place of tile chunk x n_blocks + block; one more: the number of places */
    uint16_t *length; /* synapses of each run: tile x chunk + row within the chunk */
    uint16_t *row;    /* which row each run of a tile is of */
    uint16_t *column; /* of each place, within its block */
    void *source;     /* of each place of a transpose, in w; else NULL: a run lies together in w, too */
    size_t *next;     /* of each row, for a refresh: where its next run lies in w; NULL in a transpose */
    void *data;       /* weight of each place; NULL where only the structure counts */
    void *spare;      /* scratch of the last product, kept for the next: fresh memory costs more than filling it */
};

/* Scratch of at least `bytes`, aligned; the spare one where nobody else has it. NULL without memory. */
void *bio_layout_borrow(bio_layout *layout, size_t bytes);
void bio_layout_give_back(bio_layout *layout, void *scratch);

static inline size_t bio_layout_places(const bio_layout *layout) {
    return layout->start[layout->n_chunks * layout->n_blocks];
}

static inline size_t bio_padded(size_t length) { return (length + BIO_GROUP - 1) / BIO_GROUP * BIO_GROUP; }

/* Takes the weights of rows `begin` to `end`, whole chunks of a layout of w itself; no scratch, one thread. */
void bio_layout_refresh_rows(bio_layout *layout, const bio_csr *w, size_t begin, size_t end);

/* What there is for each place of tile t of the layout of w, to its synapses: g[k] = sums[place of k - start[t]]. Reads
 * `sums` in whole vectors: up to 63 bytes past the end. */
typedef void bio_deposit(const bio_layout *layout, const bio_csr *w, size_t t, const void *sums, void *g, size_t *next);
bio_deposit *bio_layout_deposit(const bio_layout *layout);

#endif
