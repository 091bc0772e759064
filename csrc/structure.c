/* What is stored: checking, transposing, pruning and growing CSR structures. Contracts: bio.h. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bio.h"
#include "norm.h"
#include "parallel.h"
#include "rng.h"

/* Rows, where `work` synapses at about 1 ns are spread over them. */
static bio_share share_rows(size_t n_rows, size_t work, int n_threads) {
    return bio_share_out(n_rows, (double)work / (double)n_rows, n_threads);
}

/* Set by any worker of a second call that finds less than the first had counted. */
static void has_changed(int *changed) { __atomic_store_n(changed, 1, __ATOMIC_RELAXED); }

/* ---- turnover: its draws ---- */

enum {
    DEATHS, /* streams */
    BIRTHS,
    BINS = 256, /* of the leading bits of a draw */
    BLOCK = 64  /* draws made together */
};

/* The shortest lifetime that is drawn, less a margin for rounding. */
#define SHORTEST (0x1p-53 * (1 - 1e-6))

/* A lifetime of mean 1. */
static double lifetime(bio_random random) { return -log(bio_uniform(random)); }

/* The first column >= from at which the draw lets a synapse be born, or n_cols: what is skipped is geometric, so that
 * every column is hit with probability 1 - exp(-rate) for itself. */
static size_t next_birth(bio_random random, double rate, size_t from, size_t n_cols) {
    const double skipped = lifetime(random) / rate;
    return skipped < (double)(n_cols - from) ? from + (size_t)skipped : n_cols;
}

/* For each bin of draws, a bound on E^(-1 / gamma) over its lifetimes E. With reach_of(), a bound on the |w| of the
 * synapses that die by such a draw, which spares most of them a logarithm and a power. The margin is for rounding. */
static void fill_bounds(double gamma, double *bound) {
    for (size_t b = 0; b < BINS; b++) bound[b] = pow(log(BINS / (double)(b + 1)), -1 / gamma) * (1 + 1e-6);
}

/* size rate^(1 / gamma); infinity, so that every synapse is looked at, where that is not to be relied on. */
static double reach_of(double size, double rate, double gamma) {
    const double reach = gamma < 1e-3 ? INFINITY : size * pow(rate, 1 / gamma);
    return reach > 1e-290 ? reach : INFINITY;
}

#define BIO_TEMPLATE "structure.tmpl.c"
#include "template.h"

typedef bio_status (*validate_fn)(const bio_csr *, size_t *);
typedef bio_status (*transpose_index_fn)(const bio_csr *, void *, void *, void *);
typedef bio_status (*prune_fn)(const bio_csr *, double, void *, void *, void *, int);
typedef bio_status (*candidates_fn)(const bio_csr *, size_t, uint64_t, uint64_t, void *, void *, int);
typedef bio_status (*grow_fn)(const bio_csr *, const bio_csr *, size_t, double, void *, void *, void *, int);
typedef bio_status (*turnover_fn)(const bio_csr *, const bio_turnover_rule *, uint8_t *, void *, void *, void *,
                                  size_t *, int);

static const validate_fn validate_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(validate);
static const transpose_index_fn transpose_index_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] =
    BIO_TABLE(transpose_index);
static const prune_fn prune_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(prune);
static const candidates_fn candidates_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(candidates);
static const grow_fn grow_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(grow);
static const turnover_fn turnover_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(turnover);

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

bio_status bio_turnover(const bio_csr *w, const bio_turnover_rule *rule, uint8_t *dies, void *new_indptr,
                        void *new_indices, void *new_data, size_t *n_died, int n_threads) {
    return BIO_PICK(turnover_table, w->value, w->index)(w, rule, dies, new_indptr, new_indices, new_data, n_died,
                                                        n_threads);
}
