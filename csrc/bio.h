/* The vocabulary of the C core: types, status codes, the CSR view, and one contract for each kernel.
 *
 * Rules that hold for every kernel
 *   - No kernel file includes Python.h; none touches a Python object. The binding has released the GIL.
 *   - Arrays are C-contiguous and aligned; X, Y, dY are batch-major, (batch, features).
 *   - A CSR view is trusted: bio_validate() was called when it was built.
 *   - Outputs never alias inputs unless the contract says so; outputs are overwritten, never accumulated into.
 *   - Work is split into disjoint outputs, so any n_threads >= 1 gives bit-identical results.
 *   - Memory is the caller's; what a kernel allocates for itself it frees. Nothing aborts.
 */
#ifndef BIO_H
#define BIO_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    BIO_OK = 0,
    BIO_NO_MEMORY,
    /* bio_validate: what is wrong with a CSR structure; *where is the offending position */
    BIO_INDPTR_START,   /* indptr[0] is not 0 */
    BIO_INDPTR_FALLS,   /* indptr[where] < indptr[where - 1] */
    BIO_INDPTR_END,     /* indptr[-1] is not nnz */
    BIO_INDEX_RANGE,    /* indices[where] is outside [0, n_cols) */
    BIO_INDEX_ORDER,    /* indices[where] <= indices[where - 1] in the same row */
    BIO_DATA_NONFINITE, /* data[where] is NaN or infinite */
    BIO_INDEX_OVERFLOW, /* bio_turnover: more synapses than the index type can count */
    BIO_CHANGED,        /* what a kernel read twice had changed: another thread writes to it */
} bio_status;

typedef enum { BIO_FLOAT32, BIO_FLOAT64, BIO_N_VALUES } bio_value;
typedef enum { BIO_INT32, BIO_INT64, BIO_N_INDICES } bio_index;

/* Bytes of one. */
static inline size_t bio_value_size(bio_value value) { return value == BIO_FLOAT64 ? sizeof(double) : sizeof(float); }
static inline size_t bio_index_size(bio_index index) { return index == BIO_INT64 ? sizeof(int64_t) : sizeof(int32_t); }

/* A borrowed CSR matrix: row i is post-synaptic cell i, column j is pre-synaptic cell j.
 * indptr (n_rows + 1) and indices (nnz) are of type `index`, data (nnz) of type `value`.
 * Columns of a row rise strictly. data is NULL where only the structure counts.
 * narrow and order may be NULL; products with few samples are faster with them. */
typedef struct {
    size_t n_rows, n_cols, nnz;
    const void *indptr, *indices;
    void *data;
    bio_value value;
    bio_index index;
    const uint16_t *narrow; /* (nnz) the indices in 16 bits */
    const uint32_t *order;  /* (n_rows) in which order rows are taken: neighbours as long as each other */
} bio_csr;

/* Synapses of cell i. */
static inline size_t bio_row_length(const bio_csr *w, size_t i) {
    return w->index == BIO_INT64 ? (size_t)(((const int64_t *)w->indptr)[i + 1] - ((const int64_t *)w->indptr)[i])
                                 : (size_t)(((const int32_t *)w->indptr)[i + 1] - ((const int32_t *)w->indptr)[i]);
}

/* ---- layout.c: a block-major copy of a pathway ------------------------------------------------------------- */

/* What the batched products run on; see layout.h. Made once for a structure, refreshed when weights have changed. */
typedef struct bio_layout bio_layout;

/* A layout of w, or of its transpose; without weights where w->data is NULL. *layout is NULL on failure.
 * O(nnz). Memory: 2 + sizeof(value) bytes a synapse, and sizeof(index) more in a transpose, runs padded to 4 places, 4
 * bytes for each row and block, and 8 for each row. */
bio_status bio_layout_new(const bio_csr *w, int transposed, int n_threads, bio_layout **layout);
void bio_layout_free(bio_layout *layout);

/* Takes the weights of w, whose structure must be the one the layout was made for. O(nnz). */
void bio_layout_refresh(bio_layout *layout, const bio_csr *w, int n_threads);

/* Whether the layout is the right way round and has the size of w. (That it was made of w's structure, the caller must
 * know.) */
int bio_layout_fits(const bio_layout *layout, const bio_csr *w, int transposed);

/* Memory that it holds. */
size_t bio_layout_bytes(const bio_layout *layout);

/* ---- products.c: drive and its gradients -------------------------------------------------------------------- */

