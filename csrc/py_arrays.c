#include "py_arguments.h"

#include <string.h>

static const int value_types[BIO_N_VALUES] = {NPY_FLOAT32, NPY_FLOAT64};
static const int index_types[BIO_N_INDICES] = {NPY_INT32, NPY_INT64};
static const char *const value_names[BIO_N_VALUES] = {"float32", "float64"};

/* ---- one array ---- */

/* An array in native byte order, or a TypeError. */
static PyArrayObject *native_array(const char *call, PyObject *object, const char *name, const char *types) {
    if (!PyArray_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s(): %s must be a NumPy array of %s, got %s", call, name, types,
                     Py_TYPE(object)->tp_name);
        return NULL;
    }
    PyArrayObject *array = (PyArrayObject *)object;
    if (!PyArray_ISBYTESWAPPED(array)) return array;
    PyErr_Format(PyExc_TypeError,
                 "%s(): %s must be in native byte order, got %R: use %s.astype(%s.dtype.newbyteorder('='))", call, name,
                 PyArray_DESCR(array), name, name);
    return NULL;
}

static int wrong_dtype(const char *call, const char *name, const char *wanted, PyArrayObject *array) {
    PyErr_Format(PyExc_TypeError, "%s(): %s must be %s, got %R: nothing is cast in silence", call, name, wanted,
                 PyArray_DESCR(array));
    return -1;
}

/* Checks its layout, once the type is right, and keeps what it is. Returns 0 or -1. */
static int look_at(const char *call, PyArrayObject *object, const char *name, int ndim, py_array *array) {
    if (ndim && PyArray_NDIM(object) != ndim) {
        PyErr_Format(PyExc_ValueError, "%s(): %s must have %d dimension%s, got %d", call, name, ndim,
                     ndim == 1 ? "" : "s", PyArray_NDIM(object));
        return -1;
    }
    if (!PyArray_IS_C_CONTIGUOUS(object) || !PyArray_ISALIGNED(object)) {
        PyErr_Format(PyExc_ValueError, "%s(): %s must be C-contiguous and aligned: use np.ascontiguousarray(%s)", call,
                     name, name);
        return -1;
    }
    memset(array, 0, sizeof *array);
    array->data = PyArray_DATA(object);
    array->size = (size_t)PyArray_SIZE(object);
    array->bytes = (size_t)PyArray_NBYTES(object);
    array->value = PyArray_TYPE(object) == NPY_FLOAT64 ? BIO_FLOAT64 : BIO_FLOAT32;
    array->writeable = PyArray_ISWRITEABLE(object);
    for (int axis = 0; axis < PyArray_NDIM(object) && axis < PY_MAX_DIMENSIONS; axis++)
        array->shape[axis] = (size_t)PyArray_DIM(object, axis);
    return 0;
}

/* Float32 or float64; it may be empty. */
static PyArrayObject *any_values(const char *call, PyObject *object, const char *name, int ndim, py_array *array) {
    static const char types[] = "float32 or float64";
    PyArrayObject *found = native_array(call, object, name, types);
    if (!found) return NULL;
    if (PyArray_TYPE(found) != NPY_FLOAT32 && PyArray_TYPE(found) != NPY_FLOAT64) {
        wrong_dtype(call, name, types, found);
        return NULL;
    }
    return look_at(call, found, name, ndim, array) ? NULL : found;
}

int py_values(const char *call, PyObject *object, const char *name, int ndim, py_array *array) {
    PyArrayObject *found = any_values(call, object, name, ndim, array);
    if (!found) return -1;
    if (array->size) return 0;
    PyObject *shape = PyObject_GetAttrString((PyObject *)found, "shape");
    if (shape) PyErr_Format(PyExc_ValueError, "%s(): %s must not be empty, got shape %R", call, name, shape);
    Py_XDECREF(shape);
    return -1;
}

int py_values_of(const char *call, PyObject *object, const char *name, int ndim, bio_value value, const char *like,
                 py_array *array) {
    PyArrayObject *found = native_array(call, object, name, value_names[value]);
    if (!found) return -1;
    if (PyArray_TYPE(found) == value_types[value]) return look_at(call, found, name, ndim, array);
    PyErr_Format(PyExc_TypeError, "%s(): %s must be %s like %s, got %R: nothing is cast in silence", call, name,
                 value_names[value], like, PyArray_DESCR(found));
    return -1;
}

int py_optional_values_of(const char *call, PyObject *object, const char *name, int ndim, bio_value value,
                          const char *like, py_array *array) {
    memset(array, 0, sizeof *array);
    return object == NULL || object == Py_None ? 0 : py_values_of(call, object, name, ndim, value, like, array);
}

