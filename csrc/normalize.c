/* Synaptic scaling of every row. Contract: bio.h. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "bio.h"
#include "parallel.h"

enum { CHUNK = 1 << 15 }; /* synapses handed out at a time; fewer stay serial */

#define BIO_TEMPLATE "normalize.tmpl.c"
#include "template.h"

static const bio_task table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(normalize);

void bio_normalize_rows(const bio_csr *w, int n_threads) {
    bio_csr job = *w;
    bio_parallel(BIO_PICK(table, w->value, w->index), &job, w->n_rows, CHUNK / (w->nnz / w->n_rows + 1) + 1, n_threads);
}
