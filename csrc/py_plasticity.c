/* Bindings of plasticity_step, hebbian_step, normalize_rows and minmax, which guards them; and _vmath, for the tests of
 * the vector functions they are made of. */
#include "py_forms.h"
#include "vmath.h"

/* Keyword arguments that the step itself does not know are the rule's parameters. */

static PyObject *plasticity_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "plasticity_step";
    static char *names[] = {"indptr", "indices", "data", "G",         "c",     "form",
                            "theta",  "seed",    "step", "n_threads", "check", NULL};
    PyObject *indptr, *indices, *data, *g_object, *c_object, *form = NULL, *threads = NULL, *check_object = NULL;
    PyObject *theta_object = NULL, *seed_object = NULL, *step_object = NULL, *known, *parameters, *result = NULL;
    uint64_t seed = 0, step = 0;
    int n_threads, check = 0;
    bio_plasticity rule;
    double theta = 0;
    size_t where = 0, n_silent = 0;
    py_array g, c;
    py_pathway w;
    if (py_split(kwargs, names, &known, &parameters)) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, known, "OOOOO|O$OOOOO:plasticity_step", names, &indptr, &indices, &data,
                                     &g_object, &c_object, &form, &theta_object, &seed_object, &step_object, &threads,
                                     &check_object))
        goto done;
    if (py_rule(module, call, form, parameters, &rule) ||
        py_real(call, theta_object, "theta", 0, 1, "a number in [0, 1]", &theta) ||
        py_key(call, seed_object, "seed", &seed) || py_key(call, step_object, "step", &step) ||
        py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check))
        goto done;
    /* the structure's width is not used */
    if (py_weighted(call, indptr, indices, data, PY_SSIZE_T_MAX, &w) || py_writeable(call, &w.data, "data") ||
        py_values_of(call, g_object, "G", 1, w.csr.value, "data", &g) ||
        py_values_of(call, c_object, "c", 1, w.csr.value, "data", &c) ||
        py_dimension(call, &g, "G", 0, w.csr.nnz, "one for each synapse") ||
        py_dimension(call, &c, "c", 0, w.csr.n_rows, "one for each row of W") || py_apart(call, &w.data, "data", &w) ||
        py_no_overlap(call, &w.data, "data", &g, "G", 0) || py_no_overlap(call, &w.data, "data", &c, "c", 0))
        goto done;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_plasticity_step(&w.csr, g.data, c.data, &rule, theta, seed, step, &n_silent, n_threads);
    Py_END_ALLOW_THREADS
    if (!py_pathway_status(&w, status, where, "")) result = PyLong_FromSize_t(n_silent);
done:
    Py_DECREF(known);
    Py_DECREF(parameters);
    return result;
}

static PyObject *hebbian_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "hebbian_step";
    static char *names[] = {"indptr", "indices", "data",      "X",      "Y",     "form", "gain",
                            "seed",   "step",    "n_threads", "layout", "check", NULL};
    PyObject *indptr, *indices, *data, *x_object, *y_object, *form = NULL, *gain_object = NULL, *threads = NULL;
    PyObject *layout_object = NULL, *seed_object = NULL, *step_object = NULL, *check_object = NULL;
    PyObject *known, *parameters, *result = NULL;
    uint64_t seed = 0, step = 0;
    int n_threads, check = 0;
    bio_plasticity rule;
    size_t where = 0, n_changed = 0;
    bio_layout *layout;
    py_array x, y, gain;
    py_pathway w;
    if (py_split(kwargs, names, &known, &parameters)) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, known, "OOOOO|O$OOOOOO:hebbian_step", names, &indptr, &indices, &data,
                                     &x_object, &y_object, &form, &gain_object, &seed_object, &step_object, &threads,
                                     &layout_object, &check_object))
        goto done;
    if (py_rule(module, call, form, parameters, &rule) || py_key(call, seed_object, "seed", &seed) ||
        py_key(call, step_object, "step", &step) || py_threads(call, threads, &n_threads) ||
        py_truth(call, check_object, "check", &check))
        goto done;
    if (py_values(call, x_object, "X", 2, &x) || py_values(call, y_object, "Y", 2, &y) ||
        py_weighted(call, indptr, indices, data, x.shape[1], &w) || py_writeable(call, &w.data, "data") ||
        py_values_of(call, x_object, "X", 2, w.csr.value, "data", &x) ||
        py_values_of(call, y_object, "Y", 2, w.csr.value, "data", &y) ||
        py_dimension(call, &y, "Y", 0, x.shape[0], "the batch of X") ||
        py_dimension(call, &y, "Y", 1, w.csr.n_rows, "one for each row of W") ||
        py_optional_values_of(call, gain_object, "gain", 1, w.csr.value, "data", &gain) ||
        py_dimension(call, &gain, "gain", 0, w.csr.n_rows, "one for each row of W") ||
        py_apart(call, &w.data, "data", &w) || py_no_overlap(call, &w.data, "data", &x, "X", 0) ||
        py_no_overlap(call, &w.data, "data", &y, "Y", 0) || py_no_overlap(call, &w.data, "data", &gain, "gain", 0) ||
        py_layout(call, layout_object, &w.csr, 0, &layout))
        goto done;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status)
        status = bio_hebbian_step(&w.csr, layout, x.data, y.data, gain.data, &rule, seed, step, x.shape[0], &n_changed,
                                  n_threads);
    Py_END_ALLOW_THREADS
    if (!py_pathway_status(&w, status, where, "")) result = PyLong_FromSize_t(n_changed);
