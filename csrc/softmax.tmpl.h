/* Softmax or k-winners over one row of drives: what competition and the feature map share. */
#include "vmath.tmpl.h"

#define SUM_BLOCK 4096 /* activities summed in T before the sum goes on in double */

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
    for (size_t k = 0; k < n; k += LANES) count -= (NAME(bits))(NAME(load)(z + k, n - k, -(T)INFINITY) > bound);
    return NAME(total)(count);
}

/* All but the k largest of z (n) become -inf; of equals, the first stay. 0 < k < n; `largest` is that of z. */
static void NAME(keep_largest)(T *z, size_t n, size_t k, T largest) {
    vec least = NAME(splat)(largest);
    for (size_t i = 0; i < n; i += LANES) least = NAME(at_most)(least, NAME(load)(z + i, n - i, largest));
    /* More than k are above `low`, fewer than k above `high`, until a gap right below the k-th largest is hit or the
     * k-th largest itself is left. Halving the numbers is quick where they spread evenly, halving the keys is sure. */
    NAME(key) low = NAME(key_of)(-NAME(largest)(-least)) - 1, high = NAME(key_of)(largest);
    size_t ties = 0;
    T bound;
    for (int round = 0;; round++) {
        if (high - low <= 1) {
            bound = NAME(number_of)(high);
            ties = k - NAME(count_above)(z, n, bound);
            break;
        }
        NAME(key) middle = low + (high - low) / 2;
        if (round < 16) {
            const NAME(key) half = NAME(key_of)(NAME(number_of)(low) / 2 + NAME(number_of)(high) / 2);
            if (half > low && half < high) middle = half;
        }
        bound = NAME(number_of)(middle);
        const size_t above = NAME(count_above)(z, n, bound);
        if (above == k) break;
        if (above > k) low = middle;
        else high = middle;
    }
    const vec out = NAME(splat)(-(T)INFINITY);
    if (!ties) {
        for (size_t i = 0; i < n; i += LANES) {
            const vec v = NAME(load)(z + i, n - i, 0);
            NAME(store)(z + i, n - i, NAME(select)((NAME(bits))(v > bound), v, out));
        }
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (z[i] > bound) continue;
        if (ties && z[i] == bound) ties--;
        else z[i] = -(T)INFINITY;
    }
}

/* ---- softmax ---- */

/* y = beta a - th; returns the largest. What overflows is taken for the largest number there is, so that no differences
 * of infinities arise. */
static inline T NAME(inhibit)(const T *a, const T *th, T beta, size_t n, T *y) {
    const vec lowest = NAME(splat)(-T_MAX), highest = NAME(splat)(T_MAX);
    vec most = NAME(splat)(-(T)INFINITY);
    for (size_t k = 0; k < n; k += LANES) {
        vec z = beta * NAME(load)(a + k, n - k, a[k]);
        if (th) z -= NAME(load)(th + k, n - k, th[k]);
        NAME(store)(y + k, n - k, z);
        most = NAME(at_least)(most, z);
    }
    const T top = NAME(largest)(most);
    if (top >= -T_MAX && top <= T_MAX) return top;
    for (size_t k = 0; k < n; k += LANES) {
        const vec z = NAME(load)(y + k, n - k, 0);
        NAME(store)(y + k, n - k, NAME(at_most)(NAME(at_least)(z, lowest), highest));
    }
    return top > 0 ? T_MAX : -T_MAX;
}

/* y = exp(y - top), the sum of which is returned. */
static inline double NAME(exponentials)(T *y, size_t n, T top) {
    double total = 0;
    for (size_t k0 = 0; k0 < n; k0 += SUM_BLOCK) {
        const size_t end = n - k0 < SUM_BLOCK ? n : k0 + SUM_BLOCK;
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

/* y = exp(beta a - th), only the k largest kept where k > 0; returns the factor that makes it sum to 1. */
static T NAME(shares)(const T *a, const T *th, T beta, size_t n, size_t k, T *y) {
    const T top = NAME(inhibit)(a, th, beta, n, y);
    if (k) NAME(keep_largest)(y, n, k, top);
    return (T)(1 / NAME(exponentials)(y, n, top));
}
