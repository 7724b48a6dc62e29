#include "lists.h"

#include "clock.h"

enum { LINK_BYTES = 16 /* next and previous */ };

/*
 * The limit bounds the walk whatever the target's memory says; Brent's method (a node remembered, forgotten at each
 * power of two) ends it soon when the list loops without its head.
 */
int ti_list_walk(const struct ti_list *list, const struct ti_copies *copies, struct ti_reader *reader,
                 const struct ti_patience *patience, struct ti_ranges *wanted, struct ti_gaps *gaps)
{
    uint64_t node, remembered = 0, power = 1, seen = 0;
    int error = ti_ranges_add(wanted, list->head, LINK_BYTES);
    int broken = ti_copies_word(copies, reader, list->head, &node);
    while (!error && !broken && node != list->head && node != remembered && seen < list->limit &&
           ti_now_ns() < patience->deadline_ns) {
        error = ti_ranges_add(wanted, node, LINK_BYTES);
        error = error ? error
                      : ti_ranges_add(wanted, node - (uint64_t)list->link_offset + (uint64_t)list->record_offset,
                                      list->record_size);
        if (++seen == power) {
            remembered = node;
            power *= 2;
        }
        broken = ti_copies_word(copies, reader, node, &node);
    }
    if (error || (!broken && node == list->head)) {
        return error;
    }
    return ti_gaps_add(gaps, TI_GAP_LIST, list->head, seen);
}
