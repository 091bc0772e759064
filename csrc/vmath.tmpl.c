#include "vmath.tmpl.h"

static void NAME(vmath)(bio_function function, const void *x, void *y, size_t n) {
    for (size_t k = 0; k < n; k += LANES) {
        const vec v = NAME(load)((const T *)x + k, n - k, 1);
        vec r;
        switch (function) {
            case BIO_EXP: r = NAME(exp)(v); break;
            case BIO_EXP_FACTOR: r = NAME(exp_factor)(v); break;
            case BIO_LOG: r = NAME(log)(v); break;
            default: r = NAME(sqrt)(v); break;
        }
        NAME(store)((T *)y + k, n - k, r);
    }
}
