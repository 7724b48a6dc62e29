#include "threads.h"

#include <stdlib.h>

static int compare_threads(const void *left, const void *right)
{
    pid_t a = ((const struct ti_thread *)left)->tid, b = ((const struct ti_thread *)right)->tid;
    return (a > b) - (a < b);
}

void ti_threads_sort(struct ti_threads *threads)
{
    if (threads->count > 1) {
        qsort(threads->items, threads->count, sizeof *threads->items, compare_threads);
    }
}

struct ti_thread *ti_threads_find(const struct ti_threads *threads, size_t count, pid_t tid)
{
    struct ti_thread wanted = {.tid = tid};
    return count ? bsearch(&wanted, threads->items, count, sizeof wanted, compare_threads) : NULL;
}
