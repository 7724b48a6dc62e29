/* The records of the registry, exactly as a foreign reader sees them (docs/internals/registry-format.md).
 *
 * Single writer: a record is written by one thread at a time (a thread's own record by that thread; before it runs by
 * its parent, after it was joined by the joiner), between ti_record_begin and ti_record_end. Fields marked "atomic" are
 * written by several threads and stand outside the sequence. All stores are relaxed atomics, so that a reader in the
 * same process is no data race; a reader from outside sees bytes. */
#ifndef TI_RECORD_H
#define TI_RECORD_H

#include <stdatomic.h>
#include <stdint.h>

enum ti_record_kind {
    TI_KIND_THREAD = 1,
    TI_KIND_SCOPE = 2,
    TI_KIND_LOAN = 3,
    TI_KIND_CELL = 4,
    TI_KIND_LOCK = 5,
    TI_KIND_KEY = 6,
    TI_KIND_COUNT = 7,
};

enum ti_thread_state {
    TI_STATE_FREE = 0,
    TI_STATE_STARTING = 1,
    TI_STATE_RUNNING = 2,
    TI_STATE_PARKED = 3,
    TI_STATE_BLOCKED = 4,
    TI_STATE_IN_DESTRUCTORS = 5,
    TI_STATE_FINISHED = 6,
    TI_STATE_TERMINATED = 7,
    TI_STATE_GONE = 8, /* did not survive a fork */
};

enum ti_wait_kind {
    TI_WAIT_NONE = 0,
    TI_WAIT_PARK = 1,
    TI_WAIT_JOIN = 2,  /* address: the joined thread's record */
    TI_WAIT_SCOPE = 3, /* address: the scope's record */
    TI_WAIT_MUTEX = 4, /* this and below: address of the object */
    TI_WAIT_RWLOCK_READ = 5,
    TI_WAIT_RWLOCK_WRITE = 6,
    TI_WAIT_CONDVAR = 7,
    TI_WAIT_ONCE = 8,
    TI_WAIT_BARRIER = 9,
    TI_WAIT_REENTRANT = 10,
    TI_WAIT_SLEEP = 11,
};

enum ti_lock_kind {
    TI_LOCK_MUTEX = 1,
    TI_LOCK_RWLOCK = 2,
    TI_LOCK_CONDVAR = 3,
    TI_LOCK_ONCE = 4,
    TI_LOCK_BARRIER = 5,
    TI_LOCK_REENTRANT = 6,
};

enum ti_scope_phase {
    TI_PHASE_BODY = 1,
    TI_PHASE_JOINING = 2,
    TI_PHASE_DONE = 3,
};

enum ti_thread_flag {
    TI_THREAD_MAIN = 1u << 0,
    TI_THREAD_ADOPTED = 1u << 1,  /* not spawned by the runtime, it only called in */
    TI_THREAD_DETACHED = 1u << 2, /* nobody will join it */
    TI_THREAD_SCOPED = 1u << 3,
    TI_THREAD_PANICKED = 1u << 4,
    TI_THREAD_FOREIGN_ALTSTACK = 1u << 5, /* its alternate stack is not the runtime's */
};

#define TI_NAME_INLINE 64u
#define TI_PANIC_INLINE 96u

/* The head of every record. */
struct ti_slot {
    _Atomic uint32_t sequence;   /* odd while its writer writes */
    _Atomic uint32_t generation; /* one more each time the slot is given out again */
    _Atomic uint64_t id;         /* of this kind, from 1, never reused; 0: the slot is free */
    _Atomic uint32_t link;       /* next free slot + 1; means nothing while the slot is in use */
    _Atomic uint32_t number;     /* this slot's own number */
    _Atomic uint64_t spare;
};

/* A link to another record: follow it only if the slot's generation is still the same. */
struct ti_link {
    _Atomic uint64_t id;
    _Atomic uint32_t slot;
    _Atomic uint32_t generation;
};

struct ti_thread_record {
    struct ti_slot slot;
    _Atomic uint32_t tid;
    _Atomic uint32_t state; /* enum ti_thread_state */
    _Atomic uint64_t pthread;
    struct ti_link parent;
    struct ti_link scope;       /* the scope it was spawned into */
    struct ti_link inner_scope; /* the innermost scope it owns */
    _Atomic uint64_t stack_low;
    _Atomic uint64_t stack_high;
    _Atomic uint64_t guard_low;
    _Atomic uint64_t guard_high;
    _Atomic uint64_t altstack_low;
    _Atomic uint64_t altstack_high;
    _Atomic uint64_t altstack_guard_low;
    _Atomic uint64_t entry;
    _Atomic uint32_t flags;     /* enum ti_thread_flag */
    _Atomic uint32_t wait_kind; /* enum ti_wait_kind */
    _Atomic uint64_t wait_address;
    _Atomic uint64_t wait_since; /* CLOCK_MONOTONIC, ns */
    /* Atomic. The low half is the park state (TI_PARK_*), the high half the slot's generation: an unpark through a
     * stale handle cannot forge a token for the slot's next thread. */
    _Atomic uint64_t parker;
    _Atomic uint32_t finished; /* atomic: 1 once the closure has ended and its outcome stands */
    _Atomic uint32_t panic_length;
    _Atomic uint32_t name_length;
    _Atomic uint32_t name_truncated; /* 1: `name` holds only the beginning, the whole stands at name_address */
    _Atomic uint64_t name_address;
    _Atomic uint64_t spare[3];
    _Atomic char name[TI_NAME_INLINE];
    _Atomic char panic[TI_PANIC_INLINE];
};

