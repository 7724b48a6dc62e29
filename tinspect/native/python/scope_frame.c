/* `Frame`: one scope, from entering to leaving. */
#include "scope_python.h"

#include <string.h>

#include "internal.h"

/* Entering is the constructor: there is no frame that is not entered, or was. */
static PyObject *frame_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"name", "fail_fast", NULL};
    const char *name;
    int fail_fast;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "sp:Frame", names, &name, &fail_fast)) {
        return NULL;
    }
    PyObject *(*allocate)(PyTypeObject *, Py_ssize_t) = PyType_GetSlot(type, Py_tp_alloc);
    struct scope_frame *self = (struct scope_frame *)allocate(type, 0);
    if (self == NULL) {
        return NULL;
    }
    ti_status status = ti_scope_enter(name, fail_fast ? TI_SCOPE_FAIL_FAST : 0, &self->frame, &self->scope);
    if (status != TI_OK) {
        Py_DECREF(self);
        return ti_scope_raise(PyType_GetModuleState(type), status, "entering a scope");
    }
    self->owner = ti_current_id();
    self->entered = true;
    Py_INCREF((PyObject *)self); /* the runtime's, until it is left: it points to self->frame */
    return (PyObject *)self;
}

/* What the runtime would end the process for is an exception here. */
static bool may_leave(struct scope_frame *self)
{
    const char *why = NULL;
    if (!self->entered) {
        why = "the scope was left already";
    } else if (self->owner != ti_current_id()) {
        why = "only the thread that entered a scope leaves it";
    } else if ((void *)ti_local.scope_top != (void *)&self->frame) {
        why = "a scope is left after those that were entered inside it: leave the inner one first";
    }
    if (why != NULL) {
        PyErr_SetString(ti_scope_module_of((PyObject *)self)->error, why);
    }
    return why == NULL;
}

/* Python's handlers run for signals that came during the join; what one of them raised, or NULL. */
static PyObject *serve_signals(void)
{
    return PyErr_CheckSignals() < 0 ? ti_take_exception() : NULL;
}

static PyObject *frame_leave(struct scope_frame *self, PyObject *ignored)
{
    (void)ignored;
    if (!may_leave(self)) {
        return NULL;
    }
    ti_panics *panics = NULL;
    ti_status status;
    Py_BEGIN_ALLOW_THREADS;
    status = ti_scope_leave(&self->frame, &panics);
    Py_END_ALLOW_THREADS;
    struct scope_module *module = ti_scope_module_of((PyObject *)self);
    self->entered = false;
    Py_DECREF((PyObject *)self); /* the runtime's; the caller has its own */
    if (status == TI_EGONE) {
        return ti_scope_raise(module, status, "leaving a scope");
    }
    PyObject *exceptions = ti_child_exceptions(panics);
    PyObject *interrupt = serve_signals();
    PyObject *outcome =
        exceptions == NULL ? NULL : PyTuple_Pack(2, interrupt == NULL ? Py_None : interrupt, exceptions);
    Py_XDECREF(interrupt);
    Py_XDECREF(exceptions);
    return outcome;
}

static PyObject *frame_spawn(struct scope_frame *self, PyObject *arguments)
{
    struct scope_task task;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    Py_ssize_t name_length;
    Py_ssize_t stack_size;
    struct scope_module *module = ti_scope_module_of((PyObject *)self);
    if (!PyArg_ParseTuple(arguments, "OO!s#nO!:spawn", &task.call, &PyTuple_Type, &task.arguments, &options.name,
                          &name_length, &stack_size, &PyTuple_Type, &task.loans) ||
        !ti_loans_are_loans(module, task.loans)) {
        return NULL;
    }
    if (memchr(options.name, 0, (size_t)name_length) != NULL || stack_size < 0) {
        PyErr_SetString(PyExc_ValueError, "a thread's name holds no zero byte, and its stack size is not negative");
        return NULL;
    }
    options.name_length = (size_t)name_length;
    options.stack_size = (size_t)stack_size;
    options.flags = module->reports_overflows ? 0 : TI_SPAWN_NO_ALTSTACK;
    return ti_child_spawn(module, self->scope, &task, &options);
}

