/* Stack bounds. pthread_getattr_np asks the kernel for the affinity mask and allocates (glibc 2.36): too dear for every
 * thread. The facts it gives lie in the descriptor, as consecutive words {block, size, guard}; where, is learnt once,
 * by looking for the words it just gave, and is used only while it proves true for the thread at hand. */
#include "bounds.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Offset of {block, size, guard} in the descriptor; 0: not learnt yet, UNKNOWN: this libc keeps them elsewhere. */
#define UNKNOWN SIZE_MAX
static _Atomic size_t block_offset;

static bool is_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

static bool ask_libc(struct ti_stack_bounds *bounds)
{
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return false;
    }
    void *low = NULL;
    size_t size = 0;
    size_t guard = 0;
    bool known =
        pthread_attr_getstack(&attributes, &low, &size) == 0 && pthread_attr_getguardsize(&attributes, &guard) == 0;
    pthread_attr_destroy(&attributes);
    bounds->low = (uint64_t)(uintptr_t)low;
    bounds->high = bounds->low + size;
    bounds->guard_high = bounds->low;
    bounds->guard_low = bounds->low - guard;
    return known;
}

/* True if the three words at `words` are what libc said about this thread. */
static bool matches(const uintptr_t *words, const struct ti_stack_bounds *bounds)
{
    uint64_t guard = bounds->guard_high - bounds->guard_low;
    return words[0] == bounds->guard_low && words[1] == bounds->high - bounds->guard_low && words[2] == guard;
}

static void learn(const struct ti_stack_bounds *bounds)
{
    /* glibc keeps the descriptor at the top of the block, so the words between pthread_self() and the block's end are
     * readable. Elsewhere (a user's stack, musl's layout) nothing matches. */
    uintptr_t self = (uintptr_t)pthread_self();
    if (self < bounds->low || self >= bounds->high) {
        atomic_store_explicit(&block_offset, UNKNOWN, memory_order_relaxed);
        return;
    }
    size_t found = UNKNOWN;
    for (uintptr_t at = self; at + 3 * sizeof at <= bounds->high; at += sizeof at) {
        if (matches((const uintptr_t *)at, bounds)) {
            found = found == UNKNOWN ? at - self : UNKNOWN;
        }
    }
    atomic_store_explicit(&block_offset, found, memory_order_relaxed);
}

bool ti_bounds_are_learnt(void)
{
    return atomic_load_explicit(&block_offset, memory_order_relaxed) != 0;
}

bool ti_bounds_from_descriptor(struct ti_stack_bounds *bounds)
{
    size_t offset = atomic_load_explicit(&block_offset, memory_order_relaxed);
    if (offset == 0 || offset == UNKNOWN) {
        return false;
    }
    uintptr_t self = (uintptr_t)pthread_self();
    const uintptr_t *words = (const uintptr_t *)(self + offset);
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    /* The proof: both the descriptor and the frame we run in lie in the block. The main thread's block is empty. */
    if (words[0] == 0 || words[2] > words[1] || self - words[0] >= words[1] || here - words[0] >= words[1]) {
        return false;
    }
    bounds->guard_low = words[0];
    bounds->guard_high = bounds->low = words[0] + words[2];
    bounds->high = words[0] + words[1];
    return true;
}

bool ti_bounds_of_current(struct ti_stack_bounds *bounds)
{
    if (ti_bounds_from_descriptor(bounds)) {
        return true;
    }
    if (!ask_libc(bounds)) {
        *bounds = (struct ti_stack_bounds){0};
        return false;
    }
    if (is_main_thread()) {
        /* Its guard is the kernel's gap; see overflow.c. */
        bounds->guard_low = bounds->guard_high = bounds->low;
    } else if (atomic_load_explicit(&block_offset, memory_order_relaxed) == 0) {
        learn(bounds);
    }
    return true;
}
