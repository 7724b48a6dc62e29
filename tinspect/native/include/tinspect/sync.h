/* Parking, and the locks of the runtime. All are plain memory: zero bytes (TI_..._INIT) are a free, unnamed one, and
 * nothing has to be destroyed unless it was named. All names an `init` takes are kept by the registry up to 63 bytes.
 *
 * Poison: a lock whose holder begins to panic while it holds it answers TI_EPOISONED from then on. The lock is taken
 * all the same: the caller decides whether the data can be trusted, and unlocks.
 *
 * Misuse (relock, wrong owner, unlocking what is free, destroying what is held) is always noticed and answered with a
 * status; the checked mode (tinspect/base.h) also says who and where. */
#ifndef TINSPECT_SYNC_H
#define TINSPECT_SYNC_H

#include "tinspect/base.h"

/* C++ has no _Atomic; the layout is the same, and only the library touches the fields. */
#ifdef __cplusplus
#define TI_ATOMIC(type) type
#define TI_ZEROED                                                                                                      \
    {                                                                                                                  \
    }
#else
#define TI_ATOMIC(type) _Atomic(type)
#define TI_ZEROED {0}
#endif

TI_BEGIN_DECLS

struct ti_lock_record; /* a named lock's entry in the registry */

/* ---- Parking: each thread has one token, which it waits for and anyone may give. Tokens do not add up. ---- */

/* Waits for the token and takes it. What happened before the ti_unpark that gave it is seen after. */
TI_API void ti_park(void);
/* The same until `deadline`: TI_ETIMEDOUT when no token came. */
TI_API ti_status ti_park_until(ti_deadline deadline);
/* Gives `thread` its token. TI_ESTALE when it is gone. */
TI_API ti_status ti_unpark(ti_thread thread);

/* ---- What the locks below know about the thread that holds them alone ---- */

enum {
    TI_MARK_POISONED = 1u << 0,
    TI_MARK_UNWINDING = 1u << 1, /* the holder was unwinding already when it took the lock */
    TI_MARK_NAMED = 1u << 2,     /* it has a record */
};
typedef struct ti_holder {
    TI_ATOMIC(uint32_t) marks; /* TI_MARK_*: what is out of the ordinary */
    uint32_t spare;
    TI_ATOMIC(uint64_t) owner;     /* the holder's thread id, 0 when there is none */
    TI_ATOMIC(uintptr_t) site;     /* the code address the lock was last taken from */
    struct ti_lock_record *record; /* NULL: unnamed */
} ti_holder;

/* ---- Mutex ---- */

typedef struct ti_mutex {
    TI_ATOMIC(uint32_t) state; /* 0 free, 1 held, 2 held and someone may sleep */
    uint32_t spare;
    ti_holder holder;
} ti_mutex;
#define TI_MUTEX_INIT TI_ZEROED

/* Names the lock in the registry; `name` may be NULL. TI_ENOMEM leaves a working lock without a record. */
TI_API ti_status ti_mutex_init(ti_mutex *mutex, const char *name);
/* TI_EBUSY when it is held: nothing was done then. */
TI_API ti_status ti_mutex_destroy(ti_mutex *mutex);
/* TI_OK and TI_EPOISONED: the caller holds it. TI_EDEADLK: the caller held it already. */
TI_API ti_status ti_lock(ti_mutex *mutex);
/* As ti_lock, or TI_EBUSY at once. */
TI_API ti_status ti_try_lock(ti_mutex *mutex);
/* As ti_lock, or TI_ETIMEDOUT. */
TI_API ti_status ti_lock_until(ti_mutex *mutex, ti_deadline deadline);
/* TI_EPERM when the caller does not hold it. Poisons when a panic began since the caller took it. */
TI_API ti_status ti_unlock(ti_mutex *mutex);
TI_API bool ti_mutex_is_poisoned(const ti_mutex *mutex);
TI_API void ti_mutex_clear_poison(ti_mutex *mutex);
/* The holder's thread id, 0 when free. A hint unless the caller holds it. */
TI_API uint64_t ti_mutex_owner(const ti_mutex *mutex);

/* A lock for the rest of the block, given back by every way out of it, a panic included (compile with -fexceptions):
 *     TI_LOCK_GUARD(guard, &mutex);
 *     if (guard.status == TI_EPOISONED) …
 * A guard whose status is neither TI_OK nor TI_EPOISONED holds nothing. */
typedef struct ti_lock_guard {
    ti_mutex *mutex;
    ti_status status;
} ti_lock_guard;

static inline ti_lock_guard ti_lock_guard_begin(ti_mutex *mutex)
{
    ti_lock_guard guard = {mutex, ti_lock(mutex)};
    return guard;
}

