/* Steps of learning, in every form: from given Hebbian terms, from activity; and synaptic scaling. */
#include "source.h"

static bio_plasticity choose_rule(source *s) {
    bio_plasticity rule = {.form = (bio_form)below(s, BIO_N_FORMS), .normalize = (int)below(s, 2)};
    const int usual = below(s, 2) == 0;
    for (size_t p = 0; p < BIO_NORMALIZE; p++) {
        const bio_parameter_traits *traits = &bio_parameters[p];
        double *field = (double *)((char *)&rule + traits->offset);
        *field = usual && p != BIO_SIGMA ? traits->usual : boundary(s, traits->low, traits->high);
    }
    if (rule.w_max < rule.w_min) rule.w_max = rule.w_min;
    return rule;
}

/* x in `value`: beyond its range, the largest number there is. */
static double fit(bio_value value, double x) {
    return value == BIO_FLOAT64 ? fmin(x, DBL_MAX) : x > (double)FLT_MAX ? (double)FLT_MAX : (double)(float)x;
}

/* What the step made of row i, given what was there before and the activity of the cell. */
static void require_row(const bio_csr *w, const bio_csr *before, const bio_plasticity *rule, size_t i, double c,
                        int ordinary) {
    const int relaxes = (bio_forms[rule->form].nonnegative & BIO_POST) != 0;
    const size_t begin = row(w, i), n = row(w, i + 1) - begin, size = bio_value_size(w->value);
    const char *now = (const char *)w->data + begin * size, *old = (const char *)before->data + begin * size;
    if (relaxes && !(c >= 1e-6)) {
        if (c < .9e-6) REQUIRE(same(old, now, n, w->value));
        return;
    }
    if (!ordinary) return;
    REQUIRE(all_finite(w->value, now, n));
    for (size_t k = 0; k < n; k++) {
        const double here = get(w->value, now, k), was = get(w->value, old, k);
        if (relaxes) REQUIRE(here >= 0);
        if (rule->form == BIO_EXPONENTIAL) REQUIRE(here * was >= 0 && (was != 0 || here == 0));
        if (rule->normalize) REQUIRE(fabs(here) <= 1.001 || magnitude(w->value, now, n) == fabs(here));
        else REQUIRE(fabs(here) <= fit(w->value, rule->w_max));
        if (relaxes && !rule->normalize) REQUIRE(here >= fit(w->value, rule->w_min));
    }
}

static void step(source *s, int n_threads) {
    const bio_plasticity rule = choose_rule(s);
    const bio_form_traits *form = &bio_forms[rule.form];
    const style weights = choose_style(s), rates = choose_style(s);
    bio_csr w = pathway(s, weights, !(form->signs & BIO_MIXED));
    const bio_value value = w.value;
    const double theta = boundary(s, 0, 1);
    const uint64_t seed = draw(s), at = draw(s);
    void *g = fill(s, value, w.nnz, rates, (form->nonnegative & BIO_PRE) && below(s, 4));
    void *c = fill(s, value, w.n_rows, rates, (form->nonnegative & BIO_POST) && below(s, 4));
    const bio_csr before = pathway_copy(&w);
    bio_csr other = pathway_copy(&w);
    size_t n_silent = 0, n_other = 0;

    const double drive = rule.eta * (magnitude(value, g, w.nnz) + fmax(1, rule.decay) * magnitude(value, c, w.n_rows) *
                                                                      (1 + magnitude(value, w.data, w.nnz)));
    const int relaxes = (form->nonnegative & BIO_POST) != 0;
    const int ordinary = weights != WILD && rates != WILD && (relaxes || drive < 1e30);
    if (CALL(s, bio_plasticity_step(&w, g, c, &rule, theta, seed, at, &n_silent, 1))) {
        for (size_t i = 0; i < w.n_rows; i++) require_row(&w, &before, &rule, i, get(value, c, i), ordinary);
        REQUIRE(n_silent <= w.nnz && (theta > 0 || n_silent == 0));
        if (CALL(s, bio_plasticity_step(&other, g, c, &rule, theta, seed, at, &n_other, n_threads)))
            REQUIRE(n_silent == n_other && same(w.data, other.data, w.nnz, value));
        else REQUIRE(same(before.data, other.data, w.nnz, value));
    } else REQUIRE(same(before.data, w.data, w.nnz, value));
    free(g);
    free(c);
    pathway_free(&before);
    pathway_free(&w);
    pathway_free(&other);
}

