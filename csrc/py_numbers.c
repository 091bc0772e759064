#include "py_arguments.h"

#include <float.h>
#include <string.h>

#include "parallel.h"

int py_required(const char *call, PyObject *object, const char *name) {
    if (object) return 0;
    PyErr_Format(PyExc_TypeError, "%s() missing required keyword-only argument: '%s'", call, name);
    return -1;
}

static int wrong_type(const char *call, const char *name, const char *expected, PyObject *object) {
    PyErr_Format(PyExc_TypeError, "%s(): %s must be %s, got %s", call, name, expected, Py_TYPE(object)->tp_name);
    return -1;
}

static int wrong_value(const char *call, const char *name, const char *expected, PyObject *object) {
    PyErr_Format(PyExc_ValueError, "%s(): %s must be %s, got %R", call, name, expected, object);
    return -1;
}

/* What the object makes of itself by __index__: a new int, or NULL. */
static PyObject *index_of(const char *call, PyObject *object, const char *name, const char *expected) {
    const int array = PyArray_Check(object);
    if (!PyIndex_Check(object) || PyBool_Check(object) || PyArray_IsScalar(object, Bool) ||
        (array && (PyArray_NDIM((PyArrayObject *)object) || !PyArray_ISINTEGER((PyArrayObject *)object)))) {
        wrong_type(call, name, expected, object);
        return NULL;
    }
    return PyNumber_Index(object);
}

int py_real(const char *call, PyObject *object, const char *name, double low, double high, const char *expected,
            double *number) {
    if (object == NULL) return 0;
    const PyNumberMethods *as = Py_TYPE(object)->tp_as_number;
    if (!as || (!as->nb_float && !as->nb_index) || (PyArray_Check(object) && PyArray_NDIM((PyArrayObject *)object) > 0))
        return wrong_type(call, name, expected, object);
    const double x = PyFloat_AsDouble(object);
    if (x == -1 && PyErr_Occurred()) {
        if (!PyLong_Check(object) || !PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
        PyErr_Clear(); /* an int beyond all floats is out of range like any other */
        return wrong_value(call, name, expected, object);
    }
    if (!(x >= low && x <= high)) return wrong_value(call, name, expected, object);
    *number = x;
    return 0;
}

int py_integer(const char *call, PyObject *object, const char *name, size_t low, size_t high, const char *none,
               size_t *number) {
    if (object == NULL || (none && object == Py_None)) return 0;
    char expected[96];
    const char *also = none ? none : "", *or = none ? " or " : "";
    if (high >= PY_SSIZE_T_MAX) PyOS_snprintf(expected, sizeof expected, "%s%san integer >= %zu", also, or, low);
    else PyOS_snprintf(expected, sizeof expected, "%s%san integer in [%zu, %zu]", also, or, low, high);
    PyObject *index = index_of(call, object, name, expected);
    if (!index) return -1;
    size_t n = PyLong_AsSize_t(index);
    int refused = n == (size_t)-1 && PyErr_Occurred(), overflow = 0;
    if (refused) { /* negative, or beyond what can be counted: then the largest count stands for it */
        PyErr_Clear();
        (void)PyLong_AsLongLongAndOverflow(index, &overflow);
        refused = overflow <= 0;
    }
    Py_DECREF(index);
    if (refused || n < low || n > high) return wrong_value(call, name, expected, object);
    *number = n;
    return 0;
}

int py_key(const char *call, PyObject *object, const char *name, uint64_t *key) {
    static const char expected[] = "an integer in [0, 2**64)";
    if (object == NULL) return 0;
    PyObject *index = index_of(call, object, name, expected);
    if (!index) return -1;
    const unsigned long long number = PyLong_AsUnsignedLongLong(index);
    Py_DECREF(index);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return wrong_value(call, name, expected, object);
    }
    *key = number;
    return 0;
}

int py_truth(const char *call, PyObject *object, const char *name, int *truth) {
    if (object == NULL) return 0;
    if (PyBool_Check(object) || PyArray_IsScalar(object, Bool)) return (*truth = PyObject_IsTrue(object)) < 0 ? -1 : 0;
    PyObject *index = index_of(call, object, name, "True or False");
    if (!index) return -1;
    const size_t number = PyLong_AsSize_t(index);
    Py_DECREF(index);
    PyErr_Clear();
    if (number > 1) return wrong_value(call, name, "True or False", object);
    *truth = (int)number;
    return 0;
}

/* "'a', 'b' or 'c'": a new string. */
static PyObject *listed(const char *const *choices, int n) {
    PyObject *text = PyUnicode_FromFormat("'%s'", choices[0]);
    for (int i = 1; text && i < n; i++) {
        PyObject *longer = PyUnicode_FromFormat(i < n - 1 ? "%U, '%s'" : "%U or '%s'", text, choices[i]);
        Py_SETREF(text, longer);
    }
    return text;
}

int py_choice(const char *call, PyObject *object, const char *name, const char *const *choices, int n_choices,
              int *choice) {
    if (object == NULL) return 0;
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
    if (PyErr_Occurred()) return -1;
    for (int i = 0; text && i < n_choices; i++)
        if (!strcmp(text, choices[i])) {
            *choice = i;
            return 0;
        }
    PyObject *expected = listed(choices, n_choices);
    if (expected && text) PyErr_Format(PyExc_ValueError, "%s(): %s must be %U, got %R", call, name, expected, object);
    else if (expected)
        PyErr_Format(PyExc_TypeError, "%s(): %s must be %U, got %s", call, name, expected, Py_TYPE(object)->tp_name);
    Py_XDECREF(expected);
    return -1;
}

int py_threads(const char *call, PyObject *object, int *n_threads) {
    size_t n = (size_t)bio_default_threads();
    const int automatic = object && PyUnicode_Check(object) && !PyUnicode_CompareWithASCIIString(object, "auto");
    if (!automatic && py_integer(call, object, "n_threads", 1, 1024, "None, 'auto'", &n)) return -1;
    *n_threads = (int)n;
    return 0;
}

int py_beta(const char *call, PyObject *object, double *beta) {
    return py_real(call, object, "beta", -DBL_MAX, DBL_MAX, "a finite number", beta);
}

int py_winners(const char *call, PyObject *object, size_t *k) {
    *k = 0;
    return py_integer(call, object, "k", 1, SIZE_MAX, "None", k);
}