done:
    Py_DECREF(known);
    Py_DECREF(parameters);
    return result;
}

static PyObject *normalize_rows(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "normalize_rows";
    static char *names[] = {"indptr", "indices", "data", "n_threads", "check", NULL};
    PyObject *indptr, *indices, *data, *threads = NULL, *check_object = NULL;
    int n_threads, check = 0;
    size_t where = 0;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$OO:normalize_rows", names, &indptr, &indices, &data, &threads,
                                     &check_object))
        return NULL;
    if (py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check) ||
        py_weighted(call, indptr, indices, data, PY_SSIZE_T_MAX, &w) || py_writeable(call, &w.data, "data") ||
        py_apart(call, &w.data, "data", &w))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) bio_normalize_rows(&w.csr, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) return NULL;
    Py_RETURN_NONE;
}

static PyObject *minmax(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "minmax";
    static char *names[] = {"x", "n_threads", NULL};
    PyObject *object, *threads = NULL;
    double low, high;
    int n_threads;
    py_array x;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O:minmax", names, &object, &threads)) return NULL;
    if (py_threads(call, threads, &n_threads) || py_values(call, object, "x", 0, &x)) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_minmax(x.value, x.data, x.size, &low, &high, n_threads);
    Py_END_ALLOW_THREADS
    return py_status(status) ? NULL : Py_BuildValue("dd", low, high);
}

static PyObject *_vmath(PyObject *module, PyObject *args) {
    static const char call[] = "_vmath";
    static const char *const functions[BIO_N_FUNCTIONS] = {"exp", "exp_factor", "log", "sqrt"};
    PyObject *name, *object;
    PyArrayObject *y;
    int function;
    py_array x;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:_vmath", &name, &object)) return NULL;
    if (py_choice(call, name, "name", functions, BIO_N_FUNCTIONS, &function) || py_values(call, object, "x", 1, &x) ||
        !(y = py_new_values(1, x.shape, x.value)))
        return NULL;
    bio_vmath(x.value, (bio_function)function, x.data, PyArray_DATA(y), x.size);
    return (PyObject *)y;
}

PyMethodDef py_plasticity_methods[] = {
    METHOD(plasticity_step,
           "plasticity_step(indptr, indices, data, G, c, form='log-relaxation', *, theta=0.0, seed=0, step=0, "
           "n_threads=None, check=False, **parameters)\n--\n\n"
           "One local learning step; changes data in place and returns the number of silent synapses."),
    METHOD(hebbian_step,
           "hebbian_step(indptr, indices, data, X, Y, form='log-relaxation', *, gain=None, seed=0, step=0, "
           "n_threads=None, layout=None, check=False, **parameters)\n--\n\n"
           "The step of the active cells, straight from activity; returns how many they are."),
    METHOD(normalize_rows,
           "normalize_rows(indptr, indices, data, *, n_threads=None, check=False)\n--\n\n"
           "Divides each row by its Euclidean norm; changes data in place."),
    METHOD(minmax, "minmax(x, *, n_threads=None)\n--\n\n(smallest, largest) of x; both NaN where one is."),
    {"_vmath", _vmath, METH_VARARGS,
     "_vmath(name, x)\n--\n\nVectorised 'exp', 'exp_factor', 'log' or 'sqrt' of x. Private: for the tests."},
    {NULL, NULL, 0, NULL},
};
