/* Smallest and largest of an array, for checks that must cost less than what they guard. Contract: bio.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bio.h"
#include "parallel.h"

#define VALUE_NS 0.2 /* about what a value costs */

typedef struct {
    double low, high;
    int nan;
} bio_found;

typedef struct {
    const void *x;
    bio_found *found; /* of each worker */
} minmax_job;

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "minmax.tmpl.c"
#include "template.h"

static const bio_task minmax_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(minmax);

bio_status bio_minmax(bio_value value, const void *x, size_t n, double *low, double *high, int n_threads) {
    const bio_share share = bio_share_out(n, VALUE_NS, n_threads);
    bio_found *found = malloc(share.workers * sizeof *found);
    if (!found) return BIO_NO_MEMORY;
    for (size_t worker = 0; worker < share.workers; worker++) found[worker] = (bio_found){INFINITY, -INFINITY, 0};
    minmax_job job = {x, found};
    bio_parallel(BIO_PICK(minmax_table, value, BIO_INT32), &job, share);
    *low = INFINITY;
    *high = -INFINITY;
    int nan = 0;
    for (size_t worker = 0; worker < share.workers; worker++) {
        *low = fmin(*low, found[worker].low);
        *high = fmax(*high, found[worker].high);
        nan |= found[worker].nan;
    }
    if (nan) *low = *high = NAN;
    free(found);
    return BIO_OK;
}
