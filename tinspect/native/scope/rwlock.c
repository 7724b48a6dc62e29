/* The reader-writer lock. One word holds the number of readers (or "written") and who waits; a second one is what
 * writers sleep on, so that a single writer can be woken while readers sleep on.
 *
 * Invariant: READERS_WAIT is set only while the lock is written, or WRITERS_WAIT is set, or a writer that was just
 * woken is on its way to take it. So whoever makes the lock free sees all that wait, and a reader that sees a waiting
 * writer, or a reader that waits for one, gets in line behind. */
#include "holder.h"

#define READERS_WAIT (1u << 30)
#define WRITERS_WAIT (1u << 31)
#define COUNT (READERS_WAIT - 1)
#define WRITTEN COUNT
#define MAX_READERS (COUNT - 1)

static bool is_free(uint32_t state)
{
    return (state & COUNT) == 0;
}

static bool is_written(uint32_t state)
{
    return (state & COUNT) == WRITTEN;
}

static bool is_readable(uint32_t state)
{
    return (state & COUNT) < MAX_READERS && (state & (READERS_WAIT | WRITERS_WAIT)) == 0;
}

static bool change(_Atomic uint32_t *state, uint32_t *seen, uint32_t next, memory_order order)
{
    return atomic_compare_exchange_weak_explicit(state, seen, next, order, memory_order_relaxed);
}

ti_status ti_rwlock_init(ti_rwlock *lock, const char *name)
{
    *lock = (ti_rwlock)TI_RWLOCK_INIT;
    return ti_holder_name(&lock->holder, lock, TI_LOCK_RWLOCK, name);
}

ti_status ti_rwlock_destroy(ti_rwlock *lock)
{
    if (!is_free(ti_get(lock->state))) {
        return ti_holder_misuse(&lock->holder, TI_EBUSY, "destroying a held reader-writer lock", lock, TI_CALLER);
    }
    ti_holder_unname(&lock->holder);
    return TI_OK;
}

/* Spins while the lock is held in a way that `blocks`, but not past threads that sleep already. */
static uint32_t spin(ti_rwlock *lock, bool (*blocks)(uint32_t state))
{
    uint32_t state = ti_get(lock->state);
    for (int i = 0; i < TI_SPINS && blocks(state) && (state & (READERS_WAIT | WRITERS_WAIT)) == 0; i++) {
        ti_spin_pause();
        state = ti_get(lock->state);
    }
    return state;
}

static bool blocks_writer(uint32_t state)
{
    return !is_free(state);
}

/* Release: pairs with the acquire load before a writer sleeps, so that it sees the state which made this happen. */
static bool wake_a_writer(ti_rwlock *lock)
{
    atomic_fetch_add_explicit(&lock->writers, 1, memory_order_release);
    return ti_futex_wake(&lock->writers, 1) > 0;
}

static bool clear_marks(ti_rwlock *lock, uint32_t seen, uint32_t next)
{
    return atomic_compare_exchange_strong_explicit(&lock->state, &seen, next, memory_order_relaxed,
                                                   memory_order_relaxed);
}

/* The lock became free and someone waits: a writer if there is one, else every reader. Another thread that takes the
 * lock meanwhile makes a compare-and-swap fail, and then owes the wake-up itself when it leaves. Always TI_OK. */
static __attribute__((noinline)) ti_status hand_on(ti_rwlock *lock, uint32_t state)
{
    if (state == WRITERS_WAIT) {
        if (clear_marks(lock, state, 0)) {
            wake_a_writer(lock);
            return TI_OK;
        }
        state = ti_get(lock->state); /* a reader may have lined up behind the writer */
    }
    if (state == (READERS_WAIT | WRITERS_WAIT)) {
        if (!clear_marks(lock, state, READERS_WAIT) || wake_a_writer(lock)) {
            return TI_OK;
        }
        state = READERS_WAIT; /* no writer was asleep: one that is on its way finds the lock by itself */
    }
    if (state == READERS_WAIT && clear_marks(lock, state, 0)) {
        ti_futex_wake_all(&lock->state);
    }
    return TI_OK;
}

