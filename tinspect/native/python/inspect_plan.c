#include "inspect_plan.h"

#include <errno.h>
#include <stdlib.h>

#include "arch.h"
#include "array.h"
#include "inspect_ranges.h"

/* An item of a plan's array out of one tuple; 0, or -1 with an exception set. */
typedef int (*item_parser)(PyObject *tuple, void *item);

static int parse_items(PyObject *sequence, size_t item_size, item_parser parse, void **items, size_t *count)
{
    *items = NULL;
    *count = 0;
    PyObject *tuple = sequence ? PySequence_Tuple(sequence) : PyTuple_New(0);
    if (!tuple) {
        return -1;
    }
    Py_ssize_t total = PyTuple_Size(tuple);
    *items = calloc((size_t)total + 1, item_size);
    int result = *items ? 0 : (PyErr_NoMemory(), -1);
    for (Py_ssize_t index = 0; result == 0 && index < total; index++) {
        PyObject *fields = PySequence_Tuple(PyTuple_GetItem(tuple, index));
        result = fields ? parse(fields, (char *)*items + *count * item_size) : -1;
        Py_XDECREF(fields);
        (*count)++;
    }
    Py_DECREF(tuple);
    return result;
}

static int parse_fixed(PyObject *tuple, void *item)
{
    struct ti_range *range = item;
    unsigned long long address = 0, size = 0;
    if (!PyArg_ParseTuple(tuple, "O&O&;fixed holds (address, size)", ti_address_from_python, &address,
                          ti_address_from_python, &size)) {
        return -1;
    }
    *range = (struct ti_range){address, address + size < address ? UINT64_MAX : address + size};
    return 0;
}

static int parse_relative(PyObject *tuple, void *item)
{
    struct ti_relative *relative = item;
    long long offset;
    unsigned long long size = 0;
    if (!PyArg_ParseTuple(tuple, "LO&;thread_relative holds (offset, size)", &offset, ti_address_from_python, &size)) {
        return -1;
    }
    *relative = (struct ti_relative){offset, size};
    return 0;
}

static int parse_inner(PyObject *tuple, void *item)
{
    struct ti_inner *inner = item;
    long long offset;
    unsigned long long size = 0;
    if (!PyArg_ParseTuple(tuple, "LO&;the inner blocks of thread_tables are (offset, size)", &offset,
                          ti_address_from_python, &size)) {
        return -1;
    }
    *inner = (struct ti_inner){offset, size};
    return 0;
}

static int parse_table(PyObject *tuple, void *item)
{
    struct ti_table *table = item;
    long long offset;
    unsigned long long count = 0, before = 0, size = 0;
    PyObject *inner = NULL;
    int parsed =
        PyTuple_Size(tuple) == 3
            ? PyArg_ParseTuple(tuple, "LO&O&", &offset, ti_address_from_python, &count, ti_address_from_python, &size)
            : PyArg_ParseTuple(tuple,
                               "LO&O&O&|O;thread_tables holds (offset, count, size), (offset, count, before, "
                               "size) or (offset, count, before, size, inner)",
                               &offset, ti_address_from_python, &count, ti_address_from_python, &before,
                               ti_address_from_python, &size, &inner);
    if (!parsed) {
        return -1;
    }
    if (count > 1U << 20) {
        PyErr_SetString(PyExc_ValueError, "thread_tables: more than 1048576 pointers in one table");
        return -1;
    }
    *table = (struct ti_table){offset, count, before, size, NULL, 0};
    return parse_items(inner, sizeof *table->inner, parse_inner, (void **)&table->inner, &table->inner_count);
}

static int parse_chain(PyObject *tuple, void *item)
{
    struct ti_chain *chain = item;
    unsigned long long record_size = 0, limit = 0;
    long long offset, record_offset, next_offset;
    if (!PyArg_ParseTuple(tuple, "LLO&LO&;thread_chains holds (offset, record_offset, record_size, next_offset, limit)",
                          &offset, &record_offset, ti_address_from_python, &record_size, &next_offset,
                          ti_address_from_python, &limit)) {
        return -1;
    }
    *chain = (struct ti_chain){offset, record_offset, next_offset, record_size, limit};
    return 0;
}

static int parse_register_pointer(PyObject *tuple, void *item)
{
    struct ti_register_pointer *pointer = item;
    unsigned long long offset = 0, before = 0, size = 0;
    if (!PyArg_ParseTuple(tuple, "O&O&O&;register_pointers holds (byte offset of the register, before, size)",
                          ti_address_from_python, &offset, ti_address_from_python, &before, ti_address_from_python,
                          &size)) {
        return -1;
    }
    if (offset > sizeof(ti_arch_registers) - sizeof(uint64_t)) {
        PyErr_SetString(PyExc_ValueError, "register_pointers: no register lies at that byte");
        return -1;
    }
    *pointer = (struct ti_register_pointer){offset, before, size};
    return 0;
}

