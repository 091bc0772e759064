#include "tile.tmpl.h"

#include "reduce.tmpl.h"

/* One tile of the layout with one tile of samples. */
typedef struct {
    size_t n_rows;
    const uint16_t *length, *row, *column;
    const T *data;
    const T *in;     /* tile of the block's columns */
    const T *fixed;  /* tile of the chunk's rows */
    T *out;          /* tile of the chunk's rows */
    const T *before; /* products of the tiles of samples before; NULL where this is the first */
    T *g;            /* with this tile, one for each place, padding included */
    int first;       /* block: out starts from 0 */
    const char *ahead;
    size_t stride; /* bytes of the next block's tile to be fetched for each row */
} NAME(step);

/* Samples of a column. The compiler is not to know that the pointer is a sum: it would have each of nv loads add it up
 * anew, which makes two instructions of one. */
static inline __attribute__((always_inline))
const vec *NAME(activity)(const NAME(step) *step, size_t column, const int nv) {
    const vec *in = (const vec *)(step->in + column * nv * LANES);
    __asm__("" : "+r"(in));
    return in;
}

/* A group of n synapses: adds weight x in to acc (where sum), puts the products of fixed and in to g (where dot). What
 * is beyond n is padding: it reads a column like any other, which must not reach a result. */
static inline
    __attribute__((always_inline)) void NAME(run_group)(const NAME(step) *step, const uint16_t *column, const T *data,
                                                        const T *before, T *g, const vec fixed[4], vec acc[4],
                                                        const size_t n, const int nv, const int sum) {
    vec dots[BIO_GROUP];
    _Pragma("GCC unroll 4") for (size_t s = 0; s < BIO_GROUP; s++) {
        const vec *in = NAME(activity)(step, column[s], nv);
        dots[s] = fixed[0] * in[0];
        for (int v = 1; v < nv; v++) dots[s] += fixed[v] * in[v];
        if (sum && s < n) {
            const vec weight = data[s] - (vec){0};
            for (int v = 0; v < nv; v++) acc[v] += weight * in[v];
        }
    }
    NAME(group) total = NAME(reduce)(dots);
    if (before) total += *(const NAME(group) *)before;
    *(NAME(group) *)g = total;
}

static inline __attribute__((always_inline)) void NAME(run_step)(const NAME(step) *step, const int nv, const int sum,
                                                                 const int dot) {
    const size_t width = (size_t)nv * LANES;
    const uint16_t *column = step->column;
    const T *data = step->data;
    const T *before = step->before;
    T *g = step->g;
    for (size_t r = 0; r < step->n_rows; r++) {
        const size_t i = step->row[r], n = step->length[i], places = bio_padded(n);
        vec acc[4], fixed[4];
        vec *out = sum ? (vec *)(step->out + i * width) : NULL;
        if (sum)
            for (int v = 0; v < nv; v++) acc[v] = step->first ? (vec){0} : out[v];
        if (dot)
            for (int v = 0; v < nv; v++) fixed[v] = ((const vec *)(step->fixed + i * width))[v];
        for (size_t b = 0; b < step->stride; b += BIO_ALIGN)
            __builtin_prefetch(step->ahead + r * step->stride + b, 0, 2);
        if (dot) {
            size_t k = 0;
            for (; k + BIO_GROUP <= n; k += BIO_GROUP)
                NAME(run_group)(step, column + k, sum ? data + k : NULL, before ? before + k : NULL, g + k, fixed, acc,
                                BIO_GROUP, nv, sum);
            if (k < n)
                NAME(run_group)(step, column + k, sum ? data + k : NULL, before ? before + k : NULL, g + k, fixed, acc,
                                n - k, nv, sum);
            g += places;
            if (before) before += places;
        } else
            for (size_t k = 0; k < n; k++) {
                const vec *in = NAME(activity)(step, column[k], nv);
                const vec weight = data[k] - (vec){0}; /* x - 0 is x, bit for bit; the compiler knows: x + 0 is not */
                for (int v = 0; v < nv; v++) acc[v] += weight * in[v];
            }
        column += places;
        if (sum) data += places; /* else there may be none */
        if (sum)
            for (int v = 0; v < nv; v++) out[v] = acc[v];
    }
}

