/* Synaptic scaling of one row: shared by plasticity and normalize. */
#include "vmath.tmpl.h"

/* Sum of squares in double; its order depends on n alone. */
static double NAME(squares)(const T *w, size_t n) {
    enum { FEW = BYTES / 8 };
    typedef T few __attribute__((vector_size(FEW * SIZE), aligned(SIZE), may_alias));
    typedef double wide __attribute__((vector_size(BYTES)));
    wide sum[4] = {{0}};
    size_t k = 0;
    for (; k + 4 * FEW <= n; k += 4 * FEW)
        for (size_t v = 0; v < 4; v++) {
            const wide x = __builtin_convertvector(*(const few *)(w + k + v * FEW), wide);
            sum[v] += x * x;
        }
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    double total = 0;
    for (size_t l = 0; l < FEW; l++) total += sum[0][l];
    for (; k < n; k++) total += (double)w[k] * (double)w[k];
    return total;
}

static void NAME(scale)(T *w, size_t n, T factor) {
    for (size_t k = 0; k < n; k++) w[k] *= factor;
}

/* Divides w by its Euclidean norm. Only a norm beyond the range of double, of weights that saturated, is not finite:
 * then they are scaled twice. */
static void NAME(unit_norm)(T *w, size_t n) {
    double norm = sqrt(NAME(squares)(w, n));
    if (norm > DBL_MAX) {
        NAME(scale)(w, n, (T)(1 / (double)T_MAX));
        norm = sqrt(NAME(squares)(w, n));
    }
    const T factor = (T)(1 / norm);
    if (norm >= T_MIN && factor != 1) NAME(scale)(w, n, factor);
}
