/* Bindings of the products with a batch, and of the layouts that they run on. */
#include "py_arguments.h"

/* ---- layouts: capsules, which free themselves ---- */

static const char capsule_name[] = "bioneuro._core.layout";

static void destroy(PyObject *capsule) { bio_layout_free(PyCapsule_GetPointer(capsule, capsule_name)); }

static bio_layout *layout_of(const char *call, PyObject *object) {
    if (PyCapsule_IsValid(object, capsule_name)) return PyCapsule_GetPointer(object, capsule_name);
    PyErr_Format(PyExc_TypeError, "%s(): layout must come from bioneuro._core.layout, got %R", call, object);
    return NULL;
}

int py_layout(const char *call, PyObject *object, const bio_csr *w, int transposed, bio_layout **layout) {
    *layout = NULL;
    if (!object || object == Py_None) return 0;
    if (!(*layout = layout_of(call, object))) return -1;
    if (bio_layout_fits(*layout, w, transposed)) return 0;
    PyErr_Format(
        PyExc_ValueError, "%s(): layout was made for another pathway, or for %s one", call,
        transposed ? "the plain where this needs the transposed" : "the transposed where this needs the plain");
    return -1;
}

/* ---- the products ---- */

static PyObject *forward(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "forward";
    static char *names[] = {"indptr", "indices", "data",   "X",     "bias",  "n_threads",
                            "out",    "layout",  "narrow", "order", "check", NULL};
    PyObject *indptr, *indices, *data, *x_object, *bias_object = NULL, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL, *narrow = NULL, *order = NULL, *check_object = NULL;
    PyArrayObject *result = NULL;
    int n_threads, check = 0;
    size_t where = 0;
    bio_layout *layout;
    py_array x, bias, y;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O$OOOOOO:forward", names, &indptr, &indices, &data, &x_object,
                                     &bias_object, &threads, &out, &layout_object, &narrow, &order, &check_object))
        return NULL;
    if (py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check)) return NULL;
    if (py_values(call, x_object, "X", 2, &x) || py_weighted(call, indptr, indices, data, x.shape[1], &w) ||
        py_values_of(call, x_object, "X", 2, w.csr.value, "data", &x) ||
        py_optional_values_of(call, bias_object, "bias", 1, w.csr.value, "data", &bias) ||
        py_dimension(call, &bias, "bias", 0, w.csr.n_rows, "one for each row of W") ||
        py_layout(call, layout_object, &w.csr, 0, &layout) || py_narrow(call, narrow, order, check, &w))
        return NULL;
    const size_t batch = x.shape[0], shape[2] = {batch, w.csr.n_rows};
    if (!(result = py_output(call, out, "out", 2, shape, w.csr.value, &y))) return NULL;
    if (py_no_overlap(call, &y, "out", &x, "X", 0) || py_no_overlap(call, &y, "out", &bias, "bias", 0) ||
        py_apart(call, &y, "out", &w))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_forward(&w.csr, layout, x.data, bias.data, y.data, batch, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) goto fail;
    return (PyObject *)result;
fail:
    Py_DECREF(result);
    return NULL;
}

static PyObject *input_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "input_grad";
    static char *names[] = {"indptr", "indices", "data",   "dY",    "n_cols", "n_threads",
                            "out",    "layout",  "narrow", "check", NULL};
    PyObject *indptr, *indices, *data, *dy_object, *cols, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL, *narrow = NULL, *check_object = NULL;
    PyArrayObject *result = NULL;
    int n_threads, check = 0;
    size_t n_cols, where = 0;
    bio_layout *layout;
    py_array dy, dx;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$OOOOO:input_grad", names, &indptr, &indices, &data,
                                     &dy_object, &cols, &threads, &out, &layout_object, &narrow, &check_object))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX, NULL, &n_cols) || py_threads(call, threads, &n_threads) ||
        py_truth(call, check_object, "check", &check))
        return NULL;
    if (py_values(call, dy_object, "dY", 2, &dy) || py_weighted(call, indptr, indices, data, n_cols, &w) ||
        py_values_of(call, dy_object, "dY", 2, w.csr.value, "data", &dy) ||
        py_dimension(call, &dy, "dY", 1, w.csr.n_rows, "one for each row of W") ||
        py_layout(call, layout_object, &w.csr, 1, &layout) || py_narrow(call, narrow, NULL, check, &w))
        return NULL;
    const size_t batch = dy.shape[0], shape[2] = {batch, n_cols};
    if (!(result = py_output(call, out, "out", 2, shape, w.csr.value, &dx))) return NULL;
    if (py_no_overlap(call, &dx, "out", &dy, "dY", 0) || py_apart(call, &dx, "out", &w)) goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_input_grad(&w.csr, layout, dy.data, dx.data, batch, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) goto fail;
    return (PyObject *)result;