static int parse_list(PyObject *tuple, void *item)
{
    struct ti_list *list = item;
    unsigned long long head = 0, record_size = 0, limit = 0;
    long long link_offset, record_offset;
    if (!PyArg_ParseTuple(tuple, "O&LLO&O&;lists holds (head, link_offset, record_offset, record_size, limit)",
                          ti_address_from_python, &head, &link_offset, &record_offset, ti_address_from_python,
                          &record_size, ti_address_from_python, &limit)) {
        return -1;
    }
    *list = (struct ti_list){head, link_offset, record_offset, record_size, limit};
    return 0;
}

static int parse_stack_rule(PyObject *rule, struct ti_stack_rule *parsed)
{
    *parsed = (struct ti_stack_rule){.kind = TI_STACK_UNKNOWN};
    if (!rule || rule == Py_None) {
        return 0;
    }
    long long a, b;
    int kind;
    PyObject *tuple = PySequence_Tuple(rule);
    int result =
        tuple && PyArg_ParseTuple(tuple, "LLi;stack_rule is (word_offset_a, word_offset_b, kind)", &a, &b, &kind);
    Py_XDECREF(tuple);
    if (!result) {
        return -1;
    }
    if (kind != 0 && kind != 1) {
        PyErr_Format(PyExc_ValueError, "stack_rule: kind must be 0 (low, size) or 1 (top, size), not %d", kind);
        return -1;
    }
    *parsed = (struct ti_stack_rule){kind == 0 ? TI_STACK_LOW_SIZE : TI_STACK_TOP_SIZE, a, b};
    return 0;
}

static int parse_tids(PyObject *sequence, struct ti_tids *tids)
{
    if (!sequence || sequence == Py_None) {
        return 0;
    }
    PyObject *tuple = PySequence_Tuple(sequence);
    if (!tuple) {
        return -1;
    }
    Py_ssize_t total = PyTuple_Size(tuple);
    int result = 0;
    tids->items = calloc((size_t)total + 1, sizeof *tids->items);
    if (!tids->items) {
        PyErr_NoMemory();
        result = -1;
    } else if (total == 0) {
        PyErr_SetString(PyExc_ValueError, "tids: name at least one thread, or None for all");
        result = -1;
    }
    for (Py_ssize_t index = 0; result == 0 && index < total; index++) {
        long tid = PyLong_AsLong(PyTuple_GetItem(tuple, index));
        result = tid == -1 && PyErr_Occurred() ? -1 : 0;
        tids->items[tids->count++] = (pid_t)tid;
    }
    Py_DECREF(tuple);
    if (result == 0) {
        ti_tids_sort(tids);
    }
    return result;
}

int ti_plan_from_python(const struct ti_plan_arguments *arguments, struct ti_plan *plan)
{
    if (parse_items(arguments->fixed, sizeof *plan->fixed.items, parse_fixed, (void **)&plan->fixed.items,
                    &plan->fixed.count) != 0 ||
        parse_items(arguments->thread_relative, sizeof *plan->relatives, parse_relative, (void **)&plan->relatives,
                    &plan->relative_count) != 0 ||
        parse_items(arguments->thread_tables, sizeof *plan->tables, parse_table, (void **)&plan->tables,
                    &plan->table_count) != 0 ||
        parse_items(arguments->lists, sizeof *plan->lists, parse_list, (void **)&plan->lists, &plan->list_count) != 0 ||
        parse_items(arguments->thread_chains, sizeof *plan->chains, parse_chain, (void **)&plan->chains,
                    &plan->chain_count) != 0 ||
        parse_items(arguments->register_pointers, sizeof *plan->register_pointers, parse_register_pointer,
                    (void **)&plan->register_pointers, &plan->register_pointer_count) != 0 ||
        parse_stack_rule(arguments->stack_rule, &plan->stack_rule) != 0 ||
        parse_tids(arguments->tids, &plan->tids) != 0) {
        return -1;
    }
    return arguments->mappings ? ti_ranges_from_python(arguments->mappings, &plan->mappings) : 0;
}

void ti_plan_free(struct ti_plan *plan)
{
    ti_ranges_free(&plan->fixed);
    ti_ranges_free(&plan->mappings);
    ti_tids_free(&plan->tids);
    free(plan->relatives);
    for (size_t index = 0; index < plan->table_count; index++) {
        free(plan->tables[index].inner);
    }
    free(plan->tables);
    free(plan->lists);
    free(plan->chains);
    free(plan->register_pointers);
    *plan = (struct ti_plan){0};
}
