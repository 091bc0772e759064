/* Building block-major layouts, and moving values between them and CSR. Contracts: bio.h, layout.h. */
#include "layout.h"

#include <stdlib.h>

#include "alloc.h"
#include "parallel.h"
#include "simd.h"
#include "tiling.h"

typedef struct {
    const bio_csr *w;
    bio_layout *layout;
    size_t **scratch; /* fill of a transpose, of each worker: next place of each run of a unit */
} transfer_job;

/* Rows of tile t in the order of their runs' lengths, so that a loop over one mostly ends after as many turns as that
 * over the last, which a processor foresees: otherwise each run wastes the time of 4 to 8 synapses. */
static void sort_runs(bio_layout *layout, size_t t) {
    enum { LONG = 256 }; /* where it does not matter */
    const size_t top = t / layout->n_blocks * layout->chunk, left = layout->n_rows - top;
    const size_t n_rows = left < layout->chunk ? left : layout->chunk;
    const uint16_t *length = layout->length + t * layout->chunk;
    uint16_t *row = layout->row + t * layout->chunk;
    size_t next[LONG + 1] = {0};
    for (size_t r = 0; r < n_rows; r++) next[length[r] < LONG ? length[r] + 1 : LONG]++;
    for (size_t n = 1; n < LONG; n++) next[n] += next[n - 1];
    for (size_t r = 0; r < n_rows; r++) row[next[length[r] < LONG - 1 ? length[r] : LONG - 1]++] = (uint16_t)r;
    for (size_t r = n_rows; r < layout->chunk; r++) row[r] = (uint16_t)r;
}

/* next[row] = first place of the run of each row of tile t */
static void find_runs(const bio_layout *layout, size_t t, size_t *next) {
    const uint16_t *length = layout->length + t * layout->chunk, *row = layout->row + t * layout->chunk;
    size_t place = layout->start[t];
    for (size_t r = 0; r < layout->chunk; r++) {
        next[row[r]] = place;
        place += bio_padded(length[row[r]]);
    }
}

#define BIO_TEMPLATE "layout.tmpl.c"
#include "template.h"

