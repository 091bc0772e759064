#include "norm.tmpl.h"

static void NAME(normalize_row)(void *row, size_t n) { NAME(unit_norm)(row, n); }

static void NAME(normalize)(void *context, size_t begin, size_t end, size_t worker) {
    const bio_csr *w = context;
    const I *indptr = w->indptr;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t first = (size_t)indptr[i];
        NAME(unit_norm)((T *)w->data + first, (size_t)indptr[i + 1] - first);
    }
}
