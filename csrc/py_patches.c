/* Bindings of patches, patches_grad and feature_map. */
#include "py_arguments.h"

#include <float.h>

enum { MAX_PATCH = 4096, MAX_GATE_EXPONENT = 8 };

/* The arguments that say what a retina is; absent ones are NULL. */
typedef struct {
    PyObject *patch_size, *c0, *g0, *gate_exponent;
} retina_arguments;

/* Their numbers, or the usual ones. Returns 0 or -1. */
static int parse_retina(const char *call, const retina_arguments *given, bio_retina *retina) {
    static const char positive[] = "a finite number > 0";
    *retina = (bio_retina){.patch_size = 7, .c0 = 0.5, .g0 = 0.5, .gate_exponent = 1};
    return py_integer(call, given->patch_size, "patch_size", 1, MAX_PATCH, NULL, &retina->patch_size) ||
                   py_real(call, given->c0, "c0", DBL_TRUE_MIN, DBL_MAX, positive, &retina->c0) ||
                   py_real(call, given->g0, "g0", DBL_TRUE_MIN, DBL_MAX, positive, &retina->g0) ||
                   py_real(call, given->gate_exponent, "gate_exponent", DBL_TRUE_MIN, MAX_GATE_EXPONENT,
                           "a number in (0, 8]", &retina->gate_exponent)
               ? -1
               : 0;
}

/* Checks R; `shape` is that of U. Returns 0 or -1. */
static int parse_image(const char *call, PyObject *object, bio_retina *retina, py_array *r, size_t shape[2]) {
    if (py_values(call, object, "R", 4, r)) return -1;
    retina->batch = r->shape[0];
    retina->height = r->shape[1];
    retina->width = r->shape[2];
    retina->channels = r->shape[3];
    shape[0] = retina->batch * retina->height * retina->width;
    if (!__builtin_mul_overflow(2 * retina->patch_size * retina->patch_size, retina->channels, &shape[1]) &&
        shape[1] <= PY_SSIZE_T_MAX)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static PyObject *patches(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "patches";
    static char *names[] = {"R", "patch_size", "c0", "g0", "gate_exponent", "n_threads", NULL};
    PyArrayObject *u = NULL, *gate = NULL;
    PyObject *r_object, *threads = NULL;
    retina_arguments given = {0};
    bio_retina retina;
    size_t shape[2];
    int n_threads;
    py_array r;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOOO:patches", names, &r_object, &given.patch_size, &given.c0,
                                     &given.g0, &given.gate_exponent, &threads))
        return NULL;
    if (parse_retina(call, &given, &retina) || py_threads(call, threads, &n_threads) ||
        parse_image(call, r_object, &retina, &r, shape))
        return NULL;
    if (!(u = py_new_values(2, shape, r.value)) || !(gate = py_new_values(1, shape, r.value))) goto fail;
    void *u_data = PyArray_DATA(u), *gate_data = PyArray_DATA(gate);
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_patches(r.value, &retina, r.data, u_data, gate_data, n_threads);
    Py_END_ALLOW_THREADS
    if (py_status(status)) goto fail;
    return Py_BuildValue("(NN)", u, gate);
fail:
    Py_XDECREF(u);
    Py_XDECREF(gate);
    return NULL;
}

static PyObject *patches_grad(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "patches_grad";
    static char *names[] = {"R", "dU", "dgate", "patch_size", "c0", "g0", "gate_exponent", "n_threads", NULL};
    PyObject *r_object, *du_object, *dgate_object, *threads = NULL;
    PyArrayObject *dr = NULL;
    py_array r, du, dgate;
    retina_arguments given = {0};
    bio_retina retina;
    size_t shape[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|$OOOOO:patches_grad", names, &r_object, &du_object,
                                     &dgate_object, &given.patch_size, &given.c0, &given.g0, &given.gate_exponent,
                                     &threads))
        return NULL;
    if (parse_retina(call, &given, &retina) || py_threads(call, threads, &n_threads) ||
        parse_image(call, r_object, &retina, &r, shape))
        return NULL;
    if (py_values_of(call, du_object, "dU", 2, r.value, "R", &du) ||
        py_values_of(call, dgate_object, "dgate", 1, r.value, "R", &dgate) ||
        py_dimension(call, &du, "dU", 0, shape[0], "batch x height x width of R") ||
        py_dimension(call, &du, "dU", 1, shape[1], "2 x patch_size^2 x channels") ||
        py_dimension(call, &dgate, "dgate", 0, shape[0], "batch x height x width of R") ||
        !(dr = py_new_values(4, r.shape, r.value)))
        return NULL;
    void *dr_data = PyArray_DATA(dr);
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_patches_grad(r.value, &retina, r.data, du.data, dgate.data, dr_data, n_threads);
    Py_END_ALLOW_THREADS
    if (!py_status(status)) return (PyObject *)dr;
    Py_DECREF(dr);
    return NULL;
}

