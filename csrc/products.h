/* A product with a batch, for kernels that go on with it while it is in the cache. */
#ifndef BIO_PRODUCTS_H
#define BIO_PRODUCTS_H

#include "bio.h"
#include "parallel.h"

/* bio_weight_grad for batch > 1; then(context, begin, end, worker) follows for rows `begin` to `end`, whose g is there:
 * for every row once, from the worker that made it. It may change g and w->data of these rows. */
bio_status bio_weight_grad_then(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *g,
                                size_t batch, bio_task then, void *context, int n_threads);

#endif
