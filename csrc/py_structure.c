/* Bindings of validate, transpose_index, prune, candidates, grow and turnover. */
#include "py_arguments.h"

#include <float.h>

enum { MAX_DRAWS = UINT32_MAX }; /* a draw is 32 bits wide, and so is its number */

/* A ValueError unless `count` things can be counted, and `n_indices` columns or rows named, by the index type of w. */
static int fits(const char *call, const bio_csr *w, const char *what, double count) {
    if (w->index == BIO_INT64 || count <= INT32_MAX) return 0;
    PyObject *number = PyLong_FromDouble(count);
    if (number)
        PyErr_Format(PyExc_ValueError,
                     "%s(): %s may reach %S, more than int32 indices can count (2**31 - 1): use int64 indptr and "
                     "indices",
                     call, what, number);
    Py_XDECREF(number);
    return -1;
}

static PyObject *validate(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "validate";
    static char *names[] = {"indptr", "indices", "data", "n_cols", NULL};
    PyObject *indptr, *indices, *data, *cols;
    size_t n_cols, where = 0;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:validate", names, &indptr, &indices, &data, &cols))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX, NULL, &n_cols) ||
        (data == Py_None ? py_structure(call, indptr, indices, n_cols, &w)
                         : py_weighted(call, indptr, indices, data, n_cols, &w)))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_validate(&w.csr, &where);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) return NULL;
    Py_RETURN_NONE;
}

static PyObject *transpose_index(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "transpose_index";
    static char *names[] = {"indptr", "indices", "n_cols", "check", NULL};
    PyArrayObject *t_indptr = NULL, *t_indices = NULL, *permutation = NULL;
    PyObject *indptr, *indices, *cols, *check_object = NULL;
    size_t n_cols, where = 0;
    py_pathway w;
    int check = 0;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$O:transpose_index", names, &indptr, &indices, &cols,
                                     &check_object))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX - 1, NULL, &n_cols) ||
        py_truth(call, check_object, "check", &check) || py_structure(call, indptr, indices, n_cols, &w) ||
        fits(call, &w.csr, "the number of rows", (double)w.csr.n_rows))
        return NULL;
    if (!(t_indptr = py_new_indices(n_cols + 1, w.csr.index)) ||
        !(t_indices = py_new_indices(w.csr.nnz, w.csr.index)) ||
        !(permutation = py_new_indices(w.csr.nnz, w.csr.index)))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status)
        status =
            bio_transpose_index(&w.csr, PyArray_DATA(t_indptr), PyArray_DATA(t_indices), PyArray_DATA(permutation));
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) goto fail;
    return Py_BuildValue("(NNN)", t_indptr, t_indices, permutation);
fail:
    Py_XDECREF(t_indptr);
    Py_XDECREF(t_indices);
    Py_XDECREF(permutation);
    return NULL;
}

/* A new CSR structure in the making: first indptr is filled, then arrays of its last entry are made and filled. */
typedef struct {
    PyArrayObject *indptr, *indices, *data;
} new_csr;

static int new_begin(const bio_csr *w, new_csr *made) {
    *made = (new_csr){.indptr = py_new_indices(w->n_rows + 1, w->index)};
    return made->indptr ? 0 : -1;
}

static size_t new_nnz(const bio_csr *w, const new_csr *made) {
    const void *indptr = PyArray_DATA(made->indptr);
    return (size_t)(w->index == BIO_INT64 ? ((const int64_t *)indptr)[w->n_rows]
                                          : ((const int32_t *)indptr)[w->n_rows]);
}

static int new_arrays(const bio_csr *w, new_csr *made, int with_data) {
    const size_t nnz = new_nnz(w, made);
    made->indices = py_new_indices(nnz, w->index);
    if (with_data) made->data = py_new_values(1, &nnz, w->value);
    return made->indices && (made->data || !with_data) ? 0 : -1;
}

static PyObject *new_abandon(new_csr *made) {
    Py_XDECREF(made->indptr);
    Py_XDECREF(made->indices);
    Py_XDECREF(made->data);
    return NULL;
}

