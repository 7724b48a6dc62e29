/* Scopes: enter, leave, run. The owner leaves after every child has ended and was joined by the system. */
#include "tinspect/scope.h"

#include <string.h>

#include "catching.h"
#include "children.h"
#include "current.h"
#include "fate.h"
#include "join.h"
#include "loans.h"
#include "word_lock.h"

/* What a ti_scope_frame holds. */
struct ti_frame {
    struct ti_scope_slot *scope;
    struct ti_frame *outer;
    struct ti_thread_record *owner;
    uintptr_t address; /* in the owner's stack; 0: the frame lives elsewhere */
};
_Static_assert(sizeof(struct ti_frame) <= sizeof(ti_scope_frame), "ti_scope_frame is too small");

/* A scope whose frame lies below `here` (stacks grow down) has been jumped out of. Frames that are not on this thread's
 * own stack (coroutines, signal handlers, a language's heap) say nothing about each other. */
void ti_scope_check_frames(uintptr_t here)
{
    struct ti_frame *top = ti_local.scope_top;
    if (TI_LIKELY(top == NULL || top->address == 0 || top->address >= here)) {
        return;
    }
    uint64_t low = ti_get(top->owner->stack_low);
    uint64_t high = ti_get(top->owner->stack_high);
    if (here >= low && here < high && top->address >= low && top->address < high) {
        ti_fatal("a scope of thread %llu was left by longjmp, without its join",
                 (unsigned long long)ti_get(top->owner->slot.id));
    }
}

static ti_status enter(const char *name, uint32_t flags, struct ti_frame *frame, uintptr_t address, uintptr_t caller)
{
    if ((flags & ~(uint32_t)TI_SCOPE_FAIL_FAST) != 0) {
        return TI_EINVAL;
    }
    struct ti_thread_slot *self = ti_current_slot();
    if (address != 0) {
        ti_scope_check_frames(address);
    }
    struct ti_scope_slot *scope = (struct ti_scope_slot *)ti_slot_take(TI_KIND_SCOPE);
    if (scope == NULL) {
        return TI_ENOMEM;
    }
    struct ti_scope_record *record = &scope->record;
    struct ti_scope_slot *around = ti_local.scope_top != NULL ? ti_local.scope_top->scope : self->scope;
    ti_link_set(&record->owner, &self->record.slot);
    ti_link_set(&record->parent, around == NULL ? NULL : &around->record.slot);
    ti_set(record->created_pc, caller);
    ti_set(record->frame, address);
    ti_set(record->phase, TI_PHASE_BODY);
    ti_set(record->flags, flags);
    if (name != NULL) {
        ti_set(record->name_length, ti_text_set(record->name, TI_NAME_INLINE, name, strlen(name)));
    }
    scope->lost = 0;
    scope->reaped = 0;
    scope->panics = NULL;
    ti_record_end(&record->slot);
    frame->scope = scope;
    frame->outer = ti_local.scope_top;
    frame->owner = &self->record;
    frame->address = address;
    ti_local.scope_top = frame;
    ti_record_begin(&self->record.slot);
    ti_link_set(&self->record.inner_scope, &record->slot);
    ti_record_end(&self->record.slot);
    return TI_OK;
}

static void wait_until_none_runs(struct ti_scope_slot *scope)
{
    _Atomic uint32_t *running = &scope->record.running;
    /* acquire: pairs with the children's release. */
    while (atomic_load_explicit(running, memory_order_acquire) != 0) {
        atomic_store_explicit(&scope->waiting, 1, memory_order_seq_cst);
        uint32_t seen = atomic_load_explicit(running, memory_order_seq_cst);
        if (seen != 0) {
            ti_futex_wait(running, seen, TI_FOREVER);
        }
    }
    ti_set(scope->waiting, 0);
}

/* Under the scope's lock. A child with a bit of `unless` is not meant. */
static struct ti_thread_slot *claim_child(struct ti_scope_slot *scope, uint32_t unless, uint32_t *seen)
{
    for (struct ti_thread_slot *child = scope->children; child != NULL; child = child->next) {
        /* Reaping happens under the lock that we hold, so nobody is in the middle of it. */
        if (ti_fate_set(child, ti_get(child->record.slot.generation), TI_FATE_CLAIMED, TI_FATE_CLAIMED | unless,
                        seen)) {
            return child;
        }
    }
    return NULL;
}

/* The one child that runs, if it is only one: the system's join is the sleep then. Those that have ended are left alone
 * as long as one runs: it may hold their handles, and join them itself. */
static struct ti_thread_slot *claim_last_runner(struct ti_scope_slot *scope, uint32_t *seen)
{
    if (ti_get(scope->record.running) != 1) {
        return NULL;
    }
    ti_word_lock(&scope->lock);
    struct ti_thread_slot *child = claim_child(scope, TI_FATE_ENDED, seen);
    ti_word_unlock(&scope->lock);
    return child;
}

