/* Bindings of patches and patches_grad. */
#include "py_arrays.h"

#include <math.h>

enum { MAX_PATCH = 4096 };

/* Checks R, patch_size and c0; dims are those of U. Returns 0 or -1. */
static int retina_arguments(PyObject *object, Py_ssize_t patch_size, double c0, bio_retina *retina, npy_intp dims[2],
                            bio_value *value) {
    PyArrayObject *r = py_values(object, "R", 4);
    if (!r) return -1;
    if (patch_size < 1 || patch_size > MAX_PATCH) {
        PyErr_Format(PyExc_ValueError, "patch_size must lie in [1, %d], got %zd", MAX_PATCH, patch_size);
        return -1;
    }
    if (!(c0 > 0) || !isfinite(c0)) {
        PyObject *number = PyFloat_FromDouble(c0);
        if (number) PyErr_Format(PyExc_ValueError, "c0 must be positive and finite, got %R", number);
        Py_XDECREF(number);
        return -1;
    }
    *retina = (bio_retina){(size_t)PyArray_DIM(r, 0), (size_t)PyArray_DIM(r, 1), (size_t)PyArray_DIM(r, 2),
                           (size_t)PyArray_DIM(r, 3), (size_t)patch_size,        c0};
    *value = PyArray_TYPE(r) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    dims[0] = PyArray_DIM(r, 0) * PyArray_DIM(r, 1) * PyArray_DIM(r, 2);
    if (__builtin_mul_overflow(2 * patch_size * patch_size, PyArray_DIM(r, 3), &dims[1])) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *patches(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"R", "patch_size", "c0", "n_threads", NULL};
    PyObject *r, *threads = NULL;
    Py_ssize_t patch_size = 7;
    double c0 = 0.5;
    bio_retina retina;
    bio_value value;
    npy_intp dims[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$ndO:patches", names, &r, &patch_size, &c0, &threads))
        return NULL;
    if (retina_arguments(r, patch_size, c0, &retina, dims, &value) || py_threads(threads, &n_threads)) return NULL;
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
    static char *names[] = {"R", "dU", "dgate", "patch_size", "c0", "n_threads", NULL};
    PyObject *r, *du_object, *dgate_object, *threads = NULL;
    PyArrayObject *du, *dgate;
    Py_ssize_t patch_size = 7;
    double c0 = 0.5;
    bio_retina retina;
    bio_value value;
    npy_intp dims[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$ndO:patches_grad", names, &r, &du_object, &dgate_object,
                                     &patch_size, &c0, &threads))
        return NULL;
    if (retina_arguments(r, patch_size, c0, &retina, dims, &value) || py_threads(threads, &n_threads)) return NULL;
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

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_patches_methods[] = {
    METHOD(patches, "patches(R, *, patch_size=7, c0=0.5, n_threads=None)\n--\n\nON/OFF patches U and their gates."),
    METHOD(patches_grad,
           "patches_grad(R, dU, dgate, *, patch_size=7, c0=0.5, n_threads=None)\n--\n\nGradient of patches with "
           "respect to R."),
    {NULL, NULL, 0, NULL},
};
