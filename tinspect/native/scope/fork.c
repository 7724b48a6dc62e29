/* fork: the child has one thread. To it the others are gone, and scopes that they owned are orphaned. */
#include <pthread.h>
#include <unistd.h>

#include "altstack.h"
#include "arena.h"
#include "children.h"
#include "current.h"
#include "fate.h"
#include "forks.h"

/* No lock over lists that the child will use is held by another thread at the moment of the copy. The locks of other
 * threads' scopes may be: the child sets those right, see ti_scope_after_fork. In the order in which they nest
 * elsewhere: a slot is given back under its scope's lock. */
static void freeze(void)
{
    ti_scopes_freeze();
    ti_limbo_freeze();
    ti_altstack_freeze();
    ti_arena_freeze();
}

static void thaw(void)
{
    ti_arena_thaw();
    ti_altstack_thaw();
    ti_limbo_thaw();
    ti_scopes_thaw();
}

/* A writer that was in the middle of a record is gone: what it left unfinished shows as it is, not as torn for ever. */
static void mend_all(void)
{
    for (int kind = 1; kind < TI_KIND_COUNT; kind++) {
        for (uint32_t i = 0; i < ti_slot_high_water((enum ti_record_kind)kind); i++) {
            struct ti_slot *slot = ti_slot_at((enum ti_record_kind)kind, i);
            if ((ti_get(slot->sequence) & 1u) != 0) {
                ti_record_end(slot);
            }
        }
    }
}

static void lose(struct ti_thread_slot *thread)
{
    struct ti_thread_record *record = &thread->record;
    ti_record_begin(&record->slot);
    ti_set(record->state, TI_STATE_GONE);
    ti_set(record->wait_kind, TI_WAIT_NONE);
    ti_set(record->wait_address, 0);
    ti_set(record->wait_since, 0);
    ti_record_end(&record->slot);
    /* Whoever was joining it is gone as well. */
    ti_fate_clear(thread, TI_FATE_CLAIMED | TI_FATE_BUSY);
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
    mend_all();
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
        /* Its creator may not have got as far. */
        ti_set(ti_thread_slot_of(self)->pthread, pthread_self());
        ti_fate_clear(ti_thread_slot_of(self), TI_FATE_BUSY);
    }
    for (uint32_t i = 0; i < ti_slot_high_water(TI_KIND_SCOPE); i++) {
        struct ti_scope_slot *scope = (struct ti_scope_slot *)ti_slot_at(TI_KIND_SCOPE, i);
        ti_scope_after_fork(scope, self);
    }
}

void ti_watch_forks(void)
{
    if (pthread_atfork(freeze, thaw, in_child) != 0) {
        ti_fatal("no memory to watch forks");
    }
}
