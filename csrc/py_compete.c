/* Bindings of compete and compete_grad. */
#include "py_arguments.h"

static PyObject *compete(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "compete";
    static char *names[] = {"drive", "beta", "threshold", "k", "n_threads", "out", NULL};
    PyObject *drive_object, *beta_object = NULL, *threshold_object = NULL, *k_object = NULL, *threads = NULL;
    PyObject *out = NULL;
    PyArrayObject *result = NULL;
    py_array drive, threshold, y;
    double beta = 1;
    int n_threads;
    size_t k;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOOO:compete", names, &drive_object, &beta_object,
                                     &threshold_object, &k_object, &threads, &out))
        return NULL;
    if (py_beta(call, beta_object, &beta) || py_winners(call, k_object, &k) || py_threads(call, threads, &n_threads))
        return NULL;
    if (py_values(call, drive_object, "drive", 2, &drive) ||
        py_optional_values_of(call, threshold_object, "threshold", 1, drive.value, "drive", &threshold) ||
        py_dimension(call, &threshold, "threshold", 0, drive.shape[1], "one for each cell of drive") ||
        !(result = py_output(call, out, "out", 2, drive.shape, drive.value, &y)))
        return NULL;
    if (py_no_overlap(call, &y, "out", &drive, "drive", 1) ||
        py_no_overlap(call, &y, "out", &threshold, "threshold", 0))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_compete(drive.value, drive.data, beta, threshold.data, k, y.data, drive.shape[0], drive.shape[1],
                         n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)result;
fail:
    Py_DECREF(result);
    return NULL;
}

static PyObject *compete_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "compete_grad";
    static char *names[] = {"Y", "dY", "beta", "n_threads", "out", NULL};
    PyObject *y_object, *dy_object, *beta_object = NULL, *threads = NULL, *out = NULL;
    PyArrayObject *result = NULL;
    py_array y, dy, da;
    double beta = 1;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$OOO:compete_grad", names, &y_object, &dy_object, &beta_object,
                                     &threads, &out))
        return NULL;
    if (py_beta(call, beta_object, &beta) || py_threads(call, threads, &n_threads)) return NULL;
    if (py_values(call, y_object, "Y", 2, &y) || py_values_of(call, dy_object, "dY", 2, y.value, "Y", &dy) ||
        py_dimension(call, &dy, "dY", 0, y.shape[0], "the batch of Y") ||
        py_dimension(call, &dy, "dY", 1, y.shape[1], "the cells of Y") ||
        !(result = py_output(call, out, "out", 2, y.shape, y.value, &da)))
        return NULL;
    if (py_no_overlap(call, &da, "out", &dy, "dY", 1) || py_no_overlap(call, &da, "out", &y, "Y", 0)) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_compete_grad(y.value, y.data, dy.data, beta, da.data, y.shape[0], y.shape[1], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)result;
fail:
    Py_DECREF(result);
    return NULL;
}

PyMethodDef py_compete_methods[] = {
    METHOD(compete,
           "compete(drive, *, beta=1.0, threshold=None, k=None, n_threads=None, out=None)\n--\n\n"
           "softmax(beta a - th) over the cells of each row; with k, over its k winners. out may be drive."),
    METHOD(compete_grad,
           "compete_grad(Y, dY, *, beta=1.0, n_threads=None, out=None)\n--\n\n"
           "beta y (dy - sum_i y_i dy_i). out may be dY."),
    {NULL, NULL, 0, NULL},
};
