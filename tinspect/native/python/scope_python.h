/* What the files of `tinspect.native._scope` share. Everything here runs with the GIL held unless it says otherwise. */
#ifndef TI_SCOPE_PYTHON_H
#define TI_SCOPE_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "tinspect/cell.h"
#include "tinspect/scope.h"
#include "tinspect/sync.h"

struct scope_loan;

/* The module's state. */
struct scope_module {
    PyObject *error;          /* ScopeError */
    PyObject *borrow_error;   /* BorrowError, one of them */
    PyTypeObject *frame_type; /* Frame */
    PyTypeObject *child_type; /* Child */
    PyTypeObject *loan_type;  /* Loan */
    bool reports_overflows;   /* the runtime's handler was asked for: new threads get an alternate stack for it */
    struct scope_loan *lent;  /* every loan that has not ended: memory is lent in a process, not in a scope */
};

struct scope_module *ti_scope_module_of(PyObject *object);

/* One scope. The runtime points into it from entering to leaving, and it holds a reference to itself meanwhile. */
struct scope_frame {
    PyObject_HEAD;
    ti_scope_frame frame;
    ti_scope scope;
    uint64_t owner; /* id of the thread that entered */
    bool entered;
};

/* One thread of a scope. The thread itself holds a reference until its function has ended. */
struct scope_child {
    PyObject_HEAD;
    ti_thread thread;
    PyObject *call;      /* what it runs; NULL once it began */
    PyObject *arguments; /* a tuple */
    PyObject *result;    /* until a join takes it */
    PyObject *exception; /* what it raised */
};

/* A buffer lent to a scope. `source` is held as long as the loan lives or somebody still has a view of it. */
struct scope_loan {
    PyObject_HEAD;
    Py_buffer source;
    ti_cell cell;
    ti_loan loan;
    PyObject *where; /* str: where it was taken */
    Py_ssize_t views;
    bool writable;
    bool alive;
    struct scope_loan *next; /* in scope_module.lent */
};

extern PyType_Spec ti_frame_spec;
extern PyType_Spec ti_child_spec;
extern PyType_Spec ti_loan_spec;

/* What a child is to run, and the loans (a tuple of Loan) that move to it. */
struct scope_task {
    PyObject *call;
    PyObject *arguments;
    PyObject *loans;
};

/* Spawns a thread that runs call(*arguments). It has its loans before it can run any Python: the GIL is not let go in
 * between, as it may be between any two instructions of the interpreter. */
PyObject *ti_child_spawn(struct scope_module *module, ti_scope scope, const struct scope_task *task,
                         const ti_spawn_options *options);

/* Does a tuple hold loans and nothing else? False: an exception is set. */
bool ti_loans_are_loans(const struct scope_module *module, PyObject *loans);
/* Hands every loan of the tuple to `receiver`; the first refusal ends it. */
ti_status ti_loans_give(PyObject *loans, ti_thread receiver);

/* Takes the exception that is set, with its traceback. */
PyObject *ti_take_exception(void);

/* Turns the panics of a scope into a tuple of the exceptions that its children raised; frees the chain. */
PyObject *ti_child_exceptions(ti_panics *panics);

/* Raises what stands for `status`: MemoryError, TimeoutError, BorrowError or ScopeError. Always NULL. */
PyObject *ti_scope_raise(struct scope_module *module, ti_status status, const char *what);

/* Reads a timeout in seconds (None: for ever). False: an exception is set. */
bool ti_scope_deadline(PyObject *timeout, ti_deadline *deadline);

/* How long to wait before looking for signals again: in the main thread a wait comes in slices, so that Ctrl-C is
 * served. */
ti_deadline ti_scope_slice(ti_deadline deadline);

#endif
