/* Reads another process's memory: process_vm_readv, or /proc/PID/mem where that is refused. */
#ifndef TI_READ_H
#define TI_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ranges.h"

#define TI_PAGE 4096ULL

/* `tid` is any living thread of the target: a leader that has ended owns no memory any more. */
struct ti_reader {
    pid_t tid;
    int mem_fd;   /* /proc/TID/mem, opened when first needed; -1 before */
    bool use_mem; /* process_vm_readv was refused once */
};

void ti_reader_init(struct ti_reader *reader, pid_t tid);
void ti_reader_close(struct ti_reader *reader);

/*
 * Reads `count` ranges one after the other into `into`. Returns the bytes read up to the first page that could not be
 * read (0 when that is the first), or -errno when nothing at all can be read from this process (ESRCH, EPERM).
 */
ssize_t ti_read_some(struct ti_reader *reader, const struct ti_range *ranges, size_t count, void *into);
/* The whole of [address, address + size): 0, or EFAULT, ESRCH, EPERM. */
int ti_read_all(struct ti_reader *reader, uint64_t address, size_t size, void *into);

#endif
