/* Bindings of the products with a batch, and of the layouts that they run on. */
#include "py_arrays.h"

/* ---- layouts: capsules, which free themselves ---- */

static const char capsule_name[] = "bioneuro._core.layout";

static void destroy(PyObject *capsule) { bio_layout_free(PyCapsule_GetPointer(capsule, capsule_name)); }

static bio_layout *layout_of(PyObject *object) {
    bio_layout *layout = PyCapsule_GetPointer(object, capsule_name);
    if (!layout) PyErr_Format(PyExc_TypeError, "layout must come from bioneuro._core.layout, got %R", object);
    return layout;
}

int py_layout(PyObject *object, const bio_csr *w, int transposed, bio_layout **layout) {
    *layout = NULL;
    if (!object || object == Py_None) return 0;
    if (!(*layout = layout_of(object))) return -1;
    if (bio_layout_fits(*layout, w, transposed)) return 0;
    PyErr_Format(
        PyExc_ValueError, "layout was made for another pathway, or for %s one",
        transposed ? "the plain where this needs the transposed" : "the transposed where this needs the plain");
    return -1;
}

/* A CSR view with weights: None is no pathway to compute with. Returns 0 or -1. */
static int pathway(PyObject *indptr, PyObject *indices, PyObject *data, size_t n_cols, bio_csr *w) {
    if (py_csr(indptr, indices, data, n_cols, w)) return -1;
    if (w->data) return 0;
    PyErr_SetString(PyExc_TypeError, "data must be a NumPy array of float32 or float64, got NoneType");
    return -1;
}

static PyObject *forward(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "X", "bias", "n_threads", "out", "layout", NULL};
    PyObject *indptr, *indices, *data, *x_object, *bias_object = NULL, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL;
    bio_layout *layout;
    PyArrayObject *x, *bias, *y = NULL;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O$OOO:forward", names, &indptr, &indices, &data, &x_object,
                                     &bias_object, &threads, &out, &layout_object))
        return NULL;
    if (!(x = py_values(x_object, "X", 2))) return NULL;
    if (pathway(indptr, indices, data, (size_t)PyArray_DIM(x, 1), &w) || py_threads(threads, &n_threads)) return NULL;
    if (!py_values_of(x_object, "X", 2, w.value, "data")) return NULL;
    if (py_optional_values_of(bias_object, "bias", 1, w.value, "data", &bias)) return NULL;
    if (bias && py_dimension(bias, "bias", 0, w.n_rows, "one for each row of W")) return NULL;
    if (py_layout(layout_object, &w, 0, &layout)) return NULL;
    npy_intp dims[2] = {PyArray_DIM(x, 0), (npy_intp)w.n_rows};
    if (!(y = py_output(out, "out", 2, dims, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_forward(&w, layout, PyArray_DATA(x), bias ? PyArray_DATA(bias) : NULL, PyArray_DATA(y),
                         (size_t)dims[0], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)y;
fail:
    Py_DECREF(y);
    return NULL;
}

static PyObject *input_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "dY", "n_cols", "n_threads", "out", "layout", NULL};
    PyObject *indptr, *indices, *data, *dy_object, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL;
    bio_layout *layout;
    PyArrayObject *dy, *dx = NULL;
    Py_ssize_t n_cols;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOn|$OOO:input_grad", names, &indptr, &indices, &data, &dy_object,
                                     &n_cols, &threads, &out, &layout_object))
        return NULL;
    if (n_cols < 1) return PyErr_Format(PyExc_ValueError, "n_cols must be >= 1, got %zd", n_cols);
    if (!(dy = py_values(dy_object, "dY", 2))) return NULL;
    if (pathway(indptr, indices, data, (size_t)n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!py_values_of(dy_object, "dY", 2, w.value, "data")) return NULL;
    if (py_dimension(dy, "dY", 1, w.n_rows, "one for each row of W")) return NULL;
    if (py_layout(layout_object, &w, 1, &layout)) return NULL;
    npy_intp dims[2] = {PyArray_DIM(dy, 0), n_cols};
    if (!(dx = py_output(out, "out", 2, dims, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_input_grad(&w, layout, PyArray_DATA(dy), PyArray_DATA(dx), (size_t)dims[0], n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)dx;
fail:
    Py_DECREF(dx);
    return NULL;
}

static PyObject *weight_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "X", "dY", "n_threads", "out", "layout", NULL};
    PyObject *indptr, *indices, *x_object, *dy_object, *threads = NULL, *out = NULL;
    PyObject *layout_object = NULL;
    bio_layout *layout;
    PyArrayObject *x, *dy, *g = NULL;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOO:weight_grad", names, &indptr, &indices, &x_object,
                                     &dy_object, &threads, &out, &layout_object))
        return NULL;
    if (!(x = py_values(x_object, "X", 2)) || !(dy = py_values(dy_object, "dY", 2))) return NULL;
    if (py_csr(indptr, indices, NULL, (size_t)PyArray_DIM(x, 1), &w) || py_threads(threads, &n_threads)) return NULL;
    w.value = PyArray_TYPE(x) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    if (!py_values_of(dy_object, "dY", 2, w.value, "X")) return NULL;
    if (py_dimension(dy, "dY", 0, (size_t)PyArray_DIM(x, 0), "the batch of X")) return NULL;
    if (py_dimension(dy, "dY", 1, w.n_rows, "one for each row of W")) return NULL;
    if (py_layout(layout_object, &w, 0, &layout)) return NULL;
    npy_intp nnz = (npy_intp)w.nnz;
    if (!(g = py_output(out, "out", 1, &nnz, w.value))) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_weight_grad(&w, layout, PyArray_DATA(x), PyArray_DATA(dy), PyArray_DATA(g), (size_t)PyArray_DIM(x, 0),
                             n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return (PyObject *)g;
fail:
    Py_DECREF(g);
    return NULL;
}

