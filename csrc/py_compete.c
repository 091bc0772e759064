/* Bindings of compete and compete_grad. */
#include "py_arrays.h"

static PyObject *compete(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"drive", "beta", "threshold", "k", "n_threads", "out", NULL};
    PyObject *drive_object, *threshold_object = NULL, *k_object = NULL, *threads = NULL, *out = NULL;
    PyArrayObject *drive, *threshold, *y = NULL;
    double beta = 1;
    size_t k;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$dOOOO", names, &drive_object, &beta, &threshold_object,
                                     &k_object, &threads, &out))
        return NULL;
    if (!(drive = py_values(drive_object, "drive", 2)) || py_beta(beta)) return NULL;
    const bio_value value = PyArray_TYPE(drive) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    const npy_intp *dims = PyArray_DIMS(drive);
    if (py_optional_values_of(threshold_object, "threshold", 1, value, "drive", &threshold)) return NULL;
    if (threshold && py_dimension(threshold, "threshold", 0, (size_t)dims[1], "one for each cell of drive"))
        return NULL;
    if (py_winners(k_object, &k) || py_threads(threads, &n_threads)) return NULL;
    if (!(y = py_output(out, "out", 2, dims, value))) return NULL;
    if (py_no_overlap(y, "out", drive, "drive", 1) || (threshold && py_no_overlap(y, "out", threshold, "threshold", 0)))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_compete(value, PyArray_DATA(drive), beta, threshold ? PyArray_DATA(threshold) : NULL, k,
                         PyArray_DATA(y), (size_t)dims[0], (size_t)dims[1], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)y;
fail:
    Py_DECREF(y);
    return NULL;
}

static PyObject *compete_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"Y", "dY", "beta", "n_threads", "out", NULL};
    PyObject *y_object, *dy_object, *threads = NULL, *out = NULL;
    PyArrayObject *y, *dy, *da = NULL;
    double beta = 1;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$dOO", names, &y_object, &dy_object, &beta, &threads, &out))
        return NULL;
    if (!(y = py_values(y_object, "Y", 2))) return NULL;
    const bio_value value = PyArray_TYPE(y) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    const npy_intp *dims = PyArray_DIMS(y);
    if (!(dy = py_values_of(dy_object, "dY", 2, value, "Y"))) return NULL;
    if (py_dimension(dy, "dY", 0, (size_t)dims[0], "the batch of Y")) return NULL;
    if (py_dimension(dy, "dY", 1, (size_t)dims[1], "the cells of Y")) return NULL;
    if (py_beta(beta) || py_threads(threads, &n_threads)) return NULL;
    if (!(da = py_output(out, "out", 2, dims, value))) return NULL;
    if (py_no_overlap(da, "out", dy, "dY", 1) || py_no_overlap(da, "out", y, "Y", 0)) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_compete_grad(value, PyArray_DATA(y), PyArray_DATA(dy), beta, PyArray_DATA(da), (size_t)dims[0],
                              (size_t)dims[1], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)da;
fail:
    Py_DECREF(da);
    return NULL;
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_compete_methods[] = {
    METHOD(compete,
           "compete(drive, *, beta=1.0, threshold=None, k=None, n_threads=None, out=None)\n--\n\n"
           "softmax(beta a - th) over the cells of each row; with k, over its k winners. out may be drive."),
    METHOD(compete_grad,
           "compete_grad(Y, dY, *, beta=1.0, n_threads=None, out=None)\n--\n\n"
           "beta y (dy - sum_i y_i dy_i). out may be dY."),
    {NULL, NULL, 0, NULL},
};
