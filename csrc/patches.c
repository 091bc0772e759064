/* The retina: ON/OFF patches with divisive normalisation, and their gradient. Contracts: bio.h. */
#include <math.h>
#include <string.h>

#include "alloc.h"
#include "bio.h"
#include "parallel.h"
#include "tiling.h"

#define VALUE_NS 0.5 /* about what a value of U costs */

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "patches.tmpl.c"
#include "template.h"

typedef bio_status (*patches_fn)(const bio_retina *, const void *, void *, void *, int);
typedef bio_status (*patches_grad_fn)(const bio_retina *, const void *, const void *, const void *, void *, int);

static const patches_fn patches_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(patches);
static const patches_grad_fn patches_grad_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(patches_grad);

bio_status bio_patches(bio_value value, const bio_retina *retina, const void *r, void *u, void *gate, int n_threads) {
    return BIO_PICK(patches_table, value, BIO_INT32)(retina, r, u, gate, n_threads);
}

bio_status bio_patches_grad(bio_value value, const bio_retina *retina, const void *r, const void *du, const void *dgate,
                            void *dr, int n_threads) {
    return BIO_PICK(patches_grad_table, value, BIO_INT32)(retina, r, du, dgate, dr, n_threads);
}
