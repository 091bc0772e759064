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

/* ---- forward: a unit of work is one tile of samples x one chunk of rows ---- */

typedef struct {
    const bio_csr *w;
    const T *x, *bias;
    T *y;
    T **scratch;    /* of each worker: its tile of x, then its chunk of y */
    size_t *packed; /* of each worker: the tile in its scratch, plus one */
    const size_t *cut;
    size_t n_blocks, n_chunks, nv, batch;
} NAME(forward_job);

static inline __attribute__((always_inline)) void NAME(forward_rows)(const NAME(forward_job) *job, const T *xt, T *yt,
                                                                     size_t begin, size_t end, const int nv) {
    const I *restrict indices = job->w->indices;
    const T *restrict data = job->w->data;
    const size_t n_rows = job->w->n_rows, width = (size_t)nv * LANES;
    for (size_t c = 0; c < job->n_blocks; c++) {
        const size_t *cut = job->cut + c * n_rows, *stop = cut + n_rows;
        for (size_t i = begin; i < end; i++) {
            vec *y = (vec *)(yt + (i - begin) * width);
            vec acc[4];
            for (int v = 0; v < nv; v++) acc[v] = c ? y[v] : (vec){0};
            for (size_t k = cut[i]; k < stop[i]; k++) {
                const vec *x = (const vec *)(xt + (size_t)indices[k] * width);
                const vec weight = (vec){0} + data[k];
                for (int v = 0; v < nv; v++) acc[v] += weight * x[v];
            }
            for (int v = 0; v < nv; v++) y[v] = acc[v];
        }
    }
    if (job->bias)
        for (size_t i = begin; i < end; i++)
            for (int v = 0; v < nv; v++) ((vec *)(yt + (i - begin) * width))[v] += job->bias[i];
}

static void NAME(forward_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(forward_job) *job = context;
    const bio_csr *w = job->w;
    const size_t width = job->nv * LANES;
    T *xt = job->scratch[worker], *yt = xt + w->n_cols * width;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t tile = unit / job->n_chunks, chunk = unit % job->n_chunks, sample = tile * width;
        const size_t samples = job->batch - sample < width ? job->batch - sample : width;
        const size_t first = chunk * BIO_CHUNK_ROWS;
        const size_t last = first + BIO_CHUNK_ROWS < w->n_rows ? first + BIO_CHUNK_ROWS : w->n_rows;
        if (job->packed[worker] != tile + 1) {
            NAME(pack)(job->x + sample * w->n_cols, w->n_cols, samples, 0, w->n_cols, width, xt);
            job->packed[worker] = tile + 1;
        }
        switch (job->nv) {
            case 1: NAME(forward_rows)(job, xt, yt, first, last, 1); break;
            case 2: NAME(forward_rows)(job, xt, yt, first, last, 2); break;
            default: NAME(forward_rows)(job, xt, yt, first, last, 4); break;
        }
        NAME(unpack)(yt, w->n_rows, samples, first, last, width, job->y + sample * w->n_rows);
    }
}

