#include "norm.tmpl.h"

/* The rule as seen by one row, in T. */
typedef struct {
    T alpha, inverse_c; /* forms that relax: step towards T_ij = G_ij / c_i */
    T eta, eta_c;       /* the other forms: drive eta G_ij - eta c_i w_ij; two products, so that eta = 0 is 0 */
    T floor, exponent, slope_c, w0, bound, w_min, w_max;
    T noise; /* standard deviation of the step's noise */
} NAME(row);

static NAME(row) NAME(row_of)(const bio_plasticity *rule, double c) {
    const double alpha = -expm1(-rule->eta * fabs(c));
    return (NAME(row)){
        .alpha = (T)alpha,
        .inverse_c = NAME(fit)(1 / c),
        .eta = NAME(fit)(rule->eta),
        .eta_c = NAME(fit)(rule->eta * (rule->decay * c)),
        .floor = rule->floor < T_MIN ? T_MIN : NAME(fit)(rule->floor),
        .exponent = NAME(fit)(rule->exponent),
        .slope_c = NAME(fit)(rule->slope / c),
        .w0 = NAME(fit)(rule->w0),
        .bound = NAME(fit)(rule->bound),
        .w_min = NAME(fit)(rule->w_min),
        .w_max = NAME(fit)(rule->w_max),
        .noise = NAME(fit)(rule->sigma * sqrt(alpha * (2 - alpha))),
    };
}

/* ---- the step of each form: LANES synapses w, their Hebbian terms g and noise -> sizes, before they are clipped ----
 * `noisy` is a constant: without noise, none is added. A form that does not relax says in *from which weights give them
 * their sign; where that is 0, they stay 0. */

INLINE vec NAME(log_relaxation)(vec w, vec g, vec noise, const NAME(row) *row, const int noisy, vec *from) {
    /* (w + e)^(1 - alpha) (T + e)^alpha = (w + e) exp(alpha log((T + e) / (w + e))) */
    const vec target = NAME(at_least)(g * row->inverse_c, (vec){0}) + row->floor;
    const vec size = NAME(at_least)(w, (vec){0}) + row->floor;
    /* clamped, since alpha may be 0 and no infinity times 0 may come of it */
    const vec ratio = NAME(at_least)(NAME(at_most)(target / size, NAME(splat)(T_MAX)), NAME(splat)(T_LEAST));
    vec growth = row->alpha * NAME(log)(ratio);
    (void)from;
    if (noisy) growth += noise;
    return size * NAME(exp_factor)(growth) - row->floor;
}

/* log w before a step that makes the weight anew out of it */
INLINE vec NAME(level)(vec w) { return NAME(log)(NAME(at_least)(w, NAME(splat)((T)BIO_FAINTEST))); }

INLINE vec NAME(log_power)(vec w, vec g, vec noise, const NAME(row) *row, const int noisy, vec *from) {
    const vec target = NAME(at_least)(g * row->inverse_c, (vec){0}) + row->floor, level = NAME(level)(w);
    vec goal = level + row->alpha * (row->exponent * NAME(log)(NAME(at_most)(target, NAME(splat)(T_MAX))) - level);
    (void)from;
    if (noisy) goal += noise;
    return NAME(exp_factor)(goal);
}

INLINE vec NAME(log_covariance)(vec w, vec g, vec noise, const NAME(row) *row, const int noisy, vec *from) {
    /* clamped, as above */
    const vec top = NAME(splat)(T_MAX), z = NAME(at_least)(NAME(at_most)(g * row->slope_c, top), -top);
    const vec level = NAME(level)(w);
    vec goal = level + row->alpha * (z - level);
    (void)from;
    if (noisy) goal += noise;
    return NAME(exp_factor)(goal);
}

INLINE vec NAME(exponential)(vec w, vec g, vec noise, const NAME(row) *row, const int noisy, vec *from) {
    const vec drive = row->eta * g - row->eta_c * w;
    const vec most = NAME(splat)(row->bound), bounded = NAME(at_least)(NAME(at_most)(drive, most), -most);
    vec growth = (vec)((NAME(bits))bounded ^ (NAME(bits))NAME(sign_bit)(w));
    *from = w;
    if (noisy) growth += noise;
    return NAME(magnitude)(w) * NAME(exp_factor)(growth);
}

