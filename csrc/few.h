/* Products with few samples, straight from the CSR arrays: bound by memory, not worth a layout. Contracts: bio.h.
 * Drives and gradients are the chains that the batched products make, bit for bit; sampled products are added up in
 * their order. */
#ifndef BIO_FEW_H
#define BIO_FEW_H

#include "bio.h"

enum { BIO_WIDEST = 16 }; /* most samples of forward and input_grad; weight_grad takes any number */

bio_status bio_few_forward(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch, int n_threads);
bio_status bio_few_input_grad(const bio_csr *w, const void *dy, void *dx, size_t batch, int n_threads);
bio_status bio_few_weight_grad(const bio_csr *w, const void *x, const void *dy, void *g, size_t batch, int n_threads);

#endif
