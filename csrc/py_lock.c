/* The lock of a pathway: any number of threads read it, or one changes it.
 *
 * lock() gives two context managers, which are entered and left in one step each: no signal comes in between. All state
 * is guarded by the lock of the interpreter, so an uncontended passage is a few comparisons; who must wait lets go of
 * the interpreter and looks again, so that Ctrl-C gets through. A thread that changes a pathway may enter it again; one
 * that reads it may read again, but is refused when it wants to change what it is reading (a signal handler might). A
 * handler that reads what its own thread waits to change is let in, or it would wait for itself.
 *
 * At a fork the parent waits until nobody changes anything, so that the child never sees half a change. In the child
 * only the thread that forked is left, and what others held is dropped at once: new threads may get their identity. */
#include "py_state.h"

#ifndef _WIN32
#include <time.h>
#else
#include <windows.h>
#endif

typedef struct {
    unsigned long thread;
    size_t depth;
} holder;

typedef struct pathway_lock {
    struct pathway_lock *before, *after; /* among all locks */
    size_t references, n_readers, capacity;
    size_t waiting;  /* waits for a change: no new reader overtakes them */
    holder changing; /* depth 0: nobody */
    holder *readers;
} pathway_lock;

/* A wait for a change: as many of one thread as handlers interrupt each other. */
typedef struct change_wait {
    pathway_lock *lock;
    struct change_wait *outer;
} change_wait;

typedef struct {
    PyObject ob_base;
    pathway_lock *lock;
    int changes;
} guard_object;

static pathway_lock *locks = NULL; /* all there are */
static size_t forking = 0;         /* threads of this process that are about to fork */
static size_t held = 0;            /* locks that are held for a change */
static _Thread_local size_t held_here = 0, forking_here = 0;
static _Thread_local change_wait *waits_here = NULL;

/* ---- waiting ---- */

/* Lets the other threads run, longer each time. Returns 0, or -1 with what a signal handler raised. */
static int wait_a_while(unsigned *microseconds) {
    const unsigned pause = *microseconds;
    *microseconds = pause < 500 ? 2 * pause + 5 : pause;
    Py_BEGIN_ALLOW_THREADS
#ifdef _WIN32
    Sleep(pause / 1000);
#else
    nanosleep(&(struct timespec){0, 1000L * (long)pause}, NULL);
#endif
    Py_END_ALLOW_THREADS
    return PyErr_CheckSignals();
}

static holder *reader_of(pathway_lock *lock, unsigned long thread) {
    for (size_t r = 0; r < lock->n_readers; r++)
        if (lock->readers[r].thread == thread) return lock->readers + r;
    return NULL;
}

static size_t waits_of_mine(const pathway_lock *lock) {
    size_t n = 0;
    for (const change_wait *wait = waits_here; wait; wait = wait->outer) n += wait->lock == lock;
    return n;
}

static int enter_to_read(pathway_lock *lock, unsigned long me) {
    unsigned pause = 0;
    holder *mine = reader_of(lock, me);
    if (mine) {
        mine->depth++;
        return 0;
    }
    while (lock->changing.depth || lock->waiting > waits_of_mine(lock))
        if (wait_a_while(&pause)) return -1;
    if (lock->n_readers == lock->capacity) {
        holder *more = PyMem_Realloc(lock->readers, (2 * lock->capacity + 2) * sizeof *more);
        if (!more) {
            PyErr_NoMemory();
            return -1;
        }
        lock->readers = more;
        lock->capacity = 2 * lock->capacity + 2;
    }
    lock->readers[lock->n_readers++] = (holder){me, 1};
    return 0;
}

static int enter_to_change(pathway_lock *lock, unsigned long me) {
    unsigned pause = 0;
    int failed = 0;
    change_wait wait = {lock, waits_here};
    if (reader_of(lock, me)) {
        PyErr_SetString(PyExc_RuntimeError, "a pathway cannot be changed by the thread that is just reading it");
        return -1;
    }
    waits_here = &wait;
    lock->waiting++;
    /* who changes something already must get to its end before a fork can go on */
    while (!failed && (lock->changing.depth || lock->n_readers || (forking && !forking_here && !held_here)))
        failed = wait_a_while(&pause);
    lock->waiting--;
    waits_here = wait.outer;
    if (failed) return -1;
    lock->changing = (holder){me, 1};
    held++;
    held_here++;
    return 0;
}

/* ---- the context managers ---- */

