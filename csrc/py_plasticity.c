/* Bindings of plasticity_step, hebbian_step and extent, which guards them; and _vmath, for the tests of the vector
 * functions it is made of. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "py_arrays.h"
#include "vmath.h"

/* A real number in [low, high]; NaN never is. `expected` says so in words. An absent argument leaves *number alone. */
static int real(PyObject *object, const char *name, double low, double high, const char *expected, double *number) {
    if (object == NULL) return 0;
    const double x = PyFloat_AsDouble(object);
    if (x == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "%s must be %s, got %s", name, expected, Py_TYPE(object)->tp_name);
        return -1;
    }
    if (!(x >= low && x <= high)) {
        PyErr_Format(PyExc_ValueError, "%s must be %s, got %R", name, expected, object);
        return -1;
    }
    *number = x;
    return 0;
}

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

/* The rule's arguments, as plasticity_step and hebbian_step take them. */
typedef struct {
    PyObject *form, *eta, *floor, *exponent, *sigma, *w0, *w_min, *w_max, *theta, *seed, *step;
    int normalize;
} rule_arguments;

static int rule_from(const rule_arguments *a, bio_plasticity *rule) {
    static const char *const forms[BIO_N_FORMS] = {"log-relaxation", "log-power", "exponential", "signed"};
    *rule = (bio_plasticity){.form = BIO_LOG_RELAXATION, .eta = 1, .floor = 1e-3, .exponent = 1, .w_max = INFINITY};
    rule->normalize = a->normalize;
    if (a->form) {
        const int i =
            one_of(a->form, "form", forms, BIO_N_FORMS, "'log-relaxation', 'log-power', 'exponential' or 'signed'");
        if (i < 0) return -1;
        rule->form = (bio_form)i;
    }
    return real(a->eta, "eta", 0, DBL_MAX, "a finite number >= 0", &rule->eta) ||
                   real(a->floor, "floor", DBL_TRUE_MIN, DBL_MAX, "a finite number > 0", &rule->floor) ||
                   real(a->exponent, "exponent", DBL_TRUE_MIN, DBL_MAX, "a finite number > 0", &rule->exponent) ||
                   real(a->sigma, "sigma", 0, DBL_MAX, "a finite number >= 0", &rule->sigma) ||
                   real(a->w0, "w0", 0, DBL_MAX, "a finite number >= 0", &rule->w0) ||
                   real(a->w_min, "w_min", 0, DBL_MAX, "a finite number >= 0", &rule->w_min) ||
                   real(a->w_max, "w_max", rule->w_min, INFINITY, "a number >= w_min", &rule->w_max) ||
                   real(a->theta, "theta", 0, 1, "a number in [0, 1]", &rule->theta) ||
                   key(a->seed, "seed", &rule->seed) || key(a->step, "step", &rule->step)
               ? -1
               : 0;
}

static PyObject *plasticity_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices",  "data",  "G",         "c",     "form",  "eta",
                            "floor",  "exponent", "sigma", "w0",        "w_min", "w_max", "normalize",
                            "theta",  "seed",     "step",  "n_threads", NULL};
    PyObject *indptr, *indices, *data_object, *g_object, *c_object, *threads = NULL;
    rule_arguments a = {.normalize = 1};
    PyArrayObject *data, *g, *c;
    bio_plasticity rule;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$OOOOOOOOpOOOO", names, &indptr, &indices, &data_object,
                                     &g_object, &c_object, &a.form, &a.eta, &a.floor, &a.exponent, &a.sigma, &a.w0,
                                     &a.w_min, &a.w_max, &a.normalize, &a.theta, &a.seed, &a.step, &threads))
        return NULL;
    if (rule_from(&a, &rule) || py_threads(threads, &n_threads)) return NULL;
    if (data_object == Py_None) return PyErr_Format(PyExc_TypeError, "data must be a NumPy array, got None");
    if (py_csr(indptr, indices, data_object, PY_SSIZE_T_MAX, &w))
        return NULL; /* the structure is trusted, its width unused */
    data = (PyArrayObject *)data_object;
    if (py_writeable(data, "data")) return NULL;
    if (!(g = py_values_of(g_object, "G", 1, w.value, "data"))) return NULL;
    if (!(c = py_values_of(c_object, "c", 1, w.value, "data"))) return NULL;
    if (py_dimension(g, "G", 0, w.nnz, "one for each synapse")) return NULL;
    if (py_dimension(c, "c", 0, w.n_rows, "one for each row of W")) return NULL;
    if (py_no_overlap(g, "G", data, "data", 0) || py_no_overlap(c, "c", data, "data", 0)) return NULL;
    bio_status status;
    size_t n_silent;
    Py_BEGIN_ALLOW_THREADS
    status = bio_plasticity_step(&w, PyArray_DATA(g), PyArray_DATA(c), &rule, &n_silent, n_threads);
    Py_END_ALLOW_THREADS
    return py_status(status) ? NULL : PyLong_FromSize_t(n_silent);
}

