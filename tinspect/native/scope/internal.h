/* What the files of the runtime share: the current thread, panics, registry records, misuse. */
#ifndef TI_INTERNAL_H
#define TI_INTERNAL_H

#include "record.h"
#include "tinspect/base.h"

#define TI_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define TI_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

struct ti_catch;
struct ti_frame;

/* glibc keeps room for libraries that are loaded later; musl refuses such a library. (Linked statically the linker
 * makes the same of either.) */
#ifdef __GLIBC__
#define TI_TLS_MODEL tls_model("initial-exec"),
#else
#define TI_TLS_MODEL
#endif

/* Everything the runtime keeps in compiler thread-locals: one line, initial-exec where that can be had, so that reading
 * it is one load even from a shared library. It stays valid until the thread has ended, in its thread-local destructors
 * too. */
struct ti_local_state {
    struct ti_thread_record *record; /* NULL until the thread's first call */
    uint32_t panic_count;            /* panics being unwound on this thread */
    struct ti_catch *catch_top;      /* innermost ti_catch */
    struct ti_frame *scope_top;      /* innermost scope that this thread has entered */
};
extern __thread struct ti_local_state ti_local __attribute__((TI_TLS_MODEL visibility("hidden")));

/* Gives a thread that the runtime did not spawn a record. Never fails (a full machine is fatal), no malloc. */
struct ti_thread_record *ti_adopt_current(void);

/* The calling thread's record, never NULL. No allocation for a thread that the runtime spawned or has seen. */
static inline struct ti_thread_record *ti_current_record(void)
{
    struct ti_thread_record *record = ti_local.record;
    return TI_LIKELY(record != NULL) ? record : ti_adopt_current();
}

/* The calling thread's id, never 0. */
static inline uint64_t ti_current_id(void)
{
    return ti_get(ti_current_record()->slot.id);
}

/* Is this thread unwinding because of a panic? */
static inline bool ti_is_unwinding(void)
{
    return ti_local.panic_count != 0;
}

/* The record a thread handle names, or NULL when the thread is gone. Records are never unmapped: what the caller reads
 * from it later may belong to the slot's next thread, so check the generation with (or after) what you read. */
struct ti_thread_record *ti_thread_find(ti_thread thread);

/* Waits. Call ti_wait_begin just before sleeping (not on a fast path), ti_wait_end after waking, on the caller's own
 * record; `before` is what ti_wait_begin returned. `since` is taken inside. */
uint32_t ti_wait_begin(struct ti_thread_record *self, enum ti_wait_kind kind, const void *address);
void ti_wait_end(struct ti_thread_record *self, uint32_t before);

/* Records for named locks and for keys. NULL when there is no memory: the lock works unrecorded. The fields owner,
 * waiters and poisoned are then the lock's to store, relaxed (ti_set). */
struct ti_lock_record *ti_lock_register(const void *address, enum ti_lock_kind kind, const char *name);
void ti_lock_unregister(struct ti_lock_record *record);
struct ti_key_record *ti_key_register(const void *address, uint32_t pthread_key, const char *name,
                                      void (*destructor)(void *));
void ti_key_unregister(struct ti_key_record *record);

/* Misuse. Says `what` about `object` (and who holds it: a thread id or 0) if the checked mode is on; returns `status`.
 */
ti_status ti_misuse(ti_status status, const char *what, const void *object, uint64_t holder);

/* Writes to stderr: by no stdio stream, whose lock a broken thread may hold, and as no cancellation point. */
void ti_tell(const char *format, ...) TI_PRINTF(1, 2);

/* "tinspect: fatal: …" with write(2), then abort. For broken invariants only. */
TI_NORETURN void ti_fatal(const char *format, ...) TI_PRINTF(1, 2);

/* Copies a caller's options into `into` (of `size` bytes, zeroed first). A caller that knows fewer fields leaves the
 * rest zero; one that knows more must have left them zero, else TI_EINVAL. NULL stands for all zeros. */
ti_status ti_options_copy(void *into, size_t size, const void *from);

#endif
