/* The type Plasticity, a form of learning with its parameters, parsed and checked once; and the table FORMS. */
#include "py_forms.h"

#include <string.h>

typedef struct {
    PyObject ob_base;
    bio_plasticity rule;
} plasticity_object;

/* ---- parameters ---- */

static double *number_of(bio_plasticity *rule, int p) { return (double *)((char *)rule + bio_parameters[p].offset); }
static int *truth_of(bio_plasticity *rule, int p) { return (int *)((char *)rule + bio_parameters[p].offset); }
static int is_truth(int p) { return bio_parameters[p].expected == NULL; }
static int has(bio_form form, int p) { return bio_forms[form].parameters >> p & 1; }

static PyObject *parameter_value(const bio_plasticity *rule, int p) {
    bio_plasticity *mine = (bio_plasticity *)rule; /* only read */
    return is_truth(p) ? PyBool_FromLong(*truth_of(mine, p)) : PyFloat_FromDouble(*number_of(mine, p));
}

static int parse_parameter(const char *call, bio_plasticity *rule, int p, PyObject *object) {
    const bio_parameter_traits *traits = bio_parameters + p;
    if (is_truth(p)) return py_truth(call, object, traits->name, truth_of(rule, p));
    return py_real(call, object, traits->name, traits->low, traits->high, traits->expected, number_of(rule, p));
}

/* The names of a form's parameters: a new tuple. */
static PyObject *parameter_names(bio_form form) {
    PyObject *names = PyTuple_New(__builtin_popcount(bio_forms[form].parameters));
    for (int p = 0, n = 0; names && p < BIO_N_PARAMETERS; p++) {
        if (!has(form, p)) continue;
        PyObject *name = PyUnicode_FromString(bio_parameters[p].name);
        if (name) PyTuple_SET_ITEM(names, n++, name);
        else Py_CLEAR(names);
    }
    return names;
}

/* "'a', 'b', 'c'": the names of all forms, quoted. A new string. */
static PyObject *listed_forms(void) {
    PyObject *text = PyUnicode_FromFormat("'%s'", bio_forms[0].name);
    for (int f = 1; text && f < BIO_N_FORMS; f++) {
        PyObject *longer = PyUnicode_FromFormat("%U, '%s'", text, bio_forms[f].name);
        Py_SETREF(text, longer);
    }
    return text;
}

static int parse_form(const char *call, PyObject *object, bio_form *form) {
    const char *text = PyUnicode_Check(object) ? PyUnicode_AsUTF8(object) : NULL;
    if (PyErr_Occurred()) return -1;
    for (int f = 0; text && f < BIO_N_FORMS; f++)
        if (!strcmp(text, bio_forms[f].name)) {
            *form = (bio_form)f;
            return 0;
        }
    PyObject *listed = listed_forms();
    if (listed && text) PyErr_Format(PyExc_ValueError, "%s(): form must be one of %U, got %R", call, listed, object);
    else if (listed)
        PyErr_Format(PyExc_TypeError, "%s(): form must be a Plasticity or one of %U, got %s", call, listed,
                     Py_TYPE(object)->tp_name);
    Py_XDECREF(listed);
    return -1;
}

static int no_such_parameter(const char *call, bio_form form, PyObject *name) {
    PyObject *names = parameter_names(form), *comma = PyUnicode_FromString(", ");
    PyObject *listed = names && comma ? PyUnicode_Join(comma, names) : NULL;
    if (listed)
        PyErr_Format(PyExc_TypeError, "%s(): form '%s' has no parameter %R: it has %U", call, bio_forms[form].name,
                     name, listed);
    Py_XDECREF(names);
    Py_XDECREF(comma);
    Py_XDECREF(listed);
    return -1;
}

