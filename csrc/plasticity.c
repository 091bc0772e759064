/* One local learning step, from given Hebbian terms or from activity. Contracts: bio.h; equations:
 * bioneuro/reference.py, plasticity_step and hebbian_step. */
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "bio.h"
#include "layout.h"
#include "parallel.h"
#include "products.h"
#include "rng.h"
#include "tiling.h"

/* Rows whose summed activity is below this did not take part in the batch. */
#define BIO_INACTIVE 1e-6
/* Weight that one of 0 counts as where its logarithm is taken. */
#define BIO_FAINTEST 1e-30
/* Largest parameter that is added to weights, or multiplies rates or logarithms: the largest float32 plus this is
 * finite. */
#define BIO_LARGEST 1e30

#define FIELD(name) #name, offsetof(bio_plasticity, name)
const bio_parameter_traits bio_parameters[BIO_N_PARAMETERS] = {
    [BIO_ETA] = {FIELD(eta), 1, 0, DBL_MAX, "a finite number >= 0"},
    [BIO_SIGMA] = {FIELD(sigma), 0, 0, DBL_MAX, "a finite number >= 0"},
    [BIO_FLOOR] = {FIELD(floor), 1e-3, DBL_TRUE_MIN, BIO_LARGEST, "a number > 0 and <= 1e30"},
    [BIO_EXPONENT] = {FIELD(exponent), 1, DBL_TRUE_MIN, BIO_LARGEST, "a number > 0 and <= 1e30"},
    [BIO_SLOPE] = {FIELD(slope), 1, 0, DBL_MAX, "a finite number >= 0"},
    [BIO_W0] = {FIELD(w0), 0, 0, BIO_LARGEST, "a number >= 0 and <= 1e30"},
    [BIO_DECAY] = {FIELD(decay), 1, 0, BIO_LARGEST, "a number >= 0 and <= 1e30"},
    [BIO_BOUND] = {FIELD(bound), INFINITY, DBL_TRUE_MIN, INFINITY, "a number > 0"},
    [BIO_W_MIN] = {FIELD(w_min), 0, 0, DBL_MAX, "a finite number >= 0"},
    [BIO_W_MAX] = {FIELD(w_max), INFINITY, 0, INFINITY, "a number >= w_min"},
    [BIO_NORMALIZE] = {FIELD(normalize), 1, 0, 1, NULL},
};

/* The forms of learning, one row each: FORM(which, its step in plasticity.tmpl.c, name, signs, parameters of its own,
 * rates that must be >= 0). All else, up to the checks of Synapses and the tests, is read from here. */
#define HAS(parameter) (1u << BIO_##parameter)
#define FORMS(FORM)                                                                                             \
    FORM(BIO_LOG_RELAXATION, log_relaxation, "log-relaxation", BIO_EXCITATORY, HAS(FLOOR), BIO_PRE | BIO_POST)  \
    FORM(BIO_LOG_POWER, log_power, "log-power", BIO_EXCITATORY, HAS(FLOOR) | HAS(EXPONENT), BIO_PRE | BIO_POST) \
    FORM(BIO_LOG_COVARIANCE, log_covariance, "log-covariance", BIO_EXCITATORY, HAS(SLOPE), BIO_POST)            \
    FORM(BIO_EXPONENTIAL, exponential, "exponential", BIO_MIXED | BIO_EXCITATORY | BIO_INHIBITORY,              \
         HAS(DECAY) | HAS(BOUND), 0)                                                                            \
    FORM(BIO_SIGNED, signed, "signed", BIO_MIXED, HAS(W0), 0)

#define COMMON (HAS(ETA) | HAS(SIGMA) | HAS(W_MIN) | HAS(W_MAX) | HAS(NORMALIZE))
#define TRAITS(which, step, name, signs, own, nonnegative) [which] = {name, signs, COMMON | (own), nonnegative},
const bio_form_traits bio_forms[BIO_N_FORMS] = {FORMS(TRAITS)};

#define SYNAPSE_NS 0.5 /* about what the step of a synapse costs */

enum {
    BLOCK = 64, /* synapses whose noise is drawn together */
    SPARSE = 16 /* activity is followed event by event where fewer than 1 in so many rates are not 0 */
};

typedef struct {
    const bio_csr *w;
    const void *g, *c;
    const bio_plasticity *rule;
    double theta;
    bio_random key; /* of this step's noise */
    size_t *silent; /* one count a worker */
} plasticity_job;

/* One active cell of one sample. */
typedef struct {
    size_t sample;
    double rate;
} bio_event;

/* A unit of work is an active cell, or where activity is dense any cell. */
typedef struct {
    const bio_csr *w;
    bio_layout *layout; /* gets the new weights, too; NULL: there is none */
    const void *x, *gain;
    void *g; /* Hebbian terms of all synapses where activity is dense; else they are gathered from the events */
    const bio_plasticity *rule;
    bio_random key;
    const size_t *active, *start; /* active cells; events of cell i: start[i] .. start[i + 1] */
    const bio_event *event;
    const double *rate; /* of each cell, summed over the batch */
    void *factors;      /* of each column, for weights > 0 and then for those < 0; NULL where cells differ in them */
    char *scratch;      /* one row a worker */
    size_t scratch_bytes;
} hebbian_job;

