/* Circular lists of the target, walked while it stands still. */
#ifndef TI_LISTS_H
#define TI_LISTS_H

#include "copies.h"
#include "plan.h"

/* Adds every node and its record to `wanted`. Takes links out of `copies` where they are there already. 0 or ENOMEM. */
int ti_list_walk(const struct ti_list *list, const struct ti_copies *copies, struct ti_reader *reader,
                 const struct ti_patience *patience, struct ti_ranges *wanted, struct ti_gaps *gaps);

#endif
