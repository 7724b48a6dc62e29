/* `Child`: one thread of a scope, and what came of it. */
#include "scope_python.h"

#include <string.h>

/* The registry shows an exception as "Type: text"; this runs in the child, with the GIL. */
static void describe_exception(PyObject *exception, char *words, size_t room)
{
    const char *text = NULL;
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(exception), "__name__");
    PyObject *string = PyObject_Str(exception);
    PyObject *line = name != NULL && string != NULL ? PyUnicode_FromFormat("%U: %U", name, string) : NULL;
    if (line != NULL) {
        text = PyUnicode_AsUTF8AndSize(line, NULL);
    }
    strncpy(words, text != NULL ? text : "an exception", room - 1);
    words[room - 1] = 0;
    Py_XDECREF(line);
    Py_XDECREF(string);
    Py_XDECREF(name);
    PyErr_Clear(); /* a __str__ that fails must not hide the exception itself */
}

PyObject *ti_take_exception(void)
{
    PyObject *type;
    PyObject *exception;
    PyObject *traceback;
    PyErr_Fetch(&type, &exception, &traceback);
    PyErr_NormalizeException(&type, &exception, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(exception, traceback);
    }
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return exception;
}

/* Ends the reference that a panic carries. May run in any thread, with or without the GIL. */
static void drop_child(void *payload)
{
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)payload);
    PyGILState_Release(state);
}

/* The thread's function. All Python is over, and its thread state gone, before a panic unwinds: no frame of the
 * interpreter is ever unwound, only this function's own. The panic owns the reference then. */
static void *run_child(void *context)
{
    struct scope_child *child = context;
    char words[96];
    PyGILState_STATE state = PyGILState_Ensure();
    child->result = PyObject_CallObject(child->call, child->arguments);
    if (child->result == NULL) {
        child->exception = ti_take_exception();
        describe_exception(child->exception, words, sizeof words);
    }
    bool failed = child->exception != NULL;
    Py_CLEAR(child->call);
    Py_CLEAR(child->arguments);
    if (!failed) {
        Py_DECREF(child);
    }
    PyGILState_Release(state);
    if (failed) {
        ti_panic_quietly(child, drop_child, words);
    }
    return NULL;
}

PyObject *ti_child_spawn(struct scope_module *module, ti_scope scope, const struct scope_task *task,
                         const ti_spawn_options *options)
{
    PyObject *(*allocate)(PyTypeObject *, Py_ssize_t) = PyType_GetSlot(module->child_type, Py_tp_alloc);
    struct scope_child *child = (struct scope_child *)allocate(module->child_type, 0);
    if (child == NULL) {
        return NULL;
    }
    child->call = Py_NewRef(task->call);
    child->arguments = Py_NewRef(task->arguments);
    Py_INCREF((PyObject *)child); /* the thread's */
    ti_status status = ti_spawn(scope, options, run_child, child, &child->thread);
    if (status != TI_OK) {
        Py_DECREF(child);
        Py_DECREF(child);
        return ti_scope_raise(module, status, "spawning a thread");
    }
    status = ti_loans_give(task->loans, child->thread);
    if (status != TI_OK) {
        Py_DECREF(child);
        return ti_scope_raise(module, status, "giving a loan to a thread");
    }
    return (PyObject *)child;
}

PyObject *ti_child_exceptions(ti_panics *panics)
{
    size_t count = ti_panics_count(panics);
    PyObject *exceptions = PyTuple_New((Py_ssize_t)count);
    for (size_t index = 0; exceptions != NULL && index < count; index++) {
        void *payload = NULL;
        ti_panics_take(panics, index, &payload);
        struct scope_child *child = payload;
        PyTuple_SetItem(exceptions, (Py_ssize_t)index, Py_NewRef(child->exception));
        Py_DECREF(child);
    }
    ti_panics_free(panics);
    return exceptions;
}

/* Joins until `deadline`, serving signals in between. False: an exception is set. */
static bool join_until(struct scope_child *child, ti_deadline deadline, ti_status *status)
{
    ti_panics *panics = NULL;
    for (;;) {
        ti_deadline slice = ti_scope_slice(deadline);
        Py_BEGIN_ALLOW_THREADS;
        *status = ti_join_until(child->thread, slice, NULL, &panics);
        Py_END_ALLOW_THREADS;
        ti_panics_free(panics); /* the exception stands in the child itself */
        if (*status != TI_ETIMEDOUT || slice == deadline) {
            return true;
        }
        if (PyErr_CheckSignals() < 0) {
            return false;
        }
    }
}

static PyObject *child_join(struct scope_child *self, PyObject *timeout)
{
    ti_deadline deadline;
    ti_status status;
    if (!ti_scope_deadline(timeout, &deadline) || !join_until(self, deadline, &status)) {
        return NULL;
    }
    if (status == TI_OK) {
        PyObject *result = self->result;
        self->result = NULL;
        return result;
    }
    if (status == TI_EPANIC) {
        PyObject *exception = self->exception;
        self->exception = NULL;
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
        return NULL;
    }
    return ti_scope_raise(ti_scope_module_of((PyObject *)self), status, "joining a thread");
}

static PyObject *child_is_finished(struct scope_child *self, PyObject *ignored)
{
    (void)ignored;
    return PyBool_FromLong(ti_is_finished(self->thread));
}

static PyObject *child_unpark(struct scope_child *self, PyObject *ignored)
{
    (void)ignored;
    ti_status status = ti_unpark(self->thread);
    if (status != TI_OK) {
        return ti_scope_raise(ti_scope_module_of((PyObject *)self), status, "unparking a thread");
    }
    Py_RETURN_NONE;
}

static PyObject *child_id(struct scope_child *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(self->thread.id);
}

static int child_traverse(struct scope_child *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->call);
    Py_VISIT(self->arguments);
    Py_VISIT(self->result);
    Py_VISIT(self->exception);
    return 0;
}

static int child_clear(struct scope_child *self)
{
    Py_CLEAR(self->call);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->result);
    Py_CLEAR(self->exception);
    return 0;
}

static void child_dealloc(struct scope_child *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    child_clear(self);
    freefunc release = PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef METHODS[] = {
    {"join", (PyCFunction)child_join, METH_O,
     "join($self, timeout, /)\n--\n\nWaits for the thread's end, with the GIL released; its result, or raises what it "
     "raised."},
    {"is_finished", (PyCFunction)child_is_finished, METH_NOARGS,
     "is_finished($self, /)\n--\n\nHas its function ended? Never blocks."},
    {"unpark", (PyCFunction)child_unpark, METH_NOARGS, "unpark($self, /)\n--\n\nGives the thread its token."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef GETTERS[] = {
    {"id", (getter)child_id, NULL, "The thread's id in the runtime, never reused.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc, "One thread of a scope."},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, GETTERS},
    {Py_tp_traverse, child_traverse},
    {Py_tp_clear, child_clear},
    {Py_tp_dealloc, child_dealloc},
    {0, NULL},
};

PyType_Spec ti_child_spec = {
    .name = "tinspect.native._scope.Child",
    .basicsize = sizeof(struct scope_child),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = SLOTS,
};
