/* Products with a batch of one. Contracts: single.h, bio.h. */
#include "single.h"

#include "parallel.h"
#include "simd.h"
#include "tiling.h"

enum {
    ROWS_AT_ONCE = 8 /* chains of additions that run side by side, to hide their latency */
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

#define SYNAPSE_NS 0.5 /* about what one costs */

/* Rows, in eights: that many belong together. */
static bio_share share_rows(const bio_csr *w, int n_threads) {
    const double rows = (double)w->n_rows;
    bio_share share = bio_share_out(w->n_rows, SYNAPSE_NS * (double)w->nnz / rows, n_threads);
    share.step = bio_round_up(share.step, ROWS_AT_ONCE);
    return share;
}

bio_status bio_single_forward(const bio_csr *w, const void *x, const void *bias, void *y, int n_threads) {
    single_job job = {.w = w, .x = x, .bias = bias, .out = y};
    const bio_task task = BIO_PICK(forward_table, w->value, w->index);
    bio_parallel(task, &job, share_rows(w, n_threads));
    return BIO_OK;
}

bio_status bio_single_input_grad(const bio_csr *w, const void *dy, void *dx, int n_threads) {
    /* As many ranges of columns as workers: each costs a search in every row. */
    const bio_share fair = bio_share_out((size_t)n_threads, SYNAPSE_NS * (double)w->nnz / n_threads, n_threads);
    const bio_share share = {fair.workers, 1, fair.workers};
    single_job job = {.w = w, .dy = dy, .out = dx, .n_ranges = share.n};
    bio_parallel(BIO_PICK(input_grad_table, w->value, w->index), &job, share);
    return BIO_OK;
}

bio_status bio_single_weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, int n_threads) {
    single_job job = {.w = w, .x = x, .dy = dy, .out = g};
    const bio_task task = BIO_PICK(weight_grad_table, w->value, w->index);
    bio_parallel(task, &job, share_rows(w, n_threads));
    return BIO_OK;
}