static PyObject *prune(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "prune";
    static char *names[] = {"indptr", "indices", "data", "theta", "n_threads", "check", NULL};
    PyObject *indptr, *indices, *data, *theta_object, *threads = NULL, *check_object = NULL;
    int n_threads, check = 0;
    size_t where = 0;
    double theta;
    py_pathway w;
    new_csr made;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OO:prune", names, &indptr, &indices, &data, &theta_object,
                                     &threads, &check_object))
        return NULL;
    if (py_real(call, theta_object, "theta", 0, 1, "a number in [0, 1]", &theta) ||
        py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check) ||
        py_weighted(call, indptr, indices, data, PY_SSIZE_T_MAX, &w) || new_begin(&w.csr, &made))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_prune(&w.csr, theta, PyArray_DATA(made.indptr), NULL, NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "") || new_arrays(&w.csr, &made, 1)) return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status = bio_prune(&w.csr, theta, PyArray_DATA(made.indptr), PyArray_DATA(made.indices), PyArray_DATA(made.data),
                       n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NNN)", made.indptr, made.indices, made.data);
}

static PyObject *candidates(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "candidates";
    static char *names[] = {"indptr", "indices", "n_cols", "n_candidates", "seed", "step", "n_threads", "check", NULL};
    PyObject *indptr, *indices, *cols, *n_object, *seed_object = NULL, *step_object = NULL, *threads = NULL;
    PyObject *check_object = NULL;
    size_t n_cols, n, where = 0;
    int n_threads, check = 0;
    uint64_t seed, step;
    py_pathway w;
    new_csr made;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOOO:candidates", names, &indptr, &indices, &cols, &n_object,
                                     &seed_object, &step_object, &threads, &check_object))
        return NULL;
    if (py_required(call, seed_object, "seed") || py_required(call, step_object, "step") ||
        py_integer(call, cols, "n_cols", 1, MAX_DRAWS, NULL, &n_cols) ||
        py_integer(call, n_object, "n_candidates", 0, MAX_DRAWS, NULL, &n) ||
        py_key(call, seed_object, "seed", &seed) || py_key(call, step_object, "step", &step) ||
        py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check))
        return NULL;
    if (py_structure(call, indptr, indices, n_cols, &w) || fits(call, &w.csr, "n_cols", (double)n_cols) ||
        fits(call, &w.csr, "the number of candidates", (double)w.csr.n_rows * (double)(n < n_cols ? n : n_cols)) ||
        new_begin(&w.csr, &made))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_candidates(&w.csr, n, seed, step, PyArray_DATA(made.indptr), NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "") || new_arrays(&w.csr, &made, 0)) return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status = bio_candidates(&w.csr, n, seed, step, PyArray_DATA(made.indptr), PyArray_DATA(made.indices), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NN)", made.indptr, made.indices);
}

