/* fork: the child has one thread. To it the others are gone, and scopes that they owned are orphaned. */
#include <pthread.h>
#include <unistd.h>

#include "altstack.h"
#include "arena.h"
#include "children.h"
#include "current.h"
#include "fate.h"
#include "forks.h"

/* No lock over shared lists is held by another thread at the moment of the copy. Scopes' locks may be: a thread can
 * hold one for the time of a pthread_create. The child sets those right, see ti_scope_after_fork. */
static void freeze(void)
{
    ti_limbo_freeze();
    ti_altstack_freeze();
    ti_arena_freeze();
}

static void thaw(void)
{
    ti_arena_thaw();
    ti_altstack_thaw();
    ti_limbo_thaw();
}

/* Its writer may have been in the middle of it. */
static void mend(struct ti_slot *slot)
{
    if ((ti_get(slot->sequence) & 1u) != 0) {
        ti_record_end(slot);
    }
}

static void lose(struct ti_thread_slot *thread)
{
    struct ti_thread_record *record = &thread->record;
    mend(&record->slot);
    ti_record_begin(&record->slot);
    ti_set(record->state, TI_STATE_GONE);
    ti_set(record->wait_kind, TI_WAIT_NONE);
    ti_set(record->wait_address, 0);
    ti_set(record->wait_since, 0);
    ti_record_end(&record->slot);
    /* Whoever was joining it is gone as well. */
    ti_fate_clear(thread, TI_FATE_CLAIMED | TI_FATE_REAPING);
    atomic_fetch_or_explicit(&thread->fate, TI_FATE_GONE, memory_order_relaxed);
}

static void in_child(void)
{
    thaw();
    struct ti_registry_header *header = ti_registry_if_mapped();
    if (header == NULL) {
        return;
    }
    ti_set(header->pid, (uint32_t)getpid());
    atomic_fetch_add_explicit(&header->fork_generation, 1, memory_order_relaxed);
    struct ti_thread_record *self = ti_local.record;
    for (uint32_t i = 0; i < ti_slot_high_water(TI_KIND_THREAD); i++) {
        struct ti_slot *slot = ti_slot_at(TI_KIND_THREAD, i);
        if (ti_get(slot->id) != 0 && (self == NULL || slot != &self->slot)) {
            lose((struct ti_thread_slot *)slot);
        }
    }
    if (self != NULL) {
        ti_record_begin(&self->slot);
        ti_set(self->tid, (uint32_t)getpid());
        ti_set(self->flags, ti_get(self->flags) | TI_THREAD_MAIN);
        ti_record_end(&self->slot);
    }
    for (uint32_t i = 0; i < ti_slot_high_water(TI_KIND_SCOPE); i++) {
        struct ti_scope_slot *scope = (struct ti_scope_slot *)ti_slot_at(TI_KIND_SCOPE, i);
        mend(&scope->record.slot);
        ti_scope_after_fork(scope, self);
    }
}

void ti_watch_forks(void)
{
    if (pthread_atfork(freeze, thaw, in_child) != 0) {
        ti_fatal("no memory to watch forks");
    }
}
