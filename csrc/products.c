/* Products of a pathway with a batch: drive, gradients, both gradients at once. Contracts: bio.h.
 *
 * All are one walk over a layout: for each row of a tile, `in` is gathered for the columns of its run; `out` sums it
 * weighted by the synapses, `g` takes its product with the row of `fixed`.
 *     forward      layout of W    in X                 out Y
 *     weight_grad  layout of W    in X    fixed dY             g
 *     input_grad   of W^T         in dY                out dX
 *     backward     of W^T         in dY   fixed X      out dX  g
 * With few samples it is a walk over the CSR arrays instead (few.c). */
#include <stdlib.h>

#include "alloc.h"
#include "bio.h"
#include "few.h"
#include "layout.h"
#include "parallel.h"
#include "products.h"
#include "simd.h"
#include "tiling.h"

#define SYNAPSE_NS 0.03 /* about what one costs with one sample of many */

/* The samples of all columns lie side by side where there are few. Where that is more than the half of a usual L2
 * cache, layouts are as fast; a scatter, which reads and writes it, must have four times the room. */
enum { GATHERED_BYTES = 1 << 20, SCATTERED_BYTES = 1 << 18 };

/* A unit of work is a group of tiles of samples x a group of chunks of rows. */
typedef struct {
    const bio_csr *w;
    const bio_layout *layout;
    const void *in, *fixed, *bias;
    void *out, *g;
    bio_deposit *deposit;
    bio_task then; /* on rows whose g is there; NULL: nothing */
    void *context;
    void *packed; /* sums for g over the tiles of samples before, in the order of the layout */
    int fetch;    /* the next block into the cache, while this one is read */
    size_t batch, width, tiles_per_unit, chunks_per_unit, n_chunk_groups;
    /* of each worker: the tile of samples that it holds, plus one; then a tile of `in`, chunks of `out` and `fixed`,
     * and the sums for g of a tile of the layout */
    char *scratch;
    size_t scratch_bytes;
} product_job;

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "products.tmpl.c"
#include "template.h"

static const bio_task product_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(product);

/* Runs a job, with a layout made for the occasion where the caller has none. */
static bio_status product(const bio_csr *w, bio_layout *layout, int transposed, product_job job, int n_threads) {
    bio_layout *own = NULL;
    bio_status status = BIO_OK;
    if (!layout) status = bio_layout_new(w, transposed, n_threads, &own);
    if (status) return status;
    job.w = w;
    job.layout = layout = own ? own : layout;

    const size_t bytes = bio_vector_bytes[bio_current_isa()], size = bio_value_size(w->value);
    const size_t lanes = bytes / size, full = BIO_TILE_VECTORS * lanes;
    const size_t n_tiles = (job.batch + full - 1) / full;
    job.width = bio_tile_vectors(job.batch, lanes) * lanes;
    const double cost = SYNAPSE_NS * (double)w->nnz * (double)bio_round_up(job.batch, lanes);
    n_threads = (int)bio_share_out((size_t)n_threads, cost / n_threads, n_threads).workers;
    /* A product g is summed by one worker over the whole batch; each unit then packs all of `in` for itself, so two a
     * thread must do to even out the load. */
    const size_t groups = n_threads > 1 ? 2 * (size_t)n_threads : 1;
    job.tiles_per_unit = job.g ? n_tiles : 1;
    job.chunks_per_unit = job.g ? (layout->n_chunks + groups - 1) / groups : 1;
    job.n_chunk_groups = (layout->n_chunks + job.chunks_per_unit - 1) / job.chunks_per_unit;
    const size_t n_units = (job.g ? 1 : n_tiles) * job.n_chunk_groups;
    const bio_share share = bio_share_out(n_units, cost / (double)n_units, n_threads);

    /* Where a block fits the L1 cache, a few lines a row: more would get in the way. */
    job.fetch = layout->n_blocks > 1 && layout->block * BIO_TILE_VECTORS * bytes <= BIO_L1_BYTES;
    job.deposit = bio_layout_deposit(layout);
    const size_t tiles = (layout->n_cols + 2 * layout->chunk) * job.width,
                 sums = job.g ? bio_round_up(layout->largest + lanes, 2) : 0;
    job.scratch_bytes =
        bio_round_up(BIO_ALIGN + (tiles + sums) * size + (job.g ? layout->chunk * sizeof(size_t) : 0), BIO_ALIGN);
    const size_t all = share.workers * job.scratch_bytes;
    job.scratch = bio_layout_borrow(layout, all + (job.g && n_tiles > 1 ? bio_layout_places(layout) * size : 0));
    if (job.scratch) {
        for (size_t worker = 0; worker < share.workers; worker++)
            *(size_t *)(job.scratch + worker * job.scratch_bytes) = 0;
        job.packed = job.scratch + all;
        bio_parallel(BIO_PICK(product_table, w->value, BIO_INT32), &job, share);
        bio_layout_give_back(layout, job.scratch);
    } else status = BIO_NO_MEMORY;
    bio_layout_free(own);
    return status;
}

