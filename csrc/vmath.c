#include "vmath.h"

#include <math.h>
#include <string.h>

#define BIO_VALUES_ONLY 1
#define BIO_TEMPLATE "vmath.tmpl.c"
#include "template.h"

typedef void (*vmath_fn)(bio_function, const void *, void *, size_t);

static const vmath_fn table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(vmath);

void bio_vmath(bio_value value, bio_function function, const void *x, void *y, size_t n) {
    BIO_PICK(table, value, BIO_INT32)(function, x, y, n);
}
