/* Finds the 8-byte words of a block of memory whose value falls into a set of address ranges. */
#ifndef TI_SCAN_H
#define TI_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ranges.h"

struct ti_word {
    uint64_t address;
    uint64_t value;
};

/* Found words in order; beyond `limit` they are only counted, so memory stays bounded whatever the target holds. */
struct ti_words {
    struct ti_word *items;
    size_t count, capacity, limit;
    uint64_t further;
};

/* Returns the first group in [at, end) that may hold a word in [low, low + span), or `end`. `end - at` is whole groups.
 */
typedef const uint8_t *ti_scan_seek(const uint8_t *at, const uint8_t *end, uint64_t low, uint64_t span);

/* One way to run over a block; chosen by ti_scan_choose. */
struct ti_scan_code {
    const char *name;
    ti_scan_seek *seek_aligned;   /* words at every 8th byte from `at` */
    ti_scan_seek *seek_unaligned; /* words at every byte: reads up to 7 bytes beyond `end` */
};

/* The fastest code this CPU runs, or the portable one if asked for. */
const struct ti_scan_code *ti_scan_choose(bool portable);

struct ti_scan {
    const struct ti_scan_code *code;
    const struct ti_ranges *targets; /* normalised */
    bool unaligned;                  /* false: only words whose address is a multiple of 8 */
};

/*
 * Adds every word that begins in the first `starts` bytes of the block and ends within its `size`. `address` is where
 * the target keeps the block's first byte. 0 or ENOMEM.
 */
int ti_scan_block(const struct ti_scan *scan, const uint8_t *block, size_t starts, size_t size, uint64_t address,
                  struct ti_words *found);

void ti_words_free(struct ti_words *words);

#endif
