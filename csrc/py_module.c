/* The extension module bioneuro._core: multi-phase initialisation, one method table a kernel family. */
#define PY_ARRAYS_IMPORT
#include "py_arguments.h"

#include <stdlib.h>
#include <string.h>

#include "parallel.h"
#include "py_state.h"
#include "simd.h"

static PyObject *config(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    return Py_BuildValue("{s:s,s:s,s:s,s:i}", "compiler",
#ifdef __VERSION__
                         __VERSION__,
#else
                         "unknown",
#endif
                         "simd", bio_isa_names[bio_current_isa()], "simd_best", bio_isa_names[bio_best_isa()],
                         "n_threads", bio_default_threads());
}

static PyObject *set_num_threads(PyObject *module, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"n_threads", NULL};
    PyObject *object;
    int n_threads;
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:set_num_threads", names, &object)) return NULL;
    if (py_threads("set_num_threads", object, &n_threads)) return NULL;
    bio_set_default_threads(n_threads);
    Py_RETURN_NONE;
}

static PyObject *thread_counts(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    const bio_parallel_counts counts = bio_parallel_counted();
    return Py_BuildValue("nn", (Py_ssize_t)counts.shared, (Py_ssize_t)counts.regretted);
}

static PyMethodDef module_methods[] = {
    {"config", config, METH_NOARGS, "config()\n--\n\nHow this extension was built and runs, as a dict."},
    METHOD(set_num_threads,
           "set_num_threads(n_threads)\n--\n\nThreads where a call names none, from now on; None: as before."),
    {"thread_counts", thread_counts, METH_NOARGS,
     "thread_counts()\n--\n\nHow many regions of work helpers were asked to share, and how many of them were "
     "regretted."},
    {NULL, NULL, 0, NULL},
};

/* BIONEURO_SIMD forces an instruction set; nonsense is an ImportError. */
static int read_environment(void) {
    bio_select_isa(bio_best_isa());
    const char *simd = getenv("BIONEURO_SIMD");
    if (simd && *simd) {
        int isa = 0;
        while (isa < BIO_N_ISAS && strcmp(simd, bio_isa_names[isa])) isa++;
        if (isa == BIO_N_ISAS || bio_select_isa((bio_isa)isa)) {
            PyErr_Format(PyExc_ImportError,
                         "BIONEURO_SIMD must be generic, avx2 or avx512 and supported here (best: %s), got '%s'",
                         bio_isa_names[bio_best_isa()], simd);
            return -1;
        }
    }
    return 0;
}

static int execute(PyObject *module) {
    PyMethodDef *families[] = {module_methods,       py_linear_methods,  py_compete_methods, py_plasticity_methods,
                               py_structure_methods, py_patches_methods, py_lock_methods};
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError,
                        "bioneuro does not run in subinterpreters (nor does NumPy): use processes or threads");
        return -1;
    }
    import_array1(-1);
    if (read_environment()) return -1;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        if (PyModule_AddFunctions(module, families[f])) return -1;
    return py_forms_add(module) || py_lock_add(module) ? -1 : 0;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
    const py_state *state = PyModule_GetState(module);
    Py_VISIT(state->plasticity);
    Py_VISIT(state->guard);
    return 0;
}

static int clear(PyObject *module) {
    py_state *state = PyModule_GetState(module);
    Py_CLEAR(state->plasticity);
    Py_CLEAR(state->guard);
    return 0;
}

static void release(void *module) { clear(module); }

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED}, /* before 3.12: see execute() */
#endif
    {0, NULL}, /* no Py_mod_gil: locks (py_lock.c) and the instruction set that runs are guarded by the GIL */
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_doc = "C core of bioneuro; use bioneuro.kernels.",
    .m_size = sizeof(py_state),
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = release,
};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
