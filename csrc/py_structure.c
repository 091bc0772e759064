/* Bindings of validate, transpose_index, prune, candidates, grow and turnover. */
#include "py_arrays.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Entry k of an index array. */
static long long entry(const void *array, bio_index index, size_t k) {
    return index == BIO_INT64 ? (long long)((const int64_t *)array)[k] : ((const int32_t *)array)[k];
}

static PyObject *fault(const bio_csr *w, PyObject *data, bio_status status, size_t k) {
    const long long p = status == BIO_INDPTR_START || status == BIO_INDPTR_FALLS || status == BIO_INDPTR_END
                            ? entry(w->indptr, w->index, k)
                            : 0;
    const long long j = status == BIO_INDEX_RANGE || status == BIO_INDEX_ORDER ? entry(w->indices, w->index, k) : 0;
    switch (status) {
        case BIO_INDPTR_START: return PyErr_Format(PyExc_ValueError, "indptr[0] must be 0, got %lld", p);
        case BIO_INDPTR_FALLS:
            return PyErr_Format(PyExc_ValueError,
                                "indptr must not decrease, but indptr[%zu] = %lld < indptr[%zu] = %lld", k, p, k - 1,
                                entry(w->indptr, w->index, k - 1));
        case BIO_INDPTR_END:
            return PyErr_Format(PyExc_ValueError, "indptr[-1] must be len(indices) = %zu, got %lld", w->nnz, p);
        case BIO_INDEX_RANGE:
            return PyErr_Format(PyExc_ValueError, "indices must lie in [0, %zu), but indices[%zu] = %lld", w->n_cols, k,
                                j);
        case BIO_INDEX_ORDER:
            return PyErr_Format(PyExc_ValueError,
                                "indices must rise strictly within a row, but indices[%zu] = %lld follows %lld", k, j,
                                entry(w->indices, w->index, k - 1));
        case BIO_DATA_NONFINITE: {
            PyObject *value = PySequence_GetItem(data, (Py_ssize_t)k);
            if (value) PyErr_Format(PyExc_ValueError, "data must be finite, but data[%zu] = %S", k, value);
            Py_XDECREF(value);
            return NULL;
        }
        default: py_status(status); return NULL;
    }
}

/* An integer argument in [low, high], low >= 0. Returns 0 or -1. */
static int integer(PyObject *object, const char *name, Py_ssize_t low, Py_ssize_t high, size_t *value) {
    if (!PyIndex_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be an integer, got %R", name, object);
        return -1;
    }
    Py_ssize_t n = PyNumber_AsSsize_t(object, PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred() && PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Clear(); /* -1 is out of range too */
    if (PyErr_Occurred()) return -1;
    if (n < low || n > high) {
        PyErr_Format(PyExc_ValueError, "%s must lie in [%zd, %zd], got %R", name, low, high, object);
        return -1;
    }
    *value = (size_t)n;
    return 0;
}

/* A 64-bit key, in [0, 2^64). Returns 0 or -1. */
static int key(PyObject *object, const char *name, uint64_t *value) {
    PyObject *number = PyBool_Check(object) ? NULL : PyNumber_Index(object);
    if (number) {
        *value = PyLong_AsUnsignedLongLong(number);
        Py_DECREF(number);
        if (!PyErr_Occurred()) return 0;
    }
    PyErr_Clear();
    PyErr_Format(PyExc_ValueError, "%s must be an integer in [0, 2**64), got %R", name, object);
    return -1;
}

/* A ValueError unless `count` things can be counted, and `n_indices` columns or rows named, by the index type of w. */
static int fits(const bio_csr *w, const char *what, double count) {
    if (w->index == BIO_INT64 || count <= INT32_MAX) return 0;
    PyObject *number = PyLong_FromDouble(count);
    if (number)
        PyErr_Format(PyExc_ValueError,
                     "%s may reach %S, more than int32 indices can count (2**31 - 1): use int64 indptr and indices",
                     what, number);
    Py_XDECREF(number);
    return -1;
}

static PyObject *validate(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "n_cols", NULL};
    PyObject *indptr, *indices, *data, *n_cols_object;
    bio_csr w;
    size_t n_cols, where = 0;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:validate", names, &indptr, &indices, &data, &n_cols_object))
        return NULL;
    if (integer(n_cols_object, "n_cols", 1, PY_SSIZE_T_MAX, &n_cols) || py_csr(indptr, indices, data, n_cols, &w))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_validate(&w, &where);
    Py_END_ALLOW_THREADS
    if (status != BIO_OK) return fault(&w, data, status, where);
    Py_RETURN_NONE;
}

