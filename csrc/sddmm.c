/* Sampled dense-dense product on the pattern of a CSR matrix: every weight's pre x post sum. Contract: bio.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bio.h"
#include "parallel.h"
#include "tiling.h"

#define BIO_TEMPLATE "sddmm.tmpl.c"
#include "template.h"

typedef bio_status (*weight_grad_fn)(const bio_csr *, const void *, const void *, void *, size_t, int);

static const weight_grad_fn weight_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(weight_grad);

bio_status bio_weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, size_t batch, int n_threads) {
    return BIO_PICK(weight_grad_table, w->value, w->index)(w, x, dy, g, batch, n_threads);
}
