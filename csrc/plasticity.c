/* One local learning step on the stored synapses. Contract: bio.h; equations: bioneuro/reference.py, plasticity_step.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bio.h"
#include "parallel.h"
#include "rng.h"

/* Rows whose summed activity is below this did not take part in the batch. */
#define BIO_INACTIVE 1e-6

enum {
    CHUNK = 16384, /* synapses handed out at a time; fewer stay serial */
    BLOCK = 64     /* synapses whose noise is drawn together */
};

typedef struct {
    const bio_csr *w;
    const void *g, *c;
    const bio_plasticity *rule;
    size_t *silent; /* one count a worker */
} plasticity_job;

#define BIO_TEMPLATE "plasticity.tmpl.c"
#include "template.h"

static const bio_task table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(plasticity);

bio_status bio_plasticity_step(const bio_csr *w, const void *g, const void *c, const bio_plasticity *rule,
                               size_t *n_silent, int n_threads) {
    const size_t per_row = w->n_rows ? w->nnz / w->n_rows + 1 : 1, grain = CHUNK / per_row + 1;
    const size_t workers = bio_workers(w->n_rows, grain, n_threads);
    plasticity_job job = {w, g, c, rule, calloc(workers, sizeof(size_t))};
    if (!job.silent) return BIO_NO_MEMORY;
    bio_parallel(BIO_PICK(table, w->value, w->index), &job, w->n_rows, grain, n_threads);
    *n_silent = 0;
    for (size_t t = 0; t < workers; t++) *n_silent += job.silent[t];
    free(job.silent);
    return BIO_OK;
}
