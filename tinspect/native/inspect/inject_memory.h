/*
 * The target's memory as an injection writes it. Opened once, it stays the memory that was: if the process calls execve
 * meanwhile, writes go nowhere, where process_vm_writev would put them into the new program.
 */
#ifndef TI_INJECT_MEMORY_H
#define TI_INJECT_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ranges.h"

struct ti_inject_memory {
    int fd; /* /proc/TID/mem */
    /* Private mappings that the process itself may write: /proc/TID/mem would write through a PROT_NONE guard too, and
     * make a stack grow. */
    struct ti_ranges writable;
};

/* `tid` is any living thread. 0, or an errno. Close it whatever this returns. */
int ti_inject_memory_open(struct ti_inject_memory *memory, pid_t tid);
void ti_inject_memory_close(struct ti_inject_memory *memory);

bool ti_inject_memory_is_writable(const struct ti_inject_memory *memory, uint64_t low, uint64_t high);
bool ti_inject_memory_read(const struct ti_inject_memory *memory, uint64_t address, void *bytes, size_t size);
bool ti_inject_memory_write(const struct ti_inject_memory *memory, uint64_t address, const void *bytes, size_t size);

#endif