static PyObject *transpose_index(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "n_cols", NULL};
    PyObject *indptr, *indices, *n_cols_object;
    bio_csr w;
    size_t n_cols;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:transpose_index", names, &indptr, &indices, &n_cols_object))
        return NULL;
    if (integer(n_cols_object, "n_cols", 1, PY_SSIZE_T_MAX - 1, &n_cols) || py_csr(indptr, indices, NULL, n_cols, &w))
        return NULL;
    if (fits(&w, "the number of rows", (double)w.n_rows)) return NULL;
    PyArrayObject *t_indptr = py_new_indices((npy_intp)n_cols + 1, w.index);
    PyArrayObject *t_indices = py_new_indices((npy_intp)w.nnz, w.index);
    PyArrayObject *permutation = py_new_indices((npy_intp)w.nnz, w.index);
    if (!t_indptr || !t_indices || !permutation) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_transpose_index(&w, PyArray_DATA(t_indptr), PyArray_DATA(t_indices), PyArray_DATA(permutation));
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
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
    made->indices = made->data = NULL;
    made->indptr = py_new_indices((npy_intp)w->n_rows + 1, w->index);
    return made->indptr ? 0 : -1;
}

static int new_arrays(const bio_csr *w, new_csr *made, int with_data) {
    npy_intp nnz = (npy_intp)entry(PyArray_DATA(made->indptr), w->index, w->n_rows);
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
    static char *names[] = {"indptr", "indices", "data", "theta", "n_threads", NULL};
    PyObject *indptr, *indices, *data, *threads = NULL;
    double theta;
    bio_csr w;
    new_csr made;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOd|$O:prune", names, &indptr, &indices, &data, &theta, &threads))
        return NULL;
    if (py_csr(indptr, indices, data, PY_SSIZE_T_MAX, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!w.data) return PyErr_Format(PyExc_TypeError, "data must be a NumPy array of float32 or float64, got NoneType");
    if (!(theta >= 0 && theta <= 1)) {
        PyObject *value = PyFloat_FromDouble(theta);
        if (value) PyErr_Format(PyExc_ValueError, "theta must lie in [0, 1], got %R", value);
        Py_XDECREF(value);
        return NULL;
    }
    if (new_begin(&w, &made)) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_prune(&w, theta, PyArray_DATA(made.indptr), NULL, NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status) || new_arrays(&w, &made, 1)) return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status =
        bio_prune(&w, theta, PyArray_DATA(made.indptr), PyArray_DATA(made.indices), PyArray_DATA(made.data), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NNN)", made.indptr, made.indices, made.data);
}

static PyObject *candidates(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "n_cols", "n_candidates", "seed", "step", "n_threads", NULL};
    PyObject *indptr, *indices, *n_cols_object, *n_object, *seed_object = NULL, *step_object = NULL, *threads = NULL;
    size_t n_cols, n;
    uint64_t seed, step;
    bio_csr w;
    new_csr made;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOO:candidates", names, &indptr, &indices, &n_cols_object,
                                     &n_object, &seed_object, &step_object, &threads))
        return NULL;
    if (!seed_object || !step_object)
        return PyErr_Format(PyExc_TypeError, "candidates() missing required keyword-only argument: '%s'",
                            seed_object ? "step" : "seed");
    /* a draw is 32 bits wide, and so is its number */
    if (integer(n_cols_object, "n_cols", 1, (Py_ssize_t)UINT32_MAX, &n_cols)) return NULL;
    if (integer(n_object, "n_candidates", 0, (Py_ssize_t)UINT32_MAX, &n)) return NULL;
    if (key(seed_object, "seed", &seed) || key(step_object, "step", &step)) return NULL;
    if (py_csr(indptr, indices, NULL, n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    if (fits(&w, "n_cols", (double)n_cols)) return NULL;
    if (fits(&w, "the number of candidates", (double)w.n_rows * (double)(n < n_cols ? n : n_cols))) return NULL;
    if (new_begin(&w, &made)) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_candidates(&w, n, seed, step, PyArray_DATA(made.indptr), NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status) || new_arrays(&w, &made, 0)) return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status = bio_candidates(&w, n, seed, step, PyArray_DATA(made.indptr), PyArray_DATA(made.indices), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NN)", made.indptr, made.indices);
}

