#include "py_arrays.h"

#include <math.h>

#include "parallel.h"

static const int value_types[BIO_N_VALUES] = {NPY_FLOAT32, NPY_FLOAT64};
static const int index_types[BIO_N_INDICES] = {NPY_INT32, NPY_INT64};

/* What every argument must be, whatever its element type. */
static PyArrayObject *plain_array(PyObject *object, const char *name, int ndim, const char *types) {
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s must be a NumPy array of %s, got %s", name, types, Py_TYPE(object)->tp_name);
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (ndim && PyArray_NDIM(array) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s must have %d dimension%s, got %d", name, ndim, ndim == 1 ? "" : "s",
                     PyArray_NDIM(array));
        return NULL;
    }
    if (PyArray_ISBYTESWAPPED(array)) {
        PyErr_Format(PyExc_TypeError,
                     "%s must be in native byte order, got %R: use %s.astype(%s.dtype.newbyteorder('='))", name,
                     PyArray_DESCR(array), name, name);
        return NULL;
    }
    if (!PyArray_IS_C_CONTIGUOUS(array) || !PyArray_ISALIGNED(array)) {
        PyErr_Format(PyExc_ValueError, "%s must be C-contiguous and aligned: use np.ascontiguousarray(%s)", name, name);
        return NULL;
    }
    return array;
}

static PyArrayObject *wrong_dtype(const char *name, const char *wanted, PyArrayObject *array) {
    PyErr_Format(PyExc_TypeError, "%s must be %s, got %R: nothing is cast in silence", name, wanted,
                 PyArray_DESCR(array));
    return NULL;
}

static int not_empty(PyArrayObject *array, const char *name) {
    if (PyArray_SIZE(array) > 0) return 0;
    PyObject *shape = PyObject_GetAttrString((PyObject *)array, "shape");
    if (shape) PyErr_Format(PyExc_ValueError, "%s must not be empty, got shape %R", name, shape);
    Py_XDECREF(shape);
    return -1;
}

static int value_of(PyArrayObject *array) { return PyArray_TYPE(array) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32; }

PyArrayObject *py_values(PyObject *object, const char *name, int ndim) {
    PyArrayObject *array = plain_array(object, name, ndim, "float32 or float64");
    if (!array) return NULL;
    if (PyArray_TYPE(array) != NPY_FLOAT32 && PyArray_TYPE(array) != NPY_FLOAT64)
        return wrong_dtype(name, "float32 or float64", array);
    return not_empty(array, name) ? NULL : array;
}

PyArrayObject *py_values_of(PyObject *object, const char *name, int ndim, bio_value value, const char *like) {
    const char *wanted = value == BIO_FLOAT64 ? "float64" : "float32";
    PyArrayObject *array = plain_array(object, name, ndim, wanted);
    if (!array) return NULL;
    if (PyArray_TYPE(array) != value_types[value]) {
        PyErr_Format(PyExc_TypeError, "%s must be %s like %s, got %R: nothing is cast in silence", name, wanted, like,
                     PyArray_DESCR(array));
        return NULL;
    }
    return array;
}

int py_optional_values_of(PyObject *object, const char *name, int ndim, bio_value value, const char *like,
                          PyArrayObject **array) {
    *array = NULL;
    if (object == NULL || object == Py_None) return 0;
    *array = py_values_of(object, name, ndim, value, like);
    return *array ? 0 : -1;
}

int py_writeable(PyArrayObject *array, const char *name) {
    if (PyArray_ISWRITEABLE(array)) return 0;
    PyErr_Format(PyExc_ValueError, "%s must be writeable: it is changed in place", name);
    return -1;
}

int py_dimension(PyArrayObject *array, const char *name, int axis, size_t size, const char *from) {
    if ((size_t)PyArray_DIM(array, axis) == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s.shape[%d] must be %zu, %s, got %zd", name, axis, size, from,
                 (Py_ssize_t)PyArray_DIM(array, axis));
    return -1;
}

static PyArrayObject *index_array(PyObject *object, const char *name) {
    PyArrayObject *array = plain_array(object, name, 1, "int32 or int64");
    if (!array) return NULL;
    /* NPY_LONG and NPY_LONGLONG are both 64 bits wide on LP64: compare by equivalence, not by number */
    if (PyArray_EquivTypenums(PyArray_TYPE(array), NPY_INT32) || PyArray_EquivTypenums(PyArray_TYPE(array), NPY_INT64))
        return array;
    return wrong_dtype(name, "int32 or int64", array);
}

