/* Panics, on the unwinder's forced unwinding: every frame's cleanup runs, no frame may stop it but ours. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include "arena.h"
#include "catching.h"
#include "internal.h"
#include "tinspect/thread.h"

struct ti_panics {
    struct _Unwind_Exception exception;
    struct ti_panics *next;
    void *payload;
    ti_drop drop;
    uint64_t thread_id;
    char thread_name[TI_NAME_INLINE];
    char message[];
};

struct ti_catch {
    jmp_buf landing;
    uintptr_t mark; /* canonical frame address of the call below ti_catch: where unwinding stops */
    struct ti_catch *outer;
    struct ti_frame *scope_top;
    uint32_t panic_count;
    ti_panics *caught;
};

static const uint64_t panic_class = 0x54494e5350435400u; /* "TINSPCT\0" */
static _Atomic(ti_panic_hook) panic_hook;

void ti_set_panic_hook(ti_panic_hook hook)
{
    atomic_store_explicit(&panic_hook, hook, memory_order_release);
}

bool ti_panicking(void)
{
    return ti_is_unwinding();
}

static void write_panic(const ti_panic_view *view)
{
    ti_tell("thread '%s' (%llu) panicked: %s\n", view->thread_name[0] ? view->thread_name : "<unnamed>",
            (unsigned long long)view->thread_id, view->message);
}

static ti_panic_view view_of(const ti_panics *panic)
{
    return (ti_panic_view){panic->payload, panic->message, panic->thread_id, panic->thread_name, panic->drop};
}

static _Unwind_Reason_Code stop_at_catch(int version, _Unwind_Action actions, _Unwind_Exception_Class class,
                                         struct _Unwind_Exception *exception, struct _Unwind_Context *context,
                                         void *argument)
{
    (void)version;
    (void)class;
    struct ti_catch *target = argument;
    if (_Unwind_GetCFA(context) == target->mark) {
        /* All frames below ti_catch have been cleaned up; the jump skips none that is alive. */
        target->caught = (ti_panics *)exception;
        longjmp(target->landing, 1);
    }
    if (actions & _UA_END_OF_STACK) {
        ti_fatal("a panic cannot unwind past the code at %#lx: it has no unwind tables (panic: %s)",
                 (unsigned long)_Unwind_GetIP(context), ((ti_panics *)exception)->message);
    }
    return _URC_NO_REASON;
}

/* Somebody's catch (...) ended a panic without rethrowing it: the runtime's counts would be wrong from here on. */
static void swallowed(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    (void)reason;
    ti_fatal("a panic was swallowed by a foreign handler (panic: %s)", ((ti_panics *)exception)->message);
}

static TI_NORETURN void unwind(ti_panics *panic)
{
    struct ti_catch *target = ti_local.catch_top;
    if (target == NULL) {
        ti_fatal("a panic outside of any thread, scope or ti_catch of the runtime (panic: %s)", panic->message);
    }
    if (ti_local.panic_count != target->panic_count) {
        ti_fatal("a panic while unwinding from a panic (the second: %s)", panic->message);
    }
    ti_local.panic_count++;
    panic->exception.exception_class = panic_class;
    panic->exception.exception_cleanup = swallowed;
    _Unwind_Reason_Code code = _Unwind_ForcedUnwind(&panic->exception, stop_at_catch, target);
    ti_fatal("a panic could not be unwound (reason %d; panic: %s)", (int)code, panic->message);
}

static void record_panic(const char *message)
{
    struct ti_thread_record *self = ti_current_record();
    ti_record_begin(&self->slot);
    ti_set(self->flags, ti_get(self->flags) | TI_THREAD_PANICKED);
    ti_set(self->panic_length, ti_text_set(self->panic, TI_PANIC_INLINE, message, strlen(message)));
    ti_record_end(&self->slot);
}

static ti_panics *make_panic(void *payload, ti_drop drop, const char *message)
{
    const char *words = message == NULL ? "(no message)" : message;
    size_t length = strlen(words);
    ti_panics *panic = malloc(sizeof *panic + length + 1);
    if (panic == NULL) {
        ti_fatal("no memory for a panic: %s", words);
    }
    memset(panic, 0, sizeof *panic);
    memcpy(panic->message, words, length + 1);
    panic->payload = payload;
    panic->drop = drop;
    panic->thread_id = ti_current_id();
    ti_thread_name(ti_current(), panic->thread_name, sizeof panic->thread_name, NULL);
    record_panic(words);
    return panic;
}

