/* Products of a CSR matrix with a batch: drive (forward) and its input gradient. Contracts: bio.h. */
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bio.h"
#include "parallel.h"
#include "tiling.h"

#define BIO_TEMPLATE "spmm.tmpl.c"
#include "template.h"

typedef bio_status (*forward_fn)(const bio_csr *, const void *, const void *, void *, size_t, int);
typedef bio_status (*input_grad_fn)(const bio_csr *, const void *, void *, size_t, int);

static const forward_fn forward_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(forward);
static const input_grad_fn input_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(input_grad);

bio_status bio_forward(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch, int n_threads) {
    return BIO_PICK(forward_table, w->value, w->index)(w, x, bias, y, batch, n_threads);
}

bio_status bio_input_grad(const bio_csr *w, const void *dy, void *dx, size_t batch, int n_threads) {
    return BIO_PICK(input_grad_table, w->value, w->index)(w, dy, dx, batch, n_threads);
}
