/* Products with a batch of one. Contracts: single.h, bio.h. */
#include "single.h"

#include "parallel.h"
#include "simd.h"
#include "tiling.h"

enum {
    ROWS_AT_ONCE = 8, /* chains of additions that run side by side, to hide their latency */
    RANGE = 768,      /* synapses of a row that a thread of its own should have at least */
    NEAR = 8          /* places beside the guess of a search that are looked at first */
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
    /* As many ranges of columns as workers, unless a row's synapses in a range were so few that a processor, which
     * foresees streams of memory, fetches the other ranges' with them. */
    const size_t most = w->nnz / w->n_rows / RANGE;
    const int n = most < 2 ? 1 : most < (size_t)n_threads ? (int)most : n_threads;
    const bio_share fair = bio_share_out((size_t)n, SYNAPSE_NS * (double)w->nnz / n, n);
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