static PyObject *backward(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "X", "dY", "n_threads", "dX", "G", "layout", NULL};
    PyObject *indptr, *indices, *data, *x_object, *dy_object, *threads = NULL, *layout_object = NULL;
    PyObject *dx_object = NULL, *g_object = NULL;
    bio_layout *layout;
    PyArrayObject *x, *dy, *dx = NULL, *g = NULL;
    bio_csr w;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOO|$OOOO:backward", names, &indptr, &indices, &data, &x_object,
                                     &dy_object, &threads, &dx_object, &g_object, &layout_object))
        return NULL;
    if (!(x = py_values(x_object, "X", 2)) || !(dy = py_values(dy_object, "dY", 2))) return NULL;
    if (pathway(indptr, indices, data, (size_t)PyArray_DIM(x, 1), &w) || py_threads(threads, &n_threads)) return NULL;
    if (!py_values_of(x_object, "X", 2, w.value, "data") || !py_values_of(dy_object, "dY", 2, w.value, "data"))
        return NULL;
    if (py_dimension(dy, "dY", 0, (size_t)PyArray_DIM(x, 0), "the batch of X")) return NULL;
    if (py_dimension(dy, "dY", 1, w.n_rows, "one for each row of W")) return NULL;
    if (py_layout(layout_object, &w, 1, &layout)) return NULL;
    npy_intp nnz = (npy_intp)w.nnz;
    if (!(dx = py_output(dx_object, "dX", 2, PyArray_DIMS(x), w.value)) ||
        !(g = py_output(g_object, "G", 1, &nnz, w.value)))
        goto fail;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_backward(&w, layout, PyArray_DATA(x), PyArray_DATA(dy), PyArray_DATA(dx), PyArray_DATA(g),
                          (size_t)PyArray_DIM(x, 0), n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return Py_BuildValue("NN", dx, g);
fail:
    Py_XDECREF(dx);
    Py_XDECREF(g);
    return NULL;
}

static PyObject *layout_new(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"indptr", "indices", "data", "n_cols", "transposed", "n_threads", NULL};
    PyObject *indptr, *indices, *data, *threads = NULL, *capsule;
    Py_ssize_t n_cols;
    int n_threads, transposed;
    bio_csr w;
    bio_layout *layout;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOnp|$O:layout", names, &indptr, &indices, &data, &n_cols,
                                     &transposed, &threads))
        return NULL;
    if (n_cols < 1) return PyErr_Format(PyExc_ValueError, "n_cols must be >= 1, got %zd", n_cols);
    if (pathway(indptr, indices, data, (size_t)n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_layout_new(&w, transposed, n_threads, &layout);
    Py_END_ALLOW_THREADS
    if (py_status(status)) return NULL;
    if (!(capsule = PyCapsule_New(layout, capsule_name, destroy))) bio_layout_free(layout);
    return capsule;
}

static PyObject *layout_refresh(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"layout", "indptr", "indices", "data", "n_cols", "n_threads", NULL};
    PyObject *layout_object, *indptr, *indices, *data, *threads = NULL;
    Py_ssize_t n_cols;
    int n_threads;
    bio_csr w;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOn|$O:layout_refresh", names, &layout_object, &indptr, &indices,
                                     &data, &n_cols, &threads))
        return NULL;
    bio_layout *layout = layout_of(layout_object);
    if (!layout) return NULL;
    if (pathway(indptr, indices, data, (size_t)n_cols, &w) || py_threads(threads, &n_threads)) return NULL;
    if (!bio_layout_fits(layout, &w, 0) && !bio_layout_fits(layout, &w, 1)) {
        PyErr_SetString(PyExc_ValueError, "layout was made for another pathway");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    bio_layout_refresh(layout, &w, n_threads);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *layout_bytes(PyObject *module, PyObject *object) {
    (void)module;
    const bio_layout *layout = layout_of(object);
    return layout ? PyLong_FromSize_t(bio_layout_bytes(layout)) : NULL;
}

#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

PyMethodDef py_linear_methods[] = {
    METHOD(
        forward,
        "forward(indptr, indices, data, X, bias=None, *, n_threads=None, out=None, layout=None)\n--\n\nY = X W^T + b."),
    METHOD(input_grad,
           "input_grad(indptr, indices, data, dY, n_cols, *, n_threads=None, out=None, layout=None)\n--\n\ndX = dY W."),
    METHOD(weight_grad,
           "weight_grad(indptr, indices, X, dY, *, n_threads=None, out=None, layout=None)\n--\n\nG_ij = sum_b dY_bi "
           "X_bj on the "
           "pattern."),
    METHOD(backward,
           "backward(indptr, indices, data, X, dY, *, n_threads=None, dX=None, G=None, layout=None)\n--\n\n(dX, G): "
           "input_grad and "
           "weight_grad in one pass."),
    {"layout", (PyCFunction)(void (*)(void))layout_new, METH_VARARGS | METH_KEYWORDS,
     "layout(indptr, indices, data, n_cols, transposed, *, n_threads=None)\n--\n\nBlock-major copy for the products; "
     "the structure is trusted."},
    METHOD(layout_refresh,
           "layout_refresh(layout, indptr, indices, data, n_cols, *, n_threads=None)\n--\n\nTakes new weights."),
    {"layout_bytes", layout_bytes, METH_O, "layout_bytes(layout)\n--\n\nMemory that a layout holds."},
    {NULL, NULL, 0, NULL},
};
