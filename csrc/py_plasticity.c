/* Bindings of plasticity_step, hebbian_step and extent, which guards them; and _vmath, for the tests of the vector
 * functions it is made of. */
#include <string.h>

#include "py_forms.h"
#include "vmath.h"

/* An integer in [0, 2**64). */
static int key(PyObject *object, const char *name, uint64_t *number) {
    if (object == NULL) return 0;
    PyObject *integer = PyBool_Check(object) ? NULL : PyNumber_Index(object);
    if (!integer) {
        if (!PyErr_Occurred() || PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "%s must be an integer in [0, 2**64), got %s", name,
                         Py_TYPE(object)->tp_name);
        return -1;
    }
    *number = PyLong_AsUnsignedLongLong(integer);
    Py_DECREF(integer);
    if (*number == UINT64_MAX && PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "%s must be an integer in [0, 2**64), got %R", name, object);
        return -1;
    }
    return 0;
}

/* Index of the string `object` among `names`, or -1 with an exception that lists them. */
static int one_of(PyObject *object, const char *name, const char *const *names, int n, const char *listed) {
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
    if (PyErr_Occurred()) return -1;
    for (int i = 0; text && i < n; i++)
        if (!strcmp(text, names[i])) return i;
    PyErr_Format(text ? PyExc_ValueError : PyExc_TypeError, "%s must be %s, got %R", name, listed, object);
    return -1;
}

/* Keyword arguments that the step itself does not know are the rule's parameters. */

static PyObject *plasticity_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "G", "c", "form", "theta", "seed", "step", "n_threads", NULL};
    PyObject *indptr, *indices, *data_object, *g_object, *c_object, *form = NULL, *threads = NULL;
    PyObject *theta_object = NULL, *seed_object = NULL, *step_object = NULL, *known, *parameters, *result = NULL;
    PyArrayObject *data, *g, *c;
    bio_plasticity rule;
    double theta = 0;
    uint64_t seed = 0, step = 0;
    bio_csr w;
    int n_threads;
    if (py_split(kwargs, names, &known, &parameters)) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, known, "OOOOO|O$OOOO:plasticity_step", names, &indptr, &indices,
                                     &data_object, &g_object, &c_object, &form, &theta_object, &seed_object,
                                     &step_object, &threads))
        goto done;
    if (py_rule(module, form, parameters, &rule)) goto done;
    if (py_real(theta_object, "theta", 0, 1, "a number in [0, 1]", &theta)) goto done;
    if (key(seed_object, "seed", &seed) || key(step_object, "step", &step) || py_threads(threads, &n_threads))
        goto done;
    if (data_object == Py_None) {
        PyErr_SetString(PyExc_TypeError, "data must be a NumPy array, got None");
        goto done;
    }
    /* the structure is trusted, its width unused */
    if (py_csr(indptr, indices, data_object, PY_SSIZE_T_MAX, &w)) goto done;
    data = (PyArrayObject *)data_object;
    if (py_writeable(data, "data")) goto done;
    if (!(g = py_values_of(g_object, "G", 1, w.value, "data"))) goto done;
    if (!(c = py_values_of(c_object, "c", 1, w.value, "data"))) goto done;
    if (py_dimension(g, "G", 0, w.nnz, "one for each synapse")) goto done;
    if (py_dimension(c, "c", 0, w.n_rows, "one for each row of W")) goto done;
    if (py_no_overlap(g, "G", data, "data", 0) || py_no_overlap(c, "c", data, "data", 0)) goto done;
    bio_status status;
    size_t n_silent;
    Py_BEGIN_ALLOW_THREADS
    status = bio_plasticity_step(&w, PyArray_DATA(g), PyArray_DATA(c), &rule, theta, seed, step, &n_silent, n_threads);
    Py_END_ALLOW_THREADS
    if (!py_status(status)) result = PyLong_FromSize_t(n_silent);
done:
    Py_DECREF(known);
    Py_DECREF(parameters);
    return result;
}