/* What the child left that nobody asked for: a value ends here, a panic becomes the scope's. */
static void settle(struct ti_scope_slot *scope, struct ti_thread_slot *child, uint32_t seen)
{
    if ((seen & TI_FATE_GONE) != 0) {
        scope->lost++;
        ti_scope_child_joined(child, NULL);
        return;
    }
    if ((seen & TI_FATE_REAPED) == 0 && ti_join_system(child, TI_FOREVER) != 0) {
        ti_fatal("a scope's thread cannot be joined");
    }
    if (child->outcome == TI_OUTCOME_VALUE && (seen & TI_FATE_FORGOTTEN) == 0) {
        ti_drop_value(child->drop_result, child->result, "a thread's result");
    }
    ti_scope_child_joined(child, child->outcome == TI_OUTCOME_PANIC ? child->panics : NULL);
}

/* Joins every child, those included that are spawned meanwhile: from children, their results' destructors, thread-local
 * destructors. The scope is done once the list is empty under its lock. */
static void join_all(struct ti_scope_slot *scope)
{
    for (;;) {
        uint32_t seen = 0;
        struct ti_thread_slot *child = claim_last_runner(scope, &seen);
        if (child != NULL) {
            settle(scope, child, seen);
            continue;
        }
        /* One sleep for all of them, on the scope's own word: a user's unpark tokens are neither eaten nor forged. */
        wait_until_none_runs(scope);
        ti_word_lock(&scope->lock);
        child = claim_child(scope, 0, &seen);
        if (child == NULL && scope->children == NULL) {
            atomic_store_explicit(&scope->record.phase, TI_PHASE_DONE, memory_order_release);
            ti_word_unlock(&scope->lock);
            return;
        }
        uint32_t event = ti_get(scope->event);
        ti_set(scope->waiting, child == NULL);
        ti_word_unlock(&scope->lock);
        if (child != NULL) {
            settle(scope, child, seen);
        } else {
            /* Others are joining the last ones by hand. Set under the lock, read by them under the lock: no wake is
             * lost. */
            ti_futex_wait(&scope->event, event, TI_FOREVER);
        }
    }
}

static ti_status leave(struct ti_frame *frame, ti_panics **panics)
{
    struct ti_scope_slot *scope = frame->scope;
    struct ti_thread_record *self = ti_current_record();
    if (ti_local.scope_top != frame) {
        ti_fatal(
            "a scope of thread %llu was not left in order: an inner one was jumped out of, or another thread leaves it",
            (unsigned long long)ti_get(frame->owner->slot.id));
    }
    ti_set(scope->record.phase, TI_PHASE_JOINING);
    if (ti_get(scope->record.unjoined) == 0) {
        join_all(scope);
    } else {
        uint32_t before = ti_wait_begin(self, TI_WAIT_SCOPE, scope);
        join_all(scope);
        ti_wait_end(self, before);
    }
    ti_loans_end_with(scope);
    *panics = scope->panics;
    scope->panics = NULL;
    bool lost = scope->lost != 0;
    ti_local.scope_top = frame->outer;
    ti_record_begin(&self->slot);
    ti_link_set(&self->inner_scope, frame->outer == NULL ? NULL : &frame->outer->scope->record.slot);
    ti_record_end(&self->slot);
    ti_slot_release(TI_KIND_SCOPE, &scope->record.slot);
    return lost ? TI_EGONE : TI_OK;
}

/* The forking thread's own scopes go on in the child, so their lists must be whole there. A child that spawns may hold
 * the lock for the time of a pthread_create; it needs nothing that the forking thread holds, for these come first. */
void ti_scopes_freeze(void)
{
    for (struct ti_frame *frame = ti_local.scope_top; frame != NULL; frame = frame->outer) {
        ti_word_lock(&frame->scope->lock);
    }
}

void ti_scopes_thaw(void)
{
    for (struct ti_frame *frame = ti_local.scope_top; frame != NULL; frame = frame->outer) {
        ti_word_unlock(&frame->scope->lock);
    }
}

static ti_scope handle_of(const struct ti_scope_slot *scope)
{
    const struct ti_slot *slot = &scope->record.slot;
    return (ti_scope){ti_get(slot->id), ti_get(slot->number), ti_get(slot->generation)};
}

ti_status ti_scope_enter(const char *name, uint32_t flags, ti_scope_frame *storage, ti_scope *handle)
{
    struct ti_frame *frame = (struct ti_frame *)storage;
    ti_status status = enter(name, flags, frame, 0, (uintptr_t)__builtin_return_address(0));
    if (status == TI_OK) {
        *handle = handle_of(frame->scope);
    }
    return status;
}

ti_status ti_scope_leave(ti_scope_frame *storage, ti_panics **panics)
{
    ti_panics *children = NULL;
    ti_status status = leave((struct ti_frame *)storage, &children);
    if (children == NULL) {
        return status;
    }
    if (panics != NULL) {
        *panics = children;
    } else {
        ti_panics_free(children);
    }
    return TI_EPANIC;
}

