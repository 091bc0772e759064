/* Products of a pathway with a batch, by layouts made for the call and by kept ones; one at a time and both at once. */
#include "source.h"

/* What a sum of products may be off by, given the sum of their sizes; what overflows or is not finite is not compared.
 */
static void require_sum(bio_value value, double found, long double sum, long double sizes, size_t n) {
    const limits of = limits_of(value);
    if (!(sizes < of.largest / 4)) return;
    REQUIRE(fabsl((long double)found - sum) <= (long double)(n + 2) * (sizes * of.epsilon + of.denormal));
}

typedef struct {
    const bio_csr *w;
    const void *x, *dy, *bias;
    size_t batch;
} inputs;

/* Against sums made one by one: a NaN anywhere else must not have reached these. */
static void require_products(const inputs *in, const void *y, const void *dx, const void *g) {
    const bio_csr *w = in->w;
    const bio_value value = w->value;
    long double *sum = calloc(w->n_cols, sizeof *sum), *sizes = calloc(w->n_cols, sizeof *sizes);
    for (size_t b = 0; b < in->batch; b++) {
        memset(sum, 0, w->n_cols * sizeof *sum);
        memset(sizes, 0, w->n_cols * sizeof *sizes);
        for (size_t i = 0; i < w->n_rows; i++) {
            const long double d = get(value, in->dy, b * w->n_rows + i);
            long double total = in->bias ? get(value, in->bias, i) : 0, size = fabsl(total);
            for (size_t k = row(w, i); k < row(w, i + 1); k++) {
                const size_t j = column(w, k);
                const long double weight = get(value, w->data, k), term = weight * get(value, in->x, b * w->n_cols + j);
                total += term;
                size += fabsl(term);
                sum[j] += weight * d;
                sizes[j] += fabsl(weight * d);
            }
            require_sum(value, get(value, y, b * w->n_rows + i), total, size, row(w, i + 1) - row(w, i));
        }
        for (size_t j = 0; j < w->n_cols; j++)
            require_sum(value, get(value, dx, b * w->n_cols + j), sum[j], sizes[j], w->n_rows);
    }
    for (size_t i = 0; i < w->n_rows; i++)
        for (size_t k = row(w, i); k < row(w, i + 1); k++) {
            long double total = 0, size = 0;
            for (size_t b = 0; b < in->batch; b++) {
                const long double term = (long double)get(value, in->dy, b * w->n_rows + i) *
                                         get(value, in->x, b * w->n_cols + column(w, k));
                total += term;
                size += fabsl(term);
            }
            require_sum(value, get(value, g, k), total, size, in->batch);
        }
    free(sum);
    free(sizes);
}

void execute(source *s, int n_threads) {
    bio_csr w = pathway(s, choose_style(s), 0);
    const bio_value value = w.value;
    const size_t size = bio_value_size(value);
    const size_t batch = choose_batch(s, &w);
    const style activity = choose_style(s);
    const size_t n_x = batch * w.n_cols, n_y = batch * w.n_rows;
    void *x = fill(s, value, n_x, activity, 0), *dy = fill(s, value, n_y, activity, 0);
    void *bias = below(s, 2) ? fill(s, value, w.n_rows, activity, 0) : NULL;
    const inputs in = {&w, x, dy, bias, batch};
    const bio_csr before = pathway_copy(&w);

    bio_layout *layout = NULL, *transposed = NULL;
    if (below(s, 2)) {
        /* made of other weights, or of none, and then refreshed */
        bio_csr other = w;
        void *weights = fill(s, value, w.nnz, WILD, 0);
        other.data = below(s, 2) ? weights : w.data;
        if (CALL(s, bio_layout_new(&other, 0, n_threads, &layout))) {
            bio_layout_refresh(layout, &w, n_threads);
            REQUIRE(bio_layout_fits(layout, &w, 0) && !bio_layout_fits(layout, &w, 1));
            REQUIRE(bio_layout_bytes(layout) > 0);
        } else REQUIRE(!layout);
        if (!CALL(s, bio_layout_new(&w, 1, n_threads, &transposed))) REQUIRE(!transposed);
        free(weights);
    }

    /* columns in 16 bits, and the rows in some order */
    uint16_t *narrow = calloc(w.nnz + 1, sizeof *narrow);
    uint32_t *order = calloc(w.n_rows, sizeof *order);
    for (size_t k = 0; k < w.nnz; k++) narrow[k] = (uint16_t)column(&w, k);
    for (size_t i = 0; i < w.n_rows; i++) order[i] = (uint32_t)(w.n_rows - 1 - i);

    void *y = blank(n_y, size), *dx = blank(n_x, size), *g = blank(w.nnz, size),
         *again = blank(n_x + n_y + w.nnz, size);
    int ok = CALL(s, bio_forward(&w, NULL, x, bias, y, batch, 1));
    ok &= CALL(s, bio_input_grad(&w, NULL, dy, dx, batch, 1));
    ok &= CALL(s, bio_weight_grad(&w, NULL, x, dy, g, batch, 1));
    if (ok) {
        require_products(&in, y, dx, g);
        w.narrow = w.n_cols <= UINT16_MAX && below(s, 2) ? narrow : NULL;
        w.order = below(s, 2) ? order : NULL;
        if (CALL(s, bio_forward(&w, layout, x, bias, again, batch, n_threads))) REQUIRE(same(y, again, n_y, value));
        if (CALL(s, bio_input_grad(&w, transposed, dy, again, batch, n_threads))) REQUIRE(same(dx, again, n_x, value));
        if (CALL(s, bio_weight_grad(&w, layout, x, dy, again, batch, n_threads))) REQUIRE(same(g, again, w.nnz, value));
        void *both = blank(w.nnz, size), *both_again = blank(w.nnz, size);
        if (CALL(s, bio_backward(&w, transposed, x, dy, again, both, batch, n_threads))) {
            REQUIRE(same(dx, again, n_x, value));
            require_products(&in, y, again, both);
            if (CALL(s, bio_backward(&w, NULL, x, dy, again, both_again, batch, 1)))
                REQUIRE(same(both, both_again, w.nnz, value) && same(dx, again, n_x, value));
        }
        free(both);
        free(both_again);
    }
    REQUIRE(same(before.data, w.data, w.nnz, value));
    free(narrow);
    free(order);
    bio_layout_free(layout);
    bio_layout_free(transposed);
    free(x);
    free(dy);
    free(bias);
    free(y);
    free(dx);
    free(g);
    free(again);
    pathway_free(&before);
    pathway_free(&w);
}
