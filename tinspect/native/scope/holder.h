/* Who holds a lock alone: the part that mutex, reader-writer lock and reentrant lock share.
 *
 * The hot halves are inline and touch as little as they can: each store that is still in flight delays the atomic
 * exchange that unlocks. So everything out of the ordinary is one word of marks, looked at once, and left to the slow
 * halves. */
#ifndef TI_HOLDER_H
#define TI_HOLDER_H

#include "tinspect/sync.h"
#include "waiting.h"

ti_status ti_hold_slowly(ti_holder *holder, const void *caller);
void ti_let_go_slowly(ti_holder *holder);

/* The caller holds the lock from now on. TI_OK or TI_EPOISONED. Relaxed: the owner is only ever compared with one's own
 * id, which no other thread stores, or shown. */
static inline ti_status ti_hold(ti_holder *holder, const void *caller)
{
    struct ti_thread_record *self = ti_local.record;
    if (TI_UNLIKELY(self == NULL)) {
        return ti_hold_slowly(holder, caller);
    }
    ti_set(holder->owner, ti_get(self->slot.id));
    if (TI_UNLIKELY((ti_get(holder->marks) | ti_local.panic_count) != 0 || ti_get(holder->site) != (uintptr_t)caller)) {
        return ti_hold_slowly(holder, caller);
    }
    return TI_OK;
}

/* Does the calling thread hold it? A thread without a record has never held anything. */
static inline bool ti_is_mine(const ti_holder *holder)
{
    struct ti_thread_record *self = ti_local.record;
    return self != NULL && ti_get(holder->owner) == ti_get(self->slot.id);
}

/* Must ti_let_go_slowly be called when letting go? */
static inline bool ti_is_out_of_the_ordinary(const ti_holder *holder)
{
    return (ti_get(holder->marks) | ti_local.panic_count) != 0;
}

/* The caller is about to give the lock back. */
static inline void ti_let_go(ti_holder *holder)
{
    if (TI_UNLIKELY(ti_is_out_of_the_ordinary(holder))) {
        ti_let_go_slowly(holder);
    }
    ti_set(holder->owner, 0);
}

/* Lets go for the time of a wait, which is part of the same critical section: never poisons. Answers what
 * ti_resume_hold is to restore. */
bool ti_suspend_hold(ti_holder *holder);
ti_status ti_resume_hold(ti_holder *holder, bool was_unwinding, const void *caller);

static inline bool ti_is_poisoned(const ti_holder *holder)
{
    return (ti_get(holder->marks) & TI_MARK_POISONED) != 0;
}
void ti_forget_poison(ti_holder *holder);

/* Enters the lock into the registry when it has a name, and takes it out again. */
ti_status ti_holder_name(ti_holder *holder, const void *lock, enum ti_lock_kind kind, const char *name);
void ti_holder_unname(ti_holder *holder);

/* Misuse of `lock` by the caller: says who holds it and since where. */
ti_status ti_holder_misuse(const ti_holder *holder, ti_status status, const char *what, const void *lock,
                           const void *caller);

#endif
