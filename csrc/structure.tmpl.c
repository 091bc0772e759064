/* Floats of one sign order like their bits, so maxima and comparisons of magnitudes run on integers, which vectorise.
 */
#undef BITS
#undef BITS_MAX
#undef BITS_INF
#undef LARGEST
#if SIZE == 4
#define BITS int32_t
#define BITS_MAX INT32_MAX
#define BITS_INF INT32_C(0x7f800000)
#define LARGEST FLT_MAX
#else
#define BITS int64_t
#define BITS_MAX INT64_MAX
#define BITS_INF INT64_C(0x7ff0000000000000)
#define LARGEST DBL_MAX
#endif
typedef BITS NAME(bits) __attribute__((may_alias));

static BITS NAME(to_bits)(T value) {
    BITS bits;
    memcpy(&bits, &value, SIZE);
    return bits;
}

/* The largest |data[k]|, as bits; at least BITS_INF where one is not finite. */
static BITS NAME(largest)(const T *data, size_t n) {
    const NAME(bits) *bits = (const NAME(bits) *)data;
    BITS top = 0;
    for (size_t k = 0; k < n; k++) {
        const BITS magnitude = bits[k] & BITS_MAX;
        top = magnitude > top ? magnitude : top;
    }
    return top;
}

static T NAME(row_maximum)(const T *data, size_t n) {
    const BITS bits = NAME(largest)(data, n);
    T value;
    memcpy(&value, &bits, SIZE);
    return value;
}

/* The smallest |data[k]|, n > 0. */
static T NAME(row_minimum)(const T *data, size_t n) {
    const NAME(bits) *bits = (const NAME(bits) *)data;
    BITS low = BITS_MAX;
    for (size_t k = 0; k < n; k++) {
        const BITS magnitude = bits[k] & BITS_MAX;
        low = magnitude < low ? magnitude : low;
    }
    T value;
    memcpy(&value, &low, SIZE);
    return value;
}

/* indptr[i + 1] holds the length of row i; afterwards its end. */
static void NAME(lengths_to_indptr)(I *indptr, size_t n_rows) {
    indptr[0] = 0;
    for (size_t i = 0; i < n_rows; i++) indptr[i + 1] += indptr[i];
}

/* ---- validate ---- */

/* The first fault among the columns of one row. */
static bio_status NAME(row_fault)(const bio_csr *w, size_t begin, size_t end, size_t *where) {
    const I *indices = w->indices;
    for (size_t k = begin; k < end; k++) {
        *where = k;
        if (indices[k] < 0 || (uint64_t)indices[k] >= w->n_cols) return BIO_INDEX_RANGE;
        if (k > begin && indices[k] <= indices[k - 1]) return BIO_INDEX_ORDER;
    }
    return BIO_OK;
}

static bio_status NAME(validate)(const bio_csr *w, size_t *where) {
    const I *indptr = w->indptr, *indices = w->indices;
    *where = 0;
    if (indptr[0] != 0) return BIO_INDPTR_START;
    for (size_t i = 1; i <= w->n_rows; i++)
        if (indptr[i] < indptr[i - 1]) {
            *where = i;
            return BIO_INDPTR_FALLS;
        }
    *where = w->n_rows;
    if ((uint64_t)indptr[w->n_rows] != w->nnz) return BIO_INDPTR_END;
    for (size_t i = 0; i < w->n_rows; i++) {
        const size_t begin = (size_t)indptr[i], end = (size_t)indptr[i + 1];
        if (begin == end) continue;
        I falls = 0; /* columns that rise are in range when the first and the last are */
        for (size_t k = begin + 1; k < end; k++) falls |= indices[k] <= indices[k - 1];
        if (falls || indices[begin] < 0 || (uint64_t)indices[end - 1] >= w->n_cols)
            return NAME(row_fault)(w, begin, end, where);
    }
    if (!w->data || NAME(largest)(w->data, w->nnz) < BITS_INF) return BIO_OK;
    for (*where = 0; NAME(largest)((const T *)w->data + *where, 1) < BITS_INF;) ++*where;
    return BIO_DATA_NONFINITE;
}

/* ---- transpose_index ---- */

