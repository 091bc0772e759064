#include "tile.tmpl.h"

typedef struct {
    const bio_csr *w;
    const T *xt, *dyt; /* tiles of x and dy */
    T *g;
    const size_t *cut;
    size_t n_blocks, nv;
    int first; /* first tile of the batch: overwrite g, do not add */
} NAME(sddmm_job);

/* Products of up to LANES synapses, reduced together. */
static inline __attribute__((always_inline)) void NAME(sddmm_run)(const T *xt, const vec d[4], const I *restrict indices,
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

static inline __attribute__((always_inline)) void NAME(sddmm_rows)(const NAME(sddmm_job) *job, size_t begin,
                                                                   size_t end, const int nv) {
    const I *restrict indices = job->w->indices;
    const size_t n_rows = job->w->n_rows, width = (size_t)nv * LANES;
    for (size_t c = 0; c < job->n_blocks; c++) {
        const size_t *cut = job->cut + c * n_rows, *stop = cut + n_rows;
        for (size_t i = begin; i < end; i++) {
            vec d[4];
            for (int v = 0; v < nv; v++) d[v] = ((const vec *)(job->dyt + i * width))[v];
            for (size_t k = cut[i]; k < stop[i]; k += LANES) {
                const size_t n = stop[i] - k < LANES ? stop[i] - k : LANES;
                NAME(sddmm_run)(job->xt, d, indices + k, job->g + k, n, job->first, nv);
            }
        }
    }
}

static void NAME(sddmm_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(sddmm_job) *job = context;
    (void)worker;
    switch (job->nv) {
        case 1: NAME(sddmm_rows)(job, begin, end, 1); break;
        case 2: NAME(sddmm_rows)(job, begin, end, 2); break;
        default: NAME(sddmm_rows)(job, begin, end, 4); break;
    }
}

static bio_status NAME(weight_grad)(const bio_csr *w, const void *x, const void *dy, void *g, size_t batch,
                                    int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    const size_t block = bio_block_columns(w, width, SIZE), n_blocks = (w->n_cols + block - 1) / block;
    if (batch == 0) memset(g, 0, w->nnz * SIZE);
    n_threads = bio_worth_threads(w, batch, n_threads);
    T *xt = bio_alloc(w->n_cols * width * SIZE), *dyt = bio_alloc(w->n_rows * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = xt && dyt && cut ? BIO_OK : BIO_NO_MEMORY;
    for (size_t b = 0; status == BIO_OK && b < batch; b += width) {
        const size_t samples = batch - b < width ? batch - b : width;
        NAME(pack_job) pack_x = {(const T *)x + b * w->n_cols, xt, w->n_cols, samples, width};
        NAME(pack_job) pack_dy = {(const T *)dy + b * w->n_rows, dyt, w->n_rows, samples, width};
        bio_parallel(NAME(pack_task), &pack_x, w->n_cols, 512, n_threads);
        bio_parallel(NAME(pack_task), &pack_dy, w->n_rows, 512, n_threads);
        NAME(sddmm_job) job = {w, xt, dyt, g, cut, n_blocks, nv, b == 0};
        bio_parallel(NAME(sddmm_task), &job, w->n_rows, BIO_ROW_GRAIN, n_threads);
    }
    free(cut);
    bio_free(dyt);
    bio_free(xt);
    return status;
}
