/* A capture plan out of Python arguments. */
#ifndef TI_INSPECT_PLAN_H
#define TI_INSPECT_PLAN_H

#include "inspect_methods.h"

#include "plan.h"

/* The sequences of capture()'s keywords, borrowed; NULL where one was not given. */
struct ti_plan_arguments {
    PyObject *fixed, *thread_relative, *thread_tables, *lists, *thread_chains, *register_pointers, *stack_rule,
        *mappings, *tids;
};

/* Fills the arrays of `plan`. -1 with an exception set; ti_plan_free in either case. */
int ti_plan_from_python(const struct ti_plan_arguments *arguments, struct ti_plan *plan);
void ti_plan_free(struct ti_plan *plan);

#endif