static bio_status NAME(transpose_index)(const bio_csr *w, void *t_indptr, void *t_indices, void *permutation) {
    const I *indptr = w->indptr, *indices = w->indices;
    I *next = t_indptr, *rows = t_indices,
      *from = permutation; /* next[j + 1]: where the next synapse of column j goes */
    memset(next, 0, (w->n_cols + 1) * sizeof *next);
    for (size_t k = 0; k < w->nnz; k++) next[(size_t)indices[k] + 1]++;
    I begin = 0;
    for (size_t j = 1; j <= w->n_cols; j++) {
        const I length = next[j];
        next[j] = begin;
        begin += length;
    }
    for (size_t i = 0; i < w->n_rows; i++)
        for (size_t k = (size_t)indptr[i]; k < (size_t)indptr[i + 1]; k++) {
            const size_t place = (size_t)next[(size_t)indices[k] + 1]++;
            rows[place] = (I)i;
            from[place] = (I)k;
        }
    return BIO_OK; /* every next[j + 1] has arrived at the end of column j */
}

/* ---- prune ---- */

typedef struct {
    const bio_csr *w;
    T theta;
    I *new_indptr, *new_indices; /* new_indices NULL: only count */
    T *new_data;
    int changed;
} NAME(prune_job);

static void NAME(prune_task)(void *context, size_t begin, size_t end, size_t worker) {
    NAME(prune_job) *job = context;
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t first = (size_t)indptr[i], n = (size_t)indptr[i + 1] - first;
        const T *data = (const T *)job->w->data + first;
        const NAME(bits) *bits = (const NAME(bits) *)data;
        const BITS threshold = NAME(to_bits)(job->theta * NAME(row_maximum)(data, n));
        if (!job->new_indices) {
            size_t kept = 0;
            for (size_t k = 0; k < n; k++) kept += (bits[k] & BITS_MAX) >= threshold;
            job->new_indptr[i + 1] = (I)kept;
            continue;
        }
        /* no branch: a synapse that goes is overwritten by the next one that stays */
        size_t to = (size_t)job->new_indptr[i], k = 0;
        const size_t stop = (size_t)job->new_indptr[i + 1];
        for (; k < n && to < stop; k++) {
            job->new_indices[to] = indices[first + k];
            job->new_data[to] = data[k];
            to += (bits[k] & BITS_MAX) >= threshold;
        }
        if (to < stop) has_changed(&job->changed);
    }
}

static bio_status NAME(prune)(const bio_csr *w, double theta, void *new_indptr, void *new_indices, void *new_data,
                              int n_threads) {
    NAME(prune_job) job = {w, (T)theta, new_indptr, new_indices, new_data, 0};
    bio_parallel(NAME(prune_task), &job, share_rows(w->n_rows, w->nnz, n_threads));
    if (!new_indices) NAME(lengths_to_indptr)(new_indptr, w->n_rows);
    return job.changed ? BIO_CHANGED : BIO_OK;
}

/* ---- candidates: a bitmap of the columns makes the draws sorted and unique ---- */

typedef struct {
    const bio_csr *w;
    size_t n_candidates, n_words;
    bio_random key;
    uint64_t *drawn; /* n_words a worker */
    I *new_indptr, *new_indices;
    int changed;
} NAME(candidates_job);

static void NAME(candidates_task)(void *context, size_t begin, size_t end, size_t worker) {
    NAME(candidates_job) *job = context;
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    uint64_t *drawn = job->drawn + worker * job->n_words;
    for (size_t i = begin; i < end; i++) {
        memset(drawn, 0, job->n_words * sizeof *drawn);
        for (size_t t = 0; t < job->n_candidates; t++) {
            const bio_random random = bio_threefry((uint32_t)i, (uint32_t)t, job->key);
            const uint64_t j = random.word[0] * (uint64_t)job->w->n_cols >> 32;
            drawn[j / 64] |= UINT64_C(1) << j % 64;
        }
        for (size_t k = (size_t)indptr[i]; k < (size_t)indptr[i + 1]; k++)
            drawn[indices[k] / 64] &= ~(UINT64_C(1) << indices[k] % 64);
        if (!job->new_indices) {
            size_t n = 0;
            for (size_t word = 0; word < job->n_words; word++) n += (size_t)__builtin_popcountll(drawn[word]);
            job->new_indptr[i + 1] = (I)n;
            continue;
        }
        size_t to = (size_t)job->new_indptr[i];
        const size_t stop = (size_t)job->new_indptr[i + 1];
        for (size_t word = 0; word < job->n_words; word++)
            for (uint64_t left = drawn[word]; left && to < stop; left &= left - 1)
                job->new_indices[to++] = (I)(word * 64 + (size_t)__builtin_ctzll(left));
        if (to < stop) has_changed(&job->changed);
    }
}

