#include "tile.tmpl.h"

#include "reduce.tmpl.h"

/* One link of a chain, as the vector kernels compute it. Said explicitly, because a compiler that vectorises an ordered
 * sum multiplies first and rounds twice. */
#if !FUSED
#define CHAIN(sum, a, b) ((sum) + (a) * (b))
#elif SIZE == 4
#define CHAIN(sum, a, b) __builtin_fmaf(a, b, sum)
#else
#define CHAIN(sum, a, b) __builtin_fma(a, b, sum)
#endif

/* ---- columns: in 16 bits where there are such, `narrow`, a constant --------------------------------------------- */

static inline __attribute__((always_inline)) size_t NAME(column)(const void *columns, size_t k, const int narrow) {
    return narrow ? ((const uint16_t *)columns)[k] : (size_t)((const I *)columns)[k];
}

/* Those of synapses k to k + 3, narrow ones by one load: loads are what a synapse costs most of. */
static inline __attribute__((always_inline)) void NAME(columns)(const void *columns, size_t k, const int narrow,
                                                                size_t column[AT_ONCE]) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (narrow) {
        uint64_t four;
        memcpy(&four, (const uint16_t *)columns + k, sizeof four);
        _Pragma("GCC unroll 4") for (size_t s = 0; s < AT_ONCE; s++) column[s] = (uint16_t)(four >> (16 * s));
        return;
    }
#endif
    _Pragma("GCC unroll 4") for (size_t s = 0; s < AT_ONCE; s++) column[s] = NAME(column)(columns, k + s, narrow);
}

/* ---- samples side by side --------------------------------------------------------------------------------------- */

typedef T NAME(quad) __attribute__((vector_size(4 * SIZE), aligned(SIZE), may_alias));

