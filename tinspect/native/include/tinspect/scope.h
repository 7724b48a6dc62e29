/* Scopes: threads that end before the scope does, and so may use what their owner's stack lends them. */
#ifndef TINSPECT_SCOPE_H
#define TINSPECT_SCOPE_H

#include "tinspect/base.h"
#include "tinspect/panic.h"
#include "tinspect/thread.h"

TI_BEGIN_DECLS

enum {
    /* A child that panics closes the scope and sets its stop token. */
    TI_SCOPE_FAIL_FAST = 1u << 0,
};

typedef void *(*ti_scope_body)(ti_scope scope, void *context);

/* Runs body(scope, context) and returns after every thread spawned into the scope has ended, thread-local destructors
 * included. TI_OK: *result (may be NULL) is the body's value. TI_EPANIC: *panics holds the body's panic first, then
 * those of the children that nobody joined by hand; if `panics` is NULL they go on unwinding in the caller. TI_EGONE:
 * this process is a fork's child, and children of the scope did not come along. TI_ENOMEM: no scope, the body did not
 * run. Leaving the body by an exception or by cancellation joins too; leaving it by longjmp is fatal. */
TI_API ti_status ti_scope_run(const char *name, uint32_t flags, ti_scope_body body, void *context, void **result,
                              ti_panics **panics);

/* The two halves, for languages that bring their own blocks. `frame` must stay where it is until the leave; the thread
 * that entered leaves, in reverse order (else the process ends: a scope was left without its join). */
typedef struct ti_scope_frame {
    void *state[8];
} ti_scope_frame;
TI_API ti_status ti_scope_enter(const char *name, uint32_t flags, ti_scope_frame *frame, ti_scope *scope);
/* Joins everything; no cancellation point. TI_OK, TI_EPANIC with the children's panics (NULL: freed), TI_EGONE. */
TI_API ti_status ti_scope_leave(ti_scope_frame *frame, ti_panics **panics);

/* Refuses new spawns from now on. TI_ESTALE when the scope has ended. */
TI_API ti_status ti_scope_close(ti_scope scope);

/* The stop token: a request that threads look at when it suits them. */
TI_API ti_status ti_scope_stop(ti_scope scope);
TI_API bool ti_scope_is_stopped(ti_scope scope);
/* Sleeps until the token is set (TI_ESTOPPED), or the deadline (TI_ETIMEDOUT). */
TI_API ti_status ti_scope_wait_stop(ti_scope scope, ti_deadline deadline);

typedef struct ti_scope_info {
    size_t size; /* sizeof(ti_scope_info), set by the caller */
    uint64_t id;
    ti_thread owner;
    uint32_t spawned;  /* so far */
    uint32_t running;  /* whose function has not ended */
    uint32_t unjoined; /* whose thread has not ended, or was not looked at yet */
    uint32_t panicked;
    bool closed, stopped;
} ti_scope_info;
TI_API ti_status ti_scope_describe(ti_scope scope, ti_scope_info *info);

TI_END_DECLS

#endif
