/* Threads: spawn, join, names, ids, hooks, sleep. */
#ifndef TINSPECT_THREAD_H
#define TINSPECT_THREAD_H

#include "tinspect/base.h"
#include "tinspect/panic.h"

TI_BEGIN_DECLS

typedef void *(*ti_thread_function)(void *context);

enum {
    TI_SPAWN_NO_HOOKS = 1u << 0,    /* run no spawn hooks, and inherit none */
    TI_SPAWN_NO_ALTSTACK = 1u << 1, /* no alternate signal stack: its overflow is not reported */
};

/* A drop function returns: a panic or pthread_exit in it aborts, and cancellation waits until it is over.
 * All zero is the default. Start from TI_SPAWN_OPTIONS. */
typedef struct ti_spawn_options {
    size_t size;                 /* sizeof(ti_spawn_options) */
    const char *name;            /* UTF-8, kept in full; the system shows its first 15 bytes. NULL: unnamed */
    size_t name_length;          /* bytes; 0: up to the terminating zero. A zero byte inside is TI_EINVAL */
    size_t stack_size;           /* usable bytes; 0: TINSPECT_MIN_STACK from the environment, else 2 MiB */
    uint32_t flags;              /* TI_SPAWN_* */
    uint32_t reserved;           /* zero */
    ti_drop drop_context;        /* ends the closure's environment, in the child, before it counts as ended */
    ti_drop drop_result;         /* ends a result that nobody takes */
    const ti_type *context_type; /* if given, must be Send */
    const ti_type *result_type;  /* if given, must be Send */
} ti_spawn_options;
#define TI_SPAWN_OPTIONS {.size = sizeof(ti_spawn_options)}

/* Spawns a thread that runs function(context) into `scope`, or a free one if scope.id is 0. `options` and `handle` may
 * be NULL; without a handle nobody can join it: a free thread is detached, a scoped one drops its own result.
 * TI_EAGAIN: the system refuses; nothing is left behind and `context` is still the caller's. TI_ESTALE, TI_ECLOSED: of
 * the scope. TI_EINVAL: bad name or options. TI_ENOTSEND: of a type. */
TI_API ti_status ti_spawn(ti_scope scope, const ti_spawn_options *options, ti_thread_function function, void *context,
                          ti_thread *handle);

/* Waits until the thread has ended, thread-local destructors included, and takes its outcome. TI_OK: *result (may be
 * NULL: then it is dropped). TI_EPANIC: *panics (may be NULL: freed). TI_ETERMINATED: pthread_exit or cancellation.
 * TI_EDEADLK: oneself. TI_EBUSY: somebody else joins it. TI_ESTALE: joined, detached, or its scope has ended. TI_EGONE:
 * lost in a fork. No cancellation point: a scope never loses a child to a cancelled joiner. */
TI_API ti_status ti_join(ti_thread thread, void **result, ti_panics **panics);

/* The same with a deadline: TI_ETIMEDOUT leaves the thread joinable. */
TI_API ti_status ti_join_until(ti_thread thread, ti_deadline deadline, void **result, ti_panics **panics);

/* Gives up the right to join. A free thread is detached; a scoped one stays in its scope and drops its own result.
 * TI_EBUSY: somebody is joining it, and the right stays (with a deadline they may give up). */
TI_API ti_status ti_detach(ti_thread thread);

/* Has the thread's function ended? Never blocks. A stale handle's thread has ended. */
TI_API bool ti_is_finished(ti_thread thread);

/* The calling thread. Never allocates for a thread that has called before. */
TI_API ti_thread ti_current(void);
TI_API uint64_t ti_thread_id(void);

typedef struct ti_thread_info {
    size_t size; /* sizeof(ti_thread_info), set by the caller */
    uint64_t id;
    uint64_t tid;
    uint64_t stack_low, stack_high;       /* what pthread_getattr_np says; 0, 0: not known */
    uint64_t guard_low, guard_high;       /* equal: none */
    uint64_t altstack_low, altstack_high; /* equal: none of the runtime's */
} ti_thread_info;
/* Facts about a thread. TI_ESTALE when it is gone. */
TI_API ti_status ti_thread_describe(ti_thread thread, ti_thread_info *info);

/* Copies the name with a terminating zero into `name` (cut to `room` bytes at a UTF-8 boundary); *length (may be NULL)
 * is the full length. Unnamed: "". TI_ESTALE when it is gone. */
TI_API ti_status ti_thread_name(ti_thread thread, char *name, size_t room, size_t *length);

/* Renames the calling thread. */
TI_API ti_status ti_set_thread_name(const char *name, size_t length);

/* A hook on every spawn below the calling thread. `parent` runs in the spawning thread and returns a token; `child`
 * runs in the new thread, before its function, and ends the token; `discard` ends it if no thread came to be, or a
 * hook before it panicked. A child inherits its parent's hooks. Newest first. */
typedef struct ti_spawn_hook {
    size_t size; /* sizeof(ti_spawn_hook) */
    void *(*parent)(ti_thread child, void *context);
    void (*child)(void *token, void *context);
    void (*discard)(void *token, void *context);
    void *context;
    ti_drop drop_context; /* when the last thread that inherited the hook has ended */
} ti_spawn_hook;
TI_API ti_status ti_add_spawn_hook(const ti_spawn_hook *hook);

/* Sleeps at least that long, signals or not. */
TI_API void ti_sleep(uint64_t seconds, uint64_t nanoseconds);
TI_API void ti_sleep_until(ti_deadline deadline);
TI_API void ti_yield(void);

/* How many threads can run at once: affinity and cgroup quota honoured, at least 1. */
TI_API size_t ti_available_parallelism(void);

/* Reports stack overflows from now on: installs handlers for SIGSEGV and SIGBUS where the disposition is default, and
 * an alternate stack for the calling thread if it has none. TI_EBUSY: neither signal was ours to take. Never done
 * unasked. */
TI_API ti_status ti_overflow_install(void);

TI_END_DECLS

#endif
