/* `_inspect.btf_offsets`, `bpf_tasks` and `bpf_signal_actions`: the Python face of inspect/bpf*.c. */
#include "inspect_ranges.h"

#include "bpf_actions.h"
#include "bpf_tasks.h"

#include <errno.h>
#include <string.h>

static PyObject *layout_to_python(const struct ti_bpf_layout *layout)
{
    PyObject *list = PyList_New(0);
    for (int number = 0; list && number < TI_BPF_NUMBERS; number++) {
        long long value = layout->numbers[number];
        if (value < 0) {
            continue;
        }
        PyObject *pair = Py_BuildValue("(sL)", ti_bpf_number_name((enum ti_bpf_number)number), value);
        if (!pair || PyList_Append(list, pair) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(pair);
    }
    PyObject *result = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return result;
}

static PyObject *btf_offsets(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"path", NULL};
    const char *path = "/sys/kernel/btf/vmlinux";
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|s:btf_offsets", names, &path)) {
        return NULL;
    }
    struct ti_bpf_layout layout;
    enum ti_bpf_number missing = 0;
    int error;
    Py_BEGIN_ALLOW_THREADS;
    error = ti_bpf_layout_read(&layout, path, &missing);
    Py_END_ALLOW_THREADS;
    switch (-error) {
    case 0:
        return layout_to_python(&layout);
    case ENOENT:
        return ti_raise_failure(ENOENT, "this kernel offers no type information at %s (CONFIG_DEBUG_INFO_BTF)", path);
    case EBADMSG:
        return ti_raise_failure(EBADMSG, "%s is not BTF of this machine's byte order", path);
    case ENODATA:
        return ti_raise_failure(ENODATA, "this kernel's types lack %s", ti_bpf_number_name(missing));
    default:
        return ti_raise_failure(-error, "cannot read %s", path);
    }
}

/* A number from `offsets`; one that is needed and missing raises KeyError, one that no kernel has ValueError. */
static int number_from_python(PyObject *offsets, enum ti_bpf_number number, int64_t *value)
{
    PyObject *item = PyDict_GetItemString(offsets, ti_bpf_number_name(number)); /* borrowed */
    *value = -1;
    if (!item) {
        if (ti_bpf_number_is_needed(number)) {
            PyErr_SetString(PyExc_KeyError, ti_bpf_number_name(number));
            return -1;
        }
        return 0;
    }
    *value = PyLong_AsLongLong(item);
    if (*value == -1 && PyErr_Occurred()) {
        return -1;
    }
    /* A load's offset has 16 bits; the BTF id of the function is the one that is no offset. */
    if (*value < 0 || *value > (number == TI_ITERATOR_FUNCTION ? INT32_MAX : INT16_MAX)) {
        PyErr_Format(PyExc_ValueError, "%s is out of bounds: %lld", ti_bpf_number_name(number), (long long)*value);
        return -1;
    }
    return 0;
}

