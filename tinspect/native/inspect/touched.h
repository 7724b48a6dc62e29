/* Which pages of a range the target has touched: reading any other would map the zero page there. */
#ifndef TI_TOUCHED_H
#define TI_TOUCHED_H

#include "pages.h"
#include "ranges.h"

/* Begin with {.tid = a living thread}; /proc/TID/pagemap is opened when first needed. */
struct ti_touched {
    pid_t tid;
    struct ti_pagemap pagemap;
    int state; /* 0 not opened yet, 1 open, -1 cannot be opened */
};

/* Adds the parts of [low, high) that the target has touched to `into`. 0, ENOMEM, or ENODATA where nobody tells. */
int ti_touched_add(struct ti_touched *touched, uint64_t low, uint64_t high, struct ti_ranges *into);
void ti_touched_close(struct ti_touched *touched);

#endif
