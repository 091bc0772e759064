/* Products with a batch of one sample, straight from the CSR arrays: bound by memory, not worth a layout.
 * The sums are the chains that the batched products make, bit for bit. */
#ifndef BIO_SINGLE_H
#define BIO_SINGLE_H

#include "bio.h"

bio_status bio_single_forward(const bio_csr *w, const void *x, const void *bias, void *y, int n_threads);
bio_status bio_single_input_grad(const bio_csr *w, const void *dy, void *dx, int n_threads);
bio_status bio_single_weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, int n_threads);

#endif
