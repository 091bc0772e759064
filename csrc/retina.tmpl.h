/* Loading patches: what the retina and the feature map share. Includes nothing: needs vmath.tmpl.h before it. */

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

/* a . b over n values; both are 0 between n and the next vector border. */
static inline T NAME(dot)(const T *a, const T *b, size_t n) {
    vec sum = {0};
    for (size_t k = 0; k < n; k += LANES) sum += *(const vec *)(a + k) * *(const vec *)(b + k);
    return NAME(sum)(sum);
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

/* |z|^m and g0^m; the gate is the former over the sum of both. m = 1 takes nothing but |z| and g0 as they are. */
static inline T NAME(gate_power)(const bio_retina *a, T norm) {
    return a->gate_exponent == 1 ? norm : NAME(fit)(pow((double)norm, a->gate_exponent));
}

static inline T NAME(gate_of)(const bio_retina *a, T norm, T g0_power) {
    const T power = NAME(gate_power)(a, norm), both = power + g0_power;
    if (both >= T_MIN && both < T_MAX) return power / both;
    return (T)(1 / (1 + pow(a->g0 / (double)norm, a->gate_exponent))); /* powers beyond the range of T */
}

/* ON and OFF of the loaded patch, divided by |z| + c0: on (half), off (half). */
static inline void NAME(rectify)(const T *restrict d, size_t half, T scale, T *restrict on, T *restrict off) {
    for (size_t k = 0; k < half; k++) {
        const T above = d[k] > 0 ? d[k] : 0;
        on[k] = above * scale;
        off[k] = (above - d[k]) * scale;
    }
}