static int layout_from_python(PyObject *offsets, struct ti_bpf_layout *layout)
{
    for (int number = 0; number < TI_BPF_NUMBERS; number++) {
        if (number_from_python(offsets, (enum ti_bpf_number)number, &layout->numbers[number]) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *record_to_python(const struct ti_bpf_record *record, const struct ti_bpf_layout *layout)
{
    bool has_pointer = layout->numbers[TI_TASK_THREAD_POINTER] >= 0;
    PyObject *registers = NULL;
    if (record->has_registers) {
        registers =
            PyBytes_FromStringAndSize((const char *)(record + 1), (Py_ssize_t)layout->numbers[TI_REGISTERS_SIZE]);
        if (!registers) {
            return NULL;
        }
    }
    PyObject *pointer = has_pointer ? PyLong_FromUnsignedLongLong(record->thread_pointer) : Py_NewRef(Py_None);
    if (!pointer) {
        Py_XDECREF(registers);
        return NULL;
    }
    return Py_BuildValue("(IKKIKKONN)", record->tid, (unsigned long long)record->altstack_sp,
                         (unsigned long long)record->altstack_size, record->altstack_flags,
                         (unsigned long long)record->voluntary_switches,
                         (unsigned long long)record->involuntary_switches, record->on_cpu ? Py_True : Py_False, pointer,
                         registers ? registers : Py_NewRef(Py_None));
}

static PyObject *tasks_to_python(const struct ti_bpf_tasks *tasks, const struct ti_bpf_layout *layout)
{
    PyObject *result = PyTuple_New((Py_ssize_t)tasks->count);
    size_t offset = 0;
    for (size_t index = 0; result && index < tasks->count; index++) {
        PyObject *item = record_to_python(ti_bpf_tasks_next(tasks, &offset), layout);
        if (!item || PyTuple_SetItem(result, (Py_ssize_t)index, item) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *raise_bpf_failure(int error, int pid, const struct ti_bpf_failure *failure)
{
    if (error == EPERM || error == EACCES) {
        return ti_raise_failure(error, "%s needs root, or CAP_BPF and CAP_PERFMON%s%s", failure->step,
                                failure->log[0] ? ": " : "", failure->log);
    }
    if (error == ESRCH) {
        return ti_raise_failure(error, "the task iterator knows no process %d", pid);
    }
    if (error == ENODATA) {
        return ti_raise_failure(error, "this kernel's types do not tell where it keeps signal actions");
    }
    if (error == EAGAIN) {
        return ti_raise_failure(error, "the signal actions of process %d changed whenever they were read", pid);
    }
    if (error == EINVAL || error == ENOSYS || error == E2BIG) {
        return ti_raise_failure(error, "%s needs Linux 5.11, with registers 5.15%s%s", failure->step,
                                failure->log[0] ? ": " : "", failure->log);
    }
    return ti_raise_failure(error, "%s%s%s", failure->step, failure->log[0] ? ": " : "", failure->log);
}

static PyObject *bpf_tasks(PyObject *module, PyObject *args)
{
    (void)module;
    int pid, registers;
    PyObject *offsets;
    if (!PyArg_ParseTuple(args, "iO!p:bpf_tasks", &pid, &PyDict_Type, &offsets, &registers)) {
        return NULL;
    }
    struct ti_bpf_layout layout;
    if (layout_from_python(offsets, &layout) < 0) {
        return NULL;
    }
    struct ti_bpf_tasks tasks;
    struct ti_bpf_failure failure;
    int error;
    Py_BEGIN_ALLOW_THREADS;
    error = ti_bpf_tasks_read(&tasks, pid, &layout, registers, &failure);
    Py_END_ALLOW_THREADS;
    PyObject *result = error ? raise_bpf_failure(-error, pid, &failure) : tasks_to_python(&tasks, &layout);
    ti_bpf_tasks_free(&tasks);
    return PyErr_CheckSignals() < 0 ? (Py_XDECREF(result), NULL) : result;
}

static PyObject *actions_to_python(const struct ti_signal_action *actions)
{
    PyObject *result = PyTuple_New(TI_SIGNALS);
    for (Py_ssize_t index = 0; result && index < TI_SIGNALS; index++) {
        PyObject *item =
            Py_BuildValue("(KK)", (unsigned long long)actions[index].handler, (unsigned long long)actions[index].flags);
        if (!item || PyTuple_SetItem(result, index, item) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *bpf_signal_actions(PyObject *module, PyObject *args)
{
    (void)module;
    int pid;
    PyObject *offsets;
    struct ti_bpf_layout layout;
    if (!PyArg_ParseTuple(args, "iO!:bpf_signal_actions", &pid, &PyDict_Type, &offsets) ||
        layout_from_python(offsets, &layout) < 0) {
        return NULL;
    }
    struct ti_signal_action actions[TI_SIGNALS];
    struct ti_bpf_failure failure;
    int error;
    Py_BEGIN_ALLOW_THREADS;
    error = ti_bpf_actions_read(actions, pid, &layout, &failure);
    Py_END_ALLOW_THREADS;
    return error ? raise_bpf_failure(-error, pid, &failure) : actions_to_python(actions);
}

PyMethodDef ti_bpf_methods[] = {
    {"btf_offsets", (PyCFunction)(void (*)(void))btf_offsets, METH_VARARGS | METH_KEYWORDS,
     "btf_offsets(path='/sys/kernel/btf/vmlinux')\n--\n\nWhat bpf_tasks needs to know of this kernel, as (name, "
     "number) pairs."},
    {"bpf_tasks", bpf_tasks, METH_VARARGS,
     "bpf_tasks(pid, offsets, want_registers, /)\n--\n\nEvery thread of a process, by a BPF task iterator."},
    {"bpf_signal_actions", bpf_signal_actions, METH_VARARGS,
     "bpf_signal_actions(pid, offsets, /)\n--\n\nWhat a process does on each signal, by a BPF task iterator."},
    {NULL, NULL, 0, NULL},
};