fail:
    Py_DECREF(result);
    return NULL;
}

static PyObject *weight_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "weight_grad";
    static char *names[] = {"indptr", "indices", "X", "dY", "n_threads", "out", "layout", "narrow", "check", NULL};
    PyObject *indptr, *indices, *x_object, *dy_object, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL, *narrow = NULL, *check_object = NULL;
    PyArrayObject *result = NULL;
    int n_threads, check = 0;
    size_t where = 0;
    bio_layout *layout;
    py_array x, dy, g;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOOOO:weight_grad", names, &indptr, &indices, &x_object,
                                     &dy_object, &threads, &out, &layout_object, &narrow, &check_object))
        return NULL;
    if (py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check)) return NULL;
    if (py_values(call, x_object, "X", 2, &x) || py_values(call, dy_object, "dY", 2, &dy) ||
        py_structure(call, indptr, indices, x.shape[1], &w) ||
        py_values_of(call, dy_object, "dY", 2, x.value, "X", &dy) ||
        py_dimension(call, &dy, "dY", 0, x.shape[0], "the batch of X") ||
        py_dimension(call, &dy, "dY", 1, w.csr.n_rows, "one for each row of W"))
        return NULL;
    w.csr.value = x.value;
    if (py_layout(call, layout_object, &w.csr, 0, &layout) || py_narrow(call, narrow, NULL, check, &w)) return NULL;
    const size_t batch = x.shape[0];
    if (!(result = py_output(call, out, "out", 1, &w.csr.nnz, x.value, &g))) return NULL;
    if (py_no_overlap(call, &g, "out", &x, "X", 0) || py_no_overlap(call, &g, "out", &dy, "dY", 0) ||
        py_apart(call, &g, "out", &w))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_weight_grad(&w.csr, layout, x.data, dy.data, g.data, batch, n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) goto fail;
    return (PyObject *)result;
fail:
    Py_DECREF(result);
    return NULL;
}

static PyObject *backward(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "backward";
    static char *names[] = {"indptr", "indices", "data",   "X",      "dY",    "n_threads",
                            "dX",     "G",       "layout", "narrow", "check", NULL};
    PyObject *indptr, *indices, *data, *x_object, *dy_object, *threads = NULL, *layout_object = NULL, *narrow = NULL;
    PyObject *dx_object = NULL, *g_object = NULL, *check_object = NULL;
    PyArrayObject *dx_result = NULL, *g_result = NULL;
    int n_threads, check = 0;
    size_t where = 0;
    bio_layout *layout;
    py_array x, dy, dx, g;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$OOOOOO:backward", names, &indptr, &indices, &data, &x_object,
                                     &dy_object, &threads, &dx_object, &g_object, &layout_object, &narrow,
                                     &check_object))
        return NULL;
    if (py_threads(call, threads, &n_threads) || py_truth(call, check_object, "check", &check)) return NULL;
    if (py_values(call, x_object, "X", 2, &x) || py_values(call, dy_object, "dY", 2, &dy) ||
        py_weighted(call, indptr, indices, data, x.shape[1], &w) ||
        py_values_of(call, x_object, "X", 2, w.csr.value, "data", &x) ||
        py_values_of(call, dy_object, "dY", 2, w.csr.value, "data", &dy) ||
        py_dimension(call, &dy, "dY", 0, x.shape[0], "the batch of X") ||
        py_dimension(call, &dy, "dY", 1, w.csr.n_rows, "one for each row of W") ||
        py_layout(call, layout_object, &w.csr, 1, &layout) || py_narrow(call, narrow, NULL, check, &w))
        return NULL;
    if (!(dx_result = py_output(call, dx_object, "dX", 2, x.shape, w.csr.value, &dx)) ||
        !(g_result = py_output(call, g_object, "G", 1, &w.csr.nnz, w.csr.value, &g)))
        goto fail;
    if (py_no_overlap(call, &dx, "dX", &x, "X", 0) || py_no_overlap(call, &dx, "dX", &dy, "dY", 0) ||
        py_no_overlap(call, &g, "G", &x, "X", 0) || py_no_overlap(call, &g, "G", &dy, "dY", 0) ||
        py_no_overlap(call, &g, "G", &dx, "dX", 0) || py_apart(call, &dx, "dX", &w) || py_apart(call, &g, "G", &w))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_checked(check, &w, &where);
    if (!status) status = bio_backward(&w.csr, layout, x.data, dy.data, dx.data, g.data, x.shape[0], n_threads);
    Py_END_ALLOW_THREADS
    if (py_pathway_status(&w, status, where, "")) goto fail;
    return Py_BuildValue("NN", dx_result, g_result);
