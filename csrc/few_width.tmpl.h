/* forward and input_grad with WIDTH samples side by side. Included by few.tmpl.c. */
#define WIDE_(f, width) NAME(f##_##width)
#define WIDE_OF(f, width) WIDE_(f, width)
#define WIDE(f) WIDE_OF(f, WIDTH)
#if WIDTH == 1
typedef T WIDE(samples);
#define LINK(sum, weight, x) CHAIN(sum, weight, x)
#else
typedef T WIDE(samples) __attribute__((vector_size(WIDTH * SIZE), aligned(SIZE), may_alias));
/* x - 0 is x, bit for bit; the compiler knows: x + 0 is not */
#define LINK(sum, weight, x) ((sum) + ((weight) - (WIDE(samples)){0}) * (x))
#endif
/* Chains of additions that run side by side, to hide their latency: so many rows, fewer where the registers would not
 * hold them. */
#define ROWS (WIDTH * SIZE <= BYTES ? 8 : WIDTH * SIZE <= 2 * BYTES ? 4 : 2)

/* Rows `begin` to `end`, in the order given: the sums of several rows grow side by side while all of them have synapses
 * left. */
static inline __attribute__((always_inline)) void WIDE(forward_some_rows)(const few_job *job, size_t begin, size_t end,
                                                                          const int narrow) {
    const bio_csr *w = job->w;
    const I *restrict indptr = w->indptr;
    const T *restrict data = w->data, *restrict bias = job->bias;
    const char *columns = narrow ? (const char *)w->narrow : w->indices;
    const size_t bytes = narrow ? sizeof *w->narrow : sizeof(I);
    const WIDE(samples) *restrict x = job->x;
    WIDE(samples) *restrict y = job->out;
    for (size_t i = begin; i < end; i += ROWS) {
        const size_t rows = end - i < ROWS ? end - i : ROWS;
        WIDE(samples) acc[ROWS];
        const T *weight[ROWS], *next_weight[ROWS];
        const char *column[ROWS], *next_column[ROWS];
        size_t row[ROWS], length[ROWS], common = rows == ROWS ? SIZE_MAX : 0;
        for (size_t r = 0; r < rows; r++) {
            const size_t next = i + ROWS + r < w->n_rows ? i + ROWS + r : i + r;
            row[r] = w->order ? w->order[i + r] : i + r;
            const size_t start = (size_t)indptr[row[r]], ahead = (size_t)indptr[w->order ? w->order[next] : next];
            length[r] = (size_t)indptr[row[r] + 1] - start;
            common = length[r] < common ? length[r] : common;
            weight[r] = data + start;
            column[r] = columns + start * bytes;
            next_weight[r] = data + ahead;
            next_column[r] = columns + ahead * bytes;
            acc[r] = (WIDE(samples)){0};
        }
        common -= common % AT_ONCE;
        for (size_t k = 0; k < common; k += AT_ONCE) {
            /* Twice as many streams as rows are too many for a processor to foresee: fetch the next rows, in turn. */
            const size_t turn = AT_ONCE * ROWS, at = k / turn * turn, r_next = k / AT_ONCE % ROWS;
            for (size_t b = 0; b < turn * SIZE; b += BIO_ALIGN)
                __builtin_prefetch((const char *)(next_weight[r_next] + at) + b, 0, 2);
            for (size_t b = 0; b < turn * bytes; b += BIO_ALIGN)
                __builtin_prefetch(next_column[r_next] + at * bytes + b, 0, 2);
            _Pragma("GCC unroll 8") for (size_t r = 0; r < ROWS; r++) {
                size_t j[AT_ONCE];
                NAME(columns)(column[r], k, narrow, j);
                _Pragma("GCC unroll 4") for (size_t s = 0; s < AT_ONCE; s++) acc[r] =
                    LINK(acc[r], weight[r][k + s], x[j[s]]);
            }
        }
        for (size_t r = 0; r < rows; r++) {
            for (size_t k = common; k < length[r]; k++)
                acc[r] = LINK(acc[r], weight[r][k], x[NAME(column)(column[r], k, narrow)]);
            if (bias) acc[r] += bias[row[r]];
            y[row[r]] = acc[r];
        }
    }
}

