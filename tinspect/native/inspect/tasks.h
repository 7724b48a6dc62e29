/* The threads of a process as /proc/PID/task lists them. */
#ifndef TI_TASKS_H
#define TI_TASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ti_tids {
    pid_t *items;
    size_t count, capacity;
};

/* Sorts, and keeps each id once. */
void ti_tids_sort(struct ti_tids *tids);
/* True when sorted `tids` hold `tid`. */
bool ti_tids_hold(const struct ti_tids *tids, pid_t tid);
/* Opens /proc/PID/task; -errno (ESRCH when there is no such process). */
int ti_tasks_open(pid_t pid);
/* Reads the whole directory again into `tids`, sorted, each id once. 0, or an errno. */
int ti_tasks_list(int directory, struct ti_tids *tids);
/* How many threads the process has now, by the link count of /proc/PID/task (2 + threads; fs/proc/base.c,
 * proc_task_getattr); 0 when it is gone. */
size_t ti_tasks_count(int directory);
/* The state letter of one thread (proc(5), /proc/PID/task/TID/stat, field 3), or 0 when it is gone. */
char ti_task_state(int directory, pid_t tid);
/* Whether the process has this thread. */
bool ti_task_exists(int directory, pid_t tid);
/* The id of the thread that traces this one (TracerPid of /proc/PID/task/TID/status), 0 for none. */
pid_t ti_task_tracer(int directory, pid_t tid);
/* The id of this thread's process as its leader has it (Tgid), 0 when it is gone. */
pid_t ti_task_leader(int directory, pid_t tid);
/* True when the thread is gone or a zombie. */
bool ti_task_is_dead(int directory, pid_t tid);
/* A thread of `pid` that still owns the memory: the leader, or another when the leader has ended. 0 when there is none.
 */
pid_t ti_tasks_find_living(pid_t pid);
void ti_tids_free(struct ti_tids *tids);

#endif