static PyObject *grow(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data",   "cand_indptr", "cand_indices",
                            "score",  "n_grow",  "weight", "n_threads",   NULL};
    PyObject *indptr, *indices, *data, *cand_indptr, *cand_indices, *score_object, *n_object, *threads = NULL;
    PyArrayObject *score;
    double weight;
    size_t n_grow;
    bio_csr w, cand;
    new_csr made;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOd|$O:grow", names, &indptr, &indices, &data, &cand_indptr,
                                     &cand_indices, &score_object, &n_object, &weight, &threads))
        return NULL;
    if (integer(n_object, "n_grow", 0, PY_SSIZE_T_MAX, &n_grow)) return NULL;
    if (!isfinite(weight)) return PyErr_Format(PyExc_ValueError, "weight must be finite");
    if (py_csr(indptr, indices, data, PY_SSIZE_T_MAX, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!w.data) return PyErr_Format(PyExc_TypeError, "data must be a NumPy array of float32 or float64, got NoneType");
    if (py_csr(cand_indptr, cand_indices, NULL, PY_SSIZE_T_MAX, &cand)) return NULL;
    if (cand.index != w.index)
        return PyErr_Format(PyExc_TypeError,
                            "cand_indptr and cand_indices must be %s like indptr: nothing is cast in silence",
                            w.index == BIO_INT64 ? "int64" : "int32");
    if (py_dimension((PyArrayObject *)cand_indptr, "cand_indptr", 0, w.n_rows + 1, "the length of indptr")) return NULL;
    if (!(score = py_values_of(score_object, "score", 1, w.value, "data"))) return NULL;
    if (py_dimension(score, "score", 0, cand.nnz, "the length of cand_indices")) return NULL;
    cand.value = w.value;
    cand.data = PyArray_DATA(score);
    double born = (double)w.n_rows * (double)n_grow;
    if (fits(&w, "the number of synapses", (double)w.nnz + (born < (double)cand.nnz ? born : (double)cand.nnz)))
        return NULL;
    if (new_begin(&w, &made)) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_grow(&w, &cand, n_grow, weight, PyArray_DATA(made.indptr), NULL, NULL, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status) || new_arrays(&w, &made, 1)) return new_abandon(&made);
    Py_BEGIN_ALLOW_THREADS
    status = bio_grow(&w, &cand, n_grow, weight, PyArray_DATA(made.indptr), PyArray_DATA(made.indices),
                      PyArray_DATA(made.data), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return new_abandon(&made);
    return Py_BuildValue("(NNN)", made.indptr, made.indices, made.data);
}

static int is_absent(PyObject *object, const char *name) {
    if (object) return 0;
    PyErr_Format(PyExc_TypeError, "turnover() missing required keyword-only argument: '%s'", name);
    return 1;
}

static int inhibitory(PyObject *sign, int *answer) {
    const char *text = sign == NULL ? "E" : PyUnicode_Check(sign) ? PyUnicode_AsUTF8(sign) : NULL;
    if (text && (!strcmp(text, "E") || !strcmp(text, "I"))) {
        *answer = *text == 'I';
        return 0;
    }
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "sign must be 'E' or 'I', got %R", sign);
    return -1;
}