/* Samples of which one vector holds all, or four, if those of n_cols columns have room; else one. */
static size_t side_by_side(bio_value value, size_t n_cols, size_t room) {
    const size_t size = bio_value_size(value);
    size_t width = BIO_WIDEST;
    while (width > 4 && width * size > bio_vector_bytes[bio_current_isa()]) width /= 2;
    while (width > 1 && n_cols > room / size / width) width /= 2;
    return width < 4 ? 1 : width;
}

bio_few_samples bio_few(bio_value value, size_t n_cols) {
    size_t sampled = 2 * BIO_WIDEST;
    while (sampled > 1 && n_cols > GATHERED_BYTES / bio_value_size(value) / sampled) sampled /= 2;
    return (bio_few_samples){
        .forward = side_by_side(value, n_cols, GATHERED_BYTES),
        .input_grad = side_by_side(value, n_cols, SCATTERED_BYTES),
        .weight_grad = sampled,
    };
}

bio_status bio_forward(const bio_csr *w, bio_layout *layout, const void *x, const void *bias, void *y, size_t batch,
                       int n_threads) {
    if (batch <= bio_few(w->value, w->n_cols).forward) return bio_few_forward(w, x, bias, y, batch, n_threads);
    return product(w, layout, 0, (product_job){.in = x, .bias = bias, .out = y, .batch = batch}, n_threads);
}

bio_status bio_input_grad(const bio_csr *w, bio_layout *layout, const void *dy, void *dx, size_t batch, int n_threads) {
    if (batch <= bio_few(w->value, w->n_cols).input_grad)
        return bio_few_gradients(w, NULL, dy, dx, NULL, batch, n_threads);
    return product(w, layout, 1, (product_job){.in = dy, .out = dx, .batch = batch}, n_threads);
}

bio_status bio_weight_grad(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *g, size_t batch,
                           int n_threads) {
    if (batch <= bio_few(w->value, w->n_cols).weight_grad)
        return bio_few_gradients(w, x, dy, NULL, g, batch, n_threads);
    return product(w, layout, 0, (product_job){.in = x, .fixed = dy, .g = g, .batch = batch}, n_threads);
}

bio_status bio_weight_grad_then(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *g,
                                size_t batch, bio_task then, void *context, int n_threads) {
    const product_job job = {.in = x, .fixed = dy, .g = g, .then = then, .context = context, .batch = batch};
    return product(w, layout, 0, job, n_threads);
}

bio_status bio_backward(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *dx, void *g,
                        size_t batch, int n_threads) {
    if (batch <= bio_few(w->value, w->n_cols).input_grad) return bio_few_gradients(w, x, dy, dx, g, batch, n_threads);
    const product_job job = {.in = dy, .fixed = x, .out = dx, .g = g, .batch = batch};
    return product(w, layout, 1, job, n_threads);
}
