/* Every kernel from several threads at once, each call shared with helpers: for ThreadSanitizer. See races.py.
 *
 * The pool is compiled into this file, so that it can be told never to go on alone for a while: on a busy machine that
 * is what it mostly would. */
#ifdef BUILT_CORE /* for tests: the pool of a core that is built already, which may go on alone */
#include "../csrc/parallel.h"

#include <math.h>
#include <pthread.h>
#include <stdint.h>
#define SHARE_NOW() ((void)0)
#else
#include "../csrc/parallel.c"

#include <math.h>
#define SHARE_NOW() atomic_store_explicit(&alone_until, 0, memory_order_relaxed)
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../csrc/bio.h"
#include "../csrc/simd.h"

enum { ROWS = 1200, COLS = 400, EACH = 80, NNZ = ROWS * EACH, BATCH = 96, CALLERS = 3, SIDE = 14, PATCH = 5 };
enum { PRE = 2 * PATCH * PATCH, IMAGES = 32, POSITIONS = IMAGES * SIDE * SIDE, COLUMNS = 16, GRID = 3 };

/* What all callers read, and layouts that they share, scratch and all. */
static int32_t indptr[ROWS + 1], indices[NNZ];
static float weights[NNZ], x[BATCH * COLS], dy[BATCH * ROWS], images[POSITIONS], columns[COLUMNS * PRE];
static float c[ROWS], pool[GRID * SIDE];
static bio_csr w = {ROWS, COLS, NNZ, indptr, indices, weights, BIO_FLOAT32, BIO_INT32};
static bio_layout *straight, *transposed;

typedef struct {
    float y[BATCH * ROWS], dx[BATCH * COLS], g[NNZ], learned[2][NNZ], rates[BATCH * ROWS], u[POSITIONS * PRE],
        gate[POSITIONS];
    float pooled[IMAGES * GRID * GRID * COLUMNS], pruned[NNZ], turned[2 * NNZ];
    int32_t pruned_indptr[ROWS + 1], pruned_indices[NNZ], turned_indptr[ROWS + 1], turned_indices[2 * NNZ];
    uint8_t dies[NNZ];
    double low, high;
    size_t counts[3];
} answers;

static float unit(void) {
    static uint32_t state = 1;
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) * 0x1p-24f + 0x1p-25f;
}

static void fill(float *to, size_t n) {
    for (size_t k = 0; k < n; k++) to[k] = unit();
}

static int failures; /* of calls, in one thread */

