/* Bindings of patches, patches_grad and feature_map. */
#include "py_arrays.h"

#include <math.h>

enum { MAX_PATCH = 4096, MAX_GATE_EXPONENT = 8 };

/* The arguments that say what a retina is, with their defaults. */
typedef struct {
    Py_ssize_t patch_size;
    double c0, g0, gate_exponent;
} retina_parameters;

static const retina_parameters defaults = {7, 0.5, 0.5, 1};

/* Returns 0, or -1 with a ValueError. */
static int positive(double value, const char *name, double largest) {
    if (value > 0 && isfinite(value) && value <= largest) return 0;
    PyObject *number = PyFloat_FromDouble(value);
    if (number && isfinite(largest))
        PyErr_Format(PyExc_ValueError, "%s must lie in (0, %d], got %R", name, (int)largest, number);
    else if (number) PyErr_Format(PyExc_ValueError, "%s must be positive and finite, got %R", name, number);
    Py_XDECREF(number);
    return -1;
}

/* Checks R and the parameters; dims are those of U. Returns 0 or -1. */
static int retina_arguments(PyObject *object, const retina_parameters *p, bio_retina *retina, npy_intp dims[2],
                            bio_value *value) {
    PyArrayObject *r = py_values(object, "R", 4);
    if (!r) return -1;
    if (p->patch_size < 1 || p->patch_size > MAX_PATCH) {
        PyErr_Format(PyExc_ValueError, "patch_size must lie in [1, %d], got %zd", MAX_PATCH, p->patch_size);
        return -1;
    }
    if (positive(p->c0, "c0", INFINITY) || positive(p->g0, "g0", INFINITY) ||
        positive(p->gate_exponent, "gate_exponent", MAX_GATE_EXPONENT))
        return -1;
    *retina = (bio_retina){.batch = (size_t)PyArray_DIM(r, 0),
                           .height = (size_t)PyArray_DIM(r, 1),
                           .width = (size_t)PyArray_DIM(r, 2),
                           .channels = (size_t)PyArray_DIM(r, 3),
                           .patch_size = (size_t)p->patch_size,
                           .c0 = p->c0,
                           .g0 = p->g0,
                           .gate_exponent = p->gate_exponent};
    *value = PyArray_TYPE(r) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    dims[0] = PyArray_DIM(r, 0) * PyArray_DIM(r, 1) * PyArray_DIM(r, 2);
    if (__builtin_mul_overflow(2 * p->patch_size * p->patch_size, PyArray_DIM(r, 3), &dims[1])) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *patches(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"R", "patch_size", "c0", "g0", "gate_exponent", "n_threads", NULL};
    PyObject *r, *threads = NULL;
    retina_parameters p = defaults;
    bio_retina retina;
    bio_value value;
    npy_intp dims[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$ndddO:patches", names, &r, &p.patch_size, &p.c0, &p.g0,
                                     &p.gate_exponent, &threads))
        return NULL;
    if (retina_arguments(r, &p, &retina, dims, &value) || py_threads(threads, &n_threads)) return NULL;
    PyArrayObject *u = py_new_values(2, dims, value), *gate = py_new_values(1, dims, value);
    if (!u || !gate) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status =
        bio_patches(value, &retina, PyArray_DATA((PyArrayObject *)r), PyArray_DATA(u), PyArray_DATA(gate), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return Py_BuildValue("(NN)", u, gate);
fail:
    Py_XDECREF(u);
    Py_XDECREF(gate);
    return NULL;
}