static PyObject *hebbian_step(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr",    "indices", "data",     "X",         "Y",      "gain",  "form",
                            "eta",       "floor",   "exponent", "sigma",     "w0",     "w_min", "w_max",
                            "normalize", "seed",    "step",     "n_threads", "layout", NULL};
    PyObject *indptr, *indices, *data_object, *x_object, *y_object, *gain_object = NULL, *threads = NULL;
    PyObject *layout_object = NULL;
    rule_arguments a = {.normalize = 1};
    PyArrayObject *data, *x, *y, *gain;
    bio_plasticity rule;
    bio_layout *layout;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$OOOOOOOOOpOOOO:hebbian_step", names, &indptr, &indices,
                                     &data_object, &x_object, &y_object, &gain_object, &a.form, &a.eta, &a.floor,
                                     &a.exponent, &a.sigma, &a.w0, &a.w_min, &a.w_max, &a.normalize, &a.seed, &a.step,
                                     &threads, &layout_object))
        return NULL;
    if (rule_from(&a, &rule) || py_threads(threads, &n_threads)) return NULL;
    if (!(x = py_values(x_object, "X", 2)) || !(y = py_values(y_object, "Y", 2))) return NULL;
    if (data_object == Py_None) return PyErr_Format(PyExc_TypeError, "data must be a NumPy array, got None");
    if (py_csr(indptr, indices, data_object, (size_t)PyArray_DIM(x, 1), &w)) return NULL;
    data = (PyArrayObject *)data_object;
    if (py_writeable(data, "data")) return NULL;
    if (!py_values_of(x_object, "X", 2, w.value, "data") || !py_values_of(y_object, "Y", 2, w.value, "data"))
        return NULL;
    if (py_dimension(y, "Y", 0, (size_t)PyArray_DIM(x, 0), "the batch of X")) return NULL;
    if (py_dimension(y, "Y", 1, w.n_rows, "one for each row of W")) return NULL;
    if (py_optional_values_of(gain_object, "gain", 1, w.value, "data", &gain)) return NULL;
    if (gain && py_dimension(gain, "gain", 0, w.n_rows, "one for each row of W")) return NULL;
    if (py_no_overlap(x, "X", data, "data", 0) || py_no_overlap(y, "Y", data, "data", 0) ||
        (gain && py_no_overlap(gain, "gain", data, "data", 0)))
        return NULL;
    if (py_layout(layout_object, &w, 0, &layout)) return NULL;
    bio_status status;
    size_t n_changed;
    Py_BEGIN_ALLOW_THREADS
    status = bio_hebbian_step(&w, layout, PyArray_DATA(x), PyArray_DATA(y), gain ? PyArray_DATA(gain) : NULL, &rule,
                              (size_t)PyArray_DIM(x, 0), &n_changed, n_threads);
    Py_END_ALLOW_THREADS
    return py_status(status) ? NULL : PyLong_FromSize_t(n_changed);
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

/* 1e999 is how a signature that inspect can read spells infinity */
PyMethodDef py_plasticity_methods[] = {
    METHOD(plasticity_step,
           "plasticity_step(indptr, indices, data, G, c, *, form='log-relaxation', eta=1.0, floor=0.001, exponent=1.0, "
           "sigma=0.0, w0=0.0, "
           "w_min=0.0, w_max=1e999, normalize=True, theta=0.0, seed=0, step=0, n_threads=None)\n--\n\n"
           "One local learning step; changes data in place and returns the number of silent synapses."),
    METHOD(hebbian_step,
           "hebbian_step(indptr, indices, data, X, Y, *, gain=None, form='log-relaxation', eta=1.0, floor=0.001, "
           "exponent=1.0, sigma=0.0, w0=0.0, w_min=0.0, w_max=1e999, normalize=True, seed=0, step=0, n_threads=None, "
           "layout=None)"
           "\n--\n\nThe step of the active cells, straight from activity; returns how many they are."),
    METHOD(
        extent,
        "extent(x, *, n_threads=None)\n--\n\n(smallest, largest) of x; both NaN where one is; (inf, -inf) of nothing."),
    {"_vmath", vmath, METH_VARARGS,
     "_vmath(name, x)\n--\n\nVectorised 'exp', 'exp_factor', 'log' or 'sqrt' of x. Private: for the tests."},
    {NULL, NULL, 0, NULL},
};
