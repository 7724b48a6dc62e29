/* Facts about threads, and time. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "current.h"

ti_thread ti_current(void)
{
    return ti_thread_handle(ti_current_record());
}

uint64_t ti_thread_id(void)
{
    return ti_current_id();
}

/* One try; false if the record changed meanwhile. */
static bool try_describe(const struct ti_thread_record *record, ti_thread_info *facts)
{
    uint32_t before = atomic_load_explicit(&record->slot.sequence, memory_order_acquire);
    facts->id = ti_get(record->slot.id);
    facts->tid = ti_get(record->tid);
    facts->stack_low = ti_get(record->stack_low);
    facts->stack_high = ti_get(record->stack_high);
    facts->guard_low = ti_get(record->guard_low);
    facts->guard_high = ti_get(record->guard_high);
    facts->altstack_low = ti_get(record->altstack_low);
    facts->altstack_high = ti_get(record->altstack_high);
    atomic_thread_fence(memory_order_acquire);
    return (before & 1u) == 0 && ti_get(record->slot.sequence) == before;
}

ti_status ti_thread_describe(ti_thread thread, ti_thread_info *info)
{
    size_t room = info->size;
    if (room < sizeof info->size || room > sizeof *info) {
        return TI_EINVAL;
    }
    ti_thread_info facts = {.size = room};
    struct ti_thread_record *record;
    while ((record = ti_thread_find(thread)) != NULL) {
        if (try_describe(record, &facts) && facts.id == thread.id) {
            memcpy(info, &facts, room);
            return TI_OK;
        }
        sched_yield(); /* its writer may be waiting for this CPU */
    }
    return TI_ESTALE;
}

void ti_sleep_until(ti_deadline deadline)
{
    if (deadline <= ti_now()) {
        return;
    }
    struct ti_thread_record *self = ti_current_record();
    uint32_t before = ti_wait_begin(self, TI_WAIT_SLEEP, NULL);
    /* Absolute, so a signal only means to go on; in steps, because the kernel's clock is signed. */
    uint64_t step = (uint64_t)INT64_MAX;
    uint64_t until = deadline < step ? deadline : step;
    struct timespec at = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    while (ti_now() < deadline) {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    ti_wait_end(self, before);
}

void ti_sleep(uint64_t seconds, uint64_t nanoseconds)
{
    uint64_t ns;
    bool too_long =
        __builtin_mul_overflow(seconds, (uint64_t)1000000000u, &ns) || __builtin_add_overflow(ns, nanoseconds, &ns);
    ti_sleep_until(ti_deadline_after(too_long ? TI_FOREVER : ns));
}

void ti_yield(void)
{
    sched_yield();
}
