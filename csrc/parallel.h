/* The only door to threads. A task gets a half-open range of units and the number of its worker (for scratch).
 * Units own disjoint outputs, so how the range is cut never shows in a result.
 *
 * Whoever calls does the work; helpers, threads that sleep between calls, take chunks off its hands when they get to
 * run. So a helper whose core is busy with something else costs nothing but the chunk that it has begun; and where even
 * that is lost time, calls stay serial for a while. */
#ifndef BIO_PARALLEL_H
#define BIO_PARALLEL_H

#include <stddef.h>

typedef void (*bio_task)(void *context, size_t begin, size_t end, size_t worker);

/* How n units of work are handed out: `step` at a time, to at most `workers`, the caller among them (>= 1). */
typedef struct {
    size_t n, step, workers;
} bio_share;

enum {
    BIO_HANDOVER = 10000, /* ns: waking a helper and waiting for it costs about so much (4 to 8 us were measured) */
    BIO_CHUNK = 100000,   /* ns: a chunk should not take longer, since the caller may have to wait for one */
};

/* The rule for when a call goes parallel. A unit takes about `cost` ns on one thread. Every worker must have at least
 * two hand-overs' worth of work, so less than four of it in all stays serial; n_threads is the most that work at once.
 */
bio_share bio_share_out(size_t n, double cost, int n_threads);

/* Runs task over [0, share.n); worker < share.workers. */
void bio_parallel(bio_task task, void *context, bio_share share);

/* Threads used where the caller names none: 1, until set. */
int bio_default_threads(void);
void bio_set_default_threads(int n_threads);

/* How often helpers were asked, and how often calls went on alone for a while since that had not paid. */
typedef struct {
    size_t shared, regretted;
} bio_parallel_counts;
bio_parallel_counts bio_parallel_counted(void);

#endif
