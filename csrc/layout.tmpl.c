/* How many of the first `left` columns, which rise, are below `border`; `readable` of them may be read. */
static inline size_t NAME(run_length)(const I *columns, size_t left, size_t readable, size_t border) {
    enum { AT_ONCE = 16 };
    const size_t most = sizeof(I) == 4 ? INT32_MAX : INT64_MAX;
    if (border > most) return left;
    size_t n = 0;
    for (; n + AT_ONCE <= readable; n += AT_ONCE) {
        const I rest = left - n < AT_ONCE ? (I)(left - n) : AT_ONCE;
        I below = 0;
        for (I l = 0; l < AT_ONCE; l++) below += (columns[n + (size_t)l] < (I)border) & (l < rest);
        if (below < AT_ONCE) return n + (size_t)below;
    }
    while (n < left && columns[n] < (I)border) n++;
    return n;
}

/* Counts the synapses of each run of a unit. */
static void NAME(count_runs)(const transfer_job *job, size_t unit) {
    bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const size_t rows = layout->transposed ? layout->block : layout->chunk, first = unit * rows;
    const size_t last = first + rows < job->w->n_rows ? first + rows : job->w->n_rows;
    for (size_t i = first; i < last; i++) {
        size_t k = (size_t)indptr[i];
        const size_t stop = (size_t)indptr[i + 1];
        if (!layout->transposed) {
            uint16_t *length = layout->length + unit * layout->n_blocks * layout->chunk + (i - first);
            for (size_t c = 0; c < layout->n_blocks; c++, length += layout->chunk) {
                const size_t border = (c + 1) * layout->block;
                const size_t n = NAME(run_length)(indices + k, stop - k, layout->nnz - k, border);
                *length = (uint16_t)n;
                k += n;
            }
            continue;
        }
        size_t border = layout->chunk;
        uint16_t *length = layout->length + unit * layout->chunk;
        for (; k < stop; k++) {
            const size_t j = (size_t)indices[k];
            while (j >= border) {
                border += layout->chunk;
                length += layout->n_blocks * layout->chunk;
            }
            length[j + layout->chunk - border]++;
        }
    }
}

/* Counts the synapses of each run of a unit and the places of each of its tiles. */
static void NAME(count)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    bio_layout *layout = job->layout;
    const size_t step = layout->transposed ? layout->n_blocks : 1; /* from a tile of the unit to the next */
    const size_t n_tiles = layout->transposed ? layout->n_chunks : layout->n_blocks;
    (void)worker;
    for (size_t unit = begin; unit < end; unit++) {
        NAME(count_runs)(job, unit);
        for (size_t n = 0; n < n_tiles; n++) {
            const size_t t = (layout->transposed ? unit : unit * layout->n_blocks) + n * step;
            sort_runs(layout, t);
            for (size_t r = 0; r < layout->chunk; r++)
                layout->start[t + 1] += bio_padded(layout->length[t * layout->chunk + r]);
        }
    }
}

/* A run of n in whole vectors. What the last overwrites belongs to the runs that come next. */
static inline void NAME(copy_run)(const T *from, T *to, size_t n) {
    for (size_t s = 0; s < n; s += LANES) *(vec *)(to + s) = *(const vec *)(from + s);
}

/* The same of columns, as counted from the first of their block. */
static inline void NAME(copy_columns)(const I *from, uint16_t *to, size_t n, size_t first) {
    for (size_t s = 0; s < n; s += LANES)
        for (size_t l = 0; l < LANES; l++) to[s + l] = (uint16_t)((size_t)from[s + l] - first);
}

/* Weights of the chunks `begin` to `end`, and with `structure`, a constant, their columns: run by run, which lie
 * together in W, too. Padding repeats the last column of its run, so that treating it like that one does no harm; its
 * weights, which nothing reads, are some. */
static inline __attribute__((always_inline)) void NAME(move_runs)(const transfer_job *job, size_t begin, size_t end,
                                                                  const int structure) {
    const bio_layout *layout = job->layout;
    const T *restrict weights = job->w->data;
    const I *restrict indices = job->w->indices;
    const size_t chunk = layout->chunk, nnz = layout->nnz;
    for (size_t q = begin; q < end; q++) {
        const size_t top = q * chunk, n_rows = layout->n_rows - top < chunk ? layout->n_rows - top : chunk;
        const size_t stop = layout->start[(q + 1) * layout->n_blocks];
        const I *indptr = (const I *)job->w->indptr + top;
        size_t *restrict next = layout->next + top, place = layout->start[q * layout->n_blocks];
        for (size_t i = 0; i < n_rows; i++) next[i] = (size_t)indptr[i];
        for (size_t c = 0; c < layout->n_blocks; c++) {
            const uint16_t *length = layout->length + (q * layout->n_blocks + c) * chunk;
            const uint16_t *row = layout->row + (q * layout->n_blocks + c) * chunk;
            for (size_t r = 0; r < n_rows; r++) {
                const size_t n = length[row[r]], places = bio_padded(n), k = next[row[r]];
                const size_t whole = bio_round_up(n, LANES), first = c * layout->block;
                const int room = k + whole <= nnz && place + whole <= stop;
                next[row[r]] = k + n;
                if (weights) {
                    T *to = (T *)layout->data + place;
                    __builtin_prefetch(weights + k + n + LANES - 1, 0, 2); /* the next tile's run */
                    if (room) NAME(copy_run)(weights + k, to, n);
                    else
                        for (size_t s = 0; s < places; s++) to[s] = weights[k + (s < n ? s : n - 1)];
                }
                if (structure) {
                    uint16_t *to = layout->column + place;
                    __builtin_prefetch(indices + k + n + LANES - 1, 0, 2);
                    if (room) NAME(copy_columns)(indices + k, to, n, first);
                    else
                        for (size_t s = 0; s < n; s++) to[s] = (uint16_t)((size_t)indices[k + s] - first);
                    for (size_t s = n; s < places; s++) to[s] = to[n - 1];
                }
                place += places;
            }
        }
    }
}

