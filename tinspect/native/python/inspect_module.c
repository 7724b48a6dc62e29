/* `tinspect.native._inspect`: puts the method arrays of every concept into one abi3 module. */
#include "inspect_methods.h"

static PyMethodDef *const METHOD_ARRAYS[] = {
    ti_capture_methods, ti_read_methods, ti_pages_methods, ti_scan_methods, ti_bpf_methods, ti_inject_methods,
};

static int fill_module(PyObject *module)
{
    for (size_t index = 0; index < sizeof METHOD_ARRAYS / sizeof *METHOD_ARRAYS; index++) {
        if (PyModule_AddFunctions(module, METHOD_ARRAYS[index]) < 0) {
            return -1;
        }
    }
    return ti_capture_add_constants(module);
}

static PyModuleDef_Slot SLOTS[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static PyModuleDef DEFINITION = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_inspect",
    .m_doc = "Stops, reads and scans another process. Hands over ints, bytes and tuples; knows nothing of tinspect.",
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__inspect(void);

PyMODINIT_FUNC PyInit__inspect(void)
{
    return PyModuleDef_Init(&DEFINITION);
}
