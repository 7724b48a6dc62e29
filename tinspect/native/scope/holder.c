/* Who holds a lock alone: naming, poison, misuse. */
#include "holder.h"

/* Marks are changed by the holder, but ti_forget_poison may be called by anyone: hence the atomic read-modify-writes.
 */
static void mark(ti_holder *holder, uint32_t marks)
{
    atomic_fetch_or_explicit(&holder->marks, marks, memory_order_relaxed);
}

static void unmark(ti_holder *holder, uint32_t marks)
{
    atomic_fetch_and_explicit(&holder->marks, ~marks, memory_order_relaxed);
}

__attribute__((noinline, cold)) ti_status ti_hold_slowly(ti_holder *holder, const void *caller)
{
    uint64_t id = ti_current_id();
    ti_set(holder->owner, id);
    ti_set(holder->site, (uintptr_t)caller);
    if (holder->record != NULL) {
        ti_set(holder->record->owner, id);
    }
    if (ti_is_unwinding()) {
        mark(holder, TI_MARK_UNWINDING);
    }
    return ti_is_poisoned(holder) ? TI_EPOISONED : TI_OK;
}

/* A panic that was under way already when the lock was taken says nothing about what the lock protects. */
__attribute__((noinline, cold)) void ti_let_go_slowly(ti_holder *holder)
{
    bool was_unwinding = (ti_get(holder->marks) & TI_MARK_UNWINDING) != 0;
    unmark(holder, TI_MARK_UNWINDING);
    if (ti_is_unwinding() && !was_unwinding) {
        mark(holder, TI_MARK_POISONED);
    }
    if (holder->record != NULL) {
        ti_set(holder->record->poisoned, ti_is_poisoned(holder));
        ti_set(holder->record->owner, 0);
    }
}

bool ti_suspend_hold(ti_holder *holder)
{
    bool was_unwinding = (ti_get(holder->marks) & TI_MARK_UNWINDING) != 0;
    unmark(holder, TI_MARK_UNWINDING);
    if (holder->record != NULL) {
        ti_set(holder->record->owner, 0);
    }
    ti_set(holder->owner, 0);
    return was_unwinding;
}

ti_status ti_resume_hold(ti_holder *holder, bool was_unwinding, const void *caller)
{
    ti_status status = ti_hold(holder, caller);
    if (was_unwinding) {
        mark(holder, TI_MARK_UNWINDING);
    } else {
        unmark(holder, TI_MARK_UNWINDING);
    }
    return status;
}

void ti_forget_poison(ti_holder *holder)
{
    unmark(holder, TI_MARK_POISONED);
    if (holder->record != NULL) {
        ti_set(holder->record->poisoned, 0);
    }
}

ti_status ti_holder_name(ti_holder *holder, const void *lock, enum ti_lock_kind kind, const char *name)
{
    ti_status status = ti_lock_name(&holder->record, lock, kind, name);
    if (holder->record != NULL) {
        mark(holder, TI_MARK_NAMED);
    }
    return status;
}

void ti_holder_unname(ti_holder *holder)
{
    unmark(holder, TI_MARK_NAMED);
    ti_lock_unname(&holder->record);
}

ti_status ti_holder_misuse(const ti_holder *holder, ti_status status, const char *what, const void *lock,
                           const void *caller)
{
    uint64_t owner = ti_get(holder->owner);
    return ti_lock_misuse(status, what, lock, owner, caller, owner != 0 ? ti_get(holder->site) : 0);
}