static void NAME(fill)(void *context, size_t begin, size_t end, size_t worker) {
    (void)worker;
    NAME(move_runs)(context, begin, end, 1);
}

static void NAME(refresh)(void *context, size_t begin, size_t end, size_t worker) {
    (void)worker;
    NAME(move_runs)(context, begin, end, 0);
}

/* ---- of a transpose: what lies together there is scattered over W ---- */

/* Padding repeats the last synapse of its run. */
static void NAME(pad_runs)(bio_layout *layout, size_t t) {
    I *source = (I *)layout->source + layout->start[t];
    uint16_t *column = layout->column + layout->start[t];
    for (size_t r = t * layout->chunk; r < (t + 1) * layout->chunk; r++) {
        const size_t n = layout->length[t * layout->chunk + layout->row[r]];
        for (size_t s = n; s < bio_padded(n); s++) {
            column[s] = column[n - 1];
            source[s] = source[n - 1];
        }
        column += bio_padded(n);
        source += bio_padded(n);
    }
}

/* Names the column and the source of each place of a unit. */
static void NAME(fill_transpose)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    I *restrict source = layout->source;
    uint16_t *restrict column = layout->column;
    size_t *restrict next = job->scratch[worker];
    const size_t chunk = layout->chunk, block = layout->block, n_blocks = layout->n_blocks;
    for (size_t unit = begin; unit < end; unit++) {
        for (size_t q = 0; q < layout->n_chunks; q++) find_runs(layout, q * n_blocks + unit, next + q * chunk);
        const size_t first = unit * block, last = first + block < layout->n_cols ? first + block : layout->n_cols;
        for (size_t i = first; i < last; i++)
            for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
                const size_t place = next[indices[k]]++;
                column[place] = (uint16_t)(i - first);
                source[place] = (I)k;
            }
        for (size_t q = 0; q < layout->n_chunks; q++) NAME(pad_runs)(layout, q * n_blocks + unit);
    }
}

/* Weights to places `begin` to `end`. */
static void NAME(refresh_transpose)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    const I *restrict source = job->layout->source;
    const T *restrict weights = job->w->data;
    T *restrict data = job->layout->data;
    (void)worker;
    for (size_t place = begin; place < end; place++) data[place] = weights[source[place]];
}

/* ---- from the places of a tile to W ---- */

/* `next`, of the chunk's rows: where their next runs go. */
static inline void NAME(deposit_runs)(const bio_layout *layout, const bio_csr *w, size_t t, const T *sums, T *g,
                                      size_t *next) {
    const size_t top = t / layout->n_blocks * layout->chunk, left = layout->n_rows - top;
    const size_t n_rows = left < layout->chunk ? left : layout->chunk;
    const uint16_t *length = layout->length + t * layout->chunk, *row = layout->row + t * layout->chunk;
    const I *indptr = (const I *)w->indptr + top;
    if (t % layout->n_blocks == 0)
        for (size_t i = 0; i < n_rows; i++) next[i] = (size_t)indptr[i];
    for (size_t r = 0; r < n_rows; r++) {
        const size_t i = row[r], n = length[i], k = next[i];
        next[i] = k + n;
        __builtin_prefetch(g + k + n + LANES - 1, 1, 2); /* the next tile's run */
        if (k + bio_round_up(n, LANES) <= (size_t)indptr[i + 1]) NAME(copy_run)(sums, g + k, n);
        else /* the next row may be another thread's */
            for (size_t s = 0; s < n; s++) g[k + s] = sums[s];
        sums += bio_padded(n);
    }
}

static void NAME(deposit)(const bio_layout *layout, const bio_csr *w, size_t t, const void *sums, void *g,
                          size_t *next) {
    if (!layout->transposed) { /* then a run lies together in g, too */
        NAME(deposit_runs)(layout, w, t, sums, g, next);
        return;
    }
    enum { APART = 4 }; /* the line that one synapse fetches is mostly that of its neighbours, too */
    const I *source = (const I *)layout->source + layout->start[t];
    const size_t n = layout->start[t + 1] - layout->start[t], all = bio_layout_places(layout) - layout->start[t];
    const T *from = sums;
    T *to = g;
    for (size_t s = 0; s < n; s++) {
        if (s % APART == 0 && n + s < all) __builtin_prefetch(to + source[n + s], 1, 2); /* for the next tile */
        to[source[s]] = from[s];
    }
}