static bio_status NAME(candidates)(const bio_csr *w, size_t n_candidates, uint64_t seed, uint64_t step,
                                   void *new_indptr, void *new_indices, int n_threads) {
    const size_t n_words = w->n_cols / 64 + 1;
    const size_t work = w->nnz + w->n_rows * (n_words + 8 * n_candidates);
    const bio_share share = share_rows(w->n_rows, work, n_threads);
    uint64_t *drawn = calloc(share.workers, n_words * sizeof *drawn);
    if (!drawn) return BIO_NO_MEMORY;
    NAME(candidates_job) job = {w, n_candidates, n_words, bio_step_key(seed, step), drawn, new_indptr, new_indices, 0};
    bio_parallel(NAME(candidates_task), &job, share);
    if (!new_indices) NAME(lengths_to_indptr)(new_indptr, w->n_rows);
    free(drawn);
    return job.changed ? BIO_CHANGED : BIO_OK;
}

/* ---- grow ---- */

/* How many scores are at least `level` (> 0). Negative numbers have negative bits; NaN lies above BITS_INF. */
static size_t NAME(count_scores)(const NAME(bits) *score, size_t n, BITS level) {
    size_t count = 0;
    for (size_t k = 0; k < n; k++) count += (score[k] >= level) & (score[k] <= BITS_INF);
    return count;
}

/* The nth largest of the scores, of which at least nth are positive: built bit by bit from the top. */
static BITS NAME(nth_largest)(const NAME(bits) *score, size_t n, size_t nth) {
    BITS level = 0;
    for (BITS bit = BITS_MAX / 2 + 1; bit; bit >>= 1)
        if (NAME(count_scores)(score, n, level | bit) >= nth) level |= bit;
    return level;
}

/* x in T: weights saturate, they are never infinite. */
static T NAME(saturated)(double x) { return x > LARGEST ? LARGEST : x < -LARGEST ? -LARGEST : (T)x; }

typedef struct {
    const bio_csr *w, *cand;
    size_t n_grow;
    T weight;
    I *new_indptr, *new_indices;
    T *new_data;
    int changed;
} NAME(grow_job);

static void NAME(grow_task)(void *context, size_t begin, size_t end, size_t worker) {
    NAME(grow_job) *job = context;
    const I *indptr = job->w->indptr, *indices = job->w->indices;
    const I *cand_indptr = job->cand->indptr, *cand_indices = job->cand->indices;
    const T *data = job->w->data;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        size_t k = (size_t)indptr[i], stop = (size_t)indptr[i + 1];
        const size_t first = (size_t)cand_indptr[i], n = (size_t)cand_indptr[i + 1] - first;
        const NAME(bits) *score = (const NAME(bits) *)job->cand->data + first;
        if (!job->new_indices) {
            const size_t positive = NAME(count_scores)(score, n, 1);
            job->new_indptr[i + 1] = (I)(stop - k + (positive < job->n_grow ? positive : job->n_grow));
            continue;
        }
        size_t to = (size_t)job->new_indptr[i];
        const size_t born = (size_t)job->new_indptr[i + 1] - to - (stop - k);
        if (born) {
            const double scale = stop > k ? NAME(row_maximum)(data + k, stop - k) : 1;
            const T newborn = NAME(saturated)(job->weight * scale);
            const BITS level = NAME(nth_largest)(score, n, born);
            size_t ties = born - NAME(count_scores)(score, n, level + 1);
            for (size_t c = 0, left = born; c < n && left; c++) {
                if (score[c] < level || score[c] > BITS_INF || (score[c] == level && ties == 0)) continue;
                ties -= score[c] == level;
                left--;
                for (; k < stop && indices[k] < cand_indices[first + c]; k++, to++) {
                    job->new_indices[to] = indices[k];
                    job->new_data[to] = data[k];
                }
                job->new_indices[to] = cand_indices[first + c];
                job->new_data[to++] = newborn;
            }
        }
        memcpy(job->new_indices + to, indices + k, (stop - k) * sizeof(I));
        memcpy(job->new_data + to, data + k, (stop - k) * SIZE);
        if (to + (stop - k) < (size_t)job->new_indptr[i + 1]) has_changed(&job->changed);
    }
}

