/* One method array per concept, each ended by a NULL name; inspect_module.c adds them all to `_inspect`. */
#ifndef TI_INSPECT_METHODS_H
#define TI_INSPECT_METHODS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef ti_capture_methods[];
extern PyMethodDef ti_read_methods[];
extern PyMethodDef ti_pages_methods[];
extern PyMethodDef ti_scan_methods[];
extern PyMethodDef ti_bpf_methods[];
extern PyMethodDef ti_inject_methods[];

/* Adds the constants capture() speaks in. 0, or -1 with an exception set. */
int ti_capture_add_constants(PyObject *module);

#endif
