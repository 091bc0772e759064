/* What is stored: checking, transposing, pruning and growing CSR structures. Contracts: bio.h. */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "bio.h"
#include "parallel.h"
#include "rng.h"

/* Rows handed out at a time when `work` synapses are spread over n_rows: below about 2^15, waking a thread costs more.
 */
static size_t row_grain(size_t n_rows, size_t work) { return (n_rows << 15) / (work + 1) + 1; }

#define BIO_TEMPLATE "structure.tmpl.c"
#include "template.h"

typedef bio_status (*validate_fn)(const bio_csr *, size_t *);
typedef bio_status (*transpose_index_fn)(const bio_csr *, void *, void *, void *);
typedef bio_status (*prune_fn)(const bio_csr *, double, void *, void *, void *, int);
typedef bio_status (*candidates_fn)(const bio_csr *, size_t, uint64_t, uint64_t, void *, void *, int);
typedef bio_status (*grow_fn)(const bio_csr *, const bio_csr *, size_t, double, void *, void *, void *, int);

static const validate_fn validate_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(validate);
static const transpose_index_fn transpose_index_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] =
    BIO_TABLE(transpose_index);
static const prune_fn prune_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(prune);
static const candidates_fn candidates_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(candidates);
static const grow_fn grow_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(grow);

bio_status bio_validate(const bio_csr *w, size_t *where) {
    return BIO_PICK(validate_table, w->value, w->index)(w, where);
}

bio_status bio_transpose_index(const bio_csr *w, void *t_indptr, void *t_indices, void *permutation) {
    return BIO_PICK(transpose_index_table, w->value, w->index)(w, t_indptr, t_indices, permutation);
}

bio_status bio_prune(const bio_csr *w, double theta, void *new_indptr, void *new_indices, void *new_data,
                     int n_threads) {
    return BIO_PICK(prune_table, w->value, w->index)(w, theta, new_indptr, new_indices, new_data, n_threads);
}

bio_status bio_candidates(const bio_csr *w, size_t n_candidates, uint64_t seed, uint64_t step, void *new_indptr,
                          void *new_indices, int n_threads) {
    return BIO_PICK(candidates_table, w->value, w->index)(w, n_candidates, seed, step, new_indptr, new_indices,
                                                          n_threads);
}

bio_status bio_grow(const bio_csr *w, const bio_csr *cand, size_t n_grow, double weight, void *new_indptr,
                    void *new_indices, void *new_data, int n_threads) {
    return BIO_PICK(grow_table, w->value, w->index)(w, cand, n_grow, weight, new_indptr, new_indices, new_data,
                                                    n_threads);
}