struct run {
    struct ti_frame frame;
    ti_scope_body body;
    void *context;
    void *result;
    bool entered;
};

static void run_body(void *context)
{
    struct run *run = context;
    run->result = run->body(handle_of(run->frame.scope), run->context);
}

/* Runs when a foreign exception or a cancellation leaves the body: the children may use the owner's frames until they
 * have ended, so it joins before those are gone. Nobody is there to take their panics. */
static void leave_unwound(struct run *run)
{
    ti_panics *children = NULL;
    if (run->entered) {
        leave(&run->frame, &children);
        ti_panics_free(children);
    }
}

ti_status ti_scope_run(const char *name, uint32_t flags, ti_scope_body body, void *context, void **result,
                       ti_panics **panics)
{
    if (body == NULL) {
        return TI_EINVAL;
    }
    struct run run __attribute__((cleanup(leave_unwound))) = {.body = body, .context = context};
    ti_status status =
        enter(name, flags, &run.frame, (uintptr_t)__builtin_frame_address(0), (uintptr_t)__builtin_return_address(0));
    if (status != TI_OK) {
        return status;
    }
    run.entered = true;
    ti_panics *own = NULL;
    ti_panics *children = NULL;
    ti_catch(run_body, &run, &own);
    run.entered = false;
    status = leave(&run.frame, &children);
    ti_panics *all = ti_panics_append(own, children);
    if (all == NULL) {
        if (result != NULL) {
            *result = run.result;
        }
        return status;
    }
    if (panics == NULL) {
        ti_panics_resume(all);
    }
    *panics = all;
    return TI_EPANIC;
}

static struct ti_scope_slot *find(ti_scope scope)
{
    return (struct ti_scope_slot *)ti_slot_find(TI_KIND_SCOPE, scope.id, scope.slot, scope.generation);
}

/* Calls `change` on a scope that is alive and stays so meanwhile. */
static ti_status with_scope(ti_scope handle, void (*change)(struct ti_scope_slot *scope))
{
    struct ti_scope_slot *scope = find(handle);
    if (scope == NULL) {
        return TI_ESTALE;
    }
    ti_word_lock(&scope->lock);
    bool alive = find(handle) == scope && ti_get(scope->record.phase) != TI_PHASE_DONE;
    if (alive) {
        change(scope);
    }
    ti_word_unlock(&scope->lock);
    return alive ? TI_OK : TI_ESTALE;
}

static void close_scope(struct ti_scope_slot *scope)
{
    atomic_store_explicit(&scope->record.closed, 1, memory_order_release);
}

static void stop_scope(struct ti_scope_slot *scope)
{
    /* release: who sees the token sees why it was set. */
    atomic_store_explicit(&scope->record.stopped, 1, memory_order_release);
    ti_futex_wake_all(&scope->record.stopped);
}

ti_status ti_scope_close(ti_scope scope)
{
    return with_scope(scope, close_scope);
}

ti_status ti_scope_stop(ti_scope scope)
{
    return with_scope(scope, stop_scope);
}

bool ti_scope_is_stopped(ti_scope handle)
{
    struct ti_scope_slot *scope = find(handle);
    /* A scope that has ended asks nobody to go on. */
    return scope == NULL || atomic_load_explicit(&scope->record.stopped, memory_order_acquire) != 0 ||
           find(handle) == NULL;
}

ti_status ti_scope_wait_stop(ti_scope handle, ti_deadline deadline)
{
    struct ti_scope_slot *scope = find(handle);
    while (scope != NULL && !ti_scope_is_stopped(handle)) {
        /* In steps: a thread that the scope does not wait for may find the slot to be another scope's by now, whose
         * token never comes. */
        ti_deadline step = ti_deadline_after(1000000000u);
        bool last = deadline <= step;
        if (!ti_futex_wait(&scope->record.stopped, 0, last ? deadline : step) && last) {
            return TI_ETIMEDOUT;
        }
    }
    return scope == NULL ? TI_ESTALE : TI_ESTOPPED;
}

ti_status ti_scope_describe(ti_scope handle, ti_scope_info *info)
{
    size_t room = info->size;
    struct ti_scope_slot *scope = find(handle);
    if (room < sizeof info->size || room > sizeof *info) {
        return TI_EINVAL;
    }
    if (scope == NULL) {
        return TI_ESTALE;
    }
    const struct ti_scope_record *record = &scope->record;
    ti_scope_info facts = {
        .size = room,
        .id = handle.id,
        .owner = {ti_get(record->owner.id), ti_get(record->owner.slot), ti_get(record->owner.generation)},
        .spawned = ti_get(record->spawned),
        .running = ti_get(record->running),
        .unjoined = ti_get(record->unjoined),
        .panicked = ti_get(record->panicked),
        .closed = ti_get(record->closed) != 0,
        .stopped = ti_get(record->stopped) != 0,
    };
    atomic_thread_fence(memory_order_acquire);
    if (find(handle) == NULL) {
        return TI_ESTALE;
    }
    memcpy(info, &facts, room);
    return TI_OK;
}