/* Batches of so many samples at most need no layout: they are faster without. */
typedef struct {
    size_t forward, input_grad, weight_grad; /* backward: as input_grad */
} bio_few_samples;
bio_few_samples bio_few(bio_value value, size_t n_cols);

/* In all of them: 2 nnz batch flops a product. `layout`, which must be fresh, is that of w (forward, weight_grad) or of
 * its transpose (input_grad, backward); NULL: one is made for the call, if it needs one.
 * Scratch: (gathered features + 2 chunks of rows) x one tile of samples a thread, and for g one more array like it;
 * the layout keeps it for the next call. Calls may share a layout. With few samples: all cells x all samples. */

/* y (batch, n_rows) = x (batch, n_cols) W^T + bias (n_rows, or NULL).
 * Every y is one chain of multiply-adds in column order: it does not depend on batch, tile or thread. */
bio_status bio_forward(const bio_csr *w, bio_layout *layout, const void *x, const void *bias, void *y, size_t batch,
                       int n_threads);

/* dx (batch, n_cols) = dy (batch, n_rows) W. Every dx is one chain in row order, as above. With few samples rows whose
 * dy are all 0 are left out: only the sign of a 0 can tell. */
bio_status bio_input_grad(const bio_csr *w, bio_layout *layout, const void *dy, void *dx, size_t batch, int n_threads);

/* g (nnz) with g_ij = sum_b dy_bi x_bj on the pattern of w (w->data is not read; w->value is the type of x, dy, g).
 * Sums over the batch are blocked: one tile of samples at a time. */
bio_status bio_weight_grad(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *g, size_t batch,
                           int n_threads);

/* input_grad and weight_grad in one pass, which reads dy once for both. g may differ from bio_weight_grad's in the last
 * digits, as the order of its sums differs; dx may not. */
bio_status bio_backward(const bio_csr *w, bio_layout *layout, const void *x, const void *dy, void *dx, void *g,
                        size_t batch, int n_threads);

/* ---- compete.c: divisive inhibition ------------------------------------------------------------------------ */

/* y (batch, n_cells) = softmax(beta drive - threshold (n_cells, or NULL)) along the cells; y may be drive itself.
 * 0 < k < n_cells: only the k cells of largest beta a - th share it, ties go to the lower index, the rest are 0.
 * k = 0 or k >= n_cells: softmax over all. Finite input gives finite output (the maximum is subtracted first). */
bio_status bio_compete(bio_value value, const void *drive, double beta, const void *threshold, size_t k, void *y,
                       size_t batch, size_t n_cells, int n_threads);

/* da (batch, n_cells) = beta y (dy - sum_i y_i dy_i); da may be dy itself. */
bio_status bio_compete_grad(bio_value value, const void *y, const void *dy, double beta, void *da, size_t batch,
                            size_t n_cells, int n_threads);

/* ---- plasticity.c: one local learning step ----------------------------------------------------------------- */

typedef enum {
    BIO_LOG_RELAXATION,
    BIO_LOG_POWER,
    BIO_LOG_COVARIANCE,
    BIO_EXPONENTIAL,
    BIO_SIGNED,
    BIO_N_FORMS
} bio_form;

typedef struct {
    bio_form form;
    double eta;          /* learning rate, >= 0 */
    double sigma;        /* stationary sd of log w that the noise alone gives, >= 0; 0: no noise is drawn */
    double floor;        /* e of log(w + e) and of log(T + e), > 0 and <= 1e30 */
    double exponent;     /* p of the log-power form, > 0 and <= 1e30 */
    double slope;        /* of log w over the standardised covariance, in the log-covariance form, >= 0 */
    double w0;           /* additive part of the signed form, >= 0 and <= 1e30 */
    double decay;        /* share of the c w term in the exponential form, >= 0 and <= 1e30; 0: none */
    double bound;        /* largest change of log |w| but for noise, in the exponential form, > 0 */
    double w_min, w_max; /* bounds of |w|, 0 <= w_min <= w_max */
    int normalize;       /* divide each changed row by its Euclidean norm */
} bio_plasticity;

/* The fields of bio_plasticity after `form`, in their order. */
typedef enum {
    BIO_ETA,
    BIO_SIGMA,
    BIO_FLOOR,
    BIO_EXPONENT,
    BIO_SLOPE,
    BIO_W0,
    BIO_DECAY,
    BIO_BOUND,
    BIO_W_MIN,
    BIO_W_MAX,
    BIO_NORMALIZE,
    BIO_N_PARAMETERS
} bio_parameter;

