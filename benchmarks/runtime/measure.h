/* Times a loop: the best of many short runs, so that a neighbour on the machine costs nothing. */
#ifndef TI_MEASURE_H
#define TI_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum {
    MEASURE_RUNS = 50,
};

static inline double measure_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Prints "name ns_per_op" for `loop`, which does `operations` of them. */
static inline void measure(const char *name, void (*loop)(long operations), long operations)
{
    double best = 1e300;
    for (int run = 0; run < MEASURE_RUNS; run++) {
        double start = measure_now_ns();
        loop(operations);
        double each = (measure_now_ns() - start) / (double)operations;
        best = each < best ? each : best;
    }
    printf("%s %.2f\n", name, best);
    fflush(stdout);
}

#endif