fail:
    Py_XDECREF(dx_result);
    Py_XDECREF(g_result);
    return NULL;
}

/* ---- making layouts ---- */

static PyObject *few(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "few";
    static char *names[] = {"n_cols", "itemsize", NULL};
    PyObject *cols, *size;
    size_t n_cols, itemsize;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:few", names, &cols, &size) ||
        py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX, NULL, &n_cols) ||
        py_integer(call, size, "itemsize", sizeof(float), sizeof(double), NULL, &itemsize))
        return NULL;
    const bio_few_samples most = bio_few(itemsize == sizeof(double) ? BIO_FLOAT64 : BIO_FLOAT32, n_cols);
    return Py_BuildValue("nnn", (Py_ssize_t)most.forward, (Py_ssize_t)most.input_grad, (Py_ssize_t)most.weight_grad);
}

static PyObject *layout(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "layout";
    static char *names[] = {"indptr", "indices", "data", "n_cols", "transposed", "n_threads", NULL};
    PyObject *indptr, *indices, *data, *cols, *transposed_object, *threads = NULL, *capsule;
    int n_threads, transposed;
    bio_layout *made;
    size_t n_cols;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$O:layout", names, &indptr, &indices, &data, &cols,
                                     &transposed_object, &threads))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX, NULL, &n_cols) ||
        py_truth(call, transposed_object, "transposed", &transposed) || py_threads(call, threads, &n_threads) ||
        py_weighted(call, indptr, indices, data, n_cols, &w))
        return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_layout_new(&w.csr, transposed, n_threads, &made);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return NULL;
    if (!(capsule = PyCapsule_New(made, capsule_name, destroy))) bio_layout_free(made);
    return capsule;
}

static PyObject *layout_refresh(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "layout_refresh";
    static char *names[] = {"layout", "indptr", "indices", "data", "n_cols", "n_threads", NULL};
    PyObject *layout_object, *indptr, *indices, *data, *cols, *threads = NULL;
    bio_layout *refreshed;
    size_t n_cols;
    int n_threads;
    py_pathway w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$O:layout_refresh", names, &layout_object, &indptr, &indices,
                                     &data, &cols, &threads))
        return NULL;
    if (py_integer(call, cols, "n_cols", 1, PY_SSIZE_T_MAX, NULL, &n_cols) || py_threads(call, threads, &n_threads) ||
        !(refreshed = layout_of(call, layout_object)) || py_weighted(call, indptr, indices, data, n_cols, &w))
        return NULL;
    if (!bio_layout_fits(refreshed, &w.csr, 0) && !bio_layout_fits(refreshed, &w.csr, 1))
        return PyErr_Format(PyExc_ValueError, "%s(): layout was made for another pathway", call);
    Py_BEGIN_ALLOW_THREADS
    bio_layout_refresh(refreshed, &w.csr, n_threads);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *layout_bytes(PyObject *module, PyObject *object) {
    (void)module;
    const bio_layout *asked = layout_of("layout_bytes", object);
    return asked ? PyLong_FromSize_t(bio_layout_bytes(asked)) : NULL;
}

PyMethodDef py_linear_methods[] = {
    METHOD(forward,
           "forward(indptr, indices, data, X, bias=None, *, n_threads=None, out=None, layout=None, narrow=None, "
           "order=None, check=False)\n--\n\nY = X W^T + b."),
    METHOD(input_grad,
           "input_grad(indptr, indices, data, dY, n_cols, *, n_threads=None, out=None, layout=None, narrow=None, "
           "check=False)\n--\n\ndX = dY W."),
    METHOD(weight_grad,
           "weight_grad(indptr, indices, X, dY, *, n_threads=None, out=None, layout=None, narrow=None, "
           "check=False)\n--\n\nG_ij = sum_b dY_bi X_bj on the pattern."),
    METHOD(backward,
           "backward(indptr, indices, data, X, dY, *, n_threads=None, dX=None, G=None, layout=None, narrow=None, "
           "check=False)\n--\n\n(dX, G): input_grad and weight_grad in one pass."),
    METHOD(few,
           "few(n_cols, itemsize)\n--\n\n"
           "Most samples of forward, of input_grad and backward, and of weight_grad that need no layout."),
    METHOD(layout,
           "layout(indptr, indices, data, n_cols, transposed, *, n_threads=None)\n--\n\n"
           "Block-major copy for the products; the structure is trusted."),
    METHOD(layout_refresh,
           "layout_refresh(layout, indptr, indices, data, n_cols, *, n_threads=None)\n--\n\nTakes new weights."),
    {"layout_bytes", layout_bytes, METH_O, "layout_bytes(layout)\n--\n\nMemory that a layout holds."},
    {NULL, NULL, 0, NULL},
};
