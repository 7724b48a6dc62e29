/* capture: one stop of the target, handed over as tuples. */
#include "inspect_plan.h"

#include <errno.h>
#include <string.h>

#include "capture.h"
#include "clock.h"
#include "inspect_ranges.h"

static PyObject *thread_to_python(const struct ti_capture *capture, const struct ti_thread *thread)
{
    const uint8_t *vectors = capture->vectors.memory ? capture->vectors.memory + thread->vectors_at : NULL;
    return Py_BuildValue("(iky#Kiiy#)", thread->tid, (unsigned long)thread->flags, (const char *)&thread->registers,
                         (Py_ssize_t)thread->registers_size, (unsigned long long)thread->thread_pointer,
                         thread->stop_signal, thread->error, vectors ? (const char *)vectors : "",
                         (Py_ssize_t)thread->vectors_size);
}

static PyObject *threads_to_python(const struct ti_capture *capture)
{
    const struct ti_threads *threads = &capture->threads;
    PyObject *result = PyTuple_New((Py_ssize_t)threads->count);
    for (size_t index = 0; result && index < threads->count; index++) {
        PyObject *thread = thread_to_python(capture, &threads->items[index]);
        if (!thread || PyTuple_SetItem(result, (Py_ssize_t)index, thread) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

/* One segment out of the pieces [first, last), which touch one another. */
static PyObject *segment_to_python(const struct ti_piece *first, const struct ti_piece *last)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(last[-1].high - first->low));
    if (!bytes) {
        return NULL;
    }
    char *into = PyBytes_AsString(bytes);
    for (const struct ti_piece *piece = first; piece < last; piece++) {
        memcpy(into, piece->data, piece->high - piece->low);
        into += piece->high - piece->low;
    }
    return Py_BuildValue("(KN)", (unsigned long long)first->low, bytes);
}

static PyObject *segments_to_python(const struct ti_copies *copies)
{
    PyObject *list = PyList_New(0);
    const struct ti_piece *piece = copies->pieces, *end = piece + copies->count;
    while (list && piece < end) {
        const struct ti_piece *last = piece + 1;
        while (last < end && last->low == last[-1].high) {
            last++;
        }
        PyObject *segment = segment_to_python(piece, last);
        if (!segment || PyList_Append(list, segment) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(segment);
        piece = last;
    }
    PyObject *result = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return result;
}

static PyObject *gaps_to_python(const struct ti_gaps *gaps)
{
    static const char *const NAMES[] = {
        [TI_GAP_MEMORY] = "memory", [TI_GAP_LATE] = "late", [TI_GAP_CAP] = "cap",
        [TI_GAP_STACK] = "stack",   [TI_GAP_LIST] = "list",
    };
    PyObject *result = PyTuple_New((Py_ssize_t)gaps->count);
    for (size_t index = 0; result && index < gaps->count; index++) {
        const struct ti_gap *gap = &gaps->items[index];
        PyObject *item =
            Py_BuildValue("(sKK)", NAMES[gap->kind], (unsigned long long)gap->where, (unsigned long long)gap->amount);
        if (!item || PyTuple_SetItem(result, (Py_ssize_t)index, item) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *capture_to_python(const struct ti_capture *capture)
{
    PyObject *threads = threads_to_python(capture);
    PyObject *segments = threads ? segments_to_python(&capture->copies) : NULL;
    PyObject *gaps = segments ? gaps_to_python(&capture->gaps) : NULL;
    PyObject *result = gaps ? Py_BuildValue("(KKOOO)", (unsigned long long)capture->pause_ns,
                                            (unsigned long long)capture->copies.bytes, threads, segments, gaps)
                            : NULL;
    Py_XDECREF(threads);
    Py_XDECREF(segments);
    Py_XDECREF(gaps);
    return result;
}

static PyObject *raise_capture_error(pid_t pid, int error)
{
    switch (error) {
    case EPERM:
        return ti_raise_failure(error, "process %d may not be traced, or is traced already", pid);
    case ETIMEDOUT:
        return ti_raise_failure(error, "no thread of process %d came to a stop in time", pid);
    default:
        return ti_raise_failure(error, "cannot capture process %d", pid);
    }
}

static PyObject *run_plan(const struct ti_plan *plan)
{
    struct ti_capture capture;
    PyThreadState *state = PyEval_SaveThread();
    int error = ti_capture_run(plan, ti_attend_signals, &state, &capture);
    PyEval_RestoreThread(state);
    PyObject *result = NULL;
    if (!PyErr_Occurred()) {
        result = error ? raise_capture_error(plan->pid, error) : capture_to_python(&capture);
    }
    ti_capture_free(&capture);
    return result;
}

static PyObject *capture(PyObject *module, PyObject *positional, PyObject *keywords)
{
    static char *names[] = {"pid",      "fixed",         "thread_relative",   "thread_tables",
                            "lists",    "thread_chains", "register_pointers", "stack_rule",
                            "mappings", "red_zone",      "stack_cap",         "total_cap",
                            "tids",     "undo_restart",  "timeout_ms",        "vectors",
                            NULL};
    (void)module;
    struct ti_plan_arguments arguments = {0};
    struct ti_plan plan = {0};
    unsigned long long red_zone = 128, stack_cap = 8ULL << 20, total_cap = 1ULL << 30, timeout_ms = 2000;
    int undo_restart = 1, vectors = 0;
    if (!PyArg_ParseTupleAndKeywords(positional, keywords, "i|$OOOOOOOOO&O&O&OpO&p:capture", names, &plan.pid,
                                     &arguments.fixed, &arguments.thread_relative, &arguments.thread_tables,
                                     &arguments.lists, &arguments.thread_chains, &arguments.register_pointers,
                                     &arguments.stack_rule, &arguments.mappings, ti_address_from_python, &red_zone,
                                     ti_address_from_python, &stack_cap, ti_address_from_python, &total_cap,
                                     &arguments.tids, &undo_restart, ti_address_from_python, &timeout_ms, &vectors)) {
        return NULL;
    }
    if (plan.pid <= 0 || timeout_ms > 3600000) {
        PyErr_SetString(PyExc_ValueError, plan.pid <= 0 ? "pid must be positive" : "timeout_ms is over an hour");
        return NULL;
    }
    plan.red_zone = red_zone;
    plan.stack_cap = stack_cap;
    plan.total_cap = total_cap;
    plan.undo_restart = undo_restart != 0;
    plan.vectors = vectors != 0;
    plan.timeout_ns = timeout_ms * TI_NS_PER_MS;
    PyObject *result = ti_plan_from_python(&arguments, &plan) == 0 ? run_plan(&plan) : NULL;
    ti_plan_free(&plan);
    return result;
}

static PyObject *vector_components(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    PyObject *list = PyList_New(0);
    for (unsigned number = 2; list && number < 63; number++) {
        size_t offset = 0, size = ti_arch_vector_component(number, &offset);
        if (!size) {
            continue;
        }
        PyObject *item = Py_BuildValue("(Inn)", number, (Py_ssize_t)offset, (Py_ssize_t)size);
        if (!item || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    PyObject *result = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return result;
}

int ti_capture_add_constants(PyObject *module)
{
    static const struct {
        const char *name;
        long value;
    } CONSTANTS[] = {
        {"THREAD_STOPPED", TI_THREAD_STOPPED},         {"THREAD_SIGNAL_DELIVERY", TI_THREAD_SIGNAL_DELIVERY},
        {"THREAD_GROUP_STOP", TI_THREAD_GROUP_STOP},   {"THREAD_EXECED", TI_THREAD_EXECED},
        {"THREAD_INTERRUPTED", TI_THREAD_INTERRUPTED}, {"THREAD_RESTARTED", TI_THREAD_RESTARTED},
        {"THREAD_FOREIGN_ABI", TI_THREAD_FOREIGN_ABI}, {"THREAD_ZOMBIE", TI_THREAD_ZOMBIE},
    };
    for (size_t index = 0; index < sizeof CONSTANTS / sizeof *CONSTANTS; index++) {
        if (PyModule_AddIntConstant(module, CONSTANTS[index].name, CONSTANTS[index].value) < 0) {
            return -1;
        }
    }
    return 0;
}

PyMethodDef ti_capture_methods[] = {
    {"capture", (PyCFunction)(void (*)(void))capture, METH_VARARGS | METH_KEYWORDS,
     "capture(pid, *, fixed=(), thread_relative=(), thread_tables=(), lists=(), thread_chains=(), "
     "register_pointers=(), "
     "stack_rule=None, mappings=(), red_zone=128, stack_cap=8388608, total_cap=1073741824, tids=None, "
     "undo_restart=True, timeout_ms=2000, vectors=False)\n--\n\n"
     "One stop of every thread: (pause_ns, bytes_copied, threads, segments, gaps)."},
    {"vector_components", vector_components, METH_NOARGS,
     "vector_components()\n--\n\nWhere this processor's XSAVE area has what: (number, offset, size)."},
    {NULL, NULL, 0, NULL},
};
