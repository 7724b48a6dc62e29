/* Stops every thread of a process, and lets all go again. */
#ifndef TI_STOP_H
#define TI_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tasks.h"
#include "threads.h"

/*
 * All calls for one stop must come from one thread, which ends soon afterwards: to the kernel, the tracer is a thread,
 * and its end is the release that cannot fail. It frees what ptrace(2) cannot detach (a thread that never came to its
 * stop), reaps tracees that died, and hands every signal that was being delivered to its thread.
 */
struct ti_stop {
    pid_t pid;
    struct ti_tids only; /* these threads alone; all of them when empty */
    uint64_t timeout_ns;
    bool undo_restart; /* restart.c */
    const atomic_bool *cancelled;

    struct ti_threads threads;
    struct ti_tids listed;
    int directory; /* /proc/PID/task */
    bool stale;    /* an execve may have ended threads after they stopped */
    uint64_t deadline_ns;
    uint64_t started_ns; /* just before the first thread was seized */
};

/* Lists and opens; nothing is stopped yet. 0, or an errno (ESRCH). Release it whatever this returns. */
int ti_stop_open(struct ti_stop *stop);
/*
 * Seizes and stops until no thread is left running. A thread that cannot be stopped keeps its reason and is no failure.
 * 0; ESRCH, EPERM when not one thread was stopped; ECANCELED, ENOMEM. The caller releases in every case.
 */
int ti_stop_all(struct ti_stop *stop);
/* Lets every thread run on as if nothing had been there, and returns the nanoseconds since the first was seized. */
uint64_t ti_stop_release(struct ti_stop *stop);
void ti_stop_free(struct ti_stop *stop);

#endif