void ti_panic_with(void *payload, ti_drop drop, const char *message)
{
    ti_panics *panic = make_panic(payload, drop, message);
    ti_panic_view view = view_of(panic);
    ti_panic_hook hook = atomic_load_explicit(&panic_hook, memory_order_acquire);
    (hook == NULL ? write_panic : hook)(&view);
    unwind(panic);
}

void ti_panic_quietly(void *payload, ti_drop drop, const char *message)
{
    unwind(make_panic(payload, drop, message));
}

void ti_panic(const char *format, ...)
{
    char *message = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&message, format, arguments);
    va_end(arguments);
    if (length < 0) {
        ti_fatal("no memory for a panic: %s", format);
    }
    ti_panic_with(message, free, message);
}

void ti_panics_resume(ti_panics *panics)
{
    if (panics == NULL) {
        ti_fatal("there is no panic to resume");
    }
    unwind(panics);
}

/* Its frame's CFA is the mark: the unwinder shows exactly this value when it reaches the caller, ti_catch. */
__attribute__((noinline)) static void call_marked(struct ti_catch *self, void (*function)(void *), void *context)
{
    self->mark = (uintptr_t)__builtin_dwarf_cfa();
    function(context);
    __asm__ volatile("" ::: "memory"); /* no tail call: the frame must exist while `function` runs */
}

/* Also run when a foreign exception or a cancellation passes through. */
static void pop_catch(struct ti_catch *self)
{
    ti_local.catch_top = self->outer;
}

ti_status ti_catch(void (*function)(void *context), void *context, ti_panics **panics)
{
    struct ti_catch self __attribute__((cleanup(pop_catch)));
    self.outer = ti_local.catch_top;
    self.panic_count = ti_local.panic_count;
    self.scope_top = ti_local.scope_top;
    self.caught = NULL;
    ti_local.catch_top = &self;
    if (_setjmp(self.landing) == 0) {
        call_marked(&self, function, context);
        return TI_OK;
    }
    ti_local.panic_count = self.panic_count;
    if (ti_local.scope_top != self.scope_top) {
        ti_fatal("a panic unwound past a scope that was entered and not left");
    }
    if (panics != NULL) {
        *panics = self.caught;
    } else {
        ti_panics_free(self.caught);
    }
    return TI_EPANIC;
}

size_t ti_panics_count(const ti_panics *panics)
{
    size_t count = 0;
    for (; panics != NULL; panics = panics->next) {
        count++;
    }
    return count;
}

static ti_panics *panic_number(const ti_panics *panics, size_t index)
{
    while (panics != NULL && index-- > 0) {
        panics = panics->next;
    }
    return (ti_panics *)panics;
}

ti_status ti_panics_at(const ti_panics *panics, size_t index, ti_panic_view *view)
{
    const ti_panics *panic = panic_number(panics, index);
    if (panic == NULL) {
        return TI_EINVAL;
    }
    *view = view_of(panic);
    return TI_OK;
}

ti_status ti_panics_take(ti_panics *panics, size_t index, void **payload)
{
    ti_panics *panic = panic_number(panics, index);
    if (panic == NULL) {
        return TI_EINVAL;
    }
    *payload = panic->payload;
    panic->payload = NULL;
    panic->drop = NULL;
    return TI_OK;
}

void ti_panics_free(ti_panics *panics)
{
    while (panics != NULL) {
        ti_panics *next = panics->next;
        ti_drop_value(panics->drop, panics->payload, "a panic's payload");
        free(panics);
        panics = next;
    }
}

ti_panics *ti_panics_append(ti_panics *first, ti_panics *more)
{
    if (first == NULL) {
        return more;
    }
    ti_panics *last = first;
    while (last->next != NULL) {
        last = last->next;
    }
    last->next = more;
    return first;
}

struct dropping {
    const char *what;
    bool returned;
};

/* pthread_exit or a foreign exception: to go on unwinding would leave a scope with threads in it. */
static void drop_must_return(struct dropping *dropping)
{
    if (!dropping->returned) {
        ti_fatal("the destructor of %s did not return", dropping->what);
    }
}

void ti_drop_value(ti_drop drop, void *value, const char *what)
{
    if (drop == NULL) {
        return;
    }
    /* No cancellation point in there may end the thread: a cancelled owner still has children to join. */
    int cancellable;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancellable);
    struct dropping dropping __attribute__((cleanup(drop_must_return))) = {what, false};
    if (ti_catch(drop, value, NULL) != TI_OK) {
        ti_fatal("the destructor of %s panicked", what);
    }
    dropping.returned = true;
    pthread_setcancelstate(cancellable, NULL);
}