/* What a parameter may be, for whoever checks it: a number in [low, high], or (expected NULL) an int, 0 or 1. */
typedef struct {
    const char *name;
    size_t offset; /* in bio_plasticity */
    double usual;  /* where none is given */
    double low, high;
    const char *expected; /* the bounds in words */
} bio_parameter_traits;

/* Signs of a pathway. */
enum { BIO_MIXED = 1, BIO_EXCITATORY = 2, BIO_INHIBITORY = 4 };

/* Rates that a form needs to be >= 0. BIO_POST (c, y and gain): of the cells that learn, since the form relaxes towards
 * what they saw by a share 1 - exp(-eta c); where c < 1e-6 the row is left as it is. BIO_PRE (g and x): of their input,
 * since the form takes its logarithm. The other forms follow the drive eta (g - c w), which must be finite. */
enum { BIO_PRE = 1, BIO_POST = 2 };

/* What a form of learning is to the rest of the library. */
typedef struct {
    const char *name;
    unsigned signs;       /* of the pathways it is defined on: a set of the above */
    unsigned parameters;  /* which it has: bits 1 << bio_parameter */
    unsigned nonnegative; /* BIO_PRE, BIO_POST */
} bio_form_traits;

extern const bio_parameter_traits bio_parameters[BIO_N_PARAMETERS];
extern const bio_form_traits bio_forms[BIO_N_FORMS];

/* Changes w->data (nnz) in place from g (nnz) and c (n_rows), both of w->value; equations in bioneuro/reference.py,
 * plasticity_step. *n_silent = number of synapses with |w| < theta x the row's maximum after the step, 0 <= theta <= 1.
 * Noise is keyed by (seed, step, row, column), never by position or thread. O(nnz); scratch: one counter a worker. */
bio_status bio_plasticity_step(const bio_csr *w, const void *g, const void *c, const bio_plasticity *rule, double theta,
                               uint64_t seed, uint64_t step, size_t *n_silent, int n_threads);

/* The same straight from activity: for each cell i that is active in the batch, y_bi != 0 for some b, the step with
 * g_ij = gain_i sum_b y_bi x_bj and c_i = gain_i sum_b y_bi (gain (n_rows), or NULL: 1); silent cells are left as they
 * are. x (batch, n_cols), y (batch, n_rows); *n_changed = number of active cells.
 * Where few are active, O(active (sample, cell) pairs x synapses of a cell); else as weight_grad, whose sums are used
 * up chunk by chunk while they are in the cache. `layout` (NULL: none), which nobody else may use meanwhile, gets the
 * new weights, too. */
bio_status bio_hebbian_step(const bio_csr *w, bio_layout *layout, const void *x, const void *y, const void *gain,
                            const bio_plasticity *rule, uint64_t seed, uint64_t step, size_t batch, size_t *n_changed,
                            int n_threads);

/* ---- normalize.c: synaptic scaling ---------------------------------------------------------------------------- */

/* Divides each row of w->data (nnz) by its Euclidean norm, in place, as the steps above do; rows of zeros stay. O(nnz),
 * no scratch. */
void bio_normalize_rows(const bio_csr *w, int n_threads);

/* ---- minmax.c ------------------------------------------------------------------------------------------------ */

/* Smallest and largest of x (n); both NaN where one of them is; inf and -inf where n = 0. */
bio_status bio_minmax(bio_value value, const void *x, size_t n, double *low, double *high, int n_threads);

/* ---- structure.c: what is stored ------------------------------------------------------------------------------ */

/* BIO_OK, or the first fault found (indptr first, then indices, then data) with its position in *where. O(nnz). */
bio_status bio_validate(const bio_csr *w, size_t *where);

/* CSR structure of W^T: t_indptr (n_cols + 1), t_indices (nnz), permutation (nnz) with data_T[k] =
 * data[permutation[k]], all of w->index. Rows of W^T are sorted. O(nnz + n_cols). */
bio_status bio_transpose_index(const bio_csr *w, void *t_indptr, void *t_indices, void *permutation);

/* Two calls: with new_indices = NULL fills new_indptr (n_rows + 1, of w->index) for the synapses with
 * |w| >= theta x the row's maximum; then with arrays of new_indptr[n_rows] places copies them. O(nnz).
 * BIO_CHANGED, here and below, from the second call: what it read was not what the first had counted, since another
 * thread writes to it. Nothing was written past the end of a row, but the result is invalid. */
