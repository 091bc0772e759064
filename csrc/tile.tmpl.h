/* Tiles of samples: a batch-major slab (samples, features) seen feature-major, so that one feature of all the samples
 * of a tile is nv contiguous vectors. Shared by the products with a CSR matrix (spmm, sddmm). */
#include "shuffle.tmpl.h"

/* In-register transpose of a LANES x LANES square. */
static inline __attribute__((always_inline)) void NAME(transpose)(vec v[LANES]) {
#define EXCHANGE(h)                                                 \
    _Pragma("GCC unroll 16") for (int i = 0; i < (int)LANES; i++) { \
        if (i & h) continue;                                        \
        vec a = v[i], b = v[i + h];                                 \
        v[i] = LO##h(a, b);                                         \
        v[i + h] = HI##h(a, b);                                     \
    }
#if LANES >= 16
    EXCHANGE(8)
#endif
#if LANES >= 8
    EXCHANGE(4)
#endif
#if LANES >= 4
    EXCHANGE(2)
#endif
    EXCHANGE(1)
#undef EXCHANGE
}

/* Lane l of the result is the sum over the lanes of v[l]; v is spent. */
static inline __attribute__((always_inline)) vec NAME(reduce)(vec v[LANES]) {
#define FOLD(h) \
    _Pragma("GCC unroll 8") for (int i = 0; i < h; i++) v[i] = LO##h(v[i], v[i + h]) + HI##h(v[i], v[i + h]);
#if LANES >= 16
    FOLD(8)
#endif
#if LANES >= 8
    FOLD(4)
#endif
#if LANES >= 4
    FOLD(2)
#endif
    FOLD(1)
#undef FOLD
    return v[0];
}

/* tile[j - begin][s] = slab[s][j] for j in [begin, end), s < samples; 0 for samples <= s < width.
 * slab rows are `stride` apart; width is a multiple of LANES. */
static void NAME(pack)(const T *restrict slab, size_t stride, size_t samples, size_t begin, size_t end, size_t width,
                       T *restrict tile) {
    for (size_t s0 = 0; s0 < width; s0 += LANES) {
        size_t here = samples > s0 ? samples - s0 : 0;
        if (here > LANES) here = LANES;
        const T *from = slab + s0 * stride;
        size_t j = begin;
        for (; j + LANES <= end; j += LANES) {
            vec v[LANES];
            for (size_t s = 0; s < LANES; s++) v[s] = s < here ? *(const vec *)(from + s * stride + j) : (vec){0};
            NAME(transpose)(v);
            for (size_t l = 0; l < LANES; l++) *(vec *)(tile + (j - begin + l) * width + s0) = v[l];
        }
        for (; j < end; j++)
            for (size_t s = 0; s < LANES; s++) tile[(j - begin) * width + s0 + s] = s < here ? from[s * stride + j] : 0;
    }
}

/* Cuts of the rows at the borders of the column blocks: synapses of row i in block c are cut[c][i] .. cut[c + 1][i]. */
typedef struct {
    const I *indptr, *indices;
    size_t *cut;
    size_t n_rows, n_blocks, block;
} NAME(cut_job);

static void NAME(cut_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(cut_job) *job = context;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        size_t k = (size_t)job->indptr[i], stop = (size_t)job->indptr[i + 1];
        for (size_t c = 0; c < job->n_blocks; c++) {
            job->cut[c * job->n_rows + i] = k;
            if (c + 1 == job->n_blocks) break;
            size_t border = (c + 1) * job->block;
            while (k < stop && (size_t)job->indices[k] < border) k++;
        }
        job->cut[job->n_blocks * job->n_rows + i] = stop;
    }
}

/* The cuts of w, to be freed by the caller; NULL without memory. */
static size_t *NAME(make_cuts)(const bio_csr *w, size_t block, size_t n_blocks, int n_threads) {
    size_t *cut = malloc((n_blocks + 1) * w->n_rows * sizeof *cut);
    if (!cut) return NULL;
    NAME(cut_job) job = {w->indptr, w->indices, cut, w->n_rows, n_blocks, block};
    bio_parallel(NAME(cut_task), &job, w->n_rows, 256, n_threads);
    return cut;
}
