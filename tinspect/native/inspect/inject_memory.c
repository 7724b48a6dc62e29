#include "inject_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add_mapping(struct ti_ranges *writable, const char *line)
{
    char *rest;
    uint64_t low = strtoull(line, &rest, 16);
    uint64_t high = *rest == '-' ? strtoull(rest + 1, &rest, 16) : low;
    return strncmp(rest, " rw-p", 5) == 0 || strncmp(rest, " rwxp", 5) == 0 ? ti_ranges_add(writable, low, high - low)
                                                                            : 0;
}

static int read_mappings(struct ti_ranges *writable, pid_t tid)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)tid);
    FILE *file = fopen(path, "re");
    if (!file) {
        return errno;
    }
    char *line = NULL;
    size_t capacity = 0;
    int error = 0;
    while (!error && getline(&line, &capacity, file) > 0) {
        error = add_mapping(writable, line);
    }
    free(line);
    fclose(file);
    ti_ranges_normalise(writable);
    return error;
}

int ti_inject_memory_open(struct ti_inject_memory *memory, pid_t tid)
{
    char path[32];
    *memory = (struct ti_inject_memory){.fd = -1};
    snprintf(path, sizeof path, "/proc/%d/mem", (int)tid);
    memory->fd = open(path, O_RDWR | O_CLOEXEC);
    return memory->fd < 0 ? errno : read_mappings(&memory->writable, tid);
}

void ti_inject_memory_close(struct ti_inject_memory *memory)
{
    if (memory->fd >= 0) {
        close(memory->fd);
    }
    memory->fd = -1;
    ti_ranges_free(&memory->writable);
}

bool ti_inject_memory_is_writable(const struct ti_inject_memory *memory, uint64_t low, uint64_t high)
{
    size_t index = ti_ranges_search(memory->writable.items, memory->writable.count, low);
    return index < memory->writable.count && memory->writable.items[index].low <= low &&
           high <= memory->writable.items[index].high;
}

bool ti_inject_memory_read(const struct ti_inject_memory *memory, uint64_t address, void *bytes, size_t size)
{
    return pread(memory->fd, bytes, size, (off_t)address) == (ssize_t)size;
}

bool ti_inject_memory_write(const struct ti_inject_memory *memory, uint64_t address, const void *bytes, size_t size)
{
    return pwrite(memory->fd, bytes, size, (off_t)address) == (ssize_t)size;
}
