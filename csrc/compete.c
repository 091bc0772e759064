/* Divisive inhibition: softmax or k-winners over the cells of each sample, and its gradient. Contracts: bio.h. */
#include <math.h>
#include <string.h>

#include "bio.h"
#include "parallel.h"

#define RATE_NS 1.0 /* about what a rate costs */

typedef struct {
    const void *drive, *threshold;
    void *y;
    double beta;
    size_t n_cells, k;
} compete_job;

typedef struct {
    const void *y, *dy;
    void *da;
    double beta;
    size_t n_cells;
} compete_grad_job;

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "compete.tmpl.c"
#include "template.h"

static const bio_task compete_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(compete);
static const bio_task compete_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(compete_grad);

static bio_share share_out(size_t batch, size_t n_cells, int n_threads) {
    return bio_share_out(batch, RATE_NS * (double)n_cells, n_threads);
}

bio_status bio_compete(bio_value value, const void *drive, double beta, const void *threshold, size_t k, void *y,
                       size_t batch, size_t n_cells, int n_threads) {
    compete_job job = {drive, threshold, y, beta, n_cells, k < n_cells ? k : 0};
    bio_parallel(BIO_PICK(compete_table, value, BIO_INT32), &job, share_out(batch, n_cells, n_threads));
    return BIO_OK;
}

bio_status bio_compete_grad(bio_value value, const void *y, const void *dy, double beta, void *da, size_t batch,
                            size_t n_cells, int n_threads) {
    compete_grad_job job = {y, dy, da, beta, n_cells};
    bio_parallel(BIO_PICK(compete_grad_table, value, BIO_INT32), &job, share_out(batch, n_cells, n_threads));
    return BIO_OK;
}
