/* The bond between a scope and its children. */
#ifndef TI_CHILDREN_H
#define TI_CHILDREN_H

#include "slots.h"

/* Counts `child` in and holds the scope's lock until ti_scope_admitted: nobody may join a thread that is only half
 * created. TI_ESTALE, TI_ECLOSED, TI_EOVERFLOW: nothing was done. */
ti_status ti_scope_admit(ti_scope scope, struct ti_thread_slot *child);
/* The thread exists, or (`created` false) it does not and is counted out again. */
void ti_scope_admitted(struct ti_thread_slot *child, bool created);

/* Called by the child, as its very last use of the scope: its closure has ended and nothing borrowed is in use. */
void ti_scope_child_ended(struct ti_thread_slot *child);

/* Called by who has claimed and joined the child: takes it out of the scope and gives its slot back. A panic in
 * `unclaimed` becomes the scope's. */
void ti_scope_child_joined(struct ti_thread_slot *child, ti_panics *unclaimed);

/* Called by who claimed the child and gave up. */
void ti_scope_child_released(struct ti_scope_slot *scope);

/* Fatal if a scope of the calling thread was left by longjmp: `here` is a frame that must lie inside of it. */
void ti_scope_check_frames(uintptr_t here);

/* Around fork: the lists of the scopes that the calling thread owns stand still. */
void ti_scopes_freeze(void);
void ti_scopes_thaw(void);

/* Called in a fork's child, by its only thread, for the scope it owns or lost. */
void ti_scope_after_fork(struct ti_scope_slot *scope, struct ti_thread_record *survivor);

#endif
