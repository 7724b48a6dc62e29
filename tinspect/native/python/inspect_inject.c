/* `_inspect.inject_sigaltstack`: the Python face of inspect/inject.c. */
#include "inspect_ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "inject.h"
#include "worker.h"

static int request_from_python(PyObject *item, struct ti_inject_request *request)
{
    unsigned long long low = 0, high = 0;
    PyObject *fields = PySequence_Tuple(item);
    int parsed = fields && PyArg_ParseTuple(fields, "iO&O&;a thread is (tid, stack_low, stack_high)", &request->tid,
                                            ti_address_from_python, &low, ti_address_from_python, &high);
    Py_XDECREF(fields);
    request->stack_low = low;
    request->stack_high = high;
    return parsed ? 0 : -1;
}

static int requests_from_python(PyObject *sequence, struct ti_inject *inject)
{
    PyObject *items = PySequence_Tuple(sequence);
    if (!items) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(items);
    inject->requests = calloc((size_t)count + 1, sizeof *inject->requests);
    int result = inject->requests ? 0 : -1;
    if (result < 0) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; result == 0 && index < count; index++) {
        result = request_from_python(PyTuple_GetItem(items, index), &inject->requests[index]);
    }
    inject->count = (size_t)count;
    Py_DECREF(items);
    return result;
}

static int gadgets_from_python(PyObject *sequence, struct ti_gadgets *gadgets)
{
    unsigned long long at[6] = {0};
    PyObject *fields = PySequence_Tuple(sequence);
    int parsed = fields && PyArg_ParseTuple(fields, "O&O&O&O&O&O&;gadgets are six addresses", ti_address_from_python,
                                            &at[0], ti_address_from_python, &at[1], ti_address_from_python, &at[2],
                                            ti_address_from_python, &at[3], ti_address_from_python, &at[4],
                                            ti_address_from_python, &at[5]);
    Py_XDECREF(fields);
    *gadgets = (struct ti_gadgets){at[0], at[1], at[2], at[3], at[4], at[5], 0};
    return parsed ? 0 : -1;
}

static PyObject *answers_to_python(const struct ti_inject *inject)
{
    PyObject *result = PyTuple_New((Py_ssize_t)inject->count);
    for (size_t index = 0; result && index < inject->count; index++) {
        const struct ti_inject_request *request = &inject->requests[index];
        PyObject *item =
            Py_BuildValue("(iKKIiz)", (int)request->tid, (unsigned long long)request->sp,
                          (unsigned long long)request->size, (unsigned)request->flags, request->error, request->why);
        if (!item || PyTuple_SetItem(result, (Py_ssize_t)index, item) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *raise_inject_error(int pid, int error)
{
    switch (error) {
    case EINVAL:
        return ti_raise_failure(error, "the gadgets are not where process %d should have them", pid);
    case ENOSYS:
        return ti_raise_failure(error, "system calls are injected on x86-64 only");
    default:
        return ti_raise_failure(error, "cannot ask the threads of process %d", pid);
    }
}

static int run(void *context, const atomic_bool *cancelled)
{
    return ti_inject_run(context, cancelled);
}

static PyObject *run_inject(struct ti_inject *inject)
{
    PyThreadState *state = PyEval_SaveThread();
    int error = ti_worker_run(inject->pid, run, inject, ti_attend_signals, &state);
    PyEval_RestoreThread(state);
    if (PyErr_Occurred()) {
        return NULL;
    }
    return error ? raise_inject_error(inject->pid, error) : answers_to_python(inject);
}

static PyObject *inject_sigaltstack(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"pid", "threads", "gadgets", "timeout_ms", NULL};
    struct ti_inject inject = {0};
    PyObject *threads, *gadgets;
    unsigned long long timeout_ms = 2000;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iOO|$O&:inject_sigaltstack", names, &inject.pid, &threads,
                                     &gadgets, ti_address_from_python, &timeout_ms)) {
        return NULL;
    }
    inject.timeout_ns = timeout_ms < 3600000 ? timeout_ms * 1000000ULL : 3600000ULL * 1000000ULL;
    PyObject *result = NULL;
    if (requests_from_python(threads, &inject) == 0 && gadgets_from_python(gadgets, &inject.gadgets) == 0) {
        result = run_inject(&inject);
    }
    free(inject.requests);
    return result;
}

PyMethodDef ti_inject_methods[] = {
    {"inject_sigaltstack", (PyCFunction)(void (*)(void))inject_sigaltstack, METH_VARARGS | METH_KEYWORDS,
     "inject_sigaltstack(pid, threads, gadgets, *, timeout_ms=2000)\n--\n\n"
     "Makes each thread run sigaltstack(NULL, ...) once, and says what it answered."},
    {NULL, NULL, 0, NULL},
};
