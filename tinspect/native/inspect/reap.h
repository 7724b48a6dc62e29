/* Buries threads that ended while this process traced them. */
#ifndef TI_REAP_H
#define TI_REAP_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * An execve ends all other threads of its process and waits until each has been reaped; a traced one only its tracer
 * can reap. PTRACE_SEIZE in turn waits for the execve (both take cred_guard_mutex, fs/exec.c and kernel/ptrace.c). So a
 * tracer that does not reap hangs with its target, for ever. Any thread of the tracer's process may reap: the one that
 * hangs cannot.
 *
 * Reaps the ended threads of `pid` that this process traces, except the leader, whose status is its parent's.
 */
void ti_reap_ended(pid_t pid);
/* True when this process's thread `tid` hangs in a ptrace call. */
bool ti_reap_is_due(pid_t tid);

#endif