static inline void ti_lock_guard_end(ti_lock_guard *guard)
{
    if (guard->status == TI_OK || guard->status == TI_EPOISONED) {
        ti_unlock(guard->mutex);
    }
}
#define TI_LOCK_GUARD(guard, mutex)                                                                                    \
    ti_lock_guard guard __attribute__((cleanup(ti_lock_guard_end))) = ti_lock_guard_begin(mutex)

/* ---- Reader-writer lock: waiting writers go before new readers. Only a writer's panic poisons. ---- */

typedef struct ti_rwlock {
    TI_ATOMIC(uint32_t) state;   /* readers or "written", and who waits */
    TI_ATOMIC(uint32_t) writers; /* counts up each time a writer is to wake */
    ti_holder holder;            /* the writer */
} ti_rwlock;
#define TI_RWLOCK_INIT TI_ZEROED

TI_API ti_status ti_rwlock_init(ti_rwlock *lock, const char *name);
TI_API ti_status ti_rwlock_destroy(ti_rwlock *lock);
/* TI_OK, TI_EPOISONED: held for reading. TI_EDEADLK: the caller is the writer. TI_EOVERFLOW: a billion readers. A
 * thread that reads already may wait for ever behind a writer: reading is not recursive. */
TI_API ti_status ti_rwlock_read(ti_rwlock *lock);
TI_API ti_status ti_rwlock_try_read(ti_rwlock *lock);
TI_API ti_status ti_rwlock_read_until(ti_rwlock *lock, ti_deadline deadline);
TI_API ti_status ti_rwlock_read_unlock(ti_rwlock *lock);
TI_API ti_status ti_rwlock_write(ti_rwlock *lock);
TI_API ti_status ti_rwlock_try_write(ti_rwlock *lock);
TI_API ti_status ti_rwlock_write_until(ti_rwlock *lock, ti_deadline deadline);
TI_API ti_status ti_rwlock_write_unlock(ti_rwlock *lock);
/* From writing to reading with no writer in between. TI_EPERM when the caller is not the writer. */
TI_API ti_status ti_rwlock_downgrade(ti_rwlock *lock);
TI_API bool ti_rwlock_is_poisoned(const ti_rwlock *lock);
TI_API void ti_rwlock_clear_poison(ti_rwlock *lock);

/* ---- Condition variable: wake-ups may be spurious. ---- */

typedef struct ti_condvar {
    TI_ATOMIC(uint32_t) sequence; /* changes with every notification */
    uint32_t spare;
    struct ti_lock_record *record;
} ti_condvar;
#define TI_CONDVAR_INIT TI_ZEROED

typedef bool (*ti_condition)(void *context);

TI_API ti_status ti_condvar_init(ti_condvar *condvar, const char *name);
TI_API ti_status ti_condvar_destroy(ti_condvar *condvar);
/* Gives `mutex` back, waits, takes it again. Answers like ti_lock; TI_EPERM when the caller does not hold it. */
TI_API ti_status ti_condvar_wait(ti_condvar *condvar, ti_mutex *mutex);
/* The same until `deadline`; `timed_out` (may be NULL) says whether it passed. The mutex is held again in either case.
 */
TI_API ti_status ti_condvar_wait_until(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline, bool *timed_out);
/* Waits as long as `condition` (called with the mutex held) is true. A poisoned mutex ends the wait early. */
TI_API ti_status ti_condvar_wait_while(ti_condvar *condvar, ti_mutex *mutex, ti_condition condition, void *context);
/* `timed_out`: the deadline passed and the condition was still true. */
TI_API ti_status ti_condvar_wait_while_until(ti_condvar *condvar, ti_mutex *mutex, ti_deadline deadline,
                                             ti_condition condition, void *context, bool *timed_out);
TI_API void ti_condvar_notify_one(ti_condvar *condvar);
TI_API void ti_condvar_notify_all(ti_condvar *condvar);

/* ---- Once: an initialiser that runs one time. ---- */

typedef struct ti_once {
    TI_ATOMIC(uint32_t) state; /* enum ti_once_state, and TI_ONCE_AWAITED */
    uint32_t spare;
    TI_ATOMIC(uint64_t) owner; /* who runs the initialiser */
    struct ti_lock_record *record;
} ti_once;
#define TI_ONCE_INIT TI_ZEROED

enum ti_once_state {
    TI_ONCE_NEW = 0,
    TI_ONCE_POISONED = 1, /* the initialiser panicked */
    TI_ONCE_RUNNING = 2,
    TI_ONCE_DONE = 3,
    TI_ONCE_AWAITED = 4, /* a mark on the first three: someone sleeps until it is over */
};