static bio_status NAME(grow)(const bio_csr *w, const bio_csr *cand, size_t n_grow, double weight, void *new_indptr,
                             void *new_indices, void *new_data, int n_threads) {
    NAME(grow_job) job = {w, cand, n_grow, NAME(saturated)(weight), new_indptr, new_indices, new_data, 0};
    bio_parallel(NAME(grow_task), &job, share_rows(w->n_rows, w->nnz + 8 * cand->nnz, n_threads));
    if (!new_indices) NAME(lengths_to_indptr)(new_indptr, w->n_rows);
    return job.changed ? BIO_CHANGED : BIO_OK;
}

/* ---- turnover ---- */

typedef struct {
    const bio_csr *w;
    const bio_turnover_rule *rule;
    bio_random deaths, births; /* keys */
    const double *bound;       /* fill_bounds; not read by the second call */
    bio_scaling *scaling;      /* of each new row; NULL: none */
    uint8_t *dies;
    I *new_indptr, *new_indices; /* new_indices NULL: only count */
    T *new_data;
    int changed;
} NAME(turnover_job);

/* How much time passes for cell i. Where none does, `dies` is neither filled nor read. */
static double NAME(time_of)(const bio_turnover_rule *rule, size_t i) {
    return rule->time ? (double)((const T *)rule->time)[i] : 1;
}

/* Who of the n synapses of cell i dies, at hazard rate (|w| / size)^-gamma; returns how many. Most cells have moved so
 * little that none can, and most draws are too far from 1 for the weakest: -log u >= 1 - u. */
static size_t NAME(draw_deaths)(const NAME(turnover_job) *job, size_t i, const I *restrict columns,
                                const T *restrict data, size_t n, double rate, uint8_t *restrict dies) {
    const double gamma = job->rule->gamma, size = job->rule->size;
    const double most = n ? rate * pow((double)NAME(row_minimum)(data, n) / size, -gamma) : 0;
    memset(dies, 0, n);
    if (!(most > SHORTEST)) return 0; /* nor where it is 0 times infinity */
    const double reach = reach_of(size, rate, gamma), last = most * (1 + 1e-6) * 0x1p32;
    const uint32_t fatal = last < UINT32_MAX ? UINT32_MAX - (uint32_t)last : 0;
    size_t n_died = 0;
    for (size_t k = 0; k < n; k += BLOCK) {
        const size_t here = n - k < BLOCK ? n - k : BLOCK;
        uint32_t word[2][BLOCK];
        for (size_t l = 0; l < here; l++) {
            const bio_random random = bio_threefry((uint32_t)i, (uint32_t)columns[k + l], job->deaths);
            word[0][l] = random.word[0];
            word[1][l] = random.word[1];
        }
        uint32_t top = 0;
        for (size_t l = 0; l < here; l++) top = word[0][l] > top ? word[0][l] : top;
        if (top < fatal) continue;
        for (size_t l = 0; l < here; l++) {
            const double w = fabs((double)data[k + l]);
            /* the bound may underflow to 0, which a weight of 0 must not pass for */
            if (w > 0 && w >= reach * job->bound[word[0][l] / (UINT32_C(1) << 24)]) continue;
            const bio_random random = {{word[0][l], word[1][l]}};
            dies[k + l] = lifetime(random) < rate * pow(w / size, -gamma);
            n_died += dies[k + l];
        }
    }
    return n_died;
}

