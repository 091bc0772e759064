#include "softmax.tmpl.h"
#include "retina.tmpl.h"

/* Drives are computed for a block of positions x a block of columns at a time, all sums of which stay in registers. */
#undef POSITIONS
#undef VECTORS
#define POSITIONS 6
#define VECTORS (BYTES == 64 ? 4 : 2)

typedef struct {
    NAME(retina_job) retina;
    const bio_map *map;
    T *pooled;
    T *weights;              /* (2 half, columns): transposed, and padded with columns of 0 */
    size_t columns, scratch; /* columns rounded up to whole vectors; values of scratch a worker */
    T *memory;
} NAME(map_job);

/* drive[x][i] = sum_k u[x][k] weights[k][i], each one chain of multiply-adds, for `n` positions (a constant). */
static inline
    __attribute__((always_inline)) void NAME(drive_block)(const T *restrict u, size_t n_pre, const T *restrict weights,
                                                          size_t columns, T *restrict drive, const size_t n,
                                                          const size_t vectors) {
    vec acc[POSITIONS][VECTORS];
    for (size_t x = 0; x < n; x++)
        for (size_t v = 0; v < vectors; v++) acc[x][v] = (vec){0};
    for (size_t k = 0; k < n_pre; k++) {
        vec w[VECTORS];
        for (size_t v = 0; v < vectors; v++) w[v] = ((const vec *)(weights + k * columns))[v];
        for (size_t x = 0; x < n; x++) {
            const vec rate = u[x * n_pre + k] - (vec){0};
            for (size_t v = 0; v < vectors; v++) acc[x][v] += rate * w[v];
        }
    }
    for (size_t x = 0; x < n; x++)
        for (size_t v = 0; v < vectors; v++) ((vec *)(drive + x * columns))[v] = acc[x][v];
}

static void NAME(drives)(const NAME(map_job) *job, const T *u, size_t n, T *drive) {
    const size_t n_pre = 2 * job->retina.half, columns = job->columns;
    for (size_t i = 0; i < columns;) {
        const size_t vectors = columns - i >= VECTORS * LANES ? VECTORS : 1;
        size_t x = 0;
        if (vectors == VECTORS)
            for (; x + POSITIONS <= n; x += POSITIONS)
                NAME(drive_block)(u + x * n_pre, n_pre, job->weights + i, columns, drive + x * columns + i, POSITIONS,
                                  VECTORS);
        for (; x < n; x++)
            if (vectors == VECTORS)
                NAME(drive_block)(u + x * n_pre, n_pre, job->weights + i, columns, drive + x * columns + i, 1, VECTORS);
            else NAME(drive_block)(u + x * n_pre, n_pre, job->weights + i, columns, drive + x * columns + i, 1, 1);
        i += vectors * LANES;
    }
}

/* to (n) += factor x from (n); both have room for whole vectors */
static inline void NAME(add_scaled)(T *to, const T *from, size_t n, T factor) {
    for (size_t k = 0; k < n; k += LANES) *(vec *)(to + k) += factor * *(const vec *)(from + k);
}

static void NAME(map_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(map_job) *job = context;
    const bio_map *map = job->map;
    const bio_retina *a = job->retina.retina;
    const NAME(retina_scratch) s = NAME(retina_start)(&job->retina, worker);
    const size_t half = job->retina.half, columns = job->columns, windows = map->grid_rows * map->grid_cols;
    const T g0_power = NAME(gate_power)(a, NAME(fit)(a->g0));
    const T beta = NAME(fit)(map->beta), *pool_rows = map->pool_rows, *pool_cols = map->pool_cols;
    T *sum = job->memory + worker * job->scratch, *line = sum + windows * columns;
    T *drive = line + map->grid_cols * columns, *u = drive + a->width * columns, *gate = u + 2 * half * a->width;
    for (size_t image = begin; image < end; image++) {
        memset(sum, 0, windows * columns * SIZE);
        for (size_t y = 0; y < a->height; y++) {
            NAME(load_strip)(&job->retina, &s, image, y);
            for (size_t x = 0; x < a->width; x++) {
                const T norm = NAME(load_patch)(&job->retina, &s, x);
                T *on = u + 2 * half * x;
                NAME(rectify)(s.d, half, 1 / (norm + NAME(fit)(a->c0)), on, on + half);
                gate[x] = NAME(gate_of)(a, norm, g0_power);
            }
            NAME(drives)(job, u, a->width, drive);
            memset(line, 0, map->grid_cols * columns * SIZE);
            for (size_t x = 0; x < a->width; x++) {
                T *rate = drive + x * columns;
                const T share = gate[x] * NAME(shares)(rate, NULL, beta, map->n_columns, map->k, rate);
                for (size_t c = 0; c < map->grid_cols; c++) {
                    const T seen = pool_cols[c * a->width + x];
                    if (seen != 0) NAME(add_scaled)(line + c * columns, rate, columns, share * seen);
                }
            }
            for (size_t g = 0; g < map->grid_rows; g++) {
                const T seen = pool_rows[g * a->height + y];
                T *to = sum + g * map->grid_cols * columns;
                if (seen != 0) NAME(add_scaled)(to, line, map->grid_cols * columns, seen);
            }
        }
        for (size_t w = 0; w < windows; w++)
            memcpy(job->pooled + (image * windows + w) * map->n_columns, sum + w * columns, map->n_columns * SIZE);
    }
}

static bio_status NAME(map)(const bio_retina *a, const bio_map *map, const void *r, void *pooled, int n_threads) {
    NAME(map_job) job = {.retina = NAME(retina_plan)(a, r, 0), .map = map, .pooled = pooled};
    const size_t n_pre = 2 * job.retina.half;
    job.columns = bio_round_up(map->n_columns, LANES);
    const size_t values = (a->width + map->grid_cols + map->grid_rows * map->grid_cols) * job.columns;
    /* mostly drives, of which vectors compute several at once */
    const double position = (double)n_pre * (double)job.columns / LANES;
    const bio_share share = bio_share_out(a->batch, (double)(a->height * a->width) * position, n_threads);
    job.scratch = bio_round_up(values + (n_pre + 1) * a->width, BIO_ALIGN / SIZE);
    job.retina.memory = bio_alloc(share.workers * job.retina.scratch * SIZE);
    job.weights = bio_alloc(n_pre * job.columns * SIZE);
    job.memory = bio_alloc(share.workers * job.scratch * SIZE);
    const bio_status status = job.retina.memory && job.weights && job.memory ? BIO_OK : BIO_NO_MEMORY;
    if (status == BIO_OK) {
        memset(job.memory, 0, share.workers * job.scratch * SIZE); /* columns beyond n_columns stay 0 */
        for (size_t k = 0; k < n_pre; k++)
            for (size_t i = 0; i < job.columns; i++)
                job.weights[k * job.columns + i] = i < map->n_columns ? ((const T *)map->weights)[i * n_pre + k] : (T)0;
        bio_parallel(NAME(map_task), &job, share);
    }
    bio_free(job.retina.memory);
    bio_free(job.weights);
    bio_free(job.memory);
    return status;
}