INLINE vec NAME(signed)(vec w, vec g, vec noise, const NAME(row) *row, const int noisy, vec *from) {
    *from = w + (NAME(magnitude)(w) + row->w0) * (row->eta * g - row->eta_c * w);
    const vec size = NAME(magnitude)(*from);
    if (!noisy) return size;
    return NAME(at_most)(size, NAME(splat)(T_MAX)) * NAME(exp_factor)(noise); /* no infinity times 0 */
}

/* The step of a form that is a constant: what is left of the switch is one call, which is inlined. */
INLINE vec NAME(learn)(vec w, vec g, vec noise, const NAME(row) *row, const bio_form form, const int noisy, vec *from) {
#undef CASE
#define CASE(which, step, name, signs, own, nonnegative) \
    case which: return NAME(step)(w, g, noise, row, noisy, from);
    switch (form) {
        FORMS(CASE)
        default: return w;
    }
}

/* Noise of at most BLOCK synapses onto cell i. */
static void NAME(draw)(size_t i, const I *restrict columns, size_t n, bio_random key, T sd, T *restrict noise) {
    int32_t word[2][BLOCK] = {{0}};
    for (size_t l = 0; l < n; l++) {
        const bio_random r = bio_threefry((uint32_t)i, (uint32_t)columns[l], key);
        word[0][l] = (int32_t)r.word[0];
        word[1][l] = (int32_t)r.word[1];
    }
    for (size_t l = 0; l < n; l += LANES)
        *(vec *)(noise + l) = sd * NAME(normal)(*(NAME(ints) *)(word[0] + l), *(NAME(ints) *)(word[1] + l));
}

static size_t NAME(count_silent)(const T *w, size_t n, T theta) {
    vec top = {0};
    for (size_t k = 0; k < n; k += LANES) top = NAME(at_least)(top, NAME(magnitude)(NAME(load)(w + k, n - k, 0)));
    const T bound = theta * NAME(largest)(top);
    size_t count = 0;
    for (size_t k = 0; k < n; k++) count += (w[k] < 0 ? -w[k] : w[k]) < bound;
    return count;
}

/* Synapses w (n) of cell i, from the Hebbian terms g and the activity c of the cell. */
#undef ROW_ARGUMENTS
#define ROW_ARGUMENTS \
    const bio_plasticity *rule, bio_random key, size_t i, const I *indices, size_t n, T *w, const T *g, T c
typedef void (*NAME(row_fn))(ROW_ARGUMENTS);

/* Sizes within their bounds, with the signs of the weights that they come from. */
INLINE vec NAME(bounded)(vec size, vec from, T w_max, T w_min) {
    vec moved = NAME(at_most)(size, NAME(splat)(w_max));
    if (w_min > 0) {
        const vec raised = NAME(at_least)(moved, NAME(splat)(w_min));
        moved = NAME(select)((NAME(bits))(from == 0), moved, raised); /* 0 has no sign to raise */
    }
    return (vec)((NAME(bits))moved | (NAME(bits))NAME(sign_bit)(from));
}

/* form, relaxes and noisy are constants. */
INLINE void NAME(change_row)(ROW_ARGUMENTS, const bio_form form, const int relaxes, const int noisy) {
    if (relaxes && !(c >= (T)BIO_INACTIVE)) return;
    const NAME(row) row = NAME(row_of)(rule, c);
    T noise[BLOCK] = {0};
    for (size_t k = 0; k < n; k += BLOCK) {
        const size_t here = n - k < BLOCK ? n - k : BLOCK;
        if (noisy) NAME(draw)(i, indices + k, here, key, row.noise, noise);
        for (size_t l = 0; l < here; l += LANES) {
            T *at = w + k + l;
            const vec old = NAME(load)(at, here - l, 0), hebb = NAME(load)(g + k + l, here - l, 0);
            vec from = {0};
            const vec xi = noisy ? *(vec *)(noise + l) : (vec){0};
            const vec size = NAME(learn)(old, hebb, xi, &row, form, noisy, &from);
            if (relaxes) {
                const vec moved = NAME(at_most)(size, NAME(splat)(row.w_max));
                NAME(store)(at, here - l, NAME(at_least)(moved, NAME(splat)(row.w_min)));
            } else NAME(store)(at, here - l, NAME(bounded)(size, from, row.w_max, row.w_min));
        }
    }
    if (rule->normalize) NAME(unit_norm)(w, n);
}