static PyObject *hebbian_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "X",         "Y",      "form",
                            "gain",   "seed",    "step", "n_threads", "layout", NULL};
    PyObject *indptr, *indices, *data_object, *x_object, *y_object, *form = NULL, *gain_object = NULL, *threads = NULL;
    PyObject *layout_object = NULL, *seed_object = NULL, *step_object = NULL, *known, *parameters, *result = NULL;
    PyArrayObject *data, *x, *y, *gain;
    bio_plasticity rule;
    uint64_t seed = 0, step = 0;
    bio_layout *layout;
    bio_csr w;
    int n_threads;
    if (py_split(kwargs, names, &known, &parameters)) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, known, "OOOOO|O$OOOOO:hebbian_step", names, &indptr, &indices, &data_object,
                                     &x_object, &y_object, &form, &gain_object, &seed_object, &step_object, &threads,
                                     &layout_object))
        goto done;
    if (py_rule(module, form, parameters, &rule)) goto done;
    if (key(seed_object, "seed", &seed) || key(step_object, "step", &step) || py_threads(threads, &n_threads))
        goto done;
    if (!(x = py_values(x_object, "X", 2)) || !(y = py_values(y_object, "Y", 2))) goto done;
    if (data_object == Py_None) {
        PyErr_SetString(PyExc_TypeError, "data must be a NumPy array, got None");
        goto done;
    }
    if (py_csr(indptr, indices, data_object, (size_t)PyArray_DIM(x, 1), &w)) goto done;
    data = (PyArrayObject *)data_object;
    if (py_writeable(data, "data")) goto done;
    if (!py_values_of(x_object, "X", 2, w.value, "data") || !py_values_of(y_object, "Y", 2, w.value, "data")) goto done;
    if (py_dimension(y, "Y", 0, (size_t)PyArray_DIM(x, 0), "the batch of X")) goto done;
    if (py_dimension(y, "Y", 1, w.n_rows, "one for each row of W")) goto done;
    if (py_optional_values_of(gain_object, "gain", 1, w.value, "data", &gain)) goto done;
    if (gain && py_dimension(gain, "gain", 0, w.n_rows, "one for each row of W")) goto done;
    if (py_no_overlap(x, "X", data, "data", 0) || py_no_overlap(y, "Y", data, "data", 0) ||
        (gain && py_no_overlap(gain, "gain", data, "data", 0)))
        goto done;
    if (py_layout(layout_object, &w, 0, &layout)) goto done;
    bio_status status;
    size_t n_changed;
    Py_BEGIN_ALLOW_THREADS
    status = bio_hebbian_step(&w, layout, PyArray_DATA(x), PyArray_DATA(y), gain ? PyArray_DATA(gain) : NULL, &rule,
                              seed, step, (size_t)PyArray_DIM(x, 0), &n_changed, n_threads);
    Py_END_ALLOW_THREADS
    if (!py_status(status)) result = PyLong_FromSize_t(n_changed);
done:
    Py_DECREF(known);
    Py_DECREF(parameters);
    return result;
}

static PyObject *extent(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"x", "n_threads", NULL};
    PyObject *object, *threads = NULL;
    PyArrayObject *x;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O:extent", names, &object, &threads)) return NULL;
    if (!(x = py_values(object, "x", 0)) || py_threads(threads, &n_threads)) return NULL;
    const bio_value value = PyArray_TYPE(x) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    double low, high;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_extent(value, PyArray_DATA(x), (size_t)PyArray_SIZE(x), &low, &high, n_threads);
    Py_END_ALLOW_THREADS
    return py_status(status) ? NULL : Py_BuildValue("dd", low, high);
}

static PyObject *vmath(PyObject *module, PyObject *args) {
    static const char *const functions[BIO_N_FUNCTIONS] = {"exp", "exp_factor", "log", "sqrt"};
    PyObject *name, *object;
    PyArrayObject *x, *y;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO", &name, &object)) return NULL;
    const int function = one_of(name, "name", functions, BIO_N_FUNCTIONS, "'exp', 'exp_factor', 'log' or 'sqrt'");
    if (function < 0 || !(x = py_values(object, "x", 1))) return NULL;
    const bio_value value = PyArray_TYPE(x) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    if (!(y = py_new_values(1, PyArray_DIMS(x), value))) return NULL;
    bio_vmath(value, (bio_function)function, PyArray_DATA(x), PyArray_DATA(y), (size_t)PyArray_SIZE(x));
    return (PyObject *)y;
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_plasticity_methods[] = {
    METHOD(plasticity_step,
           "plasticity_step(indptr, indices, data, G, c, form='log-relaxation', *, theta=0.0, seed=0, step=0, "
           "n_threads=None, **parameters)\n--\n\n"
           "One local learning step; changes data in place and returns the number of silent synapses."),
    METHOD(hebbian_step,
           "hebbian_step(indptr, indices, data, X, Y, form='log-relaxation', *, gain=None, seed=0, step=0, "
           "n_threads=None, layout=None, **parameters)\n--\n\n"
           "The step of the active cells, straight from activity; returns how many they are."),
    METHOD(
        extent,
        "extent(x, *, n_threads=None)\n--\n\n(smallest, largest) of x; both NaN where one is; (inf, -inf) of nothing."),
    {"_vmath", vmath, METH_VARARGS,
     "_vmath(name, x)\n--\n\nVectorised 'exp', 'exp_factor', 'log' or 'sqrt' of x. Private: for the tests."},
    {NULL, NULL, 0, NULL},
};
