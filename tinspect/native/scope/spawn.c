/* Spawning. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "current.h"
#include "fate.h"
#include "hooks.h"
#include "names.h"
#include "thread_main.h"

#define DEFAULT_STACK (2u * 1024 * 1024)

/* What glibc takes out of a stack for itself: descriptor, static thread-locals, the least that a thread needs. */
static size_t least_stack(const pthread_attr_t *attributes)
{
    static _Atomic(uintptr_t) known;
    uintptr_t function = atomic_load_explicit(&known, memory_order_relaxed);
    if (function == 0) {
        /* A private symbol of glibc: looked up, never linked against. 1 stands for "not there". */
        function = (uintptr_t)dlsym(RTLD_DEFAULT, "__pthread_get_minstack");
        function = function == 0 ? 1 : function;
        atomic_store_explicit(&known, function, memory_order_relaxed);
    }
    if (function == 1) {
        return (size_t)sysconf(_SC_THREAD_STACK_MIN);
    }
    return ((size_t (*)(const pthread_attr_t *))function)(attributes);
}

static size_t default_stack(void)
{
    static _Atomic size_t known;
    size_t size = atomic_load_explicit(&known, memory_order_relaxed);
    if (size == 0) {
        const char *asked = getenv("TINSPECT_MIN_STACK");
        char *end = NULL;
        unsigned long long value = asked == NULL ? 0 : strtoull(asked, &end, 10);
        bool valid = asked != NULL && end != asked && *end == 0 && value != 0 && value <= SIZE_MAX / 2;
        size = valid ? (size_t)value : DEFAULT_STACK;
        atomic_store_explicit(&known, size, memory_order_relaxed);
    }
    return size;
}

/* `usable` bytes for the thread, on top of what libc takes; whole pages, which every system accepts. */
static ti_status set_stack_size(pthread_attr_t *attributes, size_t usable)
{
    size_t taken = least_stack(attributes);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (usable > SIZE_MAX - taken - page) {
        return TI_EOVERFLOW;
    }
    size_t size = (usable + taken + page - 1) / page * page;
    return pthread_attr_setstacksize(attributes, size) == 0 ? TI_OK : TI_EINVAL;
}

static ti_status create(struct ti_thread_slot *thread, size_t stack_size)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return TI_ENOMEM;
    }
    ti_status status = set_stack_size(&attributes, stack_size == 0 ? default_stack() : stack_size);
    bool forgotten = (ti_fate_of(thread) & TI_FATE_FORGOTTEN) != 0; /* seen now: later the slot may be another's */
    bool detached = forgotten && thread->scope == NULL;
    if (status == TI_OK && detached) {
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    }
    pthread_t made;
    if (status == TI_OK && pthread_create(&made, &attributes, ti_thread_main, thread) != 0) {
        status = TI_EAGAIN;
    }
    if (status == TI_OK && !detached) {
        /* A detached thread's slot may have been given out again by now. Any other waits for its joiner, and whoever
         * has got the handle from the thread itself already waits until this bit is gone. */
        ti_set(thread->pthread, made);
        ti_fate_clear(thread, TI_FATE_BUSY);
    }
    pthread_attr_destroy(&attributes);
    return status;
}

static uint32_t record_flags(const struct ti_thread_slot *thread, bool forgotten)
{
    if (thread->scope != NULL) {
        return TI_THREAD_SCOPED;
    }
    return forgotten ? TI_THREAD_DETACHED : 0u;
}

