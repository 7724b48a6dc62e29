#include "ranges.h"

#include "array.h"

int ti_ranges_add(struct ti_ranges *ranges, uint64_t low, uint64_t size)
{
    if (size == 0) {
        return 0;
    }
    struct ti_range *items = ti_array_room(ranges->items, &ranges->capacity, ranges->count, 1, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    ranges->items = items;
    items[ranges->count++] = (struct ti_range){low, low + size < low ? UINT64_MAX : low + size};
    return 0;
}

static int compare_low(const void *left, const void *right)
{
    uint64_t a = ((const struct ti_range *)left)->low, b = ((const struct ti_range *)right)->low;
    return (a > b) - (a < b);
}

void ti_ranges_normalise(struct ti_ranges *ranges)
{
    if (ranges->count < 2) {
        return;
    }
    qsort(ranges->items, ranges->count, sizeof *ranges->items, compare_low);
    size_t last = 0;
    for (size_t index = 1; index < ranges->count; index++) {
        struct ti_range next = ranges->items[index];
        if (next.low > ranges->items[last].high) {
            ranges->items[++last] = next;
        } else if (next.high > ranges->items[last].high) {
            ranges->items[last].high = next.high;
        }
    }
    ranges->count = last + 1;
}

size_t ti_ranges_search(const struct ti_range *items, size_t count, uint64_t address)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (items[middle].high > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

int ti_ranges_subtract(const struct ti_ranges *ranges, const struct ti_ranges *without, struct ti_ranges *out)
{
    for (size_t index = 0; index < ranges->count; index++) {
        uint64_t low = ranges->items[index].low, high = ranges->items[index].high;
        size_t other = ti_ranges_search(without->items, without->count, low);
        for (; low < high && other < without->count && without->items[other].low < high; other++) {
            if (without->items[other].low > low && ti_ranges_add(out, low, without->items[other].low - low) != 0) {
                return ENOMEM;
            }
            low = without->items[other].high;
        }
        if (low < high && ti_ranges_add(out, low, high - low) != 0) {
            return ENOMEM;
        }
    }
    return 0;
}

uint64_t ti_ranges_bytes(const struct ti_ranges *ranges)
{
    uint64_t total = 0;
    for (size_t index = 0; index < ranges->count; index++) {
        total += ranges->items[index].high - ranges->items[index].low;
    }
    return total;
}

void ti_ranges_free(struct ti_ranges *ranges)
{
    free(ranges->items);
    *ranges = (struct ti_ranges){0};
}
