/* Bindings of the structure family. */
#include "py_arrays.h"

PyMethodDef py_structure_methods[] = {
    {NULL, NULL, 0, NULL},
};
