#include "vmath.tmpl.h"

/* ---- selection: bisection on the order of the numbers themselves, so that at most 8 SIZE counts over the row decide
 * ---- */

typedef NAME(word) NAME(key);

/* Rises with x, for every x that is not NaN; an unsigned integer. */
static inline NAME(key) NAME(key_of)(T x) {
    const NAME(key) top = (NAME(key))1 << (8 * SIZE - 1);
    NAME(key) bits;
    memcpy(&bits, &x, SIZE);
    return bits & top ? ~bits : bits | top;
}

static inline T NAME(number_of)(NAME(key) key) {
    const NAME(key) top = (NAME(key))1 << (8 * SIZE - 1), bits = key & top ? key ^ top : ~key;
    T x;
    memcpy(&x, &bits, SIZE);
    return x;
}

/* How many of z (n) are above `bound`. */
static size_t NAME(count_above)(const T *z, size_t n, T bound) {
    NAME(bits) count = {0};
    size_t k = 0, total = 0;
    for (; k + LANES <= n; k += LANES) count -= (NAME(bits))(*(const vec *)(z + k) > bound);
    for (size_t l = 0; l < LANES; l++) total += count[l];
    for (; k < n; k++) total += z[k] > bound;
    return total;
}

/* All but the k largest of z (n) become -inf; of equals, the first stay. 0 < k < n; smallest, largest: those of z. */
static void NAME(keep_largest)(T *z, size_t n, size_t k, T smallest, T largest) {
    /* more than k above `low`, fewer than k above `high`; the loop ends at the k-th largest, or at a gap below it */
    NAME(key) low = NAME(key_of)(smallest) - 1, high = NAME(key_of)(largest);
    T bound = largest;
    size_t ties = 0;
    for (;;) {
        if (high - low <= 1) {
            bound = NAME(number_of)(high);
            ties = k - NAME(count_above)(z, n, bound);
            break;
        }
        const NAME(key) middle = low + (high - low) / 2;
        bound = NAME(number_of)(middle);
        const size_t above = NAME(count_above)(z, n, bound);
        if (above == k) break;
        if (above > k) low = middle;
        else high = middle;
    }
    for (size_t i = 0; i < n; i++) {
        if (z[i] > bound) continue;
        if (ties && z[i] == bound) ties--;
        else z[i] = -(T)INFINITY;
    }
}

/* ---- softmax ---- */

/* y = beta a - th, held within the numbers of T so that differences of infinities never arise; returns the largest. */
static inline T NAME(inhibit)(const T *a, const T *th, T beta, size_t n, T *y, T *smallest) {
    vec high = NAME(splat)(-T_MAX), low = NAME(splat)(T_MAX);
    for (size_t k = 0; k < n; k += LANES) {
        vec z = beta * NAME(load)(a + k, n - k, 0);
        if (th) z -= NAME(load)(th + k, n - k, 0);
        z = NAME(at_most)(NAME(at_least)(z, NAME(splat)(-T_MAX)), NAME(splat)(T_MAX));
        NAME(store)(y + k, n - k, z);
        if (n - k < LANES) z = NAME(load)(y + k, n - k, y[k]);
        high = NAME(select)((NAME(bits))(z > high), z, high);
        low = NAME(select)((NAME(bits))(z < low), z, low);
    }
    *smallest = -NAME(largest)(-low);
    return NAME(largest)(high);
}

/* y = exp(y - top), the sum of which is returned. */
static inline double NAME(exponentials)(T *y, size_t n, T top) {
    double total = 0;
    for (size_t k0 = 0; k0 < n; k0 += BLOCK) {
        const size_t end = n - k0 < BLOCK ? n : k0 + BLOCK;
        vec sum = {0};
        for (size_t k = k0; k < end; k += LANES) {
            const vec e = NAME(exp)(NAME(load)(y + k, end - k, -(T)INFINITY) - top);
            NAME(store)(y + k, end - k, e);
            sum += e;
        }
        total += (double)NAME(sum)(sum);
    }
    return total;
}

static void NAME(compete)(void *context, size_t begin, size_t end, size_t worker) {
    const compete_job *job = context;
    const size_t n = job->n_cells;
    const T beta = NAME(fit)(job->beta);
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        T *y = (T *)job->y + b * n, smallest;
        const T top = NAME(inhibit)((const T *)job->drive + b * n, job->threshold, beta, n, y, &smallest);
        if (job->k) NAME(keep_largest)(y, n, job->k, smallest, top);
        const T share = (T)(1 / NAME(exponentials)(y, n, top));
        for (size_t i = 0; i < n; i++) y[i] *= share;
    }
}

/* ---- gradient ---- */

static void NAME(compete_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const compete_grad_job *job = context;
    const size_t n = job->n_cells;
    const T beta = NAME(fit)(job->beta);
    (void)worker;
    for (size_t b = begin; b < end; b++) {
        const T *y = (const T *)job->y + b * n, *dy = (const T *)job->dy + b * n;
        T *da = (T *)job->da + b * n;
        double mean = 0;
        for (size_t k0 = 0; k0 < n; k0 += BLOCK) {
            const size_t stop = n - k0 < BLOCK ? n : k0 + BLOCK;
            vec sum = {0};
            for (size_t k = k0; k < stop; k += LANES)
                sum += NAME(load)(y + k, stop - k, 0) * NAME(load)(dy + k, stop - k, 0);
            mean += (double)NAME(sum)(sum);
        }
        for (size_t k = 0; k < n; k += LANES) {
            const vec slope = NAME(load)(dy + k, n - k, 0) - (T)mean;
            NAME(store)(da + k, n - k, beta * NAME(load)(y + k, n - k, 0) * slope);
        }
    }
}
