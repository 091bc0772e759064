/* Bindings of the compete family. */
#include "py_arrays.h"

PyMethodDef py_compete_methods[] = {
    {NULL, NULL, 0, NULL},
};
