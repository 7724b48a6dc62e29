/* Growing arrays: room for one more item, doubled when full. */
#ifndef TI_ARRAY_H
#define TI_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Returns `items`, moved when it had to grow to hold `count` + `more` items; NULL (and `items` untouched) when memory
 * is out. */
static inline void *ti_array_room(void *items, size_t *capacity, size_t count, size_t more, size_t item_size)
{
    if (items && count + more <= *capacity) {
        return items;
    }
    size_t wanted = *capacity ? *capacity : 16;
    while (wanted < count + more) {
        wanted *= 2;
    }
    void *grown = reallocarray(items, wanted, item_size);
    if (grown) {
        *capacity = wanted;
    }
    return grown;
}

#endif
