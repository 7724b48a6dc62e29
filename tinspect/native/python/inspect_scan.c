/* `_inspect.scan_process` and `_inspect.scan_bytes`: the Python face of inspect/scan*.c. */
#include "inspect_ranges.h"

#include "scan_process.h"

enum { CHUNK_BYTES = 64 << 20 };

static PyObject *words_to_python(const struct ti_words *words)
{
    /* struct ti_word is two uint64_t: the bytes are the documented pairs. */
    return PyBytes_FromStringAndSize((const char *)words->items, (Py_ssize_t)(words->count * sizeof *words->items));
}

static int targets_from_python(PyObject *sequence, struct ti_ranges *targets)
{
    if (ti_ranges_from_python(sequence, targets) < 0) {
        return -1;
    }
    ti_ranges_normalise(targets);
    return 0;
}

static PyObject *process_result(const struct ti_process_scan *process)
{
    PyObject *words = words_to_python(&process->found);
    PyObject *unreadable = words ? ti_ranges_to_python(&process->unreadable) : NULL;
    if (!unreadable) {
        Py_XDECREF(words);
        return NULL;
    }
    return Py_BuildValue("(NKNK)", words, (unsigned long long)process->found.further, unreadable,
                         (unsigned long long)process->bytes_read);
}

static PyObject *run_process_scan(struct ti_process_scan *process)
{
    int state;
    do {
        Py_BEGIN_ALLOW_THREADS;
        state = ti_process_scan_wave(process);
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    } while (state > 0);
    return state == 0 ? process_result(process)
                      : ti_raise_failure(-state, "cannot scan the memory of process %d", (int)process->tid);
}

static PyObject *scan_process(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"pid", "source_ranges", "target_ranges", "unaligned", "limit", "threads", "portable", NULL};
    int pid, unaligned = 0, threads = 2, portable = 0;
    Py_ssize_t limit = 1 << 20;
    PyObject *source_sequence, *target_sequence;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iOO|$pnip:scan_process", names, &pid, &source_sequence,
                                     &target_sequence, &unaligned, &limit, &threads, &portable)) {
        return NULL;
    }
    if (limit < 0 || threads < 1 || threads > 2) {
        PyErr_SetString(PyExc_ValueError, limit < 0 ? "limit must not be negative" : "threads must be 1 or 2");
        return NULL;
    }
    struct ti_ranges sources = {0}, targets = {0};
    PyObject *result = NULL;
    if (ti_ranges_from_python(source_sequence, &sources) == 0 && targets_from_python(target_sequence, &targets) == 0) {
        struct ti_process_scan process = {
            .scan = {ti_scan_choose(portable), &targets, unaligned},
            .tid = pid,
            .sources = &sources,
            .two_threads = threads == 2,
            .found.limit = (size_t)limit,
        };
        result = run_process_scan(&process);
        ti_process_scan_free(&process);
    }
    ti_ranges_free(&sources);
    ti_ranges_free(&targets);
    return result;
}

static PyObject *run_bytes_scan(const struct ti_scan *scan, const Py_buffer *buffer, uint64_t address, size_t limit)
{
    struct ti_words found = {.limit = limit};
    size_t size = (size_t)buffer->len;
    int error = 0, interrupted = 0;
    for (size_t at = 0; at < size && !error && !interrupted; at += CHUNK_BYTES) {
        size_t starts = size - at < CHUNK_BYTES ? size - at : CHUNK_BYTES;
        Py_BEGIN_ALLOW_THREADS;
        error = ti_scan_block(scan, (const uint8_t *)buffer->buf + at, starts, size - at, address + at, &found);
        Py_END_ALLOW_THREADS;
        interrupted = PyErr_CheckSignals() < 0;
    }
    PyObject *words = error ? PyErr_NoMemory() : interrupted ? NULL : words_to_python(&found);
    PyObject *result = words ? Py_BuildValue("(NK)", words, (unsigned long long)found.further) : NULL;
    ti_words_free(&found);
    return result;
}

static PyObject *scan_bytes(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"buffer", "base_address", "target_ranges", "unaligned", "limit", "portable", NULL};
    int unaligned = 0, portable = 0;
    Py_ssize_t limit = 1 << 20;
    unsigned long long address = 0;
    PyObject *source, *target_sequence;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OO&O|$pnp:scan_bytes", names, &source, ti_address_from_python,
                                     &address, &target_sequence, &unaligned, &limit, &portable)) {
        return NULL;
    }
    if (limit < 0) {
        PyErr_SetString(PyExc_ValueError, "limit must not be negative");
        return NULL;
    }
    struct ti_ranges targets = {0};
    if (targets_from_python(target_sequence, &targets) < 0) {
        return NULL;
    }
    Py_buffer buffer;
    PyObject *result = NULL;
    if (PyObject_GetBuffer(source, &buffer, PyBUF_SIMPLE) == 0) {
        struct ti_scan scan = {ti_scan_choose(portable), &targets, unaligned};
        result = run_bytes_scan(&scan, &buffer, address, (size_t)limit);
        PyBuffer_Release(&buffer);
    }
    ti_ranges_free(&targets);
    return result;
}

PyMethodDef ti_scan_methods[] = {
    {"scan_process", (PyCFunction)(void (*)(void))scan_process, METH_VARARGS | METH_KEYWORDS,
     "scan_process(pid, source_ranges, target_ranges, *, unaligned=False, limit=1048576, threads=2, portable=False)\n"
     "--\n\nEvery word of another process whose value falls into the targets."},
    {"scan_bytes", (PyCFunction)(void (*)(void))scan_bytes, METH_VARARGS | METH_KEYWORDS,
     "scan_bytes(buffer, base_address, target_ranges, *, unaligned=False, limit=1048576, portable=False)\n"
     "--\n\nEvery word of a buffer whose value falls into the targets."},
    {NULL, NULL, 0, NULL},
};
