#include "gaps.h"

#include <stdbool.h>

#include "array.h"

int ti_gaps_add(struct ti_gaps *gaps, enum ti_gap_kind kind, uint64_t where, uint64_t amount)
{
    struct ti_gap *last = gaps->count ? &gaps->items[gaps->count - 1] : NULL;
    bool is_address = kind == TI_GAP_MEMORY || kind == TI_GAP_LATE || kind == TI_GAP_CAP;
    if (is_address && last && last->kind == kind && last->where + last->amount == where) {
        last->amount += amount;
        return 0;
    }
    struct ti_gap *items = ti_array_room(gaps->items, &gaps->capacity, gaps->count, 1, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    gaps->items = items;
    items[gaps->count++] = (struct ti_gap){kind, where, amount};
    return 0;
}