static void answer(answers *a, int n_threads) {
    const bio_plasticity rule = {BIO_LOG_COVARIANCE, 0.1, 0.1, 1e-3, 1, 1, 0, 1, INFINITY, 0, INFINITY, 1};
    const bio_retina retina = {IMAGES, SIDE, SIDE, 1, PATCH, 0.5, 0.5, 1};
    const bio_map map = {COLUMNS, 0, 5, columns, GRID, GRID, pool, pool};
    const bio_turnover_rule turnover = {0.01, 0.1, 1, 0.5, NULL, 0, 1, 1, 2};
    bio_csr mine = w;
    int bad = 0;
#define CALL(call)               \
    do {                         \
        SHARE_NOW();             \
        bad |= (call) != BIO_OK; \
    } while (0)
    CALL(bio_forward(&w, straight, x, NULL, a->y, BATCH, n_threads));
    CALL(bio_input_grad(&w, transposed, dy, a->dx, BATCH, n_threads));
    CALL(bio_weight_grad(&w, straight, x, dy, a->g, BATCH, n_threads));
    CALL(bio_backward(&w, transposed, x, dy, a->dx, a->g, BATCH, n_threads));
    CALL(bio_compete(BIO_FLOAT32, dy, 3, NULL, 20, a->rates, BATCH, ROWS, n_threads));
    memcpy(a->learned[0], weights, sizeof weights);
    memcpy(a->learned[1], weights, sizeof weights);
    mine.data = a->learned[0];
    CALL(bio_plasticity_step(&mine, a->g, c, &rule, 0.1, 1, 2, &a->counts[0], n_threads));
    mine.data = a->learned[1];
    bio_layout *own = NULL; /* it gets the new weights, too */
    CALL(bio_layout_new(&mine, 0, n_threads, &own));
    CALL(bio_hebbian_step(&mine, own, x, dy, NULL, &rule, 1, 2, BATCH, &a->counts[1], n_threads));
    CALL(bio_forward(&mine, own, x, NULL, a->y, BATCH, n_threads));
    bio_layout_free(own);
    CALL(bio_prune(&w, 0.3, a->pruned_indptr, NULL, NULL, n_threads));
    CALL(bio_prune(&w, 0.3, a->pruned_indptr, a->pruned_indices, a->pruned, n_threads));
    CALL(bio_turnover(&w, &turnover, a->dies, a->turned_indptr, NULL, NULL, &a->counts[2], n_threads));
    CALL(
        bio_turnover(&w, &turnover, a->dies, a->turned_indptr, a->turned_indices, a->turned, &a->counts[2], n_threads));
    CALL(bio_patches(BIO_FLOAT32, &retina, images, a->u, a->gate, n_threads));
    CALL(bio_minmax(BIO_FLOAT32, a->u, POSITIONS * PRE, &a->low, &a->high, n_threads));
    CALL(bio_map_forward(BIO_FLOAT32, &retina, &map, images, a->pooled, n_threads));
    if (bad) __atomic_store_n(&failures, 1, __ATOMIC_RELAXED);
}

static size_t rounds = 1;
static const answers *expected;
static size_t n_wrong;

static void *caller(void *number) {
    answers *a = malloc(sizeof *a);
    for (size_t round = 0; round < rounds; round++) {
        memset(a, 0, sizeof *a);
        answer(a, 2 + (int)(size_t)number);
        if (memcmp(a, expected, sizeof *a)) __atomic_fetch_add(&n_wrong, 1, __ATOMIC_RELAXED);
        bio_set_default_threads((int)(size_t)number + 1);
        if (bio_default_threads() < 1) __atomic_fetch_add(&n_wrong, 1, __ATOMIC_RELAXED);
    }
    free(a);
    return NULL;
}

int races(size_t n_rounds);

/* Prints rounds, regions that were shared with helpers, and answers that were not those of one thread. */
int races(size_t n_rounds) {
    rounds = n_rounds;
    for (size_t i = 0; i < ROWS; i++) {
        indptr[i + 1] = indptr[i] + EACH;
        for (size_t k = 0; k < EACH; k++) indices[i * EACH + k] = (int32_t)(k * 5 + i % 5);
    }
    fill(weights, NNZ);
    fill(x, BATCH * COLS);
    fill(dy, BATCH * ROWS);
    fill(images, POSITIONS);
    fill(columns, COLUMNS * PRE);
    fill(c, ROWS);
    fill(pool, GRID * SIDE);
    bio_select_isa(bio_best_isa());
    if (bio_layout_new(&w, 0, 1, &straight) || bio_layout_new(&w, 1, 1, &transposed)) return 2;
    answers *one = calloc(1, sizeof *one);
    answer(one, 1);
    expected = one;
    pthread_t threads[CALLERS];
    for (size_t t = 0; t < CALLERS; t++) pthread_create(&threads[t], NULL, caller, (void *)t);
    for (size_t t = 0; t < CALLERS; t++) pthread_join(threads[t], NULL);
    printf("%zu %zu %zu %d\n", CALLERS * rounds, bio_parallel_counted().shared, n_wrong, failures);
    bio_layout_free(straight);
    bio_layout_free(transposed);
    free(one);
    return n_wrong || failures;
}

int main(int n_arguments, char **arguments) { return n_arguments == 2 ? races((size_t)atol(arguments[1])) : 2; }