int py_writeable(const char *call, const py_array *array, const char *name) {
    if (array->writeable) return 0;
    PyErr_Format(PyExc_ValueError, "%s(): %s must be writeable: it is changed in place", call, name);
    return -1;
}

int py_dimension(const char *call, const py_array *array, const char *name, int axis, size_t size, const char *from) {
    if (!array->data || array->shape[axis] == size) return 0;
    PyErr_Format(PyExc_ValueError, "%s(): %s.shape[%d] must be %zu, %s, got %zu", call, name, axis, size, from,
                 array->shape[axis]);
    return -1;
}

int py_no_overlap(const char *call, const py_array *a, const char *name, const py_array *b, const char *other,
                  int may_be_same) {
    const char *first = a->data, *second = b->data;
    if (!first || !second || (may_be_same && first == second && a->bytes == b->bytes) || first + a->bytes <= second ||
        second + b->bytes <= first)
        return 0;
    PyErr_Format(PyExc_ValueError,
                 may_be_same ? "%s(): %s must be %s itself or share no memory with it"
                             : "%s(): %s must not share memory with %s",
                 call, name, other);
    return -1;
}

PyArrayObject *py_new_values(int ndim, const size_t *shape, bio_value value) {
    npy_intp dims[PY_MAX_DIMENSIONS];
    for (int axis = 0; axis < ndim; axis++) dims[axis] = (npy_intp)shape[axis];
    return (PyArrayObject *)PyArray_SimpleNew(ndim, dims, value_types[value]);
}

PyArrayObject *py_new_indices(size_t n, bio_index index) {
    npy_intp length = (npy_intp)n;
    return (PyArrayObject *)PyArray_SimpleNew(1, &length, index_types[index]);
}

PyArrayObject *py_output(const char *call, PyObject *out, const char *name, int ndim, const size_t *shape,
                         bio_value value, py_array *array) {
    if (out == NULL || out == Py_None) {
        PyArrayObject *made = py_new_values(ndim, shape, value);
        if (!made || !look_at(call, made, name, ndim, array)) return made;
        Py_DECREF(made);
        return NULL;
    }
    if (py_values_of(call, out, name, ndim, value, "the result", array) || py_writeable(call, array, name)) return NULL;
    for (int axis = 0; axis < ndim; axis++)
        if (py_dimension(call, array, name, axis, shape[axis], "the shape of the result")) return NULL;
    return (PyArrayObject *)Py_NewRef(out);
}

/* ---- a pathway ---- */

static PyArrayObject *index_array(const char *call, PyObject *object, const char *name) {
    static const char types[] = "int32 or int64";
    PyArrayObject *array = native_array(call, object, name, types);
    if (!array) return NULL;
    /* NPY_LONG and NPY_LONGLONG are both 64 bits wide on LP64: compare by equivalence, not by number */
    if (PyArray_EquivTypenums(PyArray_TYPE(array), NPY_INT32) || PyArray_EquivTypenums(PyArray_TYPE(array), NPY_INT64))
        return array;
    wrong_dtype(call, name, types, array);
    return NULL;
}

int py_structure(const char *call, PyObject *indptr_object, PyObject *indices_object, size_t n_cols, py_pathway *w) {
    memset(w, 0, sizeof *w);
    PyArrayObject *indptr = index_array(call, indptr_object, "indptr"), *indices;
    if (!indptr || !(indices = index_array(call, indices_object, "indices"))) return -1;
    if (!PyArray_EquivTypenums(PyArray_TYPE(indptr), PyArray_TYPE(indices))) {
        PyErr_Format(PyExc_TypeError, "%s(): indices must be %R like indptr, got %R: nothing is cast in silence", call,
                     PyArray_DESCR(indptr), PyArray_DESCR(indices));
        return -1;
    }
    if (look_at(call, indptr, "indptr", 1, &w->indptr) || look_at(call, indices, "indices", 1, &w->indices)) return -1;
    if (w->indptr.size < 2) {
        PyErr_Format(PyExc_ValueError, "%s(): indptr must have n_rows + 1 >= 2 entries, got %zu", call, w->indptr.size);
        return -1;
    }
    w->csr = (bio_csr){
        .n_rows = w->indptr.size - 1,
        .n_cols = n_cols,
        .nnz = w->indices.size,
        .indptr = w->indptr.data,
        .indices = w->indices.data,
        .value = BIO_FLOAT32,
        .index = PyArray_EquivTypenums(PyArray_TYPE(indptr), NPY_INT64) ? BIO_INT64 : BIO_INT32,
    };
    return 0;
}

