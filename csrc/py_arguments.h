/* The border between Python objects and the kernels: every argument is checked here, or refused by name.
 *
 * A binding converts its numbers first: __index__, __float__ and __bool__ run whatever Python code they like. Then it
 * looks at its arrays. From there to the kernel no Python code runs, and what was seen of an array is kept in a
 * py_array: once the GIL is released, another thread may give the object a new shape. */
#ifndef PY_ARGUMENTS_H
#define PY_ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL bioneuro_array_api
#ifndef PY_ARRAYS_IMPORT
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>

#include "bio.h"

/* A row of a function table; the C function bears the name of the Python one. */
#define METHOD(name, doc) {#name, (PyCFunction)(void (*)(void))name, METH_VARARGS | METH_KEYWORDS, doc}

/* All functions: `call` is the Python function, which messages begin with; NULL or -1 with an exception set on failure,
 * a TypeError for what is of the wrong kind, a ValueError for a wrong value. Exceptions of the object's own methods
 * pass as they are. */

/* ---- py_numbers.c: an absent argument (NULL) leaves the result alone ------------------------------------------- */

/* -1 and a TypeError where a keyword-only argument without default is absent. */
int py_required(const char *call, PyObject *object, const char *name);

/* A real number in [low, high]; NaN never is. `expected` says so in words. */
int py_real(const char *call, PyObject *object, const char *name, double low, double high, const char *expected,
            double *number);

/* An integer in [low, high], low >= 0. With `none`, which says so in words, None leaves the result alone. */
int py_integer(const char *call, PyObject *object, const char *name, size_t low, size_t high, const char *none,
               size_t *number);

/* A 64-bit key, in [0, 2^64). */
int py_key(const char *call, PyObject *object, const char *name, uint64_t *key);

/* True or False, or the integer 1 or 0. */
int py_truth(const char *call, PyObject *object, const char *name, int *truth);

/* The place of a string among `choices`. */
int py_choice(const char *call, PyObject *object, const char *name, const char *const *choices, int n_choices,
              int *choice);

/* n_threads: None, "auto" or absent means bio_default_threads(); otherwise an integer in [1, 1024]. */
int py_threads(const char *call, PyObject *object, int *n_threads);

/* Sharpness of a competition: finite. Winners of one: None (or absent) means all, 0. */
int py_beta(const char *call, PyObject *object, double *beta);
int py_winners(const char *call, PyObject *object, size_t *k);

/* ---- py_arrays.c ------------------------------------------------------------------------------------------------ */

enum { PY_MAX_DIMENSIONS = 4 };

/* An array as it was when it was checked: C-contiguous, aligned, in native byte order. Its memory is the caller's. */
typedef struct {
    void *data; /* NULL: there is none */
    size_t shape[PY_MAX_DIMENSIONS], size, bytes;
    bio_value value;
    int writeable;
} py_array;

/* Float32 or float64, of ndim dimensions (0: any), not empty. */
int py_values(const char *call, PyObject *object, const char *name, int ndim, py_array *array);

/* Exactly of the value type `value`, because it goes with argument `like`; it may be empty. */
int py_values_of(const char *call, PyObject *object, const char *name, int ndim, bio_value value, const char *like,
                 py_array *array);

/* As py_values_of; None (or absent) is no array. */
int py_optional_values_of(const char *call, PyObject *object, const char *name, int ndim, bio_value value,
                          const char *like, py_array *array);

int py_writeable(const char *call, const py_array *array, const char *name);

/* Whether dimension `axis` is `size`, which comes from `from`. No array fits. */
int py_dimension(const char *call, const py_array *array, const char *name, int axis, size_t size, const char *from);

/* Whether two arrays share no memory, or, where that may be, are one and the same. No array shares none. */
int py_no_overlap(const char *call, const py_array *a, const char *name, const py_array *b, const char *other,
                  int may_be_same);

/* A new array of the value type or of the index type. */
PyArrayObject *py_new_values(int ndim, const size_t *shape, bio_value value);
PyArrayObject *py_new_indices(size_t n, bio_index index);

/* `out` checked for type, shape and writeability (a new array when None or absent): a new reference, and what it is. */
PyArrayObject *py_output(const char *call, PyObject *out, const char *name, int ndim, const size_t *shape,
                         bio_value value, py_array *array);

/* A pathway: its CSR view, and the arrays that it is a view of. */
typedef struct {
    bio_csr csr;
    py_array indptr, indices, data;
} py_pathway;

/* indptr and indices of one type, int32 or int64; their contents are trusted. Without weights: then set csr.value. */
int py_structure(const char *call, PyObject *indptr, PyObject *indices, size_t n_cols, py_pathway *w);

/* The same with weights. */
int py_weighted(const char *call, PyObject *indptr, PyObject *indices, PyObject *data, size_t n_cols, py_pathway *w);

/* What products with few samples may read beside it, None or absent for none: the columns as uint16, the order in
 * which rows are taken as uint32. Their contents are trusted, too; with `check` they are not used. */
int py_narrow(const char *call, PyObject *narrow, PyObject *order, int check, py_pathway *w);

/* Whether `array` shares no memory with those of the pathway (data left out where it is `array` itself). */
int py_apart(const char *call, const py_array *array, const char *name, const py_pathway *w);

/* An optional layout of w or of its transpose: the right way round and of the right size, or NULL for None. */
int py_layout(const char *call, PyObject *object, const bio_csr *w, int transposed, bio_layout **layout);

/* Converts a kernel's status into success (0) or an exception (-1). */
int py_status(bio_status status);

/* The same after bio_checked(): a fault of the structure is a ValueError with its position. `whose` comes first. */
int py_pathway_status(const py_pathway *w, bio_status status, size_t where, const char *whose);

/* bio_validate() where `check` asks for it. */
static inline bio_status bio_checked(int check, const py_pathway *w, size_t *where) {
    return check ? bio_validate(&w->csr, where) : BIO_OK;
}

/* ---- the families, each in its own py_<family>.c ---------------------------------------------------------------- */

extern PyMethodDef py_linear_methods[];
extern PyMethodDef py_compete_methods[];
extern PyMethodDef py_plasticity_methods[];
extern PyMethodDef py_structure_methods[];
extern PyMethodDef py_patches_methods[];
extern PyMethodDef py_lock_methods[];

#endif