bio_status bio_prune(const bio_csr *w, double theta, void *new_indptr, void *new_indices, void *new_data,
                     int n_threads);

/* Two calls, as bio_prune: random silent columns of each row, at most n_candidates, sorted and unique
 * (draws: bioneuro/reference.py, candidates). w->data is not read.
 * O(nnz + n_rows (n_candidates + n_cols / 64)); scratch: n_cols bits a worker. */
bio_status bio_candidates(const bio_csr *w, size_t n_candidates, uint64_t seed, uint64_t step, void *new_indptr,
                          void *new_indices, int n_threads);

/* Two calls, as bio_prune: w with, in each row, the n_grow candidates of highest score > 0 added at
 * weight x the row's maximum (weight itself in an empty row; saturated, never infinite). cand is disjoint from w;
 * cand->data (of w->value) holds the scores. */
bio_status bio_grow(const bio_csr *w, const bio_csr *cand, size_t n_grow, double weight, void *new_indptr,
                    void *new_indices, void *new_data, int n_threads);

typedef struct {
    double birth, death; /* rates, >= 0 */
    double gamma;        /* how much longer strong synapses live, >= 0 */
    double size;         /* |w| at which the hazard is `death`, and that of newborns; > 0 and finite as a w->value */
    const void *time;    /* (n_rows) of w->value, >= 0: how much time passes for each cell; NULL: 1 for all */
    int inhibitory;      /* newborns are negative */
    int normalize;       /* then rows are scaled to unit norm, as by bio_normalize_rows */
    uint64_t seed, step; /* key of the draws */
} bio_turnover_rule;

/* Two calls, as bio_prune: w after births and deaths. A stored synapse dies with probability
 * 1 - exp(-death time_i (|w_ij| / size)^-gamma); a pair that is not stored is born, at weight `size`, with probability
 * 1 - exp(-birth time_i). Each draw is keyed by (seed, step, row, column) or, for births, (seed, step, row, number of
 * the draw): bioneuro/reference.py, turnover. What is computed is double precision for either value type.
 * n_cols < 2^32. dies (nnz bytes) is filled by the first call and read by the second, but for rows for which no time
 * passes; *n_died is set by the first. The second is not needed where nobody died and new_indptr[n_rows] is nnz.
 * BIO_INDEX_OVERFLOW: new_indptr cannot hold the result. O(nnz + n_rows + births); no scratch. */
bio_status bio_turnover(const bio_csr *w, const bio_turnover_rule *rule, uint8_t *dies, void *new_indptr,
                        void *new_indices, void *new_data, size_t *n_died, int n_threads);

/* ---- patches.c: the retina --------------------------------------------------------------------------------- */

typedef struct {
    size_t batch, height, width, channels, patch_size;
    double c0;            /* semi-saturation of the divisive normalisation, > 0 */
    double g0;            /* semi-saturation of the gate, > 0 */
    double gate_exponent; /* how steep the gate is, in (0, 8] */
} bio_retina;

/* r (batch, height, width, channels) -> u (batch height width, 2 p p channels), gate (batch height width).
 * Equations: bioneuro/reference.py, patches. Scratch: p padded rows of an image a worker. */
bio_status bio_patches(bio_value value, const bio_retina *retina, const void *r, void *u, void *gate, int n_threads);

/* dr (like r), given du (like u) and dgate (like gate). Split over images; scratch: a padded image a worker. */
bio_status bio_patches_grad(bio_value value, const bio_retina *retina, const void *r, const void *du, const void *dgate,
                            void *dr, int n_threads);

/* ---- map.c: the feature map in one pass ---------------------------------------------------------------------- */

typedef struct {
    size_t n_columns, k; /* cells at each position; how many of them win (0: softmax over all) */
    double beta;
    const void *weights;               /* (n_columns, 2 p p channels), dense */
    size_t grid_rows, grid_cols;       /* pooling windows */
    const void *pool_rows, *pool_cols; /* (grid_rows, height), (grid_cols, width): the share each window sees */
} bio_map;

/* r (batch, height, width, channels) -> pooled (batch, grid_rows, grid_cols, n_columns) = sum over positions (y, x) of
 * pool_rows[., y] pool_cols[., x] gate softmax(beta weights u), u and gate as in bio_patches. Split over images.
 * Scratch: one row of positions a worker. */
bio_status bio_map_forward(bio_value value, const bio_retina *retina, const bio_map *map, const void *r, void *pooled,
                           int n_threads);

#endif
