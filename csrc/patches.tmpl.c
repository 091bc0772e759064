#include "shuffle.tmpl.h"

/* One row of output positions at a time: its p image rows, zero padded, make a strip, in which every patch row is one
 * contiguous run of p x channels values. A patch is gathered with whole vectors: what is written beyond the end of a
 * run is overwritten by the next one, so every scratch row has room for one vector more. */

typedef struct {
    const bio_retina *retina;
    const T *r;
    T *u, *gate;         /* forward */
    const T *du, *dgate; /* gradient */
    T *dr;
    size_t run, half, stride; /* values of a patch row, of a patch, of a padded image row */
    size_t scratch;           /* values of scratch a worker */
    T *memory;
} NAME(retina_job);

typedef struct {
    double *sums, *totals; /* (stride) sums over the rows of the strip; over the columns of each patch as well */
    T *strip;              /* (p, stride) */
    T *mean;               /* (run) of one patch, repeated along the row; 0 beyond */
    T *keep;               /* (run) 1; 0 beyond */
    T *d, *e;              /* (half) patch minus mean, and its gradient; 0 beyond */
    T *dr;                 /* (height + p - 1, stride) gradient of the padded image */
} NAME(retina_scratch);

static NAME(retina_job) NAME(retina_plan)(const bio_retina *a, const void *r, int gradient) {
    NAME(retina_job) job = {.retina = a, .r = r};
    job.run = a->patch_size * a->channels;
    job.half = a->patch_size * job.run;
    job.stride = bio_round_up((a->width + a->patch_size - 1) * a->channels + LANES, LANES);
    job.scratch = (2 * sizeof(double) / SIZE + a->patch_size) * job.stride + 2 * bio_round_up(job.run + LANES, LANES) +
                  2 * bio_round_up(job.half + LANES, LANES);
    if (gradient) job.scratch += (a->height + a->patch_size - 1) * job.stride;
    return job;
}

static NAME(retina_scratch) NAME(retina_start)(const NAME(retina_job) *job, size_t worker) {
    const size_t run = bio_round_up(job->run + LANES, LANES), half = bio_round_up(job->half + LANES, LANES);
    NAME(retina_scratch) s;
    s.sums = (double *)(job->memory + worker * job->scratch);
    s.totals = s.sums + job->stride;
    s.strip = (T *)(s.totals + job->stride);
    s.mean = s.strip + job->retina->patch_size * job->stride;
    s.keep = s.mean + run;
    s.d = s.keep + run;
    s.e = s.d + half;
    s.dr = s.e + half;
    memset(s.strip, 0, (size_t)((char *)s.dr - (char *)s.strip));
    for (size_t k = 0; k < job->run; k++) s.keep[k] = 1;
    return s;
}

static inline T NAME(sum_lanes)(vec v) {
#if LANES >= 16
    v = LO8(v, v) + HI8(v, v);
#endif
#if LANES >= 8
    v = LO4(v, v) + HI4(v, v);
#endif
#if LANES >= 4
    v = LO2(v, v) + HI2(v, v);
#endif
    v = LO1(v, v) + HI1(v, v);
    return v[0];
}

/* a . b over n values; both are 0 between n and the next vector border. */
static inline T NAME(dot)(const T *a, const T *b, size_t n) {
    vec sum = {0};
    for (size_t k = 0; k < n; k += LANES) sum += *(const vec *)(a + k) * *(const vec *)(b + k);
    return NAME(sum_lanes)(sum);
}

/* Strip and window sums of the positions (image, y, .). Sums are in double: a flat patch is exactly its mean. */
static void NAME(load_strip)(const NAME(retina_job) *job, const NAME(retina_scratch) *s, size_t image, size_t y) {
    const bio_retina *a = job->retina;
    const size_t p = a->patch_size, before = (p - 1) / 2, line = a->width * a->channels;
    const size_t padded = (a->width + p - 1) * a->channels;
    for (size_t i = 0; i < p; i++) {
        T *to = s->strip + i * job->stride + before * a->channels;
        const size_t row = y + i - before; /* wraps above the image */
        if (row < a->height) memcpy(to, job->r + (image * a->height + row) * line, line * SIZE);
        else memset(to, 0, line * SIZE);
    }
    memset(s->sums, 0, padded * sizeof(double));
    memset(s->totals, 0, line * sizeof(double));
    for (size_t i = 0; i < p; i++)
        for (size_t q = 0; q < padded; q++) s->sums[q] += (double)s->strip[i * job->stride + q];
    for (size_t j = 0; j < p; j++)
        for (size_t q = 0; q < line; q++) s->totals[q] += s->sums[q + j * a->channels];
}

/* d = patch - mean at column x of the strip; returns |z| = sqrt(sum d^2 + 1e-8). */
static inline T NAME(load_patch)(const NAME(retina_job) *job, const NAME(retina_scratch) *s, size_t x) {
    const bio_retina *a = job->retina;
    const size_t p = a->patch_size, c = a->channels;
    for (size_t k = 0; k < c; k++) s->mean[k] = (T)(s->totals[x * c + k] / (double)(p * p));
    for (size_t k = c; k < job->run; k++) s->mean[k] = s->mean[k - c];
    for (size_t i = 0; i < p; i++) {
        const T *from = s->strip + i * job->stride + x * c;
        for (size_t k = 0; k < job->run; k += LANES)
            *(vec *)(s->d + i * job->run + k) = *(const vec *)(from + k) - *(const vec *)(s->mean + k);
    }
    *(vec *)(s->d + job->half) = (vec){0};
    return (T)sqrt((double)NAME(dot)(s->d, s->d, job->half) + 1e-8);
}

