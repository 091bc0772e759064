/* Synaptic scaling of one row, for kernels that make rows. */
#ifndef BIO_NORM_H
#define BIO_NORM_H

#include "bio.h"

/* Divides a row of n weights by its Euclidean norm; zeros stay. As bio_normalize_rows, bit for bit. */
typedef void bio_scaling(void *row, size_t n);
bio_scaling *bio_scaling_of(bio_value value);

#endif
