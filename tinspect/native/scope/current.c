/* The current thread: its record, threads adopted from elsewhere, what a thread waits for, and limbo. */
#include "current.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hooks.h"
#include "word_lock.h"

__thread struct ti_local_state ti_local __attribute__((TI_TLS_MODEL visibility("hidden")));

/* Tells when an adopted thread ends. Made when the library is loaded: an early key has a slot in the thread's
 * descriptor, so that setting it never allocates. */
static pthread_key_t adoption_key;
static bool adoption_key_made;

static struct {
    _Atomic uint32_t lock;
    _Atomic(struct ti_thread_slot *) first;
} limbo;

static void adopted_thread_ends(void *record)
{
    struct ti_thread_slot *thread = record;
    ti_hooks_drop(thread->hooks);
    thread->hooks = NULL;
    ti_enter_destructors(&thread->record);
    ti_set(thread->record.finished, 1);
    /* release: who sees ENDED sees what the thread did before. */
    atomic_fetch_or_explicit(&thread->fate, TI_FATE_ENDED, memory_order_release);
    /* Later destructors may call in again: ti_local.record still works, for the slot stays ours until the kernel has
     * forgotten this thread. */
    ti_limbo_push(thread);
}

__attribute__((constructor)) static void make_adoption_key(void)
{
    adoption_key_made = pthread_key_create(&adoption_key, adopted_thread_ends) == 0;
}

void ti_bounds_set(struct ti_thread_record *record, const struct ti_stack_bounds *bounds)
{
    ti_set(record->stack_low, bounds->low);
    ti_set(record->stack_high, bounds->high);
    ti_set(record->guard_low, bounds->guard_low);
    ti_set(record->guard_high, bounds->guard_high);
}

struct ti_thread_record *ti_adopt_current(void)
{
    int saved = errno; /* a lock or a park that is a thread's first call keeps it, as every later one does */
    int cancellable;   /* and is no cancellation point: asking libc for the main thread's bounds reads a file */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    ti_limbo_sweep();
    struct ti_thread_slot *thread = (struct ti_thread_slot *)ti_slot_take(TI_KIND_THREAD);
    if (thread == NULL) {
        ti_fatal("no memory for this thread's record");
    }
    struct ti_thread_record *record = &thread->record;
    pid_t tid = (pid_t)syscall(SYS_gettid);
    bool is_main = tid == getpid();
    struct ti_stack_bounds bounds;
    /* Asking libc allocates: only the main thread does, and the first of all others, from which the descriptor's layout
     * is learnt. */
    if (is_main || !ti_bounds_are_learnt() ? ti_bounds_of_current(&bounds) : ti_bounds_from_descriptor(&bounds)) {
        ti_bounds_set(record, &bounds);
    }
    ti_set(record->tid, (uint32_t)tid);
    ti_set(record->pthread, (uint64_t)pthread_self());
    ti_set(record->state, TI_STATE_RUNNING);
    ti_set(record->flags, TI_THREAD_ADOPTED | (is_main ? TI_THREAD_MAIN : 0u));
    ti_set(record->parker, (uint64_t)ti_get(record->slot.generation) << 32 | TI_PARK_EMPTY);
    thread->hooks = NULL;
    thread->scope = NULL;
    ti_set(thread->fate, (uint64_t)ti_get(record->slot.generation) << 32 | TI_FATE_FORGOTTEN);
    ti_record_end(&record->slot);
    ti_local.record = record;
    if (adoption_key_made) {
        pthread_setspecific(adoption_key, thread);
    }
    pthread_setcancelstate(cancellable, NULL);
    errno = saved;
    return record;
}

struct ti_thread_record *ti_thread_find(ti_thread thread)
{
    return (struct ti_thread_record *)ti_slot_find(TI_KIND_THREAD, thread.id, thread.slot, thread.generation);
}

/* The same clock as ti_now, as of the kernel's last tick: a fifth of the cost, and exact enough to say how long
 * somebody has been waiting. */
static uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t ti_wait_begin(struct ti_thread_record *self, enum ti_wait_kind kind, const void *address)
{
    uint32_t before = ti_get(self->state);
    uint64_t since = coarse_now();
    ti_record_begin(&self->slot);
    ti_set(self->state, kind == TI_WAIT_PARK ? TI_STATE_PARKED : TI_STATE_BLOCKED);
    ti_set(self->wait_kind, (uint32_t)kind);
    ti_set(self->wait_address, (uint64_t)(uintptr_t)address);
    ti_set(self->wait_since, since);
    ti_record_end(&self->slot);
    return before;
}

void ti_wait_end(struct ti_thread_record *self, uint32_t before)
{
    ti_record_begin(&self->slot);
    ti_set(self->state, before);
    ti_set(self->wait_kind, TI_WAIT_NONE);
    ti_set(self->wait_address, 0);
    ti_set(self->wait_since, 0);
    ti_record_end(&self->slot);
}

void ti_enter_destructors(struct ti_thread_record *self)
{
    /* A cancelled thread was in the middle of a wait. */
    ti_wait_end(self, TI_STATE_IN_DESTRUCTORS);
}

void ti_thread_slot_release(struct ti_thread_slot *thread)
{
    ti_slot_release(TI_KIND_THREAD, &thread->record.slot);
}

void ti_limbo_push(struct ti_thread_slot *thread)
{
    ti_word_lock(&limbo.lock);
    thread->next = ti_get(limbo.first);
    ti_set(limbo.first, thread);
    ti_word_unlock(&limbo.lock);
}

/* A thread id may be in use again by a stranger: then the slot waits longer, which does no harm. */
static bool has_ended(const struct ti_thread_slot *thread)
{
    int saved = errno;
    bool gone = syscall(SYS_tgkill, getpid(), ti_get(thread->record.tid), 0) != 0 && errno == ESRCH;
    errno = saved;
    return gone;
}

void ti_limbo_sweep(void)
{
    if (TI_LIKELY(ti_get(limbo.first) == NULL)) {
        return;
    }
    ti_word_lock(&limbo.lock);
    struct ti_thread_slot *ended = NULL;
    struct ti_thread_slot *kept = NULL;
    struct ti_thread_slot *next;
    for (struct ti_thread_slot *thread = ti_get(limbo.first); thread != NULL; thread = next) {
        next = thread->next;
        struct ti_thread_slot **list = has_ended(thread) ? &ended : &kept;
        thread->next = *list;
        *list = thread;
    }
    ti_set(limbo.first, kept);
    ti_word_unlock(&limbo.lock);
    for (struct ti_thread_slot *thread = ended; thread != NULL; thread = next) {
        next = thread->next;
        ti_thread_slot_release(thread);
    }
}

void ti_limbo_freeze(void)
{
    ti_word_lock(&limbo.lock);
}

void ti_limbo_thaw(void)
{
    ti_word_unlock(&limbo.lock);
}