/* ---- forward: units are rows of positions ---- */

static void NAME(patches_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(retina_job) *job = context;
    const bio_retina *a = job->retina;
    const NAME(retina_scratch) s = NAME(retina_start)(job, worker);
    const size_t half = job->half;
    for (size_t unit = begin; unit < end; unit++) {
        NAME(load_strip)(job, &s, unit / a->height, unit % a->height);
        for (size_t x = 0; x < a->width; x++) {
            const size_t position = unit * a->width + x;
            const T norm = NAME(load_patch)(job, &s, x), scale = 1 / (norm + (T)a->c0);
            const T *restrict d = s.d;
            T *restrict on = job->u + 2 * half * position, *restrict off = on + half;
            for (size_t k = 0; k < half; k++) {
                const T above = d[k] > 0 ? d[k] : 0;
                on[k] = above * scale;
                off[k] = (above - d[k]) * scale;
            }
            job->gate[position] = norm / (norm + (T)0.5);
        }
    }
}

static bio_status NAME(patches)(const bio_retina *a, const void *r, void *u, void *gate, int n_threads) {
    NAME(retina_job) job = NAME(retina_plan)(a, r, 0);
    const size_t rows = a->batch * a->height, grain = SERIAL_VALUES / (2 * job.half * a->width) + 1;
    job.memory = bio_alloc(bio_workers(rows, grain, n_threads) * job.scratch * SIZE);
    if (!job.memory) return BIO_NO_MEMORY;
    job.u = u;
    job.gate = gate;
    bio_parallel(NAME(patches_task), &job, rows, grain, n_threads);
    bio_free(job.memory);
    return BIO_OK;
}

/* ---- gradient: units are images ---- */

/* With s = 1 / (|z| + c0), e = dU_on where d > 0, -dU_off where d < 0:  dz = e s + d (d|z|) / |z|,
 * d|z| = -(e . d) s^2 + 0.5 dgate / (|z| + 0.5)^2;  then each channel's mean is taken off and the patch is added back.
 */
static inline void NAME(patch_grad)(const NAME(retina_job) *job, const NAME(retina_scratch) *s, size_t position,
                                    size_t x, size_t y) {
    const bio_retina *a = job->retina;
    const size_t p = a->patch_size, c = a->channels, half = job->half, run = job->run;
    const T norm = NAME(load_patch)(job, s, x), scale = 1 / (norm + (T)a->c0), slope = 1 / (norm + (T)0.5);
    const T *restrict on = job->du + 2 * half * position, *restrict off = on + half;
    const T *restrict d = s->d;
    T *restrict e = s->e;
    for (size_t k = 0; k < half; k++) e[k] = (d[k] > 0 ? on[k] : 0) - (d[k] < 0 ? off[k] : 0);
    *(vec *)(e + half) = (vec){0};
    const T along = (job->dgate[position] * (T)0.5 * slope * slope - NAME(dot)(e, d, half) * scale * scale) / norm;
    for (size_t k = 0; k < half; k += LANES) {
        const vec z = *(const vec *)(d + k);
        vec *to = (vec *)(e + k);
        *to = *to * scale + z * along;
    }
    /* mean of each channel: over the rows with vectors, then along the row */
    for (size_t k = 0; k < run; k += LANES) {
        vec sum = {0};
        for (size_t i = 0; i < p; i++) sum += *(const vec *)(e + i * run + k);
        *(vec *)(s->mean + k) = sum;
    }
    for (size_t k = c; k < run; k++) s->mean[k % c] += s->mean[k];
    for (size_t k = 0; k < c; k++) s->mean[k] /= (T)(p * p);
    for (size_t k = c; k < run; k++) s->mean[k] = s->mean[k - c];
    for (size_t i = 0; i < p; i++) {
        T *to = s->dr + (y + i) * job->stride + x * c;
        for (size_t k = 0; k < run; k += LANES)
            *(vec *)(to + k) +=
                (*(const vec *)(e + i * run + k) - *(const vec *)(s->mean + k)) * *(const vec *)(s->keep + k);
    }
}

static void NAME(patches_grad_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(retina_job) *job = context;
    const bio_retina *a = job->retina;
    const NAME(retina_scratch) s = NAME(retina_start)(job, worker);
    const size_t p = a->patch_size, before = (p - 1) / 2, line = a->width * a->channels;
    for (size_t image = begin; image < end; image++) {
        memset(s.dr, 0, (a->height + p - 1) * job->stride * SIZE);
        for (size_t y = 0; y < a->height; y++) {
            NAME(load_strip)(job, &s, image, y);
            for (size_t x = 0; x < a->width; x++)
                NAME(patch_grad)(job, &s, (image * a->height + y) * a->width + x, x, y);
        }
        for (size_t y = 0; y < a->height; y++)
            memcpy(job->dr + (image * a->height + y) * line, s.dr + (y + before) * job->stride + before * a->channels,
                   line * SIZE);
    }
}

static bio_status NAME(patches_grad)(const bio_retina *a, const void *r, const void *du, const void *dgate, void *dr,
                                     int n_threads) {
    NAME(retina_job) job = NAME(retina_plan)(a, r, 1);
    const size_t grain = SERIAL_VALUES / (2 * job.half * a->width * a->height) + 1;
    job.memory = bio_alloc(bio_workers(a->batch, grain, n_threads) * job.scratch * SIZE);
    if (!job.memory) return BIO_NO_MEMORY;
    job.du = du;
    job.dgate = dgate;
    job.dr = dr;
    bio_parallel(NAME(patches_grad_task), &job, a->batch, grain, n_threads);
    bio_free(job.memory);
    return BIO_OK;
}
