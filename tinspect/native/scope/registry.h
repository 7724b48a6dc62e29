/* The registry's self-description: header, table of fields, and the two ways in besides the mapping's name. */
#ifndef TI_REGISTRY_H
#define TI_REGISTRY_H

#include <stddef.h>

#include "arena.h"

/* Fills in the header's fixed part and the table of fields at `fields` (`room` bytes). */
void ti_registry_describe(struct ti_registry_header *header, char *fields, size_t room);

/* Makes the exported anchor point to it. */
void ti_registry_publish(struct ti_registry_header *header);

#endif
