/* `tinspect.native._scope`: the scoped-thread runtime for Python. Importing it installs no signal handler. */
#include "scope_python.h"

struct scope_module *ti_scope_module_of(PyObject *object)
{
    return PyType_GetModuleState(Py_TYPE(object));
}

static PyObject *park(PyObject *module, PyObject *timeout)
{
    (void)module;
    ti_deadline deadline;
    if (!ti_scope_deadline(timeout, &deadline)) {
        return NULL;
    }
    for (;;) {
        ti_status status;
        ti_deadline slice = ti_scope_slice(deadline);
        Py_BEGIN_ALLOW_THREADS;
        status = ti_park_until(slice);
        Py_END_ALLOW_THREADS;
        if (status == TI_OK || slice == deadline) {
            return PyBool_FromLong(status == TI_OK);
        }
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
}

static PyObject *current_id(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromUnsignedLongLong(ti_thread_id());
}

static PyObject *available_parallelism(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromSize_t(ti_available_parallelism());
}

static PyObject *report_overflows(PyObject *module, PyObject *ignored)
{
    (void)ignored;
    ti_status status = ti_overflow_install();
    if (status != TI_OK && status != TI_EBUSY) {
        return ti_scope_raise(PyModule_GetState(module), status, "installing the overflow handler");
    }
    struct scope_module *state = PyModule_GetState(module);
    state->reports_overflows = status == TI_OK;
    return PyBool_FromLong(state->reports_overflows);
}

static PyMethodDef METHODS[] = {
    {"park", park, METH_O,
     "park(timeout, /)\n--\n\nWaits for the calling thread's token, with the GIL released; False when the time is "
     "over."},
    {"current_id", current_id, METH_NOARGS, "current_id()\n--\n\nThe calling thread's id in the runtime."},
    {"available_parallelism", available_parallelism, METH_NOARGS,
     "available_parallelism()\n--\n\nHow many threads can run at once: affinity and cgroup quota honoured."},
    {"report_overflows", report_overflows, METH_NOARGS,
     "report_overflows()\n--\n\nReports stack overflows from now on; False when SIGSEGV and SIGBUS are somebody "
     "else's."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type != NULL && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

static int fill_module(PyObject *module)
{
    struct scope_module *state = PyModule_GetState(module);
    state->error = PyErr_NewExceptionWithDoc("tinspect.native._scope.ScopeError",
                                             "A scope, thread or handle was used in a way its life does not allow.",
                                             PyExc_RuntimeError, NULL);
    state->borrow_error =
        PyErr_NewExceptionWithDoc("tinspect.native._scope.BorrowError",
                                  "A loan stands in the way, has ended, or is another thread's.", state->error, NULL);
    if (state->error == NULL || state->borrow_error == NULL) {
        return -1;
    }
    state->frame_type = add_type(module, &ti_frame_spec);
    state->child_type = add_type(module, &ti_child_spec);
    state->loan_type = add_type(module, &ti_loan_spec);
    if (state->frame_type == NULL || state->child_type == NULL || state->loan_type == NULL) {
        return -1;
    }
    if (PyModule_AddObjectRef(module, "ScopeError", state->error) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "BorrowError", state->borrow_error);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    struct scope_module *state = PyModule_GetState(module);
    Py_VISIT(state->error);
    Py_VISIT(state->borrow_error);
    Py_VISIT(state->frame_type);
    Py_VISIT(state->child_type);
    Py_VISIT(state->loan_type);
    return 0;
}

static int clear(PyObject *module)
{
    struct scope_module *state = PyModule_GetState(module);
    Py_CLEAR(state->error);
    Py_CLEAR(state->borrow_error);
    Py_CLEAR(state->frame_type);
    Py_CLEAR(state->child_type);
    Py_CLEAR(state->loan_type);
    return 0;
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static PyModuleDef DEFINITION = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scope",
    .m_doc = "The scoped-thread runtime. Hands over ints and tuples; knows nothing of the rest of tinspect.",
    .m_size = sizeof(struct scope_module),
    .m_methods = METHODS,
    .m_slots = SLOTS,
    .m_traverse = traverse,
    .m_clear = clear,
};

PyMODINIT_FUNC PyInit__scope(void);

PyMODINIT_FUNC PyInit__scope(void)
{
    return PyModuleDef_Init(&DEFINITION);
}
