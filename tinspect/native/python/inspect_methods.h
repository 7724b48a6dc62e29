/* One method array per concept, each ended by a NULL name; inspect_module.c adds them all to `_inspect`. */
#ifndef TI_INSPECT_METHODS_H
#define TI_INSPECT_METHODS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef ti_read_methods[];
extern PyMethodDef ti_pages_methods[];
extern PyMethodDef ti_scan_methods[];

#endif