/* The next row from i on with a dy that is not 0. The others add nothing, and may be most of them: cells that lost a
 * competition. */
static inline size_t WIDE(active)(const few_job *job, size_t i) {
    const T *dy = job->dy;
    for (; i < job->w->n_rows; i++)
        for (size_t s = 0; s < WIDTH; s++)
            if (dy[i * WIDTH + s] != 0) return i;
    return i;
}

/* Range `unit` of the columns. Weights are finite, so that 0 times one is 0. */
static inline __attribute__((always_inline)) void WIDE(input_grad_some)(const few_job *job, size_t unit,
                                                                        const int narrow) {
    const bio_csr *w = job->w;
    const I *restrict indptr = w->indptr;
    const T *restrict data = w->data;
    const char *columns = narrow ? (const char *)w->narrow : w->indices;
    const size_t bytes = narrow ? sizeof *w->narrow : sizeof(I), n_ranges = job->n_ranges;
    const size_t first = unit * w->n_cols / n_ranges, last = (unit + 1) * w->n_cols / n_ranges;
    const WIDE(samples) *restrict dy = job->dy;
    WIDE(samples) *restrict dx = job->out;
    for (size_t j = first; j < last; j++) dx[j] = (WIDE(samples)){0};
    for (size_t i = WIDE(active)(job, 0), next; i < w->n_rows; i = next) {
        const WIDE(samples) d = dy[i];
        const size_t start = (size_t)indptr[i], n = (size_t)indptr[i + 1] - start, stop = start + n;
        /* columns are mostly spread evenly */
        const size_t from = start + n * unit / n_ranges, to = start + n * (unit + 1) / n_ranges;
        size_t k = first ? NAME(find)(w->indices, start, stop, from, first) : start;
        const size_t past = last < w->n_cols ? NAME(find)(w->indices, k, stop, to < k ? k : to, last) : stop;
        next = WIDE(active)(job, i + 1);
        size_t ahead = k; /* what is fetched meanwhile: the next row, from about here */
        if (next < w->n_rows)
            ahead = (size_t)indptr[next] + (size_t)(indptr[next + 1] - indptr[next]) * unit / n_ranges;
        for (size_t done = 0; k + AT_ONCE <= past; k += AT_ONCE, done += AT_ONCE) {
            if (done % (BIO_ALIGN / SIZE) == 0) __builtin_prefetch(data + ahead + done, 0, 3);
            if (done % (BIO_ALIGN / bytes) == 0) __builtin_prefetch(columns + (ahead + done) * bytes, 0, 3);
            size_t j[AT_ONCE];
            WIDE(samples) sum[AT_ONCE];
            NAME(columns)(columns, k, narrow, j);
            _Pragma("GCC unroll 4") for (size_t s = 0; s < AT_ONCE; s++) sum[s] = LINK(dx[j[s]], data[k + s], d);
            _Pragma("GCC unroll 4") for (size_t s = 0; s < AT_ONCE; s++) dx[j[s]] = sum[s];
        }
        for (; k < past; k++) {
            const size_t j = NAME(column)(columns, k, narrow);
            dx[j] = LINK(dx[j], data[k], d);
        }
    }
}

static void WIDE(forward_rows)(const few_job *job, size_t begin, size_t end, int narrow) {
    if (narrow) WIDE(forward_some_rows)(job, begin, end, 1);
    else WIDE(forward_some_rows)(job, begin, end, 0);
}

static void WIDE(input_grad_range)(const few_job *job, size_t unit, int narrow) {
    if (narrow) WIDE(input_grad_some)(job, unit, 1);
    else WIDE(input_grad_some)(job, unit, 0);
}
#undef ROWS
#undef LINK
#undef WIDE
#undef WIDE_OF
#undef WIDE_
#undef WIDTH
