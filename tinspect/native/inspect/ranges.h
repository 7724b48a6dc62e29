/* Sets of half-open address ranges of the target. */
#ifndef TI_RANGES_H
#define TI_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct ti_range {
    uint64_t low, high;
};

struct ti_ranges {
    struct ti_range *items;
    size_t count, capacity;
};

/* Adds [low, low + size), cut at the end of the address space; nothing for size 0. 0 or ENOMEM. */
int ti_ranges_add(struct ti_ranges *ranges, uint64_t low, uint64_t size);
/* Sorts, and makes one range of those that overlap or touch. */
void ti_ranges_normalise(struct ti_ranges *ranges);
/* Appends to `out` what `ranges` holds and `without` does not; both normalised. 0 or ENOMEM. */
int ti_ranges_subtract(const struct ti_ranges *ranges, const struct ti_ranges *without, struct ti_ranges *out);
/* The index of the first range of a normalised set that ends above `address`; `count` when there is none. */
size_t ti_ranges_search(const struct ti_range *items, size_t count, uint64_t address);
uint64_t ti_ranges_bytes(const struct ti_ranges *ranges);
void ti_ranges_free(struct ti_ranges *ranges);

#endif
