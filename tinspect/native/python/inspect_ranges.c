#include "inspect_ranges.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int range_from_python(PyObject *pair, struct ti_range *range)
{
    PyObject *fast = PySequence_Tuple(pair);
    if (!fast) {
        return -1;
    }
    unsigned long long low = 0, high = 0;
    int parsed = PyArg_ParseTuple(fast, "O&O&", ti_address_from_python, &low, ti_address_from_python, &high);
    Py_DECREF(fast);
    if (!parsed) {
        return -1;
    }
    if (low > high) {
        PyErr_Format(PyExc_ValueError, "range ends before it begins: (%llu, %llu)", low, high);
        return -1;
    }
    *range = (struct ti_range){low, high};
    return 0;
}

int ti_address_from_python(PyObject *value, void *address)
{
    unsigned long long number = PyLong_AsUnsignedLongLong(value);
    if (number == (unsigned long long)-1 && PyErr_Occurred()) {
        return 0;
    }
    *(unsigned long long *)address = number;
    return 1;
}

int ti_ranges_from_python(PyObject *sequence, struct ti_ranges *ranges)
{
    *ranges = (struct ti_ranges){0};
    PyObject *pairs = PySequence_Tuple(sequence);
    if (!pairs) {
        return -1;
    }
    Py_ssize_t count = PyTuple_Size(pairs);
    struct ti_range *items = calloc((size_t)(count ? count : 1), sizeof *items);
    int result = items ? 0 : -1;
    if (!items) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t index = 0; result == 0 && index < count; index++) {
        result = range_from_python(PyTuple_GetItem(pairs, index), &items[index]);
    }
    Py_DECREF(pairs);
    if (result < 0) {
        free(items);
        return -1;
    }
    *ranges = (struct ti_ranges){items, (size_t)count, (size_t)count};
    return 0;
}

PyObject *ti_ranges_to_python(const struct ti_ranges *ranges)
{
    PyObject *result = PyTuple_New((Py_ssize_t)ranges->count);
    for (size_t index = 0; result && index < ranges->count; index++) {
        PyObject *pair = Py_BuildValue("(KK)", (unsigned long long)ranges->items[index].low,
                                       (unsigned long long)ranges->items[index].high);
        if (!pair || PyTuple_SetItem(result, (Py_ssize_t)index, pair) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

PyObject *ti_raise_failure(int error, const char *format, ...)
{
    char what[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    PyObject *words = PyUnicode_FromFormat("%s: %s", what, strerror(error));
    PyObject *exception = words ? PyObject_CallFunction(PyExc_OSError, "iO", error, words) : NULL;
    if (exception) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
    }
    Py_XDECREF(exception);
    Py_XDECREF(words);
    return NULL;
}

int ti_attend_signals(void *context)
{
    PyThreadState **state = context;
    PyEval_RestoreThread(*state);
    int raised = PyErr_CheckSignals();
    *state = PyEval_SaveThread();
    return raised;
}
