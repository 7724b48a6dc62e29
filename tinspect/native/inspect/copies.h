/* Copies of the target's memory: few big reads into few big buffers, and where in them each address is. */
#ifndef TI_COPIES_H
#define TI_COPIES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "gaps.h"
#include "ranges.h"
#include "read.h"

struct ti_piece {
    uint64_t low, high;
    const uint8_t *data;
};

struct ti_chunk {
    uint8_t *memory;
    size_t size, used;
};

struct ti_copies {
    struct ti_piece *pieces; /* sorted by address, disjoint */
    size_t count, capacity;
    struct ti_chunk *chunks;
    size_t chunk_count, chunk_capacity;
    uint64_t bytes;
};

/* When to leave off: a copy that takes longer would keep the target waiting. */
struct ti_patience {
    uint64_t deadline_ns;
    const atomic_bool *cancelled;
};

/* Takes memory for `bytes` and touches it, before the stop, so that no page fault lengthens it. 0 or ENOMEM. */
int ti_copies_reserve(struct ti_copies *copies, uint64_t bytes);
/*
 * Copies `wanted` (normalised, nothing of it copied before). What cannot be read becomes a gap, page by page.
 * 0, ENOMEM, ECANCELED.
 */
int ti_copies_add(struct ti_copies *copies, struct ti_reader *reader, const struct ti_ranges *wanted,
                  const struct ti_patience *patience, struct ti_gaps *gaps);
/* The copied bytes of [address, address + size), or NULL when they are not all in one piece. */
const void *ti_copies_find(const struct ti_copies *copies, uint64_t address, uint64_t size);
/* The word at `address`: out of the copies, else from the target, which stands still. 0, or an errno of ti_read_all. */
int ti_copies_word(const struct ti_copies *copies, struct ti_reader *reader, uint64_t address, uint64_t *word);
/* Adds all that has been copied to `ranges`. 0 or ENOMEM. */
int ti_copies_extent(const struct ti_copies *copies, struct ti_ranges *ranges);
void ti_copies_free(struct ti_copies *copies);

#endif