static bio_status NAME(forward)(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch,
                                int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    const size_t block = bio_block_columns(w, width, SIZE), n_blocks = (w->n_cols + block - 1) / block;
    const size_t n_tiles = (batch + width - 1) / width, n_chunks = (w->n_rows + BIO_CHUNK_ROWS - 1) / BIO_CHUNK_ROWS;
    const size_t rows = w->n_rows < BIO_CHUNK_ROWS ? w->n_rows : BIO_CHUNK_ROWS;
    n_threads = bio_worth_threads(w, batch, n_threads);
    const size_t n_workers = bio_workers(n_tiles * n_chunks, 1, n_threads);
    size_t *packed = calloc(n_workers, sizeof *packed);
    T **scratch = (T **)bio_scratch_new(n_workers, (w->n_cols + rows) * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = packed && scratch && cut ? BIO_OK : BIO_NO_MEMORY;
    if (status == BIO_OK) {
        NAME(forward_job) job = {w, x, bias, y, scratch, packed, cut, n_blocks, n_chunks, nv, batch};
        bio_parallel(NAME(forward_task), &job, n_tiles * n_chunks, 1, n_threads);
    }
    free(cut);
    bio_scratch_free((void **)scratch, n_workers);
    free(packed);
    return status;
}

/* ---- input gradient: a unit is one tile of samples x one block of columns, which stays in cache while it is
 * scattered into ---- */

typedef struct {
    const bio_csr *w;
    const T *dy;
    T *dx;
    T **scratch;    /* of each worker: its tile of dy, then its block of dx */
    size_t *packed; /* of each worker: the tile in its scratch, plus one */
    const size_t *cut;
    size_t block, n_blocks, nv, batch;
} NAME(scatter_job);

static inline __attribute__((always_inline)) void NAME(scatter_block)(const NAME(scatter_job) *job, const T *dyt,
                                                                      T *dxt, size_t c, size_t first, const int nv) {
    const bio_csr *w = job->w;
    const I *restrict indices = w->indices;
    const T *restrict data = w->data;
    const size_t width = (size_t)nv * LANES;
    const size_t *cut = job->cut + c * w->n_rows, *stop = cut + w->n_rows;
    for (size_t i = 0; i < w->n_rows; i++) {
        const vec *dy = (const vec *)(dyt + i * width);
        vec d[4];
        for (int v = 0; v < nv; v++) d[v] = dy[v];
        for (size_t k = cut[i]; k < stop[i]; k++) {
            vec *dx = (vec *)(dxt + ((size_t)indices[k] - first) * width);
            const vec weight = (vec){0} + data[k];
            for (int v = 0; v < nv; v++) dx[v] += weight * d[v];
        }
    }
}

static void NAME(scatter_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(scatter_job) *job = context;
    const bio_csr *w = job->w;
    const size_t width = job->nv * LANES;
    T *dyt = job->scratch[worker], *dxt = dyt + w->n_rows * width;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t tile = unit / job->n_blocks, c = unit % job->n_blocks, sample = tile * width;
        const size_t samples = job->batch - sample < width ? job->batch - sample : width;
        const size_t first = c * job->block;
        const size_t last = first + job->block < w->n_cols ? first + job->block : w->n_cols;
        if (job->packed[worker] != tile + 1) {
            NAME(pack)(job->dy + sample * w->n_rows, w->n_rows, samples, 0, w->n_rows, width, dyt);
            job->packed[worker] = tile + 1;
        }
        memset(dxt, 0, (last - first) * width * SIZE);
        switch (job->nv) {
            case 1: NAME(scatter_block)(job, dyt, dxt, c, first, 1); break;
            case 2: NAME(scatter_block)(job, dyt, dxt, c, first, 2); break;
            default: NAME(scatter_block)(job, dyt, dxt, c, first, 4); break;
        }
        NAME(unpack)(dxt, w->n_cols, samples, first, last, width, job->dx + sample * w->n_cols);
    }
}

static bio_status NAME(input_grad)(const bio_csr *w, const void *dy, void *dx, size_t batch, int n_threads) {
    const size_t nv = bio_tile_vectors(batch, LANES), width = nv * LANES;
    n_threads = bio_worth_threads(w, batch, n_threads);
    const size_t n_tiles = (batch + width - 1) / width;
    size_t block = bio_block_columns(w, width, SIZE);
    /* few tiles: cut the columns further, so that every thread has blocks of its own */
    const size_t wanted = n_tiles < (size_t)n_threads ? 4 * (size_t)n_threads : 1;
    if (block > bio_round_up(w->n_cols, wanted) / wanted) block = bio_round_up(w->n_cols, wanted) / wanted;
    const size_t n_blocks = (w->n_cols + block - 1) / block;
    const size_t n_workers = bio_workers(n_tiles * n_blocks, 1, n_threads);
    size_t *packed = calloc(n_workers, sizeof *packed);
    T **scratch = (T **)bio_scratch_new(n_workers, (w->n_rows + block) * width * SIZE);
    size_t *cut = NAME(make_cuts)(w, block, n_blocks, n_threads);
    bio_status status = packed && scratch && cut ? BIO_OK : BIO_NO_MEMORY;
    if (status == BIO_OK) {
        NAME(scatter_job) job = {w, dy, dx, scratch, packed, cut, block, n_blocks, nv, batch};
        bio_parallel(NAME(scatter_task), &job, n_tiles * n_blocks, 1, n_threads);
    }
    free(cut);
    bio_scratch_free((void **)scratch, n_workers);
    free(packed);
    return status;
}
