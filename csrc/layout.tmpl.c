/* Counts the synapses of each run of a unit and the places of each of its tiles. */
static void NAME(count)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const size_t rows = layout->transposed ? layout->block : layout->chunk;
    const size_t columns = layout->transposed ? layout->chunk : layout->block;
    const size_t step = layout->transposed ? layout->n_blocks : 1; /* from a tile of the unit to the next */
    const size_t n_tiles = layout->transposed ? layout->n_chunks : layout->n_blocks;
    (void)worker;
    for (size_t unit = begin; unit < end; unit++) {
        const size_t first = unit * rows, tile = layout->transposed ? unit : unit * layout->n_blocks;
        const size_t last = first + rows < job->w->n_rows ? first + rows : job->w->n_rows;
        for (size_t i = first; i < last; i++) {
            size_t border = columns;
            uint16_t *length = layout->length + tile * layout->chunk;
            for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
                const size_t j = (size_t)indices[k];
                while (j >= border) {
                    border += columns;
                    length += step * layout->chunk;
                }
                length[layout->transposed ? j + columns - border : i - first]++;
            }
        }
        for (size_t n = 0; n < n_tiles; n++) {
            const size_t t = tile + n * step;
            sort_runs(layout, t);
            for (size_t r = 0; r < layout->chunk; r++)
                layout->start[t + 1] += bio_padded(layout->length[t * layout->chunk + r]);
        }
    }
}

/* Padding of a tile repeats the last synapse of its run: treating it like that one does no harm. */
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
static void NAME(fill)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    I *restrict source = layout->source;
    uint16_t *restrict column = layout->column;
    size_t *restrict next = job->scratch[worker];
    const size_t chunk = layout->chunk, block = layout->block, n_blocks = layout->n_blocks;
    for (size_t unit = begin; unit < end; unit++) {
        if (layout->transposed) {
            for (size_t q = 0; q < layout->n_chunks; q++) find_runs(layout, q * n_blocks + unit, next + q * chunk);
            const size_t first = unit * block, last = first + block < layout->n_cols ? first + block : layout->n_cols;
            for (size_t i = first; i < last; i++)
                for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
                    const size_t place = next[indices[k]]++;
                    column[place] = (uint16_t)(i - first);
                    source[place] = (I)k;
                }
            for (size_t q = 0; q < layout->n_chunks; q++) NAME(pad_runs)(layout, q * n_blocks + unit);
            continue;
        }
        for (size_t c = 0; c < n_blocks; c++) find_runs(layout, unit * n_blocks + c, next + c * chunk);
        const size_t first = unit * chunk, last = first + chunk < layout->n_rows ? first + chunk : layout->n_rows;
        for (size_t i = first; i < last; i++) {
            size_t c = 0, *place = next + i - first;
            for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
                const size_t j = (size_t)indices[k];
                while (j >= (c + 1) * block) {
                    c++;
                    place += chunk;
                }
                column[*place] = (uint16_t)(j - c * block);
                source[(*place)++] = (I)k;
            }
        }
        for (size_t c = 0; c < n_blocks; c++) NAME(pad_runs)(layout, unit * n_blocks + c);
    }
}

/* Weights to places `begin` to `end`. Padding has source 0, and so the weight of some synapse, which nothing reads. */
static void NAME(refresh)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    const I *restrict source = job->layout->source;
    const T *restrict weights = job->w->data;
    T *restrict data = job->layout->data;
    (void)worker;
    for (size_t place = begin; place < end; place++) data[place] = weights[source[place]];
}

/* A run of n in whole vectors. What the last overwrites is of the same row, in the next tiles. */
static inline void NAME(copy_run)(const T *from, T *to, size_t n) {
    for (size_t s = 0; s < n; s += LANES) *(vec *)(to + s) = *(const vec *)(from + s);
}

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
