#include "parallel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#ifndef _WIN32
#include <pthread.h>

static int forked = 0;
static void in_child(void) { forked = 1; }
void bio_parallel_init(void) {
    static int done = 0;
    if (!done) {
        done = 1;
        pthread_atfork(NULL, NULL, in_child);
    }
}
#else
static const int forked = 0;
void bio_parallel_init(void) {}
#endif

size_t bio_workers(size_t n, size_t grain, int n_threads) {
#ifdef _OPENMP
    size_t chunks = grain ? (n + grain - 1) / grain : n;
    if (n_threads <= 1 || chunks <= 1 || forked) return 1;
    return chunks < (size_t)n_threads ? chunks : (size_t)n_threads;
#else
    (void)n, (void)grain, (void)n_threads;
    return 1;
#endif
}

void bio_parallel(bio_task task, void *context, size_t n, size_t grain, int n_threads) {
    if (n == 0) return;
    size_t workers = bio_workers(n, grain, n_threads);
    if (workers == 1) {
        task(context, 0, n, 0);
        return;
    }
#ifdef _OPENMP
    size_t step = grain ? grain : 1;
    size_t chunks = (n + step - 1) / step;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)workers)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
        size_t begin = chunk * step, end = begin + step < n ? begin + step : n;
        task(context, begin, end, (size_t)omp_get_thread_num());
    }
#endif
}

int bio_default_threads(void) {
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

int bio_openmp(void) {
#ifdef _OPENMP
    return _OPENMP;
#else
    return 0;
#endif
}
