/* See source.h. */
#include "source.h"

#include "../../csrc/parallel.h"

/* ---- choices ---- */

uint64_t draw(source *s) { /* splitmix64 */
    uint64_t z = s->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

size_t below(source *s, size_t n) {
    size_t chosen = 0;
    for (size_t width = 1; width < n && s->left; width *= 256) {
        chosen = chosen * 256 + *s->at++;
        s->left--;
    }
    return n ? chosen % n : 0;
}

size_t size_at_least_1(source *s, size_t usual) {
    static const size_t far[] = {31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 513, 700};
    if (below(s, 16) == 0) return far[below(s, sizeof far / sizeof *far)];
    return 1 + below(s, usual);
}

double boundary(source *s, double low, double high) {
    const double tiny[] = {
        DBL_TRUE_MIN, DBL_MIN, 1e-60, FLT_TRUE_MIN, FLT_MIN, 1e-12,   1e-3,          0.5,   0.999,  1,
        1.001,        2,       30,    1e3,          1e9,     FLT_MAX, 2.0 * FLT_MAX, 1e200, DBL_MAX};
    const size_t n = sizeof tiny / sizeof *tiny, which = below(s, n + 8);
    double x = which == 0 ? low : which == 1 ? high : which < n + 2 ? tiny[which - 2] : (double)below(s, 1000) / 250;
    if (low < 0 && below(s, 2)) x = -x;
    return x < low ? low : x > high ? high : x;
}

/* ---- arrays ---- */

bio_value choose_value(source *s) { return below(s, 2) ? BIO_FLOAT64 : BIO_FLOAT32; }

style choose_style(source *s) {
    static const style often[] = {POSITIVE, SIGNED, WHOLE, EXTREME, WILD, SIGNED, POSITIVE, EXTREME};
    return often[below(s, sizeof often / sizeof *often)];
}

limits limits_of(bio_value value) {
    if (value == BIO_FLOAT64) return (limits){DBL_EPSILON, DBL_TRUE_MIN, DBL_MIN, DBL_MAX};
    return (limits){(double)FLT_EPSILON, (double)FLT_TRUE_MIN, (double)FLT_MIN, (double)FLT_MAX};
}

static double number(source *s, bio_value value, style style) {
    const uint64_t random = draw(s);
    const double unit = ((double)(random >> 40) + 0.5) * 0x1p-24;
    const limits of = limits_of(value);
    const double extremes[] = {0,     -0.0,       of.denormal, -of.denormal, of.smallest, -of.smallest,
                               1,     -1,         unit,        -unit,        1e-20,       1e20,
                               -1e20, of.largest, -of.largest, INFINITY,     -INFINITY,   NAN};
    switch (style) {
        case POSITIVE: return unit;
        case SIGNED: return 2 * unit - 1;
        case WHOLE: return random % 2 ? 0 : (double)(random / 2 % 7) - 3;
        default: return extremes[random % (style == WILD ? 18 : 15)];
    }
}

void set(bio_value value, void *array, size_t k, double x) {
    if (value == BIO_FLOAT64) ((double *)array)[k] = x;
    else ((float *)array)[k] = (float)x;
}

double get(bio_value value, const void *array, size_t k) {
    return value == BIO_FLOAT64 ? ((const double *)array)[k] : (double)((const float *)array)[k];
}

void *fill(source *s, bio_value value, size_t n, style style, int nonnegative) {
    void *array = malloc(n * bio_value_size(value));
    for (size_t k = 0; k < n; k++) {
        const double x = number(s, value, style);
        set(value, array, k, nonnegative ? fabs(x) : x);
    }
    return array;
}

int all_finite(bio_value value, const void *array, size_t n) {
    for (size_t k = 0; k < n; k++)
        if (!isfinite(get(value, array, k))) return 0;
    return 1;
}

double magnitude(bio_value value, const void *array, size_t n) {
    double most = 0;
    for (size_t k = 0; k < n; k++) most = fmax(most, fabs(get(value, array, k)));
    return most;
}

void *blank(size_t n, size_t size) {
    void *array = malloc(n * size);
    memset(array, 0xA5, n * size);
    return array;
}

void *copy(const void *array, size_t bytes) {
    void *made = malloc(bytes);
    if (bytes) memcpy(made, array, bytes);
    return made;
}

int same(const void *a, const void *b, size_t n, bio_value value) {
    const size_t size = bio_value_size(value);
    if (!n || !memcmp(a, b, n * size)) return 1;
    for (size_t k = 0; k < n; k++)
        if (memcmp((const char *)a + k * size, (const char *)b + k * size, size) &&
            !(isnan(get(value, a, k)) && isnan(get(value, b, k))))
            return 0;
    return 1;
}

size_t index_at(bio_index index, const void *array, size_t k) {
    return index == BIO_INT64 ? (size_t)((const int64_t *)array)[k] : (size_t)((const int32_t *)array)[k];
}

static void set_index(bio_index index, void *array, size_t k, size_t to) {
    if (index == BIO_INT64) ((int64_t *)array)[k] = (int64_t)to;
    else ((int32_t *)array)[k] = (int32_t)to;
}

bio_csr pathway(source *s, style style, int nonnegative) {
    const bio_value value = choose_value(s);
    const bio_index index = below(s, 2) ? BIO_INT64 : BIO_INT32;
    size_t n_rows = size_at_least_1(s, 12), n_cols = size_at_least_1(s, 20);
    if (n_rows * n_cols > 6000) n_rows = 6000 / n_cols;
    static const unsigned densities[] = {0, 2, 16, 128, 230, 256};
    const unsigned density = densities[below(s, 6)];
    size_t nnz = 0;
    uint8_t *stored = calloc(n_rows, n_cols);
    for (size_t i = 0; i < n_rows; i++) {
        if (draw(s) % 8 == 0) continue; /* an empty row now and then */
        for (size_t j = 0; j < n_cols; j++) nnz += stored[i * n_cols + j] = draw(s) % 256 < density;
    }
    void *indptr = malloc((n_rows + 1) * bio_index_size(index)), *indices = malloc(nnz * bio_index_size(index));
    size_t k = 0;
    set_index(index, indptr, 0, 0);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t j = 0; j < n_cols; j++)
            if (stored[i * n_cols + j]) set_index(index, indices, k++, j);
        set_index(index, indptr, i + 1, k);
    }
    free(stored);
    return (bio_csr){n_rows, n_cols, nnz, indptr, indices, fill(s, value, nnz, style, nonnegative), value, index};
}

