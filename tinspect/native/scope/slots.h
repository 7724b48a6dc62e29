/* What a slot holds behind its public record: the runtime's private part. It lies in the same arena, beyond the fields
 * that the registry's table names. */
#ifndef TI_SLOTS_H
#define TI_SLOTS_H

#include <pthread.h>

#include "arena.h"
#include "tinspect/cell.h"
#include "tinspect/panic.h"
#include "tinspect/scope.h"
#include "tinspect/thread.h"

struct ti_hook;
struct ti_scope_slot;
struct ti_cell_slot;
struct ti_loan_slot;

/* Who may still touch a spawned thread: bits of the low half of ti_thread_slot.fate, whose high half is the slot's
 * generation, so that a stale handle can never claim the slot's next thread. */
enum ti_fate {
    TI_FATE_ENDED = 1u << 0,     /* the thread has stored its outcome */
    TI_FATE_FORGOTTEN = 1u << 1, /* no handle will ask for the result: the thread drops it */
    TI_FATE_CLAIMED = 1u << 2,   /* somebody joins it, and is alone in that */
    TI_FATE_BUSY = 1u << 3,      /* its creator, or who looks whether it has ended, is at it: wait a moment */
    TI_FATE_REAPED = 1u << 4,    /* pthread_join has succeeded; only the outcome is left */
    TI_FATE_GONE = 1u << 5,      /* it did not survive a fork */
};

enum ti_outcome {
    TI_OUTCOME_NONE = 0, /* pthread_exit or cancellation, unless the thread still runs */
    TI_OUTCOME_VALUE = 1,
    TI_OUTCOME_PANIC = 2,
};

struct ti_thread_slot {
    struct ti_thread_record record;
    /* These stay with the slot from thread to thread. */
    struct ti_name_buffer *name_buffer; /* for names that do not fit into the record */
    void *altstack;                     /* usable bytes, the guard page lies below; NULL: none yet */
    /* These belong to one thread. */
    _Atomic(pthread_t) pthread; /* read through handles that may be stale, and proved by the fate */
    ti_thread_function function;
    void *context;
    ti_drop drop_context;
    ti_drop drop_result;
    void *result;
    ti_panics *panics;
    struct ti_hook *hooks;      /* what its own spawns will run */
    struct ti_hook_run *to_run; /* what it runs before its closure */
    struct ti_scope_slot *scope;
    struct ti_thread_slot *next; /* in the scope's list of children; in limbo */
    struct ti_thread_slot *previous;
    _Atomic uint64_t fate;
    enum ti_outcome outcome;
    uint32_t spawn_flags;
};

struct ti_scope_slot {
    struct ti_scope_record record;
    _Atomic uint32_t lock;           /* over the lists below; never reset, so that locking a stale slot is harmless */
    _Atomic uint32_t event;          /* futex: a joiner other than the owner has changed something */
    _Atomic uint32_t waiting;        /* the owner sleeps, or is about to */
    uint32_t lost;                   /* children that a fork took away */
    uint32_t reaped;                 /* children in the list whose thread has been joined early */
    struct ti_thread_slot *children; /* oldest first */
    struct ti_thread_slot *youngest;
    ti_panics *panics;
    struct ti_cell_slot *cells;
};

/* Cells and loans are changed under their scope's lock. `scope` is read before the lock is taken, through handles that
 * may be stale, and proved under it. */
struct ti_cell_slot {
    struct ti_cell_record record;
    _Atomic(struct ti_scope_slot *) scope;
    struct ti_cell_slot *next;
    struct ti_loan_slot *loans;
};

struct ti_loan_slot {
    struct ti_loan_record record;
    _Atomic(struct ti_scope_slot *) scope;
    struct ti_cell_slot *cell;
    struct ti_loan_slot *next;
};

static inline struct ti_thread_slot *ti_thread_slot_of(struct ti_thread_record *record)
{
    return (struct ti_thread_slot *)record;
}

#endif
