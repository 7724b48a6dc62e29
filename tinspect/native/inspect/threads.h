/* The threads of one stop: what became of each. */
#ifndef TI_THREADS_H
#define TI_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "arch.h"

enum ti_thread_flag {
    TI_THREAD_STOPPED = 1 << 0,         /* it was stopped, its registers are known */
    TI_THREAD_SIGNAL_DELIVERY = 1 << 1, /* about to take `stop_signal`, and took it after the stop */
    TI_THREAD_GROUP_STOP = 1 << 2,      /* stopped by job control (`stop_signal`), and stayed so */
    TI_THREAD_EXECED = 1 << 3,          /* it called execve during the attach: the program is another one now */
    TI_THREAD_INTERRUPTED = 1 << 4,     /* our stop made its system call return EINTR */
    TI_THREAD_RESTARTED = 1 << 5,       /* that EINTR was undone */
    TI_THREAD_FOREIGN_ABI = 1 << 6,     /* 32-bit registers, in another layout */
    TI_THREAD_ZOMBIE = 1 << 7,          /* it had ended: the leader of a process that goes on */
};

struct ti_thread {
    pid_t tid;
    uint32_t flags;
    int error; /* why it was not stopped: ESRCH ended, EPERM, ETIMEDOUT; 0 while that is open */
    int stop_signal;
    uint64_t sp, thread_pointer;
    size_t registers_size;
    ti_arch_registers registers;
    size_t vectors_at, vectors_size; /* vectors.h */
};

/* A thread whose thread pointer leads to a descriptor. */
static inline bool ti_thread_has_descriptor(const struct ti_thread *thread)
{
    return (thread->flags & TI_THREAD_STOPPED) && !(thread->flags & TI_THREAD_FOREIGN_ABI) && thread->thread_pointer;
}

struct ti_threads {
    struct ti_thread *items;
    size_t count, capacity;
};

/* By tid. */
void ti_threads_sort(struct ti_threads *threads);
/* The thread of that tid among the first `count`, which are sorted; NULL when there is none. */
struct ti_thread *ti_threads_find(const struct ti_threads *threads, size_t count, pid_t tid);

#endif
