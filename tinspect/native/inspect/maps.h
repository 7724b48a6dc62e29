/* The mappings of a process, read again during a stop when one appeared since they were read before it. */
#ifndef TI_MAPS_H
#define TI_MAPS_H

#include <sys/types.h>

#include "ranges.h"

/* Reads /proc/TID/maps, sorted, one range a line. 0, or an errno. */
int ti_maps_read(pid_t tid, struct ti_ranges *mappings);
/* The mapping that holds `address`, or NULL. */
const struct ti_range *ti_maps_find(const struct ti_ranges *mappings, uint64_t address);

#endif