/* Takes a slot and fills in what the parent knows. */
static ti_status prepare(ti_scope scope, const ti_spawn_options *options, ti_thread_function function, void *context,
                         bool forgotten, struct ti_thread_slot **prepared)
{
    size_t length;
    ti_status status = ti_name_measure(options->name, options->name_length, &length);
    if (status != TI_OK) {
        return status;
    }
    struct ti_thread_record *parent = ti_current_record();
    struct ti_thread_slot *thread = (struct ti_thread_slot *)ti_slot_take(TI_KIND_THREAD);
    if (thread == NULL) {
        return TI_ENOMEM;
    }
    struct ti_thread_record *record = &thread->record;
    thread->function = function;
    thread->context = context;
    thread->drop_context = options->drop_context;
    thread->drop_result = options->drop_result;
    thread->result = NULL;
    thread->panics = NULL;
    thread->to_run = NULL;
    thread->outcome = TI_OUTCOME_NONE;
    thread->spawn_flags = options->flags;
    thread->scope = scope.id == 0 ? NULL : (struct ti_scope_slot *)ti_slot_at(TI_KIND_SCOPE, scope.slot);
    thread->hooks = (options->flags & TI_SPAWN_NO_HOOKS) != 0 ? NULL : ti_hooks_share(ti_thread_slot_of(parent)->hooks);
    ti_set(record->state, TI_STATE_STARTING);
    ti_set(record->entry, (uint64_t)(uintptr_t)function);
    ti_set(record->flags, record_flags(thread, forgotten));
    ti_set(record->parker, (uint64_t)ti_get(record->slot.generation) << 32 | TI_PARK_EMPTY);
    ti_link_set(&record->parent, &parent->slot);
    if (thread->scope != NULL) {
        ti_link_set(&record->scope, &thread->scope->record.slot);
    }
    ti_fate_init(thread, forgotten ? TI_FATE_FORGOTTEN : TI_FATE_BUSY);
    status = ti_name_set(thread, options->name, length);
    ti_record_end(&record->slot);
    *prepared = thread;
    return status;
}

/* Also runs when a spawn hook unwinds the spawning thread: nothing is left behind either way. */
static void undo(struct ti_thread_slot **pending)
{
    struct ti_thread_slot *thread = *pending;
    if (thread != NULL) {
        ti_hooks_discard(thread->to_run);
        ti_hooks_drop(thread->hooks);
        thread->hooks = NULL;
        ti_thread_slot_release(thread);
    }
}

static ti_status check_types(const ti_spawn_options *options)
{
    const ti_type *types[] = {options->context_type, options->result_type};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i] != NULL && (types[i]->flags & TI_TYPE_SEND) == 0) {
            return TI_ENOTSEND;
        }
    }
    return TI_OK;
}

/* Hooks run outside the scope's lock: they are user code. */
static ti_status launch(ti_scope scope, struct ti_thread_slot *thread, size_t stack_size)
{
    ti_status status = ti_hooks_prepare(thread->hooks, ti_thread_handle(&thread->record), &thread->to_run);
    if (status != TI_OK || thread->scope == NULL) {
        return status != TI_OK ? status : create(thread, stack_size);
    }
    status = ti_scope_admit(scope, thread);
    if (status == TI_OK) {
        status = create(thread, stack_size);
        ti_scope_admitted(thread, status == TI_OK);
    }
    return status;
}

ti_status ti_spawn(ti_scope scope, const ti_spawn_options *given, ti_thread_function function, void *context,
                   ti_thread *handle)
{
    ti_spawn_options options;
    ti_status status = ti_options_copy(&options, sizeof options, given);
    if (status != TI_OK || function == NULL || options.reserved != 0 ||
        (options.flags & ~(uint32_t)(TI_SPAWN_NO_HOOKS | TI_SPAWN_NO_ALTSTACK)) != 0) {
        return TI_EINVAL;
    }
    status = check_types(&options);
    if (status != TI_OK) {
        return status;
    }
    if (scope.id != 0 && ti_slot_find(TI_KIND_SCOPE, scope.id, scope.slot, scope.generation) == NULL) {
        return TI_ESTALE;
    }
    ti_scope_check_frames((uintptr_t)__builtin_frame_address(0));
    ti_limbo_sweep();
    struct ti_thread_slot *pending __attribute__((cleanup(undo))) = NULL;
    status = prepare(scope, &options, function, context, handle == NULL, &pending);
    if (pending == NULL) {
        return status;
    }
    ti_thread made = ti_thread_handle(&pending->record);
    status = status == TI_OK ? launch(scope, pending, options.stack_size) : status;
    if (status == TI_OK) {
        pending = NULL; /* the thread's own now, and perhaps gone already */
        if (handle != NULL) {
            *handle = made;
        }
    }
    return status;
}