static void step_of_activity(source *s, int n_threads) {
    const bio_plasticity rule = choose_rule(s);
    const bio_form_traits *form = &bio_forms[rule.form];
    bio_csr w = pathway(s, choose_style(s), !(form->signs & BIO_MIXED));
    const bio_value value = w.value;
    const size_t batch = choose_batch(s, &w);
    size_t n_active = 0, n_changed = 0, n_other = 0;
    const style activity = choose_style(s);
    void *x = fill(s, value, batch * w.n_cols, activity, (form->nonnegative & BIO_PRE) != 0);
    void *y = fill(s, value, batch * w.n_rows, activity, (form->nonnegative & BIO_POST) != 0);
    void *gain = below(s, 2) ? fill(s, value, w.n_rows, choose_style(s), 1) : NULL;
    const size_t sparse = below(s, 4), size = bio_value_size(value); /* how rare rates other than 0 are */
    for (size_t k = 0; sparse && k < batch * w.n_rows; k++)
        if (draw(s) % (8 * sparse)) memset((char *)y + k * size, 0, size);
    const uint64_t seed = draw(s), at = draw(s);
    const bio_csr before = pathway_copy(&w);
    bio_csr other = pathway_copy(&w);
    bio_layout *layout = NULL;
    if (below(s, 2)) (void)CALL(s, bio_layout_new(&w, 0, n_threads, &layout));
    if (CALL(s, bio_hebbian_step(&w, NULL, x, y, gain, &rule, seed, at, batch, &n_changed, 1))) {
        for (size_t i = 0; i < w.n_rows; i++) {
            int active = 0;
            for (size_t b = 0; b < batch; b++) active |= get(value, y, b * w.n_rows + i) != 0;
            n_active += (size_t)active;
            const size_t begin = row(&w, i) * size;
            if (!active)
                REQUIRE(same((char *)before.data + begin, (char *)w.data + begin, row(&w, i + 1) - row(&w, i), value));
        }
        REQUIRE(n_changed == n_active);
        if (CALL(s, bio_hebbian_step(&other, layout, x, y, gain, &rule, seed, at, batch, &n_other, n_threads)))
            REQUIRE(n_changed == n_other && same(w.data, other.data, w.nnz, value));
        else REQUIRE(same(before.data, other.data, w.nnz, value));
    } else REQUIRE(same(before.data, w.data, w.nnz, value));
    bio_layout_free(layout);
    free(x);
    free(y);
    free(gain);
    pathway_free(&before);
    pathway_free(&w);
    pathway_free(&other);
}

static void scaling(source *s, int n_threads) {
    bio_csr w = pathway(s, choose_style(s), 0), other = pathway_copy(&w);
    const bio_csr before = pathway_copy(&w);
    const size_t size = bio_value_size(w.value);
    bio_normalize_rows(&w, 1);
    bio_normalize_rows(&other, n_threads);
    REQUIRE(same(w.data, other.data, w.nnz, w.value));
    for (size_t i = 0; i < w.n_rows; i++) {
        const size_t begin = row(&w, i), n = row(&w, i + 1) - begin;
        const char *now = (const char *)w.data + begin * size, *old = (const char *)before.data + begin * size;
        const double top = magnitude(w.value, old, n);
        if (!all_finite(w.value, old, n) || top < 1e-30) continue; /* small: too little of it is left in its square */
        double norm = 0;
        for (size_t k = 0; k < n; k++) norm = hypot(norm, get(w.value, now, k));
        REQUIRE(n == 0 || fabs(norm - 1) < 1e-5);
    }
    pathway_free(&before);
    pathway_free(&w);
    pathway_free(&other);
}

void execute(source *s, int n_threads) {
    void (*const families[])(source *, int) = {step, step, step_of_activity, step_of_activity, scaling};
    families[below(s, 5)](s, n_threads);
}
