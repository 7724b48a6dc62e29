#include "touched.h"

#include <errno.h>
#include <stdlib.h>

#define RUNS_LIMIT (1U << 20)

static bool open_pagemap(struct ti_touched *touched)
{
    if (touched->state == 0) {
        touched->state = ti_pagemap_open(&touched->pagemap, touched->tid, true) == 0 ? 1 : -1;
    }
    return touched->state > 0;
}

int ti_touched_add(struct ti_touched *touched, uint64_t low, uint64_t high, struct ti_ranges *into)
{
    if (low >= high) {
        return 0;
    }
    if (!open_pagemap(touched)) {
        return ENODATA;
    }
    uint64_t page = touched->pagemap.page_size, cursor = low & ~(page - 1), end = (high + page - 1) & ~(page - 1);
    struct ti_page_runs runs = {.limit = RUNS_LIMIT};
    int error = 0;
    while (!error && cursor < end) {
        error = ti_pagemap_step(&touched->pagemap, &cursor, end, &runs);
    }
    error = error == 0 ? 0 : error == -ENOMEM ? ENOMEM : ENODATA;
    for (size_t index = 0; !error && index < runs.count; index++) {
        const struct ti_page_run *run = &runs.items[index];
        if ((run->flags & (TI_PAGE_PRESENT | TI_PAGE_SWAPPED)) && !(run->flags & TI_PAGE_GUARD)) {
            uint64_t first = run->low > low ? run->low : low, last = run->high < high ? run->high : high;
            error = ti_ranges_add(into, first, last - first);
        }
    }
    free(runs.items);
    return error;
}

void ti_touched_close(struct ti_touched *touched)
{
    if (touched->state > 0) {
        ti_pagemap_close(&touched->pagemap);
    }
}
