#include "softmax.tmpl.h"

static void NAME(compete)(void *context, size_t begin, size_t end, size_t worker) {
    const compete_job *job = context;
    const size_t n = job->n_cells;
    const T beta = NAME(fit)(job->beta);
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        T *y = (T *)job->y + b * n;
        const T share = NAME(shares)((const T *)job->drive + b * n, job->threshold, beta, n, job->k, y);
        for (size_t i = 0; i < n; i++) y[i] *= share;
    }
}

/* ---- gradient ---- */

static void NAME(compete_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const compete_grad_job *job = context;
    const size_t n = job->n_cells;
    const T beta = NAME(fit)(job->beta);
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        const T *y = (const T *)job->y + b * n, *dy = (const T *)job->dy + b * n;
        T *da = (T *)job->da + b * n;
        double mean = 0;
        for (size_t k0 = 0; k0 < n; k0 += SUM_BLOCK) {
            const size_t stop = n - k0 < SUM_BLOCK ? n : k0 + SUM_BLOCK;
            vec sum = {0};
            for (size_t k = k0; k < stop; k += LANES)
                sum += NAME(load)(y + k, stop - k, 0) * NAME(load)(dy + k, stop - k, 0);
            mean += (double)NAME(sum)(sum);
        }
        for (size_t k = 0; k < n; k += LANES) {
            const vec slope = NAME(load)(dy + k, n - k, 0) - (T)mean;
            NAME(store)(da + k, n - k, beta * NAME(load)(y + k, n - k, 0) * slope);
        }
    }
}
