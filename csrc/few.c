/* Products with few samples. Contracts: few.h, bio.h.
 *
 * The samples of a cell lie side by side in a vector of 4, 8 or 16, the rest of which is zero: then a synapse costs
 * hardly more with 16 of them than with one, whose arrays are used as they are. */
#include "few.h"

#include <string.h>

#include "alloc.h"
#include "layout.h"
#include "parallel.h"
#include "simd.h"
#include "tiling.h"

enum {
    AT_ONCE = 4,    /* synapses of a row whose columns are read together */
    ROWS_SHARE = 8, /* rows that belong together */
    RANGE = 768,    /* synapses of a row that a thread of its own should have at least */
    NEAR = 8        /* places beside the guess of a search that are looked at first */
};

typedef struct {
    const bio_csr *w;
    const void *x, *dy, *bias; /* x, dy: cells x width */
    void *out;
    size_t width;
    size_t batch;
    size_t n_ranges; /* of columns, input_grad only */
} few_job;

typedef void bring_samples(const void *from, size_t n, size_t batch, size_t width, void *to);

#define BIO_TEMPLATE "few.tmpl.c"
#include "template.h"

static bring_samples *const pack_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(pack_samples);
static bring_samples *const unpack_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(unpack_samples);
static bring_samples *const tiles_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(pack_tiles);
static const bio_task forward_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(few_forward);
static const bio_task input_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(few_input_grad);
static const bio_task single_weight_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(single_weight_grad);
static const bio_task weight_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(few_weight_grad);

#define SYNAPSE_NS 0.4 /* about what one costs, whatever the width */
#define SAMPLE_NS 0.04 /* and how much more with each sample, where results are scattered or summed */

static size_t width_of(size_t batch) { return batch == 1 ? 1 : batch <= 4 ? 4 : batch <= 8 ? 8 : 16; }

/* Rows, in eights. */
static bio_share share_rows(const bio_csr *w, double cost, int n_threads) {
    bio_share share = bio_share_out(w->n_rows, cost * (double)w->nnz / (double)w->n_rows, n_threads);
    share.step = bio_round_up(share.step, ROWS_SHARE);
    return share;
}

/* Room for the cells of both sides, `width` samples each; NULL: none is left. */
static char *scratch_for(const bio_csr *w, size_t width) {
    return bio_alloc((w->n_cols + w->n_rows) * width * bio_value_size(w->value));
}

bio_status bio_few_forward(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch, int n_threads) {
    few_job job = {.w = w, .x = x, .bias = bias, .out = y, .width = width_of(batch)};
    const size_t size = bio_value_size(w->value) * job.width;
    char *scratch = NULL;
    if (batch > 1) {
        if (!(scratch = scratch_for(w, job.width))) return BIO_NO_MEMORY;
        BIO_PICK(pack_table, w->value, w->index)(x, w->n_cols, batch, job.width, scratch);
        job.x = scratch;
        job.out = scratch + w->n_cols * size;
    }
    bio_parallel(BIO_PICK(forward_table, w->value, w->index), &job, share_rows(w, SYNAPSE_NS, n_threads));
    if (batch > 1) BIO_PICK(unpack_table, w->value, w->index)(job.out, w->n_rows, batch, job.width, y);
    bio_free(scratch);
    return BIO_OK;
}

/* Samples of weight_grad, and what fills up the last vector. */
static size_t sampled_width(const bio_csr *w, size_t batch) {
    return bio_round_up(batch, bio_vector_bytes[bio_current_isa()] / bio_value_size(w->value));
}

static void input_grad(const bio_csr *w, const void *dy, void *dx, size_t batch, char *scratch, int n_threads) {
    few_job job = {.w = w, .dy = dy, .out = dx, .width = width_of(batch)};
    if (batch > 1) {
        char *fixed = scratch + w->n_cols * job.width * bio_value_size(w->value);
        BIO_PICK(pack_table, w->value, w->index)(dy, w->n_rows, batch, job.width, fixed);
        job.out = scratch;
        job.dy = fixed;
    }
    /* As many ranges of columns as workers, unless a row's synapses in a range were so few that a processor, which
     * foresees streams of memory, fetches the other ranges' with them. */
    const size_t most = w->nnz / w->n_rows / RANGE;
    const int n = most < 2 ? 1 : most < (size_t)n_threads ? (int)most : n_threads;
    const double cost = SYNAPSE_NS + SAMPLE_NS * (double)job.width;
    const bio_share fair = bio_share_out((size_t)n, cost * (double)w->nnz / n, n);
    job.n_ranges = fair.workers;
    bio_parallel(BIO_PICK(input_grad_table, w->value, w->index), &job, (bio_share){fair.workers, 1, fair.workers});
    if (batch > 1) BIO_PICK(unpack_table, w->value, w->index)(job.out, w->n_cols, batch, job.width, dx);
}

static void weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, size_t batch, char *scratch,
                        int n_threads) {
    few_job job = {.w = w, .x = x, .dy = dy, .out = g, .batch = batch};
    if (batch == 1) {
        const bio_task task = BIO_PICK(single_weight_grad_table, w->value, w->index);
        bio_parallel(task, &job, share_rows(w, SYNAPSE_NS, n_threads));
        return;
    }
    job.width = sampled_width(w, batch);
    char *fixed = scratch + w->n_cols * job.width * bio_value_size(w->value);
    BIO_PICK(tiles_table, w->value, w->index)(x, w->n_cols, batch, job.width, scratch);
    BIO_PICK(tiles_table, w->value, w->index)(dy, w->n_rows, batch, job.width, fixed);
    job.x = scratch;
    job.dy = fixed;
    const double cost = SYNAPSE_NS + SAMPLE_NS * (double)job.width;
    bio_parallel(BIO_PICK(weight_grad_table, w->value, w->index), &job, share_rows(w, cost, n_threads));
}

bio_status bio_few_gradients(const bio_csr *w, const void *x, const void *dy, void *dx, void *g, size_t batch,
                             int n_threads) {
    const size_t of_inputs = dx ? width_of(batch) : 0, of_weights = g ? sampled_width(w, batch) : 0;
    char *scratch = NULL; /* one after the other uses it; a single sample needs none */
    if (batch > 1 && !(scratch = scratch_for(w, of_inputs > of_weights ? of_inputs : of_weights))) return BIO_NO_MEMORY;
    if (dx) input_grad(w, dy, dx, batch, scratch, n_threads);
    if (g) weight_grad(w, x, dy, g, batch, scratch, n_threads);
    bio_free(scratch);
    return BIO_OK;
}
