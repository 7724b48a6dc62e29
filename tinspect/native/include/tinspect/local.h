/* Thread-local keys and values.
 *
 * A key is a pthread key that makes itself at first use. A local value is a variable of which each thread has its own:
 *
 *     TI_LOCAL(int, depth, TI_CONST(0), NULL);
 *     TI_LOCAL(struct buffer, scratch, TI_LAZY(buffer_init), buffer_drop);
 *
 *     (*depth_get())++;
 *     struct buffer *mine = scratch_get();   // NULL once this thread's value has been destroyed
 *
 * The first access in a thread makes the value alive and registers its destructor, which runs when the thread ends, the
 * newest first, before the thread can be joined. The state turns to "destroyed" before the destructor is called, so a
 * destructor that comes back to the value is told so. Destructors may make further values alive. One that panics
 * aborts. Main thread: destructors run at exit() where the C library has __cxa_thread_atexit_impl (glibc), else not at
 * all. */
#ifndef TINSPECT_LOCAL_H
#define TINSPECT_LOCAL_H

#include "tinspect/base.h"
#include "tinspect/sync.h"

TI_BEGIN_DECLS

struct ti_key_record;

/* ---- Keys ---- */

typedef struct ti_key {
    TI_ATOMIC(uintptr_t) key; /* 0: not made yet; a real key 0 is never kept */
    void (*destructor)(void *value);
    const char *name; /* in the registry; NULL: unnamed */
    TI_ATOMIC(struct ti_key_record *) record;
} ti_key;
#define TI_KEY_INIT(name, destructor) {0, destructor, name, NULL}

/* The calling thread's value, NULL if it has none. Never makes the key. */
TI_API void *ti_key_get(ti_key *key);
/* TI_EAGAIN: the system has no more keys. TI_ENOMEM. */
TI_API ti_status ti_key_set(ti_key *key, const void *value);
/* Gives the key back to the system; destructors of values that are still set will not run. Nobody may use it meanwhile;
 * afterwards it is as new. */
TI_API void ti_key_delete(ti_key *key);

/* ---- Local values ---- */

enum ti_local_phase {
    TI_LOCAL_INITIAL = 0,
    TI_LOCAL_ALIVE = 1,
    TI_LOCAL_DESTROYED = 2,
};

/* What stands before each thread's value. */
typedef struct ti_local_head {
    uint32_t phase;              /* enum ti_local_phase */
    int32_t loans;               /* -1: lent exclusively, else how often it is lent */
    uint32_t offset;             /* from here to the value */
    uint32_t size;               /* of the value */
    void (*lazy)(void *value);   /* NULL: the initial value stands there already */
    void (*drop)(void *value);   /* may be NULL */
    struct ti_local_head *older; /* registered before it, where a guard key runs the destructors */
} ti_local_head;

/* A key that stands in for compiler thread-locals; `image` is what each thread's block starts as. */
typedef struct ti_local_key {
    ti_key key;
    const ti_local_head *image;
    size_t size;
} ti_local_key;
#define TI_LOCAL_KEY_INIT(name, image, size) {TI_KEY_INIT(name, ti_local_key_end), image, size}

/* How a value is registered: with its module's handle, which keeps the module loaded until the destructor ran. */
typedef struct ti_local_home {
    void *module; /* &__dso_handle; NULL: the value lives in a key's block and needs no registration */
} ti_local_home;

/* The generated functions stand on these. `fresh` is room for one value. */
TI_API void *ti_local_start(ti_local_head *head, void *fresh, ti_local_home home);
TI_API ti_status ti_local_put(ti_local_head *head, void *fresh, ti_local_home home);
TI_API ti_status ti_local_lend(ti_local_head *head, bool exclusive);
TI_API void ti_local_give_back(ti_local_head *head);
TI_API ti_local_head *ti_local_block(ti_local_key *key);
TI_API void ti_local_key_end(void *block);

TI_END_DECLS

#ifndef __cplusplus /* C++ has thread_local */

#include <string.h>

/* The module the including file is linked into; each has its own. */
extern void *__dso_handle __attribute__((visibility("hidden")));

#define TI_CONST(...) .value = __VA_ARGS__
#define TI_LAZY(initialise) .head.lazy = (initialise)

#define TI_LOCAL_UNUSED __attribute__((unused))

/* Ends a loan on every way out of its block. */
typedef struct ti_local_loan {
    ti_local_head *head;
} ti_local_loan;
static inline TI_LOCAL_UNUSED void ti_local_loan_end(ti_local_loan *loan)
{
    ti_local_give_back(loan->head);
}