/* One function for each form, without and with noise, each compiled for itself. */
#undef ROW_FUNCTIONS
#define ROW_FUNCTIONS(which, step, name, signs, own, nonnegative)                                       \
    static void NAME(step##_quiet)(ROW_ARGUMENTS) {                                                     \
        NAME(change_row)(rule, key, i, indices, n, w, g, c, which, ((nonnegative) & BIO_POST) != 0, 0); \
    }                                                                                                   \
    static void NAME(step##_noisy)(ROW_ARGUMENTS) {                                                     \
        NAME(change_row)(rule, key, i, indices, n, w, g, c, which, ((nonnegative) & BIO_POST) != 0, 1); \
    }
FORMS(ROW_FUNCTIONS)

static NAME(row_fn) NAME(row_function)(const bio_plasticity *rule) {
#undef ROW_PAIR
#define ROW_PAIR(which, step, name, signs, own, nonnegative) [which] = {NAME(step##_quiet), NAME(step##_noisy)},
    static const NAME(row_fn) table[BIO_N_FORMS][2] = {FORMS(ROW_PAIR)};
    return table[rule->form][rule->sigma > 0];
}

static void NAME(plasticity)(void *context, size_t begin, size_t end, size_t worker) {
    const plasticity_job *job = context;
    const NAME(row_fn) change = NAME(row_function)(job->rule);
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    size_t silent = 0;
    for (size_t i = begin; i < end; i++) {
        const size_t first = (size_t)indptr[i], n = (size_t)indptr[i + 1] - first;
        T *w = (T *)job->w->data + first;
        change(job->rule, job->key, i, indices + first, n, w, (const T *)job->g + first, ((const T *)job->c)[i]);
        if (job->theta > 0) silent += NAME(count_silent)(w, n, (T)job->theta);
    }
    job->silent[worker] += silent;
}

/* ---- event-driven: only the cells that were active, each from the samples in which it was ---- */

/* Without `event`: counts the samples in which each cell is active, and sums its rates. With it: lists them, from
 * count[i] on for cell i. */
static void NAME(list_events)(const void *activity, size_t batch, size_t n_cells, size_t *restrict count,
                              double *restrict rate, bio_event *restrict event) {
    const T *y = activity;
    for (size_t b = 0; b < batch; b++, y += n_cells)
        for (size_t i0 = 0; i0 < n_cells; i0 += LANES) {
            const size_t n = n_cells - i0 < LANES ? n_cells - i0 : LANES;
            if (!NAME(total)((NAME(bits))(NAME(load)(y + i0, n, 0) != 0))) continue;
            if (!event) { /* no branch: dense activity is counted a vector at a time */
                for (size_t i = i0; i < i0 + n; i++) {
                    rate[i] += (double)y[i];
                    count[i] += y[i] != 0;
                }
                continue;
            }
            for (size_t i = i0; i < i0 + n; i++)
                if (y[i] != 0) event[count[i]++] = (bio_event){b, (double)y[i]};
        }
}

/* g (n) = sum over the events of rate x_b, for the columns of one row; four samples at a time. */
static void NAME(gather)(const T *x, size_t n_cols, const I *restrict indices, size_t n, const bio_event *event,
                         size_t n_events, T gain, T *restrict g) {
    for (size_t k = 0; k < n; k++) g[k] = 0;
    for (size_t e = 0; e < n_events; e += 4) {
        const T *row[4];
        T rate[4];
        for (size_t s = 0; s < 4; s++) {
            const bio_event *at = event + (e + s < n_events ? e + s : e);
            row[s] = x + at->sample * n_cols;
            rate[s] = e + s < n_events ? gain * (T)at->rate : 0;
        }
        if (n_events - e == 1)
            for (size_t k = 0; k < n; k++) g[k] += rate[0] * row[0][indices[k]];
        else
            for (size_t k = 0; k < n; k++) {
                const size_t j = (size_t)indices[k];
                g[k] += (rate[0] * row[0][j] + rate[1] * row[1][j]) + (rate[2] * row[2][j] + rate[3] * row[3][j]);
            }
    }
}

