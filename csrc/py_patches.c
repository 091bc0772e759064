/* Bindings of the patches family. */
#include "py_arrays.h"

PyMethodDef py_patches_methods[] = {
    {NULL, NULL, 0, NULL},
};