int py_csr(PyObject *indptr_object, PyObject *indices_object, PyObject *data_object, size_t n_cols, bio_csr *view) {
    PyArrayObject *indptr = index_array(indptr_object, "indptr"), *indices, *data = NULL;
    if (!indptr || !(indices = index_array(indices_object, "indices"))) return -1;
    if (!PyArray_EquivTypenums(PyArray_TYPE(indptr), PyArray_TYPE(indices))) {
        PyErr_Format(PyExc_TypeError, "indices must be %R like indptr, got %R: nothing is cast in silence",
                     PyArray_DESCR(indptr), PyArray_DESCR(indices));
        return -1;
    }
    if (PyArray_SIZE(indptr) < 2) {
        PyErr_Format(PyExc_ValueError, "indptr must have n_rows + 1 >= 2 entries, got %zd",
                     (Py_ssize_t)PyArray_SIZE(indptr));
        return -1;
    }
    if (n_cols == 0) {
        PyErr_SetString(PyExc_ValueError, "n_cols must be >= 1, got 0");
        return -1;
    }
    view->value = BIO_FLOAT32;
    if (data_object && data_object != Py_None) {
        data = plain_array(data_object, "data", 1, "float32 or float64");
        if (!data) return -1;
        if (PyArray_TYPE(data) != NPY_FLOAT32 && PyArray_TYPE(data) != NPY_FLOAT64) {
            wrong_dtype("data", "float32 or float64", data);
            return -1;
        }
        if (py_dimension(data, "data", 0, (size_t)PyArray_SIZE(indices), "the length of indices")) return -1;
        view->value = value_of(data);
    }
    view->n_rows = (size_t)PyArray_SIZE(indptr) - 1;
    view->n_cols = n_cols;
    view->nnz = (size_t)PyArray_SIZE(indices);
    view->indptr = PyArray_DATA(indptr);
    view->indices = PyArray_DATA(indices);
    view->data = data ? PyArray_DATA(data) : NULL;
    view->index = PyArray_EquivTypenums(PyArray_TYPE(indptr), NPY_INT64) ? BIO_INT64 : BIO_INT32;
    return 0;
}

PyArrayObject *py_new_values(int ndim, const npy_intp *dims, bio_value value) {
    return (PyArrayObject *)PyArray_SimpleNew(ndim, dims, value_types[value]);
}

PyArrayObject *py_new_indices(npy_intp n, bio_index index) {
    return (PyArrayObject *)PyArray_SimpleNew(1, &n, index_types[index]);
}

int py_no_overlap(PyArrayObject *a, const char *name, PyArrayObject *b, const char *other, int may_be_same) {
    const char *first = PyArray_BYTES(a), *second = PyArray_BYTES(b);
    if ((may_be_same && first == second) || first + PyArray_NBYTES(a) <= second || second + PyArray_NBYTES(b) <= first)
        return 0;
    PyErr_Format(PyExc_ValueError,
                 may_be_same ? "%s must be %s itself or share no memory with it" : "%s must share no memory with %s",
                 name, other);
    return -1;
}

PyArrayObject *py_output(PyObject *out, const char *name, int ndim, const npy_intp *dims, bio_value value) {
    if (out == NULL || out == Py_None) return py_new_values(ndim, dims, value);
    PyArrayObject *array = py_values_of(out, name, ndim, value, "the result");
    if (!array || py_writeable(array, name)) return NULL;
    for (int axis = 0; axis < ndim; axis++)
        if (py_dimension(array, name, axis, (size_t)dims[axis], "the shape of the result")) return NULL;
    Py_INCREF(array);
    return array;
}

int py_threads(PyObject *object, int *n_threads) {
    *n_threads = bio_default_threads();
    if (object == NULL || object == Py_None) return 0;
    if (PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, "auto") == 0) return 0;
    if (!PyIndex_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError, "n_threads must be None, 'auto' or an integer >= 1, got %R", object);
        return -1;
    }
    Py_ssize_t n = PyNumber_AsSsize_t(object, NULL); /* NULL: too large a number is clipped */
    if (n == -1 && PyErr_Occurred()) return -1;
    if (n < 1 || n > 1024) {
        PyErr_Format(PyExc_ValueError, "n_threads must be None, 'auto' or an integer in [1, 1024], got %R", object);
        return -1;
    }
    *n_threads = (int)n;
    return 0;
}

int py_status(bio_status status) {
    if (status == BIO_OK) return 0;
    if (status == BIO_NO_MEMORY) PyErr_NoMemory();
    else PyErr_Format(PyExc_SystemError, "unexpected kernel status %d", (int)status);
    return -1;
}

int py_real(PyObject *object, const char *name, double low, double high, const char *expected, double *number) {
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

int py_beta(double beta) {
    if (isfinite(beta)) return 0;
    PyObject *value = PyFloat_FromDouble(beta);
    if (value) PyErr_Format(PyExc_ValueError, "beta must be a finite number, got %R", value);
    Py_XDECREF(value);
    return -1;
}

int py_winners(PyObject *object, size_t *k) {
    *k = 0;
    if (object == NULL || object == Py_None) return 0;
    if (!PyIndex_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError, "k must be None or an integer >= 1, got %R", object);
        return -1;
    }
    const Py_ssize_t n = PyNumber_AsSsize_t(object, NULL); /* clipped, not refused, beyond its range */
    if (n == -1 && PyErr_Occurred()) return -1;
    if (n < 1) {
        PyErr_Format(PyExc_ValueError, "k must be None or an integer >= 1, got %R", object);
        return -1;
    }
    *k = (size_t)n;
    return 0;
}
