/* A scope's children: counted in by the parent, counted out by themselves, joined by the owner or by hand. */
#include "children.h"

#include <pthread.h>

#include "catching.h"
#include "current.h"
#include "fate.h"
#include "word_lock.h"

/* Ended threads that keep their stacks until somebody joins them: from this many on, spawning looks after them. */
enum {
    UNREAPED = 8,
    LOOKED_AT = 32,
};

static void append(struct ti_scope_slot *scope, struct ti_thread_slot *child)
{
    child->next = NULL;
    child->previous = scope->youngest;
    *(scope->youngest == NULL ? &scope->children : &scope->youngest->next) = child;
    scope->youngest = child;
}

static void unlink_child(struct ti_scope_slot *scope, struct ti_thread_slot *child)
{
    *(child->previous == NULL ? &scope->children : &child->previous->next) = child->next;
    *(child->next == NULL ? &scope->youngest : &child->next->previous) = child->previous;
}

/* Both under the scope's lock, so that the owner, who ends the scope under it, cannot end it in between. */
static void count_out(struct ti_scope_slot *scope, struct ti_thread_slot *child)
{
    unlink_child(scope, child);
    if ((ti_fate_of(child) & TI_FATE_REAPED) != 0) {
        scope->reaped--;
    }
    atomic_fetch_sub_explicit(&scope->record.unjoined, 1, memory_order_relaxed);
}

/* Tells the owner, if it sleeps, that the list of children is worth another look. Unlocks. */
static void tell_owner(struct ti_scope_slot *scope)
{
    atomic_fetch_add_explicit(&scope->event, 1, memory_order_relaxed);
    bool sleeps = ti_get(scope->waiting) != 0;
    ti_word_unlock(&scope->lock);
    if (sleeps) {
        ti_futex_wake_all(&scope->event);
    }
}

/* The thread may have ended for good: then its stack is given back now, and a forgotten one's slot as well. */
static void reap(struct ti_scope_slot *scope, struct ti_thread_slot *child)
{
    uint32_t generation = ti_get(child->record.slot.generation);
    uint32_t fate = ti_fate_of(child);
    uint32_t busy = TI_FATE_CLAIMED | TI_FATE_BUSY | TI_FATE_REAPED | TI_FATE_GONE;
    if ((fate & TI_FATE_ENDED) == 0 || (fate & busy) != 0 ||
        !ti_fate_set(child, generation, TI_FATE_BUSY, busy, &fate)) {
        return;
    }
    if (pthread_tryjoin_np(ti_get(child->pthread), NULL) != 0) {
        ti_fate_clear(child, TI_FATE_BUSY); /* its destructors still run */
        return;
    }
    ti_record_begin(&child->record.slot);
    ti_set(child->record.state, child->outcome == TI_OUTCOME_NONE ? TI_STATE_TERMINATED : TI_STATE_FINISHED);
    ti_record_end(&child->record.slot);
    if ((fate & TI_FATE_FORGOTTEN) == 0) {
        scope->reaped++;
        atomic_fetch_or_explicit(&child->fate, TI_FATE_REAPED, memory_order_release);
        ti_fate_clear(child, TI_FATE_BUSY);
        return;
    }
    scope->panics = ti_panics_append(scope->panics, child->panics);
    count_out(scope, child);
    ti_thread_slot_release(child);
}

static void reap_some(struct ti_scope_slot *scope)
{
    uint32_t unjoined = ti_get(scope->record.unjoined);
    uint32_t running = ti_get(scope->record.running);
    if (unjoined - running - scope->reaped < UNREAPED) {
        return;
    }
    for (int i = 0; i < LOOKED_AT && scope->children != NULL; i++) {
        struct ti_thread_slot *oldest = scope->children;
        struct ti_thread_slot *second = oldest->next;
        reap(scope, oldest);
        if (scope->children == oldest && second != NULL) {
            /* To the end of the list: the next look begins with the others. */
            unlink_child(scope, oldest);
            append(scope, oldest);
        }
    }
}