static inline __attribute__((always_inline)) void NAME(transpose_quads)(NAME(quad) v[4]) {
    const NAME(quad) a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
    const NAME(quad) b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
    const NAME(quad) c = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    const NAME(quad) d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    v[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
    v[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    v[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
    v[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

/* to (n, width) = from (batch, n) transposed, and zeros; width is a multiple of 4. */
static void NAME(pack_samples)(const void *from, size_t n, size_t batch, size_t width, void *to) {
    const T *restrict slab = from;
    T *restrict tile = to;
    if (width % LANES == 0) {
        NAME(pack)(slab, n, batch, 0, n, width, tile);
        return;
    }
    for (size_t s0 = 0; s0 < width; s0 += 4) {
        const size_t left = batch > s0 ? batch - s0 : 0, here = left < 4 ? left : 4;
        const T *sample = slab + s0 * n;
        size_t j = 0;
        for (; j + 4 <= n; j += 4) {
            NAME(quad) v[4] = {0};
            for (size_t s = 0; s < here; s++) v[s] = *(const NAME(quad) *)(sample + s * n + j);
            NAME(transpose_quads)(v);
            for (size_t l = 0; l < 4; l++) *(NAME(quad) *)(tile + (j + l) * width + s0) = v[l];
        }
        for (; j < n; j++)
            for (size_t s = 0; s < 4; s++) tile[j * width + s0 + s] = s < here ? sample[s * n + j] : 0;
    }
}

/* to (batch, n) = from (n, width) transposed, without what lies beyond the batch. */
static void NAME(unpack_samples)(const void *from, size_t n, size_t batch, size_t width, void *to) {
    const T *restrict tile = from;
    T *restrict slab = to;
    if (width % LANES == 0) {
        NAME(unpack)(tile, n, batch, 0, n, width, slab);
        return;
    }
    for (size_t s0 = 0; s0 < batch; s0 += 4) {
        const size_t here = batch - s0 < 4 ? batch - s0 : 4;
        T *sample = slab + s0 * n;
        size_t j = 0;
        for (; j + 4 <= n; j += 4) {
            NAME(quad) v[4];
            for (size_t l = 0; l < 4; l++) v[l] = *(const NAME(quad) *)(tile + (j + l) * width + s0);
            NAME(transpose_quads)(v);
            for (size_t s = 0; s < here; s++) *(NAME(quad) *)(sample + s * n + j) = v[s];
        }
        for (; j < n; j++)
            for (size_t s = 0; s < here; s++) sample[s * n + j] = tile[j * width + s0 + s];
    }
}

/* ---- forward and input_grad, for each width --------------------------------------------------------------------- */

/* First place in [start, stop) whose column is >= `column`; stop if there is none. Looks around the guess, ever
 * farther: what lies close together is in the cache together. */
static inline size_t NAME(find)(const I *indices, size_t start, size_t stop, size_t guess, size_t column) {
    size_t low = start, high = stop;
    if (guess < stop && (size_t)indices[guess] < column) {
        low = guess + 1;
        for (size_t reach = NEAR; low < stop; reach *= 2) {
            const size_t at = stop - low > reach ? low + reach : stop - 1;
            if ((size_t)indices[at] >= column) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        high = guess;
        for (size_t reach = NEAR; high > start; reach *= 2) {
            const size_t at = high - start > reach ? high - reach : start;
            if ((size_t)indices[at] < column) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((size_t)indices[middle] < column) low = middle + 1;
        else high = middle;
    }
    return low;
}

#define WIDTH 1
#include "few_width.tmpl.h"
#define WIDTH 4
#include "few_width.tmpl.h"
#define WIDTH 8
#include "few_width.tmpl.h"
#define WIDTH 16
#include "few_width.tmpl.h"

#define EACH_WIDTH(f, ...)                       \
    switch (job->width) {                        \
        case 1: NAME(f##_1)(__VA_ARGS__); break; \
        case 4: NAME(f##_4)(__VA_ARGS__); break; \
        case 8: NAME(f##_8)(__VA_ARGS__); break; \
        default: NAME(f##_16)(__VA_ARGS__);      \
    }

static void NAME(few_forward)(void *context, size_t begin, size_t end, size_t worker) {
    const few_job *job = context;
    (void)worker;
    if (job->w->narrow) EACH_WIDTH(forward_rows, job, begin, end, 1)
    else EACH_WIDTH(forward_rows, job, begin, end, 0)
}

/* Each unit scatters into a range of columns of its own. */
static void NAME(few_input_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const few_job *job = context;
    (void)worker;
    for (size_t unit = begin; unit < end; unit++) {
        if (job->w->narrow) EACH_WIDTH(input_grad_range, job, unit, 1)
        else EACH_WIDTH(input_grad_range, job, unit, 0)
    }
}
#undef EACH_WIDTH
#undef CHAIN

/* ---- weight_grad ------------------------------------------------------------------------------------------------ */

static void NAME(single_weight_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const few_job *job = context;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const T *restrict x = job->x, *restrict dy = job->dy;
    T *restrict g = job->out;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) g[k] = dy[i] * x[indices[k]];
}

/* Tiles of samples, one after another, of `width` samples in all, a multiple of LANES. */
static void NAME(pack_tiles)(const void *from, size_t n, size_t batch, size_t width, void *to) {
    const size_t full = BIO_TILE_VECTORS * LANES;
    for (size_t s = 0; s < width; s += full) {
        const size_t tile = width - s < full ? width - s : full, samples = batch - s < full ? batch - s : full;
        NAME(pack)((const T *)from + s * n, n, samples, 0, n, tile, (T *)to + s * n);
    }
}

/* The sampled products of a row with the tile x, whose row is `fixed`. */
static inline
    __attribute__((always_inline)) void NAME(weight_grad_row)(const T *x, const vec *fixed, const void *columns, T *g,
                                                              size_t n, const int nv, const int narrow,
                                                              const int first) {
    for (size_t k = 0; k < n; k += BIO_GROUP) {
        size_t column[BIO_GROUP];
        const size_t left = n - k;
        if (left >= BIO_GROUP) NAME(columns)(columns, k, narrow, column);
        else /* what is too many has no place in g */
            for (size_t s = 0; s < BIO_GROUP; s++)
                column[s] = NAME(column)(columns, k + (s < left ? s : left - 1), narrow);
        vec dots[BIO_GROUP];
        _Pragma("GCC unroll 4") for (size_t s = 0; s < BIO_GROUP; s++) {
            const vec *in = (const vec *)(x + column[s] * (size_t)nv * LANES);
            dots[s] = fixed[0] * in[0];
            for (int v = 1; v < nv; v++) dots[s] += fixed[v] * in[v];
        }
        NAME(group) total = NAME(reduce)(dots);
        if (!first && left >= BIO_GROUP) total += *(const NAME(group) *)(g + k);
        if (left >= BIO_GROUP) *(NAME(group) *)(g + k) = total;
        else
            for (size_t s = 0; s < left; s++) g[k + s] = first ? total[s] : g[k + s] + total[s];
    }
}

static inline
    __attribute__((always_inline)) void NAME(weight_grad_rows)(const few_job *job, size_t begin, size_t end,
                                                               size_t sample, const int nv, const int narrow) {
    const bio_csr *w = job->w;
    const I *restrict indptr = w->indptr;
    const T *x = (const T *)job->x + sample * w->n_cols, *dy = (const T *)job->dy + sample * w->n_rows;
    for (size_t i = begin; i < end; i++) {
        const size_t start = (size_t)indptr[i], n = (size_t)indptr[i + 1] - start;
        const vec *row = (const vec *)(dy + i * (size_t)nv * LANES);
        const void *columns = narrow ? (const void *)(w->narrow + start) : (const I *)w->indices + start;
        vec fixed[BIO_TILE_VECTORS];
        for (int v = 0; v < nv; v++) fixed[v] = row[v];
        if (sample == 0) NAME(weight_grad_row)(x, fixed, columns, (T *)job->out + start, n, nv, narrow, 1);
        else NAME(weight_grad_row)(x, fixed, columns, (T *)job->out + start, n, nv, narrow, 0);
    }
}

static void NAME(few_weight_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const few_job *job = context;
    (void)worker;
#define ROWS_OF(nv)                                                                 \
    case nv:                                                                        \
        if (job->w->narrow) NAME(weight_grad_rows)(job, begin, end, sample, nv, 1); \
        else NAME(weight_grad_rows)(job, begin, end, sample, nv, 0);                \
        break
    for (size_t sample = 0; sample < job->batch; sample += BIO_TILE_VECTORS * LANES)
        switch (bio_tile_vectors(job->batch - sample, LANES)) {
            ROWS_OF(1);
            ROWS_OF(2);
            ROWS_OF(3);
            ROWS_OF(4);
        }
#undef ROWS_OF
}
