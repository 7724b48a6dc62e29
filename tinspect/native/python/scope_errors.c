/* Statuses and deadlines between Python and the runtime. */
#include "scope_python.h"

#include <math.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *next_step(ti_status status)
{
    switch (status) {
    case TI_ESTALE:
        return "handles and loans live no longer than their scope, and a thread is joined once: use them inside the "
               "with block";
    case TI_EAGAIN:
        return "the system refuses another thread: raise `ulimit -u` or the cgroup's pids.max, or spawn fewer";
    case TI_EDEADLK:
        return "a thread cannot wait for itself";
    case TI_ECLOSED:
        return "the scope was closed: spawn before close(), or open another scope";
    case TI_EPERM:
        return "it belongs to another thread";
    case TI_EBUSY:
        return "another thread is joining it";
    case TI_EGONE:
        return "threads do not survive a fork: open and leave scopes on one side of it";
    case TI_ETERMINATED:
        return "the thread ended by pthread_exit or cancellation, without a result";
    default:
        return ti_status_text(status);
    }
}

PyObject *ti_scope_raise(struct scope_module *module, ti_status status, const char *what)
{
    if (status == TI_ENOMEM) {
        return PyErr_NoMemory();
    }
    if (status == TI_ETIMEDOUT) {
        PyErr_Format(PyExc_TimeoutError, "%s: the time is over", what);
        return NULL;
    }
    bool borrowing = status == TI_EBORROW || status == TI_ENOTSEND || status == TI_ENOTSYNC;
    PyErr_Format(borrowing ? module->borrow_error : module->error, "%s: %s", what, next_step(status));
    return NULL;
}

bool ti_scope_deadline(PyObject *timeout, ti_deadline *deadline)
{
    *deadline = TI_FOREVER;
    if (timeout == Py_None) {
        return true;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1.0 && PyErr_Occurred() != NULL) {
        return false;
    }
    if (isnan(seconds) || seconds < 0) {
        PyErr_SetString(PyExc_ValueError, "a timeout is None or a number of seconds that is not negative");
        return false;
    }
    if (seconds < 1e9) { /* beyond 31 years it is for ever */
        *deadline = ti_deadline_after((uint64_t)ceil(seconds * 1e9));
    }
    return true;
}

ti_deadline ti_scope_slice(ti_deadline deadline)
{
    enum {
        SLICE_NS = 50 * 1000 * 1000,
    };
    if (syscall(SYS_gettid) != getpid()) {
        return deadline;
    }
    ti_deadline slice = ti_deadline_after(SLICE_NS);
    return slice < deadline ? slice : deadline;
}
