#include "tile.tmpl.h"

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

/* ---- forward ---- */

typedef struct {
    const bio_csr *w;
    const T *xt, *bias; /* xt: tile of x */
    T *yt, *y;          /* yt: tile of y; y: first sample of the tile in the output */
    const size_t *cut;
    size_t n_blocks, nv, samples;
} NAME(forward_job);

static inline __attribute__((always_inline)) void NAME(forward_rows)(const NAME(forward_job) *job, size_t begin,
                                                                     size_t end, const int nv) {
    const I *restrict indices = job->w->indices;
    const T *restrict data = job->w->data;
    const size_t n_rows = job->w->n_rows, width = (size_t)nv * LANES;
    for (size_t c = 0; c < job->n_blocks; c++) {
        const size_t *cut = job->cut + c * n_rows, *stop = cut + n_rows;
        for (size_t i = begin; i < end; i++) {
            vec *yt = (vec *)(job->yt + i * width);
            vec acc[4];
            for (int v = 0; v < nv; v++) acc[v] = c ? yt[v] : (vec){0};
            for (size_t k = cut[i]; k < stop[i]; k++) {
                const vec *x = (const vec *)(job->xt + (size_t)indices[k] * width);
                const vec weight = (vec){0} + data[k];
                for (int v = 0; v < nv; v++) acc[v] += weight * x[v];
            }
            for (int v = 0; v < nv; v++) yt[v] = acc[v];
        }
    }
    if (job->bias)
        for (size_t i = begin; i < end; i++)
            for (int v = 0; v < nv; v++) ((vec *)(job->yt + i * width))[v] += job->bias[i];
    NAME(unpack)(job->yt + begin * width, n_rows, job->samples, begin, end, width, job->y);
}

static void NAME(forward_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(forward_job) *job = context;
    (void)worker;
    switch (job->nv) {
        case 1: NAME(forward_rows)(job, begin, end, 1); break;
        case 2: NAME(forward_rows)(job, begin, end, 2); break;
        default: NAME(forward_rows)(job, begin, end, 4); break;
    }
}

static bio_status NAME(forward)(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch,
                                int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    const size_t block = bio_block_columns(w, width, SIZE), n_blocks = (w->n_cols + block - 1) / block;
    n_threads = bio_worth_threads(w, batch, n_threads);
    T *xt = bio_alloc(w->n_cols * width * SIZE), *yt = bio_alloc(w->n_rows * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = xt && yt && cut ? BIO_OK : BIO_NO_MEMORY;
    for (size_t b = 0; status == BIO_OK && b < batch; b += width) {
        const size_t samples = batch - b < width ? batch - b : width;
        NAME(pack_job) pack = {(const T *)x + b * w->n_cols, xt, w->n_cols, samples, width};
        bio_parallel(NAME(pack_task), &pack, w->n_cols, 512, n_threads);
        NAME(forward_job) job = {w, xt, bias, yt, (T *)y + b * w->n_rows, cut, n_blocks, nv, samples};
        bio_parallel(NAME(forward_task), &job, w->n_rows, BIO_ROW_GRAIN, n_threads);
    }
    free(cut);
    bio_free(yt);
    bio_free(xt);
    return status;
}

/* ---- input gradient: each worker owns blocks of columns and scatters into a tile that stays in its cache ---- */

typedef struct {
    const bio_csr *w;
    const T *dyt; /* tile of dy */
    T *dxt, *dx;  /* dxt: tile of dx; dx: first sample of the tile in the output */
    const size_t *cut;
    size_t block, nv, samples;
} NAME(scatter_job);

static inline __attribute__((always_inline)) void NAME(scatter_block)(const NAME(scatter_job) *job, size_t c,
                                                                      const int nv) {
    const bio_csr *w = job->w;
    const I *restrict indices = w->indices;
    const T *restrict data = w->data;
    const size_t width = (size_t)nv * LANES, first = c * job->block;
    const size_t last = first + job->block < w->n_cols ? first + job->block : w->n_cols;
    const size_t *cut = job->cut + c * w->n_rows, *stop = cut + w->n_rows;
    memset(job->dxt + first * width, 0, (last - first) * width * SIZE);
    for (size_t i = 0; i < w->n_rows; i++) {
        const vec *dy = (const vec *)(job->dyt + i * width);
        vec d[4];
        for (int v = 0; v < nv; v++) d[v] = dy[v];
        for (size_t k = cut[i]; k < stop[i]; k++) {
            vec *dx = (vec *)(job->dxt + (size_t)indices[k] * width);
            const vec weight = (vec){0} + data[k];
            for (int v = 0; v < nv; v++) dx[v] += weight * d[v];
        }
    }
    NAME(unpack)(job->dxt + first * width, w->n_cols, job->samples, first, last, width, job->dx);
}

static void NAME(scatter_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(scatter_job) *job = context;
    (void)worker;
    for (size_t c = begin; c < end; c++) {
        switch (job->nv) {
            case 1: NAME(scatter_block)(job, c, 1); break;
            case 2: NAME(scatter_block)(job, c, 2); break;
            default: NAME(scatter_block)(job, c, 4); break;
        }
    }
}

static bio_status NAME(input_grad)(const bio_csr *w, const void *dy, void *dx, size_t batch, int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    size_t block = bio_block_columns(w, width, SIZE);
    /* at least eight blocks where there are columns enough: they are the units of the threads */
    if (block > bio_round_up(w->n_cols, 8 * LANES) / 8) block = bio_round_up(w->n_cols, 8 * LANES) / 8;
    if (block == 0) return BIO_OK;
    const size_t n_blocks = (w->n_cols + block - 1) / block;
    n_threads = bio_worth_threads(w, batch, n_threads);
    T *dyt = bio_alloc(w->n_rows * width * SIZE), *dxt = bio_alloc(w->n_cols * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = dyt && dxt && cut ? BIO_OK : BIO_NO_MEMORY;
    for (size_t b = 0; status == BIO_OK && b < batch; b += width) {
        const size_t samples = batch - b < width ? batch - b : width;
        NAME(pack_job) pack = {(const T *)dy + b * w->n_rows, dyt, w->n_rows, samples, width};
        bio_parallel(NAME(pack_task), &pack, w->n_rows, 512, n_threads);
        NAME(scatter_job) job = {w, dyt, dxt, (T *)dx + b * w->n_cols, cut, block, nv, samples};
        bio_parallel(NAME(scatter_task), &job, n_blocks, 1, n_threads);
    }
    free(cut);
    bio_free(dxt);
    bio_free(dyt);
    return status;
}
