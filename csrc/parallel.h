/* The only door to threads. A task gets a half-open range of units and the number of its worker (for scratch).
 * Units own disjoint outputs, so how the range is cut never shows in a result. */
#ifndef BIO_PARALLEL_H
#define BIO_PARALLEL_H

#include <stddef.h>

typedef void (*bio_task)(void *context, size_t begin, size_t end, size_t worker);

/* Runs task over [0, n). Chunks of about `grain` units are handed out as workers get free; n <= grain stays serial.
 * worker < bio_workers(n, grain, n_threads). After a fork the child runs serially: OpenMP's pool does not survive it.
 */
void bio_parallel(bio_task task, void *context, size_t n, size_t grain, int n_threads);

/* How many workers bio_parallel would use; never 0. */
size_t bio_workers(size_t n, size_t grain, int n_threads);

/* Threads used where the caller names none. */
int bio_default_threads(void);

/* OpenMP's version date (yyyymm), 0 when built without it. */
int bio_openmp(void);

/* Call once, at import: remembers which process owns the thread pool. */
void bio_parallel_init(void);

#endif
