/* What the harnesses share: structures, arrays and choices made from the bytes of the fuzzer; what must hold; memory
 * that runs out; and, in place of csrc/parallel.c, workers whose order is a choice of the fuzzer, too. */
#ifndef SOURCE_H
#define SOURCE_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../csrc/bio.h"
#include "../../csrc/simd.h"

/* ---- choices ---- */

typedef struct {
    const uint8_t *at;
    size_t left;
    uint64_t state; /* of the numbers that fill arrays: keyed by the bytes */
} source;

size_t below(source *s, size_t n);                   /* a choice in [0, n), n <= 2^16 */
size_t size_at_least_1(source *s, size_t usual);     /* mostly below `usual`, rarely a boundary value far above */
double boundary(source *s, double low, double high); /* a number in [low, high]: its ends, what is near, the ordinary */
uint64_t draw(source *s);

/* What each harness defines: one execution, with the instruction set and the order of workers that the fuzzer chose;
 * n_threads is 2 to 4. */
void execute(source *s, int n_threads);

/* ---- arrays, each exactly as large as it is, so that the sanitizer sees the first byte beyond ---- */

typedef enum {
    POSITIVE, /* in (0, 1) */
    SIGNED,   /* in (-1, 1) */
    WHOLE,    /* small integers, many of them 0 */
    EXTREME,  /* finite: zeros, denormals, the smallest and the largest */
    WILD,     /* infinities and NaN among them */
    N_STYLES
} style;

typedef struct {
    double epsilon, denormal, smallest, largest; /* the smallest number > 0, and the smallest normal one */
} limits;

bio_value choose_value(source *s);
limits limits_of(bio_value value);
style choose_style(source *s);
void *fill(source *s, bio_value value, size_t n, style style, int nonnegative);
double get(bio_value value, const void *array, size_t k);
void set(bio_value value, void *array, size_t k, double x);
int all_finite(bio_value value, const void *array, size_t n);
double magnitude(bio_value value, const void *array, size_t n); /* the largest |x| */
void *blank(size_t n, size_t size);                             /* filled with a pattern that no kernel writes */
void *copy(const void *array, size_t bytes);
int same(const void *a, const void *b, size_t n, bio_value value); /* bit for bit, but for the payload of a NaN */

/* A valid pathway, of any density. Weights of `style`, >= 0 where asked. */
bio_csr pathway(source *s, style style, int nonnegative);
bio_csr pathway_copy(const bio_csr *w);
void pathway_free(const bio_csr *w);
size_t choose_batch(source *s, const bio_csr *w); /* of samples; small where the pathway is large */
size_t index_at(bio_index index, const void *array, size_t k);
static inline size_t row(const bio_csr *w, size_t i) { return index_at(w->index, w->indptr, i); }
static inline size_t column(const bio_csr *w, size_t k) { return index_at(w->index, w->indices, k); }

/* ---- what must hold ---- */

#define REQUIRE(condition)                                                                 \
    do {                                                                                   \
        if (!(condition)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                       \
        }                                                                                  \
    } while (0)

/* ---- memory that runs out: the n-th allocation from now on fails (0: none does) ---- */

void fail_allocation(size_t n);
int allocation_failed(void); /* whether it came to that; no more fail afterwards */

/* Calls a kernel that may run out of memory: if it did, it must say so, else succeed. Gives whether it succeeded. */
#define CALL(s, call)                                                       \
    ({                                                                      \
        fail_allocation(below(s, 8) == 0 ? 1 + below(s, 8) : 0);            \
        const bio_status status_ = (call);                                  \
        REQUIRE(status_ == (allocation_failed() ? BIO_NO_MEMORY : BIO_OK)); \
        status_ == BIO_OK;                                                  \
    })

#endif
