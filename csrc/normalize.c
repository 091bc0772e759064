/* Synaptic scaling of every row. Contract: bio.h. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "bio.h"
#include "norm.h"
#include "parallel.h"

#define SYNAPSE_NS 0.5 /* about what a synapse costs */

#define BIO_TEMPLATE "normalize.tmpl.c"
#include "template.h"

static const bio_task table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(normalize);
static bio_scaling *const row_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(normalize_row);

bio_scaling *bio_scaling_of(bio_value value) { return BIO_PICK(row_table, value, BIO_INT32); }

void bio_normalize_rows(const bio_csr *w, int n_threads) {
    bio_csr job = *w;
    const double row = SYNAPSE_NS * (double)w->nnz / (double)w->n_rows;
    bio_parallel(BIO_PICK(table, w->value, w->index), &job, bio_share_out(w->n_rows, row, n_threads));
}