/* How much time passes for each cell: finite and >= 0, so that every rate is one. */
static int check_time(const bio_csr *w, PyArrayObject *time, int n_threads) {
    double low, high;
    if (py_dimension(time, "time", 0, w->n_rows, "one for each row of W")) return -1;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_extent(w->value, PyArray_DATA(time), w->n_rows, &low, &high, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return -1;
    if (low >= 0 && high <= DBL_MAX) return 0;
    PyErr_SetString(PyExc_ValueError, "time must be finite and >= 0");
    return -1;
}

static PyObject *turnover(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "n_cols", "birth", "death",     "gamma",
                            "size",   "time",    "sign", "seed",   "step",  "n_threads", NULL};
    PyObject *indptr, *indices, *data, *n_cols_object, *birth = NULL, *death = NULL, *gamma = NULL, *size = NULL;
    PyObject *time_object = NULL, *sign = NULL, *seed = NULL, *step = NULL, *threads = NULL;
    const char *rate = "a finite number >= 0";
    bio_turnover_rule rule = {.time = NULL};
    PyArrayObject *time;
    uint8_t *dies = NULL;
    new_csr made = {NULL, NULL, NULL};
    size_t n_cols, n_died;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOOOOOOOO:turnover", names, &indptr, &indices, &data,
                                     &n_cols_object, &birth, &death, &gamma, &size, &time_object, &sign, &seed, &step,
                                     &threads))
        return NULL;
    if (is_absent(birth, "birth") || is_absent(death, "death") || is_absent(gamma, "gamma") ||
        is_absent(size, "size") || is_absent(seed, "seed") || is_absent(step, "step"))
        return NULL;
    if (py_real(birth, "birth", 0, DBL_MAX, rate, &rule.birth) ||
        py_real(death, "death", 0, DBL_MAX, rate, &rule.death) ||
        py_real(gamma, "gamma", 0, DBL_MAX, rate, &rule.gamma) || inhibitory(sign, &rule.inhibitory) ||
        key(seed, "seed", &rule.seed) || key(step, "step", &rule.step))
        return NULL;
    /* a draw is counted in 32 bits */
    if (integer(n_cols_object, "n_cols", 1, (Py_ssize_t)UINT32_MAX, &n_cols)) return NULL;
    if (py_csr(indptr, indices, data, n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!w.data) return PyErr_Format(PyExc_TypeError, "data must be a NumPy array of float32 or float64, got NoneType");
    if (fits(&w, "n_cols", (double)n_cols)) return NULL;
    /* so that newborns are not 0, nor infinite */
    const int wide = w.value == BIO_FLOAT64;
    if (py_real(size, "size", wide ? DBL_TRUE_MIN : FLT_TRUE_MIN, wide ? DBL_MAX : FLT_MAX,
                wide ? "a finite number > 0" : "a finite number > 0 in float32, like data", &rule.size))
        return NULL;
    if (py_optional_values_of(time_object, "time", 1, w.value, "data", &time)) return NULL;
    if (time && check_time(&w, time, n_threads)) return NULL;
    rule.time = time ? PyArray_DATA(time) : NULL;

    if (!(dies = PyMem_RawMalloc(w.nnz ? w.nnz : 1))) {
        PyErr_NoMemory();
        goto fail;
    }
    if (new_begin(&w, &made)) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_turnover(&w, &rule, dies, PyArray_DATA(made.indptr), NULL, NULL, &n_died, n_threads);
    Py_END_ALLOW_THREADS
    if (status == BIO_INDEX_OVERFLOW) {
        PyErr_SetString(PyExc_ValueError,
                        "more synapses live than int32 indices can count (2**31 - 1): use int64 indptr and indices");
        goto fail;
    }
    if (py_status(status) || new_arrays(&w, &made, 1)) goto fail;
    Py_BEGIN_ALLOW_THREADS
    status = bio_turnover(&w, &rule, dies, PyArray_DATA(made.indptr), PyArray_DATA(made.indices),
                          PyArray_DATA(made.data), &n_died, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    PyMem_RawFree(dies);
    return Py_BuildValue("(NNNn)", made.indptr, made.indices, made.data, (Py_ssize_t)n_died);
fail:
    PyMem_RawFree(dies);
    return new_abandon(&made);
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_structure_methods[] = {
    METHOD(validate,
           "validate(indptr, indices, data, n_cols)\n--\n\nRaise ValueError unless this is a proper CSR structure."),
    METHOD(transpose_index,
           "transpose_index(indptr, indices, n_cols)\n--\n\nCSR structure of W^T and the permutation of its values."),
    METHOD(prune,
           "prune(indptr, indices, data, theta, *, n_threads=None)\n--\n\nCSR without the synapses below theta x the "
           "row's maximum."),
    METHOD(candidates,
           "candidates(indptr, indices, n_cols, n_candidates, *, seed, step, n_threads=None)\n--\n\n"
           "Random silent sites, as a CSR structure."),
    METHOD(grow,
           "grow(indptr, indices, data, cand_indptr, cand_indices, score, n_grow, weight, *, n_threads=None)\n--\n\n"
           "CSR in which each row has gained its n_grow best candidates."),
    METHOD(turnover,
           "turnover(indptr, indices, data, n_cols, *, birth, death, gamma, size, time=None, sign='E', seed, "
           "step, n_threads=None)\n--\n\nCSR after random births and deaths, and how many died."),
    {NULL, NULL, 0, NULL},
};
