/* What the Python faces share: ranges out of tuples, and OSError with words of our own. */
#ifndef TI_INSPECT_RANGES_H
#define TI_INSPECT_RANGES_H

#include "inspect_methods.h"

#include "ranges.h"

/* An "O&" converter to unsigned long long that refuses what isn't an address (negative, over 64 bits). */
int ti_address_from_python(PyObject *value, void *address);

/* Fills `ranges` from a sequence of (low, high) pairs of ints; ValueError where low > high. The caller frees it with
 * ti_ranges_free. */
int ti_ranges_from_python(PyObject *sequence, struct ti_ranges *ranges);

/* A tuple of (low, high) pairs. */
PyObject *ti_ranges_to_python(const struct ti_ranges *ranges);

/* Raises OSError(error, "what: why"), of the subclass Python keeps for that errno; returns NULL. */
PyObject *ti_raise_failure(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For ti_worker_run: runs Python's signal handlers meanwhile; nonzero when one raised (Ctrl-C). `context` is the
 * address of the PyThreadState* that PyEval_SaveThread returned. */
int ti_attend_signals(void *context);

#endif