/* What cells that respond alike to one sample multiply weights by: a table in place of an exponential for each synapse,
 * of which it gives every bit. */
static void NAME(factors)(const hebbian_job *job) {
    const size_t n_cols = job->w->n_cols;
    const T *x = job->x, rate = (T)job->event[0].rate;
    const NAME(row) row = NAME(row_of)(job->rule, rate);
    T *positive = job->factors, *negative = positive + n_cols;
    vec from;
    for (size_t j = 0; j < n_cols; j += LANES) {
        const vec g = rate * NAME(load)(x + j, n_cols - j, 0), one = NAME(splat)(1);
        NAME(store)(positive + j, n_cols - j, NAME(exponential)(one, g, (vec){0}, &row, 0, &from));
        NAME(store)(negative + j, n_cols - j, NAME(exponential)(-one, g, (vec){0}, &row, 0, &from));
    }
}

/* The exponential form by that table; scratch (n). */
static void NAME(multiply_row)(const hebbian_job *job, const I *restrict indices, size_t n, T *restrict w,
                               T *restrict scratch) {
    const T *factors = job->factors, w_min = NAME(fit)(job->rule->w_min);
    const size_t n_cols = job->w->n_cols;
    for (size_t k = 0; k < n; k++) scratch[k] = factors[(size_t)indices[k] + (w[k] < 0 ? n_cols : 0)];
    for (size_t k = 0; k < n; k += LANES) {
        const vec old = NAME(load)(w + k, n - k, 0), size = NAME(magnitude)(old) * NAME(load)(scratch + k, n - k, 0);
        NAME(store)(w + k, n - k, NAME(bounded)(size, old, NAME(fit)(job->rule->w_max), w_min));
    }
    if (job->rule->normalize) NAME(unit_norm)(w, n);
}

static void NAME(hebbian)(void *context, size_t begin, size_t end, size_t worker) {
    const hebbian_job *job = context;
    const NAME(row_fn) change = NAME(row_function)(job->rule);
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    T *scratch = (T *)(job->scratch + worker * job->scratch_bytes);
    const int relaxes = (bio_forms[job->rule->form].nonnegative & BIO_POST) != 0;
    for (size_t u = begin; u < end; u++) {
        const size_t i = job->active[u], first = (size_t)indptr[i], n = (size_t)indptr[i + 1] - first;
        const T gain = job->gain ? ((const T *)job->gain)[i] : 1, c = (T)job->rate[i] * gain;
        if (relaxes && !(c >= (T)BIO_INACTIVE)) continue; /* else gathered in vain */
        if (job->factors) {
            NAME(multiply_row)(job, indices + first, n, (T *)job->w->data + first, scratch);
            continue;
        }
        NAME(gather)(job->x, job->w->n_cols, indices + first, n, job->event + job->start[i],
                     job->start[i + 1] - job->start[i], gain, scratch);
        change(job->rule, job->key, i, indices + first, n, (T *)job->w->data + first, scratch, c);
    }
}

/* Cells `begin` to `end`, whose Hebbian terms are there. */
static void NAME(hebbian_dense)(void *context, size_t begin, size_t end, size_t worker) {
    const hebbian_job *job = context;
    const NAME(row_fn) change = NAME(row_function)(job->rule);
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (job->start[i] == job->start[i + 1]) continue;
        const size_t first = (size_t)indptr[i], n = (size_t)indptr[i + 1] - first;
        const T gain = job->gain ? ((const T *)job->gain)[i] : 1;
        T *g = (T *)job->g + first;
        for (size_t k = 0; job->gain && k < n; k++) g[k] *= gain;
        change(job->rule, job->key, i, indices + first, n, (T *)job->w->data + first, g, (T)job->rate[i] * gain);
    }
    if (job->layout) bio_layout_refresh_rows(job->layout, job->w, begin, end);
}
