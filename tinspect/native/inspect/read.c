#define _GNU_SOURCE
#include "read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IOVECS = 1024 }; /* UIO_MAXIOV of include/uapi/linux/uio.h: more is EINVAL */

void ti_reader_init(struct ti_reader *reader, pid_t tid)
{
    *reader = (struct ti_reader){.tid = tid, .mem_fd = -1};
}

void ti_reader_close(struct ti_reader *reader)
{
    if (reader->mem_fd >= 0) {
        close(reader->mem_fd);
        reader->mem_fd = -1;
    }
}

static int open_mem(struct ti_reader *reader)
{
    char path[32];
    if (reader->mem_fd < 0) {
        snprintf(path, sizeof path, "/proc/%d/mem", reader->tid);
        reader->mem_fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return reader->mem_fd < 0 ? -errno : 0;
}

static ssize_t read_by_mem(struct ti_reader *reader, const struct ti_range *ranges, size_t count, char *into)
{
    int failure = open_mem(reader);
    if (failure) {
        return failure == -ENOENT ? -ESRCH : failure;
    }
    ssize_t total = 0;
    for (size_t index = 0; index < count; index++) {
        for (uint64_t at = ranges[index].low; at < ranges[index].high;) {
            ssize_t got = pread(reader->mem_fd, into + total, ranges[index].high - at, (off_t)at);
            if (got == 0 && total == 0) {
                return -ESRCH; /* the address space is gone: its last user has left */
            }
            if (got <= 0) {
                return total; /* EIO: this page; also for an address beyond off_t (EINVAL) */
            }
            total += got;
            at += (uint64_t)got;
        }
    }
    return total;
}

static ssize_t read_by_vector(struct ti_reader *reader, const struct ti_range *ranges, size_t count, char *into)
{
    struct iovec remote[IOVECS];
    ssize_t total = 0;
    for (size_t first = 0; first < count; first += IOVECS) {
        size_t batch = count - first < IOVECS ? count - first : IOVECS, bytes = 0;
        for (size_t index = 0; index < batch; index++) {
            const struct ti_range *range = &ranges[first + index];
            remote[index] = (struct iovec){(void *)(uintptr_t)range->low, range->high - range->low};
            bytes += remote[index].iov_len;
        }
        struct iovec local = {into + total, bytes};
        ssize_t got = process_vm_readv(reader->tid, &local, 1, remote, batch, 0);
        if (got < 0 && errno != EFAULT && errno != EINVAL) {
            return total ? total : -errno;
        }
        total += got > 0 ? got : 0;
        if (got < (ssize_t)bytes) {
            break;
        }
    }
    return total;
}

ssize_t ti_read_some(struct ti_reader *reader, const struct ti_range *ranges, size_t count, void *into)
{
    if (!reader->use_mem) {
        ssize_t got = read_by_vector(reader, ranges, count, into);
        if (got != -EPERM && got != -ENOSYS) {
            return got;
        }
        /* A seccomp profile may refuse the call (EPERM, ENOSYS) where ptrace and /proc/PID/mem are allowed. */
        reader->use_mem = true;
    }
    return read_by_mem(reader, ranges, count, into);
}

int ti_read_all(struct ti_reader *reader, uint64_t address, size_t size, void *into)
{
    if (size == 0) {
        return 0;
    }
    if (address + size < address) {
        return EFAULT;
    }
    struct ti_range range = {address, address + size};
    size_t done = 0;
    while (done < size) { /* one call moves at most 2 GiB (MAX_RW_COUNT) */
        range.low = address + done;
        ssize_t got = ti_read_some(reader, &range, 1, (char *)into + done);
        if (got <= 0) {
            return got < 0 ? (int)-got : EFAULT;
        }
        done += (size_t)got;
    }
    return 0;
}