#define TI_LOCAL_IMAGE(type_, name_, drop_)                                                                            \
    .head.offset = offsetof(struct name_##_local, value), .head.size = sizeof(type_), .head.drop = (drop_)

/* Where each thread's value is: a compiler thread-local, or a block found through a key (define TI_LOCAL_BY_KEY before
 * including this, for systems or modules where compiler thread-locals cannot be had). */
#ifndef TI_LOCAL_BY_KEY
#define TI_LOCAL_STORAGE(type_, name_, drop_, ...)                                                                     \
    static __thread struct name_##_local name_##_storage = {TI_LOCAL_IMAGE(type_, name_, drop_), __VA_ARGS__};         \
    static inline TI_LOCAL_UNUSED struct name_##_local *name_##_place(void)                                            \
    {                                                                                                                  \
        return &name_##_storage;                                                                                       \
    }
#define TI_LOCAL_HOME ((ti_local_home){&__dso_handle})
#else
#define TI_LOCAL_STORAGE(type_, name_, drop_, ...)                                                                     \
    _Static_assert(_Alignof(type_) <= _Alignof(max_align_t), #name_ " is aligned more than a block can be");           \
    static const struct name_##_local name_##_image = {TI_LOCAL_IMAGE(type_, name_, drop_), __VA_ARGS__};              \
    static ti_local_key name_##_key = TI_LOCAL_KEY_INIT(#name_, &name_##_image.head, sizeof name_##_image);            \
    static inline TI_LOCAL_UNUSED struct name_##_local *name_##_place(void)                                            \
    {                                                                                                                  \
        return (struct name_##_local *)ti_local_block(&name_##_key);                                                   \
    }
#define TI_LOCAL_HOME ((ti_local_home){NULL})
#endif

/* Declares NAME, of which each thread has its own; `initial_` is TI_CONST(value) or TI_LAZY(function(void *value)),
 * `drop_` a function(void *value) or NULL. It makes type *NAME_get(void)                            the value, made if
 * need be; NULL when it has been destroyed ti_status NAME_set(type value)                  without running the
 * initialiser; the old value is dropped ti_status NAME_take(type *out)                  moves the value out and leaves
 * zero bytes ti_status NAME_replace(type value, type *old)   moves the old value out ti_status NAME_with(function(const
 * type *, void *context), context)    lends it: shared ti_status NAME_with_mut(function(type *, void *context),
 * context)      lends it: alone which answer TI_EDESTROYED when the value has been destroyed and TI_EBORROW when a loan
 * stands in the way. */
#define TI_LOCAL(type_, name_, initial_, drop_)                                                                        \
    typedef type_ name_##_value;                                                                                       \
    struct name_##_local {                                                                                             \
        ti_local_head head;                                                                                            \
        type_ value;                                                                                                   \
    };                                                                                                                 \
    TI_LOCAL_STORAGE(type_, name_, drop_, initial_)                                                                    \
    static __attribute__((noinline, cold, unused)) type_ *name_##_start(struct name_##_local *place)                   \
    {                                                                                                                  \
        type_ fresh;                                                                                                   \
        return ti_local_start(place != NULL ? &place->head : NULL, &fresh, TI_LOCAL_HOME);                             \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED type_ *name_##_get(void)                                                             \
    {                                                                                                                  \
        struct name_##_local *place = name_##_place();                                                                 \
        if (__builtin_expect(place != NULL && place->head.phase == TI_LOCAL_ALIVE, 1)) {                               \
            return &place->value;                                                                                      \
        }                                                                                                              \
        return name_##_start(place);                                                                                   \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED ti_status name_##_set(type_ value)                                                   \
    {                                                                                                                  \
        struct name_##_local *place = name_##_place();                                                                 \
        return ti_local_put(place != NULL ? &place->head : NULL, &value, TI_LOCAL_HOME);                               \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED ti_status name_##_replace(type_ value, type_ *old)                                   \
    {                                                                                                                  \
        type_ *place = name_##_get();                                                                                  \
        if (place == NULL) {                                                                                           \
            return TI_EDESTROYED;                                                                                      \
        }                                                                                                              \
        if (name_##_place()->head.loans != 0) {                                                                        \
            return TI_EBORROW;                                                                                         \
        }                                                                                                              \
        *old = *place;                                                                                                 \
        *place = value;                                                                                                \
        return TI_OK;                                                                                                  \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED ti_status name_##_take(type_ *out)                                                   \
    {                                                                                                                  \
        type_ zero;                                                                                                    \
        memset(&zero, 0, sizeof zero);                                                                                 \
        return name_##_replace(zero, out);                                                                             \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED ti_status name_##_with(void (*use)(const name_##_value *value, void *context),       \
                                                         void *context)                                                \
    {                                                                                                                  \
        type_ *value = name_##_get();                                                                                  \
        ti_status status = value != NULL ? ti_local_lend(&name_##_place()->head, false) : TI_EDESTROYED;               \
        if (status == TI_OK) {                                                                                         \
            ti_local_loan loan __attribute__((cleanup(ti_local_loan_end))) = {&name_##_place()->head};                 \
            use(value, context);                                                                                       \
        }                                                                                                              \
        return status;                                                                                                 \
    }                                                                                                                  \
    static inline TI_LOCAL_UNUSED ti_status name_##_with_mut(void (*use)(type_ * value, void *context), void *context) \
    {                                                                                                                  \
        type_ *value = name_##_get();                                                                                  \
        ti_status status = value != NULL ? ti_local_lend(&name_##_place()->head, true) : TI_EDESTROYED;                \
        if (status == TI_OK) {                                                                                         \
            ti_local_loan loan __attribute__((cleanup(ti_local_loan_end))) = {&name_##_place()->head};                 \
            use(value, context);                                                                                       \
        }                                                                                                              \
        return status;                                                                                                 \
    }                                                                                                                  \
    struct name_##_local /* takes the semicolon */

#endif

#endif
