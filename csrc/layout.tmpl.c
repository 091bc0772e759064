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

/* What moves between a run of n synapses, from k in w on, and its places. */
static inline __attribute__((always_inline)) void NAME(move_run)(const transfer_job *job, size_t k, size_t place,
                                                                 size_t n, size_t first, const transfer what) {
    const bio_layout *layout = job->layout;
    const I *restrict indices = (const I *)job->w->indices + k;
    const size_t whole = n / BIO_GROUP * BIO_GROUP;
    if (what == COLUMNS) {
        for (size_t s = 0; s < n; s++) layout->column[place + s] = (uint16_t)((size_t)indices[s] - first);
        return;
    }
    T *restrict to = what == COLLECT ? (T *)job->g + k : (T *)layout->data + place;
    const T *restrict from = what == COLLECT ? (const T *)job->packed + place : (const T *)job->w->data + k;
    for (size_t s = 0; s < whole; s += BIO_GROUP) memcpy(to + s, from + s, BIO_GROUP * sizeof(T));
    for (size_t s = whole; s < n; s++) to[s] = from[s];
    if (what == WEIGHTS)
        for (size_t s = n; s < bio_padded(n); s++) to[s] = 0;
}

static inline __attribute__((always_inline)) void NAME(move_unit)(const transfer_job *job, size_t unit, size_t *next,
                                                                  const transfer what) {
    const bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr;
    const size_t n_blocks = layout->n_blocks, first = unit * layout->chunk;
    const size_t last = first + layout->chunk < layout->n_rows ? first + layout->chunk : layout->n_rows;
    const uint16_t *lengths = layout->length + unit * n_blocks * layout->chunk;
    for (size_t c = 0; c < n_blocks; c++) next[c] = layout->start[unit * n_blocks + c];
    for (size_t i = first; i < last; i++) {
        size_t k = (size_t)indptr[i];
        for (size_t c = 0; c < n_blocks; c++) {
            const size_t n = lengths[c * layout->chunk + i - first];
            NAME(move_run)(job, k, next[c], n, c * layout->block, what);
            k += n;
            next[c] += bio_padded(n);
        }
    }
}

/* The same for a transpose: the synapses of a block of rows of w are dealt out to the runs of their columns. */
static inline __attribute__((always_inline)) void NAME(deal_unit)(const transfer_job *job, size_t unit, size_t *next,
                                                                  const transfer what) {
    const bio_layout *layout = job->layout;
    const I *restrict indptr = job->w->indptr, *restrict indices = job->w->indices;
    const T *restrict weights = job->w->data, *restrict packed = job->packed;
    T *restrict g = job->g, *restrict data = layout->data;
    const size_t chunk = layout->chunk, first = unit * layout->block;
    const size_t last = first + layout->block < layout->n_cols ? first + layout->block : layout->n_cols;
    for (size_t q = 0; q < layout->n_chunks; q++) {
        const size_t tile = q * layout->n_blocks + unit;
        size_t place = layout->start[tile];
        for (size_t r = 0; r < chunk && q * chunk + r < layout->n_rows; r++) {
            const size_t n = layout->length[tile * chunk + r];
            next[q * chunk + r] = place;
            if (what == WEIGHTS)
                for (size_t s = n; s < bio_padded(n); s++) data[place + s] = 0;
            place += bio_padded(n);
        }
    }
    for (size_t i = first; i < last; i++)
        for (size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1]; k < stop; k++) {
            const size_t place = next[indices[k]]++;
            if (what == COLUMNS) layout->column[place] = (uint16_t)(i - first);
            else if (what == COLLECT) g[k] = packed[place];
            else data[place] = weights[k];
        }
}

static void NAME(transfer)(void *context, size_t begin, size_t end, size_t worker) {
    const transfer_job *job = context;
    size_t *next = job->scratch[worker];
    for (size_t unit = begin; unit < end; unit++) switch (job->what * 2 + (transfer)(job->layout->transposed != 0)) {
            case COLUMNS * 2: NAME(move_unit)(job, unit, next, COLUMNS); break;
            case WEIGHTS * 2: NAME(move_unit)(job, unit, next, WEIGHTS); break;
            case COLLECT * 2: NAME(move_unit)(job, unit, next, COLLECT); break;
            case COLUMNS * 2 + 1: NAME(deal_unit)(job, unit, next, COLUMNS); break;
            case WEIGHTS * 2 + 1: NAME(deal_unit)(job, unit, next, WEIGHTS); break;
            case COLLECT * 2 + 1: NAME(deal_unit)(job, unit, next, COLLECT); break;
        }
}