ti_status ti_scope_admit(ti_scope handle, struct ti_thread_slot *child)
{
    struct ti_scope_slot *scope = child->scope;
    ti_word_lock(&scope->lock);
    /* Under the lock: the owner ends a scope under it too, so what is alive now stays so until it is unlocked. */
    bool alive = ti_slot_find(TI_KIND_SCOPE, handle.id, handle.slot, handle.generation) == &scope->record.slot &&
                 ti_get(scope->record.phase) != TI_PHASE_DONE;
    ti_status status = TI_OK;
    if (!alive) {
        status = TI_ESTALE;
    } else if (ti_get(scope->record.closed) != 0) {
        status = TI_ECLOSED;
    } else if (ti_get(scope->record.unjoined) == UINT32_MAX) {
        status = TI_EOVERFLOW;
    }
    if (status != TI_OK) {
        ti_word_unlock(&scope->lock);
        return status;
    }
    reap_some(scope);
    /* relaxed: the lock orders them before the owner's look, pthread_create before the child's. */
    atomic_fetch_add_explicit(&scope->record.running, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&scope->record.unjoined, 1, memory_order_relaxed);
    append(scope, child);
    return TI_OK;
}

static void lower_running(struct ti_scope_slot *scope)
{
    /* release: all that the child did with borrowed memory happens before the owner sees the lower count. Sequentially
     * consistent, because "lower, then look for a sleeper" stands against the owner's "say so, then look at the count".
     * Nothing borrowed is touched from here on: the words below are in the arena, which is never unmapped, and a wake
     * for a scope that has ended meanwhile is at worst one that the slot's next owner shrugs off. */
    if (atomic_fetch_sub_explicit(&scope->record.running, 1, memory_order_seq_cst) == 1 &&
        atomic_load_explicit(&scope->waiting, memory_order_seq_cst) != 0) {
        ti_futex_wake_all(&scope->record.running);
    }
}

void ti_scope_admitted(struct ti_thread_slot *child, bool created)
{
    struct ti_scope_slot *scope = child->scope;
    if (created) {
        atomic_fetch_add_explicit(&scope->record.spawned, 1, memory_order_relaxed);
        ti_word_unlock(&scope->lock);
        return;
    }
    count_out(scope, child);
    lower_running(scope);
    tell_owner(scope);
}

void ti_scope_child_ended(struct ti_thread_slot *child)
{
    struct ti_scope_slot *scope = child->scope;
    if (child->outcome == TI_OUTCOME_PANIC) {
        atomic_fetch_add_explicit(&scope->record.panicked, 1, memory_order_relaxed);
        if ((ti_get(scope->record.flags) & TI_SCOPE_FAIL_FAST) != 0) {
            atomic_store_explicit(&scope->record.closed, 1, memory_order_release);
            atomic_store_explicit(&scope->record.stopped, 1, memory_order_release);
            ti_futex_wake_all(&scope->record.stopped);
        }
    }
    lower_running(scope);
}

void ti_scope_child_joined(struct ti_thread_slot *child, ti_panics *unclaimed)
{
    struct ti_scope_slot *scope = child->scope;
    bool by_hand = child->outcome == TI_OUTCOME_PANIC && unclaimed == NULL;
    ti_word_lock(&scope->lock);
    count_out(scope, child);
    scope->panics = ti_panics_append(scope->panics, unclaimed);
    if (by_hand) {
        atomic_fetch_sub_explicit(&scope->record.panicked, 1, memory_order_relaxed);
    }
    tell_owner(scope);
    ti_thread_slot_release(child);
}

void ti_scope_child_released(struct ti_scope_slot *scope)
{
    ti_word_lock(&scope->lock);
    tell_owner(scope);
}

void ti_scope_after_fork(struct ti_scope_slot *scope, struct ti_thread_record *survivor)
{
    /* Whoever held the lock is gone; so is whoever slept. */
    ti_set(scope->lock, 0);
    ti_set(scope->waiting, 0);
    if (ti_get(scope->record.slot.id) == 0) {
        return;
    }
    if (survivor != NULL && ti_get(scope->record.owner.id) == ti_get(survivor->slot.id)) {
        /* Its children are all gone: its leave counts them as lost instead of waiting for ever. */
        ti_set(scope->record.running, 0);
        return;
    }
    ti_record_begin(&scope->record.slot);
    ti_set(scope->record.orphaned, 1);
    ti_set(scope->record.closed, 1);
    ti_record_end(&scope->record.slot);
    /* Its list may have been in the middle of a change. Nobody will walk it again. */
    scope->children = NULL;
    scope->youngest = NULL;
}
