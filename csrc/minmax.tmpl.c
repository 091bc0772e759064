#include "vmath.tmpl.h"

static void NAME(minmax)(void *context, size_t begin, size_t end, size_t worker) {
    const minmax_job *job = context;
    const T *x = job->x;
    vec low[4], high[4]; /* four chains side by side */
    NAME(bits) odd[4] = {{0}};
    for (size_t v = 0; v < 4; v++) low[v] = high[v] = NAME(splat)(x[begin]);
    size_t k = begin;
    for (; k + 4 * LANES <= end; k += 4 * LANES)
        for (size_t v = 0; v < 4; v++) {
            const vec here = *(const vec *)(x + k + v * LANES);
            low[v] = NAME(at_most)(here, low[v]);
            high[v] = NAME(at_least)(here, high[v]);
            odd[v] |= (NAME(bits))(here != here);
        }
    for (; k < end; k += LANES) {
        const vec here = NAME(load)(x + k, end - k, x[k]);
        low[0] = NAME(at_most)(here, low[0]);
        high[0] = NAME(at_least)(here, high[0]);
        odd[0] |= (NAME(bits))(here != here);
    }
    for (size_t v = 1; v < 4; v++) {
        low[0] = NAME(at_most)(low[v], low[0]);
        high[0] = NAME(at_least)(high[v], high[0]);
        odd[0] |= odd[v];
    }
    bio_found *found = job->found + worker;
    T least = low[0][0];
    for (size_t l = 1; l < LANES; l++) least = low[0][l] < least ? low[0][l] : least;
    found->low = fmin(found->low, (double)least);
    found->high = fmax(found->high, (double)NAME(largest)(high[0]));
    for (size_t l = 0; l < LANES; l++) found->nan |= odd[0][l] != 0;
}
