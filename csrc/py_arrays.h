/* The border between Python objects and the kernels: every argument is checked here, in O(1), or refused by name. */
#ifndef PY_ARRAYS_H
#define PY_ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL bioneuro_array_api
#ifndef PY_ARRAYS_IMPORT
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "bio.h"

/* All functions: NULL or -1 with an exception set on failure. Returned arrays are borrowed from the argument
 * unless the name says new. */

/* A C-contiguous, aligned, native-order array of ndim dimensions (0: any), of float32 or float64; none of them empty.
 */
PyArrayObject *py_values(PyObject *object, const char *name, int ndim);

/* The same, of exactly the value type `value`, because it goes with argument `like`. */
PyArrayObject *py_values_of(PyObject *object, const char *name, int ndim, bio_value value, const char *like);

/* As py_values_of, or *array = NULL for None. Returns 0 or -1. */
int py_optional_values_of(PyObject *object, const char *name, int ndim, bio_value value, const char *like,
                          PyArrayObject **array);

/* -1 and a TypeError/ValueError when not writeable. */
int py_writeable(PyArrayObject *array, const char *name);

/* -1 and a ValueError naming both when dimension `axis` is not `size`, which comes from `from`. */
int py_dimension(PyArrayObject *array, const char *name, int axis, size_t size, const char *from);

/* Fills a CSR view from indptr, indices, data (NULL or None: structure only; then set view->value yourself).
 * indptr and indices must share int32 or int64; contents are trusted. Returns 0 or -1. */
int py_csr(PyObject *indptr, PyObject *indices, PyObject *data, size_t n_cols, bio_csr *view);

/* A new array of the value type or of the index type. */
PyArrayObject *py_new_values(int ndim, const npy_intp *dims, bio_value value);
PyArrayObject *py_new_indices(npy_intp n, bio_index index);

/* -1 and a ValueError when two arrays share memory, other than as one and the same array where that may be. */
int py_no_overlap(PyArrayObject *a, const char *name, PyArrayObject *b, const char *other, int may_be_same);

/* `out` checked for type, shape and writeability (new array when None). A new reference. */
PyArrayObject *py_output(PyObject *out, const char *name, int ndim, const npy_intp *dims, bio_value value);

/* n_threads argument: None and "auto" mean the default; otherwise an integer >= 1. Returns 0 or -1. */
int py_threads(PyObject *object, int *n_threads);

/* A real number in [low, high]; NaN never is. `expected` says so in words. An absent argument (NULL) leaves *number
 * alone. Returns 0 or -1. */
int py_real(PyObject *object, const char *name, double low, double high, const char *expected, double *number);

/* Sharpness of a competition: finite. Returns 0 or -1. */
int py_beta(double beta);

/* Winners of a competition: None means all (0); otherwise an integer >= 1. Returns 0 or -1. */
int py_winners(PyObject *object, size_t *k);

/* An optional layout of w or of its transpose: the right way round and of the right size, or NULL for None. Returns 0
 * or -1. */
int py_layout(PyObject *object, const bio_csr *w, int transposed, bio_layout **layout);

/* Converts a kernel's status into None-result success (0) or an exception (-1). */
int py_status(bio_status status);

/* Function tables of the families, each in its own py_<family>.c. */
extern PyMethodDef py_linear_methods[];
extern PyMethodDef py_compete_methods[];
extern PyMethodDef py_plasticity_methods[];
extern PyMethodDef py_structure_methods[];
extern PyMethodDef py_patches_methods[];

#endif
