/* Bindings of forward, input_grad and weight_grad. */
#include "py_arrays.h"

/* A CSR view with weights: None is no pathway to compute with. Returns 0 or -1. */
static int pathway(PyObject *indptr, PyObject *indices, PyObject *data, size_t n_cols, bio_csr *w) {
    if (py_csr(indptr, indices, data, n_cols, w)) return -1;
    if (w->data) return 0;
    PyErr_SetString(PyExc_TypeError, "data must be a NumPy array of float32 or float64, got NoneType");
    return -1;
}

static PyObject *forward(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "X", "bias", "n_threads", "out", NULL};
    PyObject *indptr, *indices, *data, *x_object, *bias_object = NULL, *threads = NULL, *out = NULL;
    PyArrayObject *x, *bias, *y = NULL;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O$OO:forward", names, &indptr, &indices, &data, &x_object,
                                     &bias_object, &threads, &out))
        return NULL;
    if (!(x = py_values(x_object, "X", 2))) return NULL;
    if (pathway(indptr, indices, data, (size_t)PyArray_DIM(x, 1), &w) || py_threads(threads, &n_threads)) return NULL;
    if (!py_values_of(x_object, "X", 2, w.value, "data")) return NULL;
    if (py_optional_values_of(bias_object, "bias", 1, w.value, "data", &bias)) return NULL;
    if (bias && py_dimension(bias, "bias", 0, w.n_rows, "one for each row of W")) return NULL;
    npy_intp dims[2] = {PyArray_DIM(x, 0), (npy_intp)w.n_rows};
    if (!(y = py_output(out, 2, dims, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status =
        bio_forward(&w, PyArray_DATA(x), bias ? PyArray_DATA(bias) : NULL, PyArray_DATA(y), (size_t)dims[0], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)y;
fail:
    Py_DECREF(y);
    return NULL;
}

static PyObject *input_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "dY", "n_cols", "n_threads", "out", NULL};
    PyObject *indptr, *indices, *data, *dy_object, *threads = NULL, *out = NULL;
    PyArrayObject *dy, *dx = NULL;
    Py_ssize_t n_cols;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOn|$OO:input_grad", names, &indptr, &indices, &data, &dy_object,
                                     &n_cols, &threads, &out))
        return NULL;
    if (n_cols < 1) return PyErr_Format(PyExc_ValueError, "n_cols must be >= 1, got %zd", n_cols);
    if (!(dy = py_values(dy_object, "dY", 2))) return NULL;
    if (pathway(indptr, indices, data, (size_t)n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!py_values_of(dy_object, "dY", 2, w.value, "data")) return NULL;
    if (py_dimension(dy, "dY", 1, w.n_rows, "one for each row of W")) return NULL;
    npy_intp dims[2] = {PyArray_DIM(dy, 0), n_cols};
    if (!(dx = py_output(out, 2, dims, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_input_grad(&w, PyArray_DATA(dy), PyArray_DATA(dx), (size_t)dims[0], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)dx;
fail:
    Py_DECREF(dx);
    return NULL;
}

static PyObject *weight_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "X", "dY", "n_threads", "out", NULL};
    PyObject *indptr, *indices, *x_object, *dy_object, *threads = NULL, *out = NULL;
    PyArrayObject *x, *dy, *g = NULL;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OO:weight_grad", names, &indptr, &indices, &x_object,
                                     &dy_object, &threads, &out))
        return NULL;
    if (!(x = py_values(x_object, "X", 2)) || !(dy = py_values(dy_object, "dY", 2))) return NULL;
    if (py_csr(indptr, indices, NULL, (size_t)PyArray_DIM(x, 1), &w) || py_threads(threads, &n_threads)) return NULL;
    w.value = PyArray_TYPE(x) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    if (!py_values_of(dy_object, "dY", 2, w.value, "X")) return NULL;
    if (py_dimension(dy, "dY", 0, (size_t)PyArray_DIM(x, 0), "the batch of X")) return NULL;
    if (py_dimension(dy, "dY", 1, w.n_rows, "one for each row of W")) return NULL;
    npy_intp nnz = (npy_intp)w.nnz;
    if (!(g = py_output(out, 1, &nnz, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status =
        bio_weight_grad(&w, PyArray_DATA(x), PyArray_DATA(dy), PyArray_DATA(g), (size_t)PyArray_DIM(x, 0), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)g;
fail:
    Py_DECREF(g);
    return NULL;
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_linear_methods[] = {
    METHOD(forward, "forward(indptr, indices, data, X, bias=None, *, n_threads=None, out=None)\n--\n\nY = X W^T + b."),
    METHOD(input_grad, "input_grad(indptr, indices, data, dY, n_cols, *, n_threads=None, out=None)\n--\n\ndX = dY W."),
    METHOD(weight_grad,
           "weight_grad(indptr, indices, X, dY, *, n_threads=None, out=None)\n--\n\nG_ij = sum_b dY_bi X_bj on the "
           "pattern."),
    {NULL, NULL, 0, NULL},
};
