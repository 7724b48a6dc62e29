/* Monotonic time: deadlines and the measured pause. */
#ifndef TI_CLOCK_H
#define TI_CLOCK_H

#include <stdint.h>
#include <time.h>

#define TI_NS_PER_MS 1000000ULL
#define TI_NS_PER_US 1000ULL

static inline uint64_t ti_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static inline void ti_sleep_ns(uint64_t nanoseconds)
{
    struct timespec pause = {.tv_sec = (time_t)(nanoseconds / 1000000000ULL),
                             .tv_nsec = (long)(nanoseconds % 1000000000ULL)};
    nanosleep(&pause, NULL);
}

#endif
