/* The vector functions of vmath.tmpl.h on arrays: for tests only, as bioneuro._core._vmath. */
#ifndef BIO_VMATH_H
#define BIO_VMATH_H

#include "bio.h"

typedef enum { BIO_EXP, BIO_EXP_FACTOR, BIO_LOG, BIO_SQRT, BIO_N_FUNCTIONS } bio_function;

/* y (n) = function of x (n); y may be x. */
void bio_vmath(bio_value value, bio_function function, const void *x, void *y, size_t n);

#endif
