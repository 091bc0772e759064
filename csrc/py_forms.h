/* The forms of learning as Python sees them: the type Plasticity and the table FORMS, both made from bio_forms and
 * bio_parameters alone. */
#ifndef PY_FORMS_H
#define PY_FORMS_H

#include "py_state.h"

/* The rule that the arguments of a step name: `form` a Plasticity (and no parameters), or a form's name (NULL: the
 * first one) with its parameters (a dict, or NULL). Returns 0, or -1 with an exception that names the argument. */
int py_rule(PyObject *module, const char *call, PyObject *form, PyObject *parameters, bio_plasticity *rule);

/* Parts keyword arguments (NULL: none) into those among `names`, which a NULL ends, and the rest: two new dicts, both
 * NULL on failure. Returns 0 or -1. */
int py_split(PyObject *kwargs, char *const *names, PyObject **known, PyObject **rest);

#endif
