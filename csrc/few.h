/* Products with few samples, straight from the CSR arrays: bound by memory, not worth a layout. Contracts: bio.h.
 * Drives and gradients are the chains that the batched products make, bit for bit; sampled products are added up in
 * their order. */
#ifndef BIO_FEW_H
#define BIO_FEW_H

#include "bio.h"

enum { BIO_WIDEST = 16 }; /* most samples of forward and dx; g takes any number */

bio_status bio_few_forward(const bio_csr *w, const void *x, const void *bias, void *y, size_t batch, int n_threads);
/* dx, g: either may be NULL, and is then not computed. All memory is asked for before anything is written. */
bio_status bio_few_gradients(const bio_csr *w, const void *x, const void *dy, void *dx, void *g, size_t batch,
                             int n_threads);

#endif