/* A form's name (NULL: the first form) and its parameters (NULL: the usual ones). */
static int parse_rule(const char *call, PyObject *form, PyObject *parameters, bio_plasticity *rule) {
    memset(rule, 0, sizeof *rule);
    if (form && parse_form(call, form, &rule->form)) return -1;
    for (int p = 0; p < BIO_N_PARAMETERS; p++)
        if (is_truth(p)) *truth_of(rule, p) = bio_parameters[p].usual != 0;
        else *number_of(rule, p) = bio_parameters[p].usual;
    PyObject *name, *value;
    for (Py_ssize_t at = 0; parameters && PyDict_Next(parameters, &at, &name, &value);) {
        int p = 0;
        while (p < BIO_N_PARAMETERS &&
               !(has(rule->form, p) && PyUnicode_CompareWithASCIIString(name, bio_parameters[p].name) == 0))
            p++;
        if (p == BIO_N_PARAMETERS) return no_such_parameter(call, rule->form, name);
        if (parse_parameter(call, rule, p, value)) return -1;
    }
    if (rule->w_max >= rule->w_min) return 0;
    PyObject *w_max = PyFloat_FromDouble(rule->w_max);
    if (w_max) PyErr_Format(PyExc_ValueError, "%s(): w_max must be a number >= w_min, got %R", call, w_max);
    Py_XDECREF(w_max);
    return -1;
}

static int parse_form_or_rule(PyTypeObject *type, const char *call, PyObject *form, PyObject *parameters,
                              bio_plasticity *rule) {
    if (!form || Py_TYPE(form) != type) return parse_rule(call, form, parameters, rule);
    PyObject *name, *value;
    Py_ssize_t at = 0;
    if (parameters && PyDict_Next(parameters, &at, &name, &value)) {
        PyErr_Format(PyExc_TypeError,
                     "%s(): form is a Plasticity, which has its parameters already, but %S is given too", call, name);
        return -1;
    }
    *rule = ((plasticity_object *)form)->rule;
    return 0;
}

int py_rule(PyObject *module, const char *call, PyObject *form, PyObject *parameters, bio_plasticity *rule) {
    return parse_form_or_rule(((py_state *)PyModule_GetState(module))->plasticity, call, form, parameters, rule);
}

int py_split(PyObject *kwargs, char *const *names, PyObject **known, PyObject **rest) {
    PyObject *name, *value;
    *known = PyDict_New();
    *rest = PyDict_New();
    if (!*known || !*rest) goto fail;
    for (Py_ssize_t at = 0; kwargs && PyDict_Next(kwargs, &at, &name, &value);) {
        if (!PyUnicode_Check(name)) { /* f(**{1: 2}) comes as far as here */
            PyErr_SetString(PyExc_TypeError, "keywords must be strings");
            goto fail;
        }
        char *const *here = names;
        while (*here && PyUnicode_CompareWithASCIIString(name, *here) != 0) here++;
        if (PyDict_SetItem(*here ? *known : *rest, name, value)) goto fail;
    }
    return 0;
fail:
    Py_CLEAR(*known);
    Py_CLEAR(*rest);
    return -1;
}

/* ---- the type Plasticity ---- */

static PyObject *plasticity_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"form", NULL};
    PyObject *form = NULL, *known, *parameters, *made = NULL;
    bio_plasticity rule;
    if (py_split(kwargs, names, &known, &parameters)) return NULL;
    if (!PyArg_ParseTupleAndKeywords(args, known, "|O:Plasticity", names, &form)) goto done;
    if (parse_form_or_rule(type, "Plasticity", form, parameters, &rule)) goto done;
    if (form && Py_TYPE(form) == type) {
        made = Py_NewRef(form); /* immutable, so the same will do */
    } else if ((made = type->tp_alloc(type, 0))) {
        ((plasticity_object *)made)->rule = rule;
    }
done:
    Py_DECREF(known);
    Py_DECREF(parameters);
    return made;
}

static void plasticity_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *get_form(PyObject *self, void *unused) {
    (void)unused;
    return PyUnicode_FromString(bio_forms[((plasticity_object *)self)->rule.form].name);
}

