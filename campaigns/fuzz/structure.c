/* What is stored: structures that are no structures, transposes, pruning, growth and turnover, with weights that
 * another thread changes between the two calls of each. */
#include "source.h"

/* The verdict of a plain loop. */
static int is_valid(const bio_csr *w) {
    if (row(w, 0) != 0) return 0;
    for (size_t i = 0; i < w->n_rows; i++)
        if ((int64_t)row(w, i + 1) < (int64_t)row(w, i)) return 0;
    if (row(w, w->n_rows) != w->nnz) return 0;
    for (size_t i = 0; i < w->n_rows; i++)
        for (size_t k = row(w, i); k < row(w, i + 1); k++) {
            if ((int64_t)column(w, k) < 0 || column(w, k) >= w->n_cols) return 0;
            if (k > row(w, i) && column(w, k) <= column(w, k - 1)) return 0;
        }
    return !w->data || all_finite(w->value, w->data, w->nnz);
}

/* A structure of any bytes at all, or a valid one with a few places overwritten. */
static void validation(source *s, int n_threads) {
    (void)n_threads;
    bio_csr w = pathway(s, choose_style(s), 0);
    const size_t size = bio_index_size(w.index), kind = below(s, 3);
    char *indptr = (char *)(uintptr_t)w.indptr, *indices = (char *)(uintptr_t)w.indices;
    if (kind == 2) {
        for (size_t k = 0; k < w.n_rows + 1; k++) {
            const uint64_t bits = draw(s);
            memcpy(indptr + k * size, &bits, size);
        }
    }
    for (size_t change = below(s, 4); kind && change; change--) {
        const int64_t odd[] = {-1,
                               0,
                               1,
                               INT32_MAX,
                               INT32_MIN,
                               INT64_MAX,
                               INT64_MIN,
                               (int64_t)w.n_cols,
                               (int64_t)w.nnz,
                               (int64_t)w.nnz + 1,
                               (int64_t)below(s, 65536)};
        const int64_t put = odd[below(s, 11)];
        if (w.nnz && below(s, 2)) memcpy(indices + below(s, w.nnz) * size, &put, size);
        else memcpy(indptr + below(s, w.n_rows + 1) * size, &put, size);
    }
    if (below(s, 4) == 0) {
        free(w.data);
        w.data = NULL;
    }
    size_t where = 0;
    const bio_status status = bio_validate(&w, &where);
    REQUIRE((status == BIO_OK) == is_valid(&w));
    REQUIRE(status == BIO_OK || status == BIO_INDPTR_START || status == BIO_INDPTR_FALLS || status == BIO_INDPTR_END ||
            status == BIO_INDEX_RANGE || status == BIO_INDEX_ORDER || status == BIO_DATA_NONFINITE);
    REQUIRE(status == BIO_OK || where <= (w.nnz > w.n_rows ? w.nnz : w.n_rows));
    pathway_free(&w);
}

static void transposition(source *s, int n_threads) {
    (void)n_threads;
    bio_csr w = pathway(s, POSITIVE, 0);
    const size_t size = bio_index_size(w.index);
    bio_csr t = {w.n_cols, w.n_rows, w.nnz, blank(w.n_cols + 1, size), blank(w.nnz, size), NULL, w.value, w.index};
    void *permutation = blank(w.nnz, size), *back_indptr = blank(w.n_rows + 1, size), *back = blank(w.nnz, size);
    void *there = blank(w.nnz, size);
    size_t where;
    REQUIRE(!bio_transpose_index(&w, (void *)(uintptr_t)t.indptr, (void *)(uintptr_t)t.indices, permutation));
    REQUIRE(!bio_validate(&t, &where));
    for (size_t j = 0; j < t.n_rows; j++)
        for (size_t k = row(&t, j); k < row(&t, j + 1); k++) {
            const size_t from = index_at(w.index, permutation, k), i = column(&t, k);
            REQUIRE(from < w.nnz && column(&w, from) == j && row(&w, i) <= from && from < row(&w, i + 1));
        }
    REQUIRE(!bio_transpose_index(&t, back_indptr, back, there));
    REQUIRE(!memcmp(back_indptr, w.indptr, (w.n_rows + 1) * size) && !memcmp(back, w.indices, w.nnz * size));
    free(permutation);
    free(back_indptr);
    free(back);
    free(there);
    pathway_free(&t);
    pathway_free(&w);
}

typedef enum { PRUNE, CANDIDATES, GROW, TURNOVER } change;

typedef struct {
    change change;
    double theta, weight;
    size_t n;
    uint64_t seed, step;
    bio_csr cand;
    bio_turnover_rule turnover;
    uint8_t *dies;
    size_t n_died;
} task;

static bio_status call(task *t, const bio_csr *w, void *indptr, void *indices, void *data, int n_threads) {
    switch (t->change) {
        case PRUNE: return bio_prune(w, t->theta, indptr, indices, data, n_threads);
        case CANDIDATES: return bio_candidates(w, t->n, t->seed, t->step, indptr, indices, n_threads);
        case GROW: return bio_grow(w, &t->cand, t->n, t->weight, indptr, indices, data, n_threads);
        default: return bio_turnover(w, &t->turnover, t->dies, indptr, indices, data, &t->n_died, n_threads);
    }
}