static PyObject *grow(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "grow", sites_call[] = "grow (candidates)";
    static char *names[] = {"indptr", "indices",   "data",  "cand_indptr", "cand_indices", "score", "n_grow",
                            "weight", "n_threads", "check", NULL};
    PyObject *indptr, *indices, *data, *cand_indptr, *cand_indices, *score_object, *n_object, *weight_object;
    PyObject *threads = NULL, *check_object = NULL;
    int n_threads, check = 0, at_sites = 0;
    size_t n_grow, where = 0;
    py_pathway w, sites;
    py_array score;
    double weight;
    new_csr made;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOO|$OO:grow", names, &indptr, &indices, &data, &cand_indptr,
                                     &cand_indices, &score_object, &n_object, &weight_object, &threads, &check_object))
        return NULL;
    if (py_integer(call, n_object, "n_grow", 0, PY_SSIZE_T_MAX, NULL, &n_grow) ||
        py_real(call, weight_object, "weight", -DBL_MAX, DBL_MAX, "a finite number", &weight) ||
        py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check))
        return NULL;
    if (py_weighted(call, indptr, indices, data, PY_SSIZE_T_MAX, &w) ||
        py_structure(sites_call, cand_indptr, cand_indices, PY_SSIZE_T_MAX, &sites))
        return NULL;
    if (sites.csr.index != w.csr.index)
        return PyErr_Format(PyExc_TypeError,
                            "%s(): cand_indptr and cand_indices must be %s like indptr: nothing is cast in silence",
                            call, w.csr.index == BIO_INT64 ? "int64" : "int32");
    if (py_dimension(call, &sites.indptr, "cand_indptr", 0, w.csr.n_rows + 1, "the length of indptr") ||
        py_values_of(call, score_object, "score", 1, w.csr.value, "data", &score) ||
        py_dimension(call, &score, "score", 0, sites.csr.nnz, "the length of cand_indices"))
        return NULL;
    const double born = (double)w.csr.n_rows * (double)n_grow, offered = (double)sites.csr.nnz;
    if (fits(call, &w.csr, "the number of synapses", (double)w.csr.nnz + (born < offered ? born : offered)) ||
        new_begin(&w.csr, &made))
        return NULL;
    bio_csr candidates = sites.csr; /* with scores, which may be NaN, in the place of weights */
    candidates.value = w.csr.value;
    candidates.data = score.data;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status && (status = bio_checked(check, &sites, &where))) at_sites = 1;
    if (!status)
        status = bio_grow(&w.csr, &candidates, n_grow, weight, PyArray_DATA(made.indptr), NULL, NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(at_sites ? &sites : &w, status, where, at_sites ? "candidates: " : "") ||
        new_arrays(&w.csr, &made, 1))
        return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status = bio_grow(&w.csr, &candidates, n_grow, weight, PyArray_DATA(made.indptr), PyArray_DATA(made.indices),
                      PyArray_DATA(made.data), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NNN)", made.indptr, made.indices, made.data);
}