static __attribute__((noinline, cold)) ti_status read_slowly(ti_rwlock *lock, ti_deadline deadline, const void *caller)
{
    struct ti_waiting waiting = {TI_WAIT_RWLOCK_READ, lock, lock->holder.record};
    uint32_t state = spin(lock, is_written);
    for (;;) {
        if (is_readable(state)) {
            if (change(&lock->state, &state, state + 1, memory_order_acquire)) {
                return ti_is_poisoned(&lock->holder) ? TI_EPOISONED : TI_OK;
            }
            continue;
        }
        if ((state & COUNT) == MAX_READERS) {
            return TI_EOVERFLOW;
        }
        if (ti_is_mine(&lock->holder)) {
            return ti_holder_misuse(&lock->holder, TI_EDEADLK, "reading a lock that the caller holds for writing", lock,
                                    caller);
        }
        if ((state & READERS_WAIT) == 0 && !change(&lock->state, &state, state | READERS_WAIT, memory_order_relaxed)) {
            continue;
        }
        /* A reader that gives up may leave READERS_WAIT behind: that costs one needless wake-up. */
        if (!ti_sleep_on(&lock->state, state | READERS_WAIT, deadline, waiting)) {
            return TI_ETIMEDOUT;
        }
        state = spin(lock, is_written);
    }
}

static inline bool try_read(ti_rwlock *lock, uint32_t *state)
{
    *state = ti_get(lock->state);
    while (is_readable(*state)) {
        if (change(&lock->state, state, *state + 1, memory_order_acquire)) {
            return true;
        }
    }
    return false;
}

ti_status ti_rwlock_try_read(ti_rwlock *lock)
{
    uint32_t state;
    if (try_read(lock, &state)) {
        return ti_is_poisoned(&lock->holder) ? TI_EPOISONED : TI_OK;
    }
    return (state & COUNT) == MAX_READERS ? TI_EOVERFLOW : TI_EBUSY;
}

ti_status ti_rwlock_read_until(ti_rwlock *lock, ti_deadline deadline)
{
    uint32_t state;
    if (TI_LIKELY(try_read(lock, &state))) {
        return ti_is_poisoned(&lock->holder) ? TI_EPOISONED : TI_OK;
    }
    return read_slowly(lock, deadline, TI_CALLER);
}

ti_status ti_rwlock_read(ti_rwlock *lock)
{
    uint32_t state;
    if (TI_LIKELY(try_read(lock, &state))) {
        return ti_is_poisoned(&lock->holder) ? TI_EPOISONED : TI_OK;
    }
    return read_slowly(lock, TI_FOREVER, TI_CALLER);
}

ti_status ti_rwlock_read_unlock(ti_rwlock *lock)
{
    uint32_t state = ti_get(lock->state);
    if (TI_UNLIKELY(is_free(state) || is_written(state))) {
        return ti_holder_misuse(&lock->holder, TI_EPERM, "read-unlocking a lock that nobody reads", lock, TI_CALLER);
    }
    /* Release: what was read stays before the next writer's writes. */
    state = atomic_fetch_sub_explicit(&lock->state, 1, memory_order_release) - 1;
    /* Readers wait behind readers only if a writer waits too. */
    return TI_UNLIKELY(is_free(state) && (state & WRITERS_WAIT) != 0) ? hand_on(lock, state) : TI_OK;
}

/* A writer that gives up may have been the only one WRITERS_WAIT stood for, and readers would wait behind nobody. It
 * takes all marks away and wakes everyone; who still has to wait marks itself again. */
static ti_status give_up_writing(ti_rwlock *lock)
{
    atomic_fetch_and_explicit(&lock->state, COUNT, memory_order_relaxed);
    atomic_fetch_add_explicit(&lock->writers, 1, memory_order_release);
    ti_futex_wake_all(&lock->writers);
    ti_futex_wake_all(&lock->state);
    return TI_ETIMEDOUT;
}

