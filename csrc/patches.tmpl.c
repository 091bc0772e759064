#include "vmath.tmpl.h"
#include "retina.tmpl.h"

/* ---- forward: units are rows of positions ---- */

static void NAME(patches_task)(void *context, size_t begin, size_t end, size_t worker) {
    const NAME(retina_job) *job = context;
    const bio_retina *a = job->retina;
    const NAME(retina_scratch) s = NAME(retina_start)(job, worker);
    const size_t half = job->half;
    const T g0_power = NAME(gate_power)(a, NAME(fit)(a->g0));
    for (size_t unit = begin; unit < end; unit++) {
        NAME(load_strip)(job, &s, unit / a->height, unit % a->height);
        for (size_t x = 0; x < a->width; x++) {
            const size_t position = unit * a->width + x;
            const T norm = NAME(load_patch)(job, &s, x), scale = 1 / (norm + NAME(fit)(a->c0));
            T *on = job->u + 2 * half * position;
            NAME(rectify)(s.d, half, scale, on, on + half);
            job->gate[position] = NAME(gate_of)(a, norm, g0_power);
        }
    }
}

static bio_status NAME(patches)(const bio_retina *a, const void *r, void *u, void *gate, int n_threads) {
    NAME(retina_job) job = NAME(retina_plan)(a, r, 0);
    const double values = (double)(2 * job.half * a->width);
    const bio_share share = bio_share_out(a->batch * a->height, VALUE_NS * values, n_threads);
    job.memory = bio_alloc(share.workers * job.scratch * SIZE);
    if (!job.memory) return BIO_NO_MEMORY;
    job.u = u;
    job.gate = gate;
    bio_parallel(NAME(patches_task), &job, share);
    bio_free(job.memory);
    return BIO_OK;
}

/* ---- gradient: units are images ---- */

/* With s = 1 / (|z| + c0), e = dU_on where d > 0, -dU_off where d < 0:  dz = e s + d (d|z|) / |z|,
 * d|z| = -(e . d) s^2 + dgate g (1 - g) m / |z|;  then each channel's mean is taken off and the patch is added back. */
static inline void NAME(patch_grad)(const NAME(retina_job) *job, const NAME(retina_scratch) *s, size_t position,
                                    size_t x, size_t y, T g0_power) {
    const bio_retina *a = job->retina;
    const size_t p = a->patch_size, c = a->channels, half = job->half, run = job->run;
    const T norm = NAME(load_patch)(job, s, x), scale = 1 / (norm + NAME(fit)(a->c0));
    const T gate = NAME(gate_of)(a, norm, g0_power), slope = NAME(fit)(a->gate_exponent) * gate * (1 - gate) / norm;
    const T *restrict on = job->du + 2 * half * position, *restrict off = on + half;
    const T *restrict d = s->d;
    T *restrict e = s->e;
    for (size_t k = 0; k < half; k++) e[k] = (d[k] > 0 ? on[k] : 0) - (d[k] < 0 ? off[k] : 0);
    *(vec *)(e + half) = (vec){0};
    const T along = (job->dgate[position] * slope - NAME(dot)(e, d, half) * scale * scale) / norm;
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
    const T g0_power = NAME(gate_power)(a, NAME(fit)(a->g0));
    for (size_t image = begin; image < end; image++) {
        memset(s.dr, 0, (a->height + p - 1) * job->stride * SIZE);
        for (size_t y = 0; y < a->height; y++) {
            NAME(load_strip)(job, &s, image, y);
            for (size_t x = 0; x < a->width; x++)
                NAME(patch_grad)(job, &s, (image * a->height + y) * a->width + x, x, y, g0_power);
        }
        for (size_t y = 0; y < a->height; y++)
            memcpy(job->dr + (image * a->height + y) * line, s.dr + (y + before) * job->stride + before * a->channels,
                   line * SIZE);
    }
}

static bio_status NAME(patches_grad)(const bio_retina *a, const void *r, const void *du, const void *dgate, void *dr,
                                     int n_threads) {
    NAME(retina_job) job = NAME(retina_plan)(a, r, 1);
    const double values = (double)(2 * job.half * a->width * a->height);
    const bio_share share = bio_share_out(a->batch, VALUE_NS * values, n_threads);
    job.memory = bio_alloc(share.workers * job.scratch * SIZE);
    if (!job.memory) return BIO_NO_MEMORY;
    job.du = du;
    job.dgate = dgate;
    job.dr = dr;
    bio_parallel(NAME(patches_grad_task), &job, share);
    bio_free(job.memory);
    return BIO_OK;
}