static PyObject *patches_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"R", "dU", "dgate", "patch_size", "c0", "g0", "gate_exponent", "n_threads", NULL};
    PyObject *r, *du_object, *dgate_object, *threads = NULL;
    PyArrayObject *du, *dgate;
    retina_parameters p = defaults;
    bio_retina retina;
    bio_value value;
    npy_intp dims[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$ndddO:patches_grad", names, &r, &du_object, &dgate_object,
                                     &p.patch_size, &p.c0, &p.g0, &p.gate_exponent, &threads))
        return NULL;
    if (retina_arguments(r, &p, &retina, dims, &value) || py_threads(threads, &n_threads)) return NULL;
    if (!(du = py_values_of(du_object, "dU", 2, value, "R")) ||
        !(dgate = py_values_of(dgate_object, "dgate", 1, value, "R")))
        return NULL;
    if (py_dimension(du, "dU", 0, (size_t)dims[0], "batch x height x width of R") ||
        py_dimension(du, "dU", 1, (size_t)dims[1], "2 x patch_size^2 x channels") ||
        py_dimension(dgate, "dgate", 0, (size_t)dims[0], "batch x height x width of R"))
        return NULL;
    PyArrayObject *dr = py_new_values(4, PyArray_DIMS((PyArrayObject *)r), value);
    if (!dr) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_patches_grad(value, &retina, PyArray_DATA((PyArrayObject *)r), PyArray_DATA(du), PyArray_DATA(dgate),
                              PyArray_DATA(dr), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) {
        Py_DECREF(dr);
        return NULL;
    }
    return (PyObject *)dr;
}

static PyObject *feature_map(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"R",          "W",  "pool_rows", "pool_cols",     "beta",      "k",
                            "patch_size", "c0", "g0",        "gate_exponent", "n_threads", NULL};
    PyObject *r, *w_object, *rows_object, *cols_object, *k_object = NULL, *threads = NULL;
    PyArrayObject *w, *rows, *cols, *pooled;
    retina_parameters p = defaults;
    bio_map map = {.beta = 1};
    bio_retina retina;
    bio_value value;
    npy_intp dims[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$dOndddO:feature_map", names, &r, &w_object, &rows_object,
                                     &cols_object, &map.beta, &k_object, &p.patch_size, &p.c0, &p.g0, &p.gate_exponent,
                                     &threads))
        return NULL;
    if (retina_arguments(r, &p, &retina, dims, &value) || py_beta(map.beta) || py_winners(k_object, &map.k) ||
        py_threads(threads, &n_threads))
        return NULL;
    if (!(w = py_values_of(w_object, "W", 2, value, "R")) ||
        !(rows = py_values_of(rows_object, "pool_rows", 2, value, "R")) ||
        !(cols = py_values_of(cols_object, "pool_cols", 2, value, "R")))
        return NULL;
    if (py_dimension(w, "W", 1, (size_t)dims[1], "2 x patch_size^2 x channels") ||
        py_dimension(rows, "pool_rows", 1, retina.height, "the height of R") ||
        py_dimension(cols, "pool_cols", 1, retina.width, "the width of R"))
        return NULL;
    map.n_columns = (size_t)PyArray_DIM(w, 0);
    if (map.k >= map.n_columns) map.k = 0;
    map.weights = PyArray_DATA(w);
    map.grid_rows = (size_t)PyArray_DIM(rows, 0);
    map.grid_cols = (size_t)PyArray_DIM(cols, 0);
    map.pool_rows = PyArray_DATA(rows);
    map.pool_cols = PyArray_DATA(cols);
    const npy_intp shape[4] = {(npy_intp)retina.batch, PyArray_DIM(rows, 0), PyArray_DIM(cols, 0), PyArray_DIM(w, 0)};
    if (!(pooled = py_new_values(4, shape, value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_map_forward(value, &retina, &map, PyArray_DATA((PyArrayObject *)r), PyArray_DATA(pooled), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) {
        Py_DECREF(pooled);
        return NULL;
    }
    return (PyObject *)pooled;
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_patches_methods[] = {
    METHOD(patches,
           "patches(R, *, patch_size=7, c0=0.5, g0=0.5, gate_exponent=1.0, n_threads=None)\n--\n\nON/OFF patches "
           "U and their gates."),
    METHOD(patches_grad,
           "patches_grad(R, dU, dgate, *, patch_size=7, c0=0.5, g0=0.5, gate_exponent=1.0, "
           "n_threads=None)\n--\n\nGradient "
           "of patches with respect to R."),
    METHOD(
        feature_map,
        "feature_map(R, W, pool_rows, pool_cols, *, beta=1.0, k=None, patch_size=7, c0=0.5, g0=0.5, gate_exponent=1.0, "
        "n_threads=None)\n--\n\n"
        "Patches, columns, competition, gate and pooling in one pass."),
    {NULL, NULL, 0, NULL},
};