/* How much time passes for each cell: finite and >= 0, so that every rate is one. */
static int check_time(const char *call, const py_array *time, int n_threads) {
    double low = 0, high = 0;
    bio_status status = BIO_OK;
    if (!time->data) return 0;
    Py_BEGIN_ALLOW_THREADS
    status = bio_minmax(time->value, time->data, time->size, &low, &high, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return -1;
    if (low >= 0 && high <= DBL_MAX) return 0;
    PyErr_Format(PyExc_ValueError, "%s(): time must be finite and >= 0", call);
    return -1;
}

static PyObject *turnover(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "turnover", rate[] = "a finite number >= 0", positive[] = "a finite number > 0";
    static const char *const signs[] = {"E", "I"};
    static char *names[] = {"indptr", "indices", "data",      "n_cols", "birth", "death",     "gamma", "size",
                            "time",   "sign",    "normalize", "seed",   "step",  "n_threads", "check", NULL};
    PyObject *indptr, *indices, *data, *cols, *birth = NULL, *death = NULL, *gamma = NULL, *size = NULL;
    PyObject *time_object = NULL, *sign = NULL, *seed = NULL, *step = NULL, *threads = NULL, *check_object = NULL;
    PyObject *normalize = NULL;
    bio_turnover_rule rule = {.time = NULL};
    size_t n_cols, n_died, where = 0;
    new_csr made = {NULL, NULL, NULL};
    int n_threads, check = 0;
    uint8_t *dies = NULL;
    py_array time;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOOOOOOOOOO:turnover", names, &indptr, &indices, &data, &cols,
                                     &birth, &death, &gamma, &size, &time_object, &sign, &normalize, &seed, &step,
                                     &threads, &check_object))
        return NULL;
    if (py_required(call, birth, "birth") || py_required(call, death, "death") || py_required(call, gamma, "gamma") ||
        py_required(call, size, "size") || py_required(call, seed, "seed") || py_required(call, step, "step"))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, MAX_DRAWS, NULL, &n_cols) ||
        py_real(call, birth, "birth", 0, DBL_MAX, rate, &rule.birth) ||
        py_real(call, death, "death", 0, DBL_MAX, rate, &rule.death) ||
        py_real(call, gamma, "gamma", 0, DBL_MAX, rate, &rule.gamma) ||
        py_real(call, size, "size", DBL_TRUE_MIN, DBL_MAX, positive, &rule.size) ||
        py_choice(call, sign, "sign", signs, 2, &rule.inhibitory) ||
        py_truth(call, normalize, "normalize", &rule.normalize) || py_key(call, seed, "seed", &rule.seed) ||
        py_key(call, step, "step", &rule.step) || py_threads(call, threads, &n_threads) ||
        py_truth(call, check_object, "check", &check))
        return NULL;
    if (py_weighted(call, indptr, indices, data, n_cols, &w) || fits(call, &w.csr, "n_cols", (double)n_cols))
        return NULL;
    if (w.csr.value == BIO_FLOAT32 &&
        !(rule.size >= FLT_TRUE_MIN && rule.size <= FLT_MAX)) /* newborns: 0 or infinite */
        return PyErr_Format(PyExc_ValueError, "%s(): size must be %s in float32, like data, got %R", call, positive,
                            size);
    if (py_optional_values_of(call, time_object, "time", 1, w.csr.value, "data", &time) ||
        py_dimension(call, &time, "time", 0, w.csr.n_rows, "one for each row of W") ||
        check_time(call, &time, n_threads))
        return NULL;
    rule.time = time.data;

    if (!(dies = PyMem_RawMalloc(w.csr.nnz ? w.csr.nnz : 1))) {
        PyErr_NoMemory();
        goto fail;
    }
    if (new_begin(&w.csr, &made)) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_turnover(&w.csr, &rule, dies, PyArray_DATA(made.indptr), NULL, NULL, &n_died, n_threads);
    Py_END_ALLOW_THREADS
    if (status == BIO_INDEX_OVERFLOW) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): more synapses live than int32 indices can count (2**31 - 1): use int64 indptr and indices",
                     call);
        goto fail;
    }
    if (py_pathway_status(&w, status, where, "")) goto fail;
    if (n_died == 0 && new_nnz(&w.csr, &made) == w.csr.nnz) {
        PyMem_RawFree(dies);
        new_abandon(&made);
        return Py_BuildValue("(OOOn)", indptr, indices, data, (Py_ssize_t)0);
    }
    if (new_arrays(&w.csr, &made, 1)) goto fail;
    Py_BEGIN_ALLOW_THREADS
    status = bio_turnover(&w.csr, &rule, dies, PyArray_DATA(made.indptr), PyArray_DATA(made.indices),
                          PyArray_DATA(made.data), &n_died, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    PyMem_RawFree(dies);
    return Py_BuildValue("(NNNn)", made.indptr, made.indices, made.data, (Py_ssize_t)n_died);
fail:
    PyMem_RawFree(dies);
    return new_abandon(&made);
}

PyMethodDef py_structure_methods[] = {
    METHOD(validate,
           "validate(indptr, indices, data, n_cols)\n--\n\nRaise ValueError unless this is a proper CSR structure."),
    METHOD(transpose_index,
           "transpose_index(indptr, indices, n_cols, *, check=False)\n--\n\n"
           "CSR structure of W^T and the permutation of its values."),
    METHOD(prune,
           "prune(indptr, indices, data, theta, *, n_threads=None, check=False)\n--\n\n"
           "CSR without the synapses below theta x the row's maximum."),
    METHOD(candidates,
           "candidates(indptr, indices, n_cols, n_candidates, *, seed, step, n_threads=None, "
           "check=False)\n--\n\nRandom silent sites, as a CSR structure."),
    METHOD(grow,
           "grow(indptr, indices, data, cand_indptr, cand_indices, score, n_grow, weight, *, n_threads=None, "
           "check=False)\n--\n\nCSR in which each row has gained its n_grow best candidates."),
    METHOD(turnover,
           "turnover(indptr, indices, data, n_cols, *, birth, death, gamma, size, time=None, sign='E', "
           "normalize=False, seed, step, n_threads=None, check=False)\n--\n\nCSR after random births and deaths, and "
           "how many died. Where nothing happened, the arrays themselves, not normalized."),
    {NULL, NULL, 0, NULL},
};