static const bio_task count_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(count);
static const bio_task fill_table[][BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = {BIO_TABLE(fill),
                                                                               BIO_TABLE(fill_transpose)};
static const bio_task refresh_table[][BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = {BIO_TABLE(refresh),
                                                                                  BIO_TABLE(refresh_transpose)};
static bio_deposit *const deposit_table[BIO_N_ISAS][BIO_N_VALUES][BIO_N_INDICES] = BIO_TABLE(deposit);

#define PLACE_NS 0.5 /* about what moving a synapse costs */

/* n units among which the synapses of w are spread. */
static bio_share share_out(size_t n, const bio_csr *w, int n_threads) {
    return bio_share_out(n, n ? PLACE_NS * (double)w->nnz / (double)n : 0, n_threads);
}

/* The size of a spare piece of scratch stands in front of it. */
static size_t *capacity(char *scratch) { return (size_t *)(scratch - BIO_ALIGN); }

static void drop(char *scratch) {
    if (scratch) bio_free(scratch - BIO_ALIGN);
}

bio_status bio_layout_new(const bio_csr *w, int transposed, int n_threads, bio_layout **result) {
    bio_layout *layout = *result = calloc(1, sizeof *layout);
    if (!layout) return BIO_NO_MEMORY;
    layout->transposed = transposed != 0;
    layout->value = w->value;
    layout->index = w->index;
    layout->nnz = w->nnz;
    layout->n_rows = transposed ? w->n_cols : w->n_rows;
    layout->n_cols = transposed ? w->n_rows : w->n_cols;
    layout->block = bio_block_columns(layout->n_rows, layout->n_cols, w->nnz, bio_vector_bytes[bio_current_isa()]);
    layout->chunk = bio_chunk_rows(layout->n_rows, layout->n_cols, w->nnz);
    layout->n_blocks = (layout->n_cols + layout->block - 1) / layout->block;
    layout->n_chunks = (layout->n_rows + layout->chunk - 1) / layout->chunk;
    const size_t n_tiles = layout->n_chunks * layout->n_blocks;
    layout->start = calloc(n_tiles + 1, sizeof *layout->start);
    layout->length = calloc(n_tiles * layout->chunk + 1, sizeof *layout->length);
    layout->row = calloc(n_tiles * layout->chunk + 1, sizeof *layout->row);
    if (!layout->start || !layout->length || !layout->row) goto fail;

    /* A unit of work is a chunk of rows of w, or for a transpose a block of rows of w: either owns whole tiles. */
    transfer_job job = {.w = w, .layout = layout};
    const size_t units = transposed ? layout->n_blocks : layout->n_chunks;
    const bio_share share = share_out(units, w, n_threads);
    bio_parallel(BIO_PICK(count_table, w->value, w->index), &job, share);
    for (size_t t = 0; t < n_tiles; t++) {
        if (layout->start[t + 1] > layout->largest) layout->largest = layout->start[t + 1];
        layout->start[t + 1] += layout->start[t];
    }

    const size_t places = bio_layout_places(layout);
    layout->column = calloc(places + 1, sizeof *layout->column);
    if (transposed) layout->source = calloc(places + 1, bio_index_size(w->index));
    else layout->next = calloc(layout->n_rows + 1, sizeof *layout->next);
    if (w->data) layout->data = bio_alloc(places * bio_value_size(w->value));
    if (transposed)
        job.scratch =
            (size_t **)bio_scratch_new(share.workers, layout->n_chunks * layout->chunk * sizeof **job.scratch);
    const int ready = layout->column && (layout->data || !w->data) &&
                      (transposed ? layout->source && job.scratch : layout->next != NULL);
    if (ready) bio_parallel(BIO_PICK(fill_table[layout->transposed], w->value, w->index), &job, share);
    bio_scratch_free((void **)job.scratch, share.workers);
    if (!ready) goto fail;
    if (w->data && transposed) bio_layout_refresh(layout, w, n_threads);
    return BIO_OK;
fail:
    bio_layout_free(layout);
    *result = NULL;
    return BIO_NO_MEMORY;
}

void bio_layout_free(bio_layout *layout) {
    if (!layout) return;
    free(layout->start);
    free(layout->length);
    free(layout->row);
    free(layout->column);
    free(layout->source);
    free(layout->next);
    bio_free(layout->data);
    drop(layout->spare);
    free(layout);
}

void *bio_layout_borrow(bio_layout *layout, size_t bytes) {
    char *scratch = __atomic_exchange_n(&layout->spare, NULL, __ATOMIC_ACQUIRE);
    if (scratch && *capacity(scratch) >= bytes) return scratch;
    drop(scratch);
    scratch = bytes > SIZE_MAX - BIO_ALIGN ? NULL : bio_alloc(bytes + BIO_ALIGN);
    if (!scratch) return NULL;
    scratch += BIO_ALIGN;
    *capacity(scratch) = bytes;
    return scratch;
}

void bio_layout_give_back(bio_layout *layout, void *scratch) {
    drop(__atomic_exchange_n(&layout->spare, scratch, __ATOMIC_ACQ_REL));
}

void bio_layout_refresh(bio_layout *layout, const bio_csr *w, int n_threads) {
    transfer_job job = {.w = w, .layout = layout};
    const bio_task task = BIO_PICK(refresh_table[layout->transposed], w->value, w->index);
    const size_t units = layout->transposed ? bio_layout_places(layout) : layout->n_chunks;
    bio_parallel(task, &job, share_out(w->nnz ? units : 0, w, n_threads));
}

void bio_layout_refresh_rows(bio_layout *layout, const bio_csr *w, size_t begin, size_t end) {
    transfer_job job = {.w = w, .layout = layout};
    const size_t chunk = layout->chunk;
    BIO_PICK(refresh_table[0], w->value, w->index)(&job, begin / chunk, (end + chunk - 1) / chunk, 0);
}

bio_deposit *bio_layout_deposit(const bio_layout *layout) {
    return BIO_PICK(deposit_table, layout->value, layout->index);
}

int bio_layout_fits(const bio_layout *layout, const bio_csr *w, int transposed) {
    return layout->transposed == transposed && layout->n_rows == (transposed ? w->n_cols : w->n_rows) &&
           layout->n_cols == (transposed ? w->n_rows : w->n_cols) && layout->nnz == w->nnz &&
           layout->value == w->value && layout->index == w->index;
}

size_t bio_layout_bytes(const bio_layout *layout) {
    const size_t n_tiles = layout->n_chunks * layout->n_blocks, places = bio_layout_places(layout);
    const size_t size = layout->data ? bio_value_size(layout->value) : 0;
    return sizeof *layout + (n_tiles + 1) * sizeof *layout->start +
           n_tiles * layout->chunk * (sizeof *layout->length + sizeof *layout->row) +
           places * (sizeof *layout->column + size) +
           (layout->transposed ? places * bio_index_size(layout->index) : layout->n_rows * sizeof *layout->next);
}
