/* Panics: an error that unwinds the stack. `cleanup` attributes, pthread cleanup handlers and C++ destructors between
 * the panic and the frame that catches it run; a frame without unwind tables aborts with a message. */
#ifndef TINSPECT_PANIC_H
#define TINSPECT_PANIC_H

#include "tinspect/base.h"

TI_BEGIN_DECLS

typedef void (*ti_drop)(void *value);

/* One panic, or several that a scope gathered: a chain that its receiver owns. */
typedef struct ti_panics ti_panics;

/* A look at one panic. Pointers live as long as the chain. */
typedef struct ti_panic_view {
    void *payload;
    const char *message;
    uint64_t thread_id;
    const char *thread_name; /* "" if it had none */
    ti_drop drop;            /* tells whose payload it is */
} ti_panic_view;

/* Panics with a formatted message; the payload is the message (char *). */
TI_API TI_NORETURN void ti_panic(const char *format, ...) TI_PRINTF(1, 2);

/* Panics with a payload; `drop` (may be NULL) ends its life if nobody takes it. `message` is copied (may be NULL). */
TI_API TI_NORETURN void ti_panic_with(void *payload, ti_drop drop, const char *message);

/* The same without the panic hook: for languages that show their own errors. */
TI_API TI_NORETURN void ti_panic_quietly(void *payload, ti_drop drop, const char *message);

/* Unwinds again, without the panic hook: for a panic that was caught and goes on. Takes the chain over. */
TI_API TI_NORETURN void ti_panics_resume(ti_panics *panics);

/* Runs function(context). TI_OK, or TI_EPANIC with the panic in *panics (yours to free; NULL frees it at once).
 * Foreign exceptions and cancellation pass through. */
TI_API ti_status ti_catch(void (*function)(void *context), void *context, ti_panics **panics);

/* How many panics the chain holds; NULL holds none. */
TI_API size_t ti_panics_count(const ti_panics *panics);
/* Panic number `index`; TI_EINVAL beyond the end. */
TI_API ti_status ti_panics_at(const ti_panics *panics, size_t index, ti_panic_view *view);
/* Takes the payload of number `index` out: it will not be dropped. TI_EINVAL beyond the end. */
TI_API ti_status ti_panics_take(ti_panics *panics, size_t index, void **payload);
/* Drops all payloads and the chain. NULL is fine. */
TI_API void ti_panics_free(ti_panics *panics);

/* Is the calling thread unwinding because of a panic? */
TI_API bool ti_panicking(void);

/* Called on the panicking thread before unwinding; NULL restores the default, which writes one line to stderr. */
typedef void (*ti_panic_hook)(const ti_panic_view *view);
TI_API void ti_set_panic_hook(ti_panic_hook hook);

TI_END_DECLS

#endif
