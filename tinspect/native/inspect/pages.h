/* What the kernel says about a process's pages, without touching one of them. */
#ifndef TI_PAGES_H
#define TI_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A page none of these hold for (never touched, or not mapped) appears in no run. */
enum ti_page_flag {
    TI_PAGE_PRESENT = 1 << 0,
    TI_PAGE_SWAPPED = 1 << 1,
    TI_PAGE_GUARD = 1 << 2,       /* MADV_GUARD_INSTALL */
    TI_PAGE_ZERO = 1 << 3,        /* the shared zero page: read, never written; PAGEMAP_SCAN alone tells */
    TI_PAGE_FILE = 1 << 4,        /* backed by a file or by shared memory */
    TI_PAGE_MAYBE_GUARD = 1 << 5, /* swapped or a guard: Linux 6.13 and 6.14 have guards and don't tell */
};

struct ti_page_run {
    uint64_t low;
    uint64_t high;
    uint32_t flags;
};

struct ti_page_runs {
    struct ti_page_run *items;
    size_t count;
    size_t capacity;
    size_t limit; /* -E2BIG beyond it: a hostile target must not exhaust our memory */
};

struct ti_pagemap {
    int fd;
    bool by_ioctl;
    uint64_t guard_category; /* PAGEMAP_SCAN's, 0 where the kernel has none */
    bool maybe_guard;
    uint64_t page_size;
};

/* Opens /proc/PID/pagemap; `pid` may be any live thread's. Returns 0, or -errno with nothing left open. */
int ti_pagemap_open(struct ti_pagemap *map, pid_t pid, bool allow_ioctl);
void ti_pagemap_close(struct ti_pagemap *map);

/* Adds the runs of a bounded part of [*cursor, high) and moves *cursor on. Returns 0 or -errno (-ESRCH: the process
 * ended). */
int ti_pagemap_step(const struct ti_pagemap *map, uint64_t *cursor, uint64_t high, struct ti_page_runs *runs);

/* -ESRCH if the process ended since it was opened: its pages then look absent, which is no fact about it. */
int ti_pagemap_still_there(const struct ti_pagemap *map);

#endif
