/* What the locks share: sleeping where the registry can see it, and words for misuse. */
#ifndef TI_WAITING_H
#define TI_WAITING_H

#include "futex.h"
#include "internal.h"

/* How often a taken lock is looked at before sleeping: about as long as a short critical section. */
enum {
    TI_SPINS = 100,
};

static inline void ti_spin_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* What a sleeper waits for. `record` is NULL for an unnamed lock. */
struct ti_waiting {
    enum ti_wait_kind kind;
    const void *object;
    struct ti_lock_record *record;
};

/* ti_futex_wait, with the thread's waits-for and the lock's number of waiters told to the registry. */
bool ti_sleep_on(const _Atomic uint32_t *word, uint32_t expected, ti_deadline deadline, struct ti_waiting waiting);

/* Says that `object` was misused from code address `caller`; `site` is where its holder took it, 0 if unknown. */
ti_status ti_lock_misuse(ti_status status, const char *what, const void *object, uint64_t holder, const void *caller,
                         uintptr_t site);

/* Enters a named lock into the registry; *record is NULL when it has no name. */
ti_status ti_lock_name(struct ti_lock_record **record, const void *object, enum ti_lock_kind kind, const char *name);

/* Takes it out again. */
void ti_lock_unname(struct ti_lock_record **record);

#define TI_CALLER __builtin_return_address(0)

#endif