int py_weighted(const char *call, PyObject *indptr, PyObject *indices, PyObject *data, size_t n_cols, py_pathway *w) {
    if (py_structure(call, indptr, indices, n_cols, w) || !any_values(call, data, "data", 1, &w->data)) return -1;
    if (py_dimension(call, &w->data, "data", 0, w->csr.nnz, "the length of indices")) return -1;
    w->csr.data = w->data.data;
    w->csr.value = w->data.value;
    return 0;
}

/* An array of n unsigned integers, or NULL. */
static int unsigned_array(const char *call, PyObject *object, const char *name, const char *dtype, int type, size_t n,
                          const void **data) {
    py_array array;
    if (!object || object == Py_None) return 0;
    PyArrayObject *found = native_array(call, object, name, dtype);
    if (!found) return -1;
    if (PyArray_TYPE(found) != type) return wrong_dtype(call, name, dtype, found);
    if (look_at(call, found, name, 1, &array) || py_dimension(call, &array, name, 0, n, "that of the pathway"))
        return -1;
    *data = array.data;
    return 0;
}

int py_narrow(const char *call, PyObject *narrow, PyObject *order, int check, py_pathway *w) {
    const void *columns = NULL, *rows = NULL;
    if (unsigned_array(call, narrow, "narrow", "uint16", NPY_UINT16, w->csr.nnz, &columns) ||
        unsigned_array(call, order, "order", "uint32", NPY_UINT32, w->csr.n_rows, &rows))
        return -1;
    if (columns && w->csr.n_cols > (size_t)UINT16_MAX + 1) {
        PyErr_Format(PyExc_ValueError, "%s(): narrow cannot tell %zu columns apart", call, w->csr.n_cols);
        return -1;
    }
    if (check) return 0;
    w->csr.narrow = columns;
    w->csr.order = rows;
    return 0;
}

int py_apart(const char *call, const py_array *array, const char *name, const py_pathway *w) {
    return py_no_overlap(call, array, name, &w->indptr, "indptr", 0) ||
                   py_no_overlap(call, array, name, &w->indices, "indices", 0) ||
                   (array != &w->data && py_no_overlap(call, array, name, &w->data, "data", 0))
               ? -1
               : 0;
}

/* ---- what kernels answer ---- */

int py_status(bio_status status) {
    if (status == BIO_OK) return 0;
    if (status == BIO_NO_MEMORY) PyErr_NoMemory();
    else if (status == BIO_CHANGED)
        PyErr_SetString(PyExc_RuntimeError, "an array was changed by another thread while it was being read");
    else PyErr_Format(PyExc_SystemError, "unexpected kernel status %d", (int)status);
    return -1;
}

/* Entry k of an index array. */
static long long entry(const void *array, bio_index index, size_t k) {
    return index == BIO_INT64 ? (long long)((const int64_t *)array)[k] : ((const int32_t *)array)[k];
}

int py_pathway_status(const py_pathway *pathway, bio_status status, size_t k, const char *whose) {
    const bio_csr *w = &pathway->csr;
    switch (status) {
        case BIO_INDPTR_START:
            PyErr_Format(PyExc_ValueError, "%sindptr[0] must be 0, got %lld", whose, entry(w->indptr, w->index, k));
            return -1;
        case BIO_INDPTR_FALLS:
            PyErr_Format(PyExc_ValueError, "%sindptr must not decrease, but indptr[%zu] = %lld < indptr[%zu] = %lld",
                         whose, k, entry(w->indptr, w->index, k), k - 1, entry(w->indptr, w->index, k - 1));
            return -1;
        case BIO_INDPTR_END:
            PyErr_Format(PyExc_ValueError, "%sindptr[-1] must be len(indices) = %zu, got %lld", whose, w->nnz,
                         entry(w->indptr, w->index, k));
            return -1;
        case BIO_INDEX_RANGE:
            PyErr_Format(PyExc_ValueError, "%sindices must lie in [0, %zu), but indices[%zu] = %lld", whose, w->n_cols,
                         k, entry(w->indices, w->index, k));
            return -1;
        case BIO_INDEX_ORDER:
            PyErr_Format(PyExc_ValueError,
                         "%sindices must rise strictly within a row, but indices[%zu] = %lld follows %lld", whose, k,
                         entry(w->indices, w->index, k), entry(w->indices, w->index, k - 1));
            return -1;
        case BIO_DATA_NONFINITE: {
            const double x = w->value == BIO_FLOAT64 ? ((const double *)w->data)[k] : ((const float *)w->data)[k];
            PyErr_Format(PyExc_ValueError, "%sdata must be finite, but data[%zu] = %s", whose, k,
                         x > 0   ? "inf"
                         : x < 0 ? "-inf"
                                 : "nan");
            return -1;
        }
        default: return py_status(status);
    }
}
