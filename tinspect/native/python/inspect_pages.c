/* `_inspect.page_states`: the Python face of inspect/pages.c. */
#include "inspect_ranges.h"

#include "pages.h"

#include <stdlib.h>

enum { STEPS_BETWEEN_SIGNALS = 512, MOST_RUNS = 1 << 21 };

struct walk {
    const struct ti_ranges *ranges;
    size_t index;
    uint64_t cursor;
    struct ti_page_runs runs;
};

/* Walks on for a bounded time. Returns 1 while there is more, 0 at the end, -errno. Needs no GIL. */
static int walk_on(const struct ti_pagemap *map, struct walk *walk)
{
    for (int step = 0; step < STEPS_BETWEEN_SIGNALS && walk->index < walk->ranges->count; step++) {
        const struct ti_range *range = &walk->ranges->items[walk->index];
        if (walk->cursor < range->low) {
            walk->cursor = range->low;
        }
        int error = ti_pagemap_step(map, &walk->cursor, range->high, &walk->runs);
        if (error) {
            return error;
        }
        if (walk->cursor >= range->high) {
            walk->index++;
            walk->cursor = 0;
        }
    }
    return walk->index < walk->ranges->count;
}

static PyObject *runs_to_python(const struct ti_page_runs *runs)
{
    PyObject *result = PyTuple_New((Py_ssize_t)runs->count);
    for (size_t index = 0; result && index < runs->count; index++) {
        const struct ti_page_run *run = &runs->items[index];
        PyObject *item =
            Py_BuildValue("(KKI)", (unsigned long long)run->low, (unsigned long long)run->high, run->flags);
        if (!item || PyTuple_SetItem(result, (Py_ssize_t)index, item) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *walk_all(const struct ti_pagemap *map, struct walk *walk, int pid)
{
    int state;
    do {
        Py_BEGIN_ALLOW_THREADS;
        state = walk_on(map, walk);
        if (state == 0) {
            state = ti_pagemap_still_there(map);
        }
        Py_END_ALLOW_THREADS;
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    } while (state > 0);
    return state == 0 ? runs_to_python(&walk->runs)
                      : ti_raise_failure(-state, "reading the page states of process %d", pid);
}

static PyObject *page_states(PyObject *module, PyObject *args, PyObject *keywords)
{
    (void)module;
    static char *names[] = {"pid", "ranges", "use_ioctl", NULL};
    int pid, use_ioctl = 1;
    PyObject *sequence;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "iO|$p", names, &pid, &sequence, &use_ioctl)) {
        return NULL;
    }
    struct ti_ranges ranges;
    if (ti_ranges_from_python(sequence, &ranges) < 0) {
        return NULL;
    }
    struct walk walk = {.ranges = &ranges, .runs = {.limit = MOST_RUNS}};
    struct ti_pagemap map;
    int error = ti_pagemap_open(&map, pid, use_ioctl);
    PyObject *result =
        error ? ti_raise_failure(-error, "opening the page map of process %d", pid) : walk_all(&map, &walk, pid);
    ti_pagemap_close(&map);
    free(walk.runs.items);
    ti_ranges_free(&ranges);
    return result;
}

PyMethodDef ti_pages_methods[] = {
    {"page_states", (PyCFunction)(void (*)(void))page_states, METH_VARARGS | METH_KEYWORDS,
     "page_states(pid, ranges, *, use_ioctl=True)\n--\n\nRuns of pages in equal state, as (low, high, flags)."},
    {NULL, NULL, 0, NULL},
};