/* Names it. A static TI_ONCE_INIT needs neither of these. */
TI_API ti_status ti_once_init(ti_once *once, const char *name);
TI_API ti_status ti_once_destroy(ti_once *once);
/* Runs `initialise` unless that was done; returns when it is done, by whomever, and what it did is seen. TI_EPOISONED:
 * it panicked before. TI_ERECURSION: called from inside its own initialiser. */
TI_API ti_status ti_once_call(ti_once *once, void (*initialise)(void *context), void *context);
/* The same, but a poisoned one is tried again; `initialise` is told. */
TI_API ti_status ti_once_call_force(ti_once *once, void (*initialise)(void *context, bool poisoned), void *context);
/* Waits until someone else has done it. ti_once_wait answers TI_EPOISONED; ti_once_wait_force waits for the retry. */
TI_API ti_status ti_once_wait(ti_once *once);
TI_API ti_status ti_once_wait_force(ti_once *once);
TI_API bool ti_once_is_done(const ti_once *once);

/* A pointer that is written one time. The cell does not own what it points to. */
typedef struct ti_once_cell {
    ti_once once;
    void *value;
} ti_once_cell;
#define TI_ONCE_CELL_INIT {TI_ONCE_INIT, NULL}

/* Makes the value. Another status than TI_OK leaves the cell empty and is handed to the caller. */
typedef ti_status (*ti_make)(void *context, void **value);

/* TI_ENOTSET when it is empty. */
TI_API ti_status ti_once_cell_get(const ti_once_cell *cell, void **value);
/* TI_EBUSY when it has a value already. Waits for an initialiser that is running. */
TI_API ti_status ti_once_cell_set(ti_once_cell *cell, void *value);
/* One thread makes the value, the others wait for it. A panic in `make` leaves the cell empty, not poisoned. */
TI_API ti_status ti_once_cell_get_or_make(ti_once_cell *cell, ti_make make, void *context, void **value);
/* Waits until the cell has a value. */
TI_API ti_status ti_once_cell_wait(ti_once_cell *cell, void **value);
/* Empties it; the caller must be alone with the cell. TI_ENOTSET when it was empty. */
TI_API ti_status ti_once_cell_take(ti_once_cell *cell, void **value);

/* A value made at first use by the initialiser it was declared with. A panic in there poisons it for good. */
typedef struct ti_lazy_cell {
    ti_once once;
    ti_make make;
    void *context;
    void *value;
} ti_lazy_cell;
#define TI_LAZY_CELL_INIT(make, context) {TI_ONCE_INIT, make, context, NULL}

TI_API ti_status ti_lazy_cell_get(ti_lazy_cell *cell, void **value);
/* Never runs the initialiser: TI_ENOTSET when it has not run, TI_EPOISONED when it panicked. */
TI_API ti_status ti_lazy_cell_peek(const ti_lazy_cell *cell, void **value);

/* ---- Barrier: holds threads until `count` have come; then exactly one of them is the leader, and it starts anew. ----
 */

typedef struct ti_barrier {
    TI_ATOMIC(uint64_t) state; /* generation (high half) and arrivals in it (low half) */
    uint32_t count;
    uint32_t spare;
    struct ti_lock_record *record;
} ti_barrier;
#define TI_BARRIER_INIT(count) {0, count, 0, NULL}

/* A count of 0 acts as 1. */
TI_API ti_status ti_barrier_init(ti_barrier *barrier, uint32_t count, const char *name);
/* TI_EBUSY when someone waits in it. */
TI_API ti_status ti_barrier_destroy(ti_barrier *barrier);
/* True for one thread of each generation. */
TI_API bool ti_barrier_wait(ti_barrier *barrier);

/* ---- Reentrant lock: its owner may take it again. No poison: it protects no exclusive data. ---- */

typedef struct ti_reentrant {
    ti_mutex mutex;
    uint32_t depth; /* the owner's */
    uint32_t spare;
} ti_reentrant;
#define TI_REENTRANT_INIT {TI_MUTEX_INIT, 0, 0}

TI_API ti_status ti_reentrant_init(ti_reentrant *lock, const char *name);
TI_API ti_status ti_reentrant_destroy(ti_reentrant *lock);
/* TI_EOVERFLOW: taken 2^32 - 1 times already. */
TI_API ti_status ti_reentrant_lock(ti_reentrant *lock);
TI_API ti_status ti_reentrant_try_lock(ti_reentrant *lock);
TI_API ti_status ti_reentrant_lock_until(ti_reentrant *lock, ti_deadline deadline);
TI_API ti_status ti_reentrant_unlock(ti_reentrant *lock);

TI_END_DECLS

#endif
