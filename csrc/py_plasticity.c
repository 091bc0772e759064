/* Bindings of the plasticity family. */
#include "py_arrays.h"

PyMethodDef py_plasticity_methods[] = {
    {NULL, NULL, 0, NULL},
};
