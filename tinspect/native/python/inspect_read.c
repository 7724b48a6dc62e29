/* read_memory and read_ranges: memory of a process that is not stopped. */
#include "inspect_ranges.h"

#include <errno.h>
#include <stdlib.h>

#include "read.h"
#include "tasks.h"

/* The thread to read by is looked up only when the leader has ended, which is rare: a listing costs more than a read.
 */
static int read_by_any_thread(struct ti_reader *reader, uint64_t address, size_t size, void *into)
{
    int error = ti_read_all(reader, address, size, into);
    if (error == ESRCH) {
        pid_t living = ti_tasks_find_living(reader->tid);
        if (living && living != reader->tid) {
            ti_reader_close(reader);
            ti_reader_init(reader, living);
            error = ti_read_all(reader, address, size, into);
        }
    }
    return error;
}

static PyObject *read_to_bytes(struct ti_reader *reader, uint64_t address, Py_ssize_t size, int *error)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, size);
    if (!bytes) {
        *error = ENOMEM;
        return NULL;
    }
    char *into = PyBytes_AsString(bytes);
    Py_BEGIN_ALLOW_THREADS;
    *error = read_by_any_thread(reader, address, (size_t)size, into);
    Py_END_ALLOW_THREADS;
    if (*error) {
        Py_DECREF(bytes);
        return NULL;
    }
    return bytes;
}

static PyObject *read_memory(PyObject *module, PyObject *arguments)
{
    (void)module;
    int pid, error = 0;
    unsigned long long address = 0;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "iO&n:read_memory", &pid, ti_address_from_python, &address, &size)) {
        return NULL;
    }
    if (size < 0) {
        PyErr_SetString(PyExc_ValueError, "size must not be negative");
        return NULL;
    }
    struct ti_reader reader;
    ti_reader_init(&reader, pid);
    PyObject *bytes = read_to_bytes(&reader, address, size, &error);
    ti_reader_close(&reader);
    if (!bytes && !PyErr_Occurred()) {
        return ti_raise_failure(error, "cannot read %zd bytes at %#llx of process %d", size, address, pid);
    }
    return bytes;
}

static PyObject *read_one_range(struct ti_reader *reader, PyObject *range)
{
    int error = 0;
    unsigned long long address = 0;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(range, "O&n;a range is (address, size)", ti_address_from_python, &address, &size)) {
        return NULL;
    }
    if (size < 0) {
        PyErr_SetString(PyExc_ValueError, "size must not be negative");
        return NULL;
    }
    PyObject *bytes = read_to_bytes(reader, address, size, &error);
    if (!bytes && error == EFAULT) {
        Py_RETURN_NONE;
    }
    return !bytes && !PyErr_Occurred() ? ti_raise_failure(error, "cannot read the memory of process %d", reader->tid)
                                       : bytes;
}

static PyObject *read_ranges(PyObject *module, PyObject *arguments)
{
    (void)module;
    int pid;
    PyObject *sequence;
    if (!PyArg_ParseTuple(arguments, "iO:read_ranges", &pid, &sequence)) {
        return NULL;
    }
    PyObject *ranges = PySequence_Tuple(sequence);
    PyObject *result = ranges ? PyTuple_New(PyTuple_Size(ranges)) : NULL;
    struct ti_reader reader;
    ti_reader_init(&reader, pid);
    for (Py_ssize_t index = 0; result && index < PyTuple_Size(ranges); index++) {
        PyObject *bytes = read_one_range(&reader, PyTuple_GetItem(ranges, index));
        if (!bytes || PyTuple_SetItem(result, index, bytes) < 0) {
            Py_CLEAR(result);
        }
    }
    ti_reader_close(&reader);
    Py_XDECREF(ranges);
    return result;
}

PyMethodDef ti_read_methods[] = {
    {"read_memory", read_memory, METH_VARARGS,
     "read_memory(pid, address, size, /)\n--\n\nThe bytes of [address, address + size)."},
    {"read_ranges", read_ranges, METH_VARARGS,
     "read_ranges(pid, ranges, /)\n--\n\nThe bytes of each (address, size); None where not all can be read."},
    {NULL, NULL, 0, NULL},
};