static PyObject *get_parameters(PyObject *self, void *unused) {
    const bio_plasticity *rule = &((plasticity_object *)self)->rule;
    PyObject *parameters = PyDict_New();
    (void)unused;
    for (int p = 0; parameters && p < BIO_N_PARAMETERS; p++) {
        if (!has(rule->form, p)) continue;
        PyObject *value = parameter_value(rule, p);
        if (!value || PyDict_SetItemString(parameters, bio_parameters[p].name, value)) Py_CLEAR(parameters);
        Py_XDECREF(value);
    }
    return parameters;
}

static PyObject *plasticity_repr(PyObject *self) {
    const bio_plasticity *rule = &((plasticity_object *)self)->rule;
    PyObject *text = PyUnicode_FromFormat("Plasticity('%s'", bio_forms[rule->form].name);
    for (int p = 0; text && p < BIO_N_PARAMETERS; p++) {
        if (!has(rule->form, p)) continue;
        PyObject *value = parameter_value(rule, p);
        PyObject *longer = value ? PyUnicode_FromFormat("%U, %s=%R", text, bio_parameters[p].name, value) : NULL;
        Py_XDECREF(value);
        Py_SETREF(text, longer);
    }
    if (text) Py_SETREF(text, PyUnicode_FromFormat("%U)", text));
    return text;
}

/* What makes two of them equal, and hash alike: (form, value, value, ...), a new tuple. */
static PyObject *identity(PyObject *self) {
    const bio_plasticity *rule = &((plasticity_object *)self)->rule;
    PyObject *all = PyTuple_New(BIO_N_PARAMETERS + 1), *item = all ? PyLong_FromLong(rule->form) : NULL;
    for (int p = 0; item && p <= BIO_N_PARAMETERS; p++) {
        PyTuple_SET_ITEM(all, p, item);
        item = p < BIO_N_PARAMETERS ? parameter_value(rule, p) : item;
    }
    if (!item) Py_CLEAR(all);
    return all;
}

