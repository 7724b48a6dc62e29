/* What every header of the runtime stands on: status codes, handles, options that can grow. */
#ifndef TINSPECT_BASE_H
#define TINSPECT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define TI_BEGIN_DECLS extern "C" {
#define TI_END_DECLS }
#else
#define TI_BEGIN_DECLS
#define TI_END_DECLS
#endif

#define TI_API __attribute__((visibility("default")))
#define TI_NORETURN __attribute__((noreturn))
#define TI_PRINTF(text, first) __attribute__((format(printf, text, first)))

TI_BEGIN_DECLS

/* Every function that can fail answers one of these. Numbers never change their meaning; new ones are appended. */
typedef enum ti_status {
    TI_OK = 0,
    TI_EINVAL = 1,       /* an argument makes no sense */
    TI_ENOMEM = 2,       /* no memory, or no address space */
    TI_EAGAIN = 3,       /* the system refuses another thread now */
    TI_ESTALE = 4,       /* the handle's object is gone */
    TI_ETIMEDOUT = 5,    /* the deadline passed first */
    TI_EDEADLK = 6,      /* waiting would never end: self-join, relock */
    TI_EBUSY = 7,        /* somebody else has it */
    TI_EPERM = 8,        /* the caller is not the owner */
    TI_EBORROW = 9,      /* a loan of an overlapping range stands in the way */
    TI_ENOTSEND = 10,    /* the type may not move to another thread */
    TI_ENOTSYNC = 11,    /* the type may not be shared between threads */
    TI_EPANIC = 12,      /* it ended by a panic */
    TI_ETERMINATED = 13, /* the thread ended without a result: pthread_exit or cancellation */
    TI_ECLOSED = 14,     /* the scope takes no new threads */
    TI_EOVERFLOW = 15,   /* a count or a size does not fit */
    TI_EPOISONED = 16,   /* a holder began to unwind while holding it; the lock is held all the same */
    TI_EDESTROYED = 17,  /* the thread's local value has been destroyed */
    TI_ERECURSION = 18,  /* the initialiser needs its own result */
    TI_EGONE = 19,       /* the thread did not survive a fork */
    TI_ENOTSUP = 20,     /* this system cannot do it */
    TI_EMISUSE = 21,     /* the caller broke a rule that the checked mode watches */
    TI_ESTOPPED = 22,    /* the scope was asked to stop */
    TI_ENOTSET = 23,     /* there is no value yet */
} ti_status;

/* One English sentence for a status, never NULL, static storage. */
TI_API const char *ti_status_text(ti_status status);

/* A handle names an object without pointing to it: an object that is gone answers TI_ESTALE. All handles have this
 * shape; id 0 is "none". They are values: copying one gives no second right to join. */
#define TI_DECLARE_HANDLE(name)                                                                                        \
    typedef struct name {                                                                                              \
        uint64_t id;                                                                                                   \
        uint32_t slot;                                                                                                 \
        uint32_t generation;                                                                                           \
    } name

TI_DECLARE_HANDLE(ti_handle);
TI_DECLARE_HANDLE(ti_thread);
TI_DECLARE_HANDLE(ti_scope);
TI_DECLARE_HANDLE(ti_cell);
TI_DECLARE_HANDLE(ti_loan);

/* An absolute point on CLOCK_MONOTONIC in ns; TI_FOREVER is never reached. */
typedef uint64_t ti_deadline;
#define TI_FOREVER UINT64_MAX

/* CLOCK_MONOTONIC now, in ns. */
TI_API uint64_t ti_now(void);
/* Now plus `ns`, saturating at TI_FOREVER. */
TI_API ti_deadline ti_deadline_after(uint64_t ns);

/* What may be done with a value of a type across threads. `size` is sizeof(ti_type). */
enum {
    TI_TYPE_SEND = 1u << 0, /* a value may be moved to another thread */
    TI_TYPE_SYNC = 1u << 1, /* a value may be read by several threads at once */
};
typedef struct ti_type {
    size_t size;
    const char *name;
    uint32_t flags;
} ti_type;

/* Version of the library: (major << 16) | minor. */
TI_API uint32_t ti_version(void);
#define TI_VERSION_MAJOR 1u
#define TI_VERSION_MINOR 0u

/* The checked mode: misuse (relock, wrong owner, destroying a held lock, joining twice …) is reported on stderr with
 * who and where, then handed to `handler`, or aborts when there is none. Off unless TINSPECT_CHECKED=1 is in the
 * environment; without it misuse is only a status. */
typedef void (*ti_misuse_handler)(ti_status status, const char *report);
TI_API void ti_set_checked(bool on, ti_misuse_handler handler);

TI_END_DECLS

#endif
