#include "tile.tmpl.h"

/* A unit of work is one chunk of rows, over all tiles of the batch: so each g is summed by one worker, tile after tile.
 */
typedef struct {
    const bio_csr *w;
    const T *x, *dy;
    T *g;
    T **scratch; /* of each worker: its tile of x, then its chunk of dy */
    const size_t *cut;
    size_t n_blocks, chunk, nv, batch;
} NAME(sddmm_job);

/* Products of up to LANES synapses, reduced together. */
static inline
    __attribute__((always_inline)) void NAME(sddmm_run)(const T *xt, const vec d[4], const I *restrict indices,
                                                        T *restrict g, size_t n, int first, const int nv) {
    vec sums[LANES];
    const size_t width = (size_t)nv * LANES;
    if (n == LANES) {
        _Pragma("GCC unroll 16") for (int s = 0; s < (int)LANES; s++) {
            const vec *x = (const vec *)(xt + (size_t)indices[s] * width);
            sums[s] = d[0] * x[0];
            for (int v = 1; v < nv; v++) sums[s] += d[v] * x[v];
        }
        const vec total = NAME(reduce)(sums);
        if (first) *(vec *)g = total;
        else *(vec *)g += total;
        return;
    }
    for (size_t s = 0; s < LANES; s++) sums[s] = (vec){0};
    for (size_t s = 0; s < n; s++) {
        const vec *x = (const vec *)(xt + (size_t)indices[s] * width);
        sums[s] = d[0] * x[0];
        for (int v = 1; v < nv; v++) sums[s] += d[v] * x[v];
    }
    const vec total = NAME(reduce)(sums);
    for (size_t s = 0; s < n; s++) g[s] = first ? total[s] : g[s] + total[s];
}

static inline
    __attribute__((always_inline)) void NAME(sddmm_rows)(const NAME(sddmm_job) *job, const T *xt, const T *dyt,
                                                         size_t begin, size_t end, int first, const int nv) {
    const I *restrict indices = job->w->indices;
    const size_t n_rows = job->w->n_rows, width = (size_t)nv * LANES;
    for (size_t c = 0; c < job->n_blocks; c++) {
        const size_t *cut = job->cut + c * n_rows, *stop = cut + n_rows;
        for (size_t i = begin; i < end; i++) {
            vec d[4];
            for (int v = 0; v < nv; v++) d[v] = ((const vec *)(dyt + (i - begin) * width))[v];
            for (size_t k = cut[i]; k < stop[i]; k += LANES) {
                const size_t n = stop[i] - k < LANES ? stop[i] - k : LANES;
                NAME(sddmm_run)(xt, d, indices + k, job->g + k, n, first, nv);
            }
        }
    }
}

static void NAME(sddmm_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(sddmm_job) *job = context;
    const bio_csr *w = job->w;
    const size_t width = job->nv * LANES;
    T *xt = job->scratch[worker], *dyt = xt + w->n_cols * width;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t top = unit * job->chunk, bottom = top + job->chunk < w->n_rows ? top + job->chunk : w->n_rows;
        for (size_t b = 0; b < job->batch; b += width) {
            const size_t samples = job->batch - b < width ? job->batch - b : width;
            NAME(pack)(job->x + b * w->n_cols, w->n_cols, samples, 0, w->n_cols, width, xt);
            NAME(pack)(job->dy + b * w->n_rows, w->n_rows, samples, top, bottom, width, dyt);
            switch (job->nv) {
                case 1: NAME(sddmm_rows)(job, xt, dyt, top, bottom, b == 0, 1); break;
                case 2: NAME(sddmm_rows)(job, xt, dyt, top, bottom, b == 0, 2); break;
                default: NAME(sddmm_rows)(job, xt, dyt, top, bottom, b == 0, 4); break;
            }
        }
    }
}

static bio_status NAME(weight_grad)(const bio_csr *w, const void *x, const void *dy, void *g, size_t batch,
                                    int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    const size_t block = bio_block_columns(w, width, SIZE), n_blocks = (w->n_cols + block - 1) / block;
    n_threads = bio_worth_threads(w, batch, n_threads);
    /* every unit packs x for itself: two a thread are enough to even out the load */
    const size_t chunk = (w->n_rows + 2 * (size_t)n_threads - 1) / (2 * (size_t)n_threads);
    const size_t n_chunks = (w->n_rows + chunk - 1) / chunk;
    const size_t n_workers = bio_workers(n_chunks, 1, n_threads);
    T **scratch = (T **)bio_scratch_new(n_workers, (w->n_cols + chunk) * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = scratch && cut ? BIO_OK : BIO_NO_MEMORY;
    if (status == BIO_OK) {
        NAME(sddmm_job) job = {w, x, dy, g, scratch, cut, n_blocks, chunk, nv, batch};
        bio_parallel(NAME(sddmm_task), &job, n_chunks, 1, n_threads);
    }
    free(cut);
    bio_scratch_free((void **)scratch, n_workers);
    return status;
}
