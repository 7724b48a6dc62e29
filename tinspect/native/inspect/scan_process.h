/* Scans ranges of another process for words that fall into a set of targets, on one or two threads. */
#ifndef TI_SCAN_PROCESS_H
#define TI_SCAN_PROCESS_H

#include <sys/types.h>

#include "scan.h"

enum { TI_SCAN_MOST_UNREADABLE = 1 << 16 };

struct ti_process_scan {
    struct ti_scan scan;
    pid_t tid;                       /* any living thread of the target */
    const struct ti_ranges *sources; /* scanned one by one in this order: no word spans two */
    bool two_threads;

    size_t index;    /* the source where the next wave begins … */
    uint64_t offset; /* … and how far into it */

    struct ti_words found;
    struct ti_ranges unreadable; /* after TI_SCAN_MOST_UNREADABLE the last one is widened to hold what follows */
    uint64_t bytes_read;
};

/* Scans the next wave (256 MiB, some 40 ms). 1 while there is more, 0 at the end, -errno. */
int ti_process_scan_wave(struct ti_process_scan *process);
void ti_process_scan_free(struct ti_process_scan *process);

#endif