enum {
    TI_PARK_PARKED = 0,
    TI_PARK_EMPTY = 1,
    TI_PARK_NOTIFIED = 2,
};

struct ti_scope_record {
    struct ti_slot slot;
    struct ti_link owner;        /* thread */
    struct ti_link parent;       /* scope around it on the same thread, else the scope its owner was spawned into */
    _Atomic uint64_t created_pc; /* where ti_scope_run was called from */
    _Atomic uint64_t frame;      /* frame address of ti_scope_run */
    _Atomic uint32_t phase;      /* enum ti_scope_phase */
    _Atomic uint32_t running;    /* atomic: children whose closure has not ended */
    _Atomic uint32_t unjoined;   /* atomic: children not yet joined, thread-local destructors included */
    _Atomic uint32_t spawned;    /* atomic: children so far */
    _Atomic uint32_t panicked;   /* atomic: children that panicked, and were not joined by hand */
    _Atomic uint32_t closed;     /* atomic */
    _Atomic uint32_t stopped;    /* atomic: its stop token was set */
    _Atomic uint32_t orphaned;   /* its owner did not survive a fork */
    _Atomic uint32_t name_length;
    _Atomic uint32_t flags;
    _Atomic uint64_t spare[3];
    _Atomic char name[TI_NAME_INLINE];
};

struct ti_loan_record {
    struct ti_slot slot;
    struct ti_link cell;
    struct ti_link scope;
    struct ti_link lender;   /* thread */
    struct ti_link borrower; /* thread */
    _Atomic uint64_t low;
    _Atomic uint64_t high;
    _Atomic uint64_t lender_frame; /* frame address of the function that made the cell */
    _Atomic uint64_t taken_pc;
    _Atomic uint32_t exclusive; /* 1: exclusive, 0: shared */
    _Atomic uint32_t spare32;
    _Atomic uint64_t spare[3];
};

struct ti_cell_record {
    struct ti_slot slot;
    struct ti_link scope;
    struct ti_link owner; /* thread */
    _Atomic uint64_t low;
    _Atomic uint64_t high;
    _Atomic uint64_t frame; /* of the function that made it */
    _Atomic uint64_t created_pc;
    _Atomic uint32_t type_flags;
    _Atomic uint32_t name_length;
    _Atomic uint64_t spare[3];
    _Atomic char name[TI_NAME_INLINE]; /* of the type */
};

struct ti_lock_record {
    struct ti_slot slot;
    _Atomic uint64_t address;
    _Atomic uint32_t kind;     /* enum ti_lock_kind */
    _Atomic uint32_t poisoned; /* atomic */
    _Atomic uint64_t owner;    /* atomic: id of the thread that holds it, 0 if none */
    _Atomic uint32_t waiters;  /* atomic */
    _Atomic uint32_t name_length;
    _Atomic uint64_t spare[2];
    _Atomic char name[TI_NAME_INLINE];
};

struct ti_key_record {
    struct ti_slot slot;
    _Atomic uint64_t address; /* of the program's key object */
    _Atomic uint64_t destructor;
    _Atomic uint32_t pthread_key;
    _Atomic uint32_t name_length;
    _Atomic uint64_t spare[2];
    _Atomic char name[TI_NAME_INLINE];
};

/* Plain assignments to _Atomic fields would be sequentially consistent; these say what is meant. */
#define ti_set(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)
#define ti_get(field) atomic_load_explicit(&(field), memory_order_relaxed)

/* The writer's side of a sequence lock. The release fence keeps the odd number ahead of the body, the release store
 * keeps the body ahead of the even one; on x86 both are plain stores. */
static inline void ti_record_begin(struct ti_slot *slot)
{
    ti_set(slot->sequence, ti_get(slot->sequence) + 1);
    atomic_thread_fence(memory_order_release);
}

static inline void ti_record_end(struct ti_slot *slot)
{
    atomic_store_explicit(&slot->sequence, ti_get(slot->sequence) + 1, memory_order_release);
}

#endif
