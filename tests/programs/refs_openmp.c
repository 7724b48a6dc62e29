/* A parallel loop over data in a frame that has returned since: what a pool of OpenMP threads keeps of it. */
#include <stdio.h>

static __attribute__((noinline)) double sum_up(int count)
{
    double sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(4)
    for (int index = 0; index < count; index++) {
        sum += index;
    }
    return sum;
}

static __attribute__((noinline)) double deeper(int depth)
{
    volatile char room[256];
    room[0] = (char)depth;
    return depth > 0 ? deeper(depth - 1) + room[0] : sum_up(100000);
}

int main(void)
{
    printf("ready %f\n", deeper(16));
    fflush(stdout);
    return getchar();
}