/* Both calls; the result is a structure of exactly the size that the first announced. NULL indptr: no memory. */
static bio_csr changed(source *s, task *t, const bio_csr *w, int n_threads, int meddle) {
    const size_t size = bio_index_size(w->index);
    const int with_data = t->change != CANDIDATES;
    bio_csr made = {w->n_rows, w->n_cols, 0, blank(w->n_rows + 1, size), NULL, NULL, w->value, w->index};
    if (CALL(s, call(t, w, (void *)(uintptr_t)made.indptr, NULL, NULL, n_threads))) {
        made.nnz = row(&made, w->n_rows);
        REQUIRE(made.nnz <= w->n_rows * w->n_cols);
        made.indices = blank(made.nnz, size);
        if (with_data) made.data = blank(made.nnz, bio_value_size(w->value));
        if (meddle) { /* weights, scores and times are others now, and so may be who dies */
            void *others[] = {w->data, t->cand.data, (void *)(uintptr_t)t->turnover.time};
            const size_t lengths[] = {w->nnz, t->cand.nnz, w->n_rows};
            for (size_t a = 0; a < 3; a++) {
                if (!others[a]) continue;
                void *other = fill(s, w->value, lengths[a], choose_style(s), a == 2);
                memcpy(others[a], other, lengths[a] * bio_value_size(w->value));
                free(other);
            }
            const bio_status status =
                call(t, w, (void *)(uintptr_t)made.indptr, (void *)(uintptr_t)made.indices, made.data, n_threads);
            REQUIRE(status == BIO_OK || status == BIO_CHANGED);
            return made;
        }
        if (CALL(s, call(t, w, (void *)(uintptr_t)made.indptr, (void *)(uintptr_t)made.indices, made.data, n_threads)))
            return made;
    }
    pathway_free(&made);
    return (bio_csr){.indptr = NULL};
}

static size_t stored_in(const bio_csr *w, size_t i, size_t j) { /* its place, or nnz */
    for (size_t k = row(w, i); k < row(w, i + 1); k++)
        if (column(w, k) == j) return k;
    return w->nnz;
}

static void require_change(const task *t, const bio_csr *w, const bio_csr *made, int finite) {
    size_t where, n_kept = 0, n_new = 0;
    bio_csr structure = *made;
    if (!finite) structure.data = NULL;
    REQUIRE(bio_validate(&structure, &where) == BIO_OK);
    for (size_t i = 0; i < w->n_rows; i++) {
        size_t born = 0;
        for (size_t k = row(made, i); k < row(made, i + 1); k++) {
            const size_t from = stored_in(w, i, column(made, k));
            if (from == w->nnz) {
                born++;
                continue;
            }
            n_kept++;
            REQUIRE(t->change != CANDIDATES); /* which are silent */
            const size_t size = bio_value_size(w->value);
            REQUIRE(!memcmp((char *)made->data + k * size, (char *)w->data + from * size, size));
        }
        REQUIRE(t->change != PRUNE || born == 0);
        REQUIRE((t->change != CANDIDATES && t->change != GROW) || born <= t->n);
        n_new += born;
    }
    if (t->change == GROW) REQUIRE(n_kept == w->nnz && n_new <= t->cand.nnz);
    if (t->change == TURNOVER) REQUIRE(n_kept == w->nnz - t->n_died);
}

static void changes(source *s, int n_threads) {
    task t = {.change = (change)below(s, 4), .theta = boundary(s, 0, 1), .weight = boundary(s, -DBL_MAX, DBL_MAX)};
    const style style = choose_style(s);
    bio_csr w = pathway(s, style, 0);
    const size_t size = bio_value_size(w.value);
    t.n = size_at_least_1(s, 12) - 1;
    t.seed = draw(s);
    t.step = draw(s);
    if (t.change == GROW) {
        task candidates = {.change = CANDIDATES, .n = t.n + below(s, 9), .seed = t.seed, .step = t.step};
        fail_allocation(0);
        t.cand = changed(s, &candidates, &w, 1, 0);
        if (!t.cand.indptr) {
            pathway_free(&w);
            return;
        }
        t.cand.data = fill(s, w.value, t.cand.nnz, choose_style(s), 0);
    }
    void *time = NULL;
    if (t.change == TURNOVER) {
        const limits of = limits_of(w.value);
        if (below(s, 2)) time = fill(s, w.value, w.n_rows, below(s, 2) ? POSITIVE : EXTREME, 1);
        t.turnover = (bio_turnover_rule){boundary(s, 0, DBL_MAX),
                                         boundary(s, 0, DBL_MAX),
                                         boundary(s, 0, DBL_MAX),
                                         boundary(s, of.denormal, of.largest),
                                         time,
                                         (int)below(s, 2),
                                         0, /* weights are compared with those before */
                                         t.seed,
                                         t.step};
        t.dies = blank(w.nnz, 1);
    }
    bio_csr made = changed(s, &t, &w, 1, 0);
    if (made.indptr) {
        require_change(&t, &w, &made, all_finite(w.value, w.data, w.nnz));
        const size_t n_died = t.n_died;
        bio_csr again = changed(s, &t, &w, n_threads, 0);
        if (again.indptr) {
            REQUIRE(again.nnz == made.nnz && t.n_died == n_died);
            REQUIRE(!memcmp(again.indptr, made.indptr, (w.n_rows + 1) * bio_index_size(w.index)));
            REQUIRE(!memcmp(again.indices, made.indices, made.nnz * bio_index_size(w.index)));
            REQUIRE(t.change == CANDIDATES || !memcmp(again.data, made.data, made.nnz * size));
            pathway_free(&again);
        }
        pathway_free(&made);
    }
    made = changed(s, &t, &w, n_threads, 1);
    if (made.indptr) pathway_free(&made);
    free(t.dies);
    free(time);
    if (t.change == GROW) pathway_free(&t.cand);
    pathway_free(&w);
}

void execute(source *s, int n_threads) {
    void (*const families[])(source *, int) = {validation, transposition, changes, changes, changes, changes};
    families[below(s, 6)](s, n_threads);
}