#define BIO_TEMPLATE "plasticity.tmpl.c"
#include "template.h"

typedef void (*events_fn)(const void *, size_t, size_t, size_t *, double *, bio_event *);

static const events_fn events_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(list_events);
static void (*const factors_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES])(const hebbian_job *) = BIO_TABLE(factors);
static const bio_task hebbian_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(hebbian);
static const bio_task dense_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(hebbian_dense);
static const bio_task table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(plasticity);

static bio_share share_out(size_t n_rows, size_t synapses, int n_threads) {
    const double row = n_rows ? (double)synapses / (double)n_rows : 0;
    return bio_share_out(n_rows, SYNAPSE_NS * row, n_threads);
}

bio_status bio_plasticity_step(const bio_csr *w, const void *g, const void *c, const bio_plasticity *rule, double theta,
                               uint64_t seed, uint64_t step, size_t *n_silent, int n_threads) {
    const bio_share share = share_out(w->n_rows, w->nnz, n_threads);
    plasticity_job job = {w, g, c, rule, theta, bio_step_key(seed, step), calloc(share.workers, sizeof(size_t))};
    if (!job.silent) return BIO_NO_MEMORY;
    bio_parallel(BIO_PICK(table, w->value, w->index), &job, share);
    *n_silent = 0;
    for (size_t t = 0; t < share.workers; t++) *n_silent += job.silent[t];
    free(job.silent);
    return BIO_OK;
}

/* Whether every active cell multiplies what a column's weights are by the same factor: one sample, to which all respond
 * alike, and no term but that of the sample. */
static int alike(const hebbian_job *job, size_t batch, size_t n_events) {
    const bio_plasticity *rule = job->rule;
    if (batch != 1 || job->gain || rule->form != BIO_EXPONENTIAL || rule->sigma > 0 || rule->decay > 0) return 0;
    for (size_t e = 1; e < n_events; e++)
        if (job->event[e].rate != job->event[0].rate) return 0;
    return n_events > 0;
}

bio_status bio_hebbian_step(const bio_csr *w, bio_layout *layout, const void *x, const void *y, const void *gain,
                            const bio_plasticity *rule, uint64_t seed, uint64_t step, size_t batch, size_t *n_changed,
                            int n_threads) {
    const size_t size = bio_value_size(w->value);
    const events_fn list_events = BIO_PICK(events_table, w->value, w->index);
    size_t *start = calloc(w->n_rows + 1, sizeof *start), *next = malloc(w->n_rows * sizeof *next);
    size_t *active = malloc(w->n_rows * sizeof *active), longest = 0, synapses = 0;
    double *rate = calloc(w->n_rows, sizeof *rate);
    bio_event *event = NULL;
    hebbian_job job = {.w = w,
                       .layout = layout,
                       .x = x,
                       .gain = gain,
                       .rule = rule,
                       .key = bio_step_key(seed, step),
                       .active = active,
                       .start = start,
                       .rate = rate};
    bio_status status = BIO_NO_MEMORY;
    *n_changed = 0;
    if (!start || !next || !active || !rate) goto done;

    list_events(y, batch, w->n_rows, start + 1, rate, NULL);
    for (size_t i = 0; i < w->n_rows; i++) {
        if (start[i + 1]) {
            const size_t n = bio_row_length(w, i);
            active[(*n_changed)++] = i;
            longest = n > longest ? n : longest;
            synapses += n;
        }
        start[i + 1] += start[i];
    }
    if (start[w->n_rows] > batch * w->n_rows / SPARSE && batch > 1) {
        if (!(job.g = bio_alloc(w->nnz * size))) goto done;
        const bio_task task = BIO_PICK(dense_table, w->value, w->index);
        status = bio_weight_grad_then(w, layout, x, y, job.g, batch, task, &job, n_threads);
        goto done;
    }
    job.event = event = malloc((start[w->n_rows] + 1) * sizeof *event);
    if (!event) goto done;
    memcpy(next, start, w->n_rows * sizeof *next);
    list_events(y, batch, w->n_rows, next, rate, event);
    if (synapses > 4 * w->n_cols && alike(&job, batch, start[w->n_rows])) {
        if (!(job.factors = bio_alloc(2 * w->n_cols * size))) goto done;
        BIO_PICK(factors_table, w->value, w->index)(&job);
    }
    const bio_share share = share_out(*n_changed, synapses, n_threads);
    job.scratch_bytes = bio_round_up((longest + BIO_ALIGN) * size, BIO_ALIGN);
    job.scratch = bio_alloc(share.workers * job.scratch_bytes);
    if (!job.scratch) goto done;
    bio_parallel(BIO_PICK(hebbian_table, w->value, w->index), &job, share);
    bio_free(job.scratch);
    if (layout) bio_layout_refresh(layout, w, n_threads);
    status = BIO_OK;
done:
    free(start);
    free(next);
    free(active);
    free(rate);
    free(event);
    bio_free(job.factors);
    bio_free(job.g);
    return status;
}
