#include "maps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int ti_maps_read(pid_t tid, struct ti_ranges *mappings)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/maps", tid);
    FILE *file = fopen(path, "re");
    if (!file) {
        return errno;
    }
    char *line = NULL;
    size_t capacity = 0;
    int error = 0;
    mappings->count = 0;
    while (!error && getline(&line, &capacity, file) > 0) {
        char *end;
        uint64_t low = strtoull(line, &end, 16);
        uint64_t high = *end == '-' ? strtoull(end + 1, NULL, 16) : low;
        error = ti_ranges_add(mappings, low, high - low);
    }
    free(line);
    fclose(file);
    return error;
}

const struct ti_range *ti_maps_find(const struct ti_ranges *mappings, uint64_t address)
{
    size_t index = ti_ranges_search(mappings->items, mappings->count, address);
    return index < mappings->count && mappings->items[index].low <= address ? &mappings->items[index] : NULL;
}