#define RUN(nv)                                              \
    case nv:                                                 \
        if (!step->g) NAME(run_step)(step, nv, 1, 0);        \
        else if (!step->out) NAME(run_step)(step, nv, 0, 1); \
        else NAME(run_step)(step, nv, 1, 1);                 \
        break

static void NAME(run)(const NAME(step) *step, size_t nv) {
    switch (nv) {
        RUN(1);
        RUN(2);
        RUN(3);
        RUN(4);
    }
}
#undef RUN

static void NAME(product)(void *context, size_t begin, size_t end, size_t worker) {
    const product_job *job = context;
    const bio_layout *layout = job->layout;
    const size_t full = BIO_TILE_VECTORS * LANES, n_blocks = layout->n_blocks, chunk = layout->chunk;
    size_t *held = (size_t *)(job->scratch + worker * job->scratch_bytes);
    T *in = (T *)((char *)held + BIO_ALIGN), *sums = in + (layout->n_cols + 2 * chunk) * job->width;
    size_t *runs = (size_t *)(sums + bio_round_up(layout->largest + LANES, 2));
    for (size_t unit = begin; unit < end; unit++) {
        const size_t first_tile = unit / job->n_chunk_groups * job->tiles_per_unit;
        const size_t first_chunk = unit % job->n_chunk_groups * job->chunks_per_unit;
        for (size_t tile = first_tile; tile < first_tile + job->tiles_per_unit; tile++) {
            const size_t sample = tile * full, left = job->batch - sample, samples = left < full ? left : full;
            const size_t nv = bio_tile_vectors(samples, LANES), width = nv * LANES;
            const int last = sample + samples == job->batch;
            T *out = in + layout->n_cols * width, *fixed = out + chunk * width;
            if (*held != tile + 1) {
                const T *from = (const T *)job->in + sample * layout->n_cols;
                NAME(pack)(from, layout->n_cols, samples, 0, layout->n_cols, width, in);
                *held = tile + 1;
            }
            for (size_t q = first_chunk; q < first_chunk + job->chunks_per_unit && q < layout->n_chunks; q++) {
                const size_t top = q * chunk, bottom = top + chunk < layout->n_rows ? top + chunk : layout->n_rows;
                if (job->fixed) {
                    const T *from = (const T *)job->fixed + sample * layout->n_rows;
                    NAME(pack)(from, layout->n_rows, samples, top, bottom, width, fixed);
                }
                for (size_t c = 0; c < n_blocks; c++) {
                    const size_t t = q * n_blocks + c, place = layout->start[t];
                    const size_t next = c + 1 < n_blocks ? c + 1 : 0;
                    const NAME(step) step = {
                        .n_rows = bottom - top,
                        .length = layout->length + t * chunk,
                        .row = layout->row + t * chunk,
                        .column = layout->column + place,
                        .data = layout->data ? (const T *)layout->data + place : NULL,
                        .in = in + c * layout->block * width,
                        .fixed = fixed,
                        .out = job->out ? out : NULL,
                        .before = job->g && tile > 0 ? (T *)job->packed + place : NULL,
                        .g = !job->g ? NULL
                             : last  ? sums
                                     : (T *)job->packed + place,
                        .first = c == 0,
                        .ahead = (const char *)(in + next * layout->block * width),
                        .stride = job->fetch ? layout->block * width * SIZE / chunk : 0,
                    };
                    NAME(run)(&step, nv);
                    if (job->g && last) job->deposit(layout, job->w, t, sums, job->g, runs);
                }
                if (job->then && last) job->then(job->context, top, bottom, worker);
                if (!job->out) continue;
                if (job->bias)
                    for (size_t i = top; i < bottom; i++)
                        for (size_t v = 0; v < nv; v++)
                            ((vec *)(out + (i - top) * width))[v] += ((const T *)job->bias)[i];
                NAME(unpack)(out, layout->n_rows, samples, top, bottom, width, (T *)job->out + sample * layout->n_rows);
            }
        }
    }
}
