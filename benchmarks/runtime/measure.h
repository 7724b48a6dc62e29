/* Times a loop: the best of many short runs, so that a neighbour on the machine costs nothing. */
#ifndef TI_MEASURE_H
#define TI_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* How many runs the best is taken of: BENCH_RUNS in the environment, else 50. */
static inline int measure_runs(void)
{
    const char *asked = getenv("BENCH_RUNS");
    int runs = asked != NULL ? atoi(asked) : 0;
    return runs > 0 ? runs : 50;
}

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
    int runs = measure_runs();
    for (int run = 0; run < runs; run++) {
        double start = measure_now_ns();
        loop(operations);
        double each = (measure_now_ns() - start) / (double)operations;
        best = each < best ? each : best;
    }
    printf("%s %.2f\n", name, best);
    fflush(stdout);
}

#endif