bio_csr pathway_copy(const bio_csr *w) {
    bio_csr made = *w;
    const size_t size = bio_index_size(w->index);
    made.indptr = copy(w->indptr, (w->n_rows + 1) * size);
    made.indices = copy(w->indices, w->nnz * size);
    made.data = copy(w->data, w->nnz * bio_value_size(w->value));
    return made;
}

void pathway_free(const bio_csr *w) {
    free((void *)w->indptr);
    free((void *)w->indices);
    free(w->data);
}

size_t choose_batch(source *s, const bio_csr *w) {
    size_t batch = size_at_least_1(s, 20);
    while (batch > 1 && batch * (w->nnz + w->n_rows + w->n_cols) > 12000) batch /= 2;
    return batch;
}

#ifndef BUILT_CORE

/* ---- memory that runs out (the linker sends the allocations of the core here) ---- */

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);

static size_t left_to_fail;
static int failed;

void fail_allocation(size_t n) {
    left_to_fail = n;
    failed = 0;
}

int allocation_failed(void) {
    left_to_fail = 0;
    return failed;
}

static int fails(void) {
    if (!left_to_fail || --left_to_fail) return 0;
    return failed = 1;
}

void *__wrap_malloc(size_t bytes) { return fails() ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t n, size_t bytes) { return fails() ? NULL : __real_calloc(n, bytes); }
void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

/* ---- workers: one thread, which does the chunks in an order that the fuzzer chose, each as any worker ---- */

static uint64_t order;
static size_t longest_step = 1;

static void choose_order(source *s) {
    static const size_t steps[] = {1, 2, 3, 8, 17};
    order = below(s, 256);
    longest_step = steps[below(s, 5)];
}

bio_share bio_share_out(size_t n, double cost, int n_threads) {
    (void)cost;
    const size_t workers = n_threads < 1 ? 1 : (size_t)n_threads < n ? (size_t)n_threads : n;
    if (workers <= 1) return (bio_share){n, n ? n : 1, 1};
    return (bio_share){n, longest_step, workers};
}

void bio_parallel(bio_task task, void *context, bio_share share) {
    if (share.n == 0) return;
    if (share.workers <= 1) {
        task(context, 0, share.n, 0);
        return;
    }
    const size_t chunks = (share.n + share.step - 1) / share.step;
    const size_t stride = order % 2 ? chunks - 1 : 1; /* both visit every chunk once */
    for (size_t c = 0, at = order % chunks; c < chunks; c++, at = (at + (stride ? stride : 1)) % chunks) {
        const size_t begin = at * share.step, left = share.n - begin;
        task(context, begin, begin + (left < share.step ? left : share.step), (order / 2 + c * 7) % share.workers);
    }
}

int bio_default_threads(void) { return 1; }
void bio_set_default_threads(int n_threads) { (void)n_threads; }

#else /* with a core that is built already: its own memory, its own workers */

void fail_allocation(size_t n) { (void)n; }
int allocation_failed(void) { return 0; }
static void choose_order(source *s) { (void)(below(s, 256) + below(s, 5)); }

#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    source s = {bytes, n, 1};
    for (size_t k = 0; k < 4 && k < n; k++) s.state = s.state * 257 + bytes[k];
    if (bio_select_isa((bio_isa)below(&s, BIO_N_ISAS))) bio_select_isa(BIO_GENERIC);
    choose_order(&s);
    execute(&s, 2 + (int)below(&s, 3));
    return 0;
}