static PyObject *plasticity_compare(PyObject *self, PyObject *other, int op) {
    if (Py_TYPE(self) != Py_TYPE(other) || (op != Py_EQ && op != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
    PyObject *mine = identity(self), *theirs = mine ? identity(other) : NULL;
    PyObject *answer = theirs ? PyObject_RichCompare(mine, theirs, op) : NULL;
    Py_XDECREF(mine);
    Py_XDECREF(theirs);
    return answer;
}

static Py_hash_t plasticity_hash(PyObject *self) {
    PyObject *mine = identity(self);
    const Py_hash_t hash = mine ? PyObject_Hash(mine) : -1;
    Py_XDECREF(mine);
    return hash;
}

/* functools.partial(Plasticity, form, **parameters), (): what makes it again. */
static PyObject *plasticity_reduce(PyObject *self, PyObject *unused) {
    PyObject *functools = PyImport_ImportModule("functools"), *made = NULL;
    PyObject *partial = functools ? PyObject_GetAttrString(functools, "partial") : NULL;
    PyObject *form = partial ? get_form(self, NULL) : NULL;
    PyObject *args = form ? PyTuple_Pack(2, (PyObject *)Py_TYPE(self), form) : NULL;
    PyObject *parameters = args ? get_parameters(self, NULL) : NULL;
    (void)unused;
    if (parameters) made = PyObject_Call(partial, args, parameters);
    Py_XDECREF(functools);
    Py_XDECREF(partial);
    Py_XDECREF(form);
    Py_XDECREF(args);
    Py_XDECREF(parameters);
    return made ? Py_BuildValue("(N())", made) : NULL;
}

static PyGetSetDef plasticity_attributes[] = {
    {"form", get_form, NULL, "Name of the form: a key of FORMS.", NULL},
    {"parameters", get_parameters, NULL, "Every parameter that the form has, as a new dict.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef plasticity_methods[] = {
    {"__reduce__", plasticity_reduce, METH_NOARGS, "__reduce__($self, /)\n--\n\nHow to pickle and copy it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot plasticity_slots[] = {
    {Py_tp_doc,
     "Plasticity(form='log-relaxation', **parameters)\n--\n\n"
     "A form of learning with its parameters, checked once; immutable.\n\n"
     "FORMS names the forms and the parameters of each; equations: bioneuro.reference.plasticity_step."},
    {Py_tp_new, plasticity_new},
    {Py_tp_dealloc, plasticity_dealloc},
    {Py_tp_repr, plasticity_repr},
    {Py_tp_richcompare, plasticity_compare},
    {Py_tp_hash, plasticity_hash},
    {Py_tp_getset, plasticity_attributes},
    {Py_tp_methods, plasticity_methods},
    {0, NULL},
};

static PyType_Spec plasticity_spec = {
    "bioneuro._core.Plasticity",
    sizeof(plasticity_object),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    plasticity_slots,
};

/* ---- the table FORMS ---- */

static PyStructSequence_Field traits_fields[] = {
    {"signs", "signs of the pathways it is defined on"},
    {"parameters", "names of its parameters"},
    {"nonnegative", "names of the arrays that must be >= 0; with 'c' among them, the form relaxes"},
    {NULL, NULL},
};

static PyStructSequence_Desc traits_description = {"bioneuro._core.FormTraits", "What a form of learning needs.",
                                                   traits_fields, 3};

/* (signs, parameters, nonnegative) of one form: a new structure. */
static PyObject *form_traits(PyTypeObject *type, bio_form form) {
    static const struct {
        unsigned bit;
        const char *name;
    } signs[] = {{BIO_MIXED, "mixed"}, {BIO_EXCITATORY, "E"}, {BIO_INHIBITORY, "I"}},
      rates[] = {{BIO_PRE, "G"}, {BIO_POST, "c"}, {BIO_PRE, "X"}, {BIO_POST, "Y"}, {BIO_POST, "gain"}};
    PyObject *traits = PyStructSequence_New(type), *lists[2] = {PyList_New(0), PyList_New(0)};
    PyObject *tuples[3] = {NULL, parameter_names(form), NULL};
    int failed = !traits || !lists[0] || !lists[1] || !tuples[1];
    for (size_t k = 0; !failed && k < sizeof signs / sizeof *signs + sizeof rates / sizeof *rates; k++) {
        const size_t r = k - sizeof signs / sizeof *signs;
        const int rate = k >= sizeof signs / sizeof *signs;
        if (!(rate ? rates[r].bit & bio_forms[form].nonnegative : signs[k].bit & bio_forms[form].signs)) continue;
        PyObject *name = PyUnicode_FromString(rate ? rates[r].name : signs[k].name);
        failed = !name || PyList_Append(lists[rate], name);
        Py_XDECREF(name);
    }
    if (!failed) failed = !(tuples[0] = PyList_AsTuple(lists[0])) || !(tuples[2] = PyList_AsTuple(lists[1]));
    Py_XDECREF(lists[0]);
    Py_XDECREF(lists[1]);
    for (int k = 0; k < 3; k++)
        if (failed) Py_XDECREF(tuples[k]);
        else PyStructSequence_SET_ITEM(traits, k, tuples[k]);
    if (failed) Py_CLEAR(traits);
    return traits;
}

static int add_table(PyObject *module) {
    PyTypeObject *type = PyStructSequence_NewType(&traits_description);
    PyObject *table = type ? PyDict_New() : NULL, *view = NULL;
    int failed = !table;
    for (int f = 0; !failed && f < BIO_N_FORMS; f++) {
        PyObject *traits = form_traits(type, (bio_form)f);
        failed = !traits || PyDict_SetItemString(table, bio_forms[f].name, traits);
        Py_XDECREF(traits);
    }
    if (!failed) failed = !(view = PyDictProxy_New(table)) || PyModule_AddObjectRef(module, "FORMS", view);
    Py_XDECREF(type);
    Py_XDECREF(table);
    Py_XDECREF(view);
    return failed ? -1 : 0;
}

int py_forms_add(PyObject *module) {
    py_state *state = PyModule_GetState(module);
    state->plasticity = (PyTypeObject *)PyType_FromModuleAndSpec(module, &plasticity_spec, NULL);
    if (!state->plasticity || PyModule_AddType(module, state->plasticity)) return -1;
    return add_table(module);
}
