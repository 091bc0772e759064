/* Products with a batch of one. Contracts: single.h, bio.h. */
#include "single.h"

#include "parallel.h"
#include "simd.h"
#include "tiling.h"

enum {
    ROWS_AT_ONCE = 8, /* chains of additions that run side by side, to hide their latency */
    ROW_GRAIN = 64    /* rows handed out at a time */
};

typedef struct {
    const bio_csr *w;
    const void *x, *dy, *bias;
    void *out;
    size_t n_ranges; /* of columns, input_grad only */
} single_job;

#define BIO_TEMPLATE "single.tmpl.c"
#include "template.h"

static const bio_task forward_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(single_forward);
static const bio_task input_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(single_input_grad);
static const bio_task weight_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(single_weight_grad);

/* A synapse costs a batch of one as much as a batch of 8. */
static int threads(const bio_csr *w, int n_threads) { return bio_worth_threads(w, 8, n_threads); }

bio_status bio_single_forward(const bio_csr *w, const void *x, const void *bias, void *y, int n_threads) {
    single_job job = {.w = w, .x = x, .bias = bias, .out = y};
    const bio_task task = BIO_PICK(forward_table, w->value, w->index);
    bio_parallel(task, &job, w->n_rows, ROW_GRAIN, threads(w, n_threads));
    return BIO_OK;
}

bio_status bio_single_input_grad(const bio_csr *w, const void *dy, void *dx, int n_threads) {
    n_threads = threads(w, n_threads);
    single_job job = {.w = w, .dy = dy, .out = dx, .n_ranges = (size_t)n_threads};
    bio_parallel(BIO_PICK(input_grad_table, w->value, w->index), &job, job.n_ranges, 1, n_threads);
    return BIO_OK;
}

bio_status bio_single_weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, int n_threads) {
    single_job job = {.w = w, .x = x, .dy = dy, .out = g};
    const bio_task task = BIO_PICK(weight_grad_table, w->value, w->index);
    bio_parallel(task, &job, w->n_rows, ROW_GRAIN, threads(w, n_threads));
    return BIO_OK;
}
