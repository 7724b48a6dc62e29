/* A spawned thread: current handle, name, alternate stack, hooks, closure, and the end. */
#include "thread_main.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "altstack.h"
#include "catching.h"
#include "children.h"
#include "current.h"
#include "fate.h"
#include "hooks.h"
#include "names.h"

static void begin(struct ti_thread_slot *self)
{
    struct ti_thread_record *record = &self->record;
    ti_local.record = record;
    /* All system calls first: a record that is being written shows as torn, so the writing itself is short. */
    struct ti_stack_bounds bounds = {0};
    struct ti_altstack altstack = {0};
    ti_bounds_of_current(&bounds);
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    if ((self->spawn_flags & TI_SPAWN_NO_ALTSTACK) == 0) {
        altstack = ti_altstack_install(self);
    }
    ti_record_begin(&record->slot);
    ti_set(record->tid, tid);
    ti_set(record->pthread, (uint64_t)pthread_self());
    ti_set(record->state, TI_STATE_RUNNING);
    ti_bounds_set(record, &bounds);
    ti_altstack_set(record, &altstack);
    ti_record_end(&record->slot);
    uint32_t length = ti_get(record->name_length);
    if (length != 0) {
        /* Only this thread renames itself, so its name stands still here. */
        ti_name_to_system((const char *)(uintptr_t)ti_get(record->name_address), length);
    }
}

static void run_closure(void *slot)
{
    struct ti_thread_slot *self = slot;
    ti_hooks_run(self->to_run);
    self->result = self->function(self->context);
}

/* Runs when the closure has returned or panicked, and also as an unwind cleanup of pthread_exit and cancellation: then
 * the outcome is still TI_OUTCOME_NONE. */
static void end(void *slot)
{
    struct ti_thread_slot *self = slot;
    /* Destructors of the program's run here, and may hold cancellation points: a thread that ended in one of them would
     * never be counted out of its scope, and the scope never end. */
    int cancellable;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    if (ti_local.scope_top != NULL) {
        ti_fatal("thread %llu ended inside of a scope that it had not left", (unsigned long long)ti_current_id());
    }
    ti_drop_value(self->drop_context, self->context, "a thread's environment");
    ti_hooks_discard(self->to_run);
    ti_hooks_drop(self->hooks);
    self->hooks = NULL;
    ti_enter_destructors(&self->record);
    struct ti_scope_slot *scope = self->scope;
    ti_drop drop_result = self->outcome == TI_OUTCOME_VALUE ? self->drop_result : NULL;
    void *result = self->result;
    ti_panics *panics = self->panics;
    ti_set(self->record.finished, 1);
    /* release: who sees ENDED sees the outcome. From here a joiner may take it, unless it was forgotten before. */
    uint64_t before = atomic_fetch_or_explicit(&self->fate, TI_FATE_ENDED, memory_order_acq_rel);
    bool forgotten = (before & TI_FATE_FORGOTTEN) != 0;
    if (forgotten) {
        ti_drop_value(drop_result, result, "a thread's result");
    }
    if (scope != NULL) {
        ti_scope_child_ended(self);
    } else if (forgotten) {
        ti_panics_free(panics);
        ti_limbo_push(self);
    }
    pthread_setcancelstate(cancellable, NULL); /* thread-local destructors are the C library's affair */
}

void *ti_thread_main(void *slot)
{
    struct ti_thread_slot *self = slot;
    pthread_cleanup_push(end, self);
    begin(self);
    ti_status status = ti_catch(run_closure, self, &self->panics);
    self->outcome = status == TI_OK ? TI_OUTCOME_VALUE : TI_OUTCOME_PANIC;
    pthread_cleanup_pop(1);
    return NULL;
}