static PyObject *answer(struct scope_frame *self, ti_status status, const char *what)
{
    if (status != TI_OK) {
        return ti_scope_raise(ti_scope_module_of((PyObject *)self), status, what);
    }
    Py_RETURN_NONE;
}

static PyObject *frame_close(struct scope_frame *self, PyObject *ignored)
{
    (void)ignored;
    return answer(self, ti_scope_close(self->scope), "closing a scope");
}

static PyObject *frame_stop(struct scope_frame *self, PyObject *ignored)
{
    (void)ignored;
    return answer(self, ti_scope_stop(self->scope), "stopping a scope");
}

static PyObject *frame_wait_stop(struct scope_frame *self, PyObject *timeout)
{
    ti_deadline deadline;
    if (!ti_scope_deadline(timeout, &deadline)) {
        return NULL;
    }
    for (;;) {
        ti_status status;
        ti_deadline slice = ti_scope_slice(deadline);
        Py_BEGIN_ALLOW_THREADS;
        status = ti_scope_wait_stop(self->scope, slice);
        Py_END_ALLOW_THREADS;
        if (status != TI_ETIMEDOUT || slice == deadline) {
            return PyBool_FromLong(status != TI_ETIMEDOUT);
        }
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
}

static PyObject *frame_counts(struct scope_frame *self, PyObject *ignored)
{
    (void)ignored;
    ti_scope_info info = {.size = sizeof info};
    ti_status status = ti_scope_describe(self->scope, &info);
    if (status != TI_OK) {
        return ti_scope_raise(ti_scope_module_of((PyObject *)self), status, "looking at a scope");
    }
    return Py_BuildValue("(IIII)", info.spawned, info.running, info.unjoined, info.panicked);
}

static PyObject *frame_id(struct scope_frame *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(self->scope.id);
}

static PyObject *frame_entered(struct scope_frame *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(self->entered);
}

static PyObject *frame_stopped(struct scope_frame *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(ti_scope_is_stopped(self->scope));
}

static void frame_dealloc(struct scope_frame *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"leave", (PyCFunction)frame_leave, METH_NOARGS,
     "leave($self, /)\n--\n\nJoins every thread of the scope, with the GIL released. What a signal handler raised "
     "meanwhile, "
     "or None; the "
     "exceptions of threads that nobody joined."},
    {"spawn", (PyCFunction)frame_spawn, METH_VARARGS,
     "spawn($self, call, arguments, name, stack_size, loans, /)\n--\n\nRuns call(*arguments) in a new thread of the "
     "scope, which gets the loans."},
    {"close", (PyCFunction)frame_close, METH_NOARGS, "close($self, /)\n--\n\nRefuses new threads from now on."},
    {"stop", (PyCFunction)frame_stop, METH_NOARGS, "stop($self, /)\n--\n\nSets the stop token."},
    {"wait_stop", (PyCFunction)frame_wait_stop, METH_O,
     "wait_stop($self, timeout, /)\n--\n\nWaits for the stop token, with the GIL released; False when the time is "
     "over."},
    {"counts", (PyCFunction)frame_counts, METH_NOARGS,
     "counts($self, /)\n--\n\nThreads spawned so far, running, not joined, and ended by an exception."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef GETTERS[] = {
    {"id", (getter)frame_id, NULL, "The scope's id in the runtime, never reused.", NULL},
    {"entered", (getter)frame_entered, NULL, "It has not been left.", NULL},
    {"stopped", (getter)frame_stopped, NULL, "The stop token is set, or the scope has ended.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc, "Frame(name, fail_fast)\n--\n\nOne scope, entered by the calling thread."},
    {Py_tp_new, frame_new},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, GETTERS},
    {Py_tp_dealloc, frame_dealloc},
    {0, NULL},
};

PyType_Spec ti_frame_spec = {
    .name = "tinspect.native._scope.Frame",
    .basicsize = sizeof(struct scope_frame),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = SLOTS,
};
