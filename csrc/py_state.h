/* State of the module. */
#ifndef PY_STATE_H
#define PY_STATE_H

#include "py_arguments.h"

typedef struct {
    PyTypeObject *plasticity, *guard;
} py_state;

/* Adds Plasticity and FORMS to the module. Returns 0 or -1. */
int py_forms_add(PyObject *module);

/* Makes the type of guards, and has the process hold still at forks. Returns 0 or -1. */
int py_lock_add(PyObject *module);

#endif