static __attribute__((noinline, cold)) ti_status write_slowly(ti_rwlock *lock, ti_deadline deadline, const void *caller)
{
    struct ti_waiting waiting = {TI_WAIT_RWLOCK_WRITE, lock, lock->holder.record};
    /* Having slept, it cannot know whether other writers sleep still, so it keeps their mark. */
    uint32_t others = 0;
    uint32_t state = spin(lock, blocks_writer);
    for (;;) {
        if (is_free(state)) {
            if (change(&lock->state, &state, state | WRITTEN | others, memory_order_acquire)) {
                return ti_hold(&lock->holder, caller);
            }
            continue;
        }
        if (ti_is_mine(&lock->holder)) {
            return ti_holder_misuse(&lock->holder, TI_EDEADLK, "reader-writer lock written again by its writer", lock,
                                    caller);
        }
        if ((state & WRITERS_WAIT) == 0 && !change(&lock->state, &state, state | WRITERS_WAIT, memory_order_relaxed)) {
            continue;
        }
        others = WRITERS_WAIT;
        /* Read the number, then look again: a wake-up that came before the look shows in the state, one that comes
         * after it changes the number, and the futex does not sleep. */
        uint32_t number = atomic_load_explicit(&lock->writers, memory_order_acquire);
        state = ti_get(lock->state);
        if (is_free(state) || (state & WRITERS_WAIT) == 0) {
            continue;
        }
        if (!ti_sleep_on(&lock->writers, number, deadline, waiting)) {
            return give_up_writing(lock);
        }
        state = spin(lock, blocks_writer);
    }
}

static inline bool try_write(ti_rwlock *lock)
{
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, WRITTEN, memory_order_acquire,
                                                   memory_order_relaxed);
}

ti_status ti_rwlock_try_write(ti_rwlock *lock)
{
    uint32_t state = ti_get(lock->state);
    /* A free lock may carry marks of threads that are just waking: those do not stop this one. */
    while (is_free(state)) {
        if (change(&lock->state, &state, state | WRITTEN, memory_order_acquire)) {
            return ti_hold(&lock->holder, TI_CALLER);
        }
    }
    return TI_EBUSY;
}

ti_status ti_rwlock_write_until(ti_rwlock *lock, ti_deadline deadline)
{
    if (TI_LIKELY(try_write(lock))) {
        return ti_hold(&lock->holder, TI_CALLER);
    }
    return write_slowly(lock, deadline, TI_CALLER);
}

ti_status ti_rwlock_write(ti_rwlock *lock)
{
    if (TI_LIKELY(try_write(lock))) {
        return ti_hold(&lock->holder, TI_CALLER);
    }
    return write_slowly(lock, TI_FOREVER, TI_CALLER);
}

static __attribute__((noinline, cold)) ti_status no_writer(ti_rwlock *lock, const char *misuse, const void *caller)
{
    return ti_holder_misuse(&lock->holder, TI_EPERM, misuse, lock, caller);
}

static inline ti_status give_back_written(ti_rwlock *lock)
{
    uint32_t state = atomic_fetch_sub_explicit(&lock->state, WRITTEN, memory_order_release) - WRITTEN;
    return TI_UNLIKELY(state != 0) ? hand_on(lock, state) : TI_OK;
}

static __attribute__((noinline, cold)) ti_status write_unlock_slowly(ti_rwlock *lock)
{
    ti_let_go(&lock->holder);
    return give_back_written(lock);
}

ti_status ti_rwlock_write_unlock(ti_rwlock *lock)
{
    if (TI_UNLIKELY(!ti_is_mine(&lock->holder))) {
        return no_writer(lock, "write-unlocking a lock that the caller does not write", TI_CALLER);
    }
    if (TI_UNLIKELY(ti_is_out_of_the_ordinary(&lock->holder))) {
        return write_unlock_slowly(lock);
    }
    ti_set(lock->holder.owner, 0);
    return give_back_written(lock);
}

ti_status ti_rwlock_downgrade(ti_rwlock *lock)
{
    if (!ti_is_mine(&lock->holder)) {
        return no_writer(lock, "downgrading a lock that the caller does not write", TI_CALLER);
    }
    ti_let_go(&lock->holder);
    /* One step from written to read once, taking READERS_WAIT away: no writer can come in between. Readers that are
     * woken line up again if a writer waits. */
    uint32_t state = ti_get(lock->state);
    while (!change(&lock->state, &state, 1 | (state & WRITERS_WAIT), memory_order_release)) {
    }
    if ((state & READERS_WAIT) != 0) {
        ti_futex_wake_all(&lock->state);
    }
    return TI_OK;
}

bool ti_rwlock_is_poisoned(const ti_rwlock *lock)
{
    return ti_is_poisoned(&lock->holder);
}

void ti_rwlock_clear_poison(ti_rwlock *lock)
{
    ti_forget_poison(&lock->holder);
}
