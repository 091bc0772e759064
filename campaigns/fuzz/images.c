/* The retina, its gradient, and the feature map in one pass. */
#include "source.h"

void execute(source *s, int n_threads) {
    const bio_value value = choose_value(s);
    const size_t size = bio_value_size(value);
    bio_retina retina = {.batch = 1 + below(s, 2), .height = 1 + below(s, 7), .width = 1 + below(s, 7)};
    retina.channels = 1 + below(s, 3);
    retina.patch_size = 1 + below(s, 8); /* larger than the image, too */
    retina.c0 = boundary(s, DBL_TRUE_MIN, DBL_MAX);
    retina.g0 = boundary(s, DBL_TRUE_MIN, DBL_MAX);
    retina.gate_exponent = boundary(s, DBL_TRUE_MIN, 8);
    const style style = choose_style(s);
    const int ordinary = style != WILD && style != EXTREME && retina.c0 < 1e30 && retina.g0 < 1e4 && retina.g0 > 1e-4;
    const size_t places = retina.batch * retina.height * retina.width, n_r = places * retina.channels;
    const size_t n_pre = 2 * retina.patch_size * retina.patch_size * retina.channels, n_u = places * n_pre;
    void *r = fill(s, value, n_r, style, 0), *u = blank(n_u, size), *gate = blank(places, size);
    void *u_again = blank(n_u, size), *gate_again = blank(places, size);
    if (CALL(s, bio_patches(value, &retina, r, u, gate, 1))) {
        if (CALL(s, bio_patches(value, &retina, r, u_again, gate_again, n_threads)))
            REQUIRE(same(u, u_again, n_u, value) && same(gate, gate_again, places, value));
        for (size_t k = 0; ordinary && k < n_u; k++) REQUIRE(get(value, u, k) >= 0 && get(value, u, k) <= 1.001);
        for (size_t k = 0; ordinary && k < places; k++) {
            REQUIRE(get(value, gate, k) >= 0 && get(value, gate, k) <= 1);
        }
    }
    if (below(s, 2)) {
        void *du = fill(s, value, n_u, choose_style(s), 0), *dgate = fill(s, value, places, choose_style(s), 0);
        void *dr = blank(n_r, size), *dr_again = blank(n_r, size);
        const int finite = ordinary && magnitude(value, du, n_u) <= 3 && magnitude(value, dgate, places) <= 3;
        if (CALL(s, bio_patches_grad(value, &retina, r, du, dgate, dr, 1))) {
            REQUIRE(!finite || !all_finite(value, du, n_u) || !all_finite(value, dgate, places) ||
                    all_finite(value, dr, n_r));
            if (CALL(s, bio_patches_grad(value, &retina, r, du, dgate, dr_again, n_threads)))
                REQUIRE(same(dr, dr_again, n_r, value));
        }
        free(du);
        free(dgate);
        free(dr);
        free(dr_again);
    } else {
        bio_map map = {.n_columns = size_at_least_1(s, 20), .beta = boundary(s, -1e6, 1e6)};
        map.k = below(s, 2) ? 0 : below(s, map.n_columns);
        map.grid_rows = 1 + below(s, 3);
        map.grid_cols = 1 + below(s, 3);
        void *weights = fill(s, value, map.n_columns * n_pre, choose_style(s), 0);
        void *rows = fill(s, value, map.grid_rows * retina.height, WHOLE, 1);
        void *cols = fill(s, value, map.grid_cols * retina.width, WHOLE, 1);
        map.weights = weights;
        map.pool_rows = rows;
        map.pool_cols = cols;
        const size_t n_pooled = retina.batch * map.grid_rows * map.grid_cols * map.n_columns;
        void *pooled = blank(n_pooled, size), *again = blank(n_pooled, size);
        if (CALL(s, bio_map_forward(value, &retina, &map, r, pooled, 1))) {
            if (ordinary && magnitude(value, weights, map.n_columns * n_pre) <= 3 &&
                all_finite(value, weights, map.n_columns * n_pre))
                for (size_t k = 0; k < n_pooled; k++)
                    REQUIRE(get(value, pooled, k) >= 0 && isfinite(get(value, pooled, k)));
            if (CALL(s, bio_map_forward(value, &retina, &map, r, again, n_threads)))
                REQUIRE(same(pooled, again, n_pooled, value));
        }
        free(weights);
        free(rows);
        free(cols);
        free(pooled);
        free(again);
    }
    free(r);
    free(u);
    free(gate);
    free(u_again);
    free(gate_again);
}
