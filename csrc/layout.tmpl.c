/* Counts the synapses of each run of a unit and the places of each of its tiles. */
static void NAME(count)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    const bio_layout *layout = job->layout;
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
            for (size_t r = 0; r < layout->chunk; r++)
                layout->start[t + 1] += bio_padded(layout->length[t * layout->chunk + r]);
        }
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
        if (layout->transposed) { /* next place in the run of each row of the layout */
            for (size_t r = 0; r < layout->n_rows; r++) {
                const size_t tile = r / chunk * n_blocks + unit;
                next[r] = r % chunk ? next[r - 1] + bio_padded(layout->length[tile * chunk + r % chunk - 1])
                                    : layout->start[tile];
            }
            const size_t first = unit * block, last = first + block < layout->n_cols ? first + block : layout->n_cols;
            for (size_t i = first; i < last; i++)
                for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
                    const size_t place = next[indices[k]]++;
                    column[place] = (uint16_t)(i - first);
                    source[place] = (I)k;
                }
            continue;
        }
        for (size_t c = 0; c < n_blocks; c++) next[c] = layout->start[unit * n_blocks + c];
        const size_t first = unit * chunk, last = first + chunk < layout->n_rows ? first + chunk : layout->n_rows;
        for (size_t i = first; i < last; i++) {
            size_t k = (size_t)indptr[i];
            for (size_t c = 0; c < n_blocks; c++) {
                const size_t n = layout->length[(unit * n_blocks + c) * chunk + i - first];
                for (size_t s = 0; s < n; s++) {
                    column[next[c] + s] = (uint16_t)((size_t)indices[k + s] - c * block);
                    source[next[c] + s] = (I)(k + s);
                }
                k += n;
                next[c] += bio_padded(n);
            }
        }
    }
}

/* Weights to places `begin` to `end`. Padding has source 0, and so the weight of some synapse; nobody asks. */
static void NAME(refresh)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    const I *restrict source = job->layout->source;
    const T *restrict weights = job->w->data;
    T *restrict data = job->layout->data;
    (void)worker;
    for (size_t place = begin; place < end; place++) data[place] = weights[source[place]];
}

typedef T NAME(stretch) __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));

/* A run of n in whole vectors: what lies behind it, on both sides, is read and overwritten. */
static inline void NAME(copy_run)(const T *from, T *to, size_t n) {
    for (size_t s = 0; s < n; s += LANES) *(NAME(stretch) *)(to + s) = *(const NAME(stretch) *)(from + s);
}

/* Values of the places of chunks `begin` to `end` to their synapses. */
static void NAME(collect)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    const bio_layout *layout = job->layout;
    const I *restrict source = layout->source, *restrict indptr = job->w->indptr;
    const T *restrict packed = job->packed;
    T *restrict g = job->g;
    const size_t chunk = layout->chunk, places = bio_layout_places(layout);
    (void)worker;
    for (size_t tile = begin * layout->n_blocks; tile < end * layout->n_blocks; tile++) {
        const size_t top = tile / layout->n_blocks * chunk;
        size_t place = layout->start[tile];
        for (size_t r = 0; r < chunk; r++) {
            const size_t n = layout->length[tile * chunk + r], all = bio_round_up(n, LANES), k = (size_t)source[place];
            /* Where nothing is transposed, a run lies together in g, too. What its last vector overwrites is of the
             * same row, in the next tiles. */
            if (n && !layout->transposed && place + all <= places && k + all <= (size_t)indptr[top + r + 1])
                NAME(copy_run)(packed + place, g + k, n);
            else
                for (size_t s = 0; s < n; s++) g[source[place + s]] = packed[place + s];
            place += bio_padded(n);
        }
    }
}