static PyObject *feature_map(PyObject *module, PyObject *args, PyObject *kwargs) {
    static const char call[] = "feature_map";
    static char *names[] = {"R",          "W",  "pool_rows", "pool_cols",     "beta",      "k",
                            "patch_size", "c0", "g0",        "gate_exponent", "n_threads", NULL};
    PyObject *r_object, *w_object, *rows_object, *cols_object, *beta = NULL, *k = NULL, *threads = NULL;
    PyArrayObject *pooled = NULL;
    py_array r, w, rows, cols;
    retina_arguments given = {0};
    bio_map map = {.beta = 1};
    bio_retina retina;
    size_t shape[2];
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|$OOOOOOO:feature_map", names, &r_object, &w_object,
                                     &rows_object, &cols_object, &beta, &k, &given.patch_size, &given.c0, &given.g0,
                                     &given.gate_exponent, &threads))
        return NULL;
    if (parse_retina(call, &given, &retina) || py_beta(call, beta, &map.beta) || py_winners(call, k, &map.k) ||
        py_threads(call, threads, &n_threads) || parse_image(call, r_object, &retina, &r, shape))
        return NULL;
    if (py_values_of(call, w_object, "W", 2, r.value, "R", &w) ||
        py_values_of(call, rows_object, "pool_rows", 2, r.value, "R", &rows) ||
        py_values_of(call, cols_object, "pool_cols", 2, r.value, "R", &cols) ||
        py_dimension(call, &w, "W", 1, shape[1], "2 x patch_size^2 x channels") ||
        py_dimension(call, &rows, "pool_rows", 1, retina.height, "the height of R") ||
        py_dimension(call, &cols, "pool_cols", 1, retina.width, "the width of R"))
        return NULL;
    map.n_columns = w.shape[0];
    if (map.k >= map.n_columns) map.k = 0;
    map.weights = w.data;
    map.grid_rows = rows.shape[0];
    map.grid_cols = cols.shape[0];
    map.pool_rows = rows.data;
    map.pool_cols = cols.data;
    const size_t dims[4] = {retina.batch, map.grid_rows, map.grid_cols, map.n_columns};
    if (!(pooled = py_new_values(4, dims, r.value))) return NULL;
    void *pooled_data = PyArray_DATA(pooled);
    bio_status status;
    Py_BEGIN_ALLOW_THREADS
    status = bio_map_forward(r.value, &retina, &map, r.data, pooled_data, n_threads);
    Py_END_ALLOW_THREADS
    if (!py_status(status)) return (PyObject *)pooled;
    Py_DECREF(pooled);
    return NULL;
}

PyMethodDef py_patches_methods[] = {
    METHOD(patches,
           "patches(R, *, patch_size=7, c0=0.5, g0=0.5, gate_exponent=1.0, n_threads=None)\n--\n\n"
           "ON/OFF patches U and their gates."),
    METHOD(patches_grad,
           "patches_grad(R, dU, dgate, *, patch_size=7, c0=0.5, g0=0.5, gate_exponent=1.0, "
           "n_threads=None)\n--\n\nGradient of patches with respect to R."),
    METHOD(feature_map,
           "feature_map(R, W, pool_rows, pool_cols, *, beta=1.0, k=None, patch_size=7, c0=0.5, g0=0.5, "
           "gate_exponent=1.0, n_threads=None)\n--\n\n"
           "Patches, columns, competition, gate and pooling in one pass."),
    {NULL, NULL, 0, NULL},
};