static PyObject *guard_enter(PyObject *self, PyObject *unused) {
    guard_object *guard = (guard_object *)self;
    pathway_lock *lock = guard->lock;
    const unsigned long me = PyThread_get_thread_ident();
    (void)unused;
    if (lock->changing.depth && lock->changing.thread == me) lock->changing.depth++;
    else if (guard->changes ? enter_to_change(lock, me) : enter_to_read(lock, me)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *guard_exit(PyObject *self, PyObject *unused) {
    pathway_lock *lock = ((guard_object *)self)->lock;
    const unsigned long me = PyThread_get_thread_ident();
    (void)unused;
    holder *mine = reader_of(lock, me);
    if (mine && --mine->depth == 0) {
        *mine = lock->readers[--lock->n_readers];
    } else if (!mine && lock->changing.depth && lock->changing.thread == me && --lock->changing.depth == 0) {
        held--;
        held_here--;
    }
    Py_RETURN_NONE;
}

static void free_lock(pathway_lock *lock) {
    if (lock->before) lock->before->after = lock->after;
    else locks = lock->after;
    if (lock->after) lock->after->before = lock->before;
    PyMem_Free(lock->readers);
    PyMem_Free(lock);
}

static void guard_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    pathway_lock *lock = ((guard_object *)self)->lock;
    if (lock && --lock->references == 0) free_lock(lock);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef guard_methods[] = {
    {"__enter__", guard_enter, METH_NOARGS, NULL},
    {"__exit__", guard_exit, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot guard_slots[] = {
    {Py_tp_doc, "Holds a pathway, for reading or for a change, while its block runs."},
    {Py_tp_dealloc, guard_dealloc},
    {Py_tp_methods, guard_methods},
    {0, NULL},
};

static PyType_Spec guard_spec = {
    "bioneuro._core.Guard",
    sizeof(guard_object),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    guard_slots,
};

static PyObject *guard_new(PyTypeObject *type, pathway_lock *lock, int changes) {
    guard_object *guard = (guard_object *)type->tp_alloc(type, 0);
    if (!guard) return NULL;
    guard->lock = lock;
    guard->changes = changes;
    lock->references++;
    return (PyObject *)guard;
}

static PyObject *lock(PyObject *module, PyObject *unused) {
    PyTypeObject *type = ((py_state *)PyModule_GetState(module))->guard;
    pathway_lock *made = PyMem_Calloc(1, sizeof *made);
    PyObject *reading, *changing;
    (void)unused;
    if (!made) return PyErr_NoMemory();
    made->after = locks;
    if (locks) locks->before = made;
    locks = made;
    if (!(reading = guard_new(type, made, 0))) {
        free_lock(made);
        return NULL;
    }
    changing = guard_new(type, made, 1);
    if (changing) return Py_BuildValue("(NN)", reading, changing);
    Py_DECREF(reading);
    return NULL;
}

/* ---- forks ---- */

static PyObject *before_fork(PyObject *module, PyObject *unused) {
    unsigned pause = 0;
    (void)module, (void)unused;
    forking++;
    forking_here++;
    while (held > held_here)
        if (wait_a_while(&pause)) PyErr_WriteUnraisable(NULL); /* what a handler raises cannot stop a fork */
    Py_RETURN_NONE;
}

static PyObject *after_fork(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    forking--;
    forking_here--;
    Py_RETURN_NONE;
}

static PyObject *in_child(PyObject *module, PyObject *unused) {
    const unsigned long survivor = PyThread_get_thread_ident();
    (void)module, (void)unused;
    forking = forking_here = 0;
    held = held_here;
    for (pathway_lock *lock = locks; lock; lock = lock->after) {
        if (lock->changing.thread != survivor) lock->changing.depth = 0;
        const holder *left = reader_of(lock, survivor);
        if (left) lock->readers[0] = *left;
        lock->n_readers = left != NULL;
        lock->waiting = waits_of_mine(lock);
    }
    Py_RETURN_NONE;
}

static PyMethodDef fork_hooks[] = {
    {"before", before_fork, METH_NOARGS, NULL},
    {"after_in_parent", after_fork, METH_NOARGS, NULL},
    {"after_in_child", in_child, METH_NOARGS, NULL},
};

static int hold_still_at_forks(void) {
    static int done = 0;
    int failed = 0;
    PyObject *os = PyImport_ImportModule("os"), *hooks = PyDict_New(), *nothing = PyTuple_New(0), *answer = NULL;
    PyObject *registry =
        os && PyObject_HasAttrString(os, "register_at_fork") ? PyObject_GetAttrString(os, "register_at_fork") : NULL;
    failed = !os || !hooks || !nothing;
    for (size_t h = 0; !failed && h < sizeof fork_hooks / sizeof *fork_hooks; h++) {
        PyObject *hook = PyCFunction_New(fork_hooks + h, NULL);
        failed = !hook || PyDict_SetItemString(hooks, fork_hooks[h].ml_name, hook);
        Py_XDECREF(hook);
    }
    if (!failed && registry && !done) {
        failed = !(answer = PyObject_Call(registry, nothing, hooks));
        done = !failed;
    }
    Py_XDECREF(os);
    Py_XDECREF(hooks);
    Py_XDECREF(nothing);
    Py_XDECREF(registry);
    Py_XDECREF(answer);
    return failed ? -1 : 0;
}

int py_lock_add(PyObject *module) {
    py_state *state = PyModule_GetState(module);
    state->guard = (PyTypeObject *)PyType_FromModuleAndSpec(module, &guard_spec, NULL);
    return state->guard ? hold_still_at_forks() : -1;
}

PyMethodDef py_lock_methods[] = {
    {"lock", lock, METH_NOARGS,
     "lock()\n--\n\n(reading, changing): many threads can be in the first, one in the second."},
    {NULL, NULL, 0, NULL},
};
