/* One link of a chain, as the vector kernels compute it. Said explicitly, because a compiler that vectorises an ordered
 * sum multiplies first and rounds twice. */
#if !FUSED
#define CHAIN(sum, a, b) ((sum) + (a) * (b))
#elif SIZE == 4
#define CHAIN(sum, a, b) __builtin_fmaf(a, b, sum)
#else
#define CHAIN(sum, a, b) __builtin_fma(a, b, sum)
#endif

/* Rows `begin` to `end`: the sums of eight rows grow side by side while all eight have synapses left. */
static void NAME(single_forward)(void *context, size_t begin, size_t end, size_t worker) {
    const single_job *job = context;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const T *restrict data = job->w->data, *restrict x = job->x, *restrict bias = job->bias;
    T *restrict y = job->out;
    (void)worker;
    for (size_t i = begin; i < end; i += ROWS_AT_ONCE) {
        const size_t rows = end - i < ROWS_AT_ONCE ? end - i : ROWS_AT_ONCE;
        T acc[ROWS_AT_ONCE] = {0};
        size_t common = 0;
        if (rows == ROWS_AT_ONCE) {
            const I *index[ROWS_AT_ONCE];
            const T *weight[ROWS_AT_ONCE];
            common = SIZE_MAX;
            for (size_t r = 0; r < ROWS_AT_ONCE; r++) {
                const size_t n = (size_t)(indptr[i + r + 1] - indptr[i + r]);
                common = n < common ? n : common;
                index[r] = indices + indptr[i + r];
                weight[r] = data + indptr[i + r];
            }
            /* Eight rows at a time are sixteen streams, too many for the processor to foresee: fetch the next eight. */
            const size_t next = (size_t)indptr[i + ROWS_AT_ONCE];
            for (size_t k = 0; k < common; k++) {
                __builtin_prefetch(data + next + ROWS_AT_ONCE * k, 0, 2);
                __builtin_prefetch(indices + next + ROWS_AT_ONCE * k, 0, 2);
                _Pragma("GCC unroll 8") for (size_t r = 0; r < ROWS_AT_ONCE; r++) acc[r] =
                    CHAIN(acc[r], weight[r][k], x[index[r][k]]);
            }
        }
        for (size_t r = 0; r < rows; r++) {
            const size_t stop = (size_t)indptr[i + r + 1];
            for (size_t k = (size_t)indptr[i + r] + common; k < stop; k++)
                acc[r] = CHAIN(acc[r], data[k], x[indices[k]]);
            y[i + r] = bias ? acc[r] + bias[i + r] : acc[r];
        }
    }
}

/* First place in [start, stop) whose column is >= `column`; stop if there is none. Looks around the guess, ever
 * farther: what lies close together is in the cache together. */
static inline size_t NAME(find)(const I *indices, size_t start, size_t stop, size_t guess, size_t column) {
    size_t low = start, high = stop;
    if (guess < stop && (size_t)indices[guess] < column) {
        low = guess + 1;
        for (size_t reach = NEAR; low < stop; reach *= 2) {
            const size_t at = stop - low > reach ? low + reach : stop - 1;
            if ((size_t)indices[at] >= column) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        high = guess;
        for (size_t reach = NEAR; high > start; reach *= 2) {
            const size_t at = high - start > reach ? high - reach : start;
            if ((size_t)indices[at] < column) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((size_t)indices[middle] < column) low = middle + 1;
        else high = middle;
    }
    return low;
}

/* Each unit scatters into a range of columns of its own. Weights are finite, so that 0 times one is 0. */
static void NAME(single_input_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const single_job *job = context;
    const bio_csr *w = job->w;
    const I *restrict indptr = w->indptr, *restrict indices = w->indices;
    const T *restrict data = w->data, *restrict dy = job->dy;
    T *restrict dx = job->out;
    (void)worker;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t first = unit * w->n_cols / job->n_ranges, last = (unit + 1) * w->n_cols / job->n_ranges;
        for (size_t j = first; j < last; j++) dx[j] = 0;
        for (size_t i = 0; i < w->n_rows; i++) {
            const T d = dy[i];
            if (d == 0) continue; /* adds nothing, and may be most of them: cells that lost a competition */
            const size_t start = (size_t)indptr[i], n = (size_t)indptr[i + 1] - start, stop = start + n;
            /* columns are mostly spread evenly */
            const size_t from = start + n * unit / job->n_ranges, to = start + n * (unit + 1) / job->n_ranges;
            size_t k = first ? NAME(find)(indices, start, stop, from, first) : start;
            const size_t past = last < w->n_cols ? NAME(find)(indices, k, stop, to < k ? k : to, last) : stop;
            for (; k < past; k++) dx[indices[k]] = CHAIN(dx[indices[k]], data[k], d);
        }
    }
}

static void NAME(single_weight_grad)(void *context, size_t begin, size_t end, size_t worker) {
    const single_job *job = context;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const T *restrict x = job->x, *restrict dy = job->dy;
    T *restrict g = job->out;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) g[k] = dy[i] * x[indices[k]];
}
#undef CHAIN
