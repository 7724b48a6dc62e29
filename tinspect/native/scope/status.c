/* Status codes in words, time, and options that can grow. */
#include <string.h>
#include <time.h>

#include "internal.h"

static const char *const texts[] = {
    [TI_OK] = "all is well",
    [TI_EINVAL] = "an argument makes no sense",
    [TI_ENOMEM] = "no memory or no address space is left",
    [TI_EAGAIN] = "the system refuses another thread now",
    [TI_ESTALE] = "the handle's object is gone",
    [TI_ETIMEDOUT] = "the deadline passed first",
    [TI_EDEADLK] = "waiting would never end",
    [TI_EBUSY] = "somebody else has it",
    [TI_EPERM] = "the caller is not the owner",
    [TI_EBORROW] = "a loan of an overlapping range stands in the way",
    [TI_ENOTSEND] = "the type may not move to another thread",
    [TI_ENOTSYNC] = "the type may not be shared between threads",
    [TI_EPANIC] = "it ended by a panic",
    [TI_ETERMINATED] = "the thread ended without a result",
    [TI_ECLOSED] = "the scope takes no new threads",
    [TI_EOVERFLOW] = "a count or a size does not fit",
    [TI_EPOISONED] = "a holder began to unwind while holding it",
    [TI_EDESTROYED] = "the thread's local value has been destroyed",
    [TI_ERECURSION] = "the initialiser needs its own result",
    [TI_EGONE] = "the thread did not survive a fork",
    [TI_ENOTSUP] = "this system cannot do it",
    [TI_EMISUSE] = "the caller broke a rule",
    [TI_ESTOPPED] = "the scope was asked to stop",
    [TI_ENOTSET] = "there is no value yet",
};

const char *ti_status_text(ti_status status)
{
    size_t index = (size_t)status;
    return index < sizeof texts / sizeof texts[0] && texts[index] != NULL ? texts[index] : "unknown status";
}

uint32_t ti_version(void)
{
    return TI_VERSION_MAJOR << 16 | TI_VERSION_MINOR;
}

uint64_t ti_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

ti_deadline ti_deadline_after(uint64_t ns)
{
    uint64_t now = ti_now();
    return ns > TI_FOREVER - now ? TI_FOREVER : now + ns;
}

ti_status ti_options_copy(void *into, size_t size, const void *from)
{
    memset(into, 0, size);
    if (from == NULL) {
        memcpy(into, &size, sizeof size);
        return TI_OK;
    }
    size_t given;
    memcpy(&given, from, sizeof given);
    if (given < sizeof given) {
        return TI_EINVAL;
    }
    for (size_t i = size; i < given; i++) {
        if (((const char *)from)[i] != 0) {
            return TI_EINVAL;
        }
    }
    memcpy(into, from, given < size ? given : size);
    return TI_OK;
}