static void NAME(turnover_task)(void *context, size_t begin, size_t end, size_t worker) {
    NAME(turnover_job) *job = context;
    const bio_turnover_rule *rule = job->rule;
    const I *indptr = job->w->indptr;
    const size_t n_cols = job->w->n_cols;
    const T newborn = (T)(rule->inhibitory ? -rule->size : rule->size);
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t first = (size_t)indptr[i], n = (size_t)indptr[i + 1] - first;
        const I *indices = (const I *)job->w->indices + first;
        const T *data = (const T *)job->w->data + first;
        uint8_t *dies = job->dies + first;
        const double time = NAME(time_of)(rule, i);
        double rate = rule->birth * time;
        if (rate * (double)n_cols <= SHORTEST) rate = 0; /* every draw skips them all */
        const int fill = job->new_indices != NULL;
        size_t to = fill ? (size_t)job->new_indptr[i] : 0, k = 0;
        const size_t stop = fill ? (size_t)job->new_indptr[i + 1] : SIZE_MAX;
        if (!fill) to = n - (time > 0 ? NAME(draw_deaths)(job, i, indices, data, n, rule->death * time, dies) : 0);
        else if (stop - to == n && (!(time > 0) || !memchr(dies, 1, n))) { /* nobody dies, so nobody is born */
            memcpy(job->new_indices + to, indices, n * sizeof(I));
            memcpy(job->new_data + to, data, n * SIZE);
            if (job->scaling) job->scaling(job->new_data + to, n);
            continue;
        }
        uint32_t draw = 0;
        for (size_t j = 0; rate > 0 && j < n_cols; j++) {
            j = next_birth(bio_threefry((uint32_t)i, draw++, job->births), rate, j, n_cols);
            for (; k < n && (size_t)indices[k] < j; k++) {
                if (!fill || dies[k] || to == stop) continue;
                job->new_indices[to] = indices[k];
                job->new_data[to++] = data[k];
            }
            /* a stored synapse is not born, and one that dies now is not born again at once */
            if (j == n_cols || (k < n && (size_t)indices[k] == j) || to == stop) continue;
            if (fill) {
                job->new_indices[to] = (I)j;
                job->new_data[to] = newborn;
            }
            to++;
        }
        for (; fill && k < n; k++) {
            if (dies[k] || to == stop) continue;
            job->new_indices[to] = indices[k];
            job->new_data[to++] = data[k];
        }
        if (!fill) job->new_indptr[i + 1] = (I)to;
        else if (to < stop) has_changed(&job->changed);
        else if (job->scaling) job->scaling(job->new_data + job->new_indptr[i], stop - (size_t)job->new_indptr[i]);
    }
}

static bio_status NAME(turnover)(const bio_csr *w, const bio_turnover_rule *rule, uint8_t *dies, void *new_indptr,
                                 void *new_indices, void *new_data, size_t *n_died, int n_threads) {
    double bound[BINS];
    NAME(turnover_job) job = {w,
                              rule,
                              bio_stream_key(rule->seed, rule->step, DEATHS),
                              bio_stream_key(rule->seed, rule->step, BIRTHS),
                              bound,
                              rule->normalize ? bio_scaling_of(w->value) : NULL,
                              dies,
                              new_indptr,
                              new_indices,
                              new_data,
                              0};
    if (!new_indices) fill_bounds(rule->gamma, bound);
    bio_parallel(NAME(turnover_task), &job, share_rows(w->n_rows, 4 * w->nnz, n_threads));
    if (new_indices) return job.changed ? BIO_CHANGED : BIO_OK;
    const I *lengths = (const I *)new_indptr + 1;
    uint64_t total = 0;
    for (size_t i = 0; i < w->n_rows; i++) total += (uint64_t)lengths[i];
    if (w->index == BIO_INT32 && total > INT32_MAX) return BIO_INDEX_OVERFLOW;
    NAME(lengths_to_indptr)(new_indptr, w->n_rows);
    const I *indptr = w->indptr;
    size_t died = 0;
    for (size_t i = 0; i < w->n_rows; i++)
        for (size_t k = (size_t)indptr[i]; NAME(time_of)(rule, i) > 0 && k < (size_t)indptr[i + 1]; k++)
            died += dies[k];
    *n_died = died;
    return BIO_OK;
}
