/* Competition and its gradient, smallest and largest, and the vector functions that they are made of. */
#include "source.h"

#include "../../csrc/vmath.h"

static void competition(source *s, int n_threads) {
    const bio_value value = choose_value(s);
    const size_t n_cells = below(s, 64) == 0 ? 4095 + below(s, 4) : size_at_least_1(s, 40), batch = 1 + below(s, 5);
    const style style = choose_style(s);
    const double beta = boundary(s, -DBL_MAX, DBL_MAX);
    const size_t n = batch * n_cells, k = below(s, 2) ? 0 : size_at_least_1(s, 10), size = bio_value_size(value);
    void *drive = fill(s, value, n, style, 0), *y = blank(n, size), *again = copy(drive, n * size);
    void *threshold = below(s, 2) ? fill(s, value, n_cells, style, 0) : NULL;
    REQUIRE(!bio_compete(value, drive, beta, threshold, k, y, batch, n_cells, 1));
    REQUIRE(!bio_compete(value, again, beta, threshold, k, again, batch, n_cells, n_threads)); /* in place */
    REQUIRE(same(y, again, n, value));
    for (size_t b = 0; style != WILD && b < batch; b++) {
        double sum = 0;
        size_t winners = 0;
        for (size_t i = 0; i < n_cells; i++) {
            const double rate = get(value, y, b * n_cells + i);
            REQUIRE(rate >= 0 && rate <= 1.0001);
            sum += rate;
            winners += rate > 0;
        }
        REQUIRE(fabs(sum - 1) < 1e-4);
        REQUIRE(k == 0 || k >= n_cells || winners <= k);
    }
    void *dy = fill(s, value, n, choose_style(s), 0), *da = blank(n, size);
    REQUIRE(!bio_compete_grad(value, y, dy, beta, da, batch, n_cells, 1));
    REQUIRE(!bio_compete_grad(value, y, dy, beta, dy, batch, n_cells, n_threads));
    REQUIRE(same(da, dy, n, value));
    free(drive);
    free(y);
    free(again);
    free(threshold);
    free(dy);
    free(da);
}

static void extremes(source *s, int n_threads) {
    const bio_value value = choose_value(s);
    const size_t n = below(s, 4) == 0 ? below(s, 1000) : below(s, 70);
    void *x = fill(s, value, n, choose_style(s), 0);
    double low = 0, high = 0, least = INFINITY, most = -INFINITY;
    int nan = 0;
    for (size_t k = 0; k < n; k++) {
        least = fmin(least, get(value, x, k));
        most = fmax(most, get(value, x, k));
        nan |= isnan(get(value, x, k));
    }
    for (int threads = 1; threads <= n_threads; threads += n_threads - 1)
        if (CALL(s, bio_minmax(value, x, n, &low, &high, threads)))
            REQUIRE(nan ? isnan(low) && isnan(high) : low == least && high == most);
    free(x);
}

static double exactly(bio_function function, double x) {
    switch (function) {
        case BIO_EXP:
        case BIO_EXP_FACTOR: return exp(x);
        case BIO_LOG: return log(x);
        default: return sqrt(x);
    }
}

static void functions(source *s, int n_threads) {
    const bio_value value = choose_value(s);
    const bio_function function = (bio_function)below(s, BIO_N_FUNCTIONS);
    const size_t n = 1 + below(s, 40), size = bio_value_size(value);
    const limits of = limits_of(value);
    void *x = fill(s, value, n, choose_style(s), 0), *y = blank(n, size);
    const double scale = boundary(s, 0, 800);
    for (size_t k = 0; k < n; k++) set(value, x, k, get(value, x, k) * scale);
    (void)n_threads;
    bio_vmath(value, function, x, y, n);
    for (size_t k = 0; k < n; k++) {
        const double at = get(value, x, k), expected = exactly(function, at), found = get(value, y, k);
        if (function == BIO_SQRT && !(at >= of.smallest && at <= of.largest)) continue;
        if (function == BIO_EXP_FACTOR && !(fabs(expected) >= of.smallest && fabs(expected) <= of.largest)) {
            REQUIRE(isnan(at) || (found >= 0 && found <= of.largest));
            continue;
        }
        if (isnan(expected)) REQUIRE(isnan(found));
        else if (fabs(expected) > of.largest) REQUIRE(isinf(found) && found * expected > 0);
        else REQUIRE(fabs(found - expected) <= 4 * of.epsilon * fmax(fabs(expected), of.smallest));
    }
    free(x);
    free(y);
}

void execute(source *s, int n_threads) {
    void (*const families[])(source *, int) = {competition, competition, extremes, functions};
    families[below(s, 4)](s, n_threads);
}
